"""The rooms of the house: nothing loose on the engine's ground floor, no folder too large, and imports go down only."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "ptywidgets"
LARGEST_FOLDER = 12  # modules, beside __init__
# A room of the engine imports from those on the lines above its own; docs/architecture.md tells them to readers.
LAYERS = (
    {"core"},
    {"data", "losses"},
    {"atoms", "io", "optics"},
    {"backends", "models"},
    {"preprocess"},
    {"problem"},
    {"algorithms", "constraints", "direct", "metrics", "simulate"},
    {"cluster", "tomography"},
    {"refinements"},
    {"solve"},
    {"calibrate", "checkpoint"},
    {"checks"},
)
LEVEL = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def imported(node: ast.AST) -> Iterator[str]:
    """Full names of what is imported when the code runs: not what stands under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.ImportFrom) and child.module:
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        yield from imported(child)


def test_the_engine_has_rooms_only():
    engine = PACKAGE / "engine"
    assert [file.name for file in engine.glob("*.py")] == ["__init__.py"]
    assert {folder.name for folder in engine.iterdir() if (folder / "__init__.py").is_file()} == set(LEVEL)


def test_no_folder_is_too_large():
    sizes = Counter(file.parent for file in PACKAGE.rglob("*.py") if file.name != "__init__.py")
    large = {folder.relative_to(PACKAGE).as_posix(): n for folder, n in sizes.items() if n > LARGEST_FOLDER}
    assert large == {}, f"more than {LARGEST_FOLDER} modules: add to a module on the same subject, or divide it"


def test_rooms_import_from_rooms_below_them():
    upward = []
    for file in sorted((PACKAGE / "engine").glob("*/**/*.py")):
        room = file.relative_to(PACKAGE / "engine").parts[0]
        for name in imported(ast.parse(file.read_text(encoding="utf-8"))):
            there = name.removeprefix("ptywidgets.engine.").split(".")[0]
            if name.startswith("ptywidgets.engine.") and there != room and LEVEL.get(there, 99) >= LEVEL[room]:
                upward.append(f"{file.relative_to(PACKAGE)} imports {name}")
    assert upward == []


def test_architecture_shows_the_layers_that_are_held():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = text.split("```text")[2].split("```")[0].strip().splitlines()
    assert [set(line.split()) for line in shown] == list(LAYERS)
