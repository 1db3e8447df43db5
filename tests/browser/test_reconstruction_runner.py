"""ReconstructionRunner in a real browser: the image moves while it runs, rests while it pauses, and ends at Stop."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

RUNNER = """
from ptywidgets import Reconstruction, ReconstructionRunner, samples
data = samples.ducky("tiny")
recon = Reconstruction(data, defocus=samples.ducky_defocus("tiny"))
recon.update_plan(iterations=100000, batch=48)
runner = ReconstructionRunner(recon)
"""
PHASE = "Object phase (rad)"


def test_run_pause_resume_step_stop_and_save(lab):
    notebook = lab(RUNNER + "runner")
    kernel = notebook.kernel
    phase = notebook.canvas(PHASE)
    empty = phase.pixels()
    notebook.button("Run").click()
    first = phase.wait_pixels(empty, timeout=60)
    phase.wait_pixels(first)
    notebook.text("running, iteration").wait_for()
    assert notebook.button("Run").is_disabled()

    notebook.button("Pause").click()
    kernel.wait("recon.status == 'paused' and not runner.image_views['probe'].live")
    phase.wait_seq(kernel.eval("runner.image_views['phase']._frames.latest[0]"))
    resting, done = phase.pixels(), kernel.eval("len(recon.losses)")
    notebook.page.wait_for_timeout(600)
    assert (phase.pixels() == resting).all() and kernel.eval("len(recon.losses)") == done, "a pause does not hold"

    notebook.button("Step").click()
    kernel.wait(f"recon.status == 'paused' and len(recon.losses) == {done + 1}")
    resting = phase.wait_pixels(resting)
    notebook.button("Resume").click()
    phase.wait_pixels(resting)
    kernel.wait("recon.status == 'running'")
    notebook.button("Stop").click()
    kernel.wait("recon.status == 'stopped'", timeout=5)
    notebook.text("stopped, iteration").wait_for()
    assert kernel.eval("len(runner.curve.line.x) == len(recon.losses)")

    notebook.button("Save").click()
    notebook.text("Saved to").wait_for()
    assert kernel.eval("Reconstruction.load(runner.saved, data).iteration == recon.iteration")


def test_a_cell_that_is_run_again_leaves_one_run(lab):
    notebook = lab(RUNNER + "recon.start()\nrunner")
    notebook.kernel.wait("len(recon.losses) > 0", timeout=60)
    notebook.kernel.run("old = recon")
    notebook.run_all()
    notebook.kernel.wait("recon is not old and old.status == 'stopped' and len(recon.losses) > 0", timeout=60)
    running = "[t.name for t in __import__('threading').enumerate()].count('ptywidgets-run')"
    notebook.kernel.wait(f"{running} == 1")
    notebook.kernel.run("recon.stop()")


def test_two_outputs_show_one_run_and_reloading_brings_it_back(lab):
    notebook = lab(RUNNER + "runner", "runner")
    one, two = notebook.canvas(PHASE, 0), notebook.canvas(PHASE, 1)
    before = one.pixels()
    notebook.button("Run", 1).click()
    one.wait_pixels(before, timeout=60)
    two.wait_pixels(before)
    notebook.button("Stop").click()
    notebook.kernel.wait("recon.status == 'stopped' and not runner.image_views['probe'].live")
    notebook.kernel.run("again = ReconstructionRunner(recon)")
    assert notebook.kernel.eval("again.image_views['phase']._frames.latest is not None")


def test_opening_the_settings_changes_nothing_and_ticking_does(lab):
    notebook = lab(RUNNER + "runner")
    notebook.canvas(PHASE)
    before = notebook.kernel.eval("repr(recon.plan)")
    notebook.text("Settings").click()
    notebook.text("Probe: probe centre").click()
    notebook.text("Probe support").wait_for()
    notebook.settle()
    assert notebook.kernel.eval("repr(recon.plan)") == before
    notebook.text("Probe support").click()
    notebook.kernel.wait("'ProbeSupport' in repr(recon.plan)")


def test_an_error_of_the_run_is_shown_in_words(lab):
    notebook = lab(
        RUNNER + "class Wrong:\n    def prepare(self, problem): raise RuntimeError('the constraint broke')\n"
        "recon.plan = recon.plan.replace(constraints=(Wrong(),))\nrunner"
    )
    notebook.canvas(PHASE)
    notebook.button("Run").click()
    notebook.text("the constraint broke").wait_for()
    expect(notebook.button("Run")).to_be_enabled()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_wide_and_narrow_pages(lab, theme):
    notebook = lab(
        RUNNER
        + "recon.schedule = 'automatic'\nrecon.update_plan(iterations=64)\nrecon.run()\n"
        + "runner.accordion.selected_index = 0\nrunner"
    )
    notebook.canvas(PHASE)
    notebook.screenshots("reconstruction_runner", theme)
