"""An automatic run takes up another model where its own leaves patterns unexplained, and only there."""

from __future__ import annotations

import pytest
from patience import wait_for

from ptywidgets import ModelConfig, Reconstruction, samples
from ptywidgets.engine import Aberrations, Calibration, Optics
from ptywidgets.engine.calibrate.coarse.thickness import ThicknessFit
from ptywidgets.engine.checks import doubts
from ptywidgets.engine.simulate import silicon_110, simulate_dataset

FOUR = ModelConfig(modes=4)


def begun(dataset, **known):
    recon = Reconstruction(dataset, defocus=250.0, **known)
    recon.prepare(rotation=-15.0, transpose=False)
    return recon


def said_by(recon):
    said = []
    recon.observe(lambda change: said.append(change["new"]), "message")
    return said


def test_a_partially_coherent_beam_is_given_modes_of_the_probe(blurred):
    recon = begun(blurred)
    said = said_by(recon)
    recon.run()
    assert recon.status == "finished" and recon.doubts == () and recon.model == FOUR
    assert recon.modes.shape[0] == 4 and recon.iteration < recon.plan.iterations
    assert "With 4 modes of the probe" in recon.message and "is left over, instead of" in recon.message
    assert any("going on with 4 modes" in words for words in said)
    assert not any("changes with the next run" in words for words in said), "nobody was asked to begin anew"
    assert recon.result.made_with == ""


def test_going_on_keeps_it_and_beginning_anew_begins_with_the_usual_model(blurred):
    recon = begun(blurred).run()
    done = recon.iteration
    recon.run(2)
    assert recon.model == FOUR and recon.iteration == done + 2
    recon.reset()
    assert recon.model == ModelConfig()
    recon.run()
    assert recon.model == FOUR and recon.iteration == done
    recon.dataset = samples.ducky("tiny")
    assert recon.model == ModelConfig()


def test_a_model_that_somebody_has_set_meanwhile_stays(blurred):
    recon = begun(blurred).run()
    recon.model = ModelConfig(modes=2)
    recon.reset()
    assert recon.model == ModelConfig(modes=2)


@pytest.mark.parametrize("known", [{"hold": "model"}, {"model": ModelConfig(modes=2)}])
def test_a_model_that_is_held_or_set_is_kept(blurred, known):
    recon = begun(blurred, **known).run()
    assert recon.model == known.get("model", ModelConfig())


def test_iterations_that_were_asked_for_are_all_there_are(blurred):
    assert begun(blurred).run(3).model == ModelConfig()


def test_thin_and_coherent_data_are_not_tried_with_other_models(monkeypatch):
    monkeypatch.setattr("ptywidgets.reconstruction.session.model_choice.trials", None)
    assert begun(samples.ducky("tiny")).run().status == "finished"


def test_a_wrong_start_is_not_hidden_by_more_freedom():
    recon = Reconstruction(samples.ducky("tiny", dose=1e4), defocus=250.0)
    recon.prepare(rotation=165.0, transpose=False)
    recon.run()
    assert recon.model == ModelConfig() and recon.status == "doubtful"


def test_what_does_not_explain_clearly_more_is_taken_back(blurred, monkeypatch):
    held = begun(blurred, hold="model").run()
    made = "ptywidgets.reconstruction.session.model_choice"
    found = doubts.left_unexplained(*held._work.judged)
    monkeypatch.setattr(f"{made}.goodness", lambda *_: found)
    recon = begun(blurred).run()
    assert recon.model == ModelConfig() and recon.losses == held.losses and recon.modes.shape[0] == 1
    assert recon.iteration == held.iteration == recon.state.iteration and "With 4 modes" not in recon.message
    assert recon.status == "doubtful" and recon.doubts[0].gives == held.doubts[0].gives
    assert (recon.object == held.object).all()


def test_a_stop_with_the_other_model_keeps_what_there_is(blurred):
    recon = begun(blurred)
    recon.start()
    wait_for(lambda: recon.modes is not None and recon.modes.shape[0] == 4)
    recon.stop()
    assert recon.status == "stopped" and recon.model == FOUR and recon.result.made_with == ""
    done = recon.iteration
    assert recon.run().iteration > done and recon.model == FOUR


def test_saved_results_are_of_the_model_that_was_taken_up(blurred, tmp_path):
    recon = begun(blurred, autosave=tmp_path / "run.h5").run()
    again = Reconstruction.load(tmp_path / "run.h5", dataset=blurred)
    assert again.model == recon.model == FOUR and (again.object == recon.object).all()


def silicon(thickness, defocus):
    """A crystal of more than twice the depth of field."""
    calibration = Calibration(energy=200e3, semiangle=24, scan_step=0.9, q_pixel=1 / 15)
    optics = Optics(semiangle=24, aberrations=Aberrations(defocus=defocus + thickness / 2))
    atoms = silicon_110((32.0, 32.0), thickness)
    return simulate_dataset(atoms, calibration, optics, scan=(14, 14), detector=(72, 72), thickness=1.95).dataset


def test_a_thick_specimen_is_given_slices_by_the_search_for_the_start():
    recon = Reconstruction(silicon(200.0, 50.0))
    recon.calibrate()
    (thickness,) = (one for one in recon.estimates if one.name == "thickness")
    assert recon.model.slices > 1 and recon.model.thickness == pytest.approx(200, rel=0.15)
    assert recon.model.focus == "middle" and thickness.value == pytest.approx(recon.model.thickness, rel=0.01)
    assert recon.optics.aberrations["defocus"] == pytest.approx(50, abs=15)
    found = recon.model
    recon.reset()
    assert recon.model == found, "what was found of the start stays with it"
    recon.dataset = samples.ducky("tiny")
    assert recon.model == ModelConfig()


def test_a_thick_specimen_of_known_defocus_goes_on_with_slices():
    recon = Reconstruction(silicon(100.0, 130.0), defocus=130.0)
    recon.prepare(rotation=0.0, transpose=False)
    recon.run()
    assert recon.model.slices > 1 and recon.model.thickness == pytest.approx(100, rel=0.15)
    assert recon.status == "finished" and "slices, for a specimen that is" in recon.message


@pytest.mark.parametrize("known", [{"hold": "model"}, {"model": ModelConfig(slices=3, thickness=90.0)}])
def test_a_thickness_that_is_found_replaces_nothing_that_somebody_has_set(known):
    recon = Reconstruction(samples.ducky("tiny"), **known)
    recon._work.take_thickness(ThicknessFit(100.0, 5.0, 50.0, 5.0, 0.3, 8, (), False))
    assert recon.model == known.get("model", ModelConfig())
    recon.hold, recon.model = (), ModelConfig()
    recon._work.take_thickness(ThicknessFit(100.0, 5.0, 50.0, 5.0, 0.3, 8, (), False))
    assert recon.model == ModelConfig(slices=8, thickness=100.0, focus="middle")
    recon._work.take_thickness(None)
    assert recon.model == ModelConfig(), "another search has found it thin"
