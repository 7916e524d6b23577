from pathlib import Path

import pytest

from askscan.errors import DataError
from askscan.files import replacing


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
