"""What a file states about its calibration, in whatever units, and one calibration from all of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ptywidgets.engine.core.asked import AskingError
from ptywidgets.engine.core.errors import CalibrationError
from ptywidgets.engine.core.units import mrad_to_inverse_angstrom
from ptywidgets.engine.data.calibration import PAIRED, Calibration, agree, checked
from ptywidgets.engine.io.detect_format import printable

_LENGTHS = {"a": 1.0, "ang": 1.0, "angstrom": 1.0, "angstroms": 1.0, "nm": 10.0, "pm": 0.01, "um": 1e4, "m": 1e10}
_ANGLES = {"mrad": 1.0, "rad": 1e3, "urad": 1e-3}
_ENERGIES = {"ev": 1.0, "kev": 1e3, "kv": 1e3, "v": 1.0}


@dataclass(frozen=True)
class CalibrationEntry:
    """One statement: `quantity` is `value` `unit`, found at `where`."""

    quantity: str  # "energy", "scan_step", "q_pixel" or "semiangle"
    value: float
    unit: str
    where: str
    axis: int | None = None  # 0 for rows, 1 for columns, None for both
    uneven: str = ""  # how unequal the steps are of which `value` is the mean; empty where they are equal

    def __str__(self) -> str:
        return f"{self.value:g} {printable(self.unit, 20)} ({printable(self.where)})"


def calibration_entry(
    quantity: str, value: Any, unit: Any, where: str, axis: int | None = None, uneven: str = ""
) -> list[CalibrationEntry]:
    """The statement as a list of one; empty where there is no number, or no unit that means something.

    Two numbers are taken for the rows and the columns, one statement for each.
    """
    if quantity in PAIRED and np.shape(value) == (2,):
        return [c for n in (0, 1) for c in calibration_entry(quantity, value[n], unit, where, axis=n)]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return []
    known = {"scan_step": ("length",), "q_pixel": ("inverse", "angle"), "semiangle": ("angle",), "energy": ("energy",)}
    kind, scale = unit_of(str(unit))
    return (
        [CalibrationEntry(quantity, number, str(unit), where, axis, uneven)]
        if kind in known[quantity] and scale
        else []
    )


def entry_if_set(quantity: str, value: Any, unit: str, where: str) -> list[CalibrationEntry]:
    """The same of an entry that is often there without a value: 0 and what is no finite number state nothing."""
    return [c for c in calibration_entry(quantity, value, unit, where) if math.isfinite(c.value) and c.value > 0]


def unit_of(unit: str) -> tuple[str, float]:
    r"""Kind and scale of a unit, however it is spelled.

    Examples
    --------
    >>> unit_of("A^-1"), unit_of("1/nm"), unit_of("$\\AA^{-1}$"), unit_of("mrad"), unit_of("[nm]"), unit_of("pixels")
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


READ = "read(path, {})"  # how the user of a file gives a value


def resolve_calibration(
    entries: list[CalibrationEntry], given: Mapping[str, Any], name: str, call: str = READ
) -> Calibration:
    """One calibration: what the user gives wins, what the data state must not contradict itself.

    Parameters
    ----------
    entries : list of CalibrationEntry
    given : mapping
        The user's own values, by name.
    name : str
        Of the file or the object that states it, for messages.
    call : str
        How a value is given there, with {} for ``name=value``.
    """
    given = {quantity: value for quantity, value in given.items() if value is not None}
    if "angle_pixel" in given and "q_pixel" not in given:
        entries = [c for c in entries if c.quantity != "q_pixel"]
    entries = [c for c in entries if c.quantity not in given]
    source = _Source(printable(name), call)
    stated: dict[str, float | tuple[float, float] | None] = {}
    energies = [c for c in entries if c.quantity == "energy"]
    stated["energy"] = source.agreed(energies, [c.value * unit_of(c.unit)[1] for c in energies])
    energy = checked("energy", given.get("energy", stated["energy"]))
    for quantity in ("scan_step", "q_pixel", "semiangle"):
        those = [c for c in entries if c.quantity == quantity]
        angles = [c for c in those if quantity == "q_pixel" and unit_of(c.unit)[0] == "angle"]
        if angles and energy is None:
            if len(angles) == len(those):
                if call != READ:  # an array states it, which is not opened
                    raise CalibrationError(
                        f"{source.name} gives the detector pixel as {angles[0]}, and turning mrad into 1/A needs the "
                        f"energy; pass it: {call.format('energy=80e3')}."
                    )
                raise AskingError(
                    f"{source.name} gives the detector pixel as {angles[0]}, and turning mrad into 1/A needs "
                    "the energy, which is not in the file; {pass}.",
                    "energy",
                )
            those = [c for c in those if c not in angles]
        stated[quantity] = source.along_axes(those, [_standard(c, energy) for c in those])
    return Calibration(**{k: v for k, v in stated.items() if k not in given}).replace(**given)  # type: ignore[arg-type]  # names of its fields, checked by it


