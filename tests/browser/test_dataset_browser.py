"""DatasetBrowser in JupyterLab: what is dragged on one image changes the other."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytestmark = pytest.mark.browser

BROWSER = """
import ptywidgets
from ptywidgets import samples
browser = ptywidgets.DatasetBrowser(samples.ducky("{size}"))
"""
CELL = BROWSER.format(size="tiny") + "browser"
SCAN, PATTERN = "Scan: virtual image", "Diffraction pattern"


def test_dragging_the_detector_changes_the_virtual_image(lab):
    notebook = lab(CELL)
    scan = notebook.canvas(SCAN).wait_seq(1)
    before = scan.pixels()
    centre = notebook.kernel.eval("[browser.detector.y, browser.detector.x]")
    notebook.canvas(PATTERN).drag(tuple(centre), (centre[0] + 12, centre[1] - 9))
    scan.wait_pixels(before)
    notebook.kernel.wait(f"abs(browser.detector.y - {centre[0] + 12}) < 1")
    summed = "browser.recon.dataset.data[..., browser.detector_mask].sum(-1)"
    assert notebook.kernel.eval(f"bool((browser.virtual_image == {summed}).all())")
    notebook.locator(".widget-toggle-button.mod-active", has_text=re.compile("^Disk$")).wait_for()


def test_dragging_the_edge_of_the_detector_resizes_it(lab):
    notebook = lab(CELL)
    y, x, r = notebook.kernel.eval("[browser.detector.y, browser.detector.x, browser.detector.r]")
    notebook.canvas(PATTERN).drag((y, x + r), (y, x + r + 8))
    notebook.kernel.wait(f"abs(browser.detector.r - {r + 8}) < 1")


def test_arrow_keys_move_the_position_and_the_pattern_follows(lab):
    notebook = lab(CELL)
    pattern = notebook.canvas(PATTERN).wait_seq(1)
    before = pattern.pixels()
    assert notebook.kernel.eval("list(browser.position)") == [6, 6]
    notebook.canvas(SCAN).press("ArrowRight", "ArrowRight", "ArrowUp")
    notebook.kernel.wait("browser.position == (5, 8)")
    assert not np.array_equal(pattern.wait_pixels(before), before)
    assert notebook.kernel.eval("bool((browser.pattern == browser.recon.dataset.data[5, 8]).all())")


def test_a_click_on_the_scan_shows_the_pattern_of_that_place(lab):
    notebook = lab(CELL)
    notebook.canvas(SCAN).wait_seq(1).click(2, 9)
    notebook.kernel.wait("browser.position == (2, 9)")


def test_presets_and_the_region_mode(lab):
    notebook = lab(CELL)
    scan, pattern = notebook.canvas(SCAN).wait_seq(1), notebook.canvas(PATTERN).wait_seq(1)
    before, pattern_before = scan.pixels(), pattern.pixels()
    notebook.locator(".widget-toggle-button", has_text=re.compile("^ADF$")).click()
    scan.wait_pixels(before)
    notebook.locator(".widget-toggle-button", has_text=re.compile("^Region$")).click()
    pattern.wait_pixels(pattern_before)
    assert notebook.kernel.eval("browser.region is not None and browser.detector.shape == 'annulus'")
    notebook.canvas(SCAN).drag((6, 6), (4, 3))
    notebook.kernel.wait("browser.region[0] < 4 and browser.region[2] < 3")


def test_a_handle_of_the_histogram_sets_the_contrast(lab):
    notebook = lab(CELL)
    pattern = notebook.canvas(PATTERN).wait_seq(1)
    before = pattern.pixels()
    notebook.drag(notebook.locator(".bqplot .mark .object_grp path.element, .bqplot .dot").last, -120)
    notebook.kernel.wait("browser.histogram.limits is not None")
    pattern.wait_pixels(before)
    notebook.button("Auto").click()
    notebook.kernel.wait("browser.histogram.limits is None and browser.pattern_view.limits is None")


def test_a_calibration_that_cannot_be_is_told_in_words(lab):
    notebook = lab(CELL)
    energy = notebook.locator(".widget-text input").first
    energy.fill("0.08")
    energy.press("Enter")
    notebook.text("energies are in eV").wait_for()
    energy.fill("200")
    energy.press("Enter")
    notebook.kernel.wait("browser.recon.calibration.energy == 200e3")


def test_crop_and_bin_by_the_button_and_back(lab):
    notebook = lab(CELL)
    notebook.canvas(SCAN).wait_seq(1)
    fields = notebook.locator(".pty-panel:has(> .pty-toolbar button:text-is('Crop and bin')) input[type=text]")
    fields.nth(0).fill("2:10, 0:12")
    fields.nth(0).press("Enter")
    fields.nth(3).fill("2")
    fields.nth(3).press("Enter")
    notebook.button("Crop and bin").click()
    notebook.kernel.wait("browser.recon.dataset.shape == (8, 12, 32, 32)")
    notebook.text("Cropped to scan [2:10, 0:12]").wait_for()
    notebook.button("Whole").click()
    notebook.kernel.wait("browser.recon.dataset.shape == (12, 12, 64, 64)")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_images_of_it_in_both_themes(lab, theme, width):
    notebook = lab(BROWSER.format(size="small") + "browser")
    notebook.canvas(SCAN).wait_seq(1)
    file = notebook.screenshot("dataset-browser", width=width, theme=theme, selector=".pty-widget")
    assert file.stat().st_size > 20_000


LARGE = """
import numpy as np, os, pathlib, ptywidgets
from ptywidgets.engine.data import virtual
virtual._SAMPLE_SECONDS, virtual._SAMPLE_BYTES = 1e9, 900 * 2 * 256**2  # however slow the machine is: every 16th
path = pathlib.Path("thirty.npy")
with path.open("wb") as file:
    shape = (480, 480, 256, 256)
    np.lib.format.write_array_header_1_0(file, {"descr": "<u2", "fortran_order": False, "shape": shape})
    start = file.tell()
    y, x = np.mgrid[:256, :256] - 128
    disk = (y**2 + x**2 < 40**2).astype(np.uint16)
    for row in range(8, 480, 16):
        for column in range(8, 480, 16):
            file.seek(start + (row * 480 + column) * disk.nbytes)
            file.write((disk * np.uint16(50 + row)).tobytes())
    file.truncate(start + 480 * 480 * disk.nbytes)
