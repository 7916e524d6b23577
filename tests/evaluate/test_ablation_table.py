from dataclasses import replace

import numpy as np
import pytest

from askscan.errors import DataError
from askscan.evaluate.ablation import Ablation, Row, Stage, Variant
from askscan.evaluate.ablation_table import Summary, Table, summarize

SCORES = {"mAP@0.5": 70.0, "CIDEr": 99.0, "R@10 scene -> sentence": 30.0, "R@10 chance": 5.0}
VARIANTS = (Variant(name="full"), Variant(name="less"), Variant(name="later"), Variant(name="cold", pretrain=None))
FILE = Ablation(recipe="rooms", seeds=(0, 1, 2), variants=VARIANTS)


def stage(seconds: float | None = 10.0, peak: float | None = 2.0, seed: int = 0) -> Stage:
    return Stage(
        commands=(f"askscan train {seed}", "askscan evaluate"),
        num_steps=5,
        seconds=seconds,
        peak_gib=peak,
        scores=SCORES,
        environment={"device": "GPU", "torch": "2", "commit": "abc"},
    )


def row(variant: str, seed: int, share: float, *, pretrain: Stage | None = None, num_rooms: int = 50) -> Row:
    """A run whose rooms differ a lot, in the same way for all variants."""
    rng = np.random.default_rng(0)
    easy = rng.uniform(0, 0.5, num_rooms)
    hits = [round(40 * min(1.0, value + share)) for value in easy]
    rooms = {
        f"room {i}": {"questions": 40, "EM@1": hit, "EM@10": min(40, hit + 4), "Acc@0.25": hit, "Acc@0.5": hit // 2}
        for i, hit in enumerate(hits)
    }
    return Row(variant=variant, seed=seed, pretrain=pretrain, answers=stage(seed=seed), rooms=rooms)


def without_boxes(row: Row) -> Row:
    rooms = {name: {k: v for k, v in counts.items() if "Acc" not in k} for name, counts in row.rooms.items()}
    return replace(row, rooms=rooms)


def cells(table: Table) -> dict[str, dict[str, str]]:
    return {cells[0]: dict(zip(table.header, cells, strict=True)) for cells in table.rows}


def ends(cell: str) -> list[float]:
    return [float(end) for end in cell.split("[")[1].rstrip("]").split(",")]


def titled(summary: Summary, title: str) -> dict[str, dict[str, str]]:
    return cells(next(table for table in summary.tables if table.title == title))


def test_the_tables_say_means_intervals_and_paired_differences() -> None:
    rows = [
        row("less", 1, 0.2),
        row("full", 1, 0.34, pretrain=stage(peak=3.0)),
        row("full", 0, 0.3, pretrain=stage(seconds=None)),
        row("less", 0, 0.22),
    ]
    found = summarize(FILE, rows)
    titles = ["Answers", "Difference to full", "Scene embeddings", "Cost"]
    assert [table.title for table in found.tables] == titles
    answers, gains = titled(found, "Answers"), titled(found, "Difference to full")
    embeddings, costs = titled(found, titles[2]), titled(found, titles[3])
    assert list(answers) == ["full", "less"]  # in the file's order; what has no run yet is left out
    full = answers["full"]
    means = {
        v: np.mean([100 * c["EM@1"] / 40 for r in rows if r.variant == v for c in r.rooms.values()]) for v in answers
    }
    low, high = ends(full["EM@1"])
    assert full["EM@1"].startswith(f"{means['full']:.1f} ") and low < means["full"] < high
    # Rooms differ by tens of points, but alike for both: only what the seeds differ by is left, 4 and 2 points.
    assert high - low > 7
    assert list(gains) == ["less"]
    gain = means["less"] - means["full"]
    assert gains["less"]["EM@1"].startswith(f"{gain:+.1f} ")
    low, high = ends(gains["less"]["EM@1"])
    assert low < gain < high < 0
    assert high - low < 7
    assert (full["mAP@0.5"], full["CIDEr"], full["runs"]) == ("70.0", "99.0", "2 *")
    assert (embeddings["full"]["sentence R@10"], embeddings["full"]["picture R@10"]) == ("30.0", "–")
    times = costs["full"]["pre-training, s"], costs["full"]["GPU GiB"], costs["less"]["pre-training, s"]
    assert times == ("10.0", "2.5", "–")
    page = found.markdown()
    for table in found.tables:
        lines = page.split(f"## {table.title}\n\n")[1].splitlines()
        assert {line.count("|") for line in lines[: 2 + len(table.rows)]} == {len(table.header) + 1}
    for text in ("50 unseen rooms, 2000 questions", "by chance: 5.0", "GPU, torch 2, commit abc: full 0, 1; less 0, 1"):
        assert text in page
    assert "less:\n\n```\naskscan train 0\naskscan evaluate\naskscan train 1\naskscan evaluate\n```" in page


def test_runs_of_one_seed_are_drawn_together() -> None:
    # Seeds differ by tens of points, and both variants alike: paired by seed, next to nothing of it is left.
    luck = (0.05, 0.2, 0.4)
    full = [row("full", seed, luck[seed]) for seed in range(3)]
    cold = [row("cold", seed, luck[seed] - 0.05) for seed in range(3)]
    found = summarize(FILE, [*full, *reversed(cold)])  # the order of files decides nothing
    for title, name, sign in (("Difference to full", "cold", -1), ("Difference to cold", "full", 1)):
        gain = titled(found, title)[name]
        assert gain["pairs"] == "3"
        low, high = ends(gain["EM@1"])
        assert high - low < 1 and low * sign > 0 and high * sign > 0
    # The seeds that both have count; the third run of `full` does not enter the difference.
    gain = titled(summarize(FILE, [*full, *cold[:2]]), "Difference to full")["cold"]
    assert gain["pairs"] == "2 *" and gain["EM@1"].startswith("-5.")
    # Without a common seed the spread of the seeds stays, and it is said.
    others = [replace(each, seed=each.seed + 10) for each in cold]
    found = summarize(FILE, [*full, *others])
    gain = titled(found, "Difference to full")["cold"]
    low, high = ends(gain["EM@1"])
    assert gain["pairs"] == "unpaired" and high - low > 10
    assert any("unpaired: there is no such seed" in note for note in found.notes)
    assert titled(summarize(FILE, [*full, others[0]]), "Difference to full")["cold"]["pairs"] == "unpaired *"


def test_every_share_has_an_interval_and_a_blind_run_no_boxes() -> None:
    rows = [make(name, seed, 0.3) for seed in range(3) for name, make in (("full", row), ("less", row))]
    rows = [without_boxes(each) if each.variant == "less" else each for each in rows]
    found = summarize(FILE, rows)
    for share in ("EM@1", "EM@10", "Acc@0.25", "Acc@0.5"):
        low, high = ends(titled(found, "Answers")["full"][share])
        assert low < high
    less = titled(found, "Answers")["less"]
    assert (less["Acc@0.25"], less["Acc@0.5"]) == ("–", "–") and "[" in less["EM@10"]
    assert titled(found, "Difference to full")["less"].keys() == {
        "variant",
        "pairs",
        "EM@1",
        "EM@10",
    }  # none without figures


def test_the_commit_and_device_of_each_run_are_said() -> None:
    rows = [row(name, seed, 0.3) for name in ("full", "less") for seed in (0, 1)]
    rows[1] = replace(rows[1], pretrain=stage(), answers=replace(stage(), environment={"device": "CPU", "torch": "2"}))
    assert summarize(FILE, rows).origins == (
        "GPU, torch 2, commit abc: full 0, 1; less 0, 1",  # seed 1 of `full` went on elsewhere
        "CPU, torch 2, commit unknown: full 1",
    )


def test_the_first_training_of_a_process_does_not_decide_the_time() -> None:
    rows = [row("full", seed, 0.3, pretrain=stage(seconds)) for seed, seconds in enumerate((56.0, 20.0, 21.0))]
    assert titled(summarize(FILE, rows), "Cost")["full"]["pre-training, s"] == "21.0"


def test_differences_of_other_questions_are_refused() -> None:
    with pytest.raises(DataError, match="less, seed 0: was evaluated on other questions than full, seed 0"):
        summarize(FILE, [row("full", 0, 0.3), row("less", 0, 0.3, num_rooms=49)])


def test_nothing_done_yet() -> None:
    found = summarize(FILE, [])
    assert found.tables == () and "No run is done yet." in found.markdown()
