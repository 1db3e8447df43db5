"""What turns pixels into physics: energy, scan step, detector pixel, convergence semi-angle."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import CalibrationError, unknown_name
from ptywidgets.engine.core.units import inverse_angstrom_to_mrad, mrad_to_inverse_angstrom, wavelength

# name: (unit, lowest, highest, what to say when the value is out of range)
_LIMITS: dict[str, tuple[str, float, float, str]] = {
    "energy": ("eV", 1e3, 5e6, "energies are in eV: 80 kV is 80e3"),
    "scan_step": ("A", 0.0, math.inf, "the step between neighbouring probe positions in A: 0.4 nm is 4.0"),
    "q_pixel": ("1/A", 0.0, math.inf, "the width of a detector pixel in 1/A, or pass angle_pixel in mrad"),
    "semiangle": ("mrad", 0.0, 1e3, "the convergence semi-angle in mrad: 0.02 rad is 20.0"),
    "angle_pixel": ("mrad", 0.0, 1e3, "the width of a detector pixel in mrad"),
}
NAMES = tuple(_LIMITS)
CALIBRATED = ("energy", "scan_step", "q_pixel", "semiangle")  # fields of a Calibration
PAIRED = ("scan_step", "q_pixel", "angle_pixel")  # of which rows and columns may have each their own
TOLERANCE = 0.01  # two statements of one length that differ by more than this contradict each other
SAME = 1e-9  # two numbers that differ by less are one


def checked(name: str, value: Any, source: str = "") -> float | None:
    """`value` as a float when it can be the calibration `name`, else a CalibrationError."""
    if value is None:
        return None
    unit, low, high, advice = _LIMITS[name]
    origin = f" in {source}" if source else ""
    if isinstance(value, bool) or not isinstance(value, Real):
        pair = ", or two, for rows and columns" if name in PAIRED else ""
        raise AskingError(f"{name}{origin} is {value!r}; expected a number in {unit}, such as {{give}}{pair}.", name)
    try:
        number = float(value)
    except OverflowError:  # of a whole number with more digits than a float can have
        number = math.inf
    above = number >= low if low > 0 else number > 0
    if not (math.isfinite(number) and above and number <= high):
        limits = f"between {low:g} and {high:g} {unit}" if low > 0 else f"a positive finite number of {unit}"
        raise AskingError(f"{name}{origin} is {number:g} {unit}; expected {limits}, such as {{give}} ({advice}).", name)
    return number


def checked_pair(name: str, value: Any) -> float | tuple[float, float] | None:
    """The same for what may differ along rows and columns: one float where both are equal, else a pair."""
    if isinstance(value, (tuple, list)) or (hasattr(value, "shape") and tuple(value.shape) == (2,)):
        if len(value) != 2:
            checked(name, tuple(value))  # which refuses it
        rows, columns = (checked(name, part if part is not None else "None") for part in value)
        assert rows is not None and columns is not None
        return rows if math.isclose(rows, columns, rel_tol=SAME) else (rows, columns)
    return checked(name, value)


def in_words(value: float | tuple[float, float], digits: int = 6, between: str = " x ") -> str:
    """A number, or the two numbers of rows and columns.

    Examples
    --------
    >>> in_words(4.0), in_words((4.0, 3.2))
    ('4', '4 x 3.2')
    """
    return between.join(f"{v:.{digits}g}" for v in (value if isinstance(value, tuple) else (value,)))


@dataclass(frozen=True)
class Calibration:
    """The numbers that belong to a 4D-STEM data set; None means not known yet.

    Parameters
    ----------
    energy : float, optional
        Beam energy in eV.
    scan_step : float or (float, float), optional
        Distance of neighbouring probe positions in A; two numbers where rows and columns of the scan differ: from row
        to row, and from column to column. Kept as one number where the two are equal.
    q_pixel : float or (float, float), optional
        Height and width of a detector pixel in 1/A, one number where they are equal.
    semiangle : float, optional
        Convergence semi-angle in mrad; it may also be measured from a vacuum pattern.

    Examples
    --------
    >>> calibration = Calibration(energy=80e3, scan_step=4.0)
    >>> calibration.missing
    ('q_pixel',)
    >>> calibration.replace(q_pixel=0.025).sampling((200, 200))
    (0.2, 0.2)
    >>> Calibration(scan_step=(4.0, 3.2)).scan_steps, Calibration(scan_step=(4.0, 4.0)).scan_step
    ((4.0, 3.2), 4.0)
    >>> round(calibration.replace(angle_pixel=1.0439).q_pixel, 4)
    0.025
    """

    energy: float | None = None
    scan_step: float | tuple[float, float] | None = None
    q_pixel: float | tuple[float, float] | None = None
    semiangle: float | None = None

    def __post_init__(self) -> None:
        for name in CALIBRATED:
            check = checked_pair if name in PAIRED else checked
            object.__setattr__(self, name, check(name, getattr(self, name)))

    def replace(self, **changes: float | Sequence[float] | None) -> Calibration:
        """A copy with some values changed.

        Besides the fields, `angle_pixel` (mrad) sets `q_pixel` through the energy. The energy may be given in the
        same call; it does not matter in which order.

        Raises
        ------
        CalibrationError
            When a value is impossible, when `angle_pixel` comes without an energy, or contradicts `q_pixel`.
        """
        for name in changes:
            if name not in NAMES:
                raise unknown_name("calibration", name, NAMES)
        angle = checked_pair("angle_pixel", changes.pop("angle_pixel", None))
        changed = dataclasses.replace(self, **changes)  # type: ignore[arg-type]  # values are checked when it is made
        if angle is None:
            return changed
        if changed.energy is None:
            raise CalibrationError(
                f"angle_pixel is {in_words(angle)} mrad, and turning mrad into 1/A needs the energy; pass energy=80e3 "
                "as well."
            )
        q_pixel: Any = tuple(mrad_to_inverse_angstrom(a, changed.energy) for a in both(angle))
        q_pixel = q_pixel if isinstance(angle, tuple) else q_pixel[0]
        given = changed.q_pixel
        if changes.get("q_pixel") is not None and given is not None and not all(map(agree, both(given), both(q_pixel))):
            raise CalibrationError(
                f"q_pixel={in_words(given)} 1/A and angle_pixel={in_words(angle)} mrad contradict each other: at "
                f"{changed.energy:g} eV, {in_words(angle)} mrad is {in_words(q_pixel, 4)} 1/A; pass only one of them."
            )
        return dataclasses.replace(changed, q_pixel=q_pixel)

    @property
    def wavelength(self) -> float:
        """Electron wavelength in A."""
        self._need("energy")
        assert self.energy is not None
        return wavelength(self.energy)

    @property
    def scan_steps(self) -> tuple[float, float]:
        """Distance in A from row to row and from column to column of the scan."""
        self._need("scan_step")
        assert self.scan_step is not None
        return both(self.scan_step)

    @property
    def q_pixels(self) -> tuple[float, float]:
        """Height and width of a detector pixel in 1/A."""
        self._need("q_pixel")
        assert self.q_pixel is not None
        return both(self.q_pixel)

    @property
    def angle_pixel(self) -> float:
        """Width of a detector pixel in mrad; CalibrationError where its height is another, see `angle_pixels`."""
        self._need("energy", "q_pixel")
        return inverse_angstrom_to_mrad(self.require("q_pixel"), self.require("energy"))

    @property
    def angle_pixels(self) -> tuple[float, float]:
        """Height and width of a detector pixel in mrad."""
        self._need("energy", "q_pixel")
        rows, columns = self.q_pixels
        energy = self.require("energy")
        return inverse_angstrom_to_mrad(rows, energy), inverse_angstrom_to_mrad(columns, energy)

    @property
    def angle_mean(self) -> float:
        """Side in mrad of a square detector pixel of the same area: what areas and mean radii are counted in."""
        self._need("energy", "q_pixel")
        return inverse_angstrom_to_mrad(mean_of(self.q_pixels), self.require("energy"))

    @property
    def relative_pixels(self) -> tuple[float, float]:
        """Height and width of a detector pixel over their geometric mean; 1 and 1 where they are equal or not known."""
        return relative(both(self.q_pixel or 1.0))

    @property
    def relative_steps(self) -> tuple[float, float]:
        """Steps along rows and columns over their geometric mean; 1 and 1 where they are equal or not known."""
        return relative(both(self.scan_step or 1.0))

    def even(self, vectors: np.ndarray) -> np.ndarray:
        """Vectors (2, ...) in detector pixels, rows and columns in the same unit: the square pixel of the same area."""
        rows, columns = self.relative_pixels
        return vectors if rows == columns else np.stack([vectors[0] * rows, vectors[1] * columns])

    def sampling(self, detector_shape: tuple[int, int]) -> tuple[float, float]:
        """Real-space pixel in A of a detector of `detector_shape` = (Qy, Qx), for each axis: 1 / (q_pixel N)."""
        rows, columns = self.q_pixels
        return 1 / (rows * detector_shape[0]), 1 / (columns * detector_shape[1])

    def dose(self, counts: float) -> float:
        """Electrons per A^2 when every scan position gets `counts` electrons.

        Examples
        --------
        >>> Calibration(scan_step=4.0).dose(1600)
        100.0
        """
        rows, columns = self.scan_steps
        return counts / (rows * columns)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names that a reconstruction needs and that are not known; `semiangle` is not among them, a vacuum
        pattern gives it too."""
        return tuple(name for name in ("energy", "scan_step", "q_pixel") if getattr(self, name) is None)

    def require(self, name: str) -> float:
        """One number that must be known by now.

        Raises
        ------
        CalibrationError
            Where it is not known, and where rows and columns have each their own: who asks for one number does not
            know of two, and must not take one of them for both. See `scan_steps` and `q_pixels`.

        Examples
        --------
        >>> Calibration(energy=80e3).require("energy")
        80000.0
        """
        value = getattr(self, name)
        if value is None:
            self._need(name)
        if isinstance(value, tuple):
            raise CalibrationError(
                f"{name} is {in_words(value)} {_LIMITS[name][0]} along rows and columns, and this works with one "
                "number only; bin or resample the data until both are the same, or pass one: "
                f"{name}={_LIMITS[name][3]}."
            )
        return float(value)

    def check_complete(self) -> None:
        """Raise a CalibrationError that names what is missing and how to set it.

        Examples
        --------
        >>> Calibration(energy=80e3, q_pixel=0.025).check_complete()
        Traceback (most recent call last):
        ptywidgets.engine.core.asked.AskingError: scan_step (A) is not set; set it with \
dataset.with_calibration(scan_step=4.0), or pass it to read(path, ...).
        """
        self._need("energy", "scan_step", "q_pixel")

    def _need(self, *names: str) -> None:
        absent = [name for name in names if getattr(self, name) is None]
        if absent:
            raise AskingError("{named} " + ("is" if len(absent) == 1 else "are") + " not set; {set}.", *absent)

    def describe(self) -> str:
        """A few lines of text, one value with its unit in each.

        Examples
        --------
        >>> print(Calibration(energy=80e3, q_pixel=0.025, semiangle=20).describe())
        energy       80 keV (wavelength 0.04176 A)
        scan step    not set (A)
        q pixel      0.025 1/A (1.044 mrad)
        semi-angle   20 mrad
        """
        energy, step, q, angle = "not set (eV)", "not set (A)", "not set (1/A)", "not set (mrad)"
        if self.energy is not None:
            energy = f"{self.energy / 1e3:g} keV (wavelength {self.wavelength:.4g} A)"
        if self.scan_step is not None:
            step = f"{in_words(self.scan_step)} A"
        if self.q_pixel is not None:
            q = f"{in_words(self.q_pixel)} 1/A"
        if self.q_pixel is not None and self.energy is not None:
            angles = self.angle_pixels if isinstance(self.q_pixel, tuple) else self.angle_pixel
            q += f" ({in_words(angles, 4)} mrad)"
        if self.semiangle is not None:
            angle = f"{self.semiangle:.6g} mrad"
        return f"energy       {energy}\nscan step    {step}\nq pixel      {q}\nsemi-angle   {angle}"


def mean_of(pair: tuple[float, float]) -> float:
    """Geometric mean of what rows and columns have: the side of a square of the same area.

    Examples
    --------
    >>> mean_of((4.0, 4.0)), mean_of((4.0, 1.0))
    (4.0, 2.0)
    """
    return pair[0] if pair[0] == pair[1] else math.sqrt(pair[0] * pair[1])


def single(pair: tuple[float, ...]) -> float | tuple[float, float]:
    """One number where rows and columns have the same, else the pair."""
    return pair[0] if math.isclose(*pair, rel_tol=SAME) else (pair[0], pair[1])


def relative(pair: tuple[float, float]) -> tuple[float, float]:
    """The two over their geometric mean: 1 and 1 where they are equal."""
    mean = mean_of(pair)
    return pair[0] / mean, pair[1] / mean


def both(value: float | tuple[float, float]) -> tuple[float, float]:
    """What rows and columns have, where both have the same too."""
    return value if isinstance(value, tuple) else (value, value)


def agree(a: float | None, b: float | None) -> bool:
    """Whether two statements of one quantity are the same within 1 %."""
    return a is None or b is None or math.isclose(a, b, rel_tol=TOLERANCE)
