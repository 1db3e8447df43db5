"""ParallaxExplorer in JupyterLab: sliders move the image, Fit finds the optics, the probe is handed over."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

EXPLORER = """
import ptywidgets
from ptywidgets import samples
explorer = ptywidgets.ParallaxExplorer(samples.ducky("{size}"))
"""
CELL = EXPLORER.format(size="tiny") + "explorer"


def test_dragging_the_defocus_moves_image_arrows_and_transfer(lab):
    notebook = lab(CELL)
    aligned, transfer = notebook.canvas("Shifted bright field").wait_seq(1), notebook.canvas(index=2).wait_seq(1)
    before, rings = aligned.pixels(), transfer.pixels()
    arrows = notebook.kernel.eval("float(abs(explorer.plot.predicted.x[1] - explorer.plot.predicted.x[0]))")
    notebook.drag(notebook.dial("defocus").locator(".noUi-handle"), 20)
    notebook.kernel.wait("explorer.aberrations['defocus'] > 50")
    aligned.wait_pixels(before)
    transfer.wait_pixels(rings)
    notebook.kernel.wait(f"float(abs(explorer.plot.predicted.x[1] - explorer.plot.predicted.x[0])) != {arrows}")
    assert notebook.kernel.eval("dict(explorer.recon.optics.aberrations)") == {}, "nothing is handed over yet"
    notebook.kernel.wait("not explorer.aligned_view.live and not explorer.transfer_view.live")


def test_fit_finds_the_optics_and_hands_them_over(lab):
    notebook = lab(EXPLORER.format(size="small") + "explorer")
    corrected = notebook.canvas("Phase, contrast corrected").wait_seq(1)
    before = corrected.pixels()
    notebook.button("Fit").click()
    notebook.kernel.wait("explorer.fit is not None", timeout=60)
    corrected.wait_pixels(before)
    notebook.locator("[data-testid=pty-fit]").wait_for()
    assert "±" in notebook.locator("[data-testid=pty-fit]").inner_text()
    assert notebook.kernel.eval("abs(explorer.aberrations['defocus'] / samples.ducky_defocus('small') - 1)") < 0.1
    notebook.button("Hand over to the probe").click()
    notebook.text("Handed over").wait_for()
    assert notebook.kernel.eval("explorer.recon.optics.aberrations == explorer.fit.aberrations")
    assert notebook.kernel.eval("explorer.recon.rotation == explorer.fit.rotation")


def test_the_rotation_slider_and_further_orders(lab):
    notebook = lab(CELL)
    aligned = notebook.canvas("Shifted bright field").wait_seq(1)
    notebook.kernel.run("explorer.aberrations = {'defocus': 250}")
    before, angle = aligned.pixels(), notebook.kernel.eval("explorer.rotation")
    notebook.drag(notebook.locator(".noUi-handle").first, 15)
    notebook.kernel.wait(f"abs(explorer.rotation - {angle}) > 5")
    aligned.wait_pixels(before)
    notebook.text("Further aberrations").click()
    box = notebook.dial("C56").locator("input[type=text]")
    box.fill("1")
    box.press("Enter")
    notebook.kernel.wait("explorer.aberrations['C56'] > 0")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_images_of_it_wide_and_narrow(lab, theme):
    notebook = lab(EXPLORER.format(size="small") + "explorer.find()\nexplorer.settle()\nexplorer")
    notebook.canvas("Shifted bright field").wait_seq(1)
    notebook.screenshots("parallax-explorer", theme)
