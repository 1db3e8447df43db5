"""The CPU's inner loops, in one of two forms with the same results: compiled by numba, or composed of numpy calls."""

from __future__ import annotations

import importlib.util
import sys
import time
from typing import Any, Protocol

import numpy as np

from ptywidgets.engine.backends.kernels import numpy_kernels
from ptywidgets.engine.core.errors import ParameterError, unknown_name

KERNELS = ("auto", "numba", "numpy")


class Kernels(Protocol):
    """Waves are (B, M, Ny, Nx), or (1, M, Ny, Nx) where all positions share one; fields (Y, X); corners (B, 2) int.

    All arrays are C-contiguous and of one precision.
    """

    def multiply_patches(self, waves: np.ndarray, field: np.ndarray, corners: np.ndarray, out: np.ndarray) -> None:
        """out = waves x window of the field."""

    def multiply_patches_adjoint(
        self, residual: np.ndarray, field: np.ndarray, corners: np.ndarray, waves: np.ndarray, gradient: np.ndarray
    ) -> None:
        """window of the gradient += sum_m conj(waves) x residual; then residual *= conj(window of the field)."""

    def extract_patches(self, field: np.ndarray, corners: np.ndarray, out: np.ndarray) -> None:
        """out (B, S, Ny, Nx) = windows of the slices (S, Y, X)."""

    def add_patches(self, field: np.ndarray, corners: np.ndarray, patches: np.ndarray) -> None:
        """windows of the slices (S, Y, X) += patches (B, S, Ny, Nx)."""

    def phase_factor(self, phase: np.ndarray, out: np.ndarray) -> None:
        """out = exp(i phase), of any shape; float32 to 1e-6 for phases below 1000 rad."""

    def phase_gradient(self, transmission: np.ndarray, gradient: np.ndarray, out: np.ndarray) -> None:
        """out = Im(conj(transmission) gradient), of any shape."""

    def correct(
        self,
        field: np.ndarray,
        corners: np.ndarray,
        waves: np.ndarray,
        residual: np.ndarray,
        step: np.ndarray,
        passed: np.ndarray,
    ) -> None:
        """window of the field += step x sum_m conj(waves) x residual, one after the other, with passed = |window|^2 and
        waves = conj(window) x residual of the window as it was; waves (B, M, Ny, Nx), passed (B, Ny, Nx)."""

    def correct_phase(
        self,
        phase: np.ndarray,
        field: np.ndarray,
        corners: np.ndarray,
        waves: np.ndarray,
        residual: np.ndarray,
        step: np.ndarray,
    ) -> None:
        """The same for field = exp(i phase): window of the phase += step x Im(conj(window) sum_m conj(waves) residual),
        and the field follows."""

    def add_same_patch(self, field: np.ndarray, corners: np.ndarray, image: np.ndarray, rows: tuple[int, int]) -> None:
        """window of the field += image, real, in the field's rows from the first to before the second of `rows`;
        corners by ascending row."""

    def sum_patches(self, field: np.ndarray, corners: np.ndarray, sums: np.ndarray, rows: tuple[int, int]) -> None:
        """sums += window of the field, or of its intensity where it is complex, of these rows; corners by ascending
        row."""

    def ramp(self, waves: np.ndarray, slopes: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> None:
        """waves *= exp(i (slopes[:, 0] rows + slopes[:, 1] columns)), in place; (B, 2), (Ny,) and (Nx,)."""

    def amplitudes(
        self, counts: np.ndarray, indices: np.ndarray, origin: np.ndarray, mask: np.ndarray | None, out: np.ndarray
    ) -> None:
        """out (B, Ny, Nx) = square roots of counts[indices], in FFT order from each one's origin; -1 where masked."""

    def modulus(self, far: np.ndarray, amplitudes: np.ndarray) -> Any:
        """far *= (A - |far|) |far| / (|far|^2 + tau^2) in place, with |far|^2 summed over modes, and 0 where A < 0;
        tau = rounding_share rms(A of the pattern); returns the sum of (A - |far|)^2 over A >= 0."""

    def residual(self, far: np.ndarray, amplitudes: np.ndarray, loss: Any) -> Any:
        """far *= -slope of the loss, in place; returns the sum of its values."""

    def hessian_block(self, far: np.ndarray, tangents: np.ndarray, amplitudes: np.ndarray, loss: Any) -> np.ndarray:
        """See :meth:`ptywidgets.engine.core.protocols.Backend.hessian_block`."""

    def accumulate(self, weights: np.ndarray, source: np.ndarray, target: np.ndarray, clear: bool) -> None:
        """target (J, n) += weights (J, K) @ source (K, n), real; or = where `clear`."""


def compiled(wanted: str) -> bool:
    """Whether a name of kernels stands for those that numba compiles; "auto" does where numba is installed.

    Raises
    ------
    ParameterError
        When there is no such name, or numba is asked for and not installed.

    Examples
    --------
    >>> compiled("numpy")
    False
    """
    if wanted not in KERNELS:
        raise unknown_name("kernels", wanted, KERNELS)
    has_numba = importlib.util.find_spec("numba") is not None
    if wanted == "numba" and not has_numba:
        raise ParameterError("kernels is 'numba' but numba is not installed; run: pip install numba, or use 'numpy'.")
    return wanted != "numpy" and has_numba


def load_kernels(wanted: str = "auto") -> Kernels:
    """The kernels of a name; "auto" takes numba where it is installed.

    Examples
    --------
    >>> load_kernels("numpy").__name__
    'ptywidgets.engine.backends.kernels.numpy_kernels'
    """
    if compiled(wanted):
        from ptywidgets.engine.backends.kernels import numba_kernels

        return numba_kernels
    return numpy_kernels


def hold_compiler(until: float) -> bool:
    """Take numba's one lock of its compiler, and keep it; whether that worked before `until` (monotonic, s).

    Kept to the end of the process by the thread that takes the interpreter down, no other one is within the compiler
    then: cut off in the middle of its C++ code it would abort the process. Numba that nobody has loaded stays so.
    """
    module = sys.modules.get("numba.core.compiler_lock")
    lock = getattr(getattr(module, "global_compiler_lock", None), "_lock", None)
    return lock is None or bool(lock.acquire(timeout=max(0.0, until - time.monotonic())))
