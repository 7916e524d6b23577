import json
from dataclasses import replace
from pathlib import Path

import pytest

from askscan.errors import ConfigError, DataError
from askscan.evaluate.ablation import (
    Ablation,
    Row,
    Stage,
    Variant,
    load_record,
    read_ablation,
)
from askscan.files import write_json
from askscan.plain import to_plain

SCORES = {"EM@10": 80.0, "Acc@0.25": 40.0, "R@10 scene -> sentence": 30.0, "R@10 chance": 5.0}
FILE = Ablation(recipe="rooms", seeds=(0, 1), variants=tuple(Variant(name=name) for name in ("full", "less", "later")))


def stage(seconds: float | None = 10.0, peak: float | None = 2.0) -> Stage:
    where = {"device": "GPU", "torch": "2", "commit": "abc"}
    commands = ("askscan x", "askscan y")
    return Stage(commands=commands, num_steps=5, seconds=seconds, peak_gib=peak, scores=SCORES, environment=where)


def row(variant: str, seed: int, *, pretrain: Stage | None = None, **counts: dict[str, int]) -> Row:
    rooms = counts or {"a": {"questions": 4, "EM@1": 2, "EM@10": 3, "Acc@0.25": 1, "Acc@0.5": 0}}
    return Row(variant=variant, seed=seed, pretrain=pretrain, answers=stage(), rooms=rooms)


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
    for written in (row("full", 0, pretrain=stage()), row("blind", 1, a={"questions": 2, "EM@1": 1, "EM@10": 2})):
        write_json(path, to_plain(written), ensure_ascii=False, indent=0)
        assert load_record(path, Row) == written
    write_json(path, to_plain(stage(None, None)))
    assert load_record(path, Stage) == stage(None, None)
    plain = to_plain(row("full", 0))
    rooms = [
        {},
        {"a": [2, 1]},
        {"a": {"questions": 0, "EM@1": 0}},
        {"a": {"questions": 1, "EM@1": 2}},
        {"a": {"questions": 1, "CIDEr": 1}},
        {"a": {"questions": 1, "EM@1": 1}, "b": {"questions": 1, "EM@1": 1, "EM@10": 1}},
    ]
    for damage in ("{", "{}", '{"variant": 3}', *(json.dumps(plain | {"rooms": wrong}) for wrong in rooms)):
        path.write_text(damage)
        with pytest.raises(DataError, match=r"row\.json"):
            load_record(path, Row)


def test_variants_are_compared_to_the_first_and_to_scratch() -> None:
    cold, blind = Variant(name="cold", pretrain=None), Variant(name="blind", pretrain=None, question_only=True)
    assert replace(FILE, variants=(Variant(name="full"), blind, cold)).references == ("full", "cold")
    assert replace(FILE, variants=(cold, Variant(name="full"))).references == ("cold",)
    assert replace(FILE, variants=(Variant(name="full"), blind)).references == ("full",)
