"""What should be doubted of a result is said, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import ModelConfig, Reconstruction, samples
from ptywidgets.engine import Aberrations, Optics, Plan, make_problem, prepare, single_slice
from ptywidgets.engine.checks.doubts import doubts_of
from ptywidgets.engine.checks.trials import DEFOCUS, DEPTH, ORIENTATION, Trial, best_of
from ptywidgets.engine.metrics.goodness import Goodness
from ptywidgets.engine.metrics.phase_sign import dark_atoms
from ptywidgets.engine.refinements import RefinePositions


def names(problem, state, plan=None):
    return [finding.name for finding in doubts_of(problem, state, plan or Plan())]


def test_a_good_result_is_not_doubted():
    recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run()
    assert recon.status == "finished" and recon.doubts == () and "Doubtful" not in recon.message


@pytest.mark.parametrize("broken", ["object", "probe", "losses"])
def test_what_is_no_number_has_diverged(problem, broken):
    state = problem.start().replace(losses=(0.5, 0.4))
    wrong = (0.5, np.nan) if broken == "losses" else np.full_like(getattr(state, broken), np.nan)
    (finding,) = doubts_of(problem, state.replace(**{broken: wrong}), Plan())
    assert finding.name == "error" and finding.verdict == "bad" and "diverged" in finding.sentence


def test_an_error_that_grows_is_doubted_but_not_one_of_another_stage(problem):
    state = problem.start().replace(losses=(0.5, 0.1, 0.4))
    assert names(problem, state) == ["error"]
    assert names(problem, state.replace(begun=2)) == []


def test_a_result_that_explains_less_than_the_mean_pattern_is_doubted(problem):
    rubbish = np.random.default_rng(0).normal(0, 1.5, problem.object_shape).astype(np.float32)
    state = problem.start().replace(object=rubbish, losses=(0.5,) * 5)
    (finding,) = doubts_of(problem, state, Plan())
    assert "worse than their mean does" in finding.sentence and "Defocus" in finding.remedy
    assert names(problem, state.replace(losses=(0.5,) * 2)) == [], "a few iterations need not have explained anything"


def test_positions_at_their_limits_are_doubted(problem):
    limited = Plan(refinements=(RefinePositions(limit_total=1.0),))
    first = problem.initial_positions
    state = problem.start().replace(losses=(0.5, 0.4))
    assert names(problem, state, limited) == []
    moved = first.copy()
    moved[: len(moved) // 10, 0] += 1.0
    (finding,) = doubts_of(problem, state.replace(positions=moved), limited)
    assert finding.name == "positions" and "as far as they may, 1 A" in finding.sentence


def test_a_probe_that_touches_its_box_is_doubted(problem):
    state = problem.start().replace(losses=(0.5, 0.4))
    full = np.full_like(state.probe, np.abs(state.probe).mean())
    assert names(problem, state.replace(probe=full)) == ["probe box"]


def test_a_run_says_that_the_scan_step_cannot_be():
    wrong = samples.ducky("small").with_calibration(scan_step=0.2)
    recon = Reconstruction(wrong, defocus=samples.ducky_defocus("small"))
    recon.preparation = recon.preparation.replace(rotation=-15.0, transpose=False)
    recon.run(6)
    told = {finding.name: finding for finding in recon.doubts}
    assert "Did you mean 2 A" in told["scan step"].remedy and "Did you mean 2 A" in recon.message
    recon.dataset = wrong.with_calibration(scan_step=2.0)
    recon.run(6)
    assert recon.status == "finished" and recon.doubts == ()


def test_what_has_diverged_is_not_finished():
    class Ruin:
        acts_on = "object"

        def prepare(self, problem):
            return lambda state: state.replace(object=np.full_like(state.object, np.nan))

    recon = Reconstruction(samples.ducky("tiny"), defocus=250, plan=Plan(iterations=1, constraints=(Ruin(),)))
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run()
    assert recon.status == "doubtful" and "doubtful" in repr(recon) and "diverged" in recon.message
    recon.update_plan(constraints=())
    recon.optics = recon.optics.replace(rolloff=1.9)
    assert recon.run(2).status == "finished"


def test_what_is_bad_about_the_data_is_said_at_the_end():
    ducky = samples.ducky("tiny")
    saturated = replace(ducky, data=np.minimum(ducky.data, 400))
    recon = Reconstruction(saturated, defocus=samples.ducky_defocus("tiny"))
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(2)
    assert [finding.name for finding in recon.doubts] == ["detector pixels"]
    assert recon.status == "finished" and "Doubtful" in recon.message and "less dose" in recon.message
    recon.reset()
    assert recon.doubts == ()


def run(dataset, rotation=-15.0, transpose=False, defocus=250.0, **values):
    recon = Reconstruction(dataset, defocus=defocus, **values)
    recon.prepare(rotation=rotation, transpose=transpose)
    return recon.run()


@pytest.fixture(scope="module")
def faint():
    return samples.ducky("tiny", dose=1e4)


@pytest.mark.parametrize(
    ("wrong", "code", "flags"),
    [
        ({"rotation": 165.0}, "prepare(rotation=-15)", "--rotation=-15"),
        ({"transpose": True}, "prepare(transpose=False)", "--no-transpose"),
        ({"defocus": 500.0}, "defocus=250", "--defocus 250"),
    ],
)
def test_a_run_from_a_wrong_start_says_so_and_names_the_right_one(faint, wrong, code, flags):
    recon = run(faint, **wrong)
    assert recon.status == "doubtful" and "is left over, noise aside" in recon.message and code in recon.message
    (finding,) = (finding for finding in recon.doubts if finding.name == "error")
    assert finding.advice("command line").endswith(f"Give {flags}.")
    assert "chi squared per pixel" in finding.sentence and "short trial" in finding.sentence


@pytest.mark.parametrize("wrong", [{"rotation": 45.0}, {"rotation": -105.0}, {"defocus": 0.0}, {"defocus": -250.0}])
def test_a_run_from_a_wrong_start_says_so_where_no_trial_finds_better(faint, wrong):
    recon = run(faint, **wrong)
    assert recon.status == "doubtful" and recon.doubts[0].name == "error"


@pytest.mark.parametrize("changed", [{"scan_step": 0.6}, {"energy": 2.5}])
def test_a_wrong_calibration_does_not_end_as_finished(faint, changed):
    known = faint.calibration
    wrong = {name: factor * known.require(name) for name, factor in changed.items()}
    recon = run(replace(faint, vacuum=None).with_calibration(**wrong))
    assert recon.status == "doubtful" and "is left over" in recon.message


def test_a_semi_angle_that_the_disk_contradicts_is_put_right_and_told(faint):
    recon = run(replace(faint, vacuum=None).with_calibration(semiangle=0.85 * faint.calibration.require("semiangle")))
    assert recon.status == "finished" and "The semi-angle, given as 17 mrad, is 20" in recon.message
    assert recon.calibration.semiangle == pytest.approx(20, rel=0.03)


@pytest.mark.parametrize("dose", [None, 1e5, 1e3, 300])
@pytest.mark.parametrize("vacuum", [True, False])
def test_no_run_from_the_right_start_is_doubted(dose, vacuum):
    dataset = samples.ducky("tiny", dose=dose)
    recon = run(dataset if vacuum else dataset.with_vacuum(None))
    assert recon.status == "finished" and recon.doubts == () and "Doubtful" not in recon.message


def test_a_stop_ends_the_trials_and_leaves_the_doubt(faint):
    recon = Reconstruction(faint, defocus=250.0)
    recon.prepare(rotation=45.0, transpose=False)
    heard = []

    def stop(change):
        if change["new"].startswith("The patterns are not explained; looking"):
            heard.append(change["new"])
            recon.request_stop()

    recon.observe(stop, "message")
    recon.run()
    assert len(heard) == 1 and recon.status == "stopped" and recon.message.startswith("Stopped while looking why")
    assert [finding.name for finding in recon.doubts] == ["error"] and recon.doubts[0].gives == ()


def test_a_run_that_nobody_let_settle_is_not_judged(faint):
    recon = Reconstruction(faint, defocus=500.0)
    recon.prepare(rotation=-15.0, transpose=False)
    assert recon.run(2).status == "finished"


def test_a_partially_coherent_beam_is_told_and_offered(blurred):
    recon = run(blurred, hold="model")
    assert recon.status == "doubtful" and "A partially coherent model explains such a blur" in recon.message
    (finding,) = recon.doubts
    (give,) = finding.gives
    source, spread = give.removeprefix("coherence=").split()
    assert finding.advice().endswith(f"Give model=ModelConfig(source_size={source}, focal_spread={spread}).")
    assert finding.advice("widget").endswith(f": {source} {spread}.")
    assert run(blurred, model=ModelConfig(source_size=0.5, focal_spread=80.0)).status == "finished"


def test_slices_are_offered_only_where_nothing_simpler_explains_as_much():
    def left(share):
        return Goodness(share, 0.01, share, 1.0, 0.01, share, 100.0, True, 96)

    first, focus = Trial(ORIENTATION, (8.0, False), left(0.9)), Trial(DEFOCUS, 0.5, left(0.12))
    assert best_of((first, focus, Trial(DEPTH, 200.0, left(0.1)))) is focus
    thick = Trial(DEPTH, 200.0, left(0.05))
    assert best_of((first, focus, thick)) is thick
    assert best_of((first, Trial(DEPTH, 200.0, left(0.7)))) is None


def test_atoms_that_come_out_dark_are_told():
    dataset = samples.ducky("small")
    lens = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=240.0))
    problem = make_problem(prepare(dataset, rotation=-15.0, transpose=False), lens, model=single_slice("complex"))
    phase = samples.ducky_truth("small")[0]
    low = [(n - m) // 2 for n, m in zip(phase.shape, problem.object_shape[-2:], strict=True)]
    inside = tuple(slice(a, a + m) for a, m in zip(low, problem.object_shape[-2:], strict=True))
    right = np.exp(1j * phase[inside])[None].astype(np.complex64)
    assert dark_atoms(problem, problem.start().replace(object=right)) is None
    assert dark_atoms(problem, problem.start().replace(object=right.conj())) < -0.3


def test_the_twin_explains_the_patterns_and_is_told_by_its_dark_atoms():
    recon = run(samples.ducky("small", dose=1e4), rotation=165.0, defocus=-350.0)
    assert recon.status == "doubtful" and "Atoms come out dark" in recon.message
    (finding,) = recon.doubts
    assert finding.name == "sign of the phase" and finding.gives == ("rotation=-15", "defocus=350")
