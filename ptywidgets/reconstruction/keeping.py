"""Saving a reconstruction and finding its data again."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from ptywidgets.engine.dataset import Dataset
from ptywidgets.engine.errors import DataError, ParameterError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.checkpoint import Checkpoint, fingerprint, load_checkpoint, new_provenance, save_checkpoint

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


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
        provenance=new_provenance(recon.dataset)
        | {"started_from": recon.started_from, "schedule": "automatic" if recon.auto else "planned"},
    )
    return str(save_checkpoint(path, checkpoint))


def load(
    path: str | os.PathLike[str], dataset: Dataset | str | os.PathLike[str] | None = None
) -> tuple[Checkpoint, Dataset]:
    """A checkpoint and the data that belong to it."""
    checkpoint = load_checkpoint(path)
    if dataset is None:
        remembered = checkpoint.provenance.get("data_path", "")
        if not remembered or not os.path.exists(remembered):
            name = checkpoint.provenance.get("data_name") or remembered or "its data"
            raise DataError(
                f"the data of this reconstruction ({name}) are not where they were; pass them: "
                "Reconstruction.load(path, dataset=...)."
            )
        dataset = remembered
    calibration = dataclasses.asdict(checkpoint.calibration)
    if not isinstance(dataset, Dataset):
        dataset = read(dataset, **{k: v for k, v in calibration.items() if v is not None})
    dataset = dataset.with_calibration(**calibration)
    expected = checkpoint.provenance.get("data_fingerprint")
    if expected and fingerprint(dataset) != expected:
        raise DataError(
            f"these are not the data of the saved reconstruction: {fingerprint(dataset)} instead of {expected}."
        )
    return checkpoint, dataset
