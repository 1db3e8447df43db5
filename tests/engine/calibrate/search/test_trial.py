"""Short reconstructions at many points: each is what it would be alone, and the right one predicts best."""

import math
from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Optics, prepare
from ptywidgets.engine.calibrate.search import trial
from ptywidgets.engine.calibrate.search.trial import Points, Trials
from ptywidgets.engine.core.errors import InsufficientData
from ptywidgets.engine.preprocess.rotation import rotate_vectors


@pytest.fixture(scope="module")
def ducky():
    dataset = samples.ducky("tiny", dose=1e5)
    return prepare(dataset, rotation=0.0, transpose=False), Optics.from_dataset(dataset)


def at(*rows):
    rotation, transpose, *values = zip(*rows, strict=True)
    return Points(np.array(rotation, float), np.array(transpose, bool), np.array(values, float).T)


def test_each_trial_is_what_it_would_be_alone(ducky):
    trials = Trials(*ducky, side=6)
    points = at((-15, False, -240), (75, False, -240), (-15, True, 100), (0, False, 0))
    together = trials.errors(points, sweeps=2)
    assert together.shape == (4, 36)
    for index in range(4):
        assert trials.errors(points.take([index]), sweeps=2)[0] == pytest.approx(together[index], rel=1e-5)


def test_the_right_orientation_and_defocus_predict_best(ducky):
    trials = Trials(*ducky, side=8)
    turns = np.arange(-180, 180, 15.0)
    errors = trials.errors(at(*((r, False, -237.6) for r in turns))).mean(1)
    assert turns[errors.argmin()] == -15
    sizes = np.array([-400, -330, -280, -237.6, -200, -160, -100, 0, 237.6])
    errors = trials.errors(at(*((-15, False, c) for c in sizes))).mean(1)
    assert sizes[errors.argmin()] == -237.6


def test_a_twin_fits_worse_where_a_potential_has_to_attract(ducky):
    trials = Trials(*ducky, side=8)
    right = at((-15, False, -237.6))
    own, twin = trials.errors(Points.joined([right, right.turned()])).mean(1)
    assert twin > 1.05 * own


def test_descan_by_parts_of_a_pixel_changes_nothing_where_the_model_follows(ducky):
    measurement, optics = ducky
    points = at((-15, False, -237.6))
    before = Trials(measurement, optics, side=6).errors(points).mean()
    wrong = replace(measurement, shifts=np.asarray(measurement.shifts) + 0.4)
    assert Trials(wrong, optics, side=6).errors(points).mean() > 1.2 * before


def test_steps_are_shorter_where_counts_are_few_and_full_where_there_is_no_noise():
    steps = []
    for dose in (300.0, 1e4, None):
        dataset = samples.ducky("tiny", dose=dose)
        trials = Trials(prepare(dataset, rotation=0.0, transpose=False), Optics.from_dataset(dataset), side=6)
        steps.append(trials.step)
    assert steps[0] < 0.7 < steps[1] < 1 == steps[2]
    assert trials.noise == 0


def test_a_detector_without_counts_where_trials_look_says_so(ducky):
    measurement, optics = ducky
    dark = replace(measurement.patterns, counts=np.zeros_like(np.asarray(measurement.patterns.counts)))
    with pytest.raises(InsufficientData, match="no counts lie"):
        Trials(replace(measurement, patterns=dark), optics)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("rotation", [-130.0, 0.0, 71.0])
def test_exchanged_points_move_every_beam_s_image_alike(rotation, transpose):
    """Parallax alone cannot tell a defocus with an astigmatism from the other transpose with the two exchanged."""
    terms = ("C10", "C12a", "C12b")
    one = Points(np.array([rotation]), np.array([transpose]), np.array([[-156.0, 132.0, 159.0]]))
    beams = np.random.default_rng(0).normal(size=(2, 20))

    def shifts(points):  # in the scan's frame
        c10, a, b = points.values[0]
        y, x = beams
        moved = np.stack([c10 * y + a * y + b * x, c10 * x + b * y - a * x])
        return rotate_vectors(moved, float(points.rotation[0]), bool(points.transpose[0]))

    other = one.exchanged(terms)
    assert bool(other.transpose[0]) is not transpose and other.values[0, 0] > 0
    np.testing.assert_allclose(shifts(other), shifts(one), atol=1e-9)


