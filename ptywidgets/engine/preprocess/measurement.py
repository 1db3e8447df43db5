"""From counts to a measurement: patterns with their origin in the corner, positions in A, every number public."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.core.stopping import takes
from ptywidgets.engine.data.calibration import both, in_words, single
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.preprocess.defects.frames import Screened, screen
from ptywidgets.engine.preprocess.in_reach import counts_in_reach, in_reach, where_counts_are
from ptywidgets.engine.preprocess.origin.origin import ORIGIN_MODELS, fit_origin
from ptywidgets.engine.preprocess.rotation import (
    RotationFit,
    find_rotation,
    rotate_vectors,
    unrotate_vectors,
    wrapped_angle,
)


@dataclass(frozen=True)
class Preparation(Params):
    """How to prepare a dataset; what is None is found from the data.

    Examples
    --------
    >>> Preparation(rotation=-15).origin
    'plane'
    """

    origin: str = param("plane", choices=ORIGIN_MODELS, doc="Surface that descan makes of the patterns' origin.")
    robust: bool = param(True, doc="Leave outliers out of that fit.")
    rotation: float | None = param(
        None, unit="degrees", low=-360, high=360, step=0.1, doc="Detector to scan; none: found."
    )
    transpose: bool | None = param(None, doc="Whether detector rows and columns are exchanged; none: found.")
    flip: bool = param(False, doc="Turn a found rotation by 180 degrees: where atoms come out dark.")


@dataclass(frozen=True)
class Measurement:
    """Patterns ready to be reconstructed, and everything that was fitted on the way.

    J is the number of scan positions that count; where some are left out, it is less than that of `scan_shape`, and
    `scan_mask` says which. Maps over the scan are whole: `com_measured` is filled from neighbours.
    """

    patterns: Patterns  # J of (Ny, Nx): the counts as they are, origin at [0, 0] but for `shifts`
    shifts: (
        np.ndarray
    )  # (J, 2) detector px, sub-pixel rest of the origin; the model takes it up, no count is interpolated
    positions: np.ndarray  # (J, 2) A, in the detector frame, about their middle
    sampling: tuple[float, float]  # A, object pixel (row, column)
    mean_intensity: float  # mean counts of a pattern
    com_measured: np.ndarray  # (2, Ry, Rx) px
    origin: np.ndarray  # (2, Ry, Rx) px, fitted
    rotation: float  # degrees in (-180, 180], detector to scan
    transpose: bool
    rotation_fit: RotationFit  # what the data say, also when the rotation was given
    calibration: Calibration
    scan_shape: tuple[int, int]
    preparation: Preparation
    scan_mask: np.ndarray | None = None  # (Ry, Rx) bool, True where a position counts; None: everywhere
    notes: tuple[str, ...] = ()  # what was left out because nothing can be made of it: one sentence each
    rows_there: int | None = None  # rows of a scan that is still being written; None: it is complete

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", wrapped_angle(self.rotation))

    @property
    def amplitudes(self) -> np.ndarray:
        """(J, Ny, Nx) float32: square roots of all counts, made when asked for; see :meth:`Patterns.amplitudes`."""
        return self.patterns.amplitudes()

    @property
    def com(self) -> np.ndarray:
        """(2, Ry, Rx) 1/A: centre of mass without descan, detector frame."""
        com = self.com_measured - self.origin
        return com * np.reshape(self.calibration.q_pixels, (2, *[1] * (com.ndim - 1)))

    @property
    def com_corrected(self) -> np.ndarray:
        """(2, Ry, Rx) 1/A: the same, in the scan frame."""
        return rotate_vectors(self.com, self.rotation, self.transpose)

    @property
    def scan_indices(self) -> np.ndarray:
        """(J,) int: where each pattern belongs in the scan, counted row by row."""
        return np.arange(len(self.patterns)) if self.scan_mask is None else np.flatnonzero(self.scan_mask)

    def on_scan(self, values: np.ndarray) -> np.ndarray:
        """Results of single positions (J, ...) as a map over the scan (Ry, Rx, ...), NaN where a position is left out.

        Examples
        --------
        >>> from ptywidgets import samples
        >>> mask = np.ones((12, 12), bool); mask[3, 4] = False
        >>> measurement = prepare(samples.ducky("tiny").with_scan_mask(mask))
        >>> len(measurement.patterns), np.argwhere(np.isnan(measurement.on_scan(np.zeros(143)))).tolist()
        (143, [[3, 4]])
        """
        values = np.asarray(values)
        if len(values) != len(self.patterns):
            raise DataError(f"{len(values)} values for {len(self.patterns)} patterns; expected one for each position.")
        if self.scan_mask is None:
            return values.reshape(*self.scan_shape, *values.shape[1:])
        kind = values.dtype if values.dtype.kind in "fc" else np.dtype(float)
        out = np.full((*self.scan_shape, *values.shape[1:]), np.nan, kind)
        out[self.scan_mask] = values
        return out

    def __repr__(self) -> str:
        j, ny, nx = self.patterns.shape
        size = f"{j} patterns of {ny}x{nx}, {in_words(single(self.sampling), 3)} A pixels"
        if self.scan_mask is not None:
            size += f", {int((~self.scan_mask).sum())} positions left out"
        return f"Measurement({size}, rotation {self.rotation:.2f} degrees)"


def scan_positions(
    scan_shape: tuple[int, int],
    scan_step: float | tuple[float, float],
    rotation: float,
    transpose: bool = False,
) -> np.ndarray:
    """Positions (J, 2) in A in the detector frame, about their middle; the step is one number, or (rows, columns).

    The scan grid is turned by -rotation, since vectors measured on the detector turn by +rotation into the scan frame;
    where the detector is transposed, rows and columns are exchanged after that.

    Examples
    --------
    >>> scan_positions((1, 3), 2.0, 0.0).tolist()
    [[0.0, -2.0], [0.0, 0.0], [0.0, 2.0]]
    """
    steps = zip(scan_shape, both(scan_step), strict=True)
    y, x = np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * step for n, step in steps], indexing="ij")
    grid = np.stack([y.ravel(), x.ravel()])
    return unrotate_vectors(grid, rotation, transpose).T.copy()


def scan_frequencies(scan_shape: tuple[int, ...], sampling: tuple[float, float]) -> np.ndarray:
    """Spatial frequencies (2, Ry, Rx // 2 + 1) of a scan, scan frame, 1/A, as :func:`scipy.fft.rfft2` orders them.

    Examples
    --------
    >>> scan_frequencies((4, 2), (0.5, 1.0))[:, 1].tolist()
    [[0.5, 0.5], [0.0, 0.5]]
    """
    down, along = np.fft.fftfreq(scan_shape[0], sampling[0]), np.fft.rfftfreq(scan_shape[1], sampling[1])
    return np.stack(np.meshgrid(down, along, indexing="ij"))


def prepare(
    dataset: Dataset,
    preparation: Preparation | None = None,
    *,
    progress: Callable[[str], object] | None = None,
    **changes: Any,
) -> Measurement:
    """Centre of mass, descan, rotation, positions: one pass over the data.

    Rotation and transpose are found from the curl of the centres of mass; the bright field and a coarse reconstruction
    tell more and take longer: ``calibrate(dataset).measurement``, see :func:`ptywidgets.engine.calibrate.calibrate`.

    The counts stay as they are: arrays and memory maps are used without a copy (do not write to them afterwards), and
    files are read into memory in their own type, if they take no more than half of what is free. Larger ones are read
    from their file while a run works on them, or from a scratch file where they are compressed or in chunks; the
    measurement's `notes` say so. Masked pixels count neither here nor in the loss.

    Parameters
    ----------
    dataset : Dataset
        With a complete calibration (energy, scan step, detector pixel).
    preparation : Preparation, optional
        How; by default everything is found.
    progress : callable, optional
        Is told what takes long, in words.
    **changes
        Single fields of the preparation, such as ``rotation=-15``.

    Returns
    -------
    Measurement

    Raises
    ------
    CalibrationError
        When the calibration is not complete.
    ParameterError
        When `progress` cannot be called with a text.
    DataError
        When most patterns are empty, negative or NaN. Single ones are left out, which the measurement's `notes` tell.
        When there is neither memory for the counts nor room for a scratch file.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> measurement = prepare(samples.ducky("tiny"))
    >>> abs(measurement.rotation + 15) < 1
    True
    """
    preparation = (preparation or Preparation()).replace(**changes)
    if progress is not None and not takes(progress, "words"):
        raise ParameterError(f"progress is {progress!r}; expected a function of one text, such as print.")
    dataset.calibration.check_complete()
    part = measured_rows(dataset)
    return in_whole_scan(prepared(screen(in_reach(part, progress)), preparation), dataset.scan_shape)


def in_whole_scan(measurement: Measurement, scan_shape: tuple[int, int]) -> Measurement:
    """A measurement of the first rows of a scan, as one of all of it, in which the other rows are still to come.

    Where a row is not there the centre of mass is the origin, so that nothing was deflected.
    """
    rows = measurement.scan_shape[0]
    if tuple(measurement.scan_shape) == tuple(scan_shape):
        return measurement
    steps, missing = measurement.calibration.scan_steps, scan_shape[0] - rows
    mask = np.zeros(scan_shape, bool)
    mask[:rows] = True if measurement.scan_mask is None else measurement.scan_mask
    origin = np.pad(measurement.origin, ((0, 0), (0, missing), (0, 0)), "edge")
    com = np.concatenate([measurement.com_measured, origin[:, rows:]], 1)
    whole = scan_positions(scan_shape, steps, measurement.rotation, measurement.transpose)
    return replace(
        measurement,
        positions=whole[mask.ravel()],
        com_measured=com,
        origin=origin,
        scan_shape=(int(scan_shape[0]), int(scan_shape[1])),
        scan_mask=mask,
        rows_there=rows,
    )


def prepared(screened: Screened, preparation: Preparation) -> Measurement:
    """The same of data whose patterns have been summed, and whose useless ones are left out."""
    dataset, com = screened.dataset, screened.com
    origin = fit_origin(com, preparation.origin, preparation.robust)
    # With no surface fitted the centre of mass is the origin, and nothing is left to find a rotation from.
    signal = com - (fit_origin(com, "plane") if preparation.origin == "none" else origin)
    known = dataset.calibration
    fit = find_rotation(known.even(signal), preparation.transpose, known.scan_steps)
    rotation, transpose = _chosen(fit, preparation)
    patterns, shifts = _centred(dataset, origin)
    counted = _left_in(dataset)
    return Measurement(
        patterns=patterns,
        shifts=shifts,
        positions=scan_positions(dataset.scan_shape, known.scan_steps, rotation, transpose)[counted],
        sampling=dataset.calibration.sampling(dataset.detector_shape),
        mean_intensity=float(screened.totals.ravel()[counted].mean()),
        com_measured=com,
        origin=origin,
        rotation=rotation,
        transpose=transpose,
        rotation_fit=fit,
        calibration=dataset.calibration,
        scan_shape=dataset.scan_shape,
        preparation=preparation,
        scan_mask=None if isinstance(counted, slice) else dataset.scan_mask,
        notes=(*screened.notes, *([words] if (words := where_counts_are(dataset)) else [])),
    )


def left_out_alike(dataset: Dataset, measurement: Measurement) -> Dataset:
    """The dataset with the pixels and positions masked that a measurement of it leaves out, in addition to its own."""
    mask, scan_mask = measurement.patterns.mask, measurement.scan_mask
    if mask is not None and mask.shape == dataset.detector_shape:
        both = np.asarray(mask) if dataset.mask is None else dataset.mask & np.asarray(mask)
        dataset = dataset if dataset.mask is not None and (both == dataset.mask).all() else dataset.with_mask(both)
    if scan_mask is not None and scan_mask.shape == dataset.scan_shape:
        known, rows = dataset.scan_mask, measurement.rows_there
        if rows is not None:  # those that have come since are not left out
            scan_mask = np.concatenate([scan_mask[:rows], np.ones_like(scan_mask[rows:])])
        both = scan_mask if known is None else known & scan_mask
        dataset = dataset if known is not None and (both == known).all() else dataset.with_scan_mask(both)
    return dataset


def _left_in(dataset: Dataset) -> np.ndarray | slice:
    """Scan indices (J,) of the positions that count; a slice where all do, which copies nothing."""
    if dataset.scan_mask is None or dataset.scan_mask.all():
        return slice(None)
    return np.flatnonzero(dataset.scan_mask)


def reorient(measurement: Measurement, preparation: Preparation) -> Measurement:
    """The same measurement with the rotation and transpose that another preparation asks for; no data are read."""
    com, origin = (one[:, : measurement.rows_there] for one in (measurement.com_measured, measurement.origin))
    signal = com - (fit_origin(com, "plane") if preparation.origin == "none" else origin)
    steps = measurement.calibration.scan_steps
    fit = find_rotation(measurement.calibration.even(signal), preparation.transpose, steps)
    rotation, transpose = _chosen(fit, preparation)
    return replace(
        measurement,
        positions=scan_positions(measurement.scan_shape, steps, rotation, transpose)[measurement.scan_indices],
        rotation=rotation,
        transpose=transpose,
        rotation_fit=fit,
        preparation=preparation,
    )


def _chosen(fit: RotationFit, preparation: Preparation) -> tuple[float, bool]:
    """Rotation and transpose: given ones before found ones."""
    rotation = fit.rotation if preparation.rotation is None else preparation.rotation
    if preparation.rotation is None and preparation.flip:
        rotation = wrapped_angle(rotation + 180)
    transpose = fit.transpose if preparation.transpose is None else preparation.transpose
    return float(rotation), bool(transpose)


def centred_patterns(dataset: Dataset, origin: np.ndarray) -> tuple[Patterns, np.ndarray]:
    """The counts with the whole pixel that is each pattern's origin, and the sub-pixel rest; nothing is interpolated.

    Parameters
    ----------
    dataset : Dataset
        An array or a memory map is used as it is, other data as :func:`~ptywidgets.engine.preprocess.in_reach.in_reach`
        has them. Where positions are left out, those that count are copied, or streamed where there is no room.
    origin : ndarray (2, Ry, Rx)
        Detector pixels.

    Returns
    -------
    patterns : Patterns
    shifts : ndarray (J, 2)
        In detector pixels, within half a pixel of 0.
    """
    return _centred(in_reach(dataset), origin)


def _centred(dataset: Dataset, origin: np.ndarray) -> tuple[Patterns, np.ndarray]:
    """The same of data that are in reach."""
    whole = np.rint(origin)
    shifts = (origin - whole).reshape(2, -1).T.copy()
    corners, counted = whole.reshape(2, -1).T.astype(np.int64), _left_in(dataset)
    counts = counts_in_reach(dataset, counted)
    return Patterns(counts, corners[counted], mask=dataset.mask), shifts[counted]
