"""A known probe or object: brought onto the grid of the data, and kept where that is asked for."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import Plan, iterate, reconstruct
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.problem.resample import resample_probe
from ptywidgets.engine.solve.given import Given, begin, checked_object, checked_probe
from ptywidgets.testing import example_problem, example_series

ALGORITHMS = ("PIE", "gradient descent", "LSQ-ML", "conjugate gradients", "projections")


def counts_of(probe):
    return float((np.abs(probe) ** 2).sum(dtype=float))


def as_bright(problem, probe):
    return probe * np.sqrt(problem.mean_intensity / counts_of(probe))


# ------------------------------------------------------------------ probes


def test_a_probe_of_the_same_grid_only_gets_the_counts_of_the_data(problem):
    begun = begin(problem, Given(probe=7 * problem.initial_probe))
    np.testing.assert_allclose(begun.initial_probe, as_bright(problem, problem.initial_probe), rtol=1e-5, atol=1e-5)
    assert counts_of(begun.initial_probe) == pytest.approx(problem.mean_intensity, rel=1e-5)


def test_a_probe_of_finer_pixels_is_resampled(problem):
    """64 pixels became 96 of the same extent, exactly, and come back."""
    fine = resample_probe(problem.initial_probe, (96, 96))
    pixel = tuple(s * 64 / 96 for s in problem.sampling)
    begun = begin(problem, Given(probe=fine, probe_sampling=pixel))
    np.testing.assert_allclose(begun.initial_probe, as_bright(problem, problem.initial_probe), atol=1e-4)


def test_a_probe_of_coarser_pixels_is_resampled(problem):
    coarse = resample_probe(problem.initial_probe, (48, 48))
    pixel = tuple(s * 64 / 48 for s in problem.sampling)
    begun = begin(problem, Given(probe=coarse, probe_sampling=pixel))
    expected = resample_probe(coarse, (64, 64))
    np.testing.assert_allclose(begun.initial_probe, as_bright(problem, expected), atol=1e-4)


@pytest.mark.parametrize("side", [40, 41, 96, 97])
def test_a_probe_in_another_box_is_cut_or_padded(problem, side):
    y = np.arange(side) - side // 2
    drop = np.exp(-(y[:, None] ** 2 + (y - 2) ** 2) / 18) * np.exp(0.1j * y)
    n = np.arange(64) - 32
    expected = np.exp(-(n[:, None] ** 2 + (n - 2) ** 2) / 18) * np.exp(0.1j * n)
    begun = begin(problem, Given(probe=checked_probe(drop), probe_sampling=problem.sampling))
    found = np.fft.fftshift(begun.initial_probe[0])
    np.testing.assert_allclose(found, as_bright(problem, expected), atol=3e-4 * np.abs(found).max())


def test_where_the_middle_of_a_probe_is_told_from_its_intensity(problem):
    corner = problem.initial_probe
    centred = np.fft.fftshift(corner, axes=(-2, -1))
    for given in (corner, centred, centred[0]):
        np.testing.assert_array_equal(checked_probe(given), corner)
    np.testing.assert_array_equal(checked_probe(corner, centred=True), np.fft.ifftshift(corner, axes=(-2, -1)))


def test_a_probe_without_a_middle_is_asked_about():
    flat = np.ones((8, 8))
    with pytest.raises(ParameterError, match="centred=False or centred=True"):
        checked_probe(flat)
    assert checked_probe(flat, centred=False).shape == (1, 8, 8)


@pytest.mark.parametrize(
    "probe, error, words",
    [
        (np.zeros((8, 8)), ParameterError, "zero everywhere"),
        (np.full((8, 8), np.nan), DataError, "NaN"),
        (np.ones(8), ParameterError, r"expected an array \(Ny, Nx\)"),
        ("probe", ParameterError, "expected an array"),
    ],
)
def test_what_is_no_probe_is_refused(probe, error, words):
    with pytest.raises(error, match=words):
        checked_probe(probe)


def test_another_shape_needs_the_size_of_its_pixel(problem):
    with pytest.raises(ParameterError, match=r"the probe is 32 x 32 pixels but the patterns are 64 x 64"):
        begin(problem, Given(probe=problem.initial_probe[:, :32, :32]))
    with pytest.raises(ParameterError, match=r"the object is 5 x 6 pixels but it is"):
        begin(problem, Given(object=checked_object(np.zeros((5, 6)))))


def test_modes_are_added_or_left_out(problem):
    three = replace(problem, initial_probe=np.concatenate([problem.initial_probe] * 3))
    more = begin(three, Given(probe=problem.initial_probe)).initial_probe
    assert more.shape == three.initial_probe.shape
    fewer = begin(problem, Given(probe=more)).initial_probe
    assert fewer.shape == problem.initial_probe.shape
    overlap = abs(np.vdot(fewer, problem.initial_probe)) ** 2 / counts_of(fewer) / counts_of(problem.initial_probe)
    assert overlap == pytest.approx(1, abs=1e-3)
    for probe in (more, fewer):
        assert counts_of(probe) == pytest.approx(problem.mean_intensity, rel=1e-5)


# ------------------------------------------------------------------ objects


@pytest.fixture(scope="module")
def phase(problem):
    y, x = np.indices(problem.object_shape[-2:])
    return (0.3 * np.exp(-((y - 50) ** 2 + (x - 60) ** 2) / 200)).astype(np.float32)


def test_an_object_of_the_same_grid_is_taken_as_it_is(problem, phase):
    begun = begin(problem, Given(object=checked_object(phase)))
    np.testing.assert_array_equal(begun.initial_object[0], phase)


def test_phase_and_transmission_become_each_other(problem, phase):
    transmission = np.exp(1j * phase)
    begun = begin(problem, Given(object=checked_object(transmission)))
    np.testing.assert_allclose(begun.initial_object[0], phase, atol=1e-6)
    begun = begin(example_problem("complex"), Given(object=checked_object(phase)))
    np.testing.assert_allclose(begun.initial_object[0], transmission, atol=1e-6)


def test_a_larger_object_is_cut_about_its_middle(problem, phase):
    padded = np.pad(phase, 10)
    begun = begin(problem, Given(object=checked_object(padded), object_sampling=problem.sampling))
    np.testing.assert_allclose(begun.initial_object[0], phase, atol=1e-6)


def test_an_object_of_finer_pixels_is_resampled_about_where_its_scan_is(problem, phase):
    """A drop 3 A above and 2 A left of the scan's middle, on a grid of other pixels and other margins."""
    positions = problem.initial_positions
    middle = (positions.max(0) + positions.min(0)) / 2

    def drop(shape, pixel, there):
        y, x = (np.arange(n) * pixel - m for n, m in zip(shape, there, strict=True))
        return (0.3 * np.exp(-((y[:, None] + 3) ** 2 + (x + 2) ** 2) / 8)).astype(np.float32)

    there = (22.2, 18.7)
    given = Given(
        object=checked_object(drop((220, 201), 0.21, there)), object_sampling=(0.21, 0.21), object_middle=there
    )
    begun = begin(problem, given)
    expected = drop(problem.object_shape[-2:], problem.sampling[0], middle)
    np.testing.assert_allclose(begun.initial_object[0], expected, atol=1e-4)


