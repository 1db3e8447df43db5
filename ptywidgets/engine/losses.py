"""Losses: how far modelled patterns are from measured ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ptywidgets.engine.protocols import Array, Backend


@dataclass(frozen=True)
class AmplitudeLoss:
    """Sum of squared amplitude differences, L = sum_k (A - |Psi|)^2: Gaussian noise after the square root.

    With several modes |Psi|^2 is their summed intensity. The residual wave is chi = (A / |Psi| - 1) Psi, that is minus
    half the gradient of L; Guizar-Sicairos and Fienup, Opt. Express 16, 7264 (2008).
    """

    def residual(self, backend: Backend, far: Array, amplitudes: Array) -> tuple[Any, Array]:
        """Loss (a number on the device) and residual waves (B, M, Ny, Nx), in the memory of `far`."""
        return backend.modulus(far, amplitudes), far
