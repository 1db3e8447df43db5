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

REPOSITORY = Path(__file__).resolve().parents[1]
STATIC = REPOSITORY / "ptywidgets" / "static"
LARGEST_FRONT_END = 150_000  # bytes of JavaScript
LARGEST_WHEEL = 1_000_000
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
    assert wheel.stat().st_size < LARGEST_WHEEL


def test_the_sdist_holds_what_the_bundles_are_built_from(built):
    (file,) = built.glob("*.tar.gz")
    with tarfile.open(file) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {"ptywidgets/static/image-view.js", "js/package-lock.json", "Makefile", "LICENSE"} <= held
    assert not [name for name in held if "node_modules" in name]


def test_the_front_end_is_small():
    sizes = {file.name: file.stat().st_size for file in STATIC.glob("*.js")}
    assert sizes
    assert sum(sizes.values()) < LARGEST_FRONT_END, sizes


def test_the_bundles_ask_for_nothing_from_elsewhere():
    for file in (*STATIC.glob("*.js"), *STATIC.glob("*.css")):
        elsewhere = re.findall(r"https?://(?!www\.w3\.org)[^\s\"'`)]+", file.read_text(encoding="utf-8"))
        assert elsewhere == [], file.name


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
