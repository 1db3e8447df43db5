"""Losses: how far modelled patterns are from measured ones, pixel by pixel.

Each is a function of the modelled intensity I = sum_m |Psi_m|^2 and of the measured amplitude A, the square root of the
counts D; its minimum is 0, at I = D. The formulas are plain arithmetic, so that the same lines serve numpy arrays,
cupy's, and numba, which compiles them for one pixel (see ``backends/kernels/numba_losses.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ptywidgets.engine.core.amplitudes import amplitude_floor
from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.core.protocols import Array, Backend, Loss

# Numbers of single precision, which numba, unlike numpy, would not take plain ones for; exact, but for the last.
_1, _2, _4, _12 = (np.float32(n) for n in (1, 2, 4, 12))
_HALF, _3_8, _3_4, _FAINT = (np.float32(n) for n in (0.5, 0.375, 0.75, 1e-20))


class PixelLoss(ABC):
    """What losses of single pixels share: formulas become methods that know of dark pixels and of unmeasured ones.

    A loss gives four formulas for I > 0 and A >= 0. The methods take any I >= 0, and give 0 where A < 0, which says
    that nothing was measured.
    """

    name: ClassVar[str]

    @staticmethod
    @abstractmethod
    def value_at(i: Any, a: Any) -> Any:
        """Loss of intensity i and amplitude a, of one pixel or of arrays."""

    @staticmethod
    @abstractmethod
    def derivative_at(i: Any, a: Any) -> Any:
        """d value / d I."""

    @staticmethod
    @abstractmethod
    def second_derivative_at(i: Any, a: Any) -> Any:
        """d2 value / d I2."""

    @staticmethod
    @abstractmethod
    def curvature_at(i: Any, a: Any) -> Any:
        """d2 value / d sqrt(I)2 = 4 I second_derivative + 2 derivative, written so that nothing cancels."""

    @staticmethod
    @abstractmethod
    def secant_curvature_at(i: Any, a: Any) -> Any:
        """2 sqrt(I) derivative / (sqrt(I) - A), written so that nothing cancels: the curvature of the parabola in
        sqrt(I) that has the loss's derivative here and its minimum where the loss has its own."""

    def value(self, intensity: Array, amplitude: Array) -> Array:
        """Loss of each pixel."""
        return self._of(type(self).value_at, intensity, amplitude)

    def derivative(self, intensity: Array, amplitude: Array) -> Array:
        """Derivative of :meth:`value` by the intensity."""
        return self._of(type(self).derivative_at, intensity, amplitude)

    def second_derivative(self, intensity: Array, amplitude: Array) -> Array:
        """Second derivative of :meth:`value` by the intensity."""
        return self._of(type(self).second_derivative_at, intensity, amplitude)

    def curvature(self, intensity: Array, amplitude: Array) -> Array:
        """Second derivative of :meth:`value` by the modulus, the square root of the intensity."""
        return self._of(type(self).curvature_at, intensity, amplitude)

    def majorizer_curvature(self, intensity: Array, amplitude: Array) -> Array:
        """What a step's length is taken from: :meth:`curvature` where the model is too bright or fits, and the secant's
        where it is too dark. There a loss of counts bends the more the darker the model is, without bound, or the other
        way; a parabola with the same slope and the loss's own bottom is what leads there in one step."""
        return self._of(type(self).majorizer_curvature_at, intensity, amplitude)

    @classmethod
    def majorizer_curvature_at(cls, i: Any, a: Any) -> Any:
        """Of one pixel or of arrays."""
        return np.where(a * a > i, cls.secant_curvature_at(i, a), cls.curvature_at(i, a))

    def residual(self, backend: Backend, far: Array, amplitudes: Array) -> tuple[Any, Array]:
        """Loss (a number on the device) and residual waves (B, M, Ny, Nx), in the memory of `far`.

        The residual wave is chi = -slope Psi, minus half the gradient of the loss by Psi.
        """
        return backend.residual(far, amplitudes, self), far

    def intensity_floor(self, dtype: Any) -> Any:
        """Darker pixels are taken to be as bright as this: what is divided by it stays finite."""
        return amplitude_floor(dtype)

    def _of(self, formula: Callable[[Any, Any], Any], intensity: Any, amplitude: Any) -> Any:
        dtype = np.result_type(getattr(intensity, "dtype", float), np.float32)
        measured = np.asanyarray(amplitude) >= 0 if np.isscalar(amplitude) else amplitude >= 0
        lit = np.maximum(intensity, self.intensity_floor(dtype))
        return np.where(measured, formula(lit, np.where(measured, amplitude, 0)), 0).astype(dtype, copy=False)


