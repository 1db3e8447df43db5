"""What is installed: built without Node, with the bundles in it, small, and usable in an environment of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[1]
STATIC = REPOSITORY / "ptywidgets" / "static"
LARGEST_FRONT_END = 150_000  # bytes of JavaScript
LARGEST_WHEEL = 1_400_000  # bytes
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "node_modules", "test-artifacts", "build", "dist", ".*_cache", "__pycache__"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder with the wheel and the sdist, built from a copy of the tree with no Node on the PATH."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(REPOSITORY, folder / "tree", ignore=LEFT_OUT)
    (folder / "bin").mkdir()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(folder / "tree")]
    done = subprocess.run(command, env=dict(os.environ, PATH=str(folder / "bin")), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "dist"


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    (file,) = built.glob("*.whl")
    return file


def test_the_wheel_holds_the_whole_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if name.startswith("ptywidgets/")}
    ours = {
        str(file.relative_to(REPOSITORY))
        for file in (REPOSITORY / "ptywidgets").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert ours <= held
    assert {name for name in held - ours if not name.endswith(".ipynb")} == set()
    assert "ptywidgets/static/image-view.js" in held
    assert "ptywidgets/static/ptywidgets.css" in held
    assert "ptywidgets/py.typed" in held  # type checkers then use the annotations of the installed package
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_the_sdist_holds_what_the_bundles_are_built_from(built):
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {
        *("ptywidgets/static/image-view.js", "js/package-lock.json", "Makefile", "LICENSE"),
        *("CONTRIBUTING.md", "CITATION.cff", "recipe/recipe.yaml"),
    } <= held
    assert not [name for name in held if "node_modules" in name]


def test_the_front_end_is_small():
    sizes = {file.name: file.stat().st_size for file in STATIC.glob("*.js")}
    assert sizes
    assert sum(sizes.values()) < LARGEST_FRONT_END, sizes


def test_the_bundles_ask_for_nothing_from_elsewhere():
    for file in (*STATIC.glob("*.js"), *STATIC.glob("*.css")):
        elsewhere = re.findall(r"https?://(?!www\.w3\.org)[^\s\"'`)]+", file.read_text(encoding="utf-8"))
        assert elsewhere == [], file.name


# system, machine, Python: the versions of numba and of ducc0 that have wheels there. Any others would have to be built,
# which asks for LLVM or for a compiler, so nothing of them may be required.
NEWEST = {"numba": "0.68.1", "ducc0": "0.42.0"}
WHEELS = [
    ("linux", "x86_64", "3.10", NEWEST),
    ("linux", "x86_64", "3.15", NEWEST),
    ("linux", "x86_64", "3.16", {}),
    ("linux", "aarch64", "3.12", NEWEST),
    ("linux", "armv7l", "3.11", {}),
    ("linux", "riscv64", "3.13", {}),
    ("darwin", "arm64", "3.14", NEWEST),
    ("darwin", "x86_64", "3.13", {"numba": "0.62.1", "ducc0": "0.38.0"}),
    ("darwin", "x86_64", "3.14", {}),
    ("win32", "AMD64", "3.11", NEWEST),
    ("win32", "x86", "3.11", {}),
    ("win32", "ARM64", "3.11", {}),
    ("win32", "ARM64", "3.12", {"numba": "0.68.1"}),
    ("win32", "ARM64", "3.15", {}),
]


@pytest.fixture(scope="module")
def requirements(wheel) -> list[Requirement]:
    """What the wheel says that it needs."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Metadata.from_email(archive.read(name), validate=False).requires_dist or []


@pytest.mark.parametrize(("system", "machine", "python", "wheels"), WHEELS)
def test_the_fast_kernels_come_wherever_there_are_wheels(requirements, system, machine, python, wheels):
    place = {
        "sys_platform": system,
        "platform_machine": machine,
        "python_version": python,
        "platform_python_implementation": "CPython",
    }
    fast = {"numba", "ducc0"}
    for extra, names in (("", {"numba"}), ("fast", fast), ("lab", fast)):  # ducc0 is under the GPL: never required
        wanted = [
            one
            for one in requirements
            if one.name in NEWEST and (one.marker is None or one.marker.evaluate({**place, "extra": extra}))
        ]
        assert sorted(one.name for one in wanted) == sorted(names & set(wheels))
        for one in wanted:
            assert one.specifier.contains(wheels[one.name]), one
            assert one.specifier.contains(NEWEST[one.name]) == (wheels[one.name] == NEWEST[one.name]), one


def test_every_requirement_has_its_reason():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    lines = text.split("\ndependencies = [\n")[1].split("\n]\n")[0].splitlines()
    told = set()
    for above, line in zip(["", *lines], lines, strict=False):
        name = re.match(r' {4}"+(\w+)', line)
        if name and (re.search(r'",\s+# .{10}', line) or above.strip().startswith("# ")):
            told.add(name[1])
        assert name is None or name[1] in told, line
    assert {"numpy", "numba"} <= told


def test_the_installed_wheel_works(wheel, tmp_path):
    """A new environment holds the wheel alone; what it depends on is found in the environment of the tests."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    python = environment / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "--python", str(python)]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    found = subprocess.run(
        [python, "-c", "import ptywidgets; print(ptywidgets.__file__, ptywidgets.__version__)"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    ).stdout  # fmt: skip
    assert str(environment) in found
    # dependencies after the environment's own packages, so that the wheel and not the working tree is imported
    code = (
        "import ptywidgets, pathlib\n"
        "assert 'environment' in ptywidgets.__file__, ptywidgets.__file__\n"
        "view = ptywidgets.ImageView(title='installed')\n"
        "print(len(str(view._esm)), len(str(view._css)))"
    )
    paths = dict(os.environ, PYTHONPATH=sysconfig.get_path("purelib"), PTYWIDGETS_TREE=str(REPOSITORY))
    own = next((environment / "lib").glob("python3*/site-packages"))
    paths["PYTHONPATH"] = os.pathsep.join([str(own), paths["PYTHONPATH"]])
    shown = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path, env=paths)
    script, style = map(int, shown.stdout.split())
    assert script > 1000
    assert style > 100
    assert (environment / "bin" / "ptywidgets").exists()
