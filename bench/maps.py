"""t-SNE maps of scene embeddings side by side, from the maps that `askscan evaluate` and `ablate` leave in runs.

    python bench/maps.py NAME=RUN [NAME=RUN ...] docs/maps.svg

The rooms are those of split `val` that the runs were evaluated on; the points of a run are in its `map.val.json`.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from askscan.evaluate.maps import map_path, read_map


def main(runs: dict[str, Path], out: Path) -> None:
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "askscan"  # the same maps, the same file
    import matplotlib.pyplot as plt

    maps = {name: read_map(map_path(run, "val")) for name, run in runs.items()}
    types = sorted({each for found in maps.values() for each in found.room_types})
    colors = plt.get_cmap("tab10")
    width = 3.6 * len(maps)
    figure, axes = plt.subplots(1, len(maps), figsize=(width, 4.4), layout="constrained", squeeze=False)
    for (name, found), place in zip(maps.items(), axes[0], strict=True):
        xy, belongs = np.asarray(found.xy), np.array(found.room_types)
        for i, each in enumerate(types):
            marker = "o^sD"[i // colors.N % 4]
            place.scatter(*xy[belongs == each].T, s=16, color=colors(i % colors.N), marker=marker, label=each)
        knn, silhouette = found.scores["room type k-NN"], found.scores["room type silhouette"]
        place.set(title=f"{name}\nroom type k-NN {knn:.0f} %, silhouette {silhouette / 100:.2f}", xticks=[], yticks=[])
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    *given, picture = sys.argv[1:]
    main({name: Path(run) for name, run in (each.split("=", 1) for each in given)}, Path(picture))
