import os
import re
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from askscan.cli import console as module
from askscan.cli.console import console, progress, table

SPAN = "71.2 [69.7, 72.6]"


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "_width", 80)


def wait_for(said: Callable[[], str], text: str) -> None:
    heard, deadline = "", time.monotonic() + 10
    while text not in heard:
        assert time.monotonic() < deadline, heard
        time.sleep(0.005)
        heard += said()


def test_no_figure_is_broken_where_the_table_is_wider_than_the_terminal(capsys: pytest.CaptureFixture[str]):
    columns = ("system", "EM@1", "EM@10", "CIDEr", "Acc@0.25", "Acc@0.5")
    table("Answers", columns, [("most frequent answer", SPAN, SPAN, 198.7, SPAN, "-"), ("r" * 50, *5 * [SPAN])])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = "\n".join(lines)
    assert shown.count(SPAN) == 8 and "198.7" in shown
    assert shown.count("r") >= 2 * 50  # in each part, and nothing of the name is cut off
    heads = [[cell.strip() for cell in line.split("┃")[1:-1]] for line in lines if line.startswith("┃")]
    assert all(head[0] == "system" for head in heads) and len(heads) > 1
    assert [name for head in heads for name in head[1:]] == list(columns[1:])


def test_a_table_that_fits_is_one(capsys: pytest.CaptureFixture[str]):
    table("Scores", ("score", "%", "95 % interval"), [("EM@1", 71.2, "69.7 – 72.6")])
    assert capsys.readouterr().out.count("score") == 1
    table("Texts", ("what", "a", "b", "c"), [("x", *3 * ["words " * 20])])  # texts fold instead
    assert capsys.readouterr().out.count("what") == 1


def test_where_no_bar_is_seen_lines_say_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "_FIRST_LINE_S", 0.01)
    monkeypatch.setattr(module, "_LINE_S", 0.01)
    assert not console.is_terminal
    heard: list[str] = []

    def said() -> str:
        read = capsys.readouterr()
        assert not read.out  # it may be a program that reads it
        heard.append(read.err)
        return read.err

    with progress("train") as update:
        wait_for(said, "train: started\n")
        for done in (0, 1, 2, 30):
            update(done, 40)
            time.sleep(0.05)
        wait_for(said, "train: 30 of 40")
        update(2, 8)  # a second part of the work
        wait_for(said, "train: 2 of 8")
        update(1, 5)  # a third one that stands at the same tenth
        wait_for(said, "train: 1 of 5")
    said()
    lines = "".join(heard).splitlines()
    assert lines[-1] == "train: done"
    assert len(lines) <= 7  # one for each tenth of a part, not for each look
    assert all(re.fullmatch(r"train: (\d+ of \d+(, \d+:\d\d:\d\d left)?|started|done)", line) for line in lines)


def test_what_is_quick_or_fails_says_no_more_than_before(capsys: pytest.CaptureFixture[str]):
    with progress("quick") as update:
        update(1, 1)
    assert capsys.readouterr().err == "quick: done\n"
    with pytest.raises(ValueError, match="no"), progress("fails"):
        raise ValueError("no")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("place", "speaks", "complains"),
    [
        ({}, True, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False, True),
        ({"LOCAL_RANK": "0", "RANK": "2"}, False, True),  # torchrun's way to say that it is another host
        ({"LOCAL_RANK": "1", "RANK": "3"}, False, False),
    ],
)
def test_of_several_processes_one_speaks_and_one_of_each_host_complains(
    place: dict[str, str], speaks: bool, complains: bool
):
    code = """if True:
        import sys
        import askscan.cli as cli
        from askscan.cli import console
        from askscan.errors import ConfigError
        def work():
            with console.progress("train") as update:
                update(1, 1)
            console.say("1 steps done.")
            console.table("Scores", ("score", "%"), [("EM@1", 71.2)])
            raise ConfigError("that does not work.")
        cli.commands = lambda: {"work": work, "other": work}
        sys.exit(cli.main(["work"]))
    """
    others = {name: value for name, value in os.environ.items() if not name.endswith("RANK")}
    done = subprocess.run([sys.executable, "-c", code], env=others | place, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["train: done"] * speaks + ["askscan: that does not work."] * complains
    assert ("steps done" in done.stdout and "71.2" in done.stdout) if speaks else not done.stdout
