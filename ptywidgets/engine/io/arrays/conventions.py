"""What HyperSpy, abTEM and quantem say about axes and microscope, by the names they use in objects and in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ptywidgets.engine.io.arrays.axes import Mark
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, entry_if_set


def words(value: Any) -> str:
    """Text, and nothing for None and for what a package prints where there is none.

    Examples
    --------
    >>> words("nm"), words(None), words("<undefined>")
    ('nm', '', '')
    """
    return "" if value is None or str(value) in ("<undefined>", "None") else str(value)


def number(value: Any) -> float | None:
    """A number, or None where it is none.

    Examples
    --------
    >>> number(2), number("2"), number(True)
    (2.0, None, None)
    """
    return float(value) if isinstance(value, (int, float, np.number)) and not isinstance(value, bool) else None


def hyperspy_mark(axis: Mapping[str, Any], where: str) -> Mark:
    """One axis of HyperSpy and RosettaSciIO: name, units, scale, navigate, and the coordinates (`axis`) of one that is
    not uniform.

    Examples
    --------
    >>> hyperspy_mark({"name": "x", "units": "nm", "scale": 0.4, "navigate": True}, "axis-0").kind
    'scan'
    """
    name, unit, navigate = words(axis.get("name")), words(axis.get("units")), axis.get("navigate")
    kind = "" if navigate is None else "scan" if bool(navigate) else "detector"
    if axis.get("axis") is not None:
        return Mark.of_coordinates(axis["axis"], name, unit, where, kind)
    return Mark(name, unit, number(axis.get("scale")), kind, where=where)


def hyperspy_entries(get: Callable[[str], Any]) -> list[CalibrationEntry]:
    """What HyperSpy's metadata say of a microscope: `get` gives an item of Acquisition_instrument.TEM."""
    return [
        *entry_if_set("energy", get("beam_energy"), "keV", "metadata, beam_energy"),
        *entry_if_set("semiangle", get("convergence_angle"), "mrad", "metadata, convergence_angle"),
    ]


def abtem_mark(axis: Mapping[str, Any]) -> Mark:
    """One axis of abTEM: label, units, sampling."""
    name = words(axis.get("label"))
    where = f"axes_metadata, {name or 'unnamed'}"
    return Mark(name, words(axis.get("units")), number(axis.get("sampling")), where=where)


def abtem_entries(metadata: Mapping[str, Any]) -> list[CalibrationEntry]:
    """What abTEM's metadata say of a microscope."""
    return [
        *entry_if_set("energy", metadata.get("energy"), "eV", "metadata, energy"),
        *entry_if_set("semiangle", metadata.get("semiangle_cutoff"), "mrad", "metadata, semiangle_cutoff"),
    ]


def sampling_marks(steps: Sequence[Any], units: Sequence[Any]) -> list[Mark]:
    """Axes of quantem, and of others who keep a list of steps and one of units.

    Examples
    --------
    >>> [str(mark) for mark in sampling_marks([4.0, 0.05], ["A", "A^-1"])]
    ['[A]', '[A^-1]']
    """
    return [
        Mark(unit=words(unit), step=number(step), where=f"sampling[{i}]")
        for i, (step, unit) in enumerate(zip(steps, units, strict=True))
    ]
