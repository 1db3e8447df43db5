"""A thick specimen and two modes in a real browser: chosen, run, paused, scrolled through, cut, changed, resumed."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

CELL = """
from ptywidgets import Reconstruction, ReconstructionRunner, samples
data = samples.ducky("tiny")
recon = Reconstruction(data, defocus=samples.ducky_defocus("tiny"))
recon.update_plan(iterations=100000, batch=48)
runner = ReconstructionRunner(recon)
runner
"""


def test_slices_modes_a_section_and_constraints(lab):
    notebook = lab(CELL)
    kernel = notebook.kernel
    phase = notebook.canvas("Object phase (rad)")
    empty = phase.pixels()
    assert not notebook.text("Depth section").is_visible(), "offered before there is any depth"
    notebook.text("Settings").click()
    for name, value in (("slices", "3"), ("thickness", "60"), ("probe modes", "2")):
        line = notebook.locator(".widget-hbox", has=notebook.page.get_by_text(name, exact=True)).last
        line.locator("input").fill(value)
        line.locator("input").press("Enter")
    kernel.wait("(recon.model.slices, recon.model.thickness, recon.model.modes) == (3, 60, 2)")
    notebook.button("Run").click()
    phase.wait_pixels(empty, timeout=60)
    notebook.text("3 slices together").wait_for()
    notebook.text("all 3 together").wait_for()

    notebook.button("Pause").click()
    kernel.wait("recon.status == 'paused' and not runner.image_views['phase'].live")
    phase.wait_seq(kernel.eval("runner.image_views['phase']._frames.latest[0]"))
    together = phase.pixels()
    handle = notebook.locator(".pty-toolbar", has_text="Slice").locator(".noUi-handle").first
    notebook.drag(handle, 2000)
    kernel.wait("recon.look.slice == 2")
    notebook.text("slice 3 of 3").wait_for()
    phase.wait_pixels(together)

    occupations = kernel.eval("[round(100 * s) for s in recon.occupations]")
    notebook.locator("button", has_text=f"1: {occupations[0]} %").wait_for()
    notebook.locator("button", has_text="Depth section").click()
    section = notebook.canvas("Depth section (rad)")
    kernel.wait("not runner.image_views['section'].live and recon.look.section is not None")
    section.wait_seq(kernel.eval("runner.image_views['section']._frames.latest[0]"))
    before = section.pixels()
    assert before.shape[:2] == (3, kernel.eval("recon.object_phase.shape[1]"))
    phase.drag((26, 26), (10, 26))  # the middle of the line
    kernel.wait("recon.look.section[0] < 0.3")
    section.wait_pixels(before)

    notebook.text("Object: positivity").click()
    notebook.area.get_by_text("Positivity", exact=True).first.click()
    kernel.wait("'Positivity' not in repr(recon.plan.constraints)")
    done = kernel.eval("len(recon.losses)")
    notebook.button("Resume").click()
    kernel.wait(
        f"recon.status == 'running' and len(recon.losses) > {done} and bool(recon.object.min() < 0)", timeout=60
    )
    notebook.button("Stop").click()
    kernel.wait("recon.status == 'stopped'", timeout=10)


def test_object_modes_and_how_far_atoms_move(lab):
    notebook = lab(CELL)
    kernel = notebook.kernel
    assert not notebook.text("Displacement").is_visible(), "offered before there are object modes"
    notebook.text("Settings").click()
    line = notebook.locator(".widget-hbox", has=notebook.page.get_by_text("object modes", exact=True)).last
    line.locator("input").fill("4")
    line.locator("input").press("Enter")
    kernel.wait("recon.model.object_modes == 4 and len(recon.plan.refinements) == 1")
    notebook.button("Run").click()
    kernel.wait("recon.iteration > 3", timeout=90)
    notebook.locator("button", has_text="Displacement").click()
    shown = notebook.canvas("Displacement of atoms, rms (Å)")
    notebook.button("Pause").click()
    kernel.wait("recon.status == 'paused' and not runner.image_views['displacement'].live")
    shown.wait_seq(kernel.eval("runner.image_views['displacement']._frames.latest[0]"))
    height, width = kernel.eval("list(recon.displacement.shape)")
    assert shown.pixels().shape[:2] == (height, width)
    notebook.button("Stop").click()
    kernel.wait("recon.status == 'stopped'", timeout=10)
