"""What a reconstruction has come to as arrays with named axes and coordinates: for xarray, and as a zarr store."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.io.formats.packages import missing

if TYPE_CHECKING:
    import xarray

    from ptywidgets.reconstruction.reconstruction import Reconstruction


@dataclass(frozen=True)
class Labelled:
    """An array, its axes' names, and what is said of it."""

    dims: tuple[str, ...]
    values: np.ndarray
    attrs: dict[str, Any] = field(default_factory=dict)


def labelled(
    recon: Reconstruction, pixel: tuple[float, float], settings: dict[str, Any]
) -> tuple[dict[str, Labelled], dict[str, Labelled], dict[str, Any]]:
    """Arrays, coordinates and attributes of a result.

    Parameters
    ----------
    recon : Reconstruction
        With a result.
    pixel : (float, float)
        A, of images in the scan frame.
    settings : dict
        Plain values, all that the result was made with.

    Returns
    -------
    arrays, coordinates : dict of Labelled
        ``phase`` (y, x) in rad, in the scan frame; of several slices ``slices`` (slice, y, x), too; ``amplitude`` (y,
        x) of a complex object; ``probe`` (mode, row, column), centred, in the detector frame; ``error`` (iteration).
    attributes : dict
        ``settings`` as JSON, and the status.
    """
    result = recon.result
    phase, amplitude, slices, modes = result.object_phase, result.object_amplitude, result.slices, result.modes
    if phase is None or modes is None or slices is None:
        raise ParameterError("there is no result yet: run() first.")
    arrays = {"phase": Labelled(("y", "x"), np.asarray(phase, np.float32), {"units": "rad", "long_name": "phase"})}
    if amplitude is not None and np.dtype(getattr(recon.object, "dtype", np.float32)).kind == "c":
        arrays["amplitude"] = Labelled(("y", "x"), np.asarray(amplitude, np.float32), {"long_name": "amplitude"})
    coordinates = {
        name: Labelled((name,), np.arange(count) * step, {"units": "angstrom"})
        for name, count, step in zip(("y", "x"), phase.shape, pixel, strict=True)
    }
    if len(slices) > 1:
        arrays["slices"] = Labelled(("slice", "y", "x"), np.asarray(slices, np.float32), {"units": "rad"})
        depths = result.depths
        if depths is not None and depths[-1] > 0:
            coordinates["depth"] = Labelled(("slice",), np.asarray(depths[:-1]), {"units": "angstrom"})
    centred = np.fft.fftshift(np.asarray(modes), axes=(-2, -1))
    arrays["probe"] = Labelled(("mode", "row", "column"), centred, {"long_name": "modes of the probe"})
    for name, count, step in zip(("row", "column"), centred.shape[-2:], recon.sampling or (1.0, 1.0), strict=True):
        coordinates[name] = Labelled((name,), (np.arange(count) - count // 2) * step, {"units": "angstrom"})
    arrays["error"] = Labelled(("iteration",), np.asarray(recon.losses, float), {"long_name": "normalised error"})
    coordinates["iteration"] = Labelled(("iteration",), 1 + np.arange(len(recon.losses)))
    return arrays, coordinates, {"settings": json.dumps(settings, default=str), "status": recon.status}


def as_xarray(
    arrays: dict[str, Labelled], coordinates: dict[str, Labelled], attributes: dict[str, Any]
) -> xarray.Dataset:
    """The same as a dataset of xarray's."""
    try:
        import xarray
    except ImportError as error:
        raise ParameterError(
            f"to_xarray() takes the package xarray ({error}); install it: pip install xarray."
        ) from None
    return xarray.Dataset(
        {name: (one.dims, one.values, one.attrs) for name, one in arrays.items()},
        {name: (one.dims, one.values, one.attrs) for name, one in coordinates.items()},
        attributes,
    )


def write_zarr(
    path: Path, arrays: dict[str, Labelled], coordinates: dict[str, Labelled], attributes: dict[str, Any]
) -> None:
    """The same as a zarr store in a zip file, with the names of axes where xarray looks for them."""
    try:
        import zarr
    except ImportError as error:
        raise missing("zarr", path, "is to be a zarr store", error) from None
    third = int(zarr.__version__.split(".")[0]) >= 3
    with tempfile.TemporaryDirectory(prefix="ptywidgets-") as folder:  # in a zip, nothing can be written twice
        version: dict[str, Any] = {"zarr_format": 2} if third else {}
        group: Any = zarr.open_group(folder, mode="w", **version)
        group.attrs.update({**attributes, "coordinates": " ".join(coordinates)})
        for name, one in {**arrays, **coordinates}.items():
            values = np.ascontiguousarray(one.values)
            create = group.create_array if third else group.create_dataset
            made = create(
                name, shape=values.shape, dtype=values.dtype, fill_value=None
            )  # xarray makes NaN of a fill value
            made[...] = values
            made.attrs.update({**one.attrs, "_ARRAY_DIMENSIONS": list(one.dims)})
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as store:  # chunks are compressed already
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    store.write(file, file.relative_to(folder).as_posix())


__all__ = ["Labelled", "as_xarray", "labelled", "write_zarr"]
