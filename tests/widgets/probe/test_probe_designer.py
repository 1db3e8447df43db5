"""ProbeDesigner without a browser: dials to optics and back, what it says, what it shows where something is missing."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets import Calibration, Dataset, Reconstruction
from ptywidgets.engine.optics.aberrations import SYMBOLS, Aberrations
from ptywidgets.engine.optics.probe_report import Quantity
from ptywidgets.widgets.controls.aberration_controls import AberrationControls
from ptywidgets.widgets.controls.tables import report_table
from ptywidgets.widgets.probe.probe_designer import APERTURES, ProbeDesigner


@pytest.fixture
def designer(data):
    designer = ProbeDesigner(Reconstruction(data))
    yield designer
    designer.close()


def type_into(dial, text):
    dial.number.input.value = text


def diameter(designer):
    return next(quantity.value for quantity in designer.report if quantity.name == "probe diameter")


def test_a_slider_changes_optics_image_and_numbers(designer):
    before, sharp = designer.probe_view.rgb(), diameter(designer)
    designer.aberrations["defocus"].slider.value = 400
    assert designer.recon.optics.aberrations["defocus"] == 400
    assert not np.array_equal(designer.probe_view.rgb(), before)
    assert diameter(designer) > sharp


def test_a_number_box_goes_beyond_its_slider(designer):
    type_into(designer.aberrations["defocus"], "5000")
    assert designer.recon.optics.aberrations["defocus"] == 5000
    assert designer.aberrations["defocus"].slider.value == 2000


def test_sliders_stand_on_whole_steps_so_that_no_browser_rounds_them(designer):
    type_into(designer.aberrations["defocus"], "300.4")
    type_into(designer.aberrations["C12"], "17.3")
    assert designer.aberrations["defocus"].slider.value == 300
    assert designer.aberrations["C12"].slider.value == 7, "in steps of 2.5 A"
    assert designer.recon.optics.aberrations["defocus"] == 300.4


def test_an_unknown_defocus_is_no_number_and_zero_is_one(designer):
    box = designer.aberrations["defocus"].number.input
    assert box.value == "" and box.placeholder == "not set" and "unknown" in designer.status_text
    assert repr(designer).endswith("defocus unknown)")
    assert "with a defocus of 0" in designer.table.value and "safer" not in designer.table.value
    type_into(designer.aberrations["C12"], "20")
    assert not designer.recon.optics.aberrations.known and box.value == ""
    type_into(designer.aberrations["defocus"], "0")
    assert designer.recon.optics.aberrations == Aberrations(defocus=0, C12=20) and designer.status_text == ""
    type_into(designer.aberrations["defocus"], "")
    assert not designer.recon.optics.aberrations.known and designer.recon.optics.aberrations["C12"] == 20


def test_a_bad_entry_is_told_in_words_and_changes_nothing(designer):
    before = designer.recon.optics
    type_into(designer.aberrations["C12"], "lots")
    assert "lots" in designer.status_text
    assert designer.recon.optics is before


def test_what_others_change_is_shown(designer):
    designer.recon.optics = designer.recon.optics.replace(
        aberrations=Aberrations(defocus=250, C30=2e4, C12=30, phi12=0.3)
    )
    shown = {name: round(dial.value, 6) for name, dial in designer.aberrations.items()}
    assert (shown["defocus"], shown["C30"], shown["C12"], shown["phi12"]) == (250, 2, 30, 0.3)


def test_the_cartesian_form_shows_the_same_lens(designer):
    designer.recon.optics = designer.recon.optics.replace(aberrations=Aberrations(C12a=30, C12b=40))
    designer.dials.form.value = "Cartesian"
    assert designer.aberrations["C12a"].value == pytest.approx(30)
    type_into(designer.aberrations["C12b"], "-40")
    assert designer.recon.optics.aberrations.cartesian["C12b"] == pytest.approx(-40)
    assert designer.recon.optics.aberrations["C12"] == pytest.approx(50)


def test_every_aberration_has_a_dial_once_unfolded(designer):
    designer.dials.accordion.selected_index = 0
    assert set(SYMBOLS) - {"C10"} <= set(designer.aberrations)
    type_into(designer.aberrations["C50"], "1")
    assert designer.recon.optics.aberrations["C50"] == 1e7, "shown in mm, kept in A"


@pytest.mark.parametrize("form", ["polar", "Cartesian"])
def test_dials_give_back_what_they_show(form):
    heard: dict[str, float] = {}
    controls = AberrationControls(SYMBOLS, heard.update, print, form)
    for dial in controls.dials.values():
        dial.value = 1.0
    assert len(heard) == len(controls.dials)
    controls.show(Aberrations())
    assert [dial.value for dial in controls.dials.values()] == [0.0] * len(heard)


def test_the_vacuum_pattern_is_the_default_and_comes_back(designer, data):
    assert designer.kind.value == APERTURES[0] and designer.semiangle.disabled
    designer.kind.value = APERTURES[1]
    assert designer.recon.optics.vacuum is None and not designer.semiangle.disabled
    designer.semiangle.input.value = "12"
    assert designer.recon.optics.semiangle == 12
    designer.kind.value = APERTURES[0]
    assert np.allclose(designer.recon.optics.vacuum, data.vacuum)


def test_a_vacuum_pattern_is_loaded_from_a_file(designer, data, tmp_path):
    designer.kind.value = APERTURES[1]
    np.save(tmp_path / "vacuum.npy", data.vacuum * 2)
    designer.path.value = str(tmp_path / "vacuum.npy")
    designer.load.click()
    assert np.allclose(designer.recon.optics.vacuum, data.vacuum * 2)
    assert tmp_path / "vacuum.npy" in designer.recon.inputs, "nothing is saved over it"
    np.save(tmp_path / "small.npy", np.ones((8, 8)))
    designer.path.value = str(tmp_path / "small.npy")
    designer.load.click()
    assert "(8, 8)" in designer.status_text and designer.recon.optics.vacuum.shape == (64, 64)
    designer.path.value = str(tmp_path / "none.npy")
    designer.load.click()
    assert "none.npy" in designer.status_text


def test_without_a_vacuum_pattern_the_toggle_goes_back(data):
    designer = ProbeDesigner(Dataset(data.data, data.calibration))
    designer.kind.value = APERTURES[0]
    assert designer.kind.value == APERTURES[1] and "vacuum" in designer.status_text


def test_what_is_missing_is_said_and_can_be_typed():
    designer = ProbeDesigner(Dataset(np.ones((3, 3, 16, 16), np.float32), name="bare"))
    assert "energy" in designer.status_text and "detector pixel" in designer.status_text and designer.report == ()
    assert designer.missing.layout.display == ""
    for name, text in (("energy", "80"), ("q_pixel", "0.1"), ("semiangle", "20")):
        designer.missing.fields[name].input.value = text
    assert "scan step" in designer.status_text and "energy" not in designer.status_text
    names = [quantity.name for quantity in designer.report]
    assert "probe diameter" in names and "overlap" not in names
    designer.missing.fields["scan_step"].input.value = "2"
    assert "overlap" in [quantity.name for quantity in designer.report]
    assert "Missing" not in designer.status_text and designer.missing.layout.display == "none"


def test_without_data_it_says_so():
    assert "No data" in ProbeDesigner().status_text


def test_too_much_defocus_is_called_bad(designer):
    type_into(designer.aberrations["defocus"], "1900")
    assert "pty-bad" in designer.table.value and "less defocus" in designer.table.value


def test_a_run_keeps_its_probe_and_the_designer_says_so(designer):
    designer.recon.set_trait("status", "running")
    assert "next start" in designer.status_text
    designer.recon.set_trait("status", "stopped")
    assert "next start" not in designer.status_text


def test_advice_and_names_are_text_not_markup():
    table = report_table([Quantity("<b>", 1, "A", "bad", "<script>")])
    assert "<b>" not in table and "<script>" not in table and "&lt;script&gt;" in table


def test_closing_ends_listening(data):
    recon = Reconstruction(data)
    designer = ProbeDesigner(recon)
    semiangle = designer.semiangle
    designer.close()
    recon.optics = recon.optics.replace(semiangle=10)
    assert semiangle.value != 10


def test_a_notebook_keeps_a_image(designer):
    bundle = designer._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["image/png"] and data["text/plain"].startswith("ProbeDesigner('ducky tiny'")


def test_calibration_that_comes_later_is_followed(data):
    recon = Reconstruction(Dataset(data.data, Calibration(energy=80e3), vacuum=data.vacuum))
    designer = ProbeDesigner(recon)
    assert designer.report == ()
    recon.set_calibration(q_pixel=0.05, scan_step=1.5)
    assert len(designer.report) == 8
