"""Save a reconstruction so that it goes on tomorrow: one EMD file with state, plan, calibration and provenance."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ptywidgets._version import __version__
from ptywidgets.engine.checkpoint.fingerprint import fingerprint
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.checkpoint.saved_data import SavedData, read_data, write_data
from ptywidgets.engine.checkpoint.saved_given import read_given, write_given
from ptywidgets.engine.checkpoint.saved_image import read_image, write_image
from ptywidgets.engine.checkpoint.saved_views import SavedView, read_views, write_views
from ptywidgets.engine.core.errors import FileFormatError, PtyError
from ptywidgets.engine.core.files import checked_path
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.direct.image import DirectImage
from ptywidgets.engine.io.atomic import Kind
from ptywidgets.engine.io.detect_format import HDF5_SIGNATURE, first_bytes
from ptywidgets.engine.io.formats.hdf5.emd_write import Axis, write_array, write_metadata, write_root
from ptywidgets.engine.io.formats.hdf5.plain import SAVED
from ptywidgets.engine.io.formats.hdf5.tree import check_all, hdf5_errors, member, open_hdf5
from ptywidgets.engine.io.formats.hdf5.write import atomic_hdf5
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess.measurement import Preparation
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.solve.given import Given
from ptywidgets.engine.solve.plan import Plan

ROOT = SAVED
PARAMETER = "parameter "  # then the name of what a model has found
DATA = "data"  # what masks and vacuum pattern are named for
MEMORY = "memory of "  # then the name of what an algorithm keeps
OUTCOME = "outcome"
START = "start"
SINCE = "set since"  # what was set after the run, where the result is not of it
_RENAMED = {  # parameters by the names that older files have for them
    "strength": "tds_strength",
    "passage.tilt": "exit_wave.tilt",
    "passage.thickness": "exit_wave.thickness",
}
_RENAMED_DESCRIPTIONS = {"composition": "model"}
_RENAMED_PROVENANCE = {"started_from": "initialized_from"}


@dataclass(frozen=True)
class Checkpoint:
    """What a file of :func:`save_checkpoint` holds."""

    state: State | None  # arrays in host memory
    plan: Plan
    preparation: Preparation  # with the rotation and transpose that were used
    optics: Optics
    calibration: Calibration
    object_type: str
    sampling: tuple[float, float]  # A
    rotation: float  # degrees
    transpose: bool
    scan_shape: tuple[int, int]
    provenance: dict[str, Any]
    model: ModelConfig = field(default_factory=ModelConfig)
    views: tuple[SavedView, ...] = ()  # of a tilt series
    voxel_depth: float | None = None  # A, where the object is a volume
    inputs: tuple[str, ...] = ()  # files that the data were read from
    given: Given | None = None  # a probe or an object that it began with
    initial_image: DirectImage | None = None  # what the next fresh run begins from
    estimates: str = ""  # of the start, in a text of whoever saves; "" in files of older versions
    data: SavedData | None = None  # of the one data set; None of a tilt series and in files of older versions
    outcome: dict[str, str] = field(default_factory=dict)  # how its run ended, in texts of whoever saves; may be empty
    since: Checkpoint | None = None  # without a state: what was set after the run, of which the state is not


def is_reconstruction(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a saved reconstruction and nothing else, by its first groups; no array is read."""
    file = checked_path(path)
    try:
        if not file.is_file() or first_bytes(file, len(HDF5_SIGNATURE)) != HDF5_SIGNATURE:
            return False
        with open_hdf5(file) as opened, hdf5_errors(file):
            root = member(opened, ROOT)
            return isinstance(root, h5py.Group) and len(opened) == 1 and "metadatabundle" in root
    except (PtyError, OSError):
        return False


RECONSTRUCTION = Kind("a saved reconstruction", is_reconstruction)


def save_checkpoint(
    path: str | os.PathLike[str], checkpoint: Checkpoint, overwrite: bool = False, inputs: Iterable[Path] = ()
) -> Path:
    """Write a checkpoint; an old one stays whole until the new one is complete.

    Parameters
    ----------
    path : path
        A new one, or that of a saved reconstruction, which is replaced.
    checkpoint : Checkpoint
    overwrite : bool
        Whether a file that is something else may be replaced.
    inputs : iterable of Path
        Files that are never replaced: those that the data were read from.

    Returns
    -------
    Path

    Raises
    ------
    FileFormatError
        When the file may not or cannot be written.
    """
    with atomic_hdf5(path, overwrite, inputs=inputs, replaces=RECONSTRUCTION) as file:
        _write(write_root(file, ROOT), checkpoint)
    return Path(os.fsdecode(path)).expanduser()


