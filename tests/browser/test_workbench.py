"""Workbench in a real browser: from nothing to a saved reconstruction, by clicks alone."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

BENCH = """
import ptywidgets.widgets.workbench as module
from ptywidgets import Reconstruction, Workbench
module.DUCKY = "tiny"
bench = Workbench()
bench
"""


def turn_to(notebook, name):
    title = {"Reconstruction": "Run"}.get(name, name)
    notebook.locator(".lm-TabBar-tabLabel", has_text=title).first.click()
    notebook.kernel.wait(f"'{name}' in bench.stages", timeout=60)


def test_from_nothing_to_a_saved_reconstruction(lab):
    notebook = lab(BENCH)
    notebook.button("Try the ducky").click()
    notebook.kernel.wait("'Data' in bench.stages", timeout=60)
    notebook.text("A simulated duck").wait_for()
    turn_to(notebook, "Rotation")
    turn_to(notebook, "Probe")
    notebook.canvas("Probe")
    turn_to(notebook, "Reconstruction")
    notebook.kernel.run("bench.recon.update_plan(iterations=5)")
    notebook.canvas("Object phase (rad)")
    notebook.button("Run").click()
    notebook.kernel.wait("bench.recon.status == 'finished'", timeout=60)
    notebook.button("Save").click()
    notebook.text("Saved to").wait_for()
    notebook.kernel.wait("all(bench.steps.values())")
    for theme in ("light", "dark"):
        notebook.screenshot("workbench", 1280, ".pty-widget", theme)
    notebook.screenshot("workbench", 400, ".pty-widget")
    assert notebook.locator("[data-testid=pty-steps] li.pty-done").count() == 6


def test_what_cannot_be_opened_is_told_in_words(lab):
    notebook = lab(BENCH)
    box = notebook.locator("input[type=text]").first
    box.fill("nowhere.h5")
    box.press("Tab")
    notebook.button("Open").click()
    notebook.locator("[data-testid=pty-words].pty-bad").wait_for()
    assert "nowhere.h5" in notebook.locator("[data-testid=pty-words]").first.inner_text()
