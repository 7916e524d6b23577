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
    table_only: Annotated[bool, tyro.conf.arg(name="table", help="Train nothing; the table of what is done.")] = False,
) -> None:
    """Train and evaluate the variants of a file with several seeds, into one table.

    Started once per GPU (CUDA_VISIBLE_DEVICES) with one --out, it divides the runs.
    """
    from askscan.cli.ablation_runs import ERROR, Ablater, plan
    from askscan.evaluate.ablation import read_ablation

    ablation = read_ablation(file)
    variants = ablation.selected(only)
    failed: list[str] = []
    if not table_only:
        plans = [plan(ablation.recipe, variant, seed) for seed in seeds or ablation.seeds for variant in variants]
        failed = Ablater.open(data, test, out, ablation.recipe, teacher, device).run_all(plans)
    _show(ablation, out)
    if failed:
        raise ConfigError(f"{len(failed)} runs failed ({', '.join(failed)}); the reasons are in their {ERROR}.")


def _show(ablation: Ablation, out: Path) -> None:
    """Print the tables of all rows, and write them down."""
    from askscan.cli.ablation_runs import finished
    from askscan.evaluate.ablation_table import summarize
    from askscan.files import replacing

    summary = summarize(ablation, finished(ablation, out))
    for each in summary.tables:
        table(f"{each.title}, recipe {ablation.recipe}", each.header, each.rows)
    for note in (*summary.notes, *summary.origins):
        say(note)
    with replacing(out / "table.md") as temporary:
        temporary.write_text(summary.markdown(), encoding="utf-8")
