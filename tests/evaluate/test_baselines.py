import json
from pathlib import Path

import numpy as np
import pytest
from tests.train.stand_ins import write_data

from askscan.data.folder import DataFolder
from askscan.errors import DataError
from askscan.evaluate.baselines import frequent_predictions, most_frequent_answers, proposal_baselines, score_rows
from askscan.records import Question


def question(text: str, *answers: str, number: int = 0) -> Question:
    return Question(scene_id="scene0000_00", question_id=f"q{number}", text=text, answers=answers)


def test_the_most_frequent_answer_of_each_type() -> None:
    training = [
        question("Where is it?", "corner", "on desk"),
        question("Where is he?", "corner"),
        question("How many are there?", "2"),
        question("How many are here?", "1"),
        question("Is it big?", "yes"),
        question("Is it small?", "yes"),
        question("Is it tall?", "yes"),
    ]
    asked = [question(text) for text in ("Where are you?", "How many are you?", "What shape is it?")]
    predictions = frequent_predictions(training, asked)
    assert [p.answers[0] for p in predictions] == ["corner", "1", "yes"]  # ties by the alphabet; unseen types: of all
    assert predictions[0].answers == ("corner", "on desk")


def test_scores_of_frequent_answers(tmp_path: Path) -> None:
    folder = write_data(tmp_path)
    scores = most_frequent_answers(folder, details=tmp_path / "details.val.json")
    entries = json.loads((tmp_path / "details.val.json").read_text())
    assert scores.figures["EM@1"] == pytest.approx(100 * np.mean([entry["em"] for entry in entries]))
    assert {(e["acc25"], e["acc50"], e["iou"], e["best_iou"]) for e in entries} == {(None,) * 4}
    train, val = (json.loads(folder.scanqa(split).read_text()) for split in ("train", "val"))
    answers = [q["answers"][0] for q in train]
    top = min(set(answers), key=lambda a: (-answers.count(a), a))
    assert scores.figures["EM@1"] == pytest.approx(100 * np.mean([q["answers"] == [top] for q in val]))
    assert scores.intervals["EM@1"][0] <= scores.figures["EM@1"] <= scores.intervals["EM@1"][1]


def test_reach_and_chance_of_proposals(tmp_path: Path) -> None:
    folder = write_data(tmp_path)
    asked = json.loads(folder.scanqa("val").read_text())
    entries = [
        {"question_id": q["question_id"], "proposal_ious": [0.6, 0.3, 0.1, 0.0] if i % 2 else [0.3]}
        for i, q in enumerate(asked)
    ]
    details = tmp_path / "details.val.json"
    details.write_text(json.dumps(entries))
    rows = proposal_baselines(details, folder)
    assert rows["oracle box"].figures["Acc@0.25"] == 100 and rows["oracle box"].figures["Acc@0.5"] == 50
    random = rows["random proposal"].figures  # what drawing one is worth on average, not one draw
    assert random["Acc@0.25"] == pytest.approx(100 * (0.5 + 1) / 2)
    assert random["Acc@0.5"] == pytest.approx(100 * (0.25 + 0) / 2)
    assert "Acc@0.25" in rows["oracle box"].intervals
    details.write_text(json.dumps(entries[1:]))
    with pytest.raises(DataError, match="no details file"):
        proposal_baselines(details, folder)
    details.write_text(json.dumps([{"question_id": q["question_id"], "proposal_ious": None} for q in asked]))
    assert proposal_baselines(details, folder) == {}


def test_one_table_of_different_systems(tmp_path: Path) -> None:
    folder: DataFolder = write_data(tmp_path)
    frequent = most_frequent_answers(folder)
    rows = score_rows({"most frequent": frequent}, ["EM@1", "Acc@0.25", "BLEU-1"])
    assert rows[0] == ["system", "EM@1", "BLEU-1"]
    assert rows[1][0] == "most frequent" and "[" in rows[1][1] and "[" not in rows[1][2]
