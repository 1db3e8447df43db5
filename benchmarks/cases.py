"""Data whose truth is known, for comparing engines: simulated sets in a folder, or our own ducky."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from score import Truth

from ptywidgets import read, samples, write
from ptywidgets.engine import Aberrations, Dataset, Optics, make_probe, prepare
from ptywidgets.engine.preprocess.measurement import scan_positions

DOSE = 1e5  # e/A^2, which noise-free intensities are scaled to: peers expect counts
OWN: dict[str, dict[str, Any]] = {  # what stands for the sets where there is no folder of them
    "tiny": {"size": "tiny", "dose": None, "descan": 0.0},
    "small": {"size": "small", "dose": None, "descan": 0.0},
    "small_dose1e4": {"size": "small", "dose": 1e4, "descan": 0.0},
    "full_counts": {"size": "full", "dose": 1e5},
}
ROTATION = -15.0  # degrees, of our own ducky
STILL = 0.25  # px of descan that need not be taken off


@dataclass(frozen=True)
class Case:
    """Data, what is told about them, and their truth."""

    name: str
    title: str
    dataset: Dataset
    rotation: float  # degrees
    transpose: bool
    defocus: float  # A
    probe: np.ndarray  # (N, N) corner-centred, as bright as a pattern
    path: Path
    truth: Truth


def load_case(name: str, data: Path | None, scratch: Path) -> Case:
    """A set by name, of the folder `data` or simulated here; files that have to be written go to `scratch`."""
    return _simulated(name, data) if data else _own(name, scratch)


def _simulated(name: str, folder: Path) -> Case:
    meta = json.loads((folder / f"{name}_meta.json").read_text())
    path = folder / f"{name}.h5"
    dataset = read(path, energy=meta["energy_eV"], semiangle=meta["semiangle_mrad"]).load()
    dataset = dataset.with_vacuum(folder / f"{name}_vacuum-probe.h5")
    with np.load(folder / f"{name}_truth.npz") as known:
        phase, probe = known["phase"], known["probe"]
    positions = np.load(folder / f"{name}_positions_A.npy")
    truth = Truth(
        phase.sum(0) if phase.ndim == 3 else phase, positions, meta["truth_sampling_A"], meta["rec_sampling_A"]
    )
    told = (meta["rotation_deg"], meta["transpose"], float(meta["defocus_A"]))
    return _case(name, f"{name}, simulated by multislice", dataset, told, probe, path, truth)


def _own(name: str, scratch: Path) -> Case:
    kind = OWN[name]
    dataset = samples.ducky(**kind)
    phase, positions = samples.ducky_truth(kind["size"])
    defocus = samples.ducky_defocus(kind["size"])
    calibration = dataset.calibration
    sampling = calibration.sampling(dataset.detector_shape)
    optics = Optics(semiangle=calibration.require("semiangle"), aberrations=Aberrations(defocus=defocus))
    probe = make_probe(optics, dataset.detector_shape, sampling, calibration.require("energy"), 1.0)
    path = scratch / f"{name}.h5"
    write(path, dataset, overwrite=True)
    truth = Truth(phase, positions, sampling[0], sampling[0])
    dose = "no noise" if kind["dose"] is None else f"{kind['dose']:g} e/A^2"
    return _case(name, f"ducky {kind['size']}, {dose}", dataset, (ROTATION, False, defocus), probe, path, truth)


def _case(
    name: str,
    title: str,
    dataset: Dataset,
    told: tuple[float, bool, float],
    probe: np.ndarray,
    path: Path,
    truth: Truth,
) -> Case:
    data = np.asarray(dataset.data)
    mean = data.sum(dtype=float) / np.prod(dataset.scan_shape)
    if data.dtype.kind == "f":
        wanted = DOSE * dataset.calibration.require("scan_step") ** 2
        vacuum = None if dataset.vacuum is None else np.asarray(dataset.vacuum) * (wanted / mean)
        dataset = Dataset(data * np.float32(wanted / mean), dataset.calibration, vacuum=vacuum, name=dataset.name)
        mean = wanted
    probe = probe * np.sqrt(mean / np.sum(np.abs(probe) ** 2))
    return Case(name, title, dataset, *told, probe.astype(np.complex64), path, truth)


def write_given(case: Case, path: Path) -> None:
    """What every driver gets: see the names below; patterns (J, N, N), `positions` (J, 2) A about their middle."""
    dataset, calibration = case.dataset, case.dataset.calibration
    patterns = np.asarray(dataset.data).reshape(-1, *dataset.detector_shape)
    values: dict[str, Any] = {
        "patterns": patterns,
        "scan_shape": dataset.scan_shape,
        "energy": calibration.energy,
        "wavelength": calibration.wavelength,
        "scan_step": calibration.scan_step,
        "q_pixel": calibration.q_pixel,
        "semiangle": calibration.semiangle,
        "vacuum": dataset.vacuum,
        "defocus": case.defocus,
        "rotation": case.rotation,
        "transpose": case.transpose,
        "probe": case.probe,
        "positions": scan_positions(
            dataset.scan_shape, calibration.require("scan_step"), case.rotation, case.transpose
        ),
        "path": str(case.path),
    }
    origin = prepare(dataset, rotation=case.rotation, transpose=case.transpose).origin.reshape(2, -1).T  # (J, 2) px
    off = np.array([n // 2 for n in dataset.detector_shape]) - origin
    if np.abs(off).max() > STILL:  # some peers want their patterns centred; py4DSTEM moves them by a spline, too
        moved = [
            ndimage.shift(p.astype(np.float32), o, order=3, mode="grid-wrap")
            for p, o in zip(patterns, off, strict=True)
        ]
        values["centred"] = np.maximum(np.stack(moved), 0)
    np.savez(path, **values)
