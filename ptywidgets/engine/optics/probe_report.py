"""The numbers that decide an experiment, each with its unit and a word when it is bad."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.params import counted
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.optics.probe import Optics, make_probe


@dataclass(frozen=True)
class Quantity:
    """One number of the report."""

    name: str
    value: float
    unit: str
    verdict: str = ""  # "good", "warn" or "bad"; nothing where any value may be right
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.name}: {self.value:.4g} {self.unit}".rstrip() + (f" ({self.advice})" if self.advice else "")


def probe_diameter(probe: np.ndarray, sampling: tuple[float, float], share: float = 0.9) -> float:
    """Diameter (A) of the circle round the probe's centre that holds `share` of its intensity; corner-centred input."""
    intensity = np.fft.fftshift(np.abs(probe) ** 2)
    y, x = np.indices(intensity.shape)
    total = intensity.sum()
    cy, cx = (intensity * y).sum() / total, (intensity * x).sum() / total
    radius = np.hypot((y - cy) * sampling[0], (x - cx) * sampling[1]).ravel()
    order = np.argsort(radius)
    within = np.cumsum(intensity.ravel()[order])
    return float(2 * radius[order][np.searchsorted(within, share * total)])


@dataclass(frozen=True, eq=False)
class ProbeDesign:
    """A probe, its Fourier transform and what they mean for an experiment."""

    probe: np.ndarray  # (Ny, Nx) complex64, centred
    spectrum: np.ndarray  # (Ny, Nx) complex64, zero angle in the middle
    sampling: tuple[float, float]  # A per pixel
    angle_sampling: tuple[float, float]  # mrad per pixel
    report: tuple[Quantity, ...]


def design_probe(
    optics: Optics,
    calibration: Calibration,
    detector_shape: tuple[int, int],
    scan_shape: tuple[int, int],
    mean_intensity: float | None = None,
) -> ProbeDesign:
    """The probe in both spaces and its report, ready to be shown.

    Parameters
    ----------
    optics : Optics
        What forms the probe.
    calibration : Calibration
        With energy and q_pixel; without scan_step the numbers that need it are left out.
    detector_shape, scan_shape : (int, int)
        Pixels of a pattern and of the scan.
    mean_intensity : float, optional
        Mean counts of a pattern, for the dose.

    Examples
    --------
    >>> design = design_probe(Optics(semiangle=20), Calibration(energy=80e3, q_pixel=0.05), (64, 64), (12, 12))
    >>> design.probe.shape, [q.name for q in design.report]
    ((64, 64), ['probe diameter', 'object pixel', 'probe box', 'highest angle'])
    """
    lam = calibration.wavelength
    sampling = calibration.sampling(detector_shape)
    assert calibration.energy is not None
    probe = make_probe(optics, detector_shape, sampling, calibration.energy)
    spectrum = sfft.fft2(probe, norm="ortho")
    angles = tuple(1e3 * lam / (n * s) for n, s in zip(detector_shape, sampling, strict=True))
    return ProbeDesign(
        probe=np.fft.fftshift(probe),
        spectrum=np.fft.fftshift(spectrum),
        sampling=sampling,
        angle_sampling=(angles[0], angles[1]),
        report=_report(probe, calibration, detector_shape, scan_shape, mean_intensity),
    )


def probe_report(
    optics: Optics,
    calibration: Calibration,
    detector_shape: tuple[int, int],
    scan_shape: tuple[int, int],
    mean_intensity: float | None = None,
) -> tuple[Quantity, ...]:
    """Diameter, overlap, pixel, box, fields of view and dose of an experiment.

    Parameters
    ----------
    optics : Optics
        What forms the probe.
    calibration : Calibration
        Complete.
    detector_shape, scan_shape : (int, int)
        Pixels of a pattern and of the scan.
    mean_intensity : float, optional
        Mean counts of a pattern, for the dose.

    Returns
    -------
    tuple of Quantity

    Examples
    --------
    >>> from ptywidgets.engine.optics.aberrations import Aberrations
    >>> known = Calibration(energy=80e3, scan_step=4.0, q_pixel=0.025)
    >>> report = probe_report(Optics(semiangle=20, aberrations=Aberrations(defocus=500)), known, (200, 200), (41, 41))
    >>> [str(q) for q in report if q.name == "object pixel"]
    ['object pixel: 0.2 A']
    """
    calibration.check_complete()
    assert calibration.energy is not None
    probe = make_probe(optics, detector_shape, calibration.sampling(detector_shape), calibration.energy)
    return _report(probe, calibration, detector_shape, scan_shape, mean_intensity)


