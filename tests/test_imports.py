"""Who imports whom: no module of the package reaches itself again, neither at import nor when its functions run.

The graph is made from the source by :mod:`ast`. An import of ``package.name`` is an edge to the module of that name
where there is one, else to ``package/__init__``, and on to the module that defines the name where the package gives it
lazily (by its ``_HOMES``). The ``__init__`` of every package on the way is run as well and counts, with one exception,
the usual one: not those of packages that the importing module lies in, which are there before it. Imports inside
functions count like all others; those under ``if TYPE_CHECKING`` are none when the program runs.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "ptywidgets"
# Packages that may be missing, and our modules that need one of them at their top: imported where they are used.
OPTIONAL = {
    "cupy",
    "distributed",  # a cluster
    "ducc0",
    "gdown",  # downloads samples
    "hdf5plugin",
    "tifffile",
    "xarray",
    "zarr",
    "rsciio",
    "IPython",
    "fcntl",  # not on Windows
    "ptywidgets.engine.backends.kernels.numba_kernels",
    "ptywidgets.engine.backends.kernels.numba_losses",
    "ptywidgets.engine.backends.kernels.numba_patterns",
}
NEEDS_OPTIONAL = "numba"  # what the modules of ours in this list import


class Import(NamedTuple):
    """One import statement of a module."""

    targets: tuple[str, ...]  # full names, each of a module or of a name in one
    line: int
    inside: bool  # of a function
    typing: bool  # under `if TYPE_CHECKING`


def source_files() -> dict[str, Path]:
    files = sorted((REPOSITORY / PACKAGE).rglob("*.py"))
    return {
        ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__"): file for file in files
    }


@functools.cache
def imports_of(module: str, is_package: bool, code: str) -> tuple[Import, ...]:
    def walk(node: ast.AST, inside: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield Import(tuple(alias.name for alias in child.names), child.lineno, inside, typing)
            elif isinstance(child, ast.ImportFrom):
                home = module.split(".")[: len(module.split(".")) - child.level + is_package] if child.level else []
                base = ".".join([*home, *([child.module] if child.module else [])])
                yield Import(tuple(f"{base}.{a.name}" for a in child.names), child.lineno, inside, typing)
            elif isinstance(child, ast.If) and re.fullmatch(r"(typing\.)?TYPE_CHECKING", ast.unparse(child.test)):
                for part, hidden in ((child.body, True), (child.orelse, typing)):
                    yield from walk(ast.Module(part, []), inside, hidden)
            else:
                function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
                yield from walk(child, inside or function, typing)

    return tuple(walk(ast.parse(code), False, False))


def lazy_homes(package: str, code: str) -> dict[str, str]:
    """Names that a package's __init__ imports when they are asked for, with the modules that define them."""
    for node in ast.parse(code).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_HOMES":
            homes = ast.literal_eval(node.value)
            return {n: home if home.startswith(PACKAGE) else f"{package}.{home}" for n, home in homes.items()}
    return {}


def graph_of(codes: Mapping[str, str], packages: set[str], *, calls: bool = True) -> dict[str, set[str]]:
    """Every module with those that it imports; with `calls`, inside its functions, too."""
    lazy = {name: lazy_homes(name, codes[name]) for name in packages}
    graph: dict[str, set[str]] = {}
    for module, code in codes.items():
        graph[module] = set()
        for one in imports_of(module, module in packages, code):
            if one.typing or (one.inside and not calls):
                continue
            for target in one.targets:
                graph[module] |= {m for m in _run_by(target, codes, lazy) if m == target or not _lies_in(module, m)}
                base = target.rpartition(".")[0]
                if target not in codes and base in codes:  # a name: its module is meant, be it a package around us
                    graph[module].add(base)
        graph[module].discard(module)
    return graph


def _run_by(target: str, codes: Mapping[str, str], lazy: Mapping[str, Mapping[str, str]]) -> set[str]:
    """All modules that are run for an import of this name."""
    parts = target.split(".")
    run = {".".join(parts[:n]) for n in range(1, len(parts) + 1)} & set(codes)
    base, _, name = target.rpartition(".")
    home = lazy.get(base, {}).get(name)
    return run | (_run_by(home, codes, lazy) if home and target not in codes else set())


