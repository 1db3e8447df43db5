"""A reconstruction and its files: opened, loaded, saved, and asked beforehand whether that can be."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

import numpy as np

from ptywidgets.engine.checkpoint import Checkpoint, is_reconstruction, load_checkpoint
from ptywidgets.engine.core.errors import DataError, FileFormatError, FileInTheWay, ParameterError, PtyError
from ptywidgets.engine.core.files import checked_path
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read
from ptywidgets.engine.preprocess import prepare
from ptywidgets.reconstruction.inputs.made_of import MadeOf
from ptywidgets.reconstruction.inputs.tilt_series_data import views_and_optics
from ptywidgets.reconstruction.saving import saved_file
from ptywidgets.reconstruction.saving.copies import idle_status
from ptywidgets.reconstruction.saving.exports import Exports
from ptywidgets.reconstruction.saving.saved_estimates import from_text

if TYPE_CHECKING:
    import xarray

    from ptywidgets.reconstruction.reconstruction import Reconstruction

log = logging.getLogger("ptywidgets")
FilePath = Union[str, "os.PathLike[str]"]


class Files:
    """Saves a reconstruction, and says beforehand what stands against it."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.warned = ""  # of what cannot be saved

    def save(self, path: str | os.PathLike[str], overwrite: bool = False) -> str:
        """Save everything but the patterns themselves into one EMD file; an older file stays whole until it is done.

        Parameters
        ----------
        path : path
            A new file, or a saved reconstruction, which is replaced.
        overwrite : bool
            Whether a file that is something else may be replaced. One of :attr:`inputs` never is.

        Raises
        ------
        FileFormatError
            When the file may not or cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import ptywidgets as pw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pw.write(f"{folder}/duck.h5", pw.samples.ducky("tiny"))
        ...     recon = pw.Reconstruction.open(file, defocus=250).run(1)
        ...     try:
        ...         recon.save(file, overwrite=True)
        ...     except pw.engine.PtyError as error:
        ...         print(str(error).split('; ')[1])
        choose another name, such as duck_result.h5.
        """
        return saved_file.save(self.recon, path, overwrite)

    def check_save(self, path: str | os.PathLike[str], overwrite: bool = False) -> None:
        """Raise at once what :meth:`save` would raise over a path, for whoever works for hours before."""
        saved_file.check_save(self.recon, path, overwrite)

    def export(self, path: str | os.PathLike[str], overwrite: bool = False) -> list[str]:
        """Write the result for other programs; :meth:`save` is what keeps everything to go on with.

        Parameters
        ----------
        path : path
            A file, whose ending says what is written: ``.tif`` the phase in rad (32 bit, the size of a pixel, all
            slices), ``.png`` the phase in grey with a scale bar, ``.hspy`` the phase for HyperSpy, ``.json`` all
            settings and what is doubted, ``.zarr.zip`` all arrays with named axes (it takes the package zarr). Without
            an ending a folder, which is made, with all but the last, the amplitude and the probe. Images are in the
            scan frame, the probe in the detector's.
        overwrite : bool
            Whether files of these names may be replaced. What the data were read from never is.

        Returns
        -------
        list of str
            The files that were written.

        Raises
        ------
        ParameterError
            When there is no result yet, or the ending is none of these.
        FileFormatError
            When a file may not or cannot be written.

        Examples
        --------
        >>> import tempfile
        >>> import ptywidgets as pw
        >>> recon = pw.Reconstruction(pw.samples.ducky("tiny"), defocus=250).run(1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [file.rsplit('/')[-1] for file in recon.export(f"{folder}/duck")]
        ['phase.tif', 'phase.hspy', 'phase.png', 'probe.tif', 'settings.json']
        """
        return Exports(self.recon).export(path, overwrite)

    def to_xarray(self) -> xarray.Dataset:
        """The result as a dataset of xarray, with named axes and coordinates in A; it takes the package xarray.

        Returns
        -------
        xarray.Dataset
            ``phase`` (y, x) in rad and, of a complex object, ``amplitude``, in the scan frame; of several slices
            ``slices`` (slice, y, x); ``probe`` (mode, row, column), centred, in the detector frame; ``error``
            (iteration). Its attribute ``settings`` is JSON.

        Raises
        ------
        ParameterError
            When there is no result yet, or no xarray.
        """
        return Exports(self.recon).to_xarray()

    def check_autosave(self, path: Any) -> None:
        """Raise what saving by itself would raise over a path alone."""
        try:
            saved_file.check_path(self.recon, path)
        except FileInTheWay as error:
            advice = "give autosave another name, or save there once with save(path, overwrite=True)"
            raise FileInTheWay(error.problem, advice) from None

    def can_save(self) -> bool:
        """Whether everything that describes this reconstruction can be saved; what cannot is in :attr:`message`.

        A constraint, refinement or algorithm of your own has to be registered: :func:`ptywidgets.engine.register`.
        """
        words = self._unsaveable()
        if words:
            self.recon.message = words
        return not words

    def say_unsaveable(self) -> None:
        """Before the work is done: an error where it is to be saved on the way, else a word in the log."""
        words = self._unsaveable()
        if words and self.recon.autosave is not None:
            raise ParameterError(f"autosave is on. {words}")
        if words and words != self.warned:
            self.warned = self.recon.message = words
            log.warning(words)

    def _unsaveable(self) -> str:
        """Why this reconstruction cannot be saved; "" where it can."""
        try:
            saved_file.check_can_save(self.recon)
        except ParameterError as error:
            return f"This cannot be saved: {error}"
        return ""


