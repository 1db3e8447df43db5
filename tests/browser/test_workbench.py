"""Workbench in a real browser: from nothing to a saved reconstruction, by clicks alone."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

BENCH = """
import ptywidgets.widgets.workbench.workbench as module
from ptywidgets import Reconstruction, Workbench
module.DUCKY = "tiny"
bench = Workbench()
bench
"""


def open_tab(notebook, name):
    title = {"Reconstruction": "Run"}.get(name, name)
    notebook.locator(".lm-TabBar-tabLabel", has_text=title).first.click()
    notebook.kernel.wait(f"'{name}' in bench.stages", timeout=60)


def test_from_nothing_to_a_saved_reconstruction(lab):
    notebook = lab(BENCH)
    notebook.button("Try the ducky").click()
    notebook.kernel.wait("'Data' in bench.stages", timeout=60)
    notebook.text("A simulated duck").wait_for()
    open_tab(notebook, "Rotation")
    open_tab(notebook, "Probe")
    notebook.canvas("Probe")
    open_tab(notebook, "Reconstruction")
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


def test_auto_finds_the_start_shows_why_and_leads_to_what_changes_it(lab):
    notebook = lab(BENCH.replace('"tiny"', '"small"'))
    notebook.button("Try the ducky").click()
    notebook.kernel.wait("'Data' in bench.stages", timeout=60)
    notebook.button("Auto").click()
    notebook.kernel.wait("len(bench.recon.estimates) > 5", timeout=60)
    notebook.button("rotation").wait_for()
    assert notebook.kernel.eval("abs(bench.recon.rotation + 15)") < 0.5
    for theme in ("light", "dark"):
        notebook.screenshot("workbench-auto", 1280, ".pty-widget", theme)
    notebook.screenshot("workbench-auto", 400, ".pty-widget")
    notebook.button("transpose").click()
    notebook.kernel.wait("'Orientation' in bench.stages", timeout=60)
    notebook.text("Check: is anything wrong?").click()
    notebook.locator("[data-testid=pty-findings]").wait_for()
    text = notebook.locator("[data-testid=pty-findings]").inner_text()
    assert "✓" in text and "good" in text
    for theme in ("light", "dark"):
        notebook.screenshot("workbench-check", 1280, ".pty-widget", theme)
    notebook.screenshot("workbench-check", 400, ".pty-widget")


def test_what_cannot_be_opened_is_told_in_words(lab):
    notebook = lab(BENCH)
    box = notebook.locator("input[type=text]").first
    box.fill("nowhere.h5")
    box.press("Tab")
    notebook.button("Open").click()
    notebook.locator("[data-testid=pty-status-text].pty-bad").wait_for()
    assert "nowhere.h5" in notebook.locator("[data-testid=pty-status-text]").first.inner_text()


def test_a_search_is_stopped_by_the_button_that_began_it(lab):
    notebook = lab(
        "from ptywidgets import Reconstruction, Workbench, samples\n"
        "bench = Workbench(Reconstruction(samples.ducky('small', dose=100)))\n"
        "bench"
    )
    notebook.button("Auto").click()
    notebook.button("Stop search").first.wait_for()
    for theme in ("light", "dark"):
        notebook.screenshot("workbench-searching", 1280, ".pty-widget", theme)
    notebook.screenshot("workbench-searching", 430, ".pty-widget")
    notebook.button("Stop search").first.click()
    notebook.text("The search for the start was stopped").first.wait_for()
    notebook.button("Auto").wait_for()
    assert notebook.kernel.eval("len(bench.recon.estimates)") == 0


def test_a_stack_is_asked_how_it_was_scanned_and_looked_at(lab):
    notebook = lab(
        "import numpy as np\n"
        "from ptywidgets import Workbench, samples\n"
        "np.save('duck.npy', np.asarray(samples.ducky('tiny').data).reshape(-1, 64, 64))\n"
        "bench = Workbench()\n"
        "bench"
    )
    path = notebook.locator("input[type=text]").first
    path.fill("duck.npy")
    path.press("Tab")
    notebook.button("Open").click()
    notebook.text("enter the rows and columns of the scan, such as 12 x 12").wait_for()
    for theme in ("light", "dark"):
        notebook.screenshot("workbench-stack", 1280, ".pty-widget", theme)
    notebook.screenshot("workbench-stack", 430, ".pty-widget")
    scan = notebook.locator("input[placeholder='scan: rows x columns']").first
    scan.fill("12 x 12")
    scan.press("Tab")
    notebook.button("Open").click()
    notebook.kernel.wait("'Data' in bench.stages", timeout=60)
    assert notebook.kernel.eval("bench.recon.dataset.scan_shape") == [12, 12]
    notebook.text("Opened duck.npy").wait_for()
    notebook.screenshot("workbench-opened", 1280, ".pty-widget")
