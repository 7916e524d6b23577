"""JSON files of other projects: read whole, every field checked, every fault told with its file and place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from askscan.errors import DataError

_MISSING = object()
_REMEDY = "mend it or get the file again"


def read_json(path: Path, *, expected: type, remedy: str | None = None) -> Any:
    """The value of a JSON file, whose outermost type must be `expected` (dict or list).

    `remedy`: what to do about a bad one; default: what helps with a file of other projects.

    Raises:
        DataError: the file is missing, is no JSON (truncated, not UTF-8, nested too deeply), or holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); {remedy or 'put the file there'}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not a readable JSON file ({error}); {remedy or 'download it again'}") from error
    if not isinstance(value, expected):
        name = "an object" if expected is dict else "a list"
        raise DataError(
            f"{path}: expected {name} at the top, got {_shown(value)}; {remedy or 'is this the right file?'}"
        )
    return value


class Fields:
    """One JSON object of a file; every getter checks what it gets and names the place otherwise.

    Args:
        path: The file, for messages.
        place: Where in the file, such as `entry 17`.
        value: What stands there; anything but an object is refused.
    """

    __slots__ = ("path", "place", "value")

    def __init__(self, path: Path, place: str, value: object) -> None:
        self.path, self.place = path, place
        if not isinstance(value, dict):
            raise DataError(f"{path}: {place}: expected an object, got {_shown(value)}; {_REMEDY}")
        self.value: dict[str, Any] = value

    def _get(self, key: str, expected: str) -> Any:
        found = self.value.get(key, _MISSING)
        if found is _MISSING:
            raise DataError(f"{self.path}: {self.place}: no `{key}`, expected {expected}; {_REMEDY}")
        return found

    def fault(self, key: str, expected: str, found: object) -> DataError:
        """The error to raise for a field with a wrong value."""
        return DataError(f"{self.path}: {self.place}: `{key}` should be {expected}, got {_shown(found)}; {_REMEDY}")

    def text(self, key: str) -> str:
        """A string."""
        return self._as_text(key, self._get(key, "a string"))

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of strings."""
        return tuple(self._as_text(key, item) for item in self.items(key))

    def count(self, key: str) -> int:
        """A whole number from 0 to 2^31 - 1, also when written as a string."""
        return self._as_count(key, self._get(key, "a whole number"))

    def counts(self, key: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        return tuple(self._as_count(key, item) for item in self.items(key))

    def id(self, key: str) -> str:
        """An id, which some files write as a number of any size and some as a string; as a string."""
        found = self._get(key, "an id")
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 10**18:
            return str(found)
        return self._as_text(key, found)

    def number(self, key: str) -> float:
        """A finite number."""
        found = self._get(key, "a number")
        if isinstance(found, bool) or not isinstance(found, (int, float)) or not abs(found) < 1e300:
            raise self.fault(key, "a finite number", found)
        return float(found)

    def items(self, key: str) -> list[Any]:
        """A list of anything."""
        found = self._get(key, "a list")
        if not isinstance(found, list):
            raise self.fault(key, "a list", found)
        return found

    def inner(self, key: str) -> Fields:
        """An object inside this one."""
        return Fields(self.path, f"{self.place}: `{key}`", self._get(key, "an object"))

    def _as_text(self, key: str, found: object) -> str:
        if not isinstance(found, str):
            raise self.fault(key, "a string", found)
        try:
            found.encode()
        except UnicodeEncodeError:  # a lone surrogate: no file or terminal could take it later
            raise self.fault(key, "valid text", ascii(found)) from None
        return found

    def _as_count(self, key: str, found: object) -> int:
        if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) < 11:
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < 2**31:
            raise self.fault(key, "a whole number from 0", found)
        return found


def _shown(value: object) -> str:
    """A value for a message: short, whatever it is."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."
