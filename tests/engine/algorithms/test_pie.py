"""PIE against its own formula, written out by numpy."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine import PIE
from ptywidgets.engine.algorithms import pie
from ptywidgets.engine.losses import AnscombeLoss
from ptywidgets.engine.models import Model, PartialCoherence
from ptywidgets.engine.models.parts.response import PointSpread
from ptywidgets.engine.models.parts.scattering import Background
from ptywidgets.engine.problem.batches import clashes, disjoint
from ptywidgets.testing import example_problem


def on_whole_pixels(problem):
    """The problem with positions and origins moved to whole pixels, so that every window is a plain slice.

    The object is rough, so that nothing of the detector is dark: a phase of nothing is rounding alone.
    """
    generator = np.random.default_rng(7)
    rough = 0.3 * generator.normal(size=problem.object_shape)
    if problem.model.specimen.object_type == "complex":
        rough = 1 + rough + 0.3j * generator.normal(size=problem.object_shape)
    whole = np.rint(problem.initial_positions / problem.sampling) * problem.sampling
    measurement = replace(problem.measurement, shifts=np.zeros_like(problem.measurement.shifts))
    first = rough.astype(problem.initial_object.dtype)
    return replace(problem, initial_positions=whole, measurement=measurement, initial_object=first)


def by_hand(problem, j, algorithm):
    """Object and probe after one position, from the formulas."""
    state = problem.start()
    obj, probe = state.object[0].astype(complex), np.fft.fftshift(state.probe[0]).astype(complex)
    y, x = problem.geometry(state.positions).corners[j]
    window = np.s_[y : y + probe.shape[0], x : x + probe.shape[1]]
    t = obj[window] if problem.model.specimen.object_type == "complex" else np.exp(1j * obj[window].real)
    far = np.fft.fft2(probe * t, norm="ortho")
    measured = np.asarray(problem.backend.amplitudes(problem.patterns, np.array([j]), np.float64)[0])
    chi = np.fft.ifft2((measured / np.abs(far) - 1) * far, norm="ortho")

    def over(seen, step):
        g = algorithm.regularization
        return step / ((1 - g) * seen + g * seen.max())

    change = probe.conj() * chi
    if problem.model.specimen.object_type == "potential":
        change = (t.conj() * change).imag
    new = obj.copy()
    new[window] += change * over(np.abs(probe) ** 2, algorithm.object_step)
    probe = probe + t.conj() * chi * over(np.abs(t) ** 2, algorithm.probe_step)
    return new, np.fft.ifftshift(probe)


@pytest.mark.parametrize("object_type", ["complex", "potential"])
@pytest.mark.parametrize("algorithm", [PIE(), PIE(regularization=1.0, object_step=0.9, probe_step=0.3)], ids=repr)
def test_one_position_is_the_formula(object_type, algorithm):
    problem = on_whole_pixels(example_problem(object_type))
    after = algorithm.advance(problem, problem.start(), np.array([27]))
    obj, probe = by_hand(problem, 27, algorithm)
    np.testing.assert_allclose(after.object[0], obj, rtol=0, atol=2e-5)
    np.testing.assert_allclose(after.probe[0], probe, rtol=0, atol=2e-5 * np.abs(probe).max())


@pytest.mark.parametrize("object_type", ["complex", "potential"])
def test_windows_that_do_not_overlap_may_come_in_any_order(object_type):
    problem = example_problem(object_type)
    apart = cropped(problem, 16)
    group = max(disjoint(apart.geometry(apart.initial_positions).corners, (16, 16)), key=len)
    assert len(group) >= 4
    algorithm = PIE(hold_probe=True)
    together = algorithm.advance(apart, apart.start(), group)
    for order in (group, group[::-1], np.random.default_rng(0).permutation(group)):
        state = apart.start()
        for j in order:
            state = algorithm.advance(apart, state, np.array([j]))
        np.testing.assert_allclose(state.object, together.object, rtol=0, atol=1e-5)
        assert state.partial_loss == pytest.approx(together.partial_loss, rel=1e-5)


def cropped(problem, n):
    """The same positions in pixels, with patterns and a probe of n x n pixels."""
    probe = np.fft.fftshift(problem.initial_probe[0])
    middle = probe.shape[0] // 2
    part = np.s_[middle - n // 2 : middle + n // 2]
    small = np.fft.ifftshift(probe[part, part])[None]
    return replace(problem, patterns=problem.patterns.crop((n, n)).on(problem.backend), initial_probe=small)


def test_overlapping_windows_see_what_the_one_before_has_changed():
    problem = on_whole_pixels(example_problem())
    algorithm = PIE(hold_probe=True)
    pair = np.array([27, 28])
    both = algorithm.advance(problem, problem.start(), pair)
    state = problem.start()
    for j in pair:
        state = algorithm.advance(problem, state, np.array([j]))
    np.testing.assert_allclose(both.object, state.object, rtol=0, atol=1e-5)
    apart = sum(
        algorithm.advance(problem, problem.start(), np.array([j])).object - problem.initial_object for j in pair
    )
    assert np.abs(both.object - problem.initial_object - apart).max() > 1e-3


def test_decay_shortens_the_steps():
    problem = on_whole_pixels(example_problem())
    start, batch = problem.start(), np.array([27])
    whole = PIE().advance(problem, start, batch).object - start.object
    later = PIE(decay=1.0).advance(problem, start.replace(iteration=3), batch).object - start.object
    np.testing.assert_allclose(later, whole / 4, rtol=0, atol=1e-6)


def rough(problem, modes=1, **parts):
    """The problem with an object that leaves nothing of the detector dark, other modes of the probe and other parts."""
    generator = np.random.default_rng(7)
    noise = 0.3 * generator.normal(size=problem.object_shape)
    first = 1 + noise + 0.2j if problem.model.specimen.object_type == "complex" else noise
    probe = np.concatenate(
        [problem.initial_probe * 0.6**m * np.exp(2j * generator.random((64, 64))) for m in range(modes)]
    )
    return replace(
        problem,
        initial_object=first.astype(problem.initial_object.dtype),
        initial_probe=probe.astype(np.complex64),
        model=replace(problem.model, **parts),
    )


@pytest.mark.parametrize("object_type", ["complex", "potential"])
@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"modes": 3},
        {"ensemble": PartialCoherence(0.3, 0.0, 0.04, (20.0, 20.0))},
        {"background": Background(np.full((64, 64), 0.1, np.float32))},
        {"response": PointSpread(0.5)},
    ],
    ids=lambda parts: next(iter(parts), "bare"),
)
def test_one_slice_goes_as_windows_of_it_go(object_type, parts, monkeypatch):
    """Positions and origins lie between pixels, and a batch's windows overlap."""
    problem = rough(example_problem(object_type), **parts).with_loss(AnscombeLoss())
    assert problem.geometry(problem.initial_positions).fractions is not None
    assert problem.geometry(problem.initial_positions).shifts is not None
    assert problem.model.plain(problem.backend, problem.initial_object) is not None
    first, batch = problem.start(), np.arange(0, 64, 3)
    fast = PIE().advance(problem, first, batch)
    np.testing.assert_array_equal(first.object, problem.initial_object)  # untouched
    monkeypatch.setattr(Model, "plain", lambda model, backend, obj: None)
    slow = PIE().advance(problem, first, batch)
    assert fast.partial_loss == pytest.approx(slow.partial_loss, rel=1e-5)
    for name in ("object", "probe"):
        got, expected, begin = (getattr(state, name) for state in (fast, slow, first))
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected - begin).max())


