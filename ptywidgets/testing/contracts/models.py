"""What every model must do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.models.shift import Shift
from ptywidgets.testing.cases import ModelCase, model_case

DOUBLE = 1e-6  # relative, of a central difference in double precision with a step of 1e-6
SINGLE = 2e-4  # relative, of sums of some thousand products in single precision


class ModelContract:
    """Give a fixture `model`. Gradients are held to the loss itself; adjoints to the dot product.

    Finite differences are taken in double precision: in single precision the difference of two losses keeps three
    digits at best, so there gradients are compared with those of double precision instead.
    """

    def case(self, model: Any, **options: Any) -> ModelCase:
        """The arrays to run the model on; override for a model that needs others."""
        return model_case(model, **options)

    def test_the_gradient_by_the_object_is_the_slope_of_the_loss(self, model: Any) -> None:
        for case in self.cases(model):
            check_gradient(case, "object")

    def test_the_gradient_by_the_probe_is_the_slope_of_the_loss(self, model: Any) -> None:
        for case in self.cases(model):
            check_gradient(case, "probe")

    def cases(self, model: Any) -> Iterator[ModelCase]:
        """The case with each loss, with and without a mask of the detector."""
        case = self.case(model)
        mask = np.random.default_rng(5).random(case.patterns.shape[1:]) < 0.8
        for kind in LOSSES.values():
            yield replace(case, loss=kind())
            yield replace(case, loss=kind(), patterns=replace(case.patterns, mask=mask).on(case.backend))

    def test_exit_wave_and_detector_have_exact_adjoints(self, model: Any) -> None:
        case = self.case(model)
        backend, where = case.backend, case.geometry.at(case.backend, np.arange(case.count))
        transmission = model.slab(backend, case.obj).transmission
        waves = _noise((case.count, *case.probe.shape), case.probe.dtype)
        exits, tape = model.through.forward(backend, waves, transmission, where.corners)
        residual = _noise(exits.shape, waves.dtype, seed=1)
        far = model.detector.propagate(backend, exits, where.shifts)
        forward = np.vdot(residual, far)
        back = model.detector.propagate_adjoint(backend, residual, where.shifts)
        by_waves = model.through.adjoint(backend, back, transmission, where.corners, tape, np.zeros_like(transmission))
        np.testing.assert_allclose(np.vdot(by_waves, waves), forward, rtol=1e-12)

    def test_what_shifts_do_may_be_done_before(self, model: Any) -> None:
        case = self.case(model)
        backend, where = case.backend, case.geometry.at(case.backend, np.arange(case.count))
        exits = _noise((case.count, *case.probe.shape), case.probe.dtype)
        leaning = exits.copy()
        model.detector.apply_shift_ramp(backend, leaning, where.shifts)
        if model.detector.follows_window:  # a pattern that is moved is no exit wave with another phase
            np.testing.assert_array_equal(leaning, exits)
            return
        far = model.detector.propagate(backend, exits.copy(), where.shifts)
        np.testing.assert_allclose(model.detector.propagate(backend, leaning.copy(), None), far, rtol=0, atol=1e-10)
        model.detector.apply_shift_ramp(backend, leaning, where.shifts, -1)
        np.testing.assert_allclose(leaning, exits, rtol=0, atol=1e-10)

    def test_single_precision_gives_the_gradients_of_double(self, model: Any) -> None:
        exact, single = self.case(model).gradients(), self.case(model, double=False).gradients()
        assert abs(single.loss - exact.loss) <= SINGLE * exact.loss
        for name in ("object", "probe", "illumination", "coverage"):
            _assert_close(getattr(single, name), getattr(exact, name), SINGLE)
        assert single.object.dtype in (np.complex64, np.float32)
        assert single.probe is not None and single.probe.dtype == np.complex64

    def test_the_loss_is_that_of_the_forward_model(self, model: Any) -> None:
        case = self.case(model)
        difference = np.sqrt(case.intensities().clip(0)) - case.amplitudes
        np.testing.assert_allclose(case.gradients().loss, (difference**2).sum(), rtol=1e-10)

    def test_batches_add_up(self, model: Any) -> None:
        case = self.case(model)
        whole, first, second = case.gradients(), case.gradients([0, 2, 5]), case.gradients([1, 3, 4, 6])
        for name in ("loss", "object", "probe", "illumination", "coverage"):
            np.testing.assert_allclose(
                getattr(first, name) + getattr(second, name), getattr(whole, name), rtol=1e-9, atol=1e-9
            )

    def test_the_probe_may_be_held(self, model: Any) -> None:
        case = self.case(model)
        held = case.gradients(with_probe=False)
        assert held.probe is None
        np.testing.assert_allclose(held.object, case.gradients().object, rtol=1e-12, atol=1e-12)

    def test_inputs_stay_as_they_are(self, model: Any) -> None:
        case = self.case(model, double=False)
        before = [array.copy() for array in (case.obj, case.probe, case.patterns.counts)]
        case.gradients()
        case.intensities()
        for array, copy in zip((case.obj, case.probe, case.patterns.counts), before, strict=True):
            np.testing.assert_array_equal(array, copy)

    def test_a_phase_object_conserves_counts(self, model: Any) -> None:
        model = replace(model, diffuse=None, background=None)
        case = self.case(model)
        phase = np.angle(model.specimen.transmission(case.backend, case.obj))
        obj = model.specimen.from_transmission(np.exp(1j * phase)).astype(case.obj.dtype)
        counts = case.intensities(obj=obj).sum((-2, -1))
        np.testing.assert_allclose(counts, (np.abs(case.probe) ** 2).sum(), rtol=1e-6)

    def test_results_are_the_same_in_every_run(self, model: Any) -> None:
        case = self.case(model, double=False, positions=40)
        one, two = case.gradients(), case.gradients()
        assert one.loss == two.loss
        np.testing.assert_array_equal(one.object, two.object)
        np.testing.assert_array_equal(one.probe, two.probe)


def check_gradient(case: ModelCase, name: str) -> None:
    """The case's gradient by "object" or "probe" is the slope of its loss."""
    field = {"object": "obj", "probe": "probe"}[name]
    gradient = case.backend.to_numpy(getattr(case.gradients(), name))

    def loss(array: Any) -> float:
        return case.gradients(**{field: array}).loss

    check_slope(loss, getattr(case, field), gradient)