def test_slices_are_shared_out(problem, phase):
    begun = begin(problem, Given(object=checked_object(np.array([0.4 * phase, 0.6 * phase]))))
    np.testing.assert_allclose(begun.initial_object[0], phase, atol=1e-6)


def test_an_object_of_another_orientation_is_refused(problem, phase):
    turned = Given(object=checked_object(phase), orientation=(30.0, False))
    with pytest.raises(ParameterError, match=r"rotation of 30\.0 degrees"):
        begin(problem, turned)


# ------------------------------------------------------------------ holding


@pytest.mark.parametrize("held", ["probe", "object"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_held_stays_and_the_other_is_found(problem, phase, algorithm, held):
    """Whatever the algorithm, the constraints and the refinements do."""
    given = Given(probe=problem.initial_probe, object=checked_object(0 * phase), **{f"hold_{held}": True})
    begun = begin(problem, given)
    plan = Plan(
        iterations=3, algorithm=algorithm, constraints=("Positivity", "ProbeCentre"), refinements="RefineOptics"
    )
    *_, state = iterate(begun, plan)
    np.testing.assert_array_equal(getattr(state, held), getattr(begun, f"initial_{held}"))
    other = "object" if held == "probe" else "probe"
    assert np.abs(getattr(state, other) - getattr(begun, f"initial_{other}")).max() > 0
    assert state.losses[-1] < state.losses[0]


@pytest.mark.parametrize("held", ["probe", "object"])
def test_what_is_held_stays_through_the_stages_of_the_automatic_schedule(problem, phase, held):
    begun = begin(problem, Given(probe=problem.initial_probe, object=checked_object(phase), **{f"hold_{held}": True}))
    *_, state = reconstruct(begun, iterations=4)
    np.testing.assert_array_equal(getattr(state, held), getattr(begun, f"initial_{held}"))


def test_what_is_held_comes_back_whole_from_a_coarse_grid(problem, phase):
    begun = begin(problem, Given(probe=problem.initial_probe, object=checked_object(phase), hold_object=True))
    coarse = begun.at_window((48, 48))
    back = begun.resample_state(coarse.start())
    np.testing.assert_array_equal(back.object, begun.initial_object)


def test_nothing_is_held_that_is_not_given():
    with pytest.raises(ParameterError, match="hold_probe is True but no probe is given"):
        Given(hold_probe=True)


def test_a_tilt_series_has_the_probe_in_every_view():
    series = example_series()
    probe = 3 * series.views[0].initial_probe
    begun = begin(series, Given(probe=probe, hold_probe=True))
    *_, state = iterate(begun, Plan(iterations=1, constraints="ProbeCentre"))
    np.testing.assert_array_equal(state.probe, begun.initial_probe)
    for view in begun.views:
        assert counts_of(view.initial_probe) == pytest.approx(view.mean_intensity, rel=1e-4)
    with pytest.raises(ParameterError, match="begins with a volume"):
        begin(series, Given(object=checked_object(np.zeros((4, 4)))))