@counted(count=1)
def few_patterns_mean(dataset: Dataset, count: int = 5) -> float:
    """Mean counts of a pattern, from `count` of them along the diagonal of the scan: quick, whatever the size.

    Examples
    --------
    >>> few_patterns_mean(Dataset(np.ones((3, 3, 4, 4), np.float32)))
    16.0
    """
    if dataset.scan_mask is not None or dataset.mask is not None:
        counted = np.ones(dataset.scan_shape, bool) if dataset.scan_mask is None else dataset.scan_mask
        good = slice(None) if dataset.mask is None else dataset.mask
        some = np.argwhere(counted)
        some = some[np.linspace(0, len(some) - 1, count).astype(int)]
        return float(np.mean([dataset.pattern(int(y), int(x))[good].sum(dtype=np.float64) for y, x in some]))
    ry, rx = dataset.scan_shape
    places = zip(np.linspace(0, ry - 1, count).astype(int), np.linspace(0, rx - 1, count).astype(int), strict=True)
    return float(np.mean([dataset.pattern(int(y), int(x)).sum(dtype=np.float64) for y, x in places]))


def _report(
    probe: np.ndarray,
    calibration: Calibration,
    detector_shape: tuple[int, int],
    scan_shape: tuple[int, int],
    mean_intensity: float | None,
) -> tuple[Quantity, ...]:
    sampling = calibration.sampling(detector_shape)
    diameter = probe_diameter(probe, sampling)
    box = min(n * s for n, s in zip(detector_shape, sampling, strict=True))
    steps = calibration.scan_steps if calibration.scan_step is not None else None
    numbers = [Quantity("probe diameter", diameter, "A", *_judge_diameter(diameter, box))]
    if steps is not None:
        overlap = max(0.0, 1 - max(steps) / diameter)  # along the axis where it is least
        numbers.append(Quantity("overlap", 100 * overlap, "%", *_judge_overlap(overlap)))
    numbers += [Quantity("object pixel", max(sampling), "A"), Quantity("probe box", box, "A")]
    if steps is not None:
        field = max((n - 1) * step for n, step in zip(scan_shape, steps, strict=True))
        numbers += [Quantity("scan field", field, "A"), Quantity("object field", field + box, "A")]
    numbers.append(Quantity("highest angle", 1e3 * calibration.wavelength * 0.5 / max(sampling), "mrad"))
    if mean_intensity is not None and steps is not None:
        dose = calibration.dose(mean_intensity)
        numbers.append(Quantity("dose", dose, "e/A^2", *_judge_counts(mean_intensity)))
    return tuple(numbers)


def _judge_counts(mean_intensity: float) -> tuple[str, str]:
    if mean_intensity < 2:
        return "warn", "hardly any counts: the patterns seem to be scaled, not counted, and then this is no dose"
    return "good", ""


def _judge_diameter(diameter: float, box: float) -> tuple[str, str]:
    if diameter > 0.9 * box:
        return "bad", "the probe does not fit its box: less defocus, or finer detector pixels"
    if diameter > 0.6 * box:
        return "warn", "the probe nearly fills its box"
    return "good", ""


def _judge_overlap(overlap: float) -> tuple[str, str]:
    if overlap < 0.4:
        return "bad", "neighbouring positions hardly overlap: more defocus, or a smaller step"
    if overlap < 0.6:
        return "warn", "60 % or more is safer"
    return "good", ""
