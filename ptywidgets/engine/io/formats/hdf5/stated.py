"""What an HDF5 file states about its calibration in names of its own: attributes, single numbers, sources of a beam.

A number counts where its name says what it is and in which unit (``voltage_kV``, ``scan_step_A``), or where the unit
stands beside it (an attribute ``units``, ``voltage_units``). All others are only told.
"""

from __future__ import annotations

import re
from typing import Any

import h5py
import numpy as np

from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.calibration import agree
from ptywidgets.engine.io.calibration_entries import CalibrationEntry, calibration_entry, entry_if_set
from ptywidgets.engine.io.formats.hdf5.tree import attribute, member, text, walk, whole
from ptywidgets.engine.io.named_entries import matlab_entries, named, stated_entries

_ABOUT = ("microscope", "metadata", "parameters")  # groups that are looked into beside those that the data lie in
_LONGEST = 4096  # bytes of a text of fixed length
MOST = 300  # attributes, and members of a group, that are looked at
_INDICES = (("scan_rows", "scan_row_indices"), ("scan_cols", "scan_columns", "scan_column_indices"))
_CHARGE = 1.602176634e-19  # C
_PHOTON = 12398.41984  # eV A, energy times wavelength


def neighbours(found: h5py.Dataset) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """What is said by attributes of an array, of the groups that it lies in and of those about the microscope beside
    it, and by single numbers in these groups; and the latter as text."""
    entries: list[CalibrationEntry] = []
    metadata: dict[str, str] = {}
    place: Any = found
    while True:
        beside = [member(place, name) for name in _ABOUT] if isinstance(place, h5py.Group) else []
        for group in (place, *(each for each in beside if isinstance(each, h5py.Group))):
            entries += _of_attributes(group)
            if isinstance(group, h5py.Group):
                more, words = _of_singles(group)
                entries += more
                metadata |= words
        if str(place.name).strip("/") == "":
            break
        place = place.parent
    return _of_a_larger_scan(found, entries), metadata


def _of_attributes(found: h5py.Group | h5py.Dataset) -> list[CalibrationEntry]:
    entries, at = [], str(found.name).strip("/")
    for name in _attribute_names(found):
        value = attribute(found, name) if named(name)[0] else None
        if value is not None:
            said = [attribute(found, name + end) for end in ("_units", "_unit")]
            entries += stated_entries(name, value, _first(said), f"{at}@{name}")
    return entries


def _of_singles(group: h5py.Group) -> tuple[list[CalibrationEntry], dict[str, str]]:
    entries, metadata = [], {}
    for name in list(group)[:MOST]:
        found = member(group, name)
        if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "iufSO":
            continue
        if found.dtype.itemsize > _LONGEST:
            continue
        value, unit = whole(found), _first([attribute(found, end) for end in ("units", "unit")])
        at = str(found.name).strip("/")
        shown = text(value.item() if isinstance(value, np.ndarray) and value.size == 1 else value)[:200]
        metadata[at] = f"{shown} {'' if unit is None else text(unit)[:40]}".strip()
        new = stated_entries(name, value, unit, at)
        if not new and found.dtype.kind in "iuf" and attribute(found, "MATLAB_class") is not None:
            new = matlab_entries(name, float(np.asarray(value).reshape(-1)[0]))
        if named(name)[0] and not new and unit is None:
            metadata[at] += " (of which unit, is not said)"
        entries += new
    return entries, metadata


def _first(values: list[Any]) -> Any:
    return next((value for value in values if value is not None), None)


def _attribute_names(found: Any) -> list[str]:
    try:
        return list(found.attrs)[:MOST]
    except (OSError, RuntimeError, TypeError, ValueError):
        return []


