import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from tests.train import stand_ins

import askscan.cli as cli
from askscan.cli import ablation_runs
from askscan.evaluate.ablation import Row, Stage, load_record, read_ablation
from askscan.evaluate.runs import Run
from askscan.models.teacher import Teacher
from askscan.train import recipes

SHIPPED = Path(__file__).parents[2] / "bench" / "ablation.yaml"
TWO = [{"name": "full"}, {"name": "no words", "pretrain": None, "question_only": True}]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return stand_ins.write_data(tmp_path_factory.mktemp("data")).root


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every teacher is the stand-in, and the recipe `tiny` of two steps."""
    for owner, name in ((Teacher, "load"), (Run, "teacher")):
        monkeypatch.setattr(owner, name, lambda *args, **keywords: stand_ins.StandInTeacher())
    recipe = recipes.Recipe(pretrain=stand_ins.small_pretrain(2), answers=stand_ins.small_answers(2))
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: recipe)


def write(path: Path, **changes: object) -> Path:
    path.write_text(yaml.safe_dump({"recipe": "tiny", "seeds": [5], "variants": TWO} | changes))
    return path


def command(file: Path, data: Path, out: Path, *more: str) -> list[str]:
    return ["ablate", str(file), str(data), str(data), "--out", str(out), "--device", "cpu", *more]


def fake_row(plan: ablation_runs.Plan, place: Path) -> Row:
    stage = Stage(
        commands=("askscan train",), num_steps=1, seconds=1.0, peak_gib=None, scores={}, environment={"device": "x"}
    )
    rooms = {f"scene000{i}_00": {"questions": 2 + i, "EM@1": 1, "EM@10": 2} for i in (0, 1)}
    return Row(variant=plan.variant.name, seed=plan.seed, pretrain=None, answers=stage, rooms=rooms)


def test_every_shipped_variant_is_a_configuration_of_its_own() -> None:
    shipped = read_ablation(SHIPPED)
    assert shipped.seeds == (0, 1, 2)
    plans = [ablation_runs.plan(shipped.recipe, variant, 1) for variant in shipped.variants]
    assert len(plans) == 10
    assert all(plan.pretrain.loop.seed == plan.answers.loop.seed == 1 for plan in plans)
    # No two variants train the same.
    trained = [(plan.pretrain if plan.variant.pretrains else None, plan.answers) for plan in plans]
    assert all(trained.count(one) == 1 for one in trained)
    found = dict(zip((plan.variant.name for plan in plans), trained, strict=True))
    full = found["full"]
    assert full == (
        replace(recipes.rooms().pretrain, loop=replace(recipes.rooms().pretrain.loop, seed=1)),
        replace(recipes.rooms().answers, loop=replace(recipes.rooms().answers.loop, seed=1)),
    )
    assert found["scratch"] == (None, full[1])
    assert found["question only"] == (None, replace(full[1], question_only=True))


def test_a_small_ablation_ends_with_rows_and_a_table_and_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = write(tmp_path / "file.yaml"), tmp_path / "out"
    assert cli.main(command(file, data, out)) == 0
    full, blind = (load_record(out / name / "5" / "row.json", Row) for name in ("full", "no-words"))
    assert full.pretrain is not None and blind.pretrain is None
    assert {"R@10 scene -> sentence", "R@10 scene -> picture", "room type k-NN"} <= full.pretrain.scores.keys()
    assert {"EM@1", "EM@10", "Acc@0.25", "Acc@0.5", "room type k-NN"} <= full.answers.scores.keys()
    assert (len(full.rooms), sum(counts["questions"] for counts in full.rooms.values())) == (3, 12)
    for name in ("EM@1", "EM@10", "Acc@0.25", "Acc@0.5"):
        hits = sum(counts[name] for counts in full.rooms.values())
        assert full.answers.scores[name] == pytest.approx(100 * hits / 12)
    assert all(counts.keys() == {"questions", "EM@1", "EM@10"} for counts in blind.rooms.values())
    assert full.answers.num_steps == 2 and (full.answers.seconds or 0) > 0 and full.answers.peak_gib is None
    assert f"--init {out}/full/5/pre" in full.answers.commands[0]
    assert "--question-only" in blind.answers.commands[0]
    assert "loop.seed=5" in full.pretrain.commands[0]
    assert {"device", "torch", "commit"} <= full.answers.environment.keys()
    page = (out / "table.md").read_text()
    assert "| full | 1 * |" in page and "| no words | 1 * |" in page and full.pretrain.commands[0] in page

    # The same again does nothing; a lost row is made from what is there, without training.
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.name != "table.md"}
    assert cli.main(command(file, data, out)) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    (out / "full" / "5" / "row.json").unlink()
    assert cli.main(command(file, data, out, "--only", "full")) == 0
    assert load_record(out / "full" / "5" / "row.json", Row) == full
    (out / "table.md").unlink()
    monkeypatch.setattr(ablation_runs.Ablater, "open", lambda *args: pytest.fail("nothing is to be trained"))
    assert cli.main(command(file, data, out, "--table")) == 0
    assert (out / "table.md").read_text() == page
    assert "no words" in capsys.readouterr().out


def test_an_interrupted_run_says_no_time(data: Path, tmp_path: Path) -> None:
    file, out = write(tmp_path / "file.yaml", variants=TWO[1:]), tmp_path / "out"
    assert cli.main(command(file, data, out)) == 0
    place = out / "no-words" / "5"
    for name in ("row.json", "qa.json"):  # as if it had been killed while it was evaluated
        (place / name).unlink()
    assert cli.main(command(file, data, out)) == 0
    assert load_record(place / "row.json", Row).answers.seconds is None


def test_processes_divide_the_work(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, out = write(tmp_path / "file.yaml", seeds=[0, 1, 2, 3]), tmp_path / "out"

    def run(self: ablation_runs.Ablater, plan: ablation_runs.Plan, place: Path) -> Row:
        with (tmp_path / "done.txt").open("a") as log:
            log.write(f"{plan.seed} {plan.variant.name} {os.getpid()}\n")
        time.sleep(0.3)
        return fake_row(plan, place)

    monkeypatch.setattr(ablation_runs.Ablater, "_run", run)
    children = []
    for _ in range(2):
        children.append(os.fork())
        if children[-1] == 0:
            os._exit(cli.main(command(file, data, out)))
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    lines = [line.split() for line in (tmp_path / "done.txt").read_text().splitlines()]
    assert sorted((line[0], line[1]) for line in lines) == sorted((s, v) for s in "0123" for v in ("full", "no"))
    assert [line[0] for line in lines] == sorted(line[0] for line in lines)  # all of a seed before the next
    shares = [sum(line[-1] == str(child) for line in lines) for child in children]
    assert min(shares) >= 2
    assert "| full | 4 |" in (out / "table.md").read_text()


def test_what_fails_is_said_and_the_others_go_on(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = write(tmp_path / "file.yaml"), tmp_path / "out"
    faults = {"full": RuntimeError("out of memory")}

    def run(self: ablation_runs.Ablater, plan: ablation_runs.Plan, place: Path) -> Row:
        if plan.variant.name in faults:
            raise faults[plan.variant.name]
        return fake_row(plan, place)

    monkeypatch.setattr(ablation_runs.Ablater, "_run", run)
    assert cli.main(command(file, data, out)) == 2
    said = capsys.readouterr()
    assert "full, seed 5" in said.err and "no words, seed 5" not in said.err
    assert "out of memory" in said.out
    assert "Traceback" in (out / "full" / "5" / "error.txt").read_text()
    assert (out / "no-words" / "5" / "row.json").is_file()
    assert "| no words | 1 * |" in (out / "table.md").read_text()
    faults.clear()
    assert cli.main(command(file, data, out)) == 0
    assert not (out / "full" / "5" / "error.txt").exists()


def test_refusals_name_what_is_wrong(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ablation_runs.Ablater, "_run", lambda self, plan, place: fake_row(plan, place))

    def refused(*arguments: str, **changes: object) -> str:
        assert cli.main([*command(write(tmp_path / "file.yaml", **changes), data, tmp_path / "out"), *arguments]) == 2
        return capsys.readouterr().err

    assert "'half'" in refused("--only", "half")
    assert "'huge'" in refused(recipe="huge")
    said = refused(variants=[{"name": "odd", "pretrain": ["loop.num_stepz=1"]}])
    assert "variant 'odd'" in said and "loop.num_stepz" in said
    assert not (tmp_path / "out").exists()

    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    assert "holds no ablation" in refused()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.txt"]
    assert "holds no ablation" in refused("--table")
    (tmp_path / "out" / "thesis.txt").unlink()
    nowhere = command(tmp_path / "file.yaml", tmp_path / "nowhere", tmp_path / "out")
    assert cli.main(nowhere) == 2 and "nowhere" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())

    assert cli.main(command(write(tmp_path / "file.yaml"), data, tmp_path / "out")) == 0
    monkeypatch.setitem(recipes.RECIPES, "small", recipes.RECIPES["tiny"])
    assert "recipe: 'tiny' there, 'small' asked for" in refused(recipe="small")
    assert "out: holds another ablation (recipe: 'tiny' there" in refused("--table", recipe="small")


def test_a_row_of_other_settings_is_not_taken_for_done(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, variant = tmp_path / "out", {"name": "blind", "question_only": True}
    assert cli.main(command(write(tmp_path / "file.yaml", variants=[variant]), data, out)) == 0
    changed = write(tmp_path / "file.yaml", variants=[variant | {"answers": ["loop.num_steps=3"]}])
    assert cli.main(command(changed, data, out)) == 2
    assert "settings.json" in (said := capsys.readouterr().err) and "loop.num_steps=3" in said
