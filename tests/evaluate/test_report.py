import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askscan.errors import ConfigError, DataError
from askscan.evaluate.report import projected_box, write_report
from askscan.evaluate.score import Scores
from askscan.geometry.cameras import top_down_camera
from askscan.render.pictures import Picture, save_picture

SCENES = ("scene0000_00", "scene0001_00")
BOUNDS = np.array([[-2.0, -2.0, 0.0], [2.0, 2.0, 2.0]])
COLORS = ("red", "blue", "grey", "white")
NASTY = '=What is "</script><b>" & why?'


def details(shift: int) -> list[dict[str, Any]]:
    """Forty questions; every fourth answer is right (moved by `shift`), confidence grows with the row."""
    entries = []
    for row in range(40):
        truth, given = COLORS[row % 4], COLORS[shift % 4]
        entries.append(
            {
                "question_id": f"val-{row}",
                "scene_id": SCENES[row % 2],
                "question": NASTY if row == 7 else f"What color is object {row}?",
                "type": "color" if row % 3 else "number",
                "right_answers": [truth],
                "answers": [given, "x"],
                "confidence": [round(0.02 * row + 0.01, 5), 0.01],
                "box": {"center": [0.5, 0.0, 0.5], "size": [1.0, 1.0, 1.0]},
                "true_box": {"center": [0.0, 0.5, 0.5], "size": [1.0, 0.5, 1.0]} if row != 8 else None,
                "iou": 0.2 if row != 8 else None,
            }
        )
    return entries


def write_run(folder: Path, shift: int, learning_rate: float) -> Path:
    folder.mkdir(parents=True)
    entries = details(shift)
    if shift == 1:  # the better of the two runs: one more right answer
        entries[0]["answers"][0] = COLORS[0]
    config = {"version": "1", "config": {"optim": {"learning_rate": learning_rate}, "loop": {"num_steps": 4}}}
    (folder / "config.yaml").write_text(json.dumps(config))
    rows = "".join(f"{step},0,0.1,{10 / step},{'' if step < 4 else 30}\n" for step in (1, 2, 3, 4))
    (folder / "metrics.csv").write_text("step,epoch,learning rate,loss,EM@1 answerable\n" + rows)
    figures = {"EM@1": 25.0 + shift, "EM@1 color": 30.0, "EM@1 number": 20.0, "Acc@0.25": 0.0}
    spans = {"EM@1": (10.0, 40.0), "EM@1 color": (20.0, 44.0)}
    scores = Scores(split="val", num_questions=40, figures=figures, intervals=spans, notes=("No Java <here>.",))
    scores.save(folder / "scores.val.json")
    (folder / "details.val.json").write_text(json.dumps(entries))
    recall = {"R@1 scene -> sentence": 50.0, "R@5 scene -> sentence": 75.0}
    place = {"scene_ids": list(SCENES), "room_types": ["Bathroom", "Office"], "xy": [[0, 1], [1, 0]]}
    (folder / "map.val.json").write_text(json.dumps({**place, "scores": recall}))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [write_run(tmp_path / "scratch", 0, 0.001), write_run(tmp_path / "guided", 1, 0.002)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    camera = top_down_camera(BOUNDS, 64)
    for scene in SCENES:
        image = np.full((64, 64, 3), 200, np.uint8)
        save_picture(tmp_path / "data" / "top_imgs" / "val" / f"{scene}.jpg", Picture(image=image, camera=camera))
    return tmp_path / "data"


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(found.group(1))


def test_the_page_holds_everything_and_needs_nothing(runs: list[Path], data: Path, tmp_path: Path):
    out = tmp_path / "report.html"
    assert write_report(runs, out) == sorted(SCENES)  # without their pictures
    assert write_report(runs, out, data=data) == []
    page = out.read_text()
    assert not re.search(r'(src|href)="(?!#|data:)', page)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)
    assert "{{" not in page
    first, rest = ("scores", "types", "gallery", "confusion"), ("map", "training", "configuration", "questions")
    for key in (*first, "calibration", *rest):
        assert f'<section id="{key}">' in page
    assert "<td>26.0<small>10.0 – 40.0</small>" in page
    assert "Ahead of scratch" in page and "asked different questions" not in page
    assert page.count("No Java &lt;here&gt;. (scratch, guided)") == page.count("No Java") == 1
    assert "<code>optim.<wbr>learning_<wbr>rate</code>" in page
    assert "num_<wbr>steps" not in page  # equal in both runs
    assert "50.0 · 75.0" in page
    assert "ECE" in page
    assert page.count("data:image/jpeg;base64,") == len(SCENES)


