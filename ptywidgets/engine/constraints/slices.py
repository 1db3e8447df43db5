"""Constraints along the beam; an object of one slice is left alone.

A focused beam tells depth badly: of a detail of frequency k in the plane, only frequencies kz up to about alpha k along
the beam are seen, alpha being the semi-angle (the missing cone). What is said here about the rest is said per density,
with each slice's own thickness, and never changes what is seen in projection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.constraints.depth import mix, on_depth, profiles, thicknesses
from ptywidgets.engine.constraints.object_filters import frequencies
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State


@dataclass(frozen=True)
class IdenticalSlices(Params):
    """The specimen is the same at every depth: every slice gets its share of the sum."""

    acts_on = "object"
    needs = "slices"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        count = problem.object_shape[0]
        thick = _thickness_or_equal(problem)
        part = problem.backend.to_device((thick / thick.sum()).astype(np.float32))
        matrix = part[:, None].repeat(count, 1)
        return on_depth(problem, lambda values: mix(problem.backend.xp, matrix, values))


@dataclass(frozen=True)
class KzFilter(Params):
    """Damp what changes faster along the beam than in the plane, which hardly is measured (the missing cone).

    W = 1 - 2/pi arctan((gamma kz / k)^2), kz and k in 1/A (Tsai et al., Opt. Express 24, 29089 (2016)). The ends of the
    specimen are mirrors: nothing from the last slice comes into the first. Without a thickness it does nothing.
    """

    gamma: float = param(1.0, low=0.001, high=1000, log=True, doc="Strength: where kz is k / gamma, half is left.")

    acts_on = "object"
    needs = "slices"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        thick = thicknesses(problem)
        if thick is None:
            return _nothing
        backend = problem.backend
        kz, shapes = profiles(thick)
        k = frequencies(problem)
        weights = 1 - 2 / np.pi * np.arctan2((self.gamma * kz[:, None, None]) ** 2, k**2)
        weights[0] = 1
        device = backend.to_device(weights.astype(np.float32))
        into, out = _there_and_back(problem, thick, shapes)

        def change(values: Array) -> Array:
            parts = backend.fft2(mix(backend.xp, into, values).astype(np.complex64))
            parts = backend.ifft2(parts * device)
            # The weights are real and even, so that a real object stays real.
            return mix(backend.xp, out, parts if values.dtype.kind == "c" else parts.real)

        return on_depth(problem, change)


@dataclass(frozen=True)
class DepthFilter(Params):
    """Blur along the beam by a Gaussian. Without a thickness it does nothing."""

    sigma: float = param(10.0, unit="A", low=0, high=1000, doc="Standard deviation of the Gaussian along the beam.")

    acts_on = "object"
    needs = "slices"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        thick = thicknesses(problem)
        if thick is None:
            return _nothing
        kz, shapes = profiles(thick)
        into, out = _there_and_back(problem, thick, shapes)
        damping = problem.backend.to_device(np.exp(-2 * (np.pi * self.sigma * kz) ** 2).astype(np.float32))
        matrix = (out * damping) @ into
        return on_depth(problem, lambda values: mix(problem.backend.xp, matrix, values))


@dataclass(frozen=True)
class LowRank(Params):
    """Few different profiles in depth: the mean, and at most `rank` more (those of the largest singular values)."""

    rank: int = param(1, low=0, high=20, doc="Profiles beside the mean; 0 makes all slices the same.")

    acts_on = "object"
    needs = "slices"

    def prepare(self, problem: ReconstructionProblem) -> Callable[[State], State]:
        backend = problem.backend
        xp = backend.xp
        root = np.sqrt(_thickness_or_equal(problem))
        weight = backend.to_device(root.astype(np.float32))[:, None, None]
        direction = root / np.linalg.norm(root)

        def change(values: Array) -> Array:
            if self.rank >= len(values) - 1:
                return values
            # With V / sqrt(thickness) = sqrt(thickness) density, squares are integrals over the depth.
            rows = (values / weight).reshape(len(values), -1)
            overlaps = backend.to_numpy(rows @ rows.conj().T).astype(np.complex128)
            apart = np.eye(len(direction)) - np.outer(direction, direction)
            _, vectors = np.linalg.eigh(apart @ overlaps @ apart)
            kept = np.concatenate([direction[:, None], vectors[:, ::-1][:, : self.rank]], axis=1)
            kept, _ = np.linalg.qr(kept)
            projector = kept @ kept.conj().T
            real = values.dtype.kind != "c"
            matrix = xp.asarray((projector.real if real else projector).astype(values.dtype))
            return mix(xp, matrix, values / weight) * weight

        return on_depth(problem, change)


def _thickness_or_equal(problem: ReconstructionProblem) -> np.ndarray:
    thick = thicknesses(problem)
    return np.ones(problem.object_shape[0]) if thick is None else thick


def _there_and_back(problem: ReconstructionProblem, thick: np.ndarray, shapes: np.ndarray) -> tuple[Array, Array]:
    """Matrices from slices V to the coefficients of profiles, and back: V_i = t_i rho_i, c_j = sum_i t_i U_ij rho_i."""
    device = problem.backend.to_device
    return device(shapes.T.astype(np.float32)), device((thick[:, None] * shapes).astype(np.float32))


def _nothing(state: State) -> State:
    return state
