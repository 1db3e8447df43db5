"""The browser of data that are still being written: rows that are not there are nothing, new ones are summed once."""

from __future__ import annotations

import time

import numpy as np
import pytest

from ptywidgets import DatasetBrowser, DirectExplorer, Reconstruction, samples
from ptywidgets.engine.data import virtual

SHOWN = 30  # s


def until(what):
    end = time.monotonic() + SHOWN
    while not what() and time.monotonic() < end:
        time.sleep(0.02)
    assert what()


@pytest.fixture
def scan(growing_duck):
    return growing_duck(8)


@pytest.mark.parametrize("held", [True, False], ids=["in memory", "too large"])
def test_the_browser_follows(scan, monkeypatch, held):
    if not held:
        monkeypatch.setattr(virtual, "_COPY_LIMIT", 0)
    recon = Reconstruction(scan.open())
    browser = DatasetBrowser(recon)
    browser.wait()
    until(lambda: browser.virtual_image is not None and recon.following.rows == 8)
    until(lambda: np.isfinite(browser.virtual_image).sum() == 8 * 24)
    assert "8 of 24 rows" in browser.facts.value
    assert browser.position == (3, 12) and browser.pattern.any()
    browser.position = 15, 3
    assert not browser.pattern.any() and "not there yet" in browser.pattern_view.note
    mask = browser.detector_mask
    for rows in (13, 24):
        scan.write(rows)
        until(lambda rows=rows: np.isfinite(browser.virtual_image).sum() == rows * 24)
        np.testing.assert_array_equal(browser.virtual_image[:rows], scan.patterns[:rows][..., mask].sum(-1))
    until(lambda: "24 of 24 rows" in browser.facts.value)
    browser.position = 15, 3
    np.testing.assert_array_equal(browser.pattern, scan.patterns[15, 3])
    if held:
        np.testing.assert_allclose(browser._imager.mean_pattern(), scan.patterns.mean((0, 1)))
    assert browser.detector_mask.sum() == mask.sum()
    browser.close()


def test_rows_are_summed_once(scan):
    dataset = scan.open()
    imager = virtual.VirtualImager(dataset)
    mask = np.zeros(dataset.detector_shape, bool)
    mask[40:50, 40:60] = True
    assert np.isfinite(imager.image(mask)).sum() == 8 * 24
    scan.write(20)
    growing = dataset.data.stack
    growing.look()
    grown = dataset.with_scan_mask(growing.mask(), confirm=True)
    read_rows, plain = [], growing._patterns
    growing._patterns = lambda a, b: read_rows.append((a, b)) or plain(a, b)
    imager.take(grown)
    assert {a // 24 for a, _ in read_rows} == {8} and read_rows[-1][1] == 20 * 24
    np.testing.assert_array_equal(imager.image(mask)[:20], scan.patterns[:20][..., mask].sum(-1))


def test_a_region_that_is_not_there_yet(scan):
    browser = DatasetBrowser(Reconstruction(scan.open()))
    browser.wait()
    browser.scan_pane.mode.value = "Region"
    browser.scan_pane.move(20, 12)
    browser._show_pattern()
    assert not browser.pattern.any() and "not there yet" in browser.pattern_view.note
    browser.close()


def test_a_file_that_is_taken_away_is_told(scan):
    browser = DatasetBrowser(Reconstruction(scan.open()))
    browser.wait()
    scan.path.write_bytes(b"")
    until(lambda: "has become shorter" in browser.status_text)
    assert browser.virtual_image is not None
    browser.close()


def test_a_direct_image_follows(scan):
    recon = Reconstruction(scan.open(), defocus=samples.ducky_defocus("small"))
    recon.prepare(rotation=-15, transpose=False)
    explorer = DirectExplorer(recon)
    explorer.wait()
    until(lambda: explorer.phase is not None)
    assert "8 of 24 rows" in explorer.facts.value
    scan.write(24)
    until(lambda: "24 of 24 rows" in explorer.facts.value)
    wanted = Reconstruction(scan.complete(), defocus=samples.ducky_defocus("small"))
    wanted.prepare(rotation=-15, transpose=False)
    expected = wanted.direct("ssb").phase
    until(lambda: explorer.phase.shape == expected.shape and np.allclose(explorer.phase, expected, atol=1e-4))
    explorer.close()


def test_a_direct_image_comes_once_the_calibration_is_there(scan):
    energy = scan.known.pop("energy")
    recon = Reconstruction(scan.open(), defocus=samples.ducky_defocus("small"))
    explorer = DirectExplorer(recon)
    explorer.wait()
    assert explorer.phase is None and explorer.status_text
    recon.set_calibration(energy=energy)
    until(lambda: explorer.phase is not None)
    explorer.close()


def test_a_direct_image_is_made_in_full_where_a_scan_ends_early(scan):
    recon = Reconstruction(scan.open(), defocus=samples.ducky_defocus("small"))
    recon.prepare(rotation=-15, transpose=False)
    explorer = DirectExplorer(recon)
    explorer.wait()
    until(lambda: explorer.phase is not None)
    few = int(explorer.facts.value.split(" detector pixels")[0].split(">")[-1])
    recon.complete_now()
    until(lambda: int(explorer.facts.value.split(" detector pixels")[0].split(">")[-1]) > few)
    assert "8 of 24 rows" in explorer.facts.value
    explorer.close()
