"""The object in the scan frame: turned as the scan lies, cropped to it, whole, slice by slice, or cut in depth.

Of a tilt series the object is the volume: its layers are what slices are here, and all of them together its projection
along the beam at no tilt.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.core.state import State
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.tomography import TiltSeries
from ptywidgets.reconstruction.result.display_settings import Line

Map = tuple[np.ndarray, np.ndarray, tuple[int, int], float]


def shown_transmission(
    problem: Problem | TiltSeries, state: State, largest: int | None = None, slice: int | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Phase (rad), amplitude and pixel (A) of the object, turned into the scan frame and cropped.

    Parameters
    ----------
    largest : int, optional
        Most pixels on a side; by default as fine as the object itself.
    slice : int, optional
        One slice alone; by default all of them, phases added and amplitudes multiplied.
    """
    obj = state.object if slice is None else state.object[slice : slice + 1]
    obj = problem.backend.to_numpy(obj)
    if np.iscomplexobj(obj):
        total = obj[0] if len(obj) == 1 else np.prod(obj, axis=0)
        parts = [np.ascontiguousarray(total.real), np.ascontiguousarray(total.imag)]
    else:
        parts = [obj[0] if len(obj) == 1 else obj.sum(0)]
    frame = into_scan_frame(problem, largest)
    turned = [_turned(part, frame) for part in parts]
    if len(turned) == 1:
        return turned[0], np.ones(frame[2], np.float32), frame[3]
    return np.arctan2(turned[1], turned[0]), np.hypot(*turned), frame[3]


def shown_map(problem: Problem | TiltSeries, values: Any, largest: int | None = None) -> np.ndarray:
    """A map (S, Y, X) on the object's pixels, added up over slices, as :func:`shown_transmission` shows the object."""
    return _turned(problem.backend.to_numpy(values).sum(0), into_scan_frame(problem, largest))


def depth_section(
    problem: Problem | TiltSeries, state: State, line: Line, largest: int | None = None
) -> tuple[np.ndarray, tuple[float, float]]:
    """Phase of every slice along a line of the image.

    Parameters
    ----------
    line : (float, float, float, float)
        Row and column of its ends, as parts of the image.
    largest : int, optional
        Most pixels along the line; by default as fine as the object itself.

    Returns
    -------
    section : ndarray (S, W) float32
        rad, the slice where the beam enters first.
    sampling : (float, float)
        A: thickness of a slice on the average, and distance along the line.
    """
    matrix, offset, shape, step = into_scan_frame(problem, largest)
    ends = np.reshape(line, (2, 2)) * (np.array(shape) - 1)
    length = float(np.hypot(*(ends[1] - ends[0])))
    count = max(2, round(length) + 1)
    places = matrix @ (ends[0][:, None] + (ends[1] - ends[0])[:, None] * np.linspace(0, 1, count)) + offset[:, None]

    def along(values: np.ndarray) -> np.ndarray:
        return ndimage.map_coordinates(values, places, order=1, mode="nearest", output=np.float32)

    obj = problem.backend.to_numpy(state.object)
    if np.iscomplexobj(obj):
        rows = [np.arctan2(along(o.imag), along(o.real)) for o in obj]
    else:
        rows = [along(o) for o in obj]
    thick = thicknesses(state)
    return np.array(rows), (float(thick.mean()) or 1.0, step * length / (count - 1))


def position_corrections(problem: Problem | TiltSeries, state: State) -> np.ndarray | None:
    """How far positions have been moved from where they began (Ry, Rx) complex64, A: rows + i columns, scan frame.

    NaN where a position is left out; None where none has moved, or where they lie on no grid.
    """
    moved, measurement = state.positions - problem.initial_positions, problem.measurement
    if len(moved) != len(measurement.scan_indices) or len(moved) != len(measurement.patterns) or not moved.any():
        return None
    if measurement.scan_mask is None and len(moved) != np.prod(measurement.scan_shape):
        return None
    rows, columns = (moved @ _turn(problem)).T
    return measurement.on_scan((rows + 1j * columns).astype(np.complex64))


def thicknesses(state: State) -> np.ndarray:
    """Thickness (S,) of each slice in A, as refined; of each layer of a volume; 0 where the model knows none."""
    thick, count = state.thicknesses, len(state.object)
    return thick if thick is not None and len(thick) == count else np.zeros(count)  # a model may tell distances alone


def into_scan_frame(problem: Problem | TiltSeries, largest: int | None) -> Map:
    """Affine map from shown pixels to object pixels, the shown shape, and the shown pixel in A."""
    measurement = problem.measurement
    steps = measurement.calibration.scan_steps
    extent = [(n - 1) * step for n, step in zip(measurement.scan_shape, steps, strict=True)]
    fine = min(problem.sampling)
    step = max(fine, max(extent) / (largest - 1)) if largest else fine
    shape = (max(2, int(extent[0] / step) + 1), max(2, int(extent[1] / step) + 1))
    matrix = _turn(problem) * step / np.array(problem.sampling)[:, None]
    middle = problem.scan_middle / np.array(problem.sampling)
    offset = middle - matrix @ ((np.array(shape) - 1) / 2)
    return matrix, offset, shape, step


def _turn(problem: Problem | TiltSeries) -> np.ndarray:
    """Matrix (2, 2) from the scan frame into that of the detector: by -rotation, as the positions are turned."""
    angle = np.radians(-problem.measurement.rotation)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return turn[::-1] if problem.measurement.transpose else turn


def _turned(values: np.ndarray, frame: Map) -> np.ndarray:
    matrix, offset, shape, _ = frame
    return ndimage.affine_transform(
        values, matrix, offset, output_shape=shape, order=1, mode="nearest", output=np.float32
    )


__all__ = ["depth_section", "into_scan_frame", "position_corrections", "shown_map", "shown_transmission", "thicknesses"]