assert os.stat(path).st_blocks * 512 < 1e9, "this file system has no holes"
browser = ptywidgets.DatasetBrowser(ptywidgets.read(path).with_calibration(energy=80e3, scan_step=1.0, q_pixel=0.01))
browser
"""


def test_thirty_gigabytes_are_looked_at_at_once(lab):
    notebook = lab(LARGE)
    notebook.canvas(SCAN, timeout=60).wait_seq(1, timeout=60)
    notebook.text("a sample of the positions").wait_for(timeout=60_000)
    assert notebook.kernel.eval("browser.recon.dataset.nbytes") > 30e9
    image = notebook.kernel.eval("[browser.virtual_image[r, 300] / browser.virtual_image[8, 300] for r in (8, 200)]")
    assert image[0] == 1 and image[1] == pytest.approx(250 / 58)
    pattern = notebook.canvas(PATTERN)
    before = pattern.pixels()
    notebook.kernel.run("browser.position = (120, 168)")  # on a raster of 480 pixels a click may be one off
    pattern.wait_pixels(before, timeout=60)
    assert notebook.kernel.eval("[browser.pattern[128, 128].item(), browser.pattern[0, 0].item()]") == [170, 0]
    seen = notebook.canvas(SCAN).seq
    notebook.locator(".widget-toggle-button", has_text=re.compile("^ADF$")).click()  # the exact sum begins anew
    notebook.canvas(SCAN).wait_seq(seen + 1, timeout=60)
    assert notebook.kernel.eval("float(browser.virtual_image.max())") == 0
    for theme in ("light", "dark"):
        notebook.screenshot("browser-30-gb", 1280, ".pty-widget", theme)
    notebook.screenshot("browser-30-gb", 430, ".pty-widget")
    notebook.kernel.run("browser.close(); path.unlink()")
