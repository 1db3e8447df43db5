"""What every loss must do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.testing.cases import model_case
from ptywidgets.testing.contracts.models import check_gradient, check_slope

INTENSITIES, AMPLITUDES = np.meshgrid([0.02, 0.3, 1.0, 7.5, 4e3], [0.0, 0.5, 1.0, 3.0, 60.0])


class LossContract:
    """Give a fixture `loss`. Derivatives are held to differences of the value, in double precision."""

    def backends(self) -> list[Any]:
        """What to run it on: the array formulas, and the compiled ones where there are such."""
        return [CpuBackend(1, "numpy"), CpuBackend(1)]

    def test_first_and_second_derivative_are_those_of_the_value(self, loss: Any) -> None:
        i, a = INTENSITIES, AMPLITUDES
        step = 1e-4 * i
        derivative = (loss.value(i + step, a) - loss.value(i - step, a)) / (2 * step)
        np.testing.assert_allclose(loss.derivative(i, a), derivative, rtol=1e-5, atol=1e-6)
        second = (loss.derivative(i + step, a) - loss.derivative(i - step, a)) / (2 * step)
        np.testing.assert_allclose(loss.second_derivative(i, a), second, rtol=1e-5, atol=1e-9)
        scale = 4 * i * np.abs(loss.second_derivative(i, a)) + 2 * np.abs(loss.derivative(i, a))
        error = np.abs(loss.curvature(i, a) - 4 * i * loss.second_derivative(i, a) - 2 * loss.derivative(i, a))
        assert (error <= 1e-12 * scale).all()

    def test_the_minimum_is_nothing_and_lies_where_model_and_counts_agree(self, loss: Any) -> None:
        a = np.array([0.05, 1.0, 3.0, 60.0])
        np.testing.assert_allclose(loss.value(a * a, a), 0, atol=1e-9)
        np.testing.assert_allclose(loss.derivative(a * a, a), 0, atol=1e-9)
        assert (loss.curvature(a * a, a) > 0).all()
        for factor in (0.5, 0.99, 1.01, 2):
            assert (loss.value(factor * a * a, a) > 0).all()
        assert (loss.value(np.array([1e-3, 2.0]), np.zeros(2)) > loss.value(np.zeros(2), np.zeros(2))).all()

    def test_a_pixel_that_is_too_dark_is_led_to_its_minimum(self, loss: Any) -> None:
        i, a = np.array([0.02, 0.3, 1.0, 7.5]), np.array([0.5, 1.0, 3.0, 60.0])
        step = -2 * np.sqrt(i) * loss.derivative(i, a) / loss.majorizer_curvature(i, a)  # Newton's in the modulus
        np.testing.assert_allclose(np.sqrt(i) + step, a, rtol=1e-10)
        fits = np.array([0.05, 1.0, 3.0, 60.0])
        np.testing.assert_allclose(
            loss.majorizer_curvature(fits**2 * (1 - 1e-9), fits), loss.curvature(fits**2, fits), rtol=1e-6
        )
        np.testing.assert_array_equal(loss.majorizer_curvature(4 * a * a, a), loss.curvature(4 * a * a, a))

    def test_nothing_comes_of_what_was_not_measured(self, loss: Any) -> None:
        for function in (loss.value, loss.derivative, loss.second_derivative, loss.curvature, loss.majorizer_curvature):
            assert not function(INTENSITIES, -np.ones_like(AMPLITUDES)).any()

    def test_dark_pixels_are_finite(self, loss: Any) -> None:
        for dtype in (np.float32, np.float64):
            counted = np.array([[0.0, 0.0, 1.0, 1.0, 300.0, 300.0, -1.0]], dtype)
            for faint in (0.0, 1e-30, 1e-22, 1e-12):
                waves = np.zeros((1, 2, *counted.shape), np.result_type(dtype, np.complex64))
                waves[..., 1::2] = faint
                tangent = np.ones_like(waves)
                intensity = (np.abs(waves) ** 2).sum(1)
                assert np.isfinite(loss.value(intensity, counted[None])).all()
                assert np.isfinite(loss.derivative(intensity, counted[None])).all()
                assert loss.derivative(intensity, counted[None]).dtype == dtype
                for backend in self.backends():
                    assert np.isfinite(backend.hessian_block(waves, tangent[None], counted[None], loss)).all()
                    value, residual = loss.residual(backend, waves.copy(), counted[None])
                    assert np.isfinite(value)
                    assert np.isfinite(residual).all()
                    backend.close()

    def test_the_residual_is_minus_half_the_gradient(self, loss: Any) -> None:
        for backend in self.backends():
            far, amplitudes = _far()
            kept = far.copy()
            value, residual = loss.residual(backend, far, amplitudes)
            assert residual is far
            intensity = (np.abs(kept) ** 2).sum(1)
            np.testing.assert_allclose(value, loss.value(intensity, amplitudes).sum(), rtol=1e-10)

            def value_of(waves: Any, backend: Any = backend, amplitudes: Any = amplitudes) -> float:
                return float(loss.residual(backend, waves.copy(), amplitudes)[0])

            check_slope(value_of, kept, residual)
            backend.close()

    def test_the_curvature_in_use_is_the_second_derivative_where_the_model_fits_or_is_too_bright(
        self, loss: Any
    ) -> None:
        for backend in self.backends():
            far, amplitudes = _far()
            intensity = (np.abs(far) ** 2).sum(1)
            for share in (1.0, 0.7):
                measured = np.where(amplitudes < 0, -1, np.sqrt(share * intensity))
                direction = np.random.default_rng(8).normal(size=(2, *far.shape))
                tangent = direction[0] + 1j * direction[1]

                def along(t: float, way: Any = tangent, measured: Any = measured, far: Any = far) -> float:
                    return float(loss.value((np.abs(far + t * way) ** 2).sum(1), measured).sum())

                step = 1e-4
                expected = (along(step) - 2 * along(0) + along(-step)) / step**2
                np.testing.assert_allclose(
                    backend.hessian_block(far, tangent[None], measured, loss)[0, 0], expected, rtol=1e-4
                )
            backend.close()

    def test_gradients_through_a_model(self, loss: Any) -> None:
        case = model_case()
        mask = np.random.default_rng(5).random(case.patterns.shape[1:]) < 0.8
        counts = np.where(case.patterns.counts < 0.3, 0, case.patterns.counts)  # some pixels that got nothing
        patterns = replace(case.patterns, counts=counts, mask=mask)
        for backend in self.backends():
            masked = replace(case, loss=loss, backend=backend, patterns=patterns)
            check_gradient(masked, "object")
            check_gradient(masked, "probe")
            backend.close()

    def test_the_description_prints_compares_and_hashes(self, loss: Any) -> None:
        assert type(loss).__name__ in repr(loss)
        assert loss == type(loss)()
        assert hash(loss) == hash(loss)


def _far() -> tuple[np.ndarray, np.ndarray]:
    """Waves in the detector plane that are nowhere dark, and amplitudes that they do not explain, some not measured."""
    generator = np.random.default_rng(7)
    far = generator.uniform(0.6, 3, (3, 2, 8, 9)) * np.exp(2j * np.pi * generator.random((3, 2, 8, 9)))
    amplitudes = generator.uniform(0, 4, (3, 8, 9))
    amplitudes[0, :2], amplitudes[1, 3] = 0, -1
    return far, amplitudes
