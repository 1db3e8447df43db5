"""Alternatives of the start in JupyterLab: looked at after Auto, one of them taken by hand, and followed by the run."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser

# A search with alternatives that are made up, so that there are the same ones whatever the search finds in a duck.
MADE_UP = """
from ptywidgets import Reconstruction, StartAlternatives, Workbench, samples
from ptywidgets.reconstruction.inputs import calibrator
from ptywidgets.testing.starts import with_alternatives
search = calibrator.calibrate
calibrator.calibrate = lambda data, **known: with_alternatives(search(data, **known))
recon = Reconstruction(samples.ducky("small"))
"""
BENCH = "bench = Workbench(recon)\nbench"
PANEL = "recon.calibrate()\npanel = StartAlternatives(recon)\npanel"


def rings(notebook, panel):
    """The rings of one of the two images (0: as recorded, 1: transposed), but for the outer one."""
    return notebook.locator(".pty-landscape").nth(panel).locator(".dot[style*='fill: none'][d^='M0,7.9']")


def test_one_is_taken_by_hand_after_auto_and_the_run_follows_it(lab):
    notebook = lab(MADE_UP, BENCH)
    notebook.button("Auto").click()
    notebook.kernel.wait("len(recon.start_alternatives) == 5", timeout=120)
    found = notebook.kernel.eval("(recon.rotation, recon.optics.aberrations['defocus'])")
    notebook.text("Alternatives: 5").click()
    notebook.button("✓ 1 in use").wait_for()
    notebook.button("Take 3").focus()
    notebook.page.keyboard.press("Enter")
    notebook.button("✓ 3 in use").wait_for()
    rotation, defocus = notebook.kernel.eval("(recon.rotation, recon.optics.aberrations['defocus'])")
    assert abs(abs(rotation - found[0]) - 180) < 0.01 and abs(defocus + found[1]) < 0.01
    notebook.text("was chosen by hand").wait_for()
    notebook.locator(".lm-TabBar-tabLabel", has_text="Run").first.click()
    notebook.kernel.wait("'Reconstruction' in bench.stages", timeout=60)
    notebook.kernel.run("recon.update_plan(iterations=10_000)\nrecon.schedule = 'manual'")
    notebook.button("Run").click()
    notebook.text("A run is active").wait_for()
    assert notebook.button("Take 2").is_disabled()
    notebook.kernel.wait("recon.iteration > 1", timeout=60)
    assert notebook.kernel.eval("recon.problem.measurement.rotation") == rotation
    notebook.button("Stop").click()
    notebook.kernel.wait("recon.status == 'stopped'", timeout=60)
    notebook.button("Take 1").click()
    notebook.kernel.wait("recon.taken_alternative == 0", timeout=60)


def test_a_click_on_a_ring_takes_it(lab):
    notebook = lab(MADE_UP, PANEL)
    notebook.button("✓ 1 in use").wait_for()
    assert [rings(notebook, panel).count() for panel in (0, 1)] == [3, 2]
    rings(notebook, 1).last.click()  # the best is drawn last
    notebook.kernel.wait("recon.taken_alternative == 1", timeout=60)
    assert notebook.kernel.eval("recon.transpose") is True
    notebook.button("✓ 2 in use").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_images_of_it_wide_and_narrow(lab, theme):
    notebook = lab(MADE_UP, PANEL, "recon.take_alternative(2)")
    notebook.button("✓ 3 in use").wait_for()
    notebook.screenshots("start-alternatives", theme)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_images_of_it_in_the_bench(lab, theme):
    notebook = lab(MADE_UP, BENCH, "bench.calibrate(); bench.start.wait()")
    notebook.text("Alternatives: 5").click()
    notebook.button("✓ 1 in use").wait_for()
    before = notebook.page.viewport_size
    try:
        for width in (1280, 430):
            notebook.resize(width)
            file = notebook.screenshot("workbench-alternatives", width, ".pty-widget", theme)
            assert file.stat().st_size > 20_000, "hardly anything is drawn"
    finally:
        notebook.page.set_viewport_size(before)


CRYSTAL = """
from ptywidgets import Reconstruction, Workbench
recon = Reconstruction.open({path!r}, energy={energy}, semiangle={semiangle})
bench = Workbench(recon)
bench
"""


def test_on_a_crystal_one_is_chosen_by_hand_and_followed_by_the_run(lab, simulated):
    """The scan undersamples the lattice: Auto was wrong on it, and sure of itself."""
    truth = json.loads((simulated / "crystal_a_meta.json").read_text())
    given = {"energy": truth["energy_eV"], "semiangle": truth["semiangle_mrad"]}
    notebook = lab(CRYSTAL.format(path=str(simulated / "crystal_a.h5"), **given))
    notebook.button("Auto").click()
    notebook.kernel.wait("len(recon.estimates) > 5", timeout=120)
    count = notebook.kernel.eval("len(recon.start_alternatives)")
    assert count > 1
    notebook.text(f"Alternatives: {count}").click()
    notebook.button("✓ 1 in use").wait_for()
    for theme in ("light", "dark"):
        notebook.screenshot("crystal-alternatives", 1280, ".pty-widget", theme)
    notebook.button("Take 2").click()
    notebook.button("✓ 2 in use").wait_for()
    chosen = notebook.kernel.eval("(lambda one: (one.rotation, one.transpose))(recon.start_alternatives[1])")
    notebook.locator(".lm-TabBar-tabLabel", has_text="Run").first.click()
    notebook.kernel.wait("'Reconstruction' in bench.stages", timeout=60)
    notebook.kernel.run("recon.update_plan(iterations=3)\nrecon.schedule = 'manual'")
    notebook.button("Run").click()
    notebook.kernel.wait("recon.status in ('finished', 'doubtful')", timeout=120)
    used = notebook.kernel.eval("(recon.problem.measurement.rotation, recon.problem.measurement.transpose)")
    assert tuple(used) == tuple(chosen)
    notebook.screenshot("crystal-alternatives-run", 1280, ".pty-widget")