def opened(
    kind: type[Reconstruction],
    /,
    path: FilePath | Sequence[FilePath],
    vacuum: FilePath | np.ndarray | None = None,
    *,
    tilts: Sequence[Any] | None = None,
    defocus: float | None = None,
    **calibration: Any,
) -> Reconstruction:
    """Open a file of data, the files of a tilt series, or a saved reconstruction.

    Parameters
    ----------
    path : path or sequence of path
        Anything that :func:`ptywidgets.read` understands, or what :meth:`save` wrote.
    tilts : sequence, optional
        One for each of several files, as above.
    vacuum : path or ndarray, optional
        Vacuum pattern.
    defocus : float, optional
        In A.
    **calibration
        What the file does not say: ``energy=80e3`` (eV), ``semiangle=20`` (mrad), ``scan_step`` (A), ``q_pixel``
        (1/A); and how the data are to be read, as for :func:`ptywidgets.read`: ``dataset``, ``mask``,
        ``scan_shape``, ``choose``, ``allow_external``, ``format``, ``sync_offset``, ``flip`` and others.

    Raises
    ------
    ParameterError
        When something else than what it was made with is given along with a saved reconstruction.
    """
    if isinstance(path, Dataset):
        raise ParameterError("path is a Dataset, which is open already: Reconstruction(dataset).")
    if isinstance(path, (str, bytes, os.PathLike)) or not isinstance(path, Iterable):
        checked_path(path)
        path = os.fsdecode(path)
        saved = _checkpoint(path)
        if saved is not None:
            given = {"vacuum": vacuum, "tilts": tilts, "defocus": defocus, **calibration}
            saved_file.refuse_other(path, saved, given)
            return kind.load(path)
        files: list[Any] = [path]
        several = tilts is not None
    else:
        files, several = list(path), True
        for one in files:
            checked_path(one)
            if is_reconstruction(one):
                raise ParameterError(
                    f"{os.path.basename(one)} is a saved reconstruction, not a data file; a tilt series is opened "
                    "from the data of each tilt, and a saved one by itself: Reconstruction.load(path)."
                )
    if vacuum is not None:
        calibration["vacuum"] = vacuum
    datasets = [read(one, **calibration) for one in files]
    return _made(kind, dataset=datasets if several else datasets[0], tilts=tilts, defocus=defocus)


def loaded(
    kind: type[Reconstruction],
    /,
    path: FilePath,
    dataset: Dataset | FilePath | Sequence[Dataset | FilePath] | None = None,
) -> Reconstruction:
    """Load what :meth:`save` wrote, and go on where it stopped.

    Parameters
    ----------
    path : path
    dataset : Dataset or path, optional
        The data, where they are no longer at the path that the file remembers; of a tilt series one for each tilt.
        Calibration, masks and vacuum pattern stay those that were saved; where these have others, :attr:`message`
        says so.
    """
    checkpoint, found, other = saved_file.load(path, dataset)
    now = checkpoint if checkpoint.since is None or other is None else checkpoint.since
    model = now if checkpoint.since is None or saved_file.is_stale(checkpoint) else checkpoint.since
    recon = _made(
        kind,
        **(other or found),
        plan=now.plan,
        preparation=now.preparation,
        object_type=model.object_type,
        model=model.model,
        given=now.given,
        **({} if now.initial_image is None else {"initial_image": now.initial_image}),
    )
    recon._following.hold()  # the state is of the rows that there were
    for file in checkpoint.inputs:
        recon.remember_input(file)
    said = checkpoint.provenance
    if checkpoint.state is not None or "schedule" in said:
        automatic = said.get("schedule") == "automatic"  # older files say planned for manual
        recon.schedule = "automatic" if automatic else "manual"
    recon.hold, recon.find_unknown = tuple(said.get("hold", "").split()), said.get("find_unknown") != "False"
    words = [saved_file.other_than_saved(dataset, (other or found)["dataset"])]
    if checkpoint.state is not None:
        recon._images.began_from = said.get("initialized_from", "empty")
        if now is checkpoint:
            recon.measurement = recon._inputs.prepared = prepare(recon._inputs.data(), recon.preparation)
        saved_file.take_outcome(recon, checkpoint.outcome)
        of = recon._maker.now() if now is checkpoint else _made_of(checkpoint, found)
        _continue_from(recon, checkpoint.state, of.with_model(checkpoint.model, checkpoint.object_type))
        recon._inputs.stale = saved_file.is_stale(checkpoint) and (now is not checkpoint or checkpoint.since is None)
        words.append(_about_stale(checkpoint, now))
    recon._inputs.remember_found(said.get("found", "").split())
    recon.estimates = from_text(now.estimates)
    told = " ".join(filter(None, words))
    if told:
        recon.message = f"{told} {recon.message}".strip()
        log.warning(told)
    recon._following.release()
    return recon


