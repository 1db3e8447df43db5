"""The walls between the floors: what each may import, that names are the same on each, that lessons use only doors."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "ptywidgets"
JUPYTER = {"traitlets", "ipywidgets", "anywidget", "bqplot", "IPython", "ipykernel", "matplotlib"}
DRAWING = {"ipywidgets", "anywidget", "bqplot", "IPython", "ipykernel", "matplotlib"}
GPU = {"cupy", "cupyx"}


def modules(folder: str = "") -> list[Path]:
    return sorted((PACKAGE / folder).rglob("*.py"))


def imports(file: Path) -> Iterator[str]:
    """Full names of everything that a module imports, anywhere in it."""
    package = file.relative_to(REPOSITORY).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            home = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (home, node.module or "") if part)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def breaches(files: list[Path], forbidden: set[str]) -> list[str]:
    """Which files import one of the forbidden packages (or modules, by their full names)."""
    return [
        f"{file.relative_to(REPOSITORY)} imports {name}"
        for file in files
        for name in imports(file)
        if any(name == wall or name.startswith(wall + ".") for wall in forbidden)
    ]


def loaded_by(statement: str) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after a statement."""
    code = f"import sys\n{statement}\nprint(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


def test_the_engine_imports_neither_jupyter_nor_the_floors_above():
    above = {"ptywidgets.reconstruction", "ptywidgets.widgets", "ptywidgets.samples"}
    assert breaches(modules("engine"), JUPYTER | above) == []


def test_only_the_backends_import_cupy():
    others = [file for file in modules() if PACKAGE / "engine" / "backends" not in file.parents]
    assert breaches(others, GPU) == []


def test_the_reconstruction_draws_nothing():
    assert breaches(modules("reconstruction"), DRAWING | {"ptywidgets.widgets"}) == []


def test_the_widgets_do_no_mathematics_of_their_own():
    assert breaches(modules("widgets"), {"scipy", "numpy.fft", "numpy.linalg", "h5py"} | GPU) == []
    attributes = [
        f"{file.relative_to(REPOSITORY)}:{node.lineno} uses np.{node.attr}"
        for file in modules("widgets")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "numpy")
        if node.attr in ("fft", "linalg")
    ]
    assert attributes == []


def test_the_drawing_library_of_the_front_end_knows_no_jupyter():
    lib = sorted((REPOSITORY / "js" / "lib").glob("*.ts"))
    assert lib
    imported = [
        f"{file.name} imports {name}"
        for file in lib
        for name in re.findall(r"""(?:from|import)\s+["']([^"']+)["']""", file.read_text(encoding="utf-8"))
        if not name.startswith("./")
    ]
    assert imported == []


def test_the_engine_really_loads_without_jupyter():
    files = [file.relative_to(REPOSITORY).with_suffix("") for file in modules("engine")]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files]
    # cupy is asked for only when the GPU is used; numba, which the compiled kernels need, may be absent
    attempts = (f"try: import {name}\nexcept ModuleNotFoundError as e: assert e.name == 'numba', e" for name in names)
    assert loaded_by("\n".join(attempts)) & (JUPYTER | GPU) == set()


def test_the_reconstruction_really_loads_without_drawing():
    assert loaded_by("import ptywidgets.reconstruction") & DRAWING == set()


def test_importing_the_package_loads_nothing_heavy():
    assert (
        loaded_by("import ptywidgets")
        & (JUPYTER | GPU | {"numpy", "scipy", "h5py", "jupyter_client", "numba", "llvmlite", "ducc0"})
        == set()
    )


def test_the_engine_says_no_widget_s_name():
    """Neither in words nor as an identifier: the widgets say where a quantity is filled in or an estimate is shown."""
    classes = {
        node.name
        for file in modules("widgets")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and re.search(r"[a-z][A-Z]", node.name)  # one word may mean something else
    }
    assert {"DatasetBrowser", "ProbeDesigner", "ReconstructionRunner", "StartPanel"} <= classes
    named = re.compile(rf"\b({'|'.join(sorted(classes))})\b")
    said = [
        f"{file.relative_to(REPOSITORY)}: {name}"
        for file in [*modules("engine"), *modules("reconstruction")]
        for name in named.findall(file.read_text(encoding="utf-8"))
    ]
    assert said == []


