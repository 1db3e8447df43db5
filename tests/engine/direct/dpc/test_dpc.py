"""DPC: known phases come back in rad; masks, filters and segments do what they say."""

from itertools import pairwise

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import CalibrationError, DataError, ParameterError, prepare
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.data.detectors import disk_mask, fit_disk
from ptywidgets.engine.direct import detector_segments, dpc
from ptywidgets.engine.direct.dpc.dpc import Filter, integrate_field, integrate_iteratively
from ptywidgets.engine.direct.dpc.segments import segmented_deflection

STEP = 2.0


def bumps(n=32, periodic=True):
    """A smooth phase in rad and its gradient over 2 pi, in 1/A."""
    y, x = np.mgrid[:n, : n + 4] * STEP
    size = np.array([n * STEP, (n + 4) * STEP])
    phase = np.zeros(y.shape)
    field = np.zeros((2, *y.shape))
    wrap = (-1, 0, 1) if periodic else (0,)
    for cy, cx, a in ((0.3, 0.4, 1.0), (0.7, 0.2, 0.6), (0.55, 0.75, -0.4)):
        for i in wrap:
            for j in wrap:
                dy, dx = y - (cy + i) * size[0], x - (cx + j) * size[1]
                one = a * np.exp(-(dy**2 + dx**2) / (2 * 6.0**2))
                phase += one
                field += np.stack([-dy, -dx]) * one / 6.0**2 / (2 * np.pi)
    return phase - phase.mean(), field


def flat(a):
    return a - a.mean()


@pytest.mark.parametrize("edges", ["periodic", "mirror"])
def test_closed_form_is_in_rad(edges):
    phase, field = bumps()
    np.testing.assert_allclose(
        flat(integrate_field(field, STEP, edges=edges)), phase, atol=0.02 if edges == "mirror" else 1e-4
    )


def test_mirrored_edges_keep_a_wedge():
    phase, field = bumps(periodic=False)
    y, x = np.mgrid[: phase.shape[0], : phase.shape[1]] * STEP
    wedge = 0.02 * y - 0.01 * x
    field = field + np.array([0.02, -0.01])[:, None, None] / (2 * np.pi)
    errors = [
        np.abs(flat(integrate_field(field, STEP, edges=edges)) - flat(phase + wedge)).max()
        for edges in ("mirror", "periodic")
    ]
    assert errors[0] < 0.06 < errors[1]


def test_iteration_agrees_and_its_error_only_falls():
    phase, field = bumps(periodic=False)
    found, errors = integrate_iteratively(field, STEP, iterations=200)
    assert np.abs(flat(found) - flat(phase)).max() < 0.05
    assert errors[-1] < 1e-3 and all(b < a for a, b in pairwise(errors))


def test_positions_left_out_do_no_harm():
    phase, field = bumps(periodic=False)
    broken = field.copy()
    mask = np.ones(phase.shape)
    mask[10:13, 10:13] = 0
    broken[:, 10:13, 10:13] = 0.5
    found, _ = integrate_iteratively(broken, STEP, mask, iterations=400)
    assert np.abs(flat(found) - flat(phase)).max() < 0.08
    spoilt, _ = integrate_iteratively(broken, STEP, iterations=400)
    assert np.abs(flat(spoilt) - flat(phase)).max() > 0.5


def test_steps_that_overshoot_are_halved_and_the_best_is_kept():
    _, field = bumps(periodic=False)
    calm, errors = integrate_iteratively(field, STEP, iterations=100)
    wild, wild_errors = integrate_iteratively(field, STEP, step=8.0, iterations=100)
    assert all(b < a for a, b in pairwise(wild_errors))
    assert wild_errors[-1] < 3 * errors[-1] + 1e-3
    np.testing.assert_allclose(flat(wild), flat(calm), atol=0.05)


def test_filters():
    q = np.array([0.0, 0.05, 0.1, 0.3])
    low, high = Filter(low_pass=0.1)(q, 0 * q), Filter(high_pass=0.1)(q, 0 * q)
    assert low[0] == 1 and low[2] == pytest.approx(0.5) and low[3] < 0.02
    assert high[0] == 0 and high[2] == pytest.approx(0.5) and high[3] > 0.98
    assert Filter(gaussian=2.0)(q, 0 * q)[2] == pytest.approx(np.exp(-2 * (np.pi * 2 * 0.1) ** 2))
    phase, field = bumps()
    assert integrate_field(field, STEP, passed=Filter(high_pass=0.02)).std() < 0.9 * phase.std()


