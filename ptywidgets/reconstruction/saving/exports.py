"""Results for other programs: TIFF and HyperSpy's HDF5 with physical sizes, PNG with a scale bar, settings as JSON, and
all arrays with named axes as xarray or zarr."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.checkpoint.checkpoint import new_provenance
from ptywidgets.engine.checkpoint.plain import to_plain
from ptywidgets.engine.core.errors import FileFormatError, FileInTheWay, ParameterError
from ptywidgets.engine.io.atomic import atomic_file, checked_target
from ptywidgets.engine.io.detect_format import printable
from ptywidgets.engine.io.images.hspy import write_hspy
from ptywidgets.engine.io.images.png import grey_with_scale_bar, png
from ptywidgets.engine.io.images.tiff import tiff
from ptywidgets.reconstruction.result.scan_frame import into_scan_frame
from ptywidgets.reconstruction.saving.labelled import Labelled, as_xarray, labelled, write_zarr

if TYPE_CHECKING:
    import xarray

    from ptywidgets.reconstruction.reconstruction import Reconstruction

KINDS = {  # what a single file of an ending is, by the name that it has in a folder
    ".tif": "phase.tif",
    ".tiff": "phase.tif",
    ".png": "phase.png",
    ".hspy": "phase.hspy",
    ".json": "settings.json",
    ".zip": "result.zarr.zip",
}
FOLDER = ("phase.tif", "phase.hspy", "phase.png", "amplitude.tif", "probe.tif", "settings.json")


class Exports:
    """Writes what a reconstruction has come to for other programs."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon

    def export(self, path: str | os.PathLike[str], overwrite: bool = False) -> list[str]:
        """See :meth:`ptywidgets.reconstruction.saving.files.Files.export`."""
        recon = self.recon
        if recon.object_phase is None:
            raise ParameterError("there is no result to export yet: run() first.")
        try:
            target = Path(os.fsdecode(path)).expanduser()
        except TypeError:
            raise FileFormatError(
                f"path is {printable(repr(path), 60)}; expected the name of a file or of a folder."
            ) from None
        if not isinstance(overwrite, bool):  # "no" would be true
            raise ParameterError(f"overwrite is {printable(repr(overwrite), 60)}; expected True or False.")
        if not str(path).strip() or "\0" in str(path):
            raise FileFormatError(f"path is {printable(repr(path), 60)}; expected the name of a file or of a folder.")
        suffix = target.suffix.lower()
        try:
            folder = not suffix or target.is_dir()
            (target / FOLDER[0] if folder else target).exists()  # raises for what no system can have
        except OSError as error:
            raise FileFormatError(f"{printable(target.name)} is no usable name ({error.strerror}).") from None
        if folder:
            return self._folder(target, overwrite)
        if suffix not in KINDS:
            raise ParameterError(
                f"{printable(target.name)} ends with {printable(suffix)}; expected one of {', '.join(KINDS)}, or "
                "the name of a folder without an ending. To go on with it another day: save(path)."
            )
        return [self._written(target, KINDS[suffix], overwrite)]

    def _folder(self, folder: Path, overwrite: bool) -> list[str]:
        real = np.dtype(getattr(self.recon.object, "dtype", np.float32)).kind != "c"
        names = [name for name in FOLDER if not (real and name == "amplitude.tif")]
        there = [name for name in names if (folder / name).exists()]
        if there and not overwrite:
            raise FileInTheWay(f"{printable(str(folder))} holds {', '.join(there)} already")
        try:
            folder.mkdir(exist_ok=True)
        except OSError as error:
            raise FileFormatError(
                f"the folder {printable(str(folder))} could not be made ({error.strerror}); make the one above it "
                "first, or choose another."
            ) from None
        for name in names:  # before anything is written
            checked_target(folder / name, overwrite, inputs=self.recon.inputs)
        return [self._written(folder / name, name, overwrite) for name in names]

    def _written(self, path: Path, kind: str, overwrite: bool) -> str:
        with atomic_file(path, overwrite, inputs=self.recon.inputs) as temporary:
            if kind == "phase.hspy":
                self._hspy(temporary)
            elif kind == "result.zarr.zip":
                write_zarr(temporary, *self._labelled())
            else:
                temporary.write_bytes(self._content(kind))
        return str(path)

    def _content(self, kind: str) -> bytes:
        if kind == "phase.png":
            return png(grey_with_scale_bar(np.asarray(self.recon.object_phase), self._pixel()))
        if kind == "settings.json":
            return json.dumps(self._settings(), indent=1, default=str).encode()
        if kind == "amplitude.tif":
            return tiff(np.asarray(self.recon.object_amplitude), self._pixel())
        return tiff(self._modes(), self.recon.sampling) if kind == "probe.tif" else tiff(*self._phase())

    def to_xarray(self) -> xarray.Dataset:
        """See :meth:`ptywidgets.reconstruction.result.result.Result.to_xarray`."""
        if self.recon.object_phase is None:
            raise ParameterError("there is no result yet: run() first.")
        return as_xarray(*self._labelled())

    # ---------------------------------------------------------------- each kind

    def _labelled(self) -> tuple[dict[str, Labelled], dict[str, Labelled], dict[str, Any]]:
        return labelled(self.recon, self._pixel(), self._settings())

    def _phase(self) -> tuple[np.ndarray, tuple[float, float], float | None]:
        """(H, W), or (S, H, W) of several slices; the pixel; the mean distance of slices."""
        result = self.recon.result
        slices, pixel = result.slices, self._pixel()
        assert slices is not None
        if len(slices) == 1:
            phase = result.object_phase
            assert phase is not None
            return phase, pixel, None
        depths = result.depths
        spacing = None if depths is None or depths[-1] <= 0 else float(depths[-1]) / len(slices)
        return slices, pixel, spacing

    def _pixel(self) -> tuple[float, float]:
        """Of images in the scan frame, A."""
        present = self.recon.result.present
        assert present is not None
        pixel = into_scan_frame(present[0], None)[3]
        return pixel, pixel

    def _modes(self) -> np.ndarray:
        """Modulus and phase of each mode of the probe, one after the other, centred."""
        modes = self.recon.result.modes
        assert modes is not None
        centred = np.fft.fftshift(modes, axes=(-2, -1))
        return np.stack([np.abs(centred), np.angle(centred)], 1).reshape(-1, *centred.shape[-2:])

    def _hspy(self, path: Path) -> None:
        phase, pixel, spacing = self._phase()
        axes = [("y", "nm", pixel[0] / 10), ("x", "nm", pixel[1] / 10)]
        if phase.ndim == 3:
            axes.insert(0, ("z", "nm" if spacing else "", (spacing or 10.0) / 10))
        write_hspy(path, phase.astype(np.float32), axes, "phase", "phase (rad)")

    def _settings(self) -> dict[str, Any]:
        """Of what the result was made with, whatever has been set since."""
        recon, of = self.recon, self.recon._maker.made_of
        assert of is not None  # there is a result
        changed = recon.made_with
        return {
            "made": new_provenance(of.dataset),
            "status": recon.status,
            "message": recon.message,
            "made_with": changed and f"{changed} than is set now",
            "doubts": [dataclasses.asdict(finding) for finding in recon.doubts],
            "iterations": recon.iteration,
            "errors": [float(loss) for loss in recon.losses],
            "pixel_A": self._pixel()[0],
            "rotation_deg": of.measurement.rotation,
            "transpose": of.measurement.transpose,
            "estimates": [] if changed else [dataclasses.asdict(estimate) for estimate in recon.estimates],
            "calibration": to_plain(of.measurement.calibration),
            "optics": to_plain(of.optics),
            "preparation": to_plain(of.preparation),
            "object_type": of.object_type,
            "model": to_plain(of.model),
            "schedule": recon.schedule,
            "plan": to_plain(recon.plan),
            "data": of.dataset.source.describe(),
        }


__all__ = ["Exports"]
