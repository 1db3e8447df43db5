"""What a file states about its calibration, in whatever units, and one calibration from all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptywidgets.engine.asked import AskingError
from ptywidgets.engine.calibration import Calibration, agree, checked
from ptywidgets.engine.errors import CalibrationError
from ptywidgets.engine.io.recognise import printable
from ptywidgets.engine.units import mrad_to_inverse_angstrom

_LENGTHS = {"a": 1.0, "ang": 1.0, "angstrom": 1.0, "angstroms": 1.0, "nm": 10.0, "pm": 0.01, "um": 1e4, "m": 1e10}
_ANGLES = {"mrad": 1.0, "rad": 1e3, "urad": 1e-3}
_ENERGIES = {"ev": 1.0, "kev": 1e3, "kv": 1e3, "v": 1.0}


@dataclass(frozen=True)
class Claim:
    """One statement: `quantity` is `value` `unit`, found at `where`."""

    quantity: str  # "energy", "scan_step", "q_pixel" or "semiangle"
    value: float
    unit: str
    where: str

    def __str__(self) -> str:
        return f"{self.value:g} {printable(self.unit, 20)} ({printable(self.where)})"


def claim(quantity: str, value: Any, unit: Any, where: str) -> list[Claim]:
    """The statement as a list of one; empty where there is no number, or no unit that means something."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return []
    known = {"scan_step": ("length",), "q_pixel": ("inverse", "angle"), "semiangle": ("angle",), "energy": ("energy",)}
    kind, scale = unit_of(str(unit))
    return [Claim(quantity, number, str(unit), where)] if kind in known[quantity] and scale else []


def unit_of(unit: str) -> tuple[str, float]:
    """Kind and scale of a unit, however it is spelled.

    Examples
    --------
    >>> unit_of("A^-1"), unit_of("1/nm"), unit_of("$\\\\AA^{-1}$"), unit_of("mrad"), unit_of("[nm]"), unit_of("pixels")
    (('inverse', 1.0), ('inverse', 0.1), ('inverse', 1.0), ('angle', 1.0), ('length', 10.0), ('', 0.0))
    """
    plain = unit.replace("\u212b", "A").replace("\u00c5", "A").replace("\u00b5", "u").replace("\u03bc", "u")
    plain = plain.replace("\u207b\u00b9", "-1").replace("\\AA", "A").lower()
    plain = "".join(c for c in plain if c.isalnum() or c in "/-")
    inverse = plain.startswith("1/") or plain.endswith("-1")
    plain = plain.removeprefix("1/").removesuffix("-1")
    if inverse:
        return ("inverse", 1 / _LENGTHS[plain]) if plain in _LENGTHS else ("", 0.0)
    for kind, units in (("length", _LENGTHS), ("angle", _ANGLES), ("energy", _ENERGIES)):
        if plain in units:
            return kind, units[plain]
    return "", 0.0


def settle(claims: list[Claim], given: Mapping[str, float | None], path: Path) -> Calibration:
    """One calibration: what the user gives wins, what the file states must not contradict itself."""
    given = {name: value for name, value in given.items() if value is not None}
    if "angle_pixel" in given and "q_pixel" not in given:
        claims = [c for c in claims if c.quantity != "q_pixel"]
    claims = [c for c in claims if c.quantity not in given]
    stated: dict[str, float | None] = {}
    energies = [c for c in claims if c.quantity == "energy"]
    stated["energy"] = _agreed(energies, [c.value * unit_of(c.unit)[1] for c in energies], path)
    energy = checked("energy", given.get("energy", stated["energy"]))
    for quantity in ("scan_step", "q_pixel", "semiangle"):
        those = [c for c in claims if c.quantity == quantity]
        angles = [c for c in those if quantity == "q_pixel" and unit_of(c.unit)[0] == "angle"]
        if angles and energy is None:
            if len(angles) == len(those):
                raise AskingError(
                    f"{printable(path.name)} gives the detector pixel as {angles[0]}, and turning mrad into 1/A needs "
                    "the energy, which is not in the file; {pass}.",
                    "energy",
                )
            those = [c for c in those if c not in angles]
        stated[quantity] = _agreed(those, [_standard(c, energy) for c in those], path)
    return Calibration(**{k: v for k, v in stated.items() if k not in given}).replace(**given)


def _standard(c: Claim, energy: float | None) -> float:
    kind, scale = unit_of(c.unit)
    if c.quantity == "q_pixel" and kind == "angle":
        assert energy is not None
        return mrad_to_inverse_angstrom(c.value * scale, energy)
    return c.value * scale


def _agreed(claims: list[Claim], values: list[float], path: Path) -> float | None:
    for c, value in zip(claims, values, strict=True):
        if not (math.isfinite(value) and value > 0):
            raise CalibrationError(
                f"{printable(path.name)} gives {c.quantity} as {c}, which cannot be; pass the right value: "
                f"read(path, {c.quantity}=...)."
            )
        if not agree(value, values[0]):
            raise CalibrationError(
                f"{printable(path.name)} contradicts itself: {c.quantity} is {claims[0]} and {c}; say which is right: "
                f"read(path, {c.quantity}={values[0]:.6g}) or {c.quantity}={value:.6g}."
            )
    return checked(claims[0].quantity, values[0], printable(path.name)) if values else None
