"""What a reconstruction is given to begin with: a probe or an object that is known already."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.checkpoint import is_reconstruction, load_checkpoint
from ptywidgets.engine.core.errors import FileFormatError, ParameterError
from ptywidgets.engine.core.params import switch
from ptywidgets.engine.io.waves import read_wave
from ptywidgets.engine.solve.given import Given, checked_object, checked_probe
from ptywidgets.reconstruction.result.result import Result

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


class GivenWaves:
    """A probe and an object that others have found, for the next run to begin with."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon

    @property
    def probe_is_given(self) -> bool:
        """Whether a run begins with a probe that is known, so that no aberrations need be."""
        recon = self.recon
        return recon.given is not None and recon.given.probe is not None

    def begin_with(
        self,
        probe: Any = None,
        object: Any = None,
        *,
        hold_probe: bool = False,
        hold_object: bool = False,
        sampling: float | tuple[float, float] | None = None,
        centred: bool | None = None,
    ) -> None:
        """Let the next run begin anew, with a known probe, a known object, or both; without any, as if none were known.

        Each is brought onto the grid of the data: by its Fourier coefficients where its pixels are of another size,
        padded or cut where its box is. The probe gets the mean counts of the patterns. A phase and a transmission
        become each other where the model has the other kind of object, and slices are shared out over the depth.

        Parameters
        ----------
        probe : array (Ny, Nx) or (M, Ny, Nx), path, or Reconstruction, optional
            Wave in real space. A path is a saved reconstruction, a .npy file, or HDF5 with an array named "probe". More
            modes than the model has are taken, too: the model then has as many.
        object : array (Y, X) or (S, Y, X), path, or Reconstruction, optional
            Complex transmission, or real phase in rad, in the detector frame, as :attr:`object` gives it; of a tilt
            series the volume.
        hold_probe, hold_object : bool
            Keep it as it is: whatever the plan, its constraints and its refinements do, it stays.
        sampling : float or (float, float), optional
            Pixel of arrays in A; of reconstructions it is known. By default that of the data, and then the shape has to
            be theirs.
        centred : bool, optional
            Of a probe in an array or a foreign file: True where its middle is in the middle of the box, False where it
            is at pixel [0, 0]. By default it is told from the intensity.

        Raises
        ------
        ParameterError
            When it is not what was expected, or where it cannot be told how it fits.

        Examples
        --------
        >>> from ptywidgets import Reconstruction, samples
        >>> first = Reconstruction(samples.ducky("tiny"), defocus=250).run(3)
        >>> second = Reconstruction(samples.ducky("tiny")).begin_with(probe=first, hold_probe=True).run(2)
        >>> bool(np.allclose(second.probe, first.probe, rtol=0.1, atol=0.5)), second.initialized_from
        (True, 'probe of a Reconstruction of ducky tiny (held)')
        """
        recon = self.recon
        recon._session.require_idle("begin with something else")
        if probe is None and object is None and not (hold_probe or hold_object):
            self._give(None)
            return
        size = None if sampling is None else _pair(sampling)
        values: dict[str, Any] = {"hold_probe": switch("hold_probe", hold_probe)}
        values["hold_object"] = switch("hold_object", hold_object)
        words = []
        if probe is not None:
            values |= _probe_from(probe, size, centred)
            words.append(f"probe of {_source_words(probe)}{' (held)' if hold_probe else ''}")
        if object is not None:
            values |= _object_from(object, size)
            words.append(f"object of {_source_words(object)}{' (held)' if hold_object else ''}")
        self._give(Given(**values, words=", ".join(words)))
        for source in filter(_is_path, (probe, object)):
            recon._inputs.remember_input(source)

    def forget_object(self) -> None:
        """No object is given any more; a probe is as before."""
        recon = self.recon
        given = recon.given
        if given is None or given.object is None:
            return
        words = given.words.split(", object of")[0]
        without: dict[str, Any] = {"object": None, "object_sampling": None, "object_middle": None, "orientation": None}
        kept = dataclasses.replace(given, **without, hold_object=False, words=words)
        recon.given = None if given.probe is None else kept

    def follow(self, change: Any) -> None:
        inputs = self.recon._inputs
        inputs.outdate()
        inputs.say_next_run("What is given to begin with changes")

    def _give(self, given: Given | None) -> None:
        recon = self.recon
        if given is not None and given.object is not None:
            recon.initial_image = None
        if given is not None and given.probe is not None and len(given.probe) > recon.model.modes:
            recon.model = recon.model.replace(modes=len(given.probe))
        recon.given = given
        if given is not None:
            recon._inputs.outdate()  # also with the same again
        recon.message = "" if given is None else f"The next run begins with the {given.words}."


