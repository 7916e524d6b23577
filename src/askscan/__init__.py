"""askscan: ask a 3D scan of a room a question, get the answer and the place it refers to.

>>> import askscan
>>> scan = askscan.read_scan("room.glb")                                # doctest: +SKIP
>>> askscan.load("default").ask(scan, "What is next to the bed?")       # doctest: +SKIP

Importing opens no file, touches no GPU and takes no time; the heavy modules load where they are used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["load", "read_scan"]

if TYPE_CHECKING:
    from askscan.data.scan_files import read_scan
    from askscan.evaluate.answerer import load


def __getattr__(name: str) -> Any:
    """Resolve the public functions on first use."""
    if name == "read_scan":
        from askscan.data.scan_files import read_scan

        return read_scan
    if name == "load":
        from askscan.evaluate.answerer import load

        return load
    raise AttributeError(f"module 'askscan' has no attribute {name!r}")
