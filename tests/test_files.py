import os
import subprocess
import sys
from pathlib import Path

import pytest

from askscan.errors import ConfigError, DataError
from askscan.files import claim, locked, replacing, write_synced


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("one")
        assert not path.exists() and temporary.parent == path.parent
    with pytest.raises(KeyError), replacing(path) as temporary:
        temporary.write_text("half of tw")
        raise KeyError
    assert path.read_text() == "one" and [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_what_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"a\.txt: cannot be written"),
        replacing(tmp_path / "file" / "a.txt") as temporary,
    ):
        temporary.write_text("")
    with pytest.raises(DataError, match="No space left"), replacing(tmp_path / "b.txt"):
        raise OSError(28, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    out, about = tmp_path / "deep" / "out", {"seed": 1, "names": ["a"]}
    for _ in range(2):
        claim(out, "ours.json", about, what="rooms")
    with pytest.raises(ConfigError, match="out: holds rooms of other settings"):
        claim(out, "ours.json", {"seed": 2}, what="rooms")
    for damage in ("", '{"seed": ', "[" * 5000):
        (out / "ours.json").write_text(damage)
        with pytest.raises(ConfigError, match=r"ours\.json is damaged"):
            claim(out, "ours.json", about, what="rooms")
        assert (out / "ours.json").read_text() == damage
    (tmp_path / "file").write_text("mine")
    for used in (tmp_path, tmp_path / "file"):
        with pytest.raises(ConfigError, match="is not empty and holds no rooms"):
            claim(used, "ours.json", about, what="rooms")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "file"]


def test_content_is_on_the_disk_before_it_takes_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, there = tmp_path / "a.txt", []
    monkeypatch.setattr(os, "fsync", lambda descriptor: there.append((os.fstat(descriptor).st_size, path.exists())))
    write_synced(path, b"whole")
    assert path.read_bytes() == b"whole" and there == [(5, False)]


def test_a_lock_is_held_once(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "lock"
    with locked(path) as first, locked(path) as second:
        assert first and not second
    with locked(path) as third:
        assert third
    with pytest.raises(DataError, match="lock: cannot be written"), locked(path / "lock"):
        pass


def test_the_lock_of_a_process_ends_with_it(tmp_path: Path) -> None:
    code = "import sys, time; from pathlib import Path; from askscan.files import locked\n"
    code += "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", code, tmp_path / "lock"], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"held\n"
    with locked(tmp_path / "lock") as mine:
        assert not mine
    child.kill()
    child.communicate()
    with locked(tmp_path / "lock") as mine:
        assert mine
