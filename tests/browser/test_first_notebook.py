"""The first notebook, as a student would use it: run all, then play with every widget."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_ptychography_in_widgets.ipynb"
RUNNER = """
from ptywidgets import Reconstruction, ReconstructionRunner, samples
recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
recon.update_plan(iterations=100000, batch=48)
runner = ReconstructionRunner(recon)
runner
"""
PHASE = "Object phase (rad)"


def test_from_the_first_cell_to_a_saved_reconstruction(lab):
    notebook = lab(notebook=NOTEBOOK)
    kernel = notebook.kernel
    assert kernel.eval("abs(recon.rotation + 15) < 1.5")

    scan = notebook.canvas("Scan: virtual image").wait_seq(1)
    before = scan.pixels()
    centre = kernel.eval("[browser.detector.y, browser.detector.x]")
    notebook.canvas("Diffraction pattern").drag(tuple(centre), (centre[0] + 14, centre[1] + 8))
    scan.wait_pixels(before)

    angle = kernel.eval("rotation.rotation")
    explorer = notebook.locator(".pty-widget", has=notebook.page.get_by_text("Flip 180°"))
    notebook.drag(explorer.locator(".noUi-handle").first, 40)
    kernel.wait(f"abs(rotation.rotation - {angle}) > 2")

    probe = notebook.canvas("Probe").wait_seq(1)
    before = probe.pixels()
    box = notebook.locator(".widget-gridbox", has_text="defocus").last.locator("input[type=text]")
    box.fill("250")
    box.press("Enter")
    kernel.wait("recon.optics.aberrations['defocus'] == 250")
    probe.wait_pixels(before)

    kernel.run("recon.update_plan(iterations=100000, batch=64)")
    phase = notebook.canvas(PHASE)
    before = phase.pixels()
    notebook.button("Run").click()
    first = phase.wait_pixels(before, timeout=60)
    phase.wait_pixels(first, timeout=60)
    notebook.button("Pause").click()
    kernel.wait("recon.status == 'paused' and not runner.image_views['phase'].live")
    done = kernel.eval("[len(recon.losses), recon.state.batch]")
    notebook.page.wait_for_timeout(500)
    assert kernel.eval("[len(recon.losses), recon.state.batch]") == done, "a pause does not hold"
    resting = phase.pixels()
    notebook.button("Resume").click()
    phase.wait_pixels(resting, timeout=60)
    notebook.button("Stop").click()
    kernel.wait("recon.status == 'stopped'", timeout=10)
    # The thread says that it has stopped, and then ends.
    kernel.wait("'ptywidgets-run' not in [t.name for t in __import__('threading').enumerate()]", timeout=10)
    notebook.button("Save").click()
    notebook.text("Saved to").wait_for()
    assert kernel.eval("pw.Reconstruction.load(runner.saved, dataset=dataset).iteration == recon.iteration")


@pytest.mark.parametrize("host", ["notebook7", "voila"])
def test_the_runner_runs_and_stops_in_other_hosts(request, host):
    page = request.getfixturevalue(host)(RUNNER)
    phase = page.canvas(PHASE)
    before = phase.pixels()
    page.button("Run").click()
    first = phase.wait_pixels(before, timeout=60)
    phase.wait_pixels(first, timeout=60)
    page.button("Stop").click()
    page.kernel.wait("recon.status == 'stopped'", timeout=10)
    page.text("stopped, iteration").wait_for()
