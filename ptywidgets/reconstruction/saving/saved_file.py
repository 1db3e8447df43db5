"""Saving a reconstruction and finding its data again."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from ptywidgets.engine.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from ptywidgets.engine.checkpoint.checkpoint import RECONSTRUCTION, new_provenance
from ptywidgets.engine.checkpoint.plain import check_saveable
from ptywidgets.engine.checkpoint.saved_data import SavedData, open_again
from ptywidgets.engine.checkpoint.saved_views import SavedView
from ptywidgets.engine.checks.doctor import Finding
from ptywidgets.engine.core.errors import DataError, FileFormatError, ParameterError, PtyError, unknown_name
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.calibration import NAMES, single
from ptywidgets.engine.data.dataset import CALIBRATED, Dataset
from ptywidgets.engine.io import ARGUMENTS
from ptywidgets.engine.io.atomic import checked_target
from ptywidgets.engine.preprocess import Measurement, Preparation
from ptywidgets.engine.tomography import TiltSeries
from ptywidgets.reconstruction.inputs.made_of import MadeOf
from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData
from ptywidgets.reconstruction.saving.copies import on_host
from ptywidgets.reconstruction.saving.saved_estimates import to_text

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

Source = Union[Dataset, str, "os.PathLike[str]"]


def check_save(recon: Reconstruction, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Raise what saving would raise over a path, or over what is to be saved, without saving."""
    check_can_save(recon)
    check_path(recon, path, overwrite)


def check_path(recon: Reconstruction, path: str | os.PathLike[str], overwrite: bool = False) -> None:
    """Raise what saving would raise over a path alone."""
    checked_target(path, overwrite, inputs=recon.inputs, replaces=RECONSTRUCTION)


def check_can_save(recon: Reconstruction) -> None:
    """Raise ParameterError where something that a reconstruction is described by cannot be saved."""
    for described in (recon.plan, recon.preparation, recon.model, recon.optics):
        check_saveable(described)


def save(recon: Reconstruction, path: str | os.PathLike[str], overwrite: bool = False) -> str:
    """Write a checkpoint of the latest whole state; returns the path."""
    check_save(recon, path, overwrite)
    present, of = recon.result.present, recon._maker.made_of
    if (present is None or of is None) and (recon.measurement is None or recon.dataset is None):
        raise ParameterError("nothing to save yet: prepare() or run() first.")
    unlike = recon._inputs.stale or recon._maker.has_other_model
    checkpoint = _settings(recon) if present is None or of is None or unlike else None
    if present is not None and of is not None:
        checkpoint = _of_result(recon, *present, of, since=checkpoint)
    assert checkpoint is not None
    return str(save_checkpoint(path, checkpoint, overwrite, recon.inputs))


def _settings(recon: Reconstruction) -> Checkpoint | None:
    """What is set now; None where there are no data to set anything for."""
    dataset, measurement = recon.dataset, recon.measurement
    if dataset is None:
        return None
    known = dataset.calibration
    sampling = None if known.q_pixel is None else known.sampling(dataset.detector_shape)
    return Checkpoint(
        state=None,
        preparation=recon.preparation,
        optics=recon.optics,
        object_type=recon.object_type,
        model=recon.model,
        sampling=(sampling or (1.0, 1.0)) if measurement is None else measurement.sampling,
        rotation=(recon.preparation.rotation or 0.0) if measurement is None else measurement.rotation,
        transpose=bool(recon.preparation.transpose) if measurement is None else measurement.transpose,
        scan_shape=dataset.scan_shape if measurement is None else measurement.scan_shape,
        given=recon.given,
        **_of_start(recon),
        **_of_data(recon, dataset, recon.views),
    )


def _of_result(
    recon: Reconstruction, problem: Any, state: State, of: MadeOf, since: Checkpoint | None = None
) -> Checkpoint:
    """The latest result, with what it was made of; `since` is what is set now, where that is something else."""
    measurement = of.measurement
    return Checkpoint(
        state=on_host(problem.backend, state),
        preparation=_as_used(of.preparation, measurement),
        optics=of.optics,
        object_type=of.object_type,
        model=of.model,
        sampling=problem.sampling,
        rotation=measurement.rotation,
        transpose=measurement.transpose,
        scan_shape=measurement.scan_shape,
        voxel_depth=problem.voxel[0] if isinstance(problem, TiltSeries) else None,
        given=of.given,
        outcome=_outcome(recon),
        since=since,
        **({} if recon._inputs.stale else _of_start(recon)),  # else they are of what was set since
        **_of_data(recon, of.dataset, of.views),
    )


def _of_start(recon: Reconstruction) -> dict[str, Any]:
    """What is known of the start with the data that are set now, and what the next fresh run begins from."""
    told = to_text(recon.estimates) if recon.estimates else ""
    return {"initial_image": recon.initial_image, "estimates": told}


