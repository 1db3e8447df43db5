"""ProbeDesigner in a real browser: a slider and a number box move the probe on the screen."""

from __future__ import annotations

import numpy as np
import pytest

pytestmark = pytest.mark.browser

DESIGNER = """
from ptywidgets import ProbeDesigner, Reconstruction, samples
recon = Reconstruction(samples.ducky("tiny"))
designer = ProbeDesigner(recon)
designer
"""


def test_the_number_box_changes_the_probe_that_is_painted(lab):
    notebook = lab(DESIGNER)
    probe, plane = notebook.canvas("Probe"), notebook.canvas("Aperture plane")
    before, flat = probe.pixels(), plane.pixels()
    box = notebook.dial("defocus").locator("input[type=text]")
    box.fill("300")
    box.press("Enter")
    notebook.kernel.wait("recon.optics.aberrations['defocus'] == 300")
    assert probe.wait_pixels(before).shape == (64, 64, 4)
    plane.wait_pixels(flat)


def test_the_slider_changes_it_live_and_the_numbers_follow(lab):
    notebook = lab(DESIGNER)
    probe = notebook.canvas("Probe")
    report = notebook.locator("[data-testid=pty-report]")
    text, before = report.inner_text(), probe.pixels()
    x, y = notebook.grip(notebook.dial("defocus").locator(".noUi-handle"))
    notebook.page.mouse.down()
    notebook.page.mouse.move(x + 8, y, steps=4)
    first = probe.wait_pixels(before)
    notebook.page.mouse.move(x + 20, y, steps=4)
    probe.wait_pixels(first)
    notebook.page.mouse.up()
    notebook.kernel.wait("recon.optics.aberrations['defocus'] > 0")
    assert report.inner_text() != text
    notebook.kernel.wait("not designer.probe_view.live", timeout=10)


def test_opening_it_changes_nothing(lab):
    notebook = lab(
        DESIGNER,
        "recon.optics = recon.optics.replace(aberrations=dict(defocus=123.4, C12=17.3, phi12=0.123))\ndesigner",
    )
    notebook.canvas("Probe")
    notebook.text("Further aberrations").click()
    notebook.dial("C56").wait_for()
    notebook.settle()
    assert notebook.kernel.eval("dict(recon.optics.aberrations)") == {"C10": -123.4, "C12": 17.3, "phi12": 0.123}


def test_ideal_aperture_and_cartesian_form(lab):
    notebook = lab(DESIGNER)
    plane = notebook.canvas("Aperture plane")
    before = plane.pixels()
    notebook.text("ideal aperture").click()
    notebook.kernel.wait("recon.optics.vacuum is None")
    after = plane.wait_pixels(before)
    assert np.abs(after.astype(int) - before).max() > 0
    notebook.text("Cartesian").click()
    notebook.dial("C12b").wait_for()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_wide_and_narrow_pages(lab, theme):
    notebook = lab(DESIGNER)
    notebook.canvas("Probe")
    notebook.screenshots("probe_designer", theme)
