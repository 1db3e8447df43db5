"""DirectExplorer in JupyterLab: a live phase while aberrations are dragged, and a start for the iteration."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

EXPLORER = """
import ptywidgets
from ptywidgets import samples
recon = ptywidgets.Reconstruction(samples.ducky("{size}"), defocus=samples.ducky_defocus("{size}"))
recon.prepare(rotation=-15.0, transpose=False)
explorer = ptywidgets.DirectExplorer(recon)
explorer.settle()
explorer
"""


def test_the_phase_follows_the_slider_and_is_whole_on_release(lab):
    notebook = lab(EXPLORER.format(size="small"))
    phase, transform = notebook.canvas("Phase by SSB").wait_seq(1), notebook.canvas("Its Fourier transform")
    before, spectrum = phase.pixels(), transform.pixels()
    whole = notebook.kernel.eval("explorer.image.phase.shape[0]")
    mouse = notebook.page.mouse
    x, y = notebook.grip(notebook.dial("defocus").locator(".noUi-handle"))
    mouse.down()
    mouse.move(x + 10, y, steps=5)
    first = phase.wait_pixels(before)
    notebook.text("spatial frequencies").wait_for()
    mouse.move(x + 24, y, steps=5)
    phase.wait_pixels(first)
    mouse.up()
    notebook.text("Computed from all spatial frequencies").wait_for()
    transform.wait_pixels(spectrum)
    notebook.kernel.wait("explorer.image.aberrations['defocus'] > 400")
    assert notebook.kernel.eval("explorer.image.phase.shape[0]") == whole
    assert notebook.kernel.eval("recon.optics.aberrations['defocus']") == 350, "nothing is written yet"


def test_every_method_by_its_button_and_a_start_from_it(lab):
    notebook = lab(EXPLORER.format(size="tiny"))
    for name in ("OBF", "WDD", "SSB"):
        notebook.locator("button.widget-toggle-button", has_text=name).click()
        notebook.canvas(f"Phase by {name}").wait_seq(1)
    notebook.button("Start from this").click()
    notebook.text("The next run starts from this SSB image").wait_for()
    assert notebook.kernel.eval("recon.initial_image is explorer.image")
    notebook.kernel.run("recon.run(2)")
    assert "ssb" in notebook.kernel.eval("recon.initialized_from")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_images_of_it_wide_and_narrow(lab, theme):
    notebook = lab(EXPLORER.format(size="small"))
    notebook.canvas("Phase by SSB").wait_seq(1)
    notebook.screenshots("direct-explorer", theme)