@dataclass(frozen=True)
class AmplitudeLoss(PixelLoss):
    """Squared difference of amplitudes, (sqrt I - A)^2: Gaussian noise after the square root.

    The residual wave is chi = (A / |Psi| - 1) Psi; Guizar-Sicairos and Fienup, Opt. Express 16, 7264 (2008). So
    faint a wave that it may be what transforms rounded is not followed in full: chi is that times
    |Psi|^2 / (|Psi|^2 + tau^2), where tau is 100 epsilon of the root mean square of the pattern's A.

    Examples
    --------
    >>> loss = AmplitudeLoss()
    >>> float(loss.value(9.0, 2.0)), float(loss.derivative(4.0, 2.0)), float(loss.curvature(9.0, 2.0))
    (1.0, 0.0, 2.0)
    """

    name: ClassVar[str] = "amplitude"

    @staticmethod
    def value_at(i: Any, a: Any) -> Any:
        return (np.sqrt(i) - a) * (np.sqrt(i) - a)

    @staticmethod
    def derivative_at(i: Any, a: Any) -> Any:
        return _1 - a / np.sqrt(i)

    @staticmethod
    def second_derivative_at(i: Any, a: Any) -> Any:
        return _HALF * a / np.sqrt(i) / i

    @staticmethod
    def curvature_at(i: Any, a: Any) -> Any:
        return _2 + (i - i)

    @staticmethod
    def secant_curvature_at(i: Any, a: Any) -> Any:
        return _2 + (i - i)

    def residual(self, backend: Backend, far: Array, amplitudes: Array) -> tuple[Any, Array]:
        """Loss (a number on the device) and residual waves (B, M, Ny, Nx), in the memory of `far`."""
        return backend.modulus(far, amplitudes), far

    def intensity_floor(self, dtype: Any) -> Any:
        return np.finfo(dtype).tiny  # whose root is what the modulus is divided by at least


@dataclass(frozen=True)
class AnscombeLoss(PixelLoss):
    """Squared difference of square roots, (sqrt(I + 3/8) - sqrt(D + 3/8))^2: counting noise made nearly Gaussian.

    F. J. Anscombe, Biometrika 35, 246 (1948). Smooth in the dark, where the amplitude loss has a kink; of the variance
    that counting leaves, 1/4 a pixel, this holds down to about four counts.

    Examples
    --------
    >>> float(AnscombeLoss().value(4.0, 2.0))
    0.0
    """

    name: ClassVar[str] = "anscombe"

    @staticmethod
    def value_at(i: Any, a: Any) -> Any:
        difference = np.sqrt(i + _3_8) - np.sqrt(a * a + _3_8)
        return difference * difference

    @staticmethod
    def derivative_at(i: Any, a: Any) -> Any:
        return _1 - np.sqrt((a * a + _3_8) / (i + _3_8))

    @staticmethod
    def second_derivative_at(i: Any, a: Any) -> Any:
        return _HALF * np.sqrt((a * a + _3_8) / (i + _3_8)) / (i + _3_8)

    @staticmethod
    def curvature_at(i: Any, a: Any) -> Any:
        return _2 - _3_4 * np.sqrt((a * a + _3_8) / (i + _3_8)) / (i + _3_8)

    @staticmethod
    def secant_curvature_at(i: Any, a: Any) -> Any:
        root = np.sqrt(i + _3_8)
        return _2 * np.sqrt(i) * (np.sqrt(i) + a) / (root * (root + np.sqrt(a * a + _3_8)))