def _of_a_larger_scan(found: h5py.Dataset, entries: list[CalibrationEntry]) -> list[CalibrationEntry]:
    """With a second statement where rows or columns of a larger scan were left out: whose step it is, is not said."""
    steps = [c for c in entries if c.quantity == "scan_step"]
    if not steps or found.ndim != 4:
        return entries
    for axis, names in enumerate(_INDICES):
        for name in names:
            indices = member(found.parent, name)
            if not isinstance(indices, h5py.Dataset) or indices.dtype.kind not in "iu" or indices.ndim != 1:
                continue
            if not 1 < indices.shape[0] == found.shape[axis]:
                continue
            taken = np.unique(np.diff(indices[()].astype(np.int64)))
            if len(taken) == 1 and taken[0] > 1:
                every = int(taken[0])
                entries = [
                    *entries,
                    *(
                        CalibrationEntry(
                            c.quantity, every * c.value, c.unit, f"{c.where} times {every}, the step of {name}", axis
                        )
                        for c in steps
                        if c.axis in (None, axis)
                    ),
                ]
    return entries


def of_sources(found: h5py.Dataset) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """What sources of a beam in the file say: NeXus's voltage, CXI's energy, HyperSpy's metadata in NeXus."""
    entries: list[CalibrationEntry] = []
    metadata: dict[str, str] = {}
    top = str(found.name).strip("/").split("/")[0]
    for path, group in walk(found.file):
        if not isinstance(group, h5py.Group):
            continue
        if text(attribute(group, "NX_class") or "") == "NXsource":
            voltage = _single(group, "voltage")
            if voltage is not None:
                entries += entry_if_set("energy", voltage[0], voltage[1] or "V", f"{path}/voltage")
        elif path.startswith(f"{top}/") and path.endswith("hyperspy_metadata/Acquisition_instrument/TEM"):
            for name, quantity, unit in (("beam_energy", "energy", "keV"), ("convergence_angle", "semiangle", "mrad")):
                value = _single(group, name)
                if value is not None:
                    entries += entry_if_set(quantity, value[0], unit, f"{path}/{name}")
        elif re.fullmatch(rf"{re.escape(top)}/instrument_\d+/source_\d+", path) and top.startswith("entry_"):
            more, words = _of_cxi(group, path)
            entries += more
            metadata |= words
    return entries, metadata


def _of_cxi(source: h5py.Group, path: str) -> tuple[list[CalibrationEntry], dict[str, str]]:
    """CXI's energy is one of photons; it is the electrons' only where the wavelength beside it is theirs."""
    said = _single(source, "energy")
    energy = 0.0 if said is None else said[0] / _CHARGE
    if not (np.isfinite(energy) and 0 < energy < 1e9):
        return [], {}
    length = _single(source, "wavelength")
    at = f"{path}/energy"
    wave = 0.0 if length is None else length[0] * 1e10
    words = f"{energy / 1e3:.6g} keV"
    if not agree(wave, wavelength(energy)):
        photons = "of photons, by its wavelength" if agree(wave, _PHOTON / energy) else "of what is not said"
        return [], {at: f"{words}, {photons}"}
    entries = entry_if_set("energy", energy, "eV", f"{at}, of electrons by the wavelength beside it")
    instrument = source.parent
    for name in list(instrument)[:MOST]:
        detector = member(instrument, name)
        if not re.fullmatch(r"detector_\d+", name) or not isinstance(detector, h5py.Group):
            continue
        sizes = [_single(detector, f"{axis}_pixel_size") for axis in "yx"]
        distance = _single(detector, "distance")
        if distance is not None and sizes[0] is not None and sizes[1] is not None:
            entries += of_geometry((sizes[0][0], sizes[1][0]), distance[0], str(detector.name).strip("/"))
    return entries, {at: f"{words}, of electrons, by its wavelength"}


def of_geometry(pixel: tuple[float, float], distance: float, where: str) -> list[CalibrationEntry]:
    """The angle of a detector pixel (rows, columns) from its size and the distance of the detector, both in m."""
    if not (np.isfinite([*pixel, distance]).all() and min(*pixel, distance) > 0):
        return []
    angles = np.array(pixel) / distance
    return calibration_entry("q_pixel", angles, "rad", f"{where}, pixel size / distance")


def _single(group: h5py.Group, name: str) -> tuple[float, str] | None:
    """One number of a group and its unit."""
    found = member(group, name)
    if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "iuf":
        return None
    return float(np.asarray(whole(found)).reshape(-1)[0]), text(attribute(found, "units") or "")
