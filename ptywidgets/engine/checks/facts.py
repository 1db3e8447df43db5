"""What the doctor's checks share: the finding, and facts about the data that are worked out once, when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ptywidgets.engine.core.asked import how_to_give
from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.data.array_views import RepairedArray
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.detectors import filled_by_symmetry
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.optics.probe_report import Quantity, probe_report
from ptywidgets.engine.optics.vacuum import clean_vacuum
from ptywidgets.engine.preprocess.defects.frames import BadFrames, bad_frames
from ptywidgets.engine.preprocess.defects.pixels import gap_pixels, sample_patterns, sampled_positions
from ptywidgets.engine.preprocess.disk.disk import DiskFit, measure_disk
from ptywidgets.engine.preprocess.measurement import Measurement, left_out_alike
from ptywidgets.engine.preprocess.origin.descan_fit import fit_descan

SAMPLE_BYTES = 24e6
SAMPLE, QUICK = 256, 36  # patterns that are looked at, and where it has to be quick


class NotKnown(PtyError):
    """Something that a check needs is not there; the message names it."""


@dataclass(frozen=True)
class Finding:
    """What one check has found."""

    name: str
    verdict: str  # "good", "warn" or "bad"
    value: float | None
    unit: str
    sentence: str
    remedy: str = ""
    gives: tuple[str, ...] = ()  # names, with values, of what it advises to give, as of `how_to_give`

    def advice(self, place: str = "code") -> str:
        """The remedy, with how that is given in the words of a place: "code", "command line" or "widget".

        Examples
        --------
        >>> found = Finding("error", "bad", 0.9, "", "It does not fit.", "Try another rotation.", ("rotation=8",))
        >>> found.advice("command line")
        'Try another rotation. Give --rotation=8.'
        """
        if not self.gives:
            return self.remedy
        request = "Fill in" if place == "widget" else "Give"
        return f"{self.remedy} {request} {how_to_give(self.gives, place)}.".strip()

    def __str__(self) -> str:
        return f"[{self.verdict}] {self.name}: {self.sentence}" + (f" {words}" if (words := self.advice()) else "")


class Facts:
    """A dataset, what is known about it, and what a sample of its patterns tells.

    Parameters
    ----------
    dataset : Dataset
    measurement : Measurement, optional
    optics : Optics, optional
        By default what the dataset brings.
    sample : int
        Patterns that are looked at, at most.
    """

    def __init__(
        self,
        dataset: Dataset,
        measurement: Measurement | None = None,
        optics: Optics | None = None,
        *,
        sample: int = SAMPLE,
    ) -> None:
        self._sample = sample
        if measurement is not None:
            dataset = left_out_alike(dataset, measurement)
        self.dataset, self.calibration = dataset, dataset.calibration
        self._measurement, self._optics = measurement, optics

    @property
    def has_measurement(self) -> bool:
        """Whether the data have been prepared."""
        return self._measurement is not None

    @property
    def measurement(self) -> Measurement:
        """The prepared data."""
        if self._measurement is None:
            raise NotKnown("the data are not prepared yet")
        return self._measurement

    @property
    def has_optics(self) -> bool:
        """Whether somebody has said what forms the probe, and with which defocus."""
        return self._optics is not None and self._optics.aberrations.known

    @cached_property
    def optics(self) -> Optics:
        """What forms the probe, in so far as it is known."""
        optics = self._optics or Optics.from_dataset(self.dataset)
        if optics.vacuum is not None and optics.vacuum.shape != self.dataset.detector_shape:
            optics = replace(optics, vacuum=None)
        if optics.vacuum is None and optics.semiangle is None:
            raise NotKnown("neither a semi-angle nor a vacuum pattern is known")
        return optics

    @property
    def thorough(self) -> bool:
        """Whether there is time to look at many patterns."""
        return self._sample > QUICK

    @property
    def most(self) -> int:
        """Patterns that are looked at."""
        pattern_bytes = self.dataset.nbytes / np.prod(self.dataset.scan_shape)
        return int(np.clip(SAMPLE_BYTES / pattern_bytes, 9, self._sample))

    @cached_property
    def sample(self) -> np.ndarray:
        """Some patterns (n, Qy, Qx) as they are."""
        return sample_patterns(self.dataset, self.most)

    @cached_property
    def places(self) -> np.ndarray:
        """Their scan indices (n, 2): a grid, its rows and columns maybe thinned out."""
        return sampled_positions(self.dataset, self.most)

    def block(self, rows: int, columns: int) -> np.ndarray:
        """Patterns (rows, columns, Qy, Qx) of neighbouring positions in the middle of the scan, as they are."""
        y, x = ((n - m) // 2 for n, m in zip(self.dataset.scan_shape, (rows, columns), strict=True))
        return np.asarray(self.dataset.data[y : y + rows, x : x + columns])

    @cached_property
    def kept(self) -> np.ndarray:
        """Which of the sample (n,) the scan mask lets count."""
        mask = self.dataset.scan_mask
        return np.ones(len(self.places), bool) if mask is None else mask[tuple(self.places.T)]

    @cached_property
    def gaps(self) -> np.ndarray:
        """Detector pixels (Qy, Qx) that are marked as not measured, and that no mask leaves out."""
        sample = self.sample[self.kept]
        return gap_pixels(sample if len(sample) else self.sample, self.dataset.mask)

    @cached_property
    def unmeasured(self) -> np.ndarray:
        """Detector pixels (Qy, Qx) that a mask leaves out, or that are gaps."""
        return self.gaps if self.dataset.mask is None else self.gaps | ~self.dataset.mask

    @cached_property
    def clean(self) -> np.ndarray:
        """The sample (n, Qy, Qx) float32 without NaN and negative values; pixels that do not count are repaired."""
        sample = self.sample
        if self.unmeasured.any() and not self.unmeasured.all():
            sample = RepairedArray(self.dataset.data, self.unmeasured).repair(sample)
        sample = sample.astype(np.float32)
        return np.nan_to_num(sample, copy=False, nan=0, posinf=0, neginf=0).clip(0, out=sample)

    @cached_property
    def counts(self) -> np.ndarray:
        """Counts (n,) of the patterns of the sample; 0 where a position is left out."""
        return np.where(self.kept, self.clean.sum((1, 2), dtype=np.float64), 0)

    @cached_property
    def mean_counts(self) -> float:
        """Mean counts of the patterns that have any."""
        lit = self.counts[self.counts > 0]
        return float(lit.mean()) if len(lit) else 0.0

    @cached_property
    def centres(self) -> np.ndarray:
        """Centre of mass (2, n rows, n columns) px of the sample; NaN where there are no counts."""
        ny, nx = self.dataset.detector_shape
        y, x = np.arange(ny, dtype=np.float32) - ny // 2, np.arange(nx, dtype=np.float32) - nx // 2
        total = np.where(self.counts > 0, self.counts, np.nan)
        along = self.clean.sum(2, dtype=np.float32) @ y, self.clean.sum(1, dtype=np.float32) @ x
        rows = len(np.unique(self.places[:, 0]))
        return np.stack([along[0] / total + ny // 2, along[1] / total + nx // 2]).reshape(2, rows, -1)

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean (Qy, Qx) of the sample's patterns, brought to one origin by whole pixels; what a mask hides of the disk
        is as on the disk's other side."""
        if self._measurement is not None and self._measurement.scan_shape == self.dataset.scan_shape:
            origin = self._measurement.origin[:, self.places[:, 0], self.places[:, 1]]
        else:
            origin = fit_descan(self.centres, "plane").origin.reshape(2, -1)
        shifts = np.rint(origin.mean(1)[:, None] - origin).astype(int).T
        total = np.zeros(self.dataset.detector_shape)
        lit = self.counts > 0
        for pattern, shift in zip(self.clean[lit], shifts[lit], strict=True):
            total += np.roll(pattern, shift, (0, 1)) if shift.any() else pattern
        mean = total / max(1, int(lit.sum()))
        if not self.unmeasured.any() or self.unmeasured.all():
            return mean
        moves = np.unique(shifts, axis=0)
        unseen = np.logical_or.reduce([np.roll(self.unmeasured, move, (0, 1)) for move in moves])
        return mean if unseen.all() else filled_by_symmetry(mean, unseen, self.calibration.relative_pixels)[0]

    @cached_property
    def disk(self) -> DiskFit:
        """The bright-field disk of that mean."""
        return measure_disk(self.mean, self.calibration.relative_pixels)

    @cached_property
    def bad_frames(self) -> BadFrames:
        """Scan positions that should not count, and that are not left out yet; all patterns are read."""
        return bad_frames(self.dataset)

    @property
    def vacuum_words(self) -> str:
        """What is wrong with pixels of the vacuum pattern; empty where nothing is."""
        vacuum = self.dataset.vacuum
        return (
            "" if vacuum is None else clean_vacuum(vacuum, self.dataset.mask, self.calibration.relative_pixels).sentence
        )

    @property
    def vacuum(self) -> np.ndarray | None:
        """The vacuum pattern, of the dataset or of the optics; None where there is none."""
        vacuum = self.dataset.vacuum
        return vacuum if vacuum is not None or self._optics is None else self._optics.vacuum

    @cached_property
    def vacuum_clean(self) -> np.ndarray:
        """The same with pixels repaired that do not count."""
        if self.vacuum is None:
            raise NotKnown("there is no vacuum pattern")
        return clean_vacuum(self.vacuum, ~self.unmeasured, self.calibration.relative_pixels).pattern

    @cached_property
    def vacuum_disk(self) -> DiskFit:
        """The disk of the vacuum pattern."""
        return measure_disk(self.vacuum_clean, self.calibration.relative_pixels)

    @cached_property
    def report(self) -> dict[str, Quantity]:
        """The numbers of the experiment by name."""
        counts = self._measurement.mean_intensity if self._measurement is not None else self.mean_counts
        if not self.has_optics:
            raise NotKnown("nobody has said what the defocus is")
        shapes = self.dataset.detector_shape, self.dataset.scan_shape
        return {quantity.name: quantity for quantity in probe_report(self.optics, self.calibration, *shapes, counts)}
