"""Saving a reconstruction and finding its data again."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError, ParameterError
from ptywidgets.engine.io.checkpoint import Checkpoint, load_checkpoint, new_provenance, save_checkpoint
from ptywidgets.engine.io.saved_data import SavedData, open_again
from ptywidgets.engine.io.saved_views import SavedView
from ptywidgets.engine.tomography import TiltSeries
from ptywidgets.reconstruction.views import Views

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

Source = Union[Dataset, str, "os.PathLike[str]"]


def save(recon: Reconstruction, path: str | os.PathLike[str]) -> str:
    """Write a checkpoint of the latest whole state; returns the path."""
    measurement = recon.measurement
    if measurement is None or recon.dataset is None:
        raise ParameterError("nothing to save yet: prepare() or run() first.")
    present = recon.present
    state, problem = (None, None) if present is None else (present[1], present[0])
    if state is not None and problem is not None:
        to_numpy = problem.backend.to_numpy
        memory = {name: to_numpy(array) for name, array in state.memory.items()}
        parameters = {name: to_numpy(value) for name, value in state.parameters.items()}
        state = state.replace(
            object=to_numpy(state.object), probe=to_numpy(state.probe), memory=memory, parameters=parameters
        )
    checkpoint = Checkpoint(
        state=state,
        plan=recon.plan,
        preparation=recon.preparation.replace(rotation=measurement.rotation, transpose=measurement.transpose),
        optics=recon.optics,
        calibration=recon.dataset.calibration,
        object_type=recon.object_type,
        composition=recon.composition,
        sampling=measurement.sampling if problem is None else problem.sampling,
        rotation=measurement.rotation,
        transpose=measurement.transpose,
        scan_shape=measurement.scan_shape,
        views=() if recon.views is None else _saved_views(recon.views),
        voxel_depth=problem.voxel[0] if isinstance(problem, TiltSeries) else None,
        data=SavedData.of(recon.dataset) if recon.views is None else None,
        provenance=new_provenance(recon.dataset)
        | {"started_from": recon.started_from, "schedule": "automatic" if recon.auto else "planned"},
    )
    return str(save_checkpoint(path, checkpoint))


def load(
    path: str | os.PathLike[str], dataset: Source | Sequence[Source] | None = None
) -> tuple[Checkpoint, dict[str, Any]]:
    """A checkpoint, and the data that belong to it with their optics: what a Reconstruction is made with."""
    checkpoint = load_checkpoint(path)
    views = checkpoint.views
    if not views:
        if isinstance(dataset, (list, tuple)):
            raise DataError(f"{len(dataset)} data sets are given; the saved reconstruction is of one.")
        known = checkpoint.provenance
        found = open_again(
            checkpoint.data,
            dataset,  # type: ignore[arg-type]
            name=known.get("data_name", ""),
            path=known.get("data_path", ""),
            expected=known.get("data_fingerprint", ""),
            calibration=checkpoint.calibration,
        )
        return checkpoint, {"dataset": found, "optics": checkpoint.optics}
    given = (
        [None] * len(views) if dataset is None else list(dataset) if isinstance(dataset, (list, tuple)) else [dataset]
    )
    if len(given) != len(views):
        raise DataError(f"{len(given)} data sets but {len(views)} tilts were saved; pass dataset=[one for each tilt].")
    datasets = [
        open_again(
            view.data, one, name=view.name, path=view.path, expected=view.fingerprint, calibration=view.calibration
        )
        for one, view in zip(given, views, strict=True)
    ]
    each = [view.optics for view in views if view.optics is not None]
    tilts = [view.tilt for view in views]
    return checkpoint, {"dataset": datasets, "tilts": tilts, "optics": each or checkpoint.optics}


def _saved_views(views: Views) -> tuple[SavedView, ...]:
    optics = views.optics or (None,) * len(views)
    saved = zip(views.datasets, views.tilts, optics, strict=True)
    return tuple(SavedView.of(dataset, tilt, one) for dataset, tilt, one in saved)
