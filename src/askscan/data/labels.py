"""ScanNet's label table: raw category -> nyu40 id -> one of the 18 classes of ScanRefer and ScanQA."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Int32
from numpy import ndarray

from askscan.errors import DataError
from askscan.shapes import CLASS_NAMES

OTHERS = CLASS_NAMES.index("others")

NYU40_OF_CLASS = (3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36)
"""nyu40 ids of the 17 named classes, in the order of CLASS_NAMES."""

NOT_OBJECTS = (0, 1, 2, 22)
"""nyu40 ids without a box: unlabelled, wall, floor, ceiling."""


def _class_table() -> np.ndarray:
    table = np.full(41, OTHERS, np.int32)
    table[list(NYU40_OF_CLASS)] = np.arange(OTHERS)
    table[list(NOT_OBJECTS)] = -1
    table.flags.writeable = False
    return table


_CLASS_OF_NYU40 = _class_table()


def box_class(nyu40: Int[ndarray, "n"]) -> Int32[ndarray, "n"]:
    """Class index per nyu40 id; -1 where such things get no box (unlabelled, wall, floor, ceiling, no nyu40 id).

    >>> box_class(np.array([5, 7, 40, 1, 99]))
    array([ 2,  4, 17, -1, -1], dtype=int32)
    """
    known = (nyu40 >= 0) & (nyu40 <= 40)
    return np.where(known, _CLASS_OF_NYU40[np.where(known, nyu40, 0)], np.int32(-1))


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """Raw category names with their nyu40 ids."""

    path: Path
    nyu40_of: Mapping[str, int]


def read_label_table(path: Path) -> LabelTable:
    """Read `scannetv2-labels.combined.tsv` (tab separated; the columns `raw_category` and `nyu40id` are used).

    Raises:
        DataError: the file is missing, lacks a column, or a row has no nyu40 id from 0 to 40.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); ScanNet's label table belongs there") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a UTF-8 text file; download ScanNet's label table again") from error
    header = lines[0].split("\t") if lines else []
    columns = []
    for name in ("raw_category", "nyu40id"):
        if name not in header:
            raise DataError(f"{path}: no column `{name}` in the first line of the table; download ScanNet's again")
        columns.append(header.index(name))
    nyu40_of = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        cells = line.split("\t")
        raw, nyu40 = (cells[column].strip() if column < len(cells) else "" for column in columns)
        if not raw or not (nyu40.isascii() and nyu40.isdigit() and len(nyu40) < 3 and int(nyu40) <= 40):
            raise DataError(f"{path}: line {number}: expected a raw category and a nyu40 id from 0 to 40; mend it")
        nyu40_of[raw] = int(nyu40)
    return LabelTable(path=path, nyu40_of=nyu40_of)
