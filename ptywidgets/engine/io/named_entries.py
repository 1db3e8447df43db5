"""What a number states by its name: its quantity and, in the name or beside it, its unit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ptywidgets.engine.io.calibration_entries import CalibrationEntry, calibration_entry, entry_if_set, unit_of

NAMES = {
    "energy": "energy beamenergy electronenergy primaryenergy e0 voltage acceleratingvoltage accelerationvoltage "
    "accvoltage beamvoltage hightension ht",
    "scan_step": "scanstep scanstepsize step stepsize probestep scanpixel scanpixelsize rpixel rpixelsize",
    "q_pixel": "qpixel qpixelsize kpixel kpixelsize dk dq detectorpixel detectorpixelsize anglepixel angularpixel "
    "diffractionpixel diffractionpixelsize reciprocalpixel reciprocalpixelsize",
    "semiangle": "semiangle semianglecutoff semiconvergenceangle convergencesemiangle probesemiangle "
    "aperturesemiangle convergencehalfangle",
}
_QUANTITY = {name: quantity for quantity, names in NAMES.items() for name in names.split()}
_UNITS = {"a": "A", "ang": "A", "angstrom": "A", "angstroms": "A", "nm": "nm", "pm": "pm", "um": "um", "m": "m"}
_UNITS |= {
    spelled: f"1/{unit}"
    for name, unit in list(_UNITS.items())
    for spelled in (f"inv{name}", f"inv_{name}", f"{name}inv", f"{name}_inv", f"{name}_1", f"1_{name}", f"per_{name}")
}
_UNITS |= {unit: unit for unit in ("mrad", "rad", "urad", "eV", "keV", "V", "kV")}
_UNIT = {spelled.lower(): unit for spelled, unit in _UNITS.items()}
_PER_PIXEL = {"mradperpixel": "mrad", "mradperpx": "mrad", "invaperpixel": "1/A", "invaperpx": "1/A"}
_MATLAB = {"alpha": ("semiangle", "mrad"), "dk": ("q_pixel", "1/A"), "scanstep": ("scan_step", "A")}


def named(name: str) -> tuple[str, str]:
    """Quantity and unit that a name says; empty where it does not.

    Examples
    --------
    >>> named("voltage_kV"), named("Scan step (A)"), named("dk_invA"), named("q_pixel 1/nm"), named("energy")
    (('energy', 'kV'), ('scan_step', 'A'), ('q_pixel', '1/A'), ('q_pixel', '1/nm'), ('energy', ''))
    >>> named("detector_pixel_mrad"), named("mrad_per_pixel"), named("recon_pixel_A"), named("defocus_nm")
    (('q_pixel', 'mrad'), ('q_pixel', 'mrad'), ('', ''), ('', ''))
    """
    words = re.findall(r"[a-z]+|\d+", name.replace("\u00c5", "A").replace("\u212b", "A").lower())
    joined = "".join(words)
    if joined in _PER_PIXEL:
        return "q_pixel", _PER_PIXEL[joined]
    for n in (2, 1):
        unit = _UNIT.get("_".join(words[-n:])) if len(words) > n else None
        what = [word for word in words[:-n] if word != "in"]
        if unit and "".join(what) in _QUANTITY:
            return _QUANTITY["".join(what)], unit
    return _QUANTITY.get(joined, ""), ""


def stated_entries(name: str, value: Any, beside: Any, where: str) -> list[CalibrationEntry]:
    """A named value as entries; none where name and unit do not say what it is.

    Parameters
    ----------
    value : number, pair of numbers or text
        Text may have the unit in it, "80 kV".
    beside : text or None
        The unit that stands beside it.

    Examples
    --------
    >>> [str(c) for c in stated_entries("voltage", "80 kV", None, "@voltage")]
    ['80 kV (@voltage)']
    >>> stated_entries("voltage", 80.0, None, "@voltage"), stated_entries("tilt_mrad", 3.0, None, "@tilt_mrad")
    ([], [])
    """
    quantity, unit = named(name)
    if not quantity:
        return []
    if isinstance(value, (str, bytes, np.str_, np.bytes_)) or np.asarray(value).dtype.kind in "OSU":
        match = re.fullmatch(r"\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(\S*)\s*", _text(value)[:100])
        if not match:
            return []
        number, said = match.groups()
        beside, value = said or beside, _float(number)
    array = np.asarray(value)
    if array.dtype.kind not in "iuf" or array.size not in (1, 2):
        return []
    if array.size == 2 and array.shape != (2,):
        return []
    value = array if array.size == 2 else float(array.reshape(-1)[0])
    units = [each for each in (unit, "" if beside is None else _text(beside)) if each and unit_of(each)[0]]
    entries = [c for each in dict.fromkeys(units) for c in calibration_entry(quantity, value, each, where)]
    return [c for c in entries if np.isfinite(c.value) and c.value > 0]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _float(number: str) -> float:
    try:
        return float(number)
    except ValueError:
        return float("nan")


def matlab_entries(name: str, value: float) -> list[CalibrationEntry]:
    """What a number beside the data states, by the names that fold_slice and those who feed it use: `voltage` in kV,
    `alpha` in mrad, `dk` in 1/A, `scanstep` in A; or by a name with its unit.

    Examples
    --------
    >>> [str(entry) for entry in matlab_entries("voltage", 80)], matlab_entries("defocus", 10)
    (['80 kV (voltage)'], [])
    """
    if name == "voltage":  # 10 kV to 3 MV: which of the two units it is cannot be mistaken
        return entry_if_set("energy", value, "kV" if value < 5000 else "V", name)
    if name in _MATLAB:
        return entry_if_set(_MATLAB[name][0], value, _MATLAB[name][1], name)
    return stated_entries(name, value, None, name)
