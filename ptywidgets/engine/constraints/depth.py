"""The depth of an object: how thick its slices are, which profiles it can hold along the beam, and its values there.

Slices hold what is projected, V_i = thickness_i * density_i, and the transmission of the whole is the product of those
of the slices. Regularisation in depth therefore acts on densities, keeps sum V, and takes a complex object as exp(iV)
with a complex V = -i ln O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.protocols import Array, ReconstructionProblem
from ptywidgets.engine.core.state import State

_LEAST = 1e-3  # amplitude that darker pixels are taken to have


def thicknesses(problem: ReconstructionProblem) -> np.ndarray | None:
    """Thickness (S,) of each slice in A, from the exit-wave model; None where it has none.

    It may tell S numbers, or the S - 1 distances between slices; the outer slices are then as thick as the
    distance to their neighbour.
    """
    count = problem.object_shape[0]
    given = problem.slice_thickness
    if given is None or count == 1:
        return None
    values = np.atleast_1d(np.asarray(given, float))
    if len(values) == 1:
        return np.full(count, values[0])
    if len(values) == count - 1:
        return np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, values[-1:]])
    if len(values) != count:
        raise ParameterError(f"{len(values)} thicknesses but {count} slices; give {count}, or {count - 1} distances.")
    return values


def profiles(thickness: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies kz (S,) in 1/A, and profiles U (S, S) in depth, one a column.

    They are the standing waves of a slab that nothing leaves: for equal slices of thickness t the cosines of
    kz_j = j / (2 S t), in general the eigenvectors of the second difference on slices of different thickness. In terms
    of densities, sum_i thickness_i U_ij U_ik = 1 for j = k, else 0; the first profile is constant.

    Examples
    --------
    >>> kz, U = profiles(np.full(4, 5.0))
    >>> kz.round(4).tolist()
    [0.0, 0.025, 0.05, 0.075]
    >>> bool(np.allclose(5 * U.T @ U, np.eye(4)))
    True
    """
    count = len(thickness)
    distances = (thickness[1:] + thickness[:-1]) / 2
    differences = np.diff(np.eye(count), axis=0) / np.sqrt(distances)[:, None]
    root = np.sqrt(thickness)
    values, vectors = np.linalg.eigh(differences.T @ differences / np.outer(root, root))
    step = thickness.mean()
    # A difference sees sin(pi kz t) / t for pi kz; undone, it is exact for equal slices.
    sines = np.clip(step * np.sqrt(values.clip(0)) / 2, 0, 1)
    sines[0] = 0
    return np.arcsin(sines) / (np.pi * step), vectors / root[:, None]


def on_depth(problem: ReconstructionProblem, change: Callable[[Array], Array]) -> Callable[[State], State]:
    """Apply `change` to the values V (S, Y, X) of an object of several slices, whichever way it is described.

    V is float32 for a potential, and complex64, ln|O| its negative imaginary part, for a complex object. Phases are
    those nearest to the mean phase of their pixel's column.
    """
    xp = problem.backend.xp

    def apply(state: State) -> State:
        obj = state.object
        if len(obj) == 1:
            return state
        if not xp.iscomplexobj(obj):
            return state.replace(object=xp.ascontiguousarray(change(obj), dtype=obj.dtype))
        common = xp.angle(obj.sum(0, keepdims=True))
        phase = common + xp.angle(obj * xp.exp(-1j * common).astype(obj.dtype))
        values = phase - 1j * xp.log(xp.maximum(xp.abs(obj), np.float32(_LEAST)))
        return state.replace(object=xp.exp(1j * change(values.astype(obj.dtype))).astype(obj.dtype))

    return apply


def mix(xp: Any, matrix: Array, values: Array) -> Array:
    """Slices (S, Y, X) that are mixtures of slices: sum_k matrix[i, k] values[k]."""
    return (matrix @ values.reshape(len(values), -1)).reshape(-1, *values.shape[1:])