def origins(entries: list[CalibrationEntry], given: Mapping[str, Any]) -> dict[str, str]:
    """Where each number of a settled calibration came from: given, or the place in the file.

    Examples
    --------
    >>> origins([CalibrationEntry("scan_step", 0.4, "nm", "dim1")], {"energy": 80e3})
    {'energy': 'given', 'scan_step': 'from the file (dim1)'}
    """
    names = {"q_pixel" if name == "angle_pixel" else name for name, value in given.items() if value is not None}
    found = dict.fromkeys(sorted(names), "given")
    for c in entries:
        found.setdefault(c.quantity, f"from the file ({printable(c.where)})")
    return found


def _standard(c: CalibrationEntry, energy: float | None) -> float:
    kind, scale = unit_of(c.unit)
    if c.quantity == "q_pixel" and kind == "angle":
        assert energy is not None
        return mrad_to_inverse_angstrom(c.value * scale, energy)
    return c.value * scale


def _falls(c: CalibrationEntry) -> bool:
    return math.isfinite(c.value) and c.value < 0


@dataclass(frozen=True)
class _Source:
    """Who states something, and how the user can overrule it."""

    name: str
    call: str

    def along_axes(self, entries: list[CalibrationEntry], values: list[float]) -> float | tuple[float, float] | None:
        """One value, or one for rows and one for columns where the statements about the two differ."""
        for c in entries:
            if c.uneven:
                raise CalibrationError(
                    f"{self.name} says that the {'scan' if c.quantity == 'scan_step' else 'detector'} is not equally "
                    f"spaced along its {('rows', 'columns')[c.axis or 0]}: {c.uneven} {printable(c.unit, 20)} "
                    f"({printable(c.where)}). A raster of equal steps is expected; to take it for one nevertheless, "
                    f"pass the mean step, {self.call.format(self.mean(entries, values))}, and refine the positions."
                )
        against = {c.axis: c for c in entries if c.quantity == "q_pixel" and c.axis is not None and _falls(c)}
        if against:
            flip = "both" if len(against) == 2 else ("rows", "columns")[next(iter(against))]
            words = "rows and columns" if flip == "both" else flip
            given = self.mean(entries, [abs(value) for value in values])
            advice = f"flip={flip!r}, {given}" if self.call == READ else given
            turn = "" if self.call == READ else "turn that axis of the array about, and "
            raise CalibrationError(
                f"{self.name} gives the detector pixel as {' and '.join(map(str, against.values()))}: the coordinates "
                f"fall along the detector's {words}, which are stored from their far end; {turn}pass "
                f"{self.call.format(advice)}."
            )
        rows, columns = ([(c, v) for c, v in zip(entries, values, strict=True) if c.axis in (None, n)] for n in (0, 1))
        both = [self.agreed([c for c, _ in some], [v for _, v in some]) for some in (rows, columns)]
        if both[0] is None or both[1] is None or agree(*both):
            # of statements that agree the first, whichever axis it is about
            return self.agreed(entries, values)
        return both[0], both[1]

    def agreed(self, entries: list[CalibrationEntry], values: list[float]) -> float | None:
        """The first value, after a look at the others."""
        for c, value in zip(entries, values, strict=True):
            if not (math.isfinite(value) and value > 0):
                raise CalibrationError(
                    f"{self.name} gives {c.quantity} as {c}, which cannot be; pass the right value: "
                    f"{self.call.format(f'{c.quantity}=...')}."
                )
            if not agree(value, values[0]):
                raise CalibrationError(
                    f"{self.name} contradicts itself: {c.quantity} is {entries[0]} and {c}; say which is right: "
                    f"{self.call.format(f'{c.quantity}={values[0]:.6g}')} or {c.quantity}={value:.6g}."
                )
        return checked(entries[0].quantity, values[0], self.name) if values else None

    @staticmethod
    def mean(entries: list[CalibrationEntry], values: list[float]) -> str:
        """The mean steps as they would be given."""
        steps = [next((v for c, v in zip(entries, values, strict=True) if c.axis in (None, n)), None) for n in (0, 1)]
        known = [step for step in steps if step is not None]
        words = f"{known[0]:.4g}" if len(known) == 1 or agree(*known) else f"({known[0]:.4g}, {known[1]:.4g})"
        return f"{entries[0].quantity}={words}"
