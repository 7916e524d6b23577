"""Puts the runs of several ablations into one folder, for one table over all of them.

    python bench/join_ablations.py OUT FOLDER...
    askscan ablate bench/ablation.yaml DATA TEST --out OUT --table

Runs of the second folder are numbered from 10, of the third from 20: seed 10 is seed 0 of the second. Sensible only
where all have the recipe and the test rooms in common; that is checked.
"""

import json
import sys
from pathlib import Path

from askscan.cli.ablation_runs import MANIFEST, ROW


def main(out: Path, folders: list[Path]) -> None:
    out.mkdir(parents=True)
    manifests = [json.loads((folder / MANIFEST).read_text()) for folder in folders]
    shared = [{key: manifest[key] for key in ("recipe", "teacher", "test")} for manifest in manifests]
    if any(one != shared[0] for one in shared):
        sys.exit(f"the ablations differ in more than their training rooms: {shared}")
    (out / MANIFEST).write_text(json.dumps(manifests[0]))
    for number, folder in enumerate(folders):
        for path in sorted(folder.glob(f"*/*/{ROW}")):
            row = json.loads(path.read_text())
            row["seed"] += 10 * number
            place = out / path.parent.parent.name / str(row["seed"])
            place.mkdir(parents=True)
            (place / ROW).write_text(json.dumps(row))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