@dataclass(frozen=True)
class PoissonLoss(PixelLoss):
    """Likelihood of counts, I - D + D log(D / I): the negative logarithm of the Poisson distribution, shifted to end at
    0.

    Thibault and Guizar-Sicairos, New J. Phys. 14, 063004 (2012). A pixel that got counts where the model is dark
    weighs as D / I: start from a model that leaves none of the illuminated detector dark.

    Examples
    --------
    >>> loss = PoissonLoss()
    >>> float(loss.value(3.0, 0.0)), float(loss.derivative(2.0, 2.0))
    (3.0, -1.0)
    """

    name: ClassVar[str] = "poisson"

    @staticmethod
    def value_at(i: Any, a: Any) -> Any:
        d = a * a
        return i - d + d * np.log((d + _FAINT) / i)  # no logarithm of nothing where nothing was counted

    @staticmethod
    def derivative_at(i: Any, a: Any) -> Any:
        return _1 - a * a / i

    @staticmethod
    def second_derivative_at(i: Any, a: Any) -> Any:
        return a * a / i / i

    @staticmethod
    def curvature_at(i: Any, a: Any) -> Any:
        return _2 + _2 * (a * a / i)

    @staticmethod
    def secant_curvature_at(i: Any, a: Any) -> Any:
        return _2 + _2 * (a / np.sqrt(i))


@dataclass(frozen=True)
class IntensityLoss(PixelLoss):
    """Squared difference of intensities, (I - D)^2: the same noise in every pixel, so the bright ones decide.

    Examples
    --------
    >>> float(IntensityLoss().value(5.0, 2.0))
    1.0
    """

    name: ClassVar[str] = "intensity"

    @staticmethod
    def value_at(i: Any, a: Any) -> Any:
        return (i - a * a) * (i - a * a)

    @staticmethod
    def derivative_at(i: Any, a: Any) -> Any:
        return _2 * (i - a * a)

    @staticmethod
    def second_derivative_at(i: Any, a: Any) -> Any:
        return _2 + (i - i)

    @staticmethod
    def curvature_at(i: Any, a: Any) -> Any:
        return _12 * i - _4 * a * a

    @staticmethod
    def secant_curvature_at(i: Any, a: Any) -> Any:
        return _4 * np.sqrt(i) * (np.sqrt(i) + a)


LOSSES: dict[str, type[PixelLoss]] = {
    kind.name: kind for kind in (AmplitudeLoss, AnscombeLoss, PoissonLoss, IntensityLoss)
}


def hessian_rows(
    loss: Loss,
    intensity: Array,
    amplitudes: Array,
    waves: Array,
    tangents: Array,
    product: Callable[[Array, Array], Array],
) -> list[list[Any]]:
    """Second derivatives (K, K) of the loss along `tangents` (K, ...) of the waves, as :meth:`Backend.hessian_block`.

    `product` is what the detector makes of Re sum_m conj(one) two, for waves of several modes or none; `intensity` is
    that of the waves with themselves, and `amplitudes` are what was measured.
    """
    derivative = 2 * np.maximum(loss.derivative(intensity, amplitudes), 0)
    along = np.maximum(loss.majorizer_curvature(intensity, amplitudes), 0) - derivative
    root = np.sqrt(np.maximum(intensity, loss.intensity_floor(intensity.dtype)))
    changes = [product(waves, tangent) / root for tangent in tangents]  # of the modulus
    matrix: list[list[Any]] = [[None] * len(tangents) for _ in tangents]
    for k in range(len(tangents)):
        for n in range(k + 1):
            block = along * changes[k] * changes[n] + derivative * product(tangents[k], tangents[n])
            matrix[k][n] = matrix[n][k] = block.sum(dtype=np.float64)
    return matrix


def get_loss(loss: str | Loss) -> Loss:
    """A loss by its name; an instance is given back as it is.

    Examples
    --------
    >>> get_loss("poisson")
    PoissonLoss()
    >>> get_loss("poison")
    Traceback (most recent call last):
    ptywidgets.engine.core.errors.ParameterError: unknown loss 'poison'; did you mean 'poisson'? Known: amplitude, \
anscombe, intensity, poisson.
    """
    if isinstance(loss, str):
        return LOSSES[look_up("loss", loss, LOSSES)]()
    if not hasattr(loss, "residual") or isinstance(loss, type):
        raise ParameterError(
            f"loss is {loss!r}; expected one of {', '.join(LOSSES)}, or an instance such as {PoissonLoss()}."
        )
    return loss