def _made(kind: type[Reconstruction], **values: Any) -> Reconstruction:
    """One of a kind, which may be a subclass of somebody's that asks for more than a file tells."""
    try:
        inspect.signature(kind.__init__).bind(None, **values)
    except TypeError as error:
        raise ParameterError(
            f"{kind.__name__} cannot be made from a file: its __init__ has to take the arguments of Reconstruction, "
            f"and others with a default, but: {error}. Or open it by Reconstruction itself."
        ) from error
    return kind(**values)


def _about_stale(checkpoint: Checkpoint, now: Checkpoint) -> str:
    """Of what the result in a file is, where that is not what is set."""
    since = checkpoint.since
    if since is not None and not saved_file.is_stale(checkpoint):
        return "The result is of the model that it was made with; the next run goes on with the one that was set since."
    if since is not None and now is checkpoint:
        name = since.provenance.get("data_name") or "without a name"
        return f"The data that were set after the run ({name}) were not found again; what the result is of is set."
    if not saved_file.is_stale(checkpoint):
        return ""
    if since is None:  # older files tell of what is set only
        return (
            "Data, preparation or optics were changed after this result, and the file does not tell from what: it is "
            "shown as if it were of the present ones. The next run begins anew."
        )
    return "The result is of what it was made from; data, preparation or optics set since begin a run anew."


def _made_of(checkpoint: Checkpoint, found: dict[str, Any]) -> MadeOf:
    """What a result was made of, where something else has been set since."""
    views, first, optics = views_and_optics(found["dataset"], None, found.get("tilts"), found["optics"], None)
    assert first is not None and optics is not None
    preparation = checkpoint.preparation  # with the rotation and the transpose that were used, for all tilts
    measurements = tuple(prepare(one, preparation) for one in ((first,) if views is None else views.datasets))
    return MadeOf(
        first, views, measurements, preparation, optics, checkpoint.given, checkpoint.model, checkpoint.object_type
    )


def _continue_from(recon: Reconstruction, state: State, of: MadeOf) -> None:
    if of.views is None and len(of.measurement.patterns) != len(state.positions):
        raise DataError(
            f"the saved reconstruction is of {len(state.positions)} scan positions, but "
            f"{len(of.measurement.patterns)} of these data count; leave out the same ones: "
            "dataset=data.with_scan_mask(...), or what Auto left out, dataset=data.without_bad_frames()."
        )
    problem = recon._maker.of_state(state, of)
    _check_fits(problem, state)
    recon.result.take(problem, problem.on_device(state))
    recon._inputs.stale = False
    recon.iteration = state.iteration
    status = idle_status(recon)
    if status != "stopped":  # it has come to its end, which the automatic schedule finds by itself
        recon._session.target = state.iteration
    recon._session.set_status(status)
    recon._work.publish()


def _check_fits(problem: Any, state: State) -> None:
    """Raise a FileFormatError where a state is not of the model and the object type that its file names."""
    expected = problem.start()
    for name in ("object", "probe"):
        told, found = getattr(expected, name), getattr(state, name)
        counts = (told.shape[:-2], told.dtype.kind), (found.shape[:-2], found.dtype.kind)
        if counts[0] != counts[1]:
            raise FileFormatError(
                f"the {name} in the file is {found.dtype} of {found.shape}; its model and object type have "
                f"{told.dtype} of {told.shape}. It was saved after one of them had been changed: go on from another "
                "file, or make it again."
            )


def _checkpoint(path: Any) -> Checkpoint | None:
    try:
        return load_checkpoint(path)
    except PtyError:
        return None


__all__ = ["FilePath", "Files", "loaded", "opened"]
