"""HyperSpy's HDF5 (.hspy) with one image, or a stack, and its axes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.io.formats.hdf5.write import steady_hdf5

Axis = tuple[str, str, float]  # name, unit, step


def write_hspy(path: Path, data: np.ndarray, axes: list[Axis], title: str, quantity: str) -> None:
    """Write an array as a signal of HyperSpy: its last two axes are the signal's, those before are navigated.

    Parameters
    ----------
    path : Path
        An empty file, which becomes it.
    data : ndarray (..., H, W)
    axes : list of (name, unit, step)
        One for each axis of `data`.
    title, quantity : str
        What it is called, and what a value is, such as "phase (rad)".
    """
    if len(axes) != data.ndim or data.ndim < 2:
        raise DataError(f"{data.ndim} axes of data and {len(axes)} described; expected as many, two at least.")
    with steady_hdf5(path) as (file, _):
        file.attrs["file_format"] = "HyperSpy"
        file.attrs["file_format_version"] = "3.3"
        signal = file.create_group(f"Experiments/{title}")
        signal.attrs["package"], signal.attrs["package_version"] = "hyperspy", "2.0"
        signal.create_dataset("data", data=data)
        for n, (name, unit, step) in enumerate(axes):
            axis = signal.create_group(f"axis-{n}")
            axis.attrs.update({"_type": "UniformDataAxis", "name": name, "units": unit, "scale": float(step)})
            axis.attrs.update({"offset": 0.0, "size": int(data.shape[n]), "navigate": np.bool_(n < data.ndim - 2)})
            axis.attrs["is_binned"] = np.bool_(False)
        metadata = signal.create_group("metadata")
        metadata.create_group("General").attrs["title"] = title
        metadata.create_group("Signal").attrs.update({"signal_type": "", "quantity": quantity})
        signal.create_group("original_metadata")
        signal.create_group("learning_results")
