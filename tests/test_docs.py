"""Every block of code in README and docs runs as it is written, on small data of the names that the page uses."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest

from ptywidgets import Calibration, Reconstruction, samples, write
from ptywidgets.cli import main
from ptywidgets.testing.series import example_tilts

REPOSITORY = Path(__file__).resolve().parents[1]
README = REPOSITORY / "README.md"
PAGES = [README, *sorted((REPOSITORY / "docs").rglob("*.md"))]
SHOWN_ONLY = {"text"}  # drawings, not code

# Blocks that are not run here, by what they begin with, and why. Nothing else is left out.
NOT_RUN = {
    "make demo": "opens JupyterLab and installs; tests/browser and `make test` itself do what it does",
    "python benchmarks/measured.py": "needs the measured data, and makes a picture of the documentation",
    "python benchmarks/half_sets.py": "needs the measured data",
    "python benchmarks/positions.py": "needs the simulated sets, and three minutes",
    "make dist": "builds a release; tests/test_packaging.py builds the same wheel",
    "python benchmarks/off_start.py": "needs the simulated sets, and three minutes",
}

# Pages whose code goes on from the `recon` of README's first block, and say so.
GO_ON = {"docs/constraints.md", "docs/refinements.md", "docs/runner.md", "docs/extending.md"}


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int  # of its first line, from 1
    language: str
    text: str

    @property
    def reason(self) -> str:
        """Why it is not run; empty where it is."""
        return next((why for begin, why in NOT_RUN.items() if self.text.startswith(begin)), "")


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        found.append(Block(page, text[: match.start(2)].count("\n") + 1, match[1], match[2]))
    assert text.count("\n```") + text.startswith("```") == 2 * len(found), f"{page.name}: a fence that is not closed"
    return found


def name(page: Path) -> str:
    """The page's path within the repository, as it is written in the lists above."""
    return page.relative_to(REPOSITORY).as_posix()


ALL = {page: blocks(page) for page in PAGES}
WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in ALL[page])]
SHELL = [block for page in PAGES for block in ALL[page] if block.language == "sh" and not block.reason]


def run_python(block: Block, namespace: types.ModuleType) -> None:
    """Run one block; a traceback shows the page's own lines."""
    code = compile("\n" * (block.line - 1) + block.text, str(block.page), "exec")
    exec(code, namespace.__dict__)


@pytest.fixture(scope="module")
def small_data(tmp_path_factory):
    """What a user has: data that know their scan but neither energy nor aperture, the vacuum, the files of a series."""
    folder = tmp_path_factory.mktemp("data")
    duck = samples.ducky("tiny")
    known = Calibration(scan_step=duck.calibration.scan_step, q_pixel=duck.calibration.q_pixel)
    bare = type(duck)(duck.data, known, name="scan")
    write(folder / "scan.h5", bare)
    with h5py.File(folder / "vacuum.h5", "w") as file:
        file["vacuum"] = duck.vacuum
    for number, tilted in enumerate(example_tilts()):
        write(folder / f"tilt_{number}.h5", tilted)
    return folder


@pytest.fixture
def session(small_data, tmp_path, monkeypatch):
    """A namespace as of a new interpreter, in a folder with the data; what it runs is stopped at the end."""
    for file in small_data.iterdir():
        shutil.copyfile(file, tmp_path / file.name)
    monkeypatch.chdir(tmp_path)
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    yield module
    for value in list(vars(module).values()):
        if isinstance(value, Reconstruction):
            value.stop()
        elif hasattr(value, "close") and hasattr(value, "comm"):
            value.close()


def test_every_fence_says_what_it_holds():
    kinds = {block.language for page in PAGES for block in ALL[page]}
    assert kinds <= {"python", "sh", *SHOWN_ONLY}


def test_what_is_not_run_is_there_and_is_no_python():
    begins = [block.text for page in PAGES for block in ALL[page] if block.language == "sh"]
    assert [begin for begin in NOT_RUN if not any(text.startswith(begin) for text in begins)] == []
    assert [block for page in PAGES for block in ALL[page] if block.reason and block.language != "sh"] == []
    assert {name(page) for page in PAGES} >= GO_ON


@pytest.mark.parametrize("document", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(document, session):
    if name(document) in GO_ON:
        assert "`recon` is that of the [README](../README.md)" in document.read_text(encoding="utf-8")
        run_python(next(block for block in ALL[README] if block.language == "python"), session)
    for block in ALL[document]:
        if block.language == "python":
            run_python(block, session)


@pytest.mark.parametrize("block", SHELL, ids=lambda block: f"{name(block.page)}:{block.line}")
def test_a_shell_block_runs(block, session):
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    done = subprocess.run(["bash", "-euc", block.text], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_code_in_the_table_of_the_readme_runs_as_one_session(session):
    for block in ALL[README]:
        if block.language == "python":
            run_python(block, session)
    rows = [line for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [cell for row in rows for cell in re.split(r"(?<!\\)\|", row)[2:4]]
    snippets = [snippet for cell in cells for snippet in re.findall(r"`([^`]+)`", cell)]
    assert len(snippets) > 15
    for snippet in snippets:
        exec(compile(snippet, f"README.md: {snippet}", "exec"), session.__dict__)


def test_the_readme_s_command_suits_a_file_of_py4dstem(simulated, tmp_path, monkeypatch):
    (command,) = (b.text.strip() for b in ALL[README] if b.text.startswith("ptywidgets reconstruct"))
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(simulated / "tiny.h5", "scan.h5")
    assert main([*command.split()[1:], "--iterations", "2"]) == 0
    assert Reconstruction.load("result.h5").iteration == 2
