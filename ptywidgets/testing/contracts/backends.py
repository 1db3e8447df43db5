"""What every backend must do: the same as the plainest numpy."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses import LOSSES
from ptywidgets.engine.problem.batches import clashes, disjoint
from ptywidgets.testing.cases import model_case


class BackendContract:
    """Give a fixture `backend`, closed when the test is over. Operations are compared with plain numpy."""

    tolerance = 2e-5  # relative to the largest value, in single precision

    def close(self, backend: Any, got: Any, expected: Any) -> None:
        """Assert that an array on the device is what was expected."""
        got = backend.to_numpy(got)
        assert got.dtype == expected.dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=0, atol=self.tolerance * np.abs(expected).max())

    def test_transforms_conserve_the_norm_and_invert(self, backend: Any) -> None:
        waves = _waves()
        self.close(
            backend, backend.fft2(backend.to_device(waves.copy())), np.fft.fft2(waves, norm="ortho").astype("c8")
        )
        back = backend.ifft2(backend.fft2(backend.to_device(waves.copy())))
        self.close(backend, back, waves)

    def test_sums_begin_at_nothing_in_memory_of_their_own(self, backend: Any) -> None:
        first = backend.zeros((3, 5), np.complex64)
        first += 1
        self.close(backend, backend.zeros((3, 5), np.complex64) + 2, np.full((3, 5), 2, np.complex64))
        self.close(backend, first, np.ones((3, 5), np.complex64))

    def test_patches_are_extracted_and_added(self, backend: Any) -> None:
        field, corners = _field()[None], _corners()
        patches = np.stack([field[:, y : y + 9, x : x + 8] for y, x in corners])
        self.close(backend, backend.extract_patches(backend.to_device(field), corners, (9, 8)), patches)
        sums = np.zeros_like(field)
        for (y, x), patch in zip(corners, patches, strict=True):
            sums[:, y : y + 9, x : x + 8] += patch
        target = backend.to_device(np.zeros_like(field))
        backend.add_patches(target, corners, backend.to_device(patches))
        self.close(backend, target, sums)

    def test_windows_multiply_waves_and_have_an_adjoint(self, backend: Any) -> None:
        field, corners = _field(), _corners()
        windows = np.stack([field[None, y : y + 9, x : x + 8] for y, x in corners])
        for waves in (_waves(), _waves()[:1]):
            device = backend.to_device
            got = backend.multiply_patches(device(waves), device(field), corners)
            self.close(backend, got, waves * windows)
            residual = _waves(1)
            gradient = device(np.zeros_like(field))
            by_waves = backend.multiply_patches_adjoint(
                device(residual.copy()), device(field), corners, device(waves), gradient
            )
            self.close(backend, by_waves, residual * windows.conj())
            expected = np.zeros_like(field)
            for (y, x), patch in zip(corners, (waves.conj() * residual).sum(1), strict=True):
                expected[y : y + 9, x : x + 8] += patch
            self.close(backend, gradient, expected)

    def test_windows_are_corrected_in_place(self, backend: Any) -> None:
        corners, device = np.array([[0, 0], [11, 13], [2, 9]]), backend.to_device
        waves, residual = _waves()[:3], _waves(1)[:3]
        step = np.random.default_rng(6).random((9, 8)).astype(np.float32)
        asked = (waves.conj() * residual).sum(1)
        phase = np.angle(_field())
        for field, turns in ((_field(), None), (np.exp(1j * phase), phase)):
            field = field.astype(np.complex64)
            windows = np.stack([field[None, y : y + 9, x : x + 8] for y, x in corners])
            got, by_waves, passed = device(field.copy()), device(waves.copy()), device(np.zeros((3, 9, 8), np.float32))
            expected = field.copy()
            if turns is None:
                backend.correct(got, corners, by_waves, device(residual), device(step), passed)
                for (y, x), change in zip(corners, step * asked, strict=True):
                    expected[y : y + 9, x : x + 8] += change
                self.close(backend, passed, np.abs(windows[:, 0]) ** 2)
            else:
                turned = device(turns.copy())
                backend.correct_phase(turned, got, corners, by_waves, device(residual), device(step))
                turns = turns.copy()
                for (y, x), change in zip(corners, step * (windows[:, 0].conj() * asked).imag, strict=True):
                    turns[y : y + 9, x : x + 8] += change
                self.close(backend, turned, turns)
                expected = np.exp(1j * turns).astype(np.complex64)
            self.close(backend, got, expected)
            self.close(backend, by_waves, windows.conj() * residual)

    def test_one_image_into_all_windows_and_all_windows_into_one(self, backend: Any) -> None:
        image, corners = np.abs(_waves()[0, 0]), _corners()
        field = backend.to_device(np.zeros((20, 21), np.float32))
        backend.add_same_patch(field, corners, backend.to_device(image))
        expected = np.zeros((20, 21), np.float32)
        for y, x in corners:
            expected[y : y + 9, x : x + 8] += image
        self.close(backend, field, expected)
        sums = backend.to_device(np.zeros_like(image))
        backend.sum_patches(field, corners, sums)
        self.close(backend, sums, sum(expected[y : y + 9, x : x + 8] for y, x in corners))
        wave = _complex(np.random.default_rng(1), (20, 21))
        sums[...] = 0
        backend.sum_patches(backend.to_device(wave), corners, sums)
        self.close(backend, sums, sum(np.abs(wave[y : y + 9, x : x + 8]) ** 2 for y, x in corners))

    def test_phases(self, backend: Any) -> None:
        generator = np.random.default_rng(3)
        phase = np.concatenate([generator.uniform(-20, 20, 999), np.arange(-8, 9) * np.pi / 4]).astype(np.float32)
        factor = backend.phase_factor(backend.to_device(phase))
        self.close(backend, factor, np.exp(1j * phase.astype(float)).astype(np.complex64))
        exact = backend.phase_factor(backend.to_device(phase.astype(float)))
        np.testing.assert_allclose(backend.to_numpy(exact), np.exp(1j * phase.astype(float)), rtol=1e-14, atol=1e-14)
        one, two = _waves(0), _waves(1)
        got = backend.phase_gradient(backend.to_device(one), backend.to_device(two))
        self.close(backend, got, (one.conj() * two).imag)

    def test_ramps(self, backend: Any) -> None:
        waves, generator = _waves(), np.random.default_rng(2)
        slopes, rows, columns = generator.normal(size=(len(waves), 2)), np.arange(9) - 4.0, generator.normal(size=8)
        device = backend.to_device
        got = device(waves.copy())
        backend.ramp(got, device(slopes), device(rows), device(columns))
        angles = slopes[:, 0, None, None] * rows[:, None] + slopes[:, 1, None, None] * columns
        self.close(backend, got, (waves * np.exp(1j * angles)[:, None]).astype(waves.dtype))

    def test_modulus(self, backend: Any) -> None:
        waves, amplitudes = _waves(), np.abs(_waves(1)[:, 0])
        waves[0, :, 0, 0] = 0  # a dark pixel divides nothing by nothing
        amplitudes[0, 0, 0] = 100.0  # however much is measured there
        waves[1, :, 0, 0] = [1e-6, -2e-6j]  # rounding of a transform, whose phase is not to be followed in full
        amplitudes[1, 0, 0] = 3.0
        device = backend.to_device(waves.copy())
        amplitudes[1, 2:4] = -1  # not measured
        value = float(backend.modulus(device, backend.to_device(amplitudes)))
        modelled = np.sqrt((np.abs(waves) ** 2).sum(1))
        np.testing.assert_allclose(value, ((amplitudes - modelled) ** 2)[amplitudes >= 0].sum(), rtol=1e-5)
        energy = (np.maximum(amplitudes, 0) ** 2).mean((1, 2), keepdims=True)
        rounding = (100 * np.finfo(np.float32).eps) ** 2 * energy
        ratio = (amplitudes - modelled) * modelled / (modelled**2 + rounding)
        ratio[amplitudes < 0] = 0
        assert abs(waves[1, 0, 0, 0] * ratio[1, 0, 0]) < 0.1  # and not 3 / sqrt(5)
        self.close(backend, device, waves * ratio[:, None])

    def test_amplitudes(self, backend: Any) -> None:
        generator = np.random.default_rng(4)
        for kind in ("u1", "u2", ">u2", "i4", "f4", "f8", "?"):
            for shape in ((9, 8), (8, 11)):
                counts = generator.poisson(3, (6, *shape)).astype(kind)
                if counts.dtype.kind in "if":
                    counts -= counts.dtype.type(1)  # some are below nothing, as where a background was taken off
                origin = np.concatenate([generator.integers(-20, 20, (5, 2)), [[0, 0]]])
                mask = generator.random(shape) < 0.8
                for window in (shape, (5, 6), (8, 7), (1, 2)):
                    for good in (None, mask):
                        patterns = Patterns(counts, origin, window, good)
                        indices = np.array([5, 0, 3])
                        for dtype in (np.float32, np.float64):
                            got = backend.amplitudes(patterns.on(backend), indices, dtype)
                            expected = _rolled(patterns, dtype)[indices]
                            self.close(backend, got, expected)
                        np.testing.assert_array_equal(patterns.amplitudes(), _rolled(patterns, np.float32))
        every_second = Patterns(counts[:, ::2], origin % 4)
        self.close(
            backend,
            backend.amplitudes(every_second.on(backend), np.arange(6), np.float32),
            _rolled(every_second, np.float32),
        )

    def test_residuals_and_second_derivatives_of_losses(self, backend: Any) -> None:
        for loss in (kind() for kind in LOSSES.values()):
            for precision, rtol in ((np.complex64, 2e-5), (np.complex128, 1e-10)):
                for modes in (1, 2):
                    far, *tangents = (2 * _waves(seed)[:, :modes].astype(precision) for seed in (0, 2, 5))
                    far[0, :, :, 0] = 0  # dark
                    amplitudes = np.abs(_waves(1)[:, 0]).astype(far.real.dtype)
                    amplitudes[0, :3], amplitudes[1, 2:4] = 0, -1
                    amplitudes[0, 4, 0] = 1000
                    intensity = (np.abs(far) ** 2).sum(1)
                    device = backend.to_device(far.copy())
                    value = float(backend.residual(device, backend.to_device(amplitudes), loss))
                    np.testing.assert_allclose(value, loss.value(intensity, amplitudes).sum(dtype=float), rtol=rtol)
                    got = backend.to_numpy(device)
                    expected = -loss.derivative(intensity, amplitudes)[:, None] * far
                    assert got.dtype == precision
                    np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * np.abs(expected).max())
                    waves = backend.to_device(far)
                    got = backend.hessian_block(
                        waves, backend.to_device(np.array(tangents)), backend.to_device(amplitudes), loss
                    )
                    one, two = (_bend(far, tangent, amplitudes, loss) for tangent in tangents)
                    mixed = (_bend(far, tangents[0] + tangents[1], amplitudes, loss) - one - two) / 2
                    expected = np.array([[one, mixed], [mixed, two]])
                    np.testing.assert_allclose(got, expected, rtol=0, atol=rtol * expected.max())
                    np.testing.assert_array_equal(backend.to_numpy(waves), far)

    def test_combinations(self, backend: Any) -> None:
        generator = np.random.default_rng(0)
        for terms in (1, 4, 7):
            weights = generator.normal(size=(5, terms)).astype(np.float32)
            images = _complex(generator, (terms, 2, 9, 8))
            got = backend.combine(backend.to_device(weights), backend.to_device(images))
            self.close(backend, got, np.tensordot(weights, images, 1))
            sums = backend.to_device(images.copy())
            backend.combine_adjoint(backend.to_device(weights), backend.to_device(_waves()), sums)
            self.close(backend, sums, images + np.tensordot(weights.T, _waves(), 1))

    def test_chunks_cover_the_batch_once(self, backend: Any) -> None:
        indices = np.arange(37)
        for size in (1, 10**6, 10**12):
            chunks = [backend.to_numpy(part) for part in backend.chunks(indices, size)]
            np.testing.assert_array_equal(np.concatenate(chunks), indices)

    def test_every_chunk_is_worked_on_once(self, backend: Any) -> None:
        sums: list[list[int]] = backend.map_reduce(lambda part, own: own.append(part), list(range(20)), list)
        assert sorted(i for own in sums for i in own) == list(range(20))

    def test_what_clashes_comes_in_turn(self, backend: Any) -> None:
        corners = np.random.default_rng(8).integers(0, 40, (60, 2))
        groups = disjoint(corners, (12, 12))
        clash = clashes(corners, (12, 12))[np.ix_(*[np.concatenate(groups)] * 2)]
        begun: list[int] = []
        done: list[int] = []

        def task(places: slice) -> None:
            own = range(places.start, places.stop)
            assert not (clash[places, places] ^ np.eye(len(own), dtype=bool)).any()
            for place in own:
                assert {j for j in range(place) if clash[j, place]} <= set(done)
            begun.extend(own)
            time.sleep(1e-3 * (places.start % 3))
            done.extend(own)

        backend.map_ordered(task, [len(group) for group in groups], clash)
        assert sorted(begun) == list(range(60))

        def fail(places: slice) -> None:
            if places.start <= 30 < places.stop:
                raise ZeroDivisionError("place 30")

        try:
            backend.map_ordered(fail, [len(group) for group in groups], clash)
        except ZeroDivisionError:
            pass
        else:
            raise AssertionError("the error of a place was swallowed")
        self.test_every_chunk_is_worked_on_once(backend)

    def test_an_error_comes_out_and_the_backend_goes_on(self, backend: Any) -> None:
        def fail(part: int, own: list[int]) -> None:
            if part == 3:
                raise ZeroDivisionError("chunk 3")

        try:
            backend.map_reduce(fail, list(range(20)), list)
        except ZeroDivisionError:
            pass
        else:
            raise AssertionError("the error of a chunk was swallowed")
        self.test_every_chunk_is_worked_on_once(backend)

    def test_no_thread_survives_closing(self, backend: Any) -> None:
        before = threading.active_count()
        backend.map_reduce(lambda part, own: None, list(range(20)), list)
        backend.close()
        assert threading.active_count() <= before
        self.test_every_chunk_is_worked_on_once(backend)  # and it may be used again

    def test_gradients_are_those_of_double_precision(self, backend: Any) -> None:
        exact = model_case(positions=90).gradients()
        case = model_case(positions=90, double=False, backend=backend)
        single = case.gradients()
        np.testing.assert_allclose(single.loss, exact.loss, rtol=1e-4)
        for name in ("object", "probe", "illumination", "coverage"):
            got, expected = backend.to_numpy(getattr(single, name)), getattr(exact, name)
            np.testing.assert_allclose(got, expected, rtol=0, atol=2e-4 * np.abs(expected).max())
        np.testing.assert_allclose(case.intensities(), model_case(positions=90).intensities(), rtol=0, atol=1e-3)


def _complex(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return (generator.normal(size=shape) + 1j * generator.normal(size=shape)).astype(np.complex64)


def _waves(seed: int = 0) -> np.ndarray:
    return _complex(np.random.default_rng(seed), (5, 2, 9, 8))


def _field() -> np.ndarray:
    return _complex(np.random.default_rng(2), (20, 21))


def _corners() -> np.ndarray:
    return np.array([[0, 0], [11, 13], [3, 4], [3, 5], [10, 2]])


def _rolled(patterns: Patterns, dtype: Any) -> np.ndarray:
    """Amplitudes by plain rolls, cut in FFT order."""
    good = np.ones(patterns.counts.shape[1:], bool) if patterns.mask is None else patterns.mask
    rows, columns = (
        np.r_[0 : (n + 1) // 2, full - n // 2 : full] for n, full in zip(patterns.shape[1:], good.shape, strict=True)
    )
    out = []
    for counts, origin in zip(patterns.counts, patterns.origin, strict=True):
        amplitudes = np.where(good, np.sqrt(np.maximum(counts.astype(dtype), 0)), -1)
        out.append(np.roll(amplitudes, -origin, (0, 1))[rows[:, None], columns])
    return np.array(out, dtype)


def _bend(far: np.ndarray, tangent: np.ndarray, amplitudes: np.ndarray, loss: Any) -> float:
    """As the seam defines it, in double precision."""
    far, tangent = far.astype(complex), tangent.astype(complex)
    intensity = (np.abs(far) ** 2).sum(1)
    lit = np.maximum(intensity, 1e-30)
    change, square = 2 * (far.conj() * tangent).sum(1).real, (np.abs(tangent) ** 2).sum(1)
    along = change**2 / (4 * lit)
    majorizer_curvature = np.maximum(loss.majorizer_curvature(intensity, amplitudes.astype(float)), 0)
    derivative = np.maximum(loss.derivative(intensity, amplitudes.astype(float)), 0)
    return float((majorizer_curvature * along + 2 * derivative * (square - along)).sum())
