"""What the data cannot tell of a reconstruction, found and said.

O(r) -> c exp(i (a + g.r)) O(r - s) changes no pattern when probe and positions change along. In a stack of slices each
slice may have its own constant, the ramp belongs to the first, and depth is free within the depth of field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gauge:
    """What was taken off a result; r is counted from its pixel [0, 0]."""

    offsets: tuple[float, ...]  # rad, of each slice
    ramp: tuple[float, float]  # rad/A (row, column), of the first slice
    shift: tuple[float, float]  # A: the result shows at r what the truth has at r - shift
    scale: float = 1.0  # modulus of a transmission, or contrast of a phase where that was asked for
    sign: int = 1  # -1: black and white were exchanged
    depth_shift: float = 0.0  # A, by which the result shows things deeper than they are

    @property
    def offset(self) -> float:
        """Phase in rad of all slices together."""
        return sum(self.offsets)

    def __str__(self) -> str:
        (v, u), (y, x) = self.ramp, self.shift
        words = f"phase {self.offset:.4g} rad, ramp ({v:.3g}, {u:.3g}) rad/A, shift ({y:.3g}, {x:.3g}) A"
        words += f", scale {self.scale:.4g}" if self.scale != 1 else ""
        words += f", depth {self.depth_shift:.3g} A" if self.depth_shift else ""
        return words + (", sign" if self.sign < 0 else "")


@dataclass(frozen=True, eq=False)
class Alignment:
    """A result and the truth on its pixels, and how far they agree."""

    result: np.ndarray  # as given, without the gauge; (Y, X) or (S, Y, X)
    truth: np.ndarray  # the same shape: band-limited, moved to where the result shows it
    mask: np.ndarray  # (Y, X) pixels that were compared
    gauge: Gauge
    correlation: float  # of the phases
    rms: float  # rad, of their difference, of which constants (and a ramp) are not counted
    contrast: float  # of the result's phase by the true one, least squares
    rms_scaled: float  # rad, of the difference once the contrast is divided out
    spread: float  # rad, rms of the true phase about its constants (and ramp)

    @property
    def relative_rms(self) -> float:
        """The difference by the spread of the true phase, without any scale."""
        return self.rms / self.spread

    @property
    def relative_rms_scaled(self) -> float:
        """The same with one scale divided out."""
        return self.rms_scaled / self.spread

    def __str__(self) -> str:
        return (
            f"corr {self.correlation:.4f}, rms {self.rms:.3g} rad ({self.relative_rms:.3g} of the truth's), contrast "
            f"{self.contrast:.3f}, rms {self.rms_scaled:.3g} rad without it; taken off: {self.gauge}"
        )