def test_how_far_ahead_waves_are_made_changes_nothing(monkeypatch):
    problem, batch = rough(example_problem(), 2), np.arange(0, 64, 3)
    whole = PIE().advance(problem, problem.start(), batch)
    monkeypatch.setattr(pie, "AHEAD_BYTES", 5 * problem.initial_probe.nbytes)
    parts = PIE().advance(problem, problem.start(), batch)
    np.testing.assert_array_equal(whole.object, parts.object)
    np.testing.assert_allclose(whole.probe, parts.probe, rtol=0, atol=1e-5 * np.abs(whole.probe).max())


def test_the_same_bits_come_out_again():
    problem, batch = rough(example_problem(), 2), np.arange(0, 64, 2)
    first, *others = (PIE().advance(problem, problem.start(), batch) for _ in range(4))
    for other in others:
        np.testing.assert_array_equal(other.object, first.object)
        np.testing.assert_array_equal(other.probe, first.probe)
        assert other.partial_loss == first.partial_loss


def test_groups_are_as_large_as_they_can_be():
    corners = np.random.default_rng(1).integers(0, 60, (150, 2))
    groups, clash = disjoint(corners, (12, 9)), clashes(corners, (12, 9))
    assert sorted(np.concatenate(groups)) == list(range(150))
    for number, group in enumerate(groups):
        assert (np.diff(group) > 0).all()
        assert clash[np.ix_(group, group)].sum() == len(group)
        for late in groups[number + 1 :]:
            assert clash[np.ix_(group, late)].any(0).all()