def check_slope(loss: Callable[[Any], float], array: Any, gradient: Any, step: float = 1e-6) -> None:
    """A central difference of the loss about an array is what minus twice its `gradient` says."""
    direction = _noise_like(array)
    derivative = (loss(array + step * direction) - loss(array - step * direction)) / (2 * step)
    expected = -2 * np.vdot(gradient, direction).real
    assert abs(derivative - expected) <= DOUBLE * max(abs(expected), np.linalg.norm(gradient))


def check_shift_adjoint(shift: Shift, probe: np.ndarray, count: int, backend: Any, rtol: float) -> None:
    """<g, shift(P)> = <shift^H(g), P>, for window-centred P and a batch of `count` positions."""
    wave, places = _noise((count, *probe.shape), probe.dtype), np.arange(count)
    forward = np.vdot(wave, np.broadcast_to(shift.waves(backend, places), wave.shape))
    sums = shift.zeros(backend)
    shift.collect(backend, places, wave, sums)
    np.testing.assert_allclose(np.vdot(shift.adjoint(backend, sums), probe), forward, rtol=rtol)


def _noise(shape: tuple[int, ...], dtype: Any, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    real = generator.normal(size=shape)
    return (real + 1j * generator.normal(size=shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)


def _noise_like(array: np.ndarray) -> np.ndarray:
    return _noise(array.shape, array.dtype)


def _assert_close(got: Any, expected: Any, rtol: float) -> None:
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=rtol)