def _probe_from(source: Any, size: tuple[float, float] | None, centred: bool | None) -> dict[str, Any]:
    if centred is not None:
        centred = switch("centred", centred)
    if _is_reconstruction(source):
        problem, state = _result_of(source)
        return {"probe": problem.backend.to_numpy(state.probe), "probe_sampling": problem.sampling}
    saved = _saved(source)
    if saved is not None:
        if saved.state is None:
            raise ParameterError(f"{os.fspath(source)!r} was saved before its first iteration; it has no probe yet.")
        if saved.views:
            raise ParameterError("a saved tilt series has a probe for every tilt; load it and give one as an array.")
        return {"probe": np.asarray(saved.state.probe), "probe_sampling": saved.sampling}
    array = read_wave(source, "probe") if _is_path(source) else source
    return {"probe": checked_probe(array, centred), "probe_sampling": size}


def _object_from(source: Any, size: tuple[float, float] | None) -> dict[str, Any]:
    if _is_reconstruction(source):
        problem, state = _result_of(source)
        where, measurement = problem.initial_positions, problem.measurement
        obj, sampling = problem.backend.to_numpy(state.object), problem.sampling
        orientation = (float(measurement.rotation), bool(measurement.transpose))
    else:
        saved = _saved(source)
        if saved is None:
            array = read_wave(source, "object") if _is_path(source) else source
            return {"object": checked_object(array), "object_sampling": size}
        if saved.state is None:
            raise ParameterError(f"{os.fspath(source)!r} was saved before its first iteration; it has no object yet.")
        obj, where, sampling = np.asarray(saved.state.object), saved.state.positions, saved.sampling
        orientation = (float(saved.rotation), bool(saved.transpose))
    middle = (where.max(0) + where.min(0)) / 2
    return {
        "object": checked_object(obj),
        "object_sampling": sampling,
        "object_middle": (float(middle[0]), float(middle[1])),
        "orientation": orientation,
    }


def _result_of(source: Any) -> tuple[Any, Any]:
    present = source.result.seen
    if present is None:
        raise ParameterError("the other reconstruction has not run yet; run it, or give an array.")
    return present


def _saved(source: Any) -> Any:
    """The saved reconstruction at a path; None for anything else."""
    if not _is_path(source) or Path(source).suffix.lower() == ".npy" or not Path(source).expanduser().is_file():
        return None
    try:
        return load_checkpoint(source)
    except FileFormatError:
        if is_reconstruction(source):  # a damaged one
            raise
        return None


def _is_reconstruction(source: Any) -> bool:
    return isinstance(getattr(source, "result", None), Result)


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))


def _source_words(source: Any) -> str:
    if _is_path(source):
        return Path(source).name
    if _is_reconstruction(source):
        name = "" if source.dataset is None else source.dataset.name
        return "a Reconstruction" + (f" of {name}" if name else "")
    return f"an array {' x '.join(map(str, np.shape(source)))}"


def _pair(sampling: Any) -> tuple[float, float]:
    try:
        size = np.broadcast_to(np.asarray(sampling, float), (2,))
    except (TypeError, ValueError):
        size = np.full(2, np.nan)
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise ParameterError(f"sampling is {sampling!r}; expected the size of a pixel in A, such as 0.2.")
    return float(size[0]), float(size[1])


__all__ = ["GivenWaves"]