def new_provenance(dataset: Dataset | None) -> dict[str, Any]:
    """What made the result: program, version, time, machine type, data."""
    made = {
        "program": "ptywidgets",
        "version": __version__,
        "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    if dataset is not None:
        made |= {
            "data_name": dataset.name,
            "data_path": "" if dataset.path is None else str(dataset.path.absolute()),
            "data_fingerprint": fingerprint(dataset),
        }
    return made


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint.

    Raises
    ------
    FileFormatError
        When the file is not one, or is damaged.
    """
    source = checked_path(path)
    if not source.is_file():
        raise FileFormatError(f"there is no file {source.name!r} in {str(source.parent)!r}.")
    with open_hdf5(source) as file, hdf5_errors(source):
        root = member(file, ROOT)
        if not isinstance(root, h5py.Group):
            raise FileFormatError(
                f"{source.name!r} is an HDF5 file but holds no reconstruction of ptywidgets; "
                "data are opened by ptywidgets.read."
            )
        check_all(file, source)
        return _read(root, since=True)


def _write(root: h5py.Group, checkpoint: Checkpoint) -> None:
    state = checkpoint.state
    described = {
        name: json.dumps(to_plain(getattr(checkpoint, name)))
        for name in ("plan", "preparation", "optics", "calibration", "model")
    }
    numbers: dict[str, Any] = {
        "object_type": checkpoint.object_type,
        "sampling_A": tuple(float(s) for s in checkpoint.sampling),
        "rotation_degrees": checkpoint.rotation,
        "transpose": checkpoint.transpose,
        "scan_shape": tuple(int(n) for n in checkpoint.scan_shape),
    }
    if state is not None:
        numbers |= {"iteration": state.iteration, "batch": state.batch, "partial_loss": state.partial_loss}
        numbers |= {"stage": state.stage, "begun": state.begun}
        numbers["random"] = json.dumps(state.random)
        if state.slice_thickness is not None:
            numbers["slice_thickness_A"] = state.slice_thickness
        _write_state(root, state, checkpoint.sampling, checkpoint.voxel_depth)
    write_metadata(root, "reconstruction", numbers)
    if checkpoint.data is not None:
        described["source"] = write_data(root, checkpoint.data, DATA)
    write_metadata(root, "descriptions", described)
    if checkpoint.inputs:
        write_metadata(root, "inputs", {"files": list(checkpoint.inputs)})
    write_metadata(root, "provenance", {k: str(v) for k, v in checkpoint.provenance.items()})
    if checkpoint.outcome:
        write_metadata(root, OUTCOME, checkpoint.outcome)
    if checkpoint.views:
        write_views(root, checkpoint.views)
    if checkpoint.given is not None:
        write_given(root, checkpoint.given)
    if checkpoint.initial_image is not None:
        write_image(root, checkpoint.initial_image)
    if checkpoint.estimates:
        write_metadata(root, START, {"estimates": checkpoint.estimates})
    if checkpoint.optics.vacuum is not None:
        write_array(root, "vacuum", checkpoint.optics.vacuum, unit="intensity", python_class="VirtualDiffraction")
    if checkpoint.since is not None:
        group = root.create_group(SINCE)
        group.attrs["emd_group_type"] = "node"
        group.attrs["python_class"] = "Node"
        _write(group, checkpoint.since)


def _write_state(root: h5py.Group, state: State, sampling: tuple[float, float], deep: float | None) -> None:
    pixels = [Axis("y", sampling[0], "A"), Axis("x", sampling[1], "A")]
    along = Axis("slice") if deep is None else Axis("z", deep, "A")
    write_array(root, "object", state.object, axes=[along, *pixels], unit="rad")
    write_array(root, "probe", state.probe, axes=[Axis("mode"), *pixels], unit="sqrt(counts)")
    write_array(root, "positions", state.positions, unit="A")
    write_array(root, "losses", np.asarray(state.losses or (np.nan,)), unit="normalised error")
    write_array(root, "misfits", np.asarray(state.misfits or (np.nan,)), unit="log-likelihood per pattern")
    if state.order is not None:
        write_array(root, "order", state.order, unit="")
    for name, array in state.memory.items():
        write_array(root, MEMORY + name, array, unit="")
    for name, value in state.parameters.items():
        write_array(root, PARAMETER + name, np.asarray(value), unit="")


def _read(root: h5py.Group, since: bool = False) -> Checkpoint:
    numbers = {k: v[()] for k, v in root["metadatabundle/reconstruction"].items()}
    texts = {k: v[()].decode() for k, v in root["metadatabundle/descriptions"].items()}
    described = {_RENAMED_DESCRIPTIONS.get(k, k): from_plain(json.loads(v)) for k, v in texts.items() if k != "source"}
    optics = described["optics"]
    if "vacuum" in root:
        optics = optics.replace(vacuum=root["vacuum/data"][...])
    (rows, columns), scan = numbers["sampling_A"], numbers["scan_shape"]
    sampling = float(rows), float(columns)
    config = described.get("model", ModelConfig())
    state = None
    if "object" in root:
        losses = root["losses/data"][...].tolist() if int(numbers["iteration"]) else []
        misfits = root["misfits/data"][: len(losses)].tolist() if "misfits" in root else [np.nan] * len(losses)
        state = State(
            object=root["object/data"][...],
            probe=root["probe/data"][...],
            positions=root["positions/data"][...],
            iteration=int(numbers["iteration"]),
            batch=int(numbers["batch"]),
            order=root["order/data"][...] if "order" in root else None,
            partial_loss=float(numbers["partial_loss"]),
            losses=tuple(losses),
            misfits=tuple(misfits),
            stage=int(numbers.get("stage", 0)),
            begun=int(numbers.get("begun", 0)),
            random=json.loads(numbers["random"].decode()),
            sampling=sampling,
            slice_thickness=_slice_thickness(root, numbers, config),
            parameters={
                _present(name[len(PARAMETER) :]): root[name]["data"][...] for name in root if name.startswith(PARAMETER)
            },
            memory={name[len(MEMORY) :]: root[name]["data"][...] for name in root if name.startswith(MEMORY)},
        )
    return Checkpoint(
        state=state,
        plan=described["plan"],
        preparation=described["preparation"],
        optics=optics,
        calibration=described["calibration"],
        object_type=numbers["object_type"].decode(),
        sampling=sampling,
        rotation=float(numbers["rotation_degrees"]),
        transpose=bool(numbers["transpose"]),
        scan_shape=(int(scan[0]), int(scan[1])),
        provenance={
            _RENAMED_PROVENANCE.get(k, k): v[()].decode() for k, v in root["metadatabundle/provenance"].items()
        },
        model=config,
        views=read_views(root),
        voxel_depth=_voxel_depth(root),
        inputs=_inputs(root["metadatabundle"]),
        given=read_given(root),
        initial_image=read_image(root),
        estimates=root["metadatabundle"][START]["estimates"][()].decode() if START in root["metadatabundle"] else "",
        data=read_data(root, texts["source"], DATA) if "source" in texts else None,
        outcome={k: v[()].decode() for k, v in root["metadatabundle"].get(OUTCOME, {}).items()},
        since=_read(root[SINCE]) if since and isinstance(root.get(SINCE), h5py.Group) else None,
    )


def _present(name: str) -> str:
    """The present name of a parameter, which may be that of one view: "3 name"."""
    view, space, own = name.rpartition(" ")
    return view + space + _RENAMED.get(own, own)


def _inputs(bundle: h5py.Group) -> tuple[str, ...]:
    files = bundle.get("inputs/files")
    return () if files is None else tuple(files[name][()].decode() for name in files)


def _slice_thickness(root: h5py.Group, numbers: dict[str, Any], config: ModelConfig) -> tuple[float, ...] | None:
    """Of each slice or layer; older files do not say it, but what the model or the voxels are."""
    if "slice_thickness_A" in numbers:
        return tuple(map(float, numbers["slice_thickness_A"]))
    deep, count = _voxel_depth(root), len(root["object/data"])
    if deep is not None:
        return (deep,) * count
    return (config.thickness / config.slices,) * count if config.slices == count > 1 else None


def _voxel_depth(root: h5py.Group) -> float | None:
    if "object" not in root or root["object/dim0"].attrs["name"] != "z":
        return None
    return float(np.diff(root["object/dim0"][:2])[0])
