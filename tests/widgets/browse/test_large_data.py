"""Data that are not held in memory: an image of a sample at once, the exact one after it, and nothing that is stale."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ptywidgets import Dataset, DatasetBrowser, Reconstruction
from ptywidgets.engine.data import virtual


@pytest.fixture
def held_back(monkeypatch):
    """Exact images wait for this event."""
    monkeypatch.setattr(virtual, "_COPY_LIMIT", 0)
    monkeypatch.setattr(virtual, "_SAMPLE_BYTES", 5000)
    go, image = threading.Event(), virtual.VirtualImager.image

    def waiting(self, mask, progress=lambda _share: None):
        if not self.fast:
            assert go.wait(20)
        return image(self, mask, progress)

    monkeypatch.setattr(virtual.VirtualImager, "image", waiting)
    return go


def counts():
    y, x = np.mgrid[:16, :16] - 8
    disk = (y**2 + x**2 < 20) * 30.0
    return np.random.default_rng(0).poisson(disk, (12, 10, 16, 16)).astype(np.uint16)


def test_a_sample_first_and_then_all(held_back):
    data = counts()
    browser = DatasetBrowser(Reconstruction(Dataset(data)))
    first = browser.virtual_image
    assert first.shape == (12, 10) and "sample" in browser.scan_view.note
    held_back.set()
    assert browser.wait()
    exact = data[..., browser.detector_mask].sum(-1, dtype=float)
    np.testing.assert_array_equal(browser.virtual_image, exact)
    assert not (first == exact).all() and np.isin(first, exact).all()
    assert "sample" not in browser.scan_view.note and browser.status_text == ""


def test_what_is_no_longer_wanted_is_not_shown(held_back):
    data = counts()
    browser = DatasetBrowser(Reconstruction(Dataset(data)))
    browser.callback_queue.run(lambda: browser._set_detector("ADF"))
    browser.callback_queue.run(lambda: browser._set_detector("BF"))
    held_back.set()
    assert browser.wait()
    np.testing.assert_array_equal(browser.virtual_image, data[..., browser.detector_mask].sum(-1, dtype=float))
    held_back.clear()
    browser.callback_queue.run(lambda: browser._set_detector("ADF"))
    other = counts()[:6]
    browser.recon.dataset = Dataset(other)
    held_back.set()
    assert browser.wait()
    np.testing.assert_array_equal(browser.virtual_image, other[..., browser.detector_mask].sum(-1, dtype=float))
    browser.close()