@pytest.fixture(scope="module")
def finer():
    dataset = samples.ducky("small", dose=1e5)
    return prepare(dataset, rotation=0.0, transpose=False), Optics.from_dataset(dataset)


def some(count):
    """Points all over the range that fits half of the window of 48 pixels."""
    rng = np.random.default_rng(5)
    return Points(rng.uniform(-180, 180, count), rng.random(count) < 0.5, rng.uniform(-330, 330, (count, 1)))


@pytest.mark.parametrize("moved", [0.0, 0.5])
def test_a_binned_detector_explains_as_many_counts_where_probes_fit_half_of_the_window(finer, moved):
    """Also where patterns lie between pixels: a ramp on the wave made it explain less than nothing."""
    measurement, optics = finer
    measurement = replace(measurement, shifts=np.full_like(np.asarray(measurement.shifts), moved))
    trials, binned = (Trials(measurement, optics, side=6, binning=b) for b in (1, 2))
    assert binned.n == trials.n // 2 and binned.sampling == pytest.approx(trials.sampling)
    points = some(60)
    assert binned.holds(points).all()
    explained = [(t.nothing - t.errors(points, 2).mean(1)) * t.counts for t in (trials, binned)]
    assert np.corrcoef(explained)[0, 1] > 0.9


def test_rough_errors_are_of_what_fits_and_the_best_of_them_are_tried_again(finer, monkeypatch):
    monkeypatch.setattr(trial, "BINNED", 16)
    trials = Trials(*finer, side=6, rough=True)
    points = Points.joined([some(40), at((-15, False, -400), (70, True, 600))])
    held = trials.fit_binned(points)
    assert held.tolist() == 40 * [True] + 2 * [False]
    exactly, rough = trials.errors(points, 2), trials.errors(points, 2, held)
    assert rough[40:] == pytest.approx(exactly[40:])  # whose probes are too wide
    assert not np.allclose(rough[:40].mean(1), exactly[:40].mean(1), rtol=1e-3)
    gauged = trials.gauge(points, rough.mean(1), 2)
    best = np.argsort(rough[:40].mean(1))[: trial.GAUGED]
    assert gauged[best] == pytest.approx(exactly[best].mean(1))
    off = np.abs(np.delete(gauged[:40], best) - np.delete(exactly[:40].mean(1), best))
    assert off.max() < 0.15 * (trials.nothing - exactly.mean(1).min())
    after = trials.nothing - trials.gain * (trials.nothing - rough[:40].mean(1))  # from then on all are gauged
    assert trials.errors(points, 2, held)[:40].mean(1) == pytest.approx(after, rel=1e-5)


def test_a_small_detector_is_not_binned(ducky):
    trials = Trials(*ducky, side=6, rough=True)
    assert trials.binned is None and not trials.fit_binned(at((0, False, 0))).any()
    errors = np.array([0.1])
    assert trials.gauge(at((0, False, 0)), errors, 2) is errors


def test_blocks_of_large_windows_have_fewer_positions_where_they_may(ducky, monkeypatch):
    whole = Trials(*ducky, side=8)
    monkeypatch.setattr(trial, "WINDOW", whole.n)
    assert len(Trials(*ducky, side=8, least=5)) == len(whole) == 64
    monkeypatch.setattr(trial, "WINDOW", math.ceil(0.75 * whole.n))
    assert len(Trials(*ducky, side=8, least=5)) == 36
    assert len(Trials(*ducky, side=8, least=7)) == 49
    assert len(Trials(*ducky, side=8)) == 64
