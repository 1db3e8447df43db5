"""From a volume to the slices that one tilt's beam goes through: turned, and summed along the beam.

A voxel holds phase in rad, the phase that it adds to a wave that goes through it along z; turned, it keeps what it
holds. Each is dealt out to the pixels about its new place, with weights that add up to 1, so that no phase is lost or
made, and to the slices that its depth overlaps. A turn about one axis mixes two axes of the volume and leaves the third
alone: it is one sparse matrix, applied to every line along the third, and its adjoint is exactly the transposed matrix.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

from ptywidgets.engine.core.errors import DataError, ParameterError, look_up
from ptywidgets.engine.tomography.tilt import PLANES, Tilt

_AXES = "zyx"
DIFFERENCE = 0.02  # degrees


def _linear(t: np.ndarray) -> list[tuple[int, np.ndarray]]:
    return [(0, 1 - t), (1, t)]


def _cubic(t: np.ndarray) -> list[tuple[int, np.ndarray]]:
    return [
        (-1, ((-0.5 * t + 1) * t - 0.5) * t),
        (0, (1.5 * t - 2.5) * t * t + 1),
        (1, ((-1.5 * t + 2) * t + 0.5) * t),
        (2, (0.5 * t - 0.5) * t * t),
    ]


# Shares of the pixels about a place, by its fraction of a pixel: a tent, or the cubic convolution of R. G. Keys, IEEE
# Trans. ASSP 29, 1153 (1981), which keeps finer detail and has small negative shares.
KERNELS = {"linear": _linear, "cubic": _cubic}


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear map from a volume (Z, Y, X) to slices (S, Y, X), with its exact adjoint.

    Parameters
    ----------
    tilt : Tilt
    shape : (int, int, int)
        Of the volume.
    voxel : (float, float, float)
        Size of a voxel (z, y, x) in A; slices have the same pixels.
    slices : int
        S.
    thickness : float, optional
        Of a slice in A; by default all of them are as deep as the volume. Middle lies on middle, and what is turned
        out of all slices is counted in the first or in the last one.
    centre : (float, float), optional
        Where the axes of rotation meet (y, x) in A from pixel [0, 0]; by default the middle of the image. In depth it
        is the middle of the volume.
    kernel : {"cubic", "linear"}

    Examples
    --------
    >>> projection = Projection(Tilt(x=30), (8, 16, 12), (1.0, 1.0, 1.0), slices=2)
    >>> volume = np.zeros((8, 16, 12), np.float32)
    >>> volume[4, 8, 6] = 1
    >>> slices = projection(volume)
    >>> slices.shape, round(float(slices.sum()), 6)
    ((2, 16, 12), 1.0)
    >>> projection.adjoint(slices).shape
    (8, 16, 12)
    """

    tilt: Tilt
    shape: tuple[int, int, int]
    voxel: tuple[float, float, float]
    slices: int = 1
    thickness: float | None = None
    centre: tuple[float, float] | None = None
    kernel: str = "cubic"

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", look_up("kernel", self.kernel, KERNELS))
        if len(self.shape) != 3 or min(self.shape) < 1 or len(self.voxel) != 3 or min(self.voxel) <= 0:
            raise ParameterError(
                f"the volume is {self.shape} voxels of {self.voxel} A; expected three sizes of each, all above 0."
            )
        if self.slices < 1 or (self.thickness is not None and self.thickness <= 0):
            raise ParameterError(
                f"{self.slices} slices of {self.thickness} A; expected one or more, of a thickness above 0."
            )

    def __call__(self, volume: np.ndarray) -> np.ndarray:
        """Slices (S, Y, X) of a volume (Z, Y, X), in host memory, as precise as the volume."""
        return self._through(volume, self._stages, self.shape)

    def adjoint(self, slices: np.ndarray) -> np.ndarray:
        """The volume (Z, Y, X) with ``(A v * s).sum() == (v * A^T s).sum()`` for all v and s."""
        back = tuple(stage.transposed for stage in reversed(self._stages))
        return self._through(slices, back, (self.slices, *self.shape[1:]))

    def tangent(self, volume: np.ndarray, axis: str) -> np.ndarray:
        """How the slices (S, Y, X) change with one angle of the tilt, "x", "y" or "z", per degree.

        A central difference over an angle that moves no voxel by a hundredth of its size in most volumes.
        """
        angle = getattr(self.tilt, axis)
        ahead, behind = (
            replace(self, tilt=replace(self.tilt, **{axis: angle + step}))(volume) for step in (DIFFERENCE, -DIFFERENCE)
        )
        return (ahead - behind) * np.asarray(0.5 / DIFFERENCE, volume.dtype)

    def spread(self, seen: np.ndarray) -> np.ndarray:
        """How well each voxel is seen (Z, Y, X), where pixels (1, Y, X) are seen so well: A^T (seen sum_s A 1).

        At least the diagonal of A^T seen A, and no less than that matrix in every direction, since the sum of its rows
        bounds it: steps divided by it do not go too far, however many voxels a ray goes through.
        """
        every = np.repeat(seen * self._rays.sum(0, keepdims=True), self.slices, axis=0)
        back = tuple(stage.transposed.magnitude for stage in reversed(self._stages))
        return self._through(every, back, every.shape)

    def expand(self, change: np.ndarray) -> np.ndarray:
        """A change of the volume that changes the slices by about `change` (S, Y, X): A^T (change / A A^T 1)."""
        return self.adjoint(change / self._norms)

    @property
    def middle(self) -> tuple[float, float, float]:
        """Where the axes of rotation meet (z, y, x) in A from voxel [0, 0, 0]."""
        z, y, x = ((n - 1) / 2 * step for n, step in zip(self.shape, self.voxel, strict=True))
        return (z, *(self.centre or (y, x)))

    @cached_property
    def _rays(self) -> np.ndarray:
        """Voxels (S, Y, X) that each pixel of a slice is made of."""
        ones = np.ones(self.shape, np.float32)
        return self._through(ones, tuple(stage.magnitude for stage in self._stages), self.shape)

    @cached_property
    def _norms(self) -> np.ndarray:
        """A A^T 1 (S, Y, X), and not much less than the most where a ray only touches the volume."""
        back = tuple(stage.transposed.magnitude for stage in reversed(self._stages))
        everywhere = self._through(np.ones((self.slices, *self.shape[1:]), np.float32), back, self._rays.shape)
        norms = self._through(everywhere, tuple(stage.magnitude for stage in self._stages), self.shape)
        return np.maximum(norms, np.float32(0.1) * norms.max())

    @cached_property
    def _stages(self) -> tuple[_Stage, ...]:
        """About x, about y, about z, as far as each is needed; the last of those that turn z makes the slices."""
        depth, height, _ = self.shape
        dz, dy, _ = self.voxel
        axes = {
            axis: _Grid(count, step, centre)
            for axis, count, step, centre in zip(_AXES, self.shape, self.voxel, self.middle, strict=True)
        }
        thickness = self.thickness or depth * dz / self.slices
        slabs = _Grid(self.slices, thickness, (self.slices - 1) / 2 * thickness)
        stages = []
        turns = [axis for axis in "xy" if getattr(self.tilt, axis)] or ["x"]
        for axis in turns:
            into = slabs
            if axis != turns[-1]:  # all depths that there are after the first turn, as finely as before
                c, s = np.cos(np.radians(self.tilt.x)), np.sin(np.radians(self.tilt.x))
                deep = int(np.ceil((abs(c) * depth * dz + abs(s) * height * dy) / dz)) + 1
                into = _Grid(deep, dz, (deep - 1) / 2 * dz)
            stages.append(_Stage.turning(axis, getattr(self.tilt, axis), axes, into, self.kernel))
            axes["z"] = into
        if self.tilt.z:
            stages.append(_Stage.turning("z", self.tilt.z, axes, None, self.kernel))
        return tuple(stages)

    def _through(self, array: np.ndarray, stages: tuple[_Stage, ...], shape: tuple[int, ...]) -> np.ndarray:
        if array.shape != tuple(shape):
            raise DataError(f"the array is {array.shape}; this projection expects {tuple(shape)}.")
        for stage in stages:
            array = stage(array)
        return array