def test_questions_and_galleries_are_the_runs_own(runs: list[Path], data: Path, tmp_path: Path):
    write_report(runs, tmp_path / "report.html", data=data)
    found = embedded((tmp_path / "report.html").read_text())
    assert [question["id"] for question in found["questions"]] == [f"val-{row}" for row in range(40)]
    assert found["questions"][7]["text"] == NASTY
    for given, gallery, right, extra in zip(found["given"], found["gallery"], ("red", "blue"), (0, 1), strict=True):
        rights = [question["answers"] == [right] for question in found["questions"]]
        assert [g["right"] for g in given] == [rights[0] or bool(extra), *rights[1:]]
        sure_and_wrong = sum(COLORS[row % 4] != right for row in range(25, 40))
        assert gallery["counts"] == {"right": 10 + extra, "wrong": 30 - extra, "confident": sure_and_wrong}
        assert all(given[row]["right"] for row in gallery["right"])
        assert not any(given[row]["right"] for row in [*gallery["wrong"], *gallery["confident"]])
        sure = [given[row]["top"][0][1] for row in gallery["confident"]]
        assert sure == sorted(sure, reverse=True)
        assert min(sure) >= 0.5
    assert found["given"][0][8]["iou"] is None
    assert found["questions"][8]["box"] is None
    assert found["given"][0][8]["box"] is not None


def test_boxes_are_where_the_picture_shows_them():
    # Four metres over 94 % of 100 pixels: 23.5 pixels a metre, x to the right, y up.
    camera = top_down_camera(BOUNDS, 100)
    pixels = projected_box(camera, np.array([1.0, 0.5, 1.0, 0.4, 0.2, 2.0]))
    assert pixels is not None
    x, y = np.array(pixels).reshape(8, 2).T
    assert np.allclose([x.min(), x.max()], [50 + 23.5 * 0.8, 50 + 23.5 * 1.2], atol=0.06)
    assert np.allclose([y.min(), y.max()], [50 - 23.5 * 0.6, 50 - 23.5 * 0.4], atol=0.06)
    above = top_down_camera(BOUNDS, 100, orthographic=False)
    assert projected_box(above, np.array([0.0, 0, 50, 1, 1, 1])) is None  # behind the camera


