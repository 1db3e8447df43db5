"""RotationExplorer in JupyterLab: the handle on the curl, the slider, the phase that follows, Accept."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

EXPLORER = """
import ptywidgets
from ptywidgets import samples
explorer = ptywidgets.RotationExplorer(samples.ducky("{size}"))
explorer.phase_view.title = "phase"
"""
CELL = EXPLORER.format(size="tiny") + "explorer"
PHASE = 0  # index of the view: the titles say the angle


def test_dragging_the_handle_turns_the_field(lab):
    notebook = lab(CELL)
    phase = notebook.canvas(index=PHASE).wait_seq(1)
    before, angle = phase.pixels(), notebook.kernel.eval("explorer.rotation")
    notebook.drag(notebook.locator(".bqplot .mark .object_grp path.element, .bqplot .dot").last, 60)
    notebook.kernel.wait(f"abs(explorer.rotation - {angle}) > 10")
    phase.wait_pixels(before)
    assert notebook.kernel.eval("explorer.recon.rotation is None"), "nothing is accepted yet"


def test_the_slider_turns_the_field_and_the_handle(lab):
    notebook = lab(CELL)
    phase = notebook.canvas(index=PHASE).wait_seq(1)
    before, angle = phase.pixels(), notebook.kernel.eval("explorer.rotation")
    notebook.drag(notebook.locator(".noUi-handle").first, 40)
    notebook.kernel.wait(f"abs(explorer.rotation - {angle}) > 5")
    phase.wait_pixels(before)
    notebook.kernel.wait("abs(explorer.plot.handle.values[0] - explorer.rotation) < 0.1")


def test_flip_and_accept(lab):
    notebook = lab(CELL)
    phase = notebook.canvas(index=PHASE).wait_seq(1)
    before, angle = phase.pixels(), notebook.kernel.eval("explorer.rotation")
    notebook.button("Flip 180°").click()
    phase.wait_pixels(before)
    notebook.kernel.wait(f"abs(abs(explorer.rotation - {angle}) - 180) < 0.01")
    notebook.button("Accept").click()
    notebook.text("Accepted: rotation").wait_for()
    assert notebook.kernel.eval("explorer.recon.rotation == explorer.rotation")
    notebook.button("Find").click()
    notebook.kernel.wait(f"abs(explorer.rotation - {angle}) < 0.01")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_images_of_it_in_both_themes(lab, theme, width):
    notebook = lab(EXPLORER.format(size="small") + "explorer")
    notebook.canvas(index=PHASE).wait_seq(1)
    file = notebook.screenshot("rotation-explorer", width=width, theme=theme, selector=".pty-widget")
    assert file.stat().st_size > 20_000
