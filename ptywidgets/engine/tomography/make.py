"""Tilt series from measurements, or from views that are problems already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.params import counted
from ptywidgets.engine.core.protocols import Loss
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.models.parts.exit_wave import Multislice, SingleSlice
from ptywidgets.engine.optics.modes import FIRST_SHARE, first_modes
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.problem.problem import Problem, make_problem
from ptywidgets.engine.tomography.projection import Projection
from ptywidgets.engine.tomography.series import TiltSeries
from ptywidgets.engine.tomography.tilt import Tilt


@counted(slices=1, modes=1)
def make_series(
    measurements: Sequence[Any],
    tilts: Sequence[Any],
    optics: Optics | Sequence[Optics] | None = None,
    *,
    depth: float,
    slices: int = 1,
    modes: int = 1,
    model: Model | None = None,
    voxel_depth: float | None = None,
    volume: np.ndarray | None = None,
    loss: str | Loss = "amplitude",
    device: str = "cpu",
    object_padding: float = 0.0,
    kernel: str = "cubic",
    sequential: bool = False,
    ordering: str | tuple[int, ...] = "shuffled",
) -> TiltSeries:
    """One volume and its views, each a problem of its own.

    The middle of every scan is taken for the point that the rotations leave alone; positions may be refined.

    Parameters
    ----------
    measurements : sequence of Measurement or Dataset
        One for each tilt, of one window, energy and pixel size. Scans may differ.
    tilts : sequence of Tilt, float or ndarray (3, 3)
        Numbers are degrees about the columns' axis x; matrices act on (z, y, x). In the frame of the detector.
    optics : Optics or sequence of Optics, optional
        Of the initial probes, one for all or for each; by default those of the data sets. The probe is that of the
        first slice, half a slice behind the face of the volume.
    depth : float
        Of the volume along the beam at no tilt, in A. Whatever tilts turn out of it counts in the outermost slices.
    slices : int
        Super-slices S that the beam goes through in each view, of a thickness depth / S.
    modes : int
        Of each view's probe.
    model : Model, optional
        Of every view, with as many slices as its exit-wave model has; by default thin or multislice potentials.
    voxel_depth : float, optional
        About how deep a voxel is, in A; by default as deep as it is wide.
    volume : ndarray (Z, Y, X), optional
        To begin with, in rad per voxel.
    loss, device, object_padding
        See :func:`make_problem`.
    kernel : {"cubic", "linear"}
        See :class:`Projection`.
    sequential, ordering
        See :class:`TiltSeries`.

    Returns
    -------
    TiltSeries

    Raises
    ------
    ParameterError
        Where numbers do not fit together.
    DataError
        Where the measurements differ in what they must share.

    Examples
    --------
    >>> from ptywidgets.testing import example_problem
    >>> view = example_problem("potential")
    >>> series = make_series([view.measurement] * 3, [-30, 0, 30], Optics(semiangle=20), depth=40.0, slices=2)
    >>> series.object_shape[1:] == view.object_shape[1:], series.projections[0].slices
    (True, 2)
    """
    turned = [Tilt.of(tilt) for tilt in tilts]
    if not turned or len(measurements) != len(turned):
        raise ParameterError(f"{len(measurements)} measurements but {len(turned)} tilts; give one tilt for each.")
    if not (np.isfinite(depth) and depth > 0):
        raise ParameterError(f"depth is {depth!r} A; expected how deep the volume is, above 0.")
    if isinstance(slices, bool) or slices < 1 or slices != int(slices):
        raise ParameterError(f"slices is {slices!r}; expected a whole number, 1 or more.")
    given = list(optics) if isinstance(optics, Sequence) else [optics] * len(turned)
    if len(given) != len(turned):
        raise ParameterError(f"{len(given)} optics but {len(turned)} tilts; give one for all, or one for each.")
    views = [
        _view(measurement, one, model, depth / slices, int(slices), modes, loss, device, object_padding)
        for measurement, one in zip(measurements, given, strict=True)
    ]
    return series_of(
        views,
        turned,
        depth=depth,
        voxel_depth=voxel_depth,
        volume=volume,
        kernel=kernel,
        sequential=sequential,
        ordering=ordering,
    )


def series_of(
    views: Sequence[Problem],
    tilts: Sequence[Any],
    *,
    depth: float,
    voxel_depth: float | None = None,
    volume: np.ndarray | None = None,
    kernel: str = "cubic",
    sequential: bool = False,
    ordering: str | tuple[int, ...] = "shuffled",
) -> TiltSeries:
    """A volume for views that are made already; :func:`make_series` makes them, too, and has the same options.

    Parameters
    ----------
    views : sequence of Problem
        One for each tilt, of potentials with equally many slices and modes; their objects may differ in size.
    """
    turned = [Tilt.of(tilt) for tilt in tilts]
    if not turned or len(views) != len(turned):
        raise ParameterError(f"{len(views)} views but {len(turned)} tilts; give one tilt for each.")
    views = _on_one_grid(views)
    first = views[0]
    dy, dx = first.sampling
    count = max(1, round(depth / (voxel_depth or (dy + dx) / 2)))
    shape = (count, *first.object_shape[1:])
    exit_wave = first.model.exit_wave
    thickness = depth / exit_wave.slices if isinstance(exit_wave, SingleSlice) else exit_wave.thickness[0]  # type: ignore[attr-defined]  # which else has slices of a thickness
    middle = [(n - w) / 2 + w // 2 for n, w in zip(shape[1:], first.window, strict=True)]
    if volume is not None and np.shape(volume) != shape:
        raise ParameterError(f"the volume is {np.shape(volume)}; this series has {shape} voxels.")
    return TiltSeries(
        views=tuple(views),
        projections=tuple(
            Projection(
                tilt,
                shape,  # type: ignore[arg-type]  # three axes
                (depth / count, dy, dx),
                exit_wave.slices,
                float(thickness),
                (middle[0] * dy, middle[1] * dx),
                kernel,
            )
            for tilt in turned
        ),
        initial_object=np.zeros(shape, np.float32) if volume is None else np.asarray(volume, np.float32),
        sequential=sequential,
        ordering=ordering,
    )


def _view(
    measurement: Any,
    optics: Optics | None,
    model: Model | None,
    thickness: float,
    slices: int,
    modes: int,
    loss: str | Loss,
    device: str,
    padding: float,
) -> Problem:
    """One tilt's problem."""
    options: dict[str, Any] = {"loss": loss, "device": device, "object_padding": padding}
    thin = single_slice("potential")
    view = make_problem(measurement, optics, model=thin if model is None else model, **options)
    if model is None and slices > 1:
        measurement = view.measurement
        energy = measurement.calibration.require("energy")
        extent = tuple(n * d for n, d in zip(view.window, view.sampling, strict=True))
        exit_wave = Multislice((thickness,) * slices, wavelength=wavelength(energy), extent=extent)  # type: ignore[arg-type]  # rows and columns
        thick = replace(thin, exit_wave=exit_wave)
        view = make_problem(measurement, model=thick, probe=view.initial_probe, **options)
    if modes > 1:
        view = replace(view, initial_probe=first_modes(view.initial_probe, modes, main_share=FIRST_SHARE))
    return view


def _on_one_grid(views: Sequence[Problem]) -> list[Problem]:
    """Views whose objects are as large as the largest, each scan in the middle, worked on by the same processors."""
    first = views[0]
    for number, view in enumerate(views):
        same = view.window == first.window and np.allclose(view.sampling, first.sampling, rtol=1e-4)
        if not same or view.measurement.calibration.energy != first.measurement.calibration.energy:
            raise DataError(
                f"tilt {number} has patterns of {view.window} pixels, {view.sampling} A in the object, at "
                f"{view.measurement.calibration.energy} eV; tilt 0 has {first.window}, {first.sampling} and "
                f"{first.measurement.calibration.energy}. Bin, crop or pad them alike."
            )
    shape = tuple(max(view.object_shape[axis] for view in views) for axis in (1, 2))
    return [replace(_centred(view, shape), backend=first.backend) for view in views]


def _centred(view: Problem, shape: tuple[int, ...]) -> Problem:
    full = (view.object_shape[0], *shape)
    if full == view.object_shape:
        return view
    room = (np.array(shape) - np.array(view.object_shape[1:])) / 2
    return replace(
        view,
        initial_object=view.model.specimen.initial(full),
        initial_positions=view.initial_positions + room * np.array(view.sampling),
    )
