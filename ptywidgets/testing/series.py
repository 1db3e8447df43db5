"""A small tilt series: a volume of a few blobs, seen by a defocused probe, without noise."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from scipy import ndimage

from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, prepare
from ptywidgets.engine.tomography import TiltSeries, make_series

SERIES_OPTICS = Optics(semiangle=25, aberrations=Aberrations(defocus=60))


@lru_cache(maxsize=1)
def dark_measurement() -> Measurement:
    """4 x 5 positions of 20 x 20 pixels with nothing but a central beam: what there is around the counts."""
    calibration = Calibration(energy=80e3, scan_step=1.5, q_pixel=0.1, semiangle=25)
    counts = np.zeros((4, 5, 20, 20), np.uint16)
    counts[..., 10, 10] = 1000
    return prepare(Dataset(counts, calibration), rotation=0.0, transpose=False, origin="constant")


def blobs(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """A volume (Z, Y, X) float32 with some smooth atoms about its middle, in rad per voxel."""
    generator = np.random.default_rng(seed)
    volume = np.zeros(shape, np.float32)
    middle = np.array(shape) / 2
    for _ in range(25):
        volume[tuple((middle + generator.uniform(-0.25, 0.25, 3) * shape).astype(int))] += 1.5
    return ndimage.gaussian_filter(volume, 0.8)


def example_series(tilts: tuple[Any, ...] = (-60.0, -20.0, 0.0, 30.0, 70.0), **options: Any) -> TiltSeries:
    """The series that :func:`blobs` of its volume's shape make, with the right probes.

    Parameters
    ----------
    tilts : tuple
    **options
        Of :func:`make_series`.

    Examples
    --------
    >>> series = example_series(slices=2, modes=2)
    >>> series.count, series.object_shape, series.initial_probe.shape
    (100, (16, 29, 32), (10, 20, 20))
    """
    series = make_series([dark_measurement()] * len(tilts), tilts, SERIES_OPTICS, **({"depth": 8.0} | options))
    state = series.start().replace(object=blobs(series.object_shape))
    views = []
    for number, view in enumerate(series.views):
        counts = view.intensities(series.view(state, number), np.arange(view.count))
        views.append(replace(view, patterns=Patterns.centred(counts).on(view.backend)))
    return replace(series, views=tuple(views))


@lru_cache(maxsize=2)
def example_tilts(tilts: tuple[float, ...] = (-60.0, -20.0, 0.0, 30.0, 70.0)) -> tuple[Dataset, ...]:
    """Data sets of a tilt series, as they would come from files: Poisson counts of :func:`example_series`.

    The volume is 8 A deep; :data:`SERIES_OPTICS` made the probes.

    Examples
    --------
    >>> example_tilts()[0].shape, len(example_tilts())
    ((4, 5, 20, 20), 5)
    """
    series = example_series(tilts)
    state = series.start().replace(object=blobs(series.object_shape))
    datasets = []
    for number, view in enumerate(series.views):
        counts = view.intensities(series.view(state, number), np.arange(view.count))
        noisy = np.random.default_rng(number).poisson(np.fft.fftshift(counts, axes=(-2, -1)))
        shape = (*view.measurement.scan_shape, *view.window)
        name = f"blobs {tilts[number]:g}"
        datasets.append(Dataset(noisy.astype(np.uint16).reshape(shape), view.measurement.calibration, name=name))
    return tuple(datasets)