def _outcome(recon: Reconstruction) -> dict[str, str]:
    """How the latest run has ended, and what of it is to be doubted; nothing of a run that goes on."""
    asked = [dataclasses.asdict(finding) for finding in recon._check.doubts]
    said = {"in question": json.dumps(asked, default=float)} if asked else {}
    if recon._work.outcome:
        doubts = json.dumps([dataclasses.asdict(finding) for finding in recon.doubts], default=float)
        said |= {"status": recon._work.outcome, "message": recon.message, "doubts": doubts}
    return said | {"found words": recon._unknown.found_words}


def take_outcome(recon: Reconstruction, said: dict[str, str]) -> None:
    """What :func:`save` has written of how a run has ended; files of older versions do not tell."""
    recon._unknown.found_words = said.get("found words", "")
    recon._check.doubt_again(_findings(said.get("in question", "[]")))
    recon.doubts, recon.message = _findings(said.get("doubts", "[]")), said.get("message", "")
    recon._work.outcome = said.get("status", "")


def _findings(text: str) -> tuple[Finding, ...]:
    try:
        return tuple(Finding(**{**one, "gives": tuple(one["gives"])}) for one in json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise FileFormatError(f"what is to be doubted is told in a way that is not understood: {error!r}.") from error


def _of_data(recon: Reconstruction, dataset: Dataset, views: TiltSeriesData | None) -> dict[str, Any]:
    """What a file remembers of data, and of what holds for a result as for what is set now."""
    return {
        "plan": recon.plan,
        "calibration": dataset.calibration,
        "views": () if views is None else _saved_views(views),
        "inputs": tuple(map(str, recon.inputs)),
        "data": SavedData.of(dataset) if views is None else None,
        "provenance": new_provenance(dataset)
        | {"initialized_from": recon.initialized_from, "schedule": recon.schedule}
        | {"found": " ".join(_found(recon)), "hold": " ".join(recon.hold)}
        | {"find_unknown": str(recon.find_unknown), "stale": str(recon._inputs.stale)},
    }


def _found(recon: Reconstruction) -> list[str]:
    """Of aberrations, rotation and transpose what was found, so that other data still make it unknown again."""
    free = [name for name in ("rotation", "transpose") if getattr(recon.preparation, name) is None]
    by_hand = recon.measurement is not recon._inputs.prepared  # somebody has made it, who knew
    return sorted({*recon._inputs.found_names, *(() if by_hand else free)})


def _as_used(preparation: Preparation, measurement: Measurement) -> Preparation:
    """With the rotation and transpose that a run has used; before a run they are not known for it."""
    return preparation.replace(rotation=measurement.rotation, transpose=measurement.transpose)


def load(
    path: str | os.PathLike[str], dataset: Source | Sequence[Source] | None = None
) -> tuple[Checkpoint, dict[str, Any], dict[str, Any] | None]:
    """A checkpoint, the data of its result with their optics, and those that were set since, if any: what a
    Reconstruction is made with. Where data that were set since are not there any more, the second is None."""
    checkpoint = load_checkpoint(path)
    since = checkpoint.since
    if since is None or not is_stale(checkpoint):
        return checkpoint, _found_again(checkpoint, dataset), None
    same = _place(since) == _place(checkpoint)
    try:
        found = _found_again(checkpoint, dataset)
    except DataError as error:
        if same:
            raise
        name = since.provenance.get("data_name") or "without a name"
        raise DataError(f"{error} Those are the data of the result; others ({name}) were set after it.") from error
    try:
        return checkpoint, found, _found_again(since, dataset if same else None)
    except PtyError:  # what matters is there; whoever loads is told
        return checkpoint, found, None


def is_stale(checkpoint: Checkpoint) -> bool:
    """Whether a run would begin anew, as data, preparation or optics are not those of the result."""
    return checkpoint.provenance.get("stale") == "True"


def _place(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Where the patterns of all views are, whatever was done to them."""
    views, said = checkpoint.views, checkpoint.provenance
    if views:
        return [(view.path, view.name) for view in views]
    return [(said.get("data_path", ""), said.get("data_name", ""))]


def _found_again(checkpoint: Checkpoint, dataset: Source | Sequence[Source] | None) -> dict[str, Any]:
    views = checkpoint.views
    if not views:
        if isinstance(dataset, (list, tuple)):
            raise DataError(f"{len(dataset)} data sets are given; the saved reconstruction is of one.")
        known = checkpoint.provenance
        found = open_again(
            checkpoint.data,
            dataset,  # type: ignore[arg-type]  # one data set: a series is refused above
            name=known.get("data_name", ""),
            path=known.get("data_path", ""),
            expected=known.get("data_fingerprint", ""),
            calibration=checkpoint.calibration,
        )
        return {"dataset": found, "optics": checkpoint.optics}
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
    return {"dataset": datasets, "tilts": tilts, "optics": each or checkpoint.optics}


def other_than_saved(dataset: Any, found: Any) -> str:
    """What data that are passed to a saved reconstruction say otherwise, in words; its state belongs to what it has."""
    several, kept_ones = (list(one) if isinstance(one, (list, tuple)) else [one] for one in (dataset, found))
    pairs = zip(several, kept_ones, strict=False)  # none where the file's own path is read
    said = [_differences(given, kept) for given, kept in pairs if isinstance(given, Dataset)]
    differ = list(dict.fromkeys(words for each in said for words in each))
    return f"Kept as it was saved, not as the data that were passed have it: {', '.join(differ)}." if differ else ""


def _differences(given: Dataset, kept: Dataset) -> list[str]:
    """Of data of the same shape, and so not still to be cropped or binned."""
    if given.shape != kept.shape:
        return []
    words = []
    for name in CALIBRATED:
        one, other = getattr(kept.calibration, name), getattr(given.calibration, name)
        if other is not None and one != other:
            words.append(f"{name} ({one}, not {other})")
    for name in ("mask", "scan_mask", "vacuum"):
        one, other = getattr(kept, name), getattr(given, name)
        if other is not None and (one is None or not np.array_equal(one, other, equal_nan=one.dtype.kind == "f")):
            words.append(name.replace("_", " "))
    return words


def refuse_other(
    path: str | os.PathLike[str], checkpoint: Checkpoint, given: dict[str, Any], *, flags: bool = False
) -> None:
    """Raise a ParameterError where what is given along with a saved reconstruction is not what it was made with.

    A state belongs to its data and its calibration, so nothing of this can be changed by opening it; what says the
    same as the file is taken. With `flags` in the words of the command line.
    """
    name = Path(path).name
    source = None if checkpoint.data is None else checkpoint.data.source
    said: dict[str, Any] = {field: getattr(checkpoint.calibration, field) for field in CALIBRATED}
    if None not in (said["energy"], said["q_pixel"]):
        said["angle_pixel"] = single(checkpoint.calibration.angle_pixels)
    if checkpoint.optics.aberrations.known:
        said["defocus"] = checkpoint.optics.aberrations["defocus"]
    if source is not None:
        said |= {"scan_shape": source.scan_shape, "choose": source.choose, "axes": source.axes or None}
        said["allow_external"] = source.allow_external
        said |= source.overrides
        said["dataset"] = source.dataset or None
        files = {"vacuum": source.vacuum, "mask": source.mask}
        said |= {field: one.path for field, one in files.items() if one is not None and one.path}
    known = (*NAMES, *ARGUMENTS, "tilts", "defocus")
    for argument, value in given.items():
        if argument not in known:
            raise unknown_name("argument of Reconstruction.open", argument, known)
        if value is None or _same(value, said.get(argument)):
            continue
        if isinstance(value, os.PathLike):
            value = str(value)
        if isinstance(value, str) and argument in ("vacuum", "mask"):
            value = str(Path(value).expanduser().absolute())
            if value == said.get(argument):
                continue
        has = "it has its own" if argument not in said else f"it was made with {said[argument]!r}"
        shown = repr(value) if isinstance(value, (int, float, str, tuple, list)) else f"a {type(value).__name__}"
        change = {
            "defocus": "set recon.optics",
            "vacuum": "set recon.optics = recon.optics.replace(vacuum=...)",
            "mask": "set recon.dataset = recon.dataset.with_mask(...)",
        }.get(argument, f"recon.set_calibration({argument}=...)" if argument in NAMES else "")
        original = "" if source is None or not source.path else f" {source.path}"
        if flags:
            flag = f"--{argument.replace('_', '-')}"
            raise ParameterError(
                f"{name} is a saved reconstruction, and {flag} {shown} is given; {has}. Leave {flag} out to go on with "
                f"the saved one. To begin anew with another one, reconstruct the data{original} themselves."
            )
        raise ParameterError(
            f"{name} is a saved reconstruction, and {argument}={shown} is given; {has}. Leave it out to go on with "
            f"the saved one. To begin anew with another one, open the data{original} themselves"
            f"{f', or after opening {change}, after which the next run starts anew' if change else ''}."
        )


def _same(value: Any, saved: Any) -> bool:
    """Whether an argument says what was saved."""
    try:
        return bool(np.all(np.isclose(np.asarray(value, float), np.asarray(saved, float), rtol=1e-6)))
    except (TypeError, ValueError):
        return bool(value == saved) if isinstance(value, (str, bool)) else False


def _saved_views(views: TiltSeriesData) -> tuple[SavedView, ...]:
    optics = views.optics or (None,) * len(views)
    saved = zip(views.datasets, views.tilts, optics, strict=True)
    return tuple(SavedView.of(dataset, tilt, one) for dataset, tilt, one in saved)