def test_a_dataset_and_its_measurement_give_the_same():
    dataset = samples.ducky("tiny", dose=None)
    one, other = dpc(dataset), dpc(prepare(dataset))
    np.testing.assert_allclose(one.phase, other.phase, atol=1e-4)
    assert one.rotation == pytest.approx(prepare(dataset).rotation, abs=0.01) and one.method == "dpc"
    assert one.sampling == (1.5, 1.5) and one.errors == ()
    steps = dpc(dataset, "iterative", iterations=5, mask=np.ones((12, 12)))
    assert 1 <= len(steps.errors) <= 5
    assert np.corrcoef(steps.phase.ravel(), one.phase.ravel())[0, 1] > 0.8


def test_phase_of_the_duck_is_right_in_scale():
    """The centre of mass is the phase's gradient averaged over the probe, so is the phase."""
    dataset = samples.ducky("small", dose=None)
    image = dpc(dataset, rotation=-15.0, transpose=False)
    truth, positions = samples.ducky_truth("small")
    pixel = 1 / (96 * 0.0375)
    radius = 0.02 * samples.ducky_defocus("small")  # of the defocused probe, A
    y, x = np.mgrid[: truth.shape[0], : truth.shape[1]] * pixel
    blurred = [truth[np.hypot(y - p[0], x - p[1]) < radius].mean() for p in positions]
    blurred = np.reshape(blurred, (24, 24))[3:-3, 3:-3].ravel()
    got = image.phase[3:-3, 3:-3].ravel()
    assert np.corrcoef(got, blurred)[0, 1] > 0.8
    assert np.polyfit(blurred, got, 1)[0] == pytest.approx(1, abs=0.35)


def moving_disk(shape=(48, 48), radius=10.0):
    generator = np.random.default_rng(0)
    moves = generator.uniform(-0.8, 0.8, (6, 7, 2))
    moves -= moves.mean((0, 1))
    y, x = np.mgrid[: shape[0], : shape[1]]
    data = np.empty((6, 7, *shape), np.float32)
    for i, row in enumerate(moves):
        for j, (dy, dx) in enumerate(row):
            distance = np.hypot(y - 24.3 - dy, x - 23.6 - dx)
            data[i, j] = np.clip((radius - distance) / 2 + 0.5, 0, 1) * 100
    return Dataset(data, Calibration(scan_step=STEP, q_pixel=0.05)), np.moveaxis(moves, -1, 0)


@pytest.mark.parametrize("inner, count, turn", [(0.0, 4, 0.0), (0.0, 4, 30.0), (6.0, 8, 10.0), (0.0, 3, 0.0)])
def test_segments_measure_the_shift_of_the_disk(inner, count, turn):
    dataset, moves = moving_disk()
    segments = detector_segments((48, 48), (24.3, 23.6), 20, inner=inner, count=count, turn=turn)
    assert (segments.sum(0) <= 1).all()
    found = segmented_deflection(dataset, segments)
    assert np.corrcoef(found.ravel(), moves.ravel())[0, 1] > 0.99
    assert np.polyfit(moves.ravel(), found.ravel(), 1)[0] == pytest.approx(1, abs=0.12)


def test_a_segmented_detector_makes_nearly_the_same_picture():
    dataset = samples.ducky("small", dose=None, descan=0.0)
    disk = fit_disk(dataset.mean_pattern())
    quadrants = detector_segments(dataset.detector_shape, disk.centre, 2 * disk.radius)
    rough, fine = (dpc(dataset, rotation=-15.0, transpose=False, segments=s).phase for s in (quadrants, None))
    assert np.corrcoef(rough.ravel(), fine.ravel())[0, 1] > 0.7


def test_errors_in_words():
    dataset, _ = moving_disk()
    with pytest.raises(ParameterError, match="iterative"):
        dpc(dataset, "iteratve")
    with pytest.raises(ParameterError, match="mirror"):
        dpc(dataset, edges="mirrored")
    with pytest.raises(ParameterError, match='method="iterative"'):
        dpc(dataset, mask=np.ones((6, 7)))
    with pytest.raises(DataError, match="the mask is"):
        dpc(dataset, "iterative", mask=np.ones((6, 6)))
    with pytest.raises(DataError, match="both directions"):
        dpc(dataset, segments=np.stack([disk_mask((48, 48), (24.3, 23.6), 30)] * 2))
    with pytest.raises(DataError, match="the segments are"):
        dpc(dataset, segments=np.ones((4, 8, 8)))
    with pytest.raises(CalibrationError, match="q_pixel"):
        dpc(Dataset(np.ones((3, 3, 4, 4)), Calibration(scan_step=1.0)))
    with pytest.raises(ParameterError, match="pass the Dataset"):
        dpc(prepare(samples.ducky("tiny")), segments=np.ones((4, 64, 64)))
