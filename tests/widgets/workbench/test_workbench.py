"""Workbench without a browser: opening, the steps that are done, stages that are built when looked at."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets import Dataset, Reconstruction, write
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.testing.record_files import blo_file
from ptywidgets.widgets.workbench import workbench
from ptywidgets.widgets.workbench.workbench import STAGES, Workbench


@pytest.fixture
def bench(data):
    bench = Workbench(Reconstruction(data))
    yield bench
    bench.recon.stop()
    bench.close()


def done(bench):
    return [name for name, is_done in bench.steps.items() if is_done]


def test_only_the_stage_that_is_looked_at_is_built(bench):
    assert list(bench.stages) == ["Data"]
    for name in STAGES:
        stage = bench.select(name)
        assert stage.recon is bench.recon and type(stage).__name__ == STAGES[name][1]
    assert list(bench.stages) == list(STAGES)
    assert bench.select("Data") is bench.stages["Data"]


def test_steps_are_ticked_as_they_are_done(bench, tmp_path):
    assert done(bench) == ["data opened", "calibration complete"]
    probe = bench.select("Probe")
    probe.aberrations["defocus"].value = 250
    assert "probe set" in done(bench)
    runner = bench.select("Reconstruction")
    bench.recon.prepare(rotation=-15.0, transpose=False)
    assert "rotation found" in done(bench)
    bench.recon.run(2)
    assert "reconstructed" in done(bench) and "saved" not in done(bench)
    runner.path.value = str(tmp_path / "x.h5")
    runner.save.click()
    assert len(done(bench)) == 6
    assert bench.steps_line.value.count("pty-done") == 6
    bench.recon.run(1)
    assert "saved" not in done(bench), "what was saved is older than what there is"


def test_views_of_a_tab_and_names_of_widgets_are_ways_to_a_stage(bench):
    rotation = bench.select("Rotation")
    picker = bench.select("OrientationPicker")
    assert bench.tab.selected_index == 1 and bench.tab.switches["Rotation"].value == "all eight"
    assert bench.tab.places["Rotation"].children == (picker,)
    bench.tab.switches["Rotation"].value = "by curl"
    assert bench.tab.places["Rotation"].children == (rotation,)
    with pytest.raises(ParameterError, match="did you mean 'Probe'"):
        bench.select("Prob")


def test_auto_finds_the_start_and_every_estimate_leads_to_its_widget(bench):
    bench.auto.click()
    bench.start.wait()
    recon = bench.recon
    assert bench.accordion.selected_index == 0 and recon.estimates
    assert "rotation found" in done(bench) and "probe set" in done(bench)
    rows = bench.start.rows.children
    assert len(rows) == len(recon.estimates) == len(bench.start.openers)
    for estimate, row in zip(recon.estimates, rows, strict=True):
        assert estimate.source in row.children[2].value
    assert bench.select("Rotation").rotation == pytest.approx(recon.rotation, abs=0.01)
    shown = bench.select("Probe").aberrations["defocus"].value
    assert shown == pytest.approx(recon.optics.aberrations["defocus"])
    opener = next(b for b in bench.start.openers if b.description == "transpose")
    opener.click()
    assert "Orientation" in bench.stages and bench.tab.stage == "Orientation"


def test_check_is_made_when_it_is_unfolded(bench):
    assert bench.doctor is None
    bench.accordion.selected_index = 1
    assert bench.doctor.findings and bench.doctor.recon is bench.recon
    doctor = bench.doctor
    bench.accordion.selected_index = None
    bench.accordion.selected_index = 1
    assert bench.doctor is doctor


def test_other_data_forget_start_and_check(bench, data):
    bench.auto.click()
    bench.start.wait()
    bench.use(Reconstruction(Dataset(data.data, data.calibration)))
    assert bench.start is None and bench.accordion.selected_index is None
    assert all(place.children == () for place in bench.accordion.children)


def test_auto_says_what_is_missing(data):
    bench = Workbench(Dataset(data.data))
    bench.auto.click()
    bench.start.wait()
    assert "not set" in bench.start.status_text and bench.start.status_line.kind == "bad"
    bench.close()


def test_it_begins_without_data():
    bench = Workbench()
    assert "No data yet" in bench.data_line.value and bench.tab.layout.display == "none" and not bench.stages
    assert bench.ducky.layout.display == ""
    assert done(bench) == []


def test_the_ducky_is_one_click_away(monkeypatch):
    monkeypatch.setattr(workbench, "DUCKY", "tiny")
    bench = Workbench()
    bench.ducky.click()
    assert bench.recon.dataset.name == "ducky tiny" and bench.ducky.layout.display == "none"
    assert list(bench.stages) == ["Data"] and "250" in bench.status_text


def test_opening_replaces_the_data_and_rebinds_the_stages(bench, tmp_path):
    old = bench.select("Probe")
    semiangle = old.semiangle
    before = bench.recon
    np.save(tmp_path / "other.npy", np.ones((3, 4, 16, 16), np.float32))
    bench.path.value = str(tmp_path / "other.npy")
    bench.opener.click()
    assert bench.recon is not before and bench.recon.dataset.shape == (3, 4, 16, 16)
    assert "other" in bench.title.value and "Opened" in bench.status_text
    assert list(bench.stages) == ["Probe"] and bench.stages["Probe"] is not old
    before.optics = before.optics.replace(semiangle=5)
    assert semiangle.value != 5, "the old stage still listens"


def test_the_run_of_replaced_data_is_stopped(bench, data):
    old = bench.recon
    old.update_plan(iterations=100000)
    old.start()
    bench.use(Reconstruction(data))
    assert old.wait(30).status == "stopped"


@pytest.mark.parametrize("path", ["", "nowhere.h5", "two_d.h5"])
def test_what_cannot_be_opened_is_told_in_words(bench, tmp_path, path):
    with h5py.File(tmp_path / "two_d.h5", "w") as file:
        file["entry/image"] = np.ones((8, 8))
    before = bench.recon
    bench.path.value = str(tmp_path / path) if path else ""
    bench.opener.click()
    assert "pty-bad" in bench.status_line.value and bench.recon is before
    if path == "two_d.h5":
        assert "entry/image" in bench.status_text, "it does not say what is in the file"


def test_names_are_text_not_markup(data):
    bench = Workbench(Dataset(data.data, data.calibration, name="<img src=x onerror=alert(1)>"))
    assert "<img" not in bench.title.value + bench.data_line.value


def test_a_notebook_keeps_a_image(bench):
    bench.select("Probe")
    bundle = bench._repr_mimebundle_()
    data = bundle[0] if isinstance(bundle, tuple) else bundle
    assert data["image/png"] and data["text/plain"] == "Workbench('ducky tiny'; 2 of 6 steps done)"


def test_closing_closes_the_stages(data):
    bench = Workbench(data)
    runner = bench.select("Reconstruction")
    bench.close()
    assert not runner.recon.snapshots.has_subscribers


def test_a_stack_is_asked_for_its_scan(tmp_path):
    np.save(tmp_path / "stack.npy", np.random.default_rng(0).poisson(3.0, (12, 16, 16)).astype(np.uint16))
    bench = Workbench()
    bench.path.value = str(tmp_path / "stack.npy")
    bench.opener.click()
    assert "enter the rows and columns of the scan, such as 3 x 4" in bench.status_text
    assert bench.scan_shape.layout.display == ""
    bench.scan_shape.value = "many"
    bench.opener.click()
    assert "'many' is not a scan" in bench.status_text and bench.recon.dataset is None
    bench.scan_shape.value = "2 x 6"
    bench.opener.click()
    assert bench.recon.dataset.scan_shape == (2, 6), bench.status_text
    bench.path.value = "other.npy"
    assert bench.scan_shape.layout.display == "none" and bench.scan_shape.value == ""


def test_a_file_is_chosen_calibrated_and_reconstructed(tmp_path, data):
    counts = np.random.default_rng(0).binomial(np.asarray(data.data).astype(int), 0.19).astype(np.uint8)
    blo_file(tmp_path / "duck.blo", counts, volts=80000)
    bench = Workbench()
    assert bench.chooser is None and bench.files.layout.display == "none"
    bench.browse.value = True
    chooser = bench.chooser
    assert bench.files.layout.display == "" and bench.files.children == (chooser,)
    chooser.select(tmp_path / "duck.blo")
    chooser.opener.click()
    chooser.wait()
    bench.wait()
    assert bench.recon.dataset.name == "duck" and bench.files.layout.display == "none" and not bench.browse.value
    assert bench.path.value == str(tmp_path / "duck.blo") and "Opened" in bench.status_text
    assert bench.missing.shown and "calibration complete" not in done(bench)
    fields = bench.missing.editor.fields
    fields["scan_step"].input.value = "nothing"
    assert bench.status_line.kind == "bad"
    for name, text in (("scan_step", "1.5"), ("semiangle", "20"), ("q_pixel", "0.05")):
        fields[name].input.value = text
    assert "calibration complete" in done(bench) and "complete" in bench.missing.text.value
    assert bench.select("Data").calibration.fields["semiangle"].value == 20
    bench.auto.click()
    bench.start.wait()
    bench.recon.run(2)
    assert "reconstructed" in done(bench)
    bench.use(Reconstruction(data))
    assert not bench.missing.shown and bench.chooser is chooser
    bench.browse.value = True
    assert bench.files.layout.display == "", "it is there again"
    bench.close()


def test_it_looks_where_the_data_are(tmp_path, data):
    np.save(tmp_path / "other.npy", np.ones((3, 4, 16, 16), np.float32))
    bench = Workbench(tmp_path / "other.npy")
    bench.browse.value = True
    assert bench.chooser.folder == str(tmp_path)
    bench.browse.value = False
    assert bench.files.layout.display == "none"
    bench.close()


def test_what_cannot_be_opened_leaves_the_data_on_the_bench(bench, tmp_path, data):
    saved = Reconstruction(data, defocus=250).run(1).save(tmp_path / "saved.h5")  # of data that came as an array
    before = bench.recon
    bench.browse.value = True
    bench.chooser.select(saved)
    bench.chooser.opener.click()
    bench.chooser.wait()
    assert "came as an array" in bench.chooser.status_text and bench.recon is before and bench.browse.value


def test_a_saved_reconstruction_is_opened_from_the_folders(tmp_path, data):
    write(tmp_path / "duck.h5", data)
    saved = Reconstruction.open(tmp_path / "duck.h5", defocus=250).run(1).save(tmp_path / "saved.h5")
    bench = Workbench()
    bench.browse.value = True
    bench.chooser.select(saved)
    bench.chooser.opener.click()
    bench.chooser.wait()
    bench.wait()
    assert "reconstructed" in done(bench) and f"Opened {saved}" in bench.status_text
    bench.close()