def test_every_public_name_can_be_imported():
    code = "import ptywidgets\nfor name in ptywidgets.__all__: getattr(ptywidgets, name)"
    subprocess.run([sys.executable, "-c", code], check=True)


def writes(call: ast.Call) -> bool:
    """Whether a call opens a file for writing, or puts one in the place of another."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    owner = getattr(getattr(call.func, "value", None), "id", "")
    texts = [a.value for a in (*call.args, *(k.value for k in call.keywords)) if isinstance(a, ast.Constant)]
    modes = [text for text in texts if isinstance(text, str) and re.fullmatch(r"[rwaxbt+]{1,3}", text)]
    if name in ("open", "fdopen", "File", "memmap", "open_memmap"):
        return any(set(mode) & set("wax+") for mode in modes)
    if owner in ("os", "shutil"):
        return name in ("replace", "rename", "renames", "link", "move", "copy", "copy2", "copyfile", "copytree")
    return name in (
        "write_text",
        "write_bytes",
        "tofile",
        "savefig",
        "imsave",
        "savetxt",
        "savez",
        "savez_compressed",
    ) or (owner in ("np", "numpy") and name == "save")


def test_files_are_written_through_one_door():
    """Which replaces nothing that nobody said may be: see engine/io/atomic.py."""
    door = {"engine/io/atomic.py", "engine/io/formats/hdf5/write.py"}
    lock = {"samples/cache.py: path.open('ab')"}  # nothing is written to it
    inside = re.compile(r"atomic_file|atomic_hdf5|steady_hdf5")
    found = []
    for file in modules():
        name = file.relative_to(PACKAGE).as_posix()
        if name in (
            "testing/contracts/formats.py",
            "testing/record_files.py",
            "testing/growing_files.py",
        ):  # tests' own files
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        let_in = {
            id(node)
            for block in ast.walk(tree)
            if isinstance(block, ast.With) and any(inside.search(ast.unparse(item)) for item in block.items)
            for node in ast.walk(block)
        }
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and writes(node)]
        found += [f"{name}: {ast.unparse(node)}" for node in calls if id(node) not in let_in and name not in door]
    assert set(found) == lock


def test_names_are_the_same_on_every_floor():
    """A front-end module, a widget and a test stand for one subject, and each of them says so by its name."""
    widgets = {file.stem for file in (PACKAGE / "widgets").rglob("*.py")}
    front_end = {file.stem.replace("-", "_") for file in (REPOSITORY / "js" / "widgets").glob("*.ts")}
    assert front_end <= widgets, "a file of js/widgets has no widget of that name in ptywidgets/widgets"
    bundles = {file.stem.replace("-", "_") for file in (PACKAGE / "static").glob("*.js")}
    assert bundles == front_end, "run `make build`"


def test_no_test_stands_for_a_folder_that_is_not_there():
    tests = {file.parent for file in (REPOSITORY / "tests").rglob("test_*.py")}
    mirrored = {"engine", "reconstruction", "widgets", "samples"}
    for folder in (folder.relative_to(REPOSITORY / "tests") for folder in tests):
        if folder.parts and folder.parts[0] in mirrored:
            home = PACKAGE / folder
            assert home.is_dir() or home.with_suffix(".py").is_file(), f"tests/{folder} mirrors nothing"


def code_cells() -> list[tuple[str, str]]:
    return [
        (file.name, "".join(cell["source"]))
        for file in sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
        for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]


def test_lessons_use_public_names_only():
    private = re.compile(r"\w\._(?!_)\w+|from\s+\S+\s+import\s+_|import\s+\S*\._")
    assert [(name, found) for name, source in code_cells() for found in private.findall(source)] == []


@pytest.mark.parametrize("pattern", ["Makefile", "pyproject.toml", ".ci/*", "js/package*.json", "docs/*.md", "*.md"])
def test_no_registry_is_named(pattern):
    """Whoever installs, installs from where their own machine is told to."""
    hosts = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|npmmirror|--index-url|deb\.debian\.org")
    named = [file.name for file in REPOSITORY.glob(pattern) if hosts.search(file.read_text(encoding="utf-8"))]
    assert named == []
