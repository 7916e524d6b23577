import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from askscan.errors import ConfigError, DataError
from askscan.evaluate.ablation import (
    Ablation,
    Row,
    Stage,
    Variant,
    ablation_table,
    load_record,
    read_ablation,
    room_shares,
)
from askscan.files import write_json
from askscan.plain import to_plain

SCORES = {"EM@10": 80.0, "Acc@0.25": 40.0, "R@10 scene -> sentence": 30.0, "R@10 chance": 5.0}
FILE = Ablation(recipe="rooms", seeds=(0, 1), variants=tuple(Variant(name=name) for name in ("full", "less", "later")))


def stage(seconds: float | None = 10.0, peak: float | None = 2.0) -> Stage:
    return Stage(commands=("askscan x", "askscan y"), num_steps=5, seconds=seconds, peak_gib=peak, scores=SCORES)


def row(variant: str, seed: int, share: float, *, pretrain: Stage | None = None, num_rooms: int = 50) -> Row:
    """A run whose rooms differ a lot, in the same way for all variants."""
    rng = np.random.default_rng(0)
    easy = rng.uniform(0, 0.5, num_rooms)
    rooms = {f"room {i}": [round(40 * min(1.0, value + share)), 40] for i, value in enumerate(easy)}
    where = {"device": "GPU", "torch": "2", "commit": "abc"}
    return Row(variant=variant, seed=seed, pretrain=pretrain, answers=stage(), rooms=rooms, environment=where)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("variants: [", "cannot be read as YAML"),
        ("- a", "expected the fields"),
        ("recipe: rooms\nseeds: [0]", "no variants given"),
        ("recipe: rooms\nseeds: [zero]\nvariants: [{name: a}]", "seeds"),
        ("recipe: rooms\nseeds: [0]\nvariants: [{name: a}, {name: b, pretrein: []}]", r"variants\[1\].*pretrein"),
        ("recipe: rooms\nseeds: [0]\nvariants: [{name: a b}, {name: a-b}]", "variant a-b is there twice"),
        ("recipe: rooms\nseeds: [0, 0]\nvariants: [{name: a}]", "seed 0 is there twice"),
        ("recipe: rooms\nseeds: [0]\nvariants: [{name: ../up}]", "name '../up'"),
        ("recipe: rooms\nseeds: [0]\nvariants: [{name: a, pretrain: [x=1], question_only: true}]", "question-only"),
    ],
)
def test_damaged_files_are_refused_by_name(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"file\.yaml.*{said}"):
        read_ablation(path)
    with pytest.raises(ConfigError, match="nowhere"):
        read_ablation(tmp_path / "nowhere.yaml")


def test_variants_are_chosen_in_the_order_of_the_file() -> None:
    file = replace(FILE, variants=(Variant(name="full"), Variant(name="no words"), Variant(name="cold")))
    assert [v.name for v in file.selected(())] == ["full", "no words", "cold"]
    assert [v.name for v in file.selected(("cold", "no words"))] == ["no words", "cold"]
    assert file.selected(("no-words",)) == file.selected(("no words",))
    with pytest.raises(ConfigError, match="no variant 'warm'; known are full, no words, cold"):
        file.selected(("warm",))


def test_records_survive_the_disk_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "row.json"
    for written in (row("full", 0, 0.3, pretrain=stage()), row("less", 1, 0.1)):
        write_json(path, to_plain(written), ensure_ascii=False, indent=0)
        assert load_record(path, Row) == written
    write_json(path, to_plain(stage(None, None)))
    assert load_record(path, Stage) == stage(None, None)
    for damage in ("{", "{}", '{"variant": 3}', json.dumps({"seed": 0, "rooms": {"a": [2, 1]}})):
        path.write_text(damage)
        with pytest.raises(DataError, match=r"row\.json"):
            load_record(path, Row)


def test_shares_of_rooms(tmp_path: Path) -> None:
    entries = [("a", ["red"], ["red", "blue"]), ("b", ["red"], ["blue"]), ("a", ["one", "two"], ["two"])]
    path = tmp_path / "details.val.json"
    path.write_text(json.dumps([{"scene_id": s, "answers": a, "right_answers": r} for s, a, r in entries]))
    assert room_shares(path) == {"a": [1, 2], "b": [0, 1]}


def test_the_table_says_means_intervals_and_paired_differences() -> None:
    rows = [
        row("less", 1, 0.2),
        row("full", 1, 0.34, pretrain=stage(peak=3.0)),
        row("full", 0, 0.3, pretrain=stage(seconds=None)),
        row("less", 0, 0.22),
    ]
    found = ablation_table(FILE, rows)
    table = {cells[0]: dict(zip(found.header, cells, strict=True)) for cells in found.rows}
    assert list(table) == ["full", "less"]  # in the file's order; what has no run yet is left out
    full, less = table["full"], table["less"]
    means = {v: np.mean([100 * h / c for r in rows if r.variant == v for h, c in r.rooms.values()]) for v in table}
    low, high = ends(full["EM@1"])
    assert full["EM@1"].startswith(f"{means['full']:.1f} ") and low < means["full"] < high
    assert full["to full"] == "–"
    gain = means["less"] - means["full"]
    assert less["to full"].startswith(f"{gain:+.1f} ")
    # Rooms differ by tens of points, but alike for both: only what the seeds differ by is left, 4 and 2 points.
    assert high - low > 7
    low, high = ends(less["to full"])
    assert low < gain < high < 0
    assert high - low < 7
    assert (full["EM@10"], full["sentence R@10"], full["picture R@10"], full["runs"]) == ("80.0", "30.0", "–", "2")
    assert (full["pre-training, s"], full["GPU GiB"], less["pre-training, s"]) == ("10.0", "2.5", "–")
    page = found.markdown()
    assert page.splitlines()[0].count("|") == page.splitlines()[1].count("|") == page.splitlines()[2].count("|")
    for text in (
        "50 unseen rooms, 2000 questions",
        "by chance: 5.0",
        "GPU, torch 2, commit abc",
        "askscan x\naskscan y",
    ):
        assert text in page


def test_the_first_training_of_a_process_does_not_decide_the_time() -> None:
    rows = [row("full", seed, 0.3, pretrain=stage(seconds)) for seed, seconds in enumerate((56.0, 20.0, 21.0))]
    found = ablation_table(FILE, rows)
    assert dict(zip(found.header, found.rows[0], strict=True))["pre-training, s"] == "21.0"


def ends(cell: str) -> list[float]:
    return [float(end) for end in cell.split("[")[1].rstrip("]").split(",")]


def test_differences_of_other_rooms_are_refused() -> None:
    with pytest.raises(DataError, match="less, seed 0: was evaluated on other rooms than full, seed 0"):
        ablation_table(FILE, [row("full", 0, 0.3), row("less", 0, 0.3, num_rooms=49)])


def test_nothing_done_yet() -> None:
    found = ablation_table(FILE, [])
    assert found.rows == () and "No run is done yet." in found.markdown()
