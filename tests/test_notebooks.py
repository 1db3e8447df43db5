"""Every notebook runs from top to bottom, within a time and a size, and shows something."""

from __future__ import annotations

import os
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))
CELL_SECONDS = 300  # a limit against hanging, not a measurement
OUTPUT_BYTES = 3_000_000


def test_there_is_a_first_notebook():
    assert any(file.name.startswith("01_") for file in NOTEBOOKS)


@pytest.mark.notebook
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_notebook_runs(file, tmp_path, artifacts, monkeypatch):
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(file, as_version=4)
    nbformat.validate(notebook)
    client = NotebookClient(
        notebook, timeout=CELL_SECONDS, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute(env=dict(os.environ))  # raises with the cell and its traceback
    nbformat.write(notebook, artifacts / file.name)

    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = [output["text"] for output in outputs if output.get("name") == "stderr"]
    assert not [text for text in printed if "Warning" in text]
    assert any("image/png" in output.get("data", {}) for output in outputs), "nothing to be seen without a kernel"
    widget_state = notebook.metadata.pop("widgets", {})  # the live state of the widgets; not kept in the repository
    assert widget_state
    assert len(nbformat.writes(notebook)) < OUTPUT_BYTES


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_what_is_committed_is_light_and_without_errors(file):
    notebook = nbformat.read(file, as_version=4)
    kinds = [output["output_type"] for cell in notebook.cells for output in cell.get("outputs", [])]
    assert "error" not in kinds
    assert file.stat().st_size < OUTPUT_BYTES
    assert notebook.metadata.get("kernelspec", {}).get("name") == "python3"
