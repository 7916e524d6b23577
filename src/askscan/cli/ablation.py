"""`ablate`: every variant of an ablation file trained and evaluated with every seed, and one table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from askscan.cli.arguments import Data, Out, Teacher
from askscan.cli.console import say, table
from askscan.cli.training import Accelerator
from askscan.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askscan.evaluate.ablation import Ablation


def ablate(
    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE", help="Such as bench/ablation.yaml.")],
    data: Data,
    test: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TEST", help="Unseen rooms: its val.")],
    *,
    out: Out,
    only: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="NAME...", help="Only these variants.", help_behavior_hint="")
    ] = (),
    seeds: Annotated[
        tuple[int, ...], tyro.conf.arg(metavar="S...", help="These, in place of the file's.", help_behavior_hint="")
    ] = (),
    teacher: Teacher = "default",
    device: Accelerator = "auto",
    beside: Annotated[
        tuple[Path, ...],
        tyro.conf.arg(
            metavar="DIR...",
            help="Folders of the same ablation on other training rooms, for the same table.",
            help_behavior_hint="",
        ),
    ] = (),
    table_only: Annotated[bool, tyro.conf.arg(name="table", help="Train nothing; the table of what is done.")] = False,
) -> None:
    """Train and evaluate the variants of a file with several seeds, into one table.

    Started once per GPU (CUDA_VISIBLE_DEVICES) with one --out, it divides the runs.
    """
    from askscan.cli.ablation_runs import ERROR, Ablater, finished, plan
    from askscan.evaluate.ablation import read_ablation

    ablation = read_ablation(file)
    variants = ablation.selected(only)
    failed: list[str] = []
    finished(ablation, beside)  # refused before anything is trained
    if not table_only:
        plans = [plan(ablation.recipe, variant, seed) for seed in seeds or ablation.seeds for variant in variants]
        failed = Ablater.open(data, test, out, ablation.recipe, teacher, device).run_all(plans)
    _show(ablation, out, beside)
    if failed:
        raise ConfigError(f"{len(failed)} runs failed ({', '.join(failed)}); the reasons are in their {ERROR}.")


def _show(ablation: Ablation, out: Path, beside: Sequence[Path]) -> None:
    """Print the table of all rows, and write it down."""
    from askscan.cli.ablation_runs import finished
    from askscan.evaluate.ablation import ablation_table
    from askscan.files import replacing

    found = ablation_table(ablation, finished(ablation, [out, *beside]))
    # Two, so that they fit a terminal.
    for title, columns in (("Answers", slice(1, 8)), ("Scene embeddings and cost", slice(8, None))):
        header, *rows = ((cells[0], *cells[columns]) for cells in (found.header, *found.rows))
        table(f"{title}, recipe {ablation.recipe}", header, rows)
    for note in found.notes:
        say(note)
    with replacing(out / "table.md") as temporary:
        temporary.write_text(found.markdown(), encoding="utf-8")
