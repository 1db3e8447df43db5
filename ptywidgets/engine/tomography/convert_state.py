"""A series' state goes on under another model: the volume stays where it lies, each view takes over what it can."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.convert_state import convert_state, depth_shares, split_slices
from ptywidgets.engine.tomography.series import TiltSeries


def convert_series_state(series: TiltSeries, old: TiltSeries, state: State) -> State:
    """What a state of one series says in terms of another one of the same patterns and tilts.

    Super-slices are made of the volume anew in every iteration, so that other numbers of them change nothing in it. A
    volume of another depth keeps what it holds where that lies, about the same middle, and loses what lies beyond. Of
    each view, probe modes and what else it has found are taken over as by
    :func:`ptywidgets.engine.problem.convert_state.convert_state`.

    Returns
    -------
    State
        On the new series' device; the algorithm's memory is gone.

    Examples
    --------
    >>> from ptywidgets.testing.series import blobs, example_series
    >>> old, thick = example_series(), example_series(slices=2, modes=2)
    >>> state = convert_series_state(thick, old, old.start().replace(object=blobs(old.object_shape)))
    >>> bool((state.object == blobs(old.object_shape)).all()), state.probe.shape
    (True, (10, 20, 20))
    """
    volume = old.backend.to_numpy(state.object)
    parts = [convert_state(one, before, old.view(state, n)) for n, (one, before) in enumerate(_pairs(series, old))]
    host = series.backend.to_numpy
    parameters: dict[str, Any] = {}
    for number, part in enumerate(parts):
        parameters |= {f"{number} {name}": value for name, value in part.parameters.items()}
    return series.on_device(
        state.replace(
            object=in_depth(volume, old.voxel[0], series.object_shape[0], series.voxel[0]),
            probe=np.concatenate([host(part.probe) for part in parts]),
            parameters=parameters,
            memory={},
            slice_thickness=series.slice_thickness,
        )
    )


def in_depth(volume: np.ndarray, step: float, count: int, new_step: float) -> np.ndarray:
    """A volume (Z, Y, X) of layers `step` A deep in `count` layers of `new_step` A about the same middle.

    Examples
    --------
    >>> in_depth(np.array([[[2.0]], [[4.0]]]), 1.0, 4, 0.5).ravel().tolist()
    [1.0, 1.0, 2.0, 2.0]
    >>> in_depth(np.array([[[2.0]], [[4.0]]]), 1.0, 4, 1.0).ravel().tolist()
    [0.0, 2.0, 4.0, 0.0]
    """
    if len(volume) == count and np.isclose(step, new_step):
        return volume
    faces, new = (_faces(n, d) for n, d in ((len(volume), step), (count, new_step)))
    return split_slices(volume, depth_shares(faces, new))


def _faces(count: int, step: float) -> np.ndarray:
    """Of layers (Z + 1,), in A from their middle."""
    return (np.arange(count + 1) - count / 2) * step


def _pairs(series: TiltSeries, old: TiltSeries) -> Any:
    return zip(series.views, old.views, strict=True)


__all__ = ["convert_series_state", "in_depth"]
