"""How far the confidence of answers can be trusted: a figure from the details that `askscan evaluate` leaves.

    python bench/reliability.py SCORES/details.val.json docs/reliability.svg

Guo et al., ICML 2017: 15 bins of equal width. Beside the figure lies its JSON, with the numbers of the bins.
"""

import sys
from dataclasses import asdict
from pathlib import Path

import matplotlib
import numpy as np

from askscan.evaluate.report_runs import read_run
from askscan.files import write_json
from askscan.metrics.calibration import calibration, ece_interval


def main(details: Path, out: Path) -> None:
    split = details.name.split(".")[1]
    cases = read_run(details.parent, split, "run").cases
    confidence = np.array([case.confidence[0] for case in cases])
    right = np.array([case.right for case in cases])
    found = calibration(confidence, right)
    interval = ece_interval(confidence, right, [case.scene_id for case in cases])
    about = {"split": split, "num_questions": len(cases), "ece_interval": interval}
    write_json(out.with_suffix(".json"), about | asdict(found), indent=1)
    error = "{:.1f} % [{:.1f}, {:.1f}]".format(*(100 * value for value in (found.ece, *interval)))
    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "askscan"  # the same figures, the same file
    import matplotlib.pyplot as plt

    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(4.4, 4.6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    middle = [100 * b.confidence for b in found.bins]
    top.plot([0, 100], [0, 100], color="#999999", linewidth=1, label="as right as it says")
    reach = [[100 * abs(b.accuracy - b.interval[end]) for b in found.bins] for end in (0, 1)]
    top.errorbar(
        middle, [100 * b.accuracy for b in found.bins], reach, fmt="o-", color="#1f6f8b", label="the shipped model"
    )
    top.set(
        ylabel="right answers, %",
        ylim=(0, 100),
        title=f"expected calibration error {error}, {len(cases):,} questions",
    )
    top.legend(frameon=False)
    bottom.bar([50 * (b.low + b.high) for b in found.bins], [b.count for b in found.bins], width=6, color="#c9d7dc")
    bottom.set(xlabel="confidence, %", ylabel="questions")
    figure.savefig(out, metadata={"Date": None})
    for b in found.bins:
        print(f"{100 * b.confidence:5.1f} % said, {100 * b.accuracy:5.1f} % right, {b.count:5} questions")
    print(f"expected calibration error {error}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
