"""How strong the diffuse scattering is at every pixel, how the atoms swing, and what all patterns have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.models.parts.learned_shape import LEARNED, areas
from ptywidgets.engine.models.parts.scattering import Diffuse
from ptywidgets.engine.problem.problem import Problem

MOST = 2.0  # factor by which anything grows or shrinks in one step
DIFFERENCE = 0.02  # of log B, for the derivative of a shape
RIDGE = 1e-3  # of the curvatures
BEYOND = 1.5  # radii of the aperture: nearer, the coherent wave's own errors outweigh what is diffuse
LONGEST = 0.25  # step of the logarithms
LEAST_SEEN = 1e-3  # of the most: pixels that were illuminated less stay
UNSEEN = 1e-9  # of the best known weight's curvature: no pixel of the window sees it
B_RANGE = (0.02, 5.0)  # A^2
STANDS_OUT = (4.0, 8.0)  # times what its neighbours ask for, and times the counting noise: a hot pixel, no background


@dataclass(frozen=True)
class RefineDiffuse(Params):
    """Fits what is added to the waves: the strength map, the Debye-Waller factors, the background.

    The expected counts are linear in each, so x <- x (1 - g / w) with g the loss's gradient and w what x brings to all
    pixels together: for the Poisson loss that is the expectation-maximisation step of Shepp and Vardi, IEEE Trans. Med.
    Imag. 1, 113 (1982), which needs no step size and keeps x positive. The strength also feels what its absorption does
    to the coherent wave. Debye-Waller factors, and each map as a whole with them, take Gauss-Newton steps, where
    counts were held out by those: an object that fits the noise of its own counts takes the farthest diffuse ones away.

    A background is smooth: its factors are means over neighbouring pixels, weighted by how much each tells of it, so
    that it begins flat and gets no finer detail than `smooth_background`. Pixels that stand out are left to the data.
    """

    tds_strength: bool = param(True, doc="Fit the strength of each channel at every pixel.")
    b_factor: bool = param(True, doc="Fit each channel's Debye-Waller factor, or the shape that is learned.")
    background: bool = param(True, doc="Fit the background.")
    smooth: float = param(
        0.2, unit="A", low=0, high=5, step=0.05, doc="Gaussian that the steps of the strength are smoothed by."
    )
    smooth_background: float = param(
        3.0, unit="px", low=0, high=100, step=0.5, doc="Gaussian on the detector that a background is as smooth as."
    )
    acceleration: float = param(
        1.5, low=0.1, high=2, step=0.1, doc="Power of the factors; 1 is the plain rule, more goes faster."
    )
    map_from: int = param(
        4, low=0, high=100000, doc="Iteration in which the strength, until then one number, takes the potential's form."
    )
    b_from: int = param(8, low=0, high=100000, doc="First iteration in which Debye-Waller factors are fitted.")

    acts_on = "parameters"
    needs = "diffuse"

    def prepare(self, problem: Problem) -> Callable[[State, Any], State]:
        backend = problem.backend
        sigma = [0, 0, *(self.smooth / s for s in problem.sampling)]
        slow = self.acceleration / max(1.0, problem.curvature_bound / 2)

        def apply(state: State, batch: Any) -> State:
            model = problem.model_at(state)
            if model.diffuse is None and model.background is None:
                return state
            g = problem.gradients(state, batch, with_probe=False, with_others=True)
            found = dict(state.parameters)
            if self.tds_strength and "tds_strength" in g.others:
                factor = self._factor(backend.xp, g, "tds_strength", slow)
                if state.iteration < self.map_from:
                    factor = factor * 0 + _overall(g.others["tds_strength"], g.weights["tds_strength"], slow)
                elif state.iteration == self.map_from and state.batch <= 1:
                    found["tds_strength"] = found["tds_strength"] * _form(state.object)
                elif self.smooth:
                    factor = backend.to_device(ndimage.gaussian_filter(backend.to_numpy(factor), sigma), factor.dtype)
                found["tds_strength"] = found["tds_strength"] * factor
            if self.background and "background" in g.others:
                if self.smooth_background:
                    smooth = _neighbours(backend.to_numpy, found["background"], g, self.smooth_background)
                    factor = backend.to_device(_limited(np, smooth, slow), found["background"].dtype)
                else:
                    factor = self._factor(backend.xp, g, "background", slow)
                found["background"] = found["background"] * factor
            if state.iteration >= self.b_from and model.diffuse is not None and "channel" in g.others:
                if problem.held_out is not None:
                    if state.batch != 1:  # once in an iteration
                        return state.replace(parameters=found)
                    alone, dimmed = problem.held_out.unseen(problem, state.replace(parameters=found))
                    every = np.arange(alone.count)
                    g = alone.gradients(dimmed, every, with_probe=False, with_others=True)
                scale, b_factor, profile = _newton(backend.to_numpy, model.diffuse, g)
                if self.tds_strength:
                    found["tds_strength"] = (
                        found["tds_strength"] * backend.to_device(scale, np.float32)[:, None, None, None]
                    )
                if self.b_factor:
                    found["b_factor"] = b_factor
                    if "profile" in found:
                        found["profile"] = profile
            return state.replace(parameters=found)

        return apply

    def _factor(self, xp: Any, g: Gradients, name: str, slow: float) -> Array:
        """What a parameter is multiplied by, 1 where hardly anything was seen."""
        gradient, weight = g.others[name], g.weights[name]
        seen = weight > LEAST_SEEN * weight.max()
        ratio = 1 - xp.where(seen, gradient / xp.where(seen, weight, 1), 0)
        return _limited(xp, ratio, slow).astype(gradient.dtype, copy=False)


def _limited(xp: Any, ratio: Array, slow: float) -> Array:
    """A factor of a ratio: neither 0 nor far from 1."""
    return (xp.clip(ratio, 1e-6, None) ** slow).clip(1 / MOST, MOST)


def _neighbours(host: Callable[[Any], np.ndarray], present: Array, g: Gradients, sigma: float) -> np.ndarray:
    """What the pixels about each one say, together, that the background (Ny, Nx) should be multiplied by.

    Each pixel wants 1 - g / w. It is asked as much as its counts are the background's, b l'': where waves outshine it,
    those around know better, and far within them all together. What is masked is not asked at all, nor is what stands
    out: a hot pixel shines alone, and a background has neighbours.
    """
    background, gradient = host(present), host(g.others["background"])
    weight, curvature = host(g.weights["background"]), host(g.weights["background curvature"])
    told = background * curvature if curvature.any() else weight  # a detector that mixes pixels says no curvatures
    told, wanted, counts = (
        np.fft.fftshift(a) for a in (told, 1 - gradient / np.maximum(weight, 1e-30), background * weight)
    )

    def mean(asked: np.ndarray) -> np.ndarray:
        over, under = (ndimage.gaussian_filter(a, sigma, mode="constant") for a in (asked * wanted, asked))
        total = max(float(asked.sum()), 1e-30)
        return (over + RIDGE * float((asked * wanted).sum()) / asked.size) / (under + RIDGE * total / asked.size)

    about = mean(told)
    for _ in range(2):  # the second time without those that raised the first mean
        noise = np.sqrt(np.maximum(about, 0) / np.maximum(counts, 1e-30))
        about = mean(np.where(wanted > STANDS_OUT[0] * about + STANDS_OUT[1] * noise, 0, told))
    return np.fft.ifftshift(about)


def _overall(gradient: Array, weight: Array, slow: float) -> float:
    """What a whole map is multiplied by."""
    if float(weight.sum()) <= 0:
        return 1.0
    ratio = 1 - float(gradient.sum()) / float(weight.sum())
    return float(min(max(ratio, 1 / MOST), MOST) ** slow)


def _form(obj: Array) -> Array:
    """Where the atoms are (1, S, Y, X): the phase over its mean, with a little left where there is none."""
    phase = np.angle(obj) if np.iscomplexobj(obj) else obj
    phase = np.maximum(phase, 0)
    return (0.05 + 0.95 * phase / max(float(phase.mean()), 1e-6))[None].astype(np.float32)


def _newton(
    host: Callable[[Any], np.ndarray], diffuse: Diffuse, g: Gradients
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Factors (C,) of the channels' strength, Debye-Waller factors, learned shapes: a Gauss-Newton step together.

    With q the electrons given off, I changes by q B da + q (dB / d log b) db; all patterns together have the slopes
    sum_j q l' and the curvatures sum_j q^2 l'' at every pixel. The two go together: a shape that falls off too soon
    asks for more strength. Of a learned shape the logarithms of all weights take such a step, of which what they hold
    together is strength.
    """
    slopes, curvature = host(g.others["channel"]), host(g.weights["channel curvature"])
    window = slopes.shape[-2:]
    ky, kx = (np.fft.fftfreq(n, 1 / n) / e for n, e in zip(window, diffuse.extent, strict=True))
    dark = np.hypot(ky[:, None], kx[None]) > BEYOND * diffuse.aperture
    present = np.array(diffuse.b_factor, float) * np.ones(len(slopes))
    scale = np.ones(len(slopes))
    learned: list[np.ndarray] = []
    for c, element in enumerate(diffuse.elements):
        if element == LEARNED:
            scale[c], weights = _relearned(diffuse, diffuse.weights(host)[len(learned)], dark, slopes[c], curvature[c])
            learned.append(weights)
            continue
        shape = diffuse.shape_of(element, present[c], window)
        step = np.exp(DIFFERENCE)
        change = diffuse.shape_of(element, present[c] * step, window) - diffuse.shape_of(
            element, present[c] / step, window
        )
        ways = np.stack([shape, change / (2 * DIFFERENCE)]) * dark
        matrix = np.einsum("ayx,byx,yx->ab", ways, ways, curvature[c])
        if matrix[0, 0] <= 0:  # a detector that mixes pixels says no curvatures
            continue
        matrix += np.diag(RIDGE * np.diag(matrix))
        move = -np.linalg.solve(matrix, (ways * slopes[c]).sum((1, 2)))
        move = move.clip(-LONGEST, LONGEST)
        scale[c] = np.exp(move[0])
        present[c] = np.clip(present[c] * np.exp(move[1]), *B_RANGE)
    return scale.astype(np.float32), present, np.array(learned)


def _relearned(
    diffuse: Diffuse, weights: np.ndarray, dark: np.ndarray, slopes: np.ndarray, curvature: np.ndarray
) -> tuple[float, np.ndarray]:
    """What a learned shape's strength is multiplied by, and its new weights (K,)."""
    ways = weights[:, None, None] * diffuse.hat_functions(slopes.shape) * dark
    matrix = np.einsum("ayx,byx,yx->ab", ways, ways, curvature)
    asked = np.diag(matrix) > UNSEEN * np.diag(matrix).max()
    if not asked.any():
        return 1.0, weights
    matrix = matrix[np.ix_(asked, asked)]
    matrix += np.diag(RIDGE * np.diag(matrix))
    move = np.zeros(len(weights))
    move[asked] = -np.linalg.solve(matrix, (ways * slopes).sum((1, 2))[asked])
    moved = weights * np.exp(move.clip(-LONGEST, LONGEST))
    held = float(moved @ areas(diffuse.aperture, diffuse.reach))
    return held, moved / held
