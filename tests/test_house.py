"""The walls between the rooms of the house, what importing costs, and what no file may hold."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "askscan"
MODULES = sorted(SOURCE.rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

FOUNDATION = {"records", "shapes", "errors", "plain", "files", "parallel", "compiling"}
MAY_IMPORT: dict[str, set[str]] = {
    "ops": set(),
    "geometry": set(),
    "models": {"ops", "geometry"},
    "losses": {"geometry", "ops"},
    "metrics": {"geometry", "ops"},
    "data": {"geometry"},
    "rooms": {"geometry", "data.ply"},  # of data only what writes files
    "render": {"geometry"},
    "train": {"models", "losses", "metrics", "data"},
    "evaluate": {"models", "metrics", "data", "train", "render", "geometry"},
}
MAY_IMPORT["bench"] = {"ops", *MAY_IMPORT} - {"bench"}
MAY_IMPORT["cli"] = {*MAY_IMPORT} - {"cli"}
"""Rooms of the package, and whom each may import besides itself and the foundation. Nobody imports cli."""

BETWEEN_FOUNDATION = {"records": {"shapes"}, "errors": set(), "shapes": set(), "compiling": set()}
BETWEEN_FOUNDATION |= {room: {"errors"} for room in ("plain", "files", "parallel")}
WITH_IMPORTS = ("__init__.py", "ops/__init__.py", "cli/__init__.py")
TEXTS = {".py", ".cu", ".html", ".json", ".md", ".yaml", ".txt"}
HEAVY = {"torch", "transformers", "triton", "numba", "trimesh"}
MAX_LINES = 450
MACHINE_PATH = re.compile(r"(?<![\w.:}])/(?:work|tmp|home|root|mnt|opt|media|scratch|Users)/|\b[A-Z]:\\")


def relative(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement, also inside functions; not those for type checkers only."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            yield from imports(ast.Module(child.orelse, []))
        else:
            yield from imports(child)


def imported(source: str) -> set[str]:
    """Modules of the package that a file imports, such as `data.ply` (without `askscan.`)."""
    found = set()
    for statement in imports(ast.parse(source)):
        if isinstance(statement, ast.Import):
            found |= {alias.name for alias in statement.names}
        else:
            assert statement.level == 0, f"line {statement.lineno}: a relative import"
            module = str(statement.module)
            found |= {f"{module}.{a.name}" for a in statement.names} if module == "askscan" else {module}
    return {name.removeprefix("askscan.") for name in found if name.startswith("askscan.")} - {"__version__"}


def allowed(room: str, module: str) -> bool:
    """Whether a file of a room may import a module of the package."""
    other = module.split(".")[0]
    if room in BETWEEN_FOUNDATION:
        return other in BETWEEN_FOUNDATION[room]
    return other == room or other in FOUNDATION or bool({other, module} & MAY_IMPORT[room])


def faults(path: Path) -> list[str]:
    """What a file imports and may not."""
    room = relative(path).split("/")[0].removesuffix(".py")
    if room == "__init__":
        return []  # the public functions, resolved on first use: test_importing_is_light
    names = imported(path.read_text(encoding="utf-8"))
    if room == "__main__":
        return [f"{relative(path)} imports {name}" for name in names - {"cli"}]
    assert room in MAY_IMPORT.keys() | BETWEEN_FOUNDATION, f"{room} is a new room: say here whom it may import"
    return [f"{relative(path)} imports {name}" for name in sorted(names) if not allowed(room, name)]


def test_walls():
    assert len(MODULES) > 100
    assert [fault for path in MODULES for fault in faults(path)] == []


def test_the_walls_would_be_noticed():
    assert imported("def f():\n    from askscan.data.bank import SceneBank\n    import askscan.cli") == {
        "data.bank",
        "cli",
    }
    assert imported("if TYPE_CHECKING:\n    from askscan.data.bank import SceneBank\nelse:\n    import torch") == set()
    assert imported("from askscan import __version__, ops") == {"ops"}
    assert allowed("models", "ops.ball_query")
    assert allowed("rooms", "data.ply")
    for room, module in (("models", "data.bank"), ("data", "models.teacher"), ("rooms", "data.scannet")):
        assert not allowed(room, module)
    assert not any(allowed(room, "cli.console") for room in (*MAY_IMPORT, *FOUNDATION) if room != "cli")


def test_init_files_hold_a_docstring():
    for path in MODULES:
        if path.name == "__init__.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            assert ast.get_docstring(tree), relative(path)
            assert len(tree.body) == 1 or relative(path) in WITH_IMPORTS, relative(path)


def loaded_by(code: str) -> set[str]:
    """Top-level packages in memory after running some code in a fresh interpreter."""
    report = "\nimport json, sys\nprint(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", code + report], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_is_light():
    # What is loaded, in place of a time: that depends on what else the machine does.
    found = loaded_by("import askscan")
    assert "askscan" in found
    assert not found & (HEAVY | {"numpy", "rich", "tyro", "yaml"})


def test_no_file_names_a_path_of_a_machine():
    texts = [path for path in SOURCE.rglob("*") if path.suffix in TEXTS]
    assert len(texts) > len(MODULES)
    for path in (*texts, *PAGES, ROOT / "Makefile"):
        text = path.read_text(encoding="utf-8")
        assert str(ROOT) not in text, path.name
        assert MACHINE_PATH.findall(text) == [], path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    links = re.findall(r"""\]\(([^)\s]+)\)|<img[^>]+src="([^"]+)\"""", page.read_text(encoding="utf-8"))
    targets = {link.split("#")[0] for pair in links for link in pair if "://" not in link}
    missing = sorted(target for target in targets if target and not (page.parent / target).exists())
    assert not missing, f"{page.name}: no such file: {', '.join(missing)}"


def test_files_stay_small():
    sizes = {relative(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert {name: size for name, size in sizes.items() if size >= MAX_LINES} == {}
