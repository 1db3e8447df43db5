"""What should be doubted of a result is said, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import Plan
from ptywidgets.engine.doubts import doubts_of
from ptywidgets.engine.refinements import RefinePositions
from ptywidgets.testing import example_problem


@pytest.fixture(scope="module")
def problem():
    return example_problem("potential")


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
    assert "hardly better than their mean does" in finding.sentence and "defocus" in finding.remedy
    assert names(problem, state.replace(losses=(0.5,) * 2)) == [], "a few iterations need not have explained anything"


def test_positions_at_their_limits_are_doubted(problem):
    limited = Plan(refinements=(RefinePositions(limit_total=1.0),))
    first = problem.first_positions
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
