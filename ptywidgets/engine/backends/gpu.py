"""The GPU backend: the same operations in cupy, whole batches at a time.

The only module of the package that imports cupy. The array module is a constructor argument, so that the tests can run
this very code with numpy standing in where there is no GPU.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from ptywidgets.engine.backends.kernels.numpy_kernels import hessian_of_waves
from ptywidgets.engine.core.amplitudes import amplitude_floor, rounding_share
from ptywidgets.engine.core.protocols import Loss
from ptywidgets.engine.data.patterns import Patterns, fft_rows
from ptywidgets.engine.data.streamed_counts import is_streamed

Result = TypeVar("Result")
_SHARE_OF_FREE_MEMORY = 0.25
_ARRAYS = 8  # wave arrays alive at the same time


class GpuBackend:
    """Operations on an array module such as cupy.

    Parameters
    ----------
    xp : module
        cupy, or numpy as a stand-in.
    add_at : callable
        ``add_at(array, index, values)``, adding repeated indices up: ``cupyx.scatter_add`` or ``numpy.add.at``.
    free_bytes : callable
        Free memory of the device in bytes.
    """

    name = "gpu"

    def __init__(self, xp: Any, add_at: Callable[..., None], free_bytes: Callable[[], int]) -> None:
        self.xp = xp
        self._add_at = add_at
        self._free_bytes = free_bytes

    def to_device(self, array: Any, dtype: Any = None) -> Any:
        if isinstance(array, np.ndarray) and not array.dtype.isnative:  # as some cameras write; no device knows it
            array = array.astype(array.dtype.newbyteorder("="))
        return self.xp.asarray(array, dtype=dtype)

    def to_numpy(self, array: Any) -> np.ndarray:
        return array.get() if hasattr(array, "get") else np.asarray(array)

    def free_memory(self) -> float | None:
        return float(self._free_bytes())

    def fft2(self, waves: Any) -> Any:
        return self.xp.fft.fft2(waves, norm="ortho").astype(waves.dtype, copy=False)

    def ifft2(self, waves: Any) -> Any:
        return self.xp.fft.ifft2(waves, norm="ortho").astype(waves.dtype, copy=False)

    def _index(self, corners: Any, shape: tuple[int, int]) -> tuple[Any, Any]:
        xp = self.xp
        corners = xp.asarray(corners)
        rows = corners[:, 0, None, None] + xp.arange(shape[0])[None, :, None]
        columns = corners[:, 1, None, None] + xp.arange(shape[1])[None, None, :]
        return rows, columns

    def extract_patches(self, field: Any, corners: Any, shape: tuple[int, int]) -> Any:
        rows, columns = self._index(corners, shape)
        return self.xp.moveaxis(field[:, rows, columns], 0, 1)

    def add_patches(self, field: Any, corners: Any, patches: Any) -> None:
        rows, columns = self._index(corners, patches.shape[-2:])
        for s in range(field.shape[0]):
            target, values = field[s], patches[:, s]
            if self.xp.iscomplexobj(target):  # atomic adds exist for real numbers only
                self._add_at(target.real, (rows, columns), values.real)
                self._add_at(target.imag, (rows, columns), values.imag)
            else:
                self._add_at(target, (rows, columns), values)

    def empty(self, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.xp.empty(shape, dtype)  # cupy's memory pool reuses what was freed

    def zeros(self, shape: tuple[int, ...], dtype: Any) -> Any:
        return self.xp.zeros(shape, dtype)

    def multiply_patches(self, waves: Any, field: Any, corners: Any) -> Any:
        return waves * self.extract_patches(field[None], corners, waves.shape[-2:])

    def multiply_patches_adjoint(self, residual: Any, field: Any, corners: Any, waves: Any, gradient: Any) -> Any:
        self.add_patches(gradient[None], corners, (waves.conj() * residual).sum(1, keepdims=True))
        residual *= self.extract_patches(field[None], corners, waves.shape[-2:]).conj()
        return residual

    def correct(self, field: Any, corners: Any, waves: Any, residual: Any, step: Any, passed: Any) -> None:
        windows = self.extract_patches(field[None], corners, step.shape)
        change = (waves.conj() * residual).sum(1, keepdims=True)
        self.xp.multiply(windows.conj(), residual, out=waves)
        passed[...] = (windows.real**2 + windows.imag**2)[:, 0]
        change *= step
        self.add_patches(field[None], corners, change)

    def correct_phase(self, phase: Any, field: Any, corners: Any, waves: Any, residual: Any, step: Any) -> None:
        windows = self.extract_patches(field[None], corners, step.shape)
        change = self.phase_gradient(windows, (waves.conj() * residual).sum(1, keepdims=True))
        self.xp.multiply(windows.conj(), residual, out=waves)
        change *= step
        self.add_patches(phase[None], corners, change)
        rows, columns = self._index(corners, step.shape)
        field[rows, columns] = self.phase_factor(phase[rows, columns])

    def phase_factor(self, phase: Any) -> Any:
        out = self.xp.empty(phase.shape, np.result_type(phase.dtype, np.complex64))
        out.real, out.imag = self.xp.cos(phase), self.xp.sin(phase)
        return out

    def phase_gradient(self, transmission: Any, gradient: Any) -> Any:
        return transmission.real * gradient.imag - transmission.imag * gradient.real

    def add_same_patch(self, field: Any, corners: Any, image: Any) -> None:
        for part in self.chunks(corners, image.nbytes):
            self.add_patches(field[None], part, self.xp.broadcast_to(image, (len(part), 1, *image.shape)))

    def sum_patches(self, field: Any, corners: Any, sums: Any) -> None:
        if self.xp.iscomplexobj(field):
            field = field.real**2 + field.imag**2
        for part in self.chunks(corners, sums.nbytes):
            sums += self.extract_patches(field[None], part, sums.shape).sum((0, 1))

    def ramp(self, waves: Any, slopes: Any, rows: Any, columns: Any) -> None:
        down, along = (
            self.xp.exp(1j * slopes[:, axis, None] * line).astype(waves.dtype)
            for axis, line in enumerate((rows, columns))
        )
        waves *= down[:, None, :, None] * along[:, None, None, :]

    def amplitudes(self, patterns: Patterns, indices: Any, dtype: Any) -> Any:
        out = self._roots(patterns, indices, dtype)
        if patterns.substitutes is not None:
            places, rows = patterns.substitutes.among(indices)
            if len(places):
                others = self._roots(patterns.substitutes.patterns, rows, dtype)
                out[self.xp.asarray(places)] = others * np.dtype(dtype).type(patterns.substitutes.factor)
        return out

    def _roots(self, patterns: Patterns, indices: Any, dtype: Any) -> Any:
        xp = self.xp
        counts, at = patterns.counts, indices
        if is_streamed(counts):
            counts, at = counts.block(self.to_numpy(indices))
            counts = xp.asarray(counts)
        origin = patterns.origin[xp.asarray(indices)]
        (_, qy, qx), (_, ny, nx) = patterns.counts.shape, patterns.shape
        rows = fft_rows(origin[:, 0], ny, qy, xp)[:, :, None]
        columns = fft_rows(origin[:, 1], nx, qx, xp)[:, None, :]
        out = counts[xp.asarray(at)[:, None, None], rows, columns].astype(dtype)
        if patterns.mask is None:
            return xp.sqrt(xp.maximum(out, 0, out=out), out=out)
        good = patterns.mask[rows, columns]
        return xp.where(good, xp.sqrt(xp.maximum(xp.where(good, out, 0), 0)), -1).astype(dtype, copy=False)

    def modulus(self, far: Any, amplitudes: Any) -> Any:
        xp = self.xp
        modelled = xp.sqrt((far.real**2 + far.imag**2).sum(1))
        difference = (amplitudes - modelled) * (amplitudes >= 0)
        value = xp.vdot(difference, difference)
        dtype = np.dtype(modelled.dtype)
        energy = xp.square(xp.maximum(amplitudes, 0)).mean((1, 2), keepdims=True)
        rounding = rounding_share(dtype) ** 2 * energy + amplitude_floor(dtype) ** 2
        difference *= modelled
        difference /= xp.square(modelled, out=modelled) + rounding
        far *= difference[:, None]
        return value

    def residual(self, far: Any, amplitudes: Any, loss: Loss) -> Any:
        intensity = (far.real**2 + far.imag**2).sum(1)
        value = loss.value(intensity, amplitudes).sum(dtype=np.float64)
        far *= -loss.derivative(intensity, amplitudes)[:, None]
        return value

    def hessian_block(self, far: Any, tangents: Any, amplitudes: Any, loss: Loss) -> np.ndarray:
        rows = hessian_of_waves(far, tangents, amplitudes, loss)
        return self.to_numpy(self.xp.stack([self.xp.stack(row) for row in rows]))

    def combine(self, weights: Any, images: Any) -> Any:
        flat = images.reshape(len(images), -1).view(weights.dtype)
        return (weights @ flat).view(images.dtype).reshape(len(weights), *images.shape[1:])

    def combine_adjoint(self, weights: Any, waves: Any, sums: Any) -> None:
        flat = waves.reshape(len(waves), -1).view(weights.dtype)
        sums += (weights.T @ flat).view(waves.dtype).reshape(sums.shape)

    def chunks(self, indices: Any, bytes_per_position: int) -> list[Any]:
        size = max(1, int(self._free_bytes() * _SHARE_OF_FREE_MEMORY) // (_ARRAYS * bytes_per_position))
        return [indices[i : i + size] for i in range(0, len(indices), size)]

    def map_reduce(
        self,
        task: Callable[[Any, Any], None],
        chunks: Sequence[Any],
        make: Callable[[], Result],
        sums: Sequence[Result] = (),
    ) -> list[Result]:
        accumulator = sums[0] if sums else make()
        for chunk in chunks:
            task(chunk, accumulator)
        return [accumulator]

    def map_ordered(self, task: Callable[[slice], None], sizes: Sequence[int], clash: Any) -> None:
        first = 0
        for size in sizes:
            task(slice(first, first + size))
            first += size

    def close(self) -> None:
        """Nothing to end: cupy owns its streams."""


def find() -> GpuBackend | None:
    """The backend of the first GPU that cupy finds, or None."""
    try:
        cupy = importlib.import_module("cupy")
        if cupy.cuda.runtime.getDeviceCount() < 1:
            return None
    except ImportError:
        return None
    except Exception as error:  # cupy raises its own classes for missing drivers and libraries
        if "cuda" not in type(error).__module__.lower() and "cupy" not in type(error).__module__.lower():
            raise
        return None
    cupyx = importlib.import_module("cupyx")
    return GpuBackend(cupy, cupyx.scatter_add, lambda: cupy.cuda.runtime.memGetInfo()[0])
