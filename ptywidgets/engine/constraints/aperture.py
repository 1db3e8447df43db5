"""A probe comes through an aperture: evenly illuminated up to an edge that changes smoothly with the angle, and dark
beyond.

The intensity in the aperture's plane, all modes together, is fitted on every ray from the middle by

    I(q) = level * clip((edge - q) / width, 0, 1),

once with a level of its own, and once more with the median of those levels. Edges and widths are then averaged over
neighbouring rays.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from ptywidgets.engine.constraints.probe import intensity_of
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import ReconstructionProblem
from ptywidgets.engine.core.state import State

_STEP = 0.25  # px, between edges that are tried


@dataclass(frozen=True)
class ProbeFourierAmplitude(Params):
    """Fit the edge of the aperture, ray by ray, and let nothing through beyond it; phases and counts stay.

    On the edge and beyond it, the probe's intensity is at most the fitted one. All modes are damped alike.
    """

    width: float = param(3.0, unit="px", low=0.5, high=20, step=0.5, doc="Largest width of the edge.")
    smoothing: int = param(5, low=1, high=45, doc="Rays, of about a pixel at the edge of the box, that are averaged.")
    flat: bool = param(False, doc="Whether all of the aperture gets the same intensity, too.")

    acts_on = "probe"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        backend = problem.backend
        xp = backend.xp
        fit = EdgeFit(problem.initial_probe.shape[-2:], problem.sampling, self.width, self.smoothing)

        def apply(state: State) -> State:
            spectrum = backend.fft2(state.probe.copy())
            intensity = (spectrum.real**2 + spectrum.imag**2).sum(0)
            shape, level = fit(backend.to_numpy(intensity))
            profile = backend.to_device(shape)
            through = profile * (np.float32(level) / xp.maximum(intensity, np.float32(1e-6 * level + 1e-30)))
            if not self.flat:  # only what is too bright: an edge that is taken off again and again would move inwards
                through = xp.where(profile < 1, xp.minimum(through, 1), 1)
            spectrum *= xp.sqrt(through)
            counts = intensity_of(spectrum)
            if not counts > 0:
                return state
            spectrum *= np.float32((intensity_of(state.probe) / counts) ** 0.5)
            return state.replace(probe=backend.ifft2(spectrum))

        return apply


class EdgeFit:
    """The edge of an illuminated disk on every ray, for intensities (Ny, Nx) in FFT order.

    Parameters
    ----------
    shape : (int, int)
        Of the intensities.
    sampling : (float, float)
        Of the real space that belongs to them, A; distances are in units of the larger frequency pixel.
    width : float
        Largest width of the edge, px.
    smoothing : int
        Number of rays that edges are averaged over.
    """

    def __init__(self, shape: tuple[int, int], sampling: tuple[float, float], width: float, smoothing: int) -> None:
        self.smoothing = smoothing
        pixels = [1 / (n * d) for n, d in zip(shape, sampling, strict=True)]
        unit = max(pixels)
        y, x = (np.fft.fftfreq(n, 1 / n) * p / unit for n, p in zip(shape, pixels, strict=True))
        self.radius = np.hypot(y[:, None], x)
        reach = min(abs(y).max(), abs(x).max())
        count = max(16, int(np.ceil(2 * np.pi * reach)))
        self.angles = np.arange(count) * 2 * np.pi / count
        self.angle = np.arctan2(y[:, None], x) % (2 * np.pi)
        self.radii = np.arange(0, reach, 0.5)
        rows, columns = (
            np.outer(f(self.angles), self.radii) * unit / p for f, p in zip((np.sin, np.cos), pixels, strict=True)
        )
        self._where = np.array([rows, columns])
        edges = np.arange(_STEP, reach + width, _STEP)
        widths = np.unique(np.clip([0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, width], None, width))
        edge, broad = (v.ravel() for v in np.meshgrid(edges, widths, indexing="ij"))
        half = edge - broad / 2  # where half of the level is left; a whole edge must begin outside of the middle
        self._edge, self._width = (v[(half > 0) & (half < reach)] for v in (edge, broad))
        self._profiles = self.profile(self.radii, self._edge[:, None], self._width[:, None])
        self._power = (self._profiles**2).sum(1)

    @staticmethod
    def profile(radius: np.ndarray, edge: np.ndarray, width: np.ndarray) -> np.ndarray:
        """clip((edge - radius) / width, 0, 1)."""
        return ((edge - radius) / width).clip(0, 1)

    def edges(self, intensity: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        """Edge and width in px on every ray, and the level."""
        # The modulo of the coordinates makes the image periodic, whatever order its rows are in.
        rays = ndimage.map_coordinates(intensity.astype(float), self._where, order=1, mode="grid-wrap")
        products = rays @ self._profiles.T
        # Least squares: what a profile explains is <I, T>^2 / <T, T> with the best level <I, T> / <T, T>.
        best = (products**2 / self._power).argmax(1)
        level = float(np.median(np.take_along_axis(products, best[:, None], 1)[:, 0] / self._power[best]))
        best = (2 * products - level * self._power).argmax(1)
        edge, width = (
            ndimage.uniform_filter1d(v[best], self.smoothing, mode="wrap") for v in (self._edge, self._width)
        )
        return edge, width, level

    def __call__(self, intensity: np.ndarray) -> tuple[np.ndarray, float]:
        """The fitted intensity, between 0 and 1, as float32 (Ny, Nx); and the level."""
        edge, width, level = self.edges(intensity)
        edge, width = (np.interp(self.angle, self.angles, v, period=2 * np.pi) for v in (edge, width))
        return self.profile(self.radius, edge, width).astype(np.float32), level