@dataclass(frozen=True)
class _Grid:
    """Points along an axis."""

    count: int
    step: float  # A
    centre: float  # A from the first point, of rotation

    @property
    def points(self) -> np.ndarray:
        return np.arange(self.count) * self.step - self.centre

    def places(self, coordinate: np.ndarray) -> np.ndarray:
        """Where coordinates in A lie, in points."""
        return (coordinate + self.centre) / self.step


@dataclass(frozen=True, eq=False)
class _Stage:
    """One turn: a matrix over two axes of an array, for every line along the third."""

    matrix: sparse.csr_matrix  # (outputs, inputs), both flattened in the order of `order`
    order: tuple[int, int, int]  # the two axes that are turned, ascending, and the third
    shape: tuple[int, int]  # of the two axes after the turn

    @classmethod
    def turning(cls, axis: str, angle: float, axes: dict[str, _Grid], slabs: _Grid | None, kernel: str) -> _Stage:
        """About one axis. Depths are dealt out to `slabs`, where there are any, by overlap; the rest by `kernel`."""
        first, second = PLANES[axis]
        low, high = sorted((first, second))
        grids = axes[_AXES[low]], axes[_AXES[high]]
        here = dict(zip((low, high), np.meshgrid(*(g.points for g in grids), indexing="ij"), strict=True))
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        there = {first: c * here[first] - s * here[second], second: s * here[first] + c * here[second]}
        out = slabs or grids[0], grids[1]
        if slabs is None:
            rows = list(_dealt(out[0].places(there[low]).ravel(), out[0].count, kernel))
        else:
            deep = float(np.hypot(c * grids[0].step, s * grids[1].step))  # of a turned voxel
            rows = list(_overlapped(slabs.places(there[0]).ravel(), deep / slabs.step, slabs.count))
        columns = list(_dealt(out[1].places(there[high]).ravel(), out[1].count, kernel))
        inputs = np.arange(there[low].size)
        parts = [(row * out[1].count + column, inputs, share * part) for row, share in rows for column, part in columns]
        index, source, weights = (np.concatenate(values) for values in zip(*parts, strict=True))
        kept = weights != 0
        shape = (out[0].count * out[1].count, inputs.size)
        matrix = sparse.csr_matrix((weights[kept].astype(np.float32), (index[kept], source[kept])), shape=shape)
        third = ({0, 1, 2} - {low, high}).pop()
        return cls(matrix, (low, high, third), (out[0].count, out[1].count))

    def __call__(self, array: np.ndarray) -> np.ndarray:
        lines = array.transpose(self.order)
        out = self.matrix @ np.ascontiguousarray(lines).reshape(-1, lines.shape[2])
        return np.ascontiguousarray(out.reshape(*self.shape, -1).transpose(np.argsort(self.order)))

    @cached_property
    def transposed(self) -> _Stage:
        inputs = self.matrix.shape[1]
        return _Stage(self.matrix.T.tocsr(), self.order, self._before(inputs))

    @cached_property
    def magnitude(self) -> _Stage:
        """With the sizes of the shares, which only a cubic kernel has negative ones of."""
        one = self.matrix
        if (one.data >= 0).all():
            return self
        sizes = sparse.csr_matrix((np.abs(one.data), one.indices, one.indptr), shape=one.shape)  # indices are shared
        return _Stage(sizes, self.order, self.shape)

    def _before(self, inputs: int) -> tuple[int, int]:
        """Shape of the two axes before the turn: the second one keeps its size."""
        return inputs // self.shape[1], self.shape[1]


def _dealt(places: np.ndarray, count: int, kernel: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Points and shares about places; what would fall beyond the ends leaves the image."""
    whole = np.floor(places + 1e-9)
    for step, share in KERNELS[kernel]((places - whole).clip(0)):
        index = whole.astype(int) + step
        inside = (index >= 0) & (index < count)
        share = np.where(np.abs(share) < 1e-7, 0, share)
        yield np.where(inside, index, 0), np.where(inside, share, 0)


def _overlapped(places: np.ndarray, width: float, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Slabs and shares of boxes of a `width` about places, all in slabs; the outermost take what is beyond them."""
    low = places + 0.5 - width / 2
    first = np.floor(low + 1e-9)
    for step in range(int(np.ceil(width - 1e-9)) + 1):
        share = np.minimum(low + width, first + step + 1) - np.maximum(low, first + step)
        share = np.where(share < 1e-7 * width, 0, share) / width
        yield (first.astype(int) + step).clip(0, count - 1), share