def test_a_folder_may_have_only_some_of_the_files(runs: list[Path], tmp_path: Path):
    (runs[0] / "details.val.json").unlink()
    (runs[0] / "metrics.csv").unlink()
    (runs[1] / "scores.val.json").unlink()
    (runs[1] / "config.yaml").unlink()
    write_report(runs, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("data:image/jpeg") == 0
    assert len(embedded(page)["given"]) == 1 and "<th>scratch" not in page.split('id="rows"')[1]  # it answered nothing
    write_report(runs[:1], tmp_path / "report.html")  # a page of ours is replaced
    assert "1 run, split val" in (tmp_path / "report.html").read_text()


def test_runs_of_one_name_are_told_apart(runs: list[Path], tmp_path: Path):
    other = write_run(tmp_path / "second" / "scratch", 2, 0.001)
    deeper = write_run(tmp_path / "third" / "second" / "scratch", 2, 0.001)
    write_report([runs[0], other, deeper, runs[1]], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text().replace("<wbr>", "")
    for name in (f"{tmp_path.name}/scratch", f"{tmp_path.name}/second/scratch", "third/second/scratch", "guided"):
        assert f"<th>{name}</th>" in page
    with pytest.raises(ConfigError, match="scratch: is given twice"):
        write_report([runs[0], runs[1], runs[0]], tmp_path / "report.html")


def test_a_setting_that_a_run_does_not_have_is_a_difference(runs: list[Path], tmp_path: Path):
    config = {"version": "1", "config": {"optim": {"learning_rate": 0.001}, "loop": {"num_steps": 4}, "extra": 7}}
    (runs[1] / "config.yaml").write_text(json.dumps(config))
    blind = write_run(tmp_path / "blind", 2, 0.001)
    (blind / "config.yaml").unlink()
    write_report([*runs, blind], tmp_path / "report.html")
    section = (tmp_path / "report.html").read_text().split('<section id="configuration">')[1].split("</section>")[0]
    assert "<td><code>extra</code></td><td>–</td><td>7</td>" in section
    assert "learning" not in section and "Without config.yaml: blind." in section
    write_report([runs[0], blind], tmp_path / "report.html")
    assert "<td>0.001</td>" in (tmp_path / "report.html").read_text()


def test_questions_of_other_collections_are_other_questions(runs: list[Path], tmp_path: Path):
    entries = json.loads((runs[1] / "details.val.json").read_text())
    for entry in entries[:4]:
        entry["scene_id"] = "scene0009_00"
    (runs[1] / "details.val.json").write_text(json.dumps(entries))
    write_report(runs, tmp_path / "report.html")
    found = embedded((tmp_path / "report.html").read_text())
    assert len(found["questions"]) == 44
    assert found["given"][0][40:] == found["given"][1][:4] == [None] * 4


def test_baselines_show_what_they_have(runs: list[Path], tmp_path: Path):
    places = []
    for name, figure in (("oracle-box", "Acc@0.25"), ("most-frequent-answer", "EM@1")):
        places.append(runs[0] / "baselines" / name)
        places[-1].mkdir(parents=True)
        scores = Scores(split="val", num_questions=40, figures={figure: 77.0}, intervals={}, notes=())
        scores.save(places[-1] / "scores.val.json")
    write_report([*runs, *places], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.count("<td>77.0</td>") == 2 and "<th>oracle-box</th>" in page
    assert "asked different questions" not in page
    assert "Without config.yaml: oracle-box, most-frequent-answer." in page
    write_report(places, tmp_path / "report.html")
    assert "2 runs, split val" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize("name", ["scores.val.json", "details.val.json", "map.val.json", "metrics.csv", "config.yaml"])
@pytest.mark.parametrize("damage", [b"{", b"\xff\xfe\x00", b"step,loss\n1,two\n", b"[7]"])
def test_damaged_files_are_named(runs: list[Path], tmp_path: Path, name: str, damage: bytes):
    (runs[0] / name).write_bytes(damage)
    if name == "metrics.csv" and damage in (b"{", b"[7]"):  # a table without rows
        write_report(runs, tmp_path / "report.html")
        return
    with pytest.raises((ConfigError, DataError), match=rf"{re.escape(name)}.*(again|restore)") as refused:
        write_report(runs, tmp_path / "report.html")
    assert str(refused.value).count(name) == 1
    assert not (tmp_path / "report.html").exists()


def test_what_cannot_be_a_report_is_refused(runs: list[Path], tmp_path: Path):
    with pytest.raises(ConfigError, match="no run"):
        write_report([], tmp_path / "report.html")
    with pytest.raises(ConfigError, match="is no run folder"):
        write_report([tmp_path / "nowhere"], tmp_path / "report.html")
    with pytest.raises(ConfigError, match=r"report\.txt: a page's name ends in \.html"):
        write_report(runs, tmp_path / "report.txt")
    mine = tmp_path / "mine.html"
    mine.write_text("<html>mine</html>")
    with pytest.raises(ConfigError, match="no page of ours"):
        write_report(runs, mine)
    assert mine.read_text() == "<html>mine</html>"


# --- in a browser -----------------------------------------------------------------------------------------------------

PROBE = """<script>
const texts = [];
URL.createObjectURL = blob => { texts.push(blob.text()); return "data:,"; };
const click = selector => document.querySelector(selector).click();
const type = (selector, value) => {
  const field = document.querySelector(selector);
  field.value = value;
  field.dispatchEvent(new Event(field.tagName === "SELECT" ? "change" : "input"));
};
const out = {errors: window.problems, cards: [], rows: document.querySelectorAll("#rows tbody tr").length};
out.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
for (const tab of ["right", "wrong", "confident"]) {
  click(`[data-tab=${tab}]`);
  out.cards.push(document.querySelectorAll("#cards .card").length);
}
type("#gallery-run", "0");
out.first = document.querySelector("#cards .card .bad").textContent;
type("#gallery-run", "1");
click("[data-tab=wrong]");
out.answer = document.querySelector("#cards .card .bad").textContent;
const paths = [...document.querySelectorAll("#cards .card:first-child svg path")];
out.boxes = paths.length;
out.last = getComputedStyle(paths.at(-1)).strokeDasharray;
type("#search", "<\\/script>");
out.found = document.getElementById("count").textContent;
click("#save");
texts[0].then(text => { document.body.textContent = JSON.stringify({...out, csv: text}); });
</script></body>"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_works_in_a_browser(runs: list[Path], data: Path, tmp_path: Path, width: int):
    names = ("chromium", "chromium-browser", "google-chrome")
    browser = next((path for path in map(shutil.which, names) if path), None)
    if browser is None:
        pytest.skip("no Chromium")
    out = tmp_path / "report.html"
    write_report(runs, out, data=data)
    page = out.read_text().replace("</body>", PROBE)
    catcher = "<script>window.problems = []; onerror = text => window.problems.push(text);</script>"
    out.write_text(page.replace("<style>", catcher + "<style>", 1))
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},900", "--virtual-time-budget=3000", "--dump-dom", out.as_uri()]
    dumped = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    body = re.search(r"<body>(.*)</body>", dumped, re.DOTALL)
    assert body is not None
    found = json.loads(body.group(1).replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))
    assert found["errors"] == []
    assert found["wide"] <= 0  # nothing sticks out
    assert found["cards"] == ([6, 6, 6] if width < 600 else [11, 12, 11])
    assert found["rows"] == 40
    assert (found["first"], found["answer"]) == ("✗ red", "✗ blue")
    assert found["boxes"] == 4  # two boxes, each with a light rim
    assert found["last"] != "none"  # the true one is on top, dashed
    assert found["found"] == "1 of 40 questions"
    header, row = found["csv"].lstrip("\ufeff").strip().split("\r\n")
    columns = '"scratch","scratch: right","scratch: confidence","scratch: IoU","guided","guided: right"'
    assert header.startswith(f'"question","right answers",{columns}')
    asked = '"\'=What is ""</script><b>"" & why?","white","red","no","0.150","0.20","blue","no","0.150","0.20"'
    assert row == asked + ',"color","scene0001_00","val-7"'
