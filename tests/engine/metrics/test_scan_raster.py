"""The scan's raster is seen in a phase where it stands out in both directions, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, Plan, make_problem, prepare, single_slice
from ptywidgets.engine.checks import doubts
from ptywidgets.engine.metrics.scan_raster import raster_peaks
from ptywidgets.engine.problem.problem import Problem

STEP = 9.0  # A


def problem_of(step: float) -> Problem:
    dataset = samples.ducky("tiny", dose=1e3, scan_step=step)
    measurement = prepare(dataset, rotation=-15.0, transpose=False)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=250.0))
    return make_problem(measurement, optics, model=single_slice("potential"))


@pytest.fixture(scope="module")
def coarse() -> Problem:
    return problem_of(STEP)


def phase_of(problem: Problem, frequencies: list[float], strength: float = 0.02) -> np.ndarray:
    """Smooth noise with waves along the scan's axes."""
    noise = np.random.default_rng(1).normal(size=problem.object_shape[-2:])
    phase = 0.3 * ndimage.gaussian_filter(noise, 4)
    y, x = np.indices(phase.shape) * np.array(problem.sampling)[:, None, None]
    turn = np.deg2rad(15.0)  # as the scan lies in the detector frame; either sense has both axes
    first, second = np.cos(turn) * y + np.sin(turn) * x, np.cos(turn) * x - np.sin(turn) * y
    other, last = np.cos(turn) * y - np.sin(turn) * x, np.cos(turn) * x + np.sin(turn) * y
    for k in frequencies:
        phase += strength * sum(np.cos(2 * np.pi * k * axis) for axis in (first, second, other, last))
    return phase[None].astype(np.float32)


def test_a_raster_in_both_directions_is_seen_and_told(coarse, monkeypatch):
    state = coarse.start().replace(object=phase_of(coarse, [1 / STEP]))
    found = raster_peaks(coarse, state)
    assert found is not None and min(found) > 8
    monkeypatch.setattr(doubts, "goodness", lambda problem, state, **more: None)  # as where the noise is not known
    (finding,) = doubts.doubts_of(coarse, state, Plan(), settled=True)
    assert finding.name == "raster" and "the scan step, 9 A, stands out" in finding.sentence


def test_noise_and_other_periods_are_no_raster(coarse):
    for frequencies in ([], [1 / (1.3 * STEP)]):
        assert raster_peaks(coarse, coarse.start().replace(object=phase_of(coarse, frequencies))) is None


def test_the_period_of_a_fine_scan_may_be_the_specimens_own():
    fine = problem_of(1.5)
    assert raster_peaks(fine, fine.start().replace(object=phase_of(fine, [1 / 1.5]))) is None
