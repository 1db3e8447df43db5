"""OrientationPicker in JupyterLab: eight images; one is taken by a click, or by Enter."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.browser

PICKER = """
import ptywidgets
from ptywidgets import samples
picker = ptywidgets.OrientationPicker(samples.ducky("small"))
picker.wait()
picker
"""


def cards(notebook):
    return notebook.locator("[data-testid=pty-image-view]")


def wait_pressed(notebook, index, pressed="true"):
    """Wait until the browser shows a card as chosen, or as not chosen."""
    cards(notebook).nth(index).and_(notebook.page.locator(f"[aria-pressed={pressed}]")).wait_for()


def test_a_click_takes_an_orientation_and_so_does_enter(lab):
    notebook = lab(PICKER)
    notebook.canvas(index=7).wait_seq(1)
    assert cards(notebook).count() == 8
    best = notebook.kernel.eval("picker.best")
    assert "★ best" in notebook.locator("[data-testid=pty-score]").nth(best).inner_text()
    cards(notebook).nth(best).locator("canvas").first.click(position={"x": 40, "y": 40})
    notebook.kernel.wait("picker.chosen == picker.best", timeout=60)
    wait_pressed(notebook, best)
    assert notebook.kernel.eval("abs(picker.recon.rotation + 15)") < 2
    other = (best + 1) % 4
    cards(notebook).nth(other).focus()
    notebook.page.keyboard.press("Enter")
    notebook.kernel.wait(f"picker.chosen == {other}", timeout=60)
    notebook.text("The data favour another one").wait_for()
    wait_pressed(notebook, best, "false")


def test_it_follows_a_rotation_that_is_set_elsewhere(lab):
    notebook = lab(PICKER)
    notebook.canvas(index=7).wait_seq(1)
    notebook.kernel.run("c = picker.candidates[5]\npicker.recon.prepare(rotation=c.rotation, transpose=c.transpose)")
    wait_pressed(notebook, 5)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_images_of_it_wide_and_narrow(lab, theme):
    notebook = lab(PICKER, "picker.choose(picker.best)")
    notebook.locator("[data-testid=pty-image-view].pty-picked").wait_for()
    notebook.screenshots("orientation-picker", theme)
