"""Saving a reconstruction and finding its data again."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Union

from ptywidgets.engine.dataset import Calibration, Dataset
from ptywidgets.engine.errors import DataError, ParameterError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.checkpoint import Checkpoint, fingerprint, load_checkpoint, new_provenance, save_checkpoint
from ptywidgets.engine.io.saved_views import SavedView
from ptywidgets.engine.prepare import Measurement, Preparation
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
        preparation=recon.preparation if state is None else _as_used(recon.preparation, measurement),
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
        provenance=new_provenance(recon.dataset)
        | {"started_from": recon.started_from, "schedule": "automatic" if recon.auto else "planned"},
    )
    return str(save_checkpoint(path, checkpoint))


def _as_used(preparation: Preparation, measurement: Measurement) -> Preparation:
    """With the rotation and transpose that a run has used; before a run they are not known for it."""
    return preparation.replace(rotation=measurement.rotation, transpose=measurement.transpose)


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
        told = known.get("data_name", ""), known.get("data_path", ""), known.get("data_fingerprint", "")
        found = _found(dataset, *told, checkpoint.calibration)  # type: ignore[arg-type]
        return checkpoint, {"dataset": found, "optics": checkpoint.optics}
    given = (
        [None] * len(views) if dataset is None else list(dataset) if isinstance(dataset, (list, tuple)) else [dataset]
    )
    if len(given) != len(views):
        raise DataError(f"{len(given)} data sets but {len(views)} tilts were saved; pass dataset=[one for each tilt].")
    datasets = [
        _found(one, view.name, view.path, view.fingerprint, view.calibration)
        for one, view in zip(given, views, strict=True)
    ]
    each = [view.optics for view in views if view.optics is not None]
    tilts = [view.tilt for view in views]
    return checkpoint, {"dataset": datasets, "tilts": tilts, "optics": each or checkpoint.optics}


def _found(dataset: Source | None, name: str, remembered: str, expected: str, known: Calibration) -> Dataset:
    """The data of one view, given or where they were, as they were calibrated."""
    if dataset is None:
        if not remembered or not os.path.exists(remembered):
            raise DataError(
                f"the data of this reconstruction ({name or remembered or 'its data'}) are not where they were; pass "
                "them: Reconstruction.load(path, dataset=...)."
            )
        dataset = remembered
    calibration = dataclasses.asdict(known)
    if not isinstance(dataset, Dataset):
        dataset = read(dataset, **{k: v for k, v in calibration.items() if v is not None})
    dataset = dataset.with_calibration(**calibration)
    if expected and fingerprint(dataset) != expected:
        raise DataError(
            f"these are not the data of the saved reconstruction: {fingerprint(dataset)} instead of {expected}."
        )
    return dataset


def _saved_views(views: Views) -> tuple[SavedView, ...]:
    optics = views.optics or (None,) * len(views)
    saved = zip(views.datasets, views.tilts, optics, strict=True)
    return tuple(SavedView.of(dataset, tilt, one) for dataset, tilt, one in saved)
