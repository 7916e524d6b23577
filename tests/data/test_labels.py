from pathlib import Path

import numpy as np
import pytest
from tests.data.tiny import write_label_table

from askscan.data.labels import NYU40_OF_CLASS, box_class, read_label_table
from askscan.errors import DataError
from askscan.shapes import CLASS_NAMES


def test_real_table_agrees_with_its_own_class_names(real_data: Path) -> None:
    path = real_data / "scannet_meta" / "scannetv2-labels.combined.tsv"
    table = read_label_table(path)
    assert len(table.nyu40_of) == 607
    # Oracle: the file's column nyu40class names the class; the ids decide which things get a box.
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    for row in rows[1:]:
        entry = dict(zip(rows[0], row, strict=True))
        name = entry["nyu40class"] if entry["nyu40class"] in CLASS_NAMES[:17] else "others"
        nyu40 = int(entry["nyu40id"])
        assert table.nyu40_of[entry["raw_category"]] == nyu40
        kept = 3 <= nyu40 <= 21 or 23 <= nyu40 <= 40
        assert box_class(np.array([nyu40]))[0] == (CLASS_NAMES.index(name) if kept else -1)


def test_which_ids_get_a_box() -> None:
    found = box_class(np.arange(-3, 60))
    assert (np.flatnonzero(found >= 0) - 3).tolist() == [*range(3, 22), *range(23, 41)]
    assert len(set(NYU40_OF_CLASS)) == 17 and set(found[found >= 0]) == set(range(18))


@pytest.mark.parametrize(
    "text, said",
    [
        ("", "no column"),
        ("a\tb\n", "no column"),
        ("raw_category\tnyu40id\nchair\t41\n", "line 2"),
        ("raw_category\tnyu40id\nchair\t5\n\ntable\n", "line 4"),
        ("raw_category\tnyu40id\nchair\t²\n", "line 2"),
    ],
)
def test_damaged_tables_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "labels.tsv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said) as caught:
        read_label_table(path)
    assert "labels.tsv" in str(caught.value)


def test_windows_and_unix_line_ends(tmp_path: Path) -> None:
    write_label_table(tmp_path)
    path = next(tmp_path.rglob("*.tsv"))
    windows = read_label_table(path).nyu40_of
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n"))
    assert read_label_table(path).nyu40_of == windows and windows["desk"] == 14
