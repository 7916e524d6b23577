from pathlib import Path

import pytest

from askscan.data.json_fields import Fields, read_json
from askscan.errors import DataError


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "not a readable JSON"),
        (b"[1, 2", "not a readable JSON"),
        (b"\xff\xfe[", "not a readable JSON"),
        (b"{}", "expected a list at the top, got an object"),
        (b"null", "expected a list at the top, got None"),
        (b"9" * 5000, "not a readable JSON"),
    ],
)
def test_what_is_no_json_list_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        read_json(tmp_path / "a.json", expected=list)
    assert "a.json" in str(caught.value)


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_json(tmp_path, expected=list)


def test_getters_return_what_stands_there() -> None:
    entry = Fields(Path("f"), "entry 0", {"a": "x", "n": 2.5, "i": "12", "l": ["u"], "o": {"k": 3}, "id": 220602000037})
    assert (entry.text("a"), entry.number("n"), entry.count("i"), entry.texts("l")) == ("x", 2.5, 12, ("u",))
    assert entry.inner("o").count("k") == 3 and entry.id("id") == "220602000037" and entry.id("a") == "x"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, 10**400, True, None, "1", [1]])
def test_numbers_are_finite_numbers(value: object) -> None:
    with pytest.raises(DataError, match=r"^f: entry 4: `n` should be a finite number, got "):
        Fields(Path("f"), "entry 4", {"n": value}).number("n")


@pytest.mark.parametrize("value", [-1, 2**31, "-3", "1" * 11, "²", 1.0, False, None, "x" * 500])
def test_counts_are_whole_numbers(value: object) -> None:
    with pytest.raises(DataError, match="whole number from 0, got") as caught:
        Fields(Path("f"), "entry 4", {"n": value}).count("n")
    assert len(str(caught.value)) < 150


def test_an_entry_must_be_an_object() -> None:
    with pytest.raises(DataError, match="f: entry 4: expected an object, got a list of 2"):
        Fields(Path("f"), "entry 4", [1, 2])
