"""DatasetBrowser without a browser: what the callbacks do, with good input and bad, from threads too."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.data.virtual import Detector, disk_mask
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.browse.dataset_browser import DatasetBrowser

HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def browser(data):
    made = DatasetBrowser(data)
    yield made
    made.close()


def move(view, id: str, final: bool = True, **changes) -> None:
    """What the browser sends when a region is dragged."""
    view._receive(view, {"type": "region", "region": {**view.region(id), **changes}, "final": final}, [])


def test_the_probe_shows_its_pattern(browser, data):
    move(browser.scan_view, "probe", y=3, x=7)
    assert browser.position == (3, 7)
    assert np.array_equal(browser.pattern, data.data[3, 7])
    assert "row 3, column 7" in browser.pattern_view.note


def test_a_region_shows_its_mean(browser, data):
    browser.scan_pane.mode.value = "Region"
    move(browser.scan_view, "box", y=5, x=5, h=2, w=4)
    assert browser.region == (4, 7, 3, 8)
    assert np.allclose(browser.pattern, data.data[4:7, 3:8].mean((0, 1)))
    browser.scan_pane.mode.value = "Point"
    assert browser.region is None


def test_the_detector_makes_the_virtual_image(browser, data):
    move(browser.pattern_view, "detector", final=False, y=30.0, x=33.0, r=6.0)
    mask = disk_mask((64, 64), (30, 33), 6)
    assert np.array_equal(browser.detector_mask, mask)
    assert np.allclose(browser.virtual_image, data.data[..., mask].sum(-1))
    assert browser.pattern_pane.choice.value == "Disk", "what has been moved is no preset any more"


@pytest.mark.parametrize("name", ["BF", "ABF", "ADF"])
def test_presets_are_fitted_to_the_disk(browser, data, name):
    browser.pattern_pane.choice.value = name
    radius = np.hypot(*(np.argwhere(browser.detector_mask) - np.array(browser.pattern_pane.disk.centre)).T)
    disk = browser.pattern_pane.disk.radius
    assert (radius.max() <= disk) if name != "ADF" else (radius.min() > disk)
    assert np.allclose(browser.virtual_image, data.data[..., browser.detector_mask].sum(-1))


def test_shapes_by_button_and_by_code(browser):
    for word, shape in (("Ring", "annulus"), ("Box", "rectangle"), ("Disk", "disk")):
        browser.pattern_pane.choice.value = word
        assert browser.detector.shape == browser.pattern_view.region("detector")["shape"] == shape
    browser.detector = Detector("rectangle", 20, 20, h=4, w=8)
    assert browser.detector_mask.sum() == 5 * 9
    with pytest.raises(ParameterError, match="did you mean"):
        browser.detector = "ABFF"


def test_a_late_message_about_another_shape_is_left_aside(browser):
    old = browser.pattern_view.region("detector")
    browser.pattern_pane.choice.value = "Box"
    browser._detector_moved(old, True)
    assert browser.detector.shape == "rectangle"


def test_a_position_outside_is_refused(browser):
    with pytest.raises(ParameterError, match="rows 0 to 11"):
        browser.position = 12, 0
    browser.position = 11, 0
    assert browser.position == (11, 0)


def test_contrast_by_percentiles_by_handles_and_back(browser):
    browser.histogram.clip.value = (1.0, 99.0)
    assert browser.pattern_view.percentiles == [1.0, 99.0]
    browser.histogram.handles.knobs.x = np.array([40.0, 10.0])
    assert browser.pattern_view.limits == [10.0, 40.0]
    browser.position = 1, 1
    assert browser.pattern_view.limits == [10.0, 40.0], "limits set by hand stay"
    browser.histogram.auto.click()
    assert browser.pattern_view.limits is None


def test_scale_gamma_and_colours(browser):
    display = browser.pattern_pane.display
    display.scale.value, display.gamma.value, display.cmap.value = "power", 0.3, "viridis"
    view = browser.pattern_view
    assert (view.scale, view.gamma, view.cmap) == ("power", 0.3, "viridis")
    display.unit.value = "mrad"
    assert view.unit == "mrad" and view.sampling[0] == pytest.approx(browser.recon.calibration.angle_pixel)


def test_the_calibration_is_edited_in_boxes(browser):
    fields = browser.calibration.fields
    fields["energy"].input.value = "200"
    assert browser.recon.calibration.energy == 200e3
    fields["scan_step"].input.value = "2,5"
    assert browser.scan_view.sampling == [2.5, 2.5]
    fields["scan_step"].input.value = "4 x 3"
    assert browser.recon.calibration.scan_step == (4.0, 3.0) and browser.scan_view.sampling == [4.0, 3.0]
    fields["q_pixel"].input.value = "0.05 x 0.04"
    assert browser.pattern_view.sampling == [0.05, 0.04] and "q pixel" in browser.calibration.facts.value
    assert fields["q_pixel"].input.value == "0.05 x 0.04"
    fields["scan_step"].input.value = ""
    assert browser.recon.calibration.scan_step is None and browser.scan_view.unit == "px"


@pytest.mark.parametrize("entry", ["-3", "0", "nan", "many", HOSTILE])
def test_a_calibration_that_cannot_be_is_told_and_nothing_changes(browser, entry):
    entered = browser.calibration.fields["q_pixel"]
    entered.input.value = entry
    assert browser.status_text and browser.status_line.kind == "bad"
    assert browser.recon.calibration.q_pixel == 0.05
    assert "<img" not in browser.status_line.value
    entered.input.value = "0.06"
    assert browser.recon.calibration.q_pixel == 0.06, "the widget is alive"
    assert browser.status_text == ""


def test_no_calibration_while_a_run_is_on(data):
    recon = Reconstruction(data, defocus=samples.ducky_defocus("tiny"))
    browser = DatasetBrowser(recon)
    recon.start(10_000)
    try:
        browser.calibration.fields["energy"].input.value = "200"
        assert "stop it first" in browser.status_text
        assert browser.calibration.fields["energy"].value == 80
    finally:
        recon.stop()
        browser.close()


def test_semiangle_from_the_disk(browser):
    browser.calibration.from_disk.click()
    assert browser.recon.calibration.semiangle == pytest.approx(20, rel=0.05)
    assert "mrad" in browser.status_text


def test_without_data_it_waits_and_then_shows_them(data):
    browser = DatasetBrowser(Reconstruction())
    assert browser.pattern is None and browser.png() == b"" and "No data yet" in browser.facts.value
    browser.pattern_pane.choice.value = "ADF"
    assert "no data" in browser.status_text
    with pytest.raises(DataError):
        browser.position = 0, 0
    browser.recon.dataset = data
    assert browser.pattern.shape == (64, 64)
    browser.close()


def test_other_data_take_the_place_of_the_old(browser):
    browser.recon.dataset = Dataset(np.random.default_rng(0).poisson(3, (5, 6, 16, 20)).astype(np.uint8))
    assert browser.pattern.shape == (16, 20) and browser.virtual_image.shape == (5, 6)
    assert browser.position == (2, 3)


def test_data_that_are_all_zero_do_no_harm():
    browser = DatasetBrowser(Dataset(np.zeros((2, 2, 8, 8), np.uint16)))
    assert browser.virtual_image.max() == 0
    browser.close()


def test_names_with_markup_are_shown_as_text():
    browser = DatasetBrowser(Dataset(np.ones((2, 2, 8, 8)), Calibration(), name=HOSTILE, path=HOSTILE))
    assert "<img" not in browser.facts.value and "&lt;img" in browser.facts.value
    browser.show_code.value = True
    assert "<img" not in browser.code_text.value
    browser.close()


def test_its_code_makes_what_it_shows(browser, data):
    move(browser.scan_view, "probe", y=2, x=3)
    place = {"dataset": data}
    exec(browser.code, place)
    assert np.array_equal(place["pattern"], browser.pattern)
    assert np.array_equal(place["mask"], browser.detector_mask)
    assert np.allclose(place["virtual_image"], browser.virtual_image)


def test_many_threads_drag_and_the_last_word_holds(browser, data):
    def drag(seed: int) -> None:
        for y, x in np.random.default_rng(seed).integers(0, 12, (40, 2)).tolist():
            move(browser.scan_view, "probe", final=False, y=y, x=x)

    threads = [threading.Thread(target=drag, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    browser.wait()
    move(browser.scan_view, "probe", y=4, x=4)
    assert browser.wait()
    assert np.array_equal(browser.pattern, data.data[4, 4])


def test_an_error_in_a_callback_becomes_words_and_the_next_success_takes_them_away(browser, monkeypatch, caplog):
    monkeypatch.setattr(browser.histogram, "show", lambda image: 1 / 0)
    move(browser.scan_view, "probe", y=1, x=1)
    assert "ZeroDivisionError" in browser.status_text and "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    move(browser.scan_view, "probe", y=1, x=2)
    assert browser.status_text == ""


def test_repr_and_still_image(browser):
    assert repr(browser) == "DatasetBrowser('ducky tiny'; position 6, 6; BF)"
    data = browser._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert {"text/plain", "image/png", "application/vnd.jupyter.widget-view+json"} <= set(data)
    assert browser.png().startswith(b"\x89PNG")


def test_a_closed_browser_hears_nothing_more(data):
    recon = Reconstruction(data)
    browser = DatasetBrowser(recon)
    browser.close()
    recon.set_calibration(energy=200e3)
    assert browser.comm is None
    browser.close()


# ------------------------------------------------------------------ a part of the data


def test_crop_and_bin_by_the_fields(browser, data):
    fields = browser.cropping
    assert (fields.scan.value, fields.detector.value) == ("0:12, 0:12", "0:64, 0:64") and fields.whole.disabled
    fields.scan.input.value, fields.bin_detector.input.value = "1:11, 0:12", "2"
    fields.apply.click()
    part = browser.recon.dataset
    assert part.shape == (10, 12, 32, 32) and part.calibration.q_pixel == 0.1
    assert browser.status_text == "Cropped to scan [1:11, 0:12]; then binned, detector 2 x 2."
    assert browser.pattern.shape == (32, 32) and browser.virtual_image.shape == (10, 12)
    assert browser.recon.optics.vacuum.shape == (32, 32)
    assert (fields.scan.value, fields.bin_detector.value) == ("0:10, 0:12", "1"), "what is there now"
    assert ".crop(scan=(1, 11, 0, 12)).bin(detector=(2, 2))" in browser.code or data.path is None
    fields.whole.click()
    assert browser.recon.dataset.shape == data.shape and browser.recon.optics.vacuum.shape == (64, 64)
    assert "whole" in browser.status_text and fields.whole.disabled


@pytest.mark.parametrize(
    ("field", "entry", "message"),
    [
        ("scan", "1:2", "no region"),
        ("scan", "0:99, 0:12", "crop of the scan"),
        ("detector", "0:30, 0:64", 'at least, or tick "cut disk".'),
        ("bin_scan", "0", "binning of the scan"),
        ("bin_detector", HOSTILE, "not a binning"),
    ],
)
def test_a_part_that_cannot_be_is_told_and_nothing_changes(browser, data, field, entry, message):
    getattr(browser.cropping, field).input.value = entry
    browser.cropping.apply.click()
    assert message in browser.status_text and browser.status_line.kind == "bad" and browser.recon.dataset is data
    assert "<img" not in browser.status_line.value


def test_the_disk_is_cut_where_that_is_wanted(browser):
    browser.cropping.detector.input.value = "0:30, 0:64"
    browser.cropping.cut_disk.value = True
    browser.cropping.apply.click()
    assert browser.recon.dataset.detector_shape == (30, 64)


def test_what_is_drawn_is_entered(browser):
    browser.cropping.drawn.click()
    assert "nothing is drawn" in browser.status_text
    browser.scan_pane.mode.value = "Region"
    move(browser.scan_view, "box", y=5, x=5, h=2, w=4)
    browser.detector = Detector("rectangle", 32, 32, h=40, w=44)
    browser.cropping.drawn.click()
    assert (browser.cropping.scan.value, browser.cropping.detector.value) == ("4:7, 3:8", "12:53, 10:55")


def test_another_mask_makes_another_virtual_image(browser, data):
    browser.detector = Detector("rectangle", 32, 32, h=64, w=64)
    before = browser.virtual_image
    mask = np.ones((64, 64), bool)
    mask[32, 32] = False
    browser.recon.dataset = data.with_mask(mask)
    browser.detector = Detector("rectangle", 32, 32, h=64, w=64)
    assert np.allclose(before - browser.virtual_image, data.data[..., 32, 32])
