"""What turns pixels into physics: energy, scan step, detector pixel, convergence semi-angle."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

from ptywidgets.engine.asked import AskingError
from ptywidgets.engine.errors import CalibrationError, unknown_name
from ptywidgets.engine.units import inverse_angstrom_to_mrad, mrad_to_inverse_angstrom, wavelength

# name: (unit, lowest, highest, what to say when the value is out of range)
_LIMITS: dict[str, tuple[str, float, float, str]] = {
    "energy": ("eV", 1e3, 5e6, "energies are in eV: 80 kV is 80e3"),
    "scan_step": ("A", 0.0, math.inf, "the step between neighbouring probe positions in A: 0.4 nm is 4.0"),
    "q_pixel": ("1/A", 0.0, math.inf, "the width of a detector pixel in 1/A, or pass angle_pixel in mrad"),
    "semiangle": ("mrad", 0.0, 1e3, "the convergence semi-angle in mrad: 0.02 rad is 20.0"),
    "angle_pixel": ("mrad", 0.0, 1e3, "the width of a detector pixel in mrad"),
}
NAMES = tuple(_LIMITS)
TOLERANCE = 0.01  # two statements of one length that differ by more than this contradict each other


def checked(name: str, value: Any, source: str = "") -> float | None:
    """`value` as a float when it can be the calibration `name`, else a CalibrationError."""
    if value is None:
        return None
    unit, low, high, advice = _LIMITS[name]
    origin = f" in {source}" if source else ""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise AskingError(f"{name}{origin} is {value!r}; expected a number in {unit}, such as {{give}}.", name)
    number = float(value)
    above = number >= low if low > 0 else number > 0
    if not (math.isfinite(number) and above and number <= high):
        limits = f"between {low:g} and {high:g} {unit}" if low > 0 else f"a positive finite number of {unit}"
        raise AskingError(f"{name}{origin} is {number:g} {unit}; expected {limits}, such as {{give}} ({advice}).", name)
    return number


@dataclass(frozen=True)
class Calibration:
    """The numbers that belong to a 4D-STEM data set; None means not known yet.

    Parameters
    ----------
    energy : float, optional
        Beam energy in eV.
    scan_step : float, optional
        Distance of neighbouring probe positions in A.
    q_pixel : float, optional
        Width of a detector pixel in 1/A.
    semiangle : float, optional
        Convergence semi-angle in mrad; it may also be measured from a vacuum pattern.

    Examples
    --------
    >>> calibration = Calibration(energy=80e3, scan_step=4.0)
    >>> calibration.missing
    ('q_pixel',)
    >>> calibration.replace(q_pixel=0.025).sampling((200, 200))
    (0.2, 0.2)
    >>> round(calibration.replace(angle_pixel=1.0439).q_pixel, 4)
    0.025
    """

    energy: float | None = None
    scan_step: float | None = None
    q_pixel: float | None = None
    semiangle: float | None = None

    def __post_init__(self) -> None:
        for name in ("energy", "scan_step", "q_pixel", "semiangle"):
            object.__setattr__(self, name, checked(name, getattr(self, name)))

    def replace(self, **changes: float | None) -> Calibration:
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
        angle = checked("angle_pixel", changes.pop("angle_pixel", None))
        changed = dataclasses.replace(self, **changes)
        if angle is None:
            return changed
        if changed.energy is None:
            raise CalibrationError(
                f"angle_pixel is {angle:g} mrad, and turning mrad into 1/A needs the energy; pass energy=80e3 as well."
            )
        q_pixel = mrad_to_inverse_angstrom(angle, changed.energy)
        if changes.get("q_pixel") is not None and not agree(changed.q_pixel, q_pixel):
            raise CalibrationError(
                f"q_pixel={changed.q_pixel:g} 1/A and angle_pixel={angle:g} mrad contradict each other: at "
                f"{changed.energy:g} eV, {angle:g} mrad is {q_pixel:.4g} 1/A; pass only one of them."
            )
        return dataclasses.replace(changed, q_pixel=q_pixel)

    @property
    def wavelength(self) -> float:
        """Electron wavelength in A."""
        self._need("energy")
        assert self.energy is not None
        return wavelength(self.energy)

    @property
    def angle_pixel(self) -> float:
        """Width of a detector pixel in mrad."""
        self._need("energy", "q_pixel")
        assert self.energy is not None and self.q_pixel is not None
        return inverse_angstrom_to_mrad(self.q_pixel, self.energy)

    def sampling(self, detector_shape: tuple[int, int]) -> tuple[float, float]:
        """Real-space pixel in A of a detector of `detector_shape` = (Qy, Qx), for each axis: 1 / (q_pixel N)."""
        self._need("q_pixel")
        assert self.q_pixel is not None
        return 1 / (self.q_pixel * detector_shape[0]), 1 / (self.q_pixel * detector_shape[1])

    def dose(self, counts: float) -> float:
        """Electrons per A^2 when every scan position gets `counts` electrons.

        Examples
        --------
        >>> Calibration(scan_step=4.0).dose(1600)
        100.0
        """
        self._need("scan_step")
        assert self.scan_step is not None
        return counts / self.scan_step**2

    @property
    def missing(self) -> tuple[str, ...]:
        """Names that a reconstruction needs and that are not known; `semiangle` is not among them, a vacuum
        pattern gives it too."""
        return tuple(name for name in ("energy", "scan_step", "q_pixel") if getattr(self, name) is None)

    def require(self, name: str) -> float:
        """One number that must be known by now; CalibrationError where it is not.

        Examples
        --------
        >>> Calibration(energy=80e3).require("energy")
        80000.0
        """
        value = getattr(self, name)
        if value is None:
            self._need(name)
        return float(value)

    def check_complete(self) -> None:
        """Raise a CalibrationError that names what is missing and how to set it.

        Examples
        --------
        >>> Calibration(energy=80e3, q_pixel=0.025).check_complete()
        Traceback (most recent call last):
        ptywidgets.engine.asked.AskingError: scan_step (A) is not set; set it with \
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
            step = f"{self.scan_step:.6g} A"
        if self.q_pixel is not None:
            q = f"{self.q_pixel:.6g} 1/A" + (f" ({self.angle_pixel:.4g} mrad)" if self.energy is not None else "")
        if self.semiangle is not None:
            angle = f"{self.semiangle:.6g} mrad"
        return f"energy       {energy}\nscan step    {step}\nq pixel      {q}\nsemi-angle   {angle}"


def agree(a: float | None, b: float | None) -> bool:
    """Whether two statements of one quantity are the same within 1 %."""
    return a is None or b is None or math.isclose(a, b, rel_tol=TOLERANCE)