def _lies_in(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def cycles_of(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Sets of more than one module that all reach one another (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in number:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], number[other])
        if low[node] == number[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


@functools.cache
def package() -> tuple[dict[str, str], set[str]]:
    """The code of every module, and which of them are packages."""
    files = source_files()
    codes = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    return codes, {name for name, file in files.items() if file.name == "__init__.py"}


@pytest.mark.parametrize("calls", [False, True], ids=["at import", "at call time"])
def test_no_module_imports_itself_round_about(calls):
    assert cycles_of(graph_of(*package(), calls=calls)) == []


def test_imports_inside_functions_are_of_what_may_be_missing():
    codes, packages = package()
    inside = [
        f"{module}:{one.line} imports {target}"
        for module, code in codes.items()
        for one in imports_of(module, module in packages, code)
        if one.inside
        for target in one.targets
        if not any(target == known or target.startswith(f"{known}.") for known in OPTIONAL)
    ]
    assert inside == []
    ours = [name for name in OPTIONAL if _lies_in(name, PACKAGE)]
    for name in ours:
        tops = [t for one in imports_of(name, False, codes[name]) if not one.inside for t in one.targets]
        assert NEEDS_OPTIONAL in tops, f"{name} needs nothing that may be missing; import it at the top"


def test_imports_for_types_alone_are_of_what_lies_above():
    """All others are imports like any other; packages that give names lazily have theirs for the types."""
    codes, packages = package()
    graph = graph_of(codes, packages)
    lazy = {name: lazy_homes(name, codes[name]) for name in packages}
    needless = [
        f"{module}:{one.line} imports {target}"
        for module, code in codes.items()
        if not lazy.get(module)
        for one in imports_of(module, module in packages, code)
        if one.typing
        for target in one.targets
        if _lies_in(target, PACKAGE)
        if not any(module in reached_from(graph, other) for other in _run_by(target, codes, lazy))
    ]
    assert needless == []


def reached_from(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached, left = {start}, [start]
    while left:
        new = graph[left.pop()] - reached
        reached |= new
        left += new
    return reached


def test_nothing_is_imported_by_a_name_made_up_on_the_way():
    """But by packages that give names lazily, for the stages of the workbench, and what is not ours."""
    codes, packages = package()
    allowed = {name for name in packages if lazy_homes(name, codes[name])}
    makers = {name for name, code in codes.items() if re.search(r"\bimport_module\(|\b__import__\(", code)}
    ours = {name for name in makers if re.search(r"import_module\((?!\"(?:cupy|cupyx)\"\))", codes[name])}
    others = {"ptywidgets.engine.io.formats.containers.rosettasciio"}  # modules of the package rsciio
    assert ours - allowed - others == {"ptywidgets.widgets.workbench.workbench"}


def test_only_data_sets_ask_what_lies_above_them():
    """See ptywidgets/engine/data/hooks.py, which no other module may take for a way round these walls."""
    codes, packages = package()
    askers = {
        module
        for module, code in codes.items()
        for one in imports_of(module, module in packages, code)
        if f"{PACKAGE}.engine.data.hooks.ask" in one.targets
    }
    assert askers == {"ptywidgets.engine.data.dataset", "ptywidgets.engine.data.source"}


def small(**codes: str) -> list[list[str]]:
    """Cycles of a package of a few modules; names with two underscores are packages."""
    named = {f"{PACKAGE}{'.' if name else ''}{name.replace('__', '.')}": code for name, code in codes.items()}
    packages = {name for name in named if any(other.startswith(f"{name}.") for other in named)}
    return cycles_of(graph_of({PACKAGE: "", **named}, packages | {PACKAGE}))


def test_cycles_are_seen():
    assert small(a="from ptywidgets.b import x", b="def f():\n    from ptywidgets import a") == [
        ["ptywidgets.a", "ptywidgets.b"]
    ]
    assert small(a="from . import b", b="import ptywidgets.a") == [["ptywidgets.a", "ptywidgets.b"]]
    through = {"a": "from ptywidgets.p.q import x", "p": "from ptywidgets.a import y", "p__q": ""}
    assert small(**through) == [["ptywidgets.a", "ptywidgets.p"]], "the __init__ on the way is run"
    lazy = {"a": "from ptywidgets.p import x", "p": "_HOMES = {'x': 'ptywidgets.p.q'}", "p__q": "import ptywidgets.a"}
    assert small(**lazy) == [["ptywidgets.a", "ptywidgets.p.q"]], "what is lazily given is run, too"


def test_what_is_no_cycle_is_not_called_one():
    assert small(a="from ptywidgets.b import x", b="") == []
    assert small(p="from ptywidgets.p.q import x", p__q="from ptywidgets.p.r import y", p__r="") == []
    assert small(a="from ptywidgets import b", b="if TYPE_CHECKING:\n    from ptywidgets.a import X") == []
    inner = small(p="from ptywidgets.p.q import x", p__q="from ptywidgets.p import y")
    assert inner == [["ptywidgets.p", "ptywidgets.p.q"]], "a module that takes a name from its own package is one"
