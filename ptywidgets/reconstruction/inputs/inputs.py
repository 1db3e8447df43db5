"""What a reconstruction is made from: data, tilts, measurements, optics; and what a change of one means for others."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.calibrate.estimates import Estimate, revised
from ptywidgets.engine.calibrate.flip import resolve_flip
from ptywidgets.engine.checks.doubts import doubtful
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.core.files import checked_path, listed_files
from ptywidgets.engine.core.params import switch
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, prepare, reorient
from ptywidgets.engine.preprocess.measurement import left_out_alike
from ptywidgets.reconstruction.inputs.made_of import makes_no_difference
from ptywidgets.reconstruction.inputs.tilt_measurements import TiltMeasurements, same_origin
from ptywidgets.reconstruction.inputs.tilt_series_data import TiltSeriesData
from ptywidgets.reconstruction.inputs.who_set import TURN, WhoSet

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


PAIRS = {"astigmatism": ("C12a", "C12b"), "coma": ("C21a", "C21b")}
TITLES = {"dataset": "other data", "views": "another series", "measurement": "another measurement"}


class Inputs:
    """Data and measurements of one view, or of many that see one volume, and who has set which number.

    Of a tilt series, `dataset` and `measurement` are those of the tilt that is looked at. Setting `dataset` to another
    one of ``views.datasets`` looks at that; nothing is begun anew. The tilt that was prepared last says how the
    detector lies to the scan, for all of them; each has an origin of its own.
    """

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.stale = False  # the present state belongs to other data or another probe
        self.who = WhoSet()
        self.taking = False  # a start is being taken over
        self.prepared: Measurement | None = None  # the measurement that was made here; another one was given
        self._turn: tuple[Measurement | None, str] = None, ""  # of a measurement, what was said of its rotation
        self.asked = recon.preparation  # which the present measurement was made for
        self.tilts = TiltMeasurements(recon)
        self.uncropped: tuple[Dataset, Optics] | None = (
            None  # before they were cropped or binned here, and their optics
        )
        self.also_read: tuple[Path, ...] = ()  # files
        self._speaks = False  # what is done now says so itself
        self._quiet = threading.local()  # by which threads inputs are changed quietly

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Prepared data of all tilts, or of the one view that there is; prepared now where they were not."""
        recon = self.recon
        if recon.views is not None:
            if recon.measurement is None:
                self.prepare_now()
            return self.tilts.all()
        return (recon.measurement or self.prepare_now(),)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that data, vacuum patterns and masks were read from, of all tilts; nothing is saved over them."""
        recon, of = self.recon, self.recon._maker.made_of  # which the result is of, whatever is set now
        several = [one.views.datasets for one in (recon, of) if one is not None and one.views is not None]
        each = [one.dataset for one in (recon, of) if one is not None and one.dataset is not None]
        sets = [*itertools.chain(*several), *each]
        return listed_files([file for one in sets for file in one.inputs] + list(self.also_read))

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the dataset."""
        return None if self.recon.dataset is None else self.recon.dataset.calibration

    @property
    def rotation(self) -> float | None:
        """Degrees from detector to scan, as used; None until prepared."""
        return None if self.recon.measurement is None else self.recon.measurement.rotation

    @property
    def transpose(self) -> bool | None:
        """Whether the detector is transposed; None until prepared."""
        return None if self.recon.measurement is None else self.recon.measurement.transpose

    def remember_input(self, path: str | os.PathLike[str]) -> None:
        """Count a file among :attr:`inputs` that something was read from which the data do not know of."""
        path = checked_path(path)
        self.also_read = listed_files((*self.also_read, path))

    def crop(
        self,
        scan: tuple[int, int, int, int] | None = None,
        detector: tuple[int, int, int, int] | None = None,
        *,
        cut_disk: bool = False,
    ) -> None:
        """Keep a part of the scan or of the detector, as :meth:`Dataset.crop` does; of a tilt series in all tilts."""
        cut_disk = switch("cut_disk", cut_disk)
        self._exchange(lambda dataset: dataset.crop(scan, detector, cut_disk=cut_disk), "crop the data")

    def bin(self, scan: int | tuple[int, int] = 1, detector: int | tuple[int, int] = 1) -> None:
        """Sum positions or pixels, as :meth:`Dataset.bin` does; of a tilt series in all tilts."""
        self._exchange(lambda dataset: dataset.bin(scan, detector), "bin the data")

    def crop_and_bin(
        self,
        scan: tuple[int, int, int, int] | None = None,
        detector: tuple[int, int, int, int] | None = None,
        *,
        bin_scan: int | tuple[int, int] = 1,
        bin_detector: int | tuple[int, int] = 1,
        cut_disk: bool = False,
    ) -> None:
        """Both at once: if one of them is refused, nothing is changed."""
        cut_disk = switch("cut_disk", cut_disk)

        def change(dataset: Dataset) -> Dataset:
            return dataset.crop(scan, detector, cut_disk=cut_disk).bin(bin_scan, bin_detector)

        self._exchange(change, "crop or bin the data")

    def uncrop(self) -> None:
        """The whole data again, as they were before :meth:`crop` and :meth:`bin`; see :meth:`Dataset.uncropped`."""
        recon = self.recon
        recon._session.require_idle("take the whole data")
        dataset = self.data()
        if recon.views is not None:
            raise DataError("a tilt series is not taken back as a whole; open its files again.")
        if not dataset.source.operations:
            return
        before, optics = self.uncropped or (None, recon.optics)
        if before is not None and not _comes_from(dataset, before):
            before = None
        vacuum = recon.optics.vacuum
        whole = dataset.uncropped(before)
        if vacuum is not None:
            own = whole.vacuum if before is None else optics.vacuum
            if own is None:
                raise DataError("the whole vacuum pattern is not known any more; open the data again, with vacuum=...")
            vacuum = own
        recon.dataset = whole
        self.uncropped = None
        recon.optics = recon.optics.replace(vacuum=vacuum)

    def set_calibration(self, /, *, origin: str = "given", **changes: Any) -> None:
        """Change energy (eV), scan_step (A), q_pixel (1/A) or semiangle (mrad); of a tilt series in all tilts.

        `origin` says where the numbers came from, such as "measured".
        """
        if not (isinstance(origin, str) and origin.strip()):
            raise ParameterError(
                f'origin is {origin!r:.80}; expected a word on where the numbers came from, such as "measured".'
            )
        recon = self.recon
        dataset = self.data()
        recon._session.require_idle("change the calibration")
        calibration = dataset.calibration.replace(**changes)
        datasets = (dataset,) if recon.views is None else recon.views.datasets
        if any(one.calibration != one.calibration.replace(**changes) for one in datasets):
            self.recalibrate(origin=origin, **changes)
            recon.measurement = None
        elif changes:
            recon._check.confirm_calibration()
        if "semiangle" in changes and not (recon.views is not None and recon.views.optics):
            recon.optics = recon.optics.replace(semiangle=calibration.semiangle)

    def prepare(self, /, **changes: Any) -> Measurement:
        """Prepare the data; keyword arguments change single fields of :attr:`preparation` first.

        Where no rotation is given and the curl leaves the 180-degree ambiguity, a known defocus decides. Of a tilt
        series the tilt that is looked at is prepared, and the others alike when they are needed.
        """
        recon = self.recon
        self.data()
        recon._session.require_idle("prepare anew")
        recon.preparation = recon.preparation.replace(**changes)
        return self.prepare_now()

    def prepare_if_outdated(self) -> None:
        """Where another preparation was set since the data were prepared here, prepare them anew."""
        before = self.recon.measurement
        if before is not None and before is self.prepared and self.recon.preparation != self.asked:
            self.revise(_in_use(before), _in_use(self.prepare_now()))

    def as_asked(self) -> Measurement:
        """The measurement that the preparation asks for; data are read only where their origin is another one."""
        recon = self.recon
        if recon.measurement is not None and same_origin(recon.measurement, recon.preparation):
            return reorient(recon.measurement, recon.preparation)
        return prepare(self.data(), recon.preparation, progress=self._tell)

    def _tell(self, words: str) -> None:
        self.recon.message = words[:1].upper() + words[1:] + "..."

    def prepare_now(self) -> Measurement:
        recon = self.recon
        measurement = self.as_asked()
        message = self._read_as(measurement)
        if self._can_resolve_flip():
            test = resolve_flip(measurement, recon.optics)
            given = recon.preparation.rotation is not None or recon.preparation.flip
            if test.resolved and test.rotation != measurement.rotation and not given:
                measurement = reorient(measurement, recon.preparation.replace(rotation=test.rotation))
            told = message.rstrip(".") if given else message.split(";")[0].rstrip(".")
            message = f"{told}; {test.message}"
        message = message[:1].upper() + message[1:]
        self._turn = measurement, message
        recon.message = " ".join([*measurement.notes, message])  # first: whoever is told of the measurement shows it
        self._speaks = True
        try:
            self.prepared = recon.measurement = measurement
            self.leave_out(measurement)
        finally:
            self._speaks = False
        return measurement

    def _read_as(self, measurement: Measurement) -> str:
        """How the data are read, and what the centre of mass tells of it: where somebody or a start has set the
        rotation, it is not the one that is read with."""
        wanted, fit = self.recon.preparation, measurement.rotation_fit
        if wanted.rotation is None:
            return fit.message
        turned, found = "transposed" if measurement.transpose else "not transposed", self.found_names
        who = "found" if "rotation" in found and ("transpose" in found or wanted.transpose is None) else "set"
        return (
            f"Read with a rotation of {measurement.rotation:.2f} degrees, {turned}, as {who}; the centre of mass alone "
            f"has least curl at {fit.rotation:.2f} degrees (+- {fit.uncertainty:.2f})."
        )

    @property
    def turn_words(self) -> str:
        """What the centre of mass tells of how the present measurement is turned, in a sentence; "" without one."""
        measurement = self.recon.measurement
        if measurement is None:
            return ""
        words = self._turn[1] if self._turn[0] is measurement else measurement.rotation_fit.message
        return words[:1].upper() + words[1:]

    def leave_out(self, measurement: Measurement) -> None:
        """Let the dataset say what its measurement leaves out, so that images of it and what is saved do, too."""
        recon = self.recon
        dataset = recon.dataset
        if dataset is None or recon.views is not None or dataset.scan_shape != measurement.scan_shape:
            return
        masked = left_out_alike(dataset, measurement)
        if masked is not dataset:
            before, self.taking = self.taking, True
            try:
                recon.dataset = masked
            finally:
                self.taking = before

    def _can_resolve_flip(self) -> bool:
        recon = self.recon
        has_aperture = recon.optics.vacuum is not None or recon.optics.semiangle is not None
        return has_aperture and recon.optics.aberrations["C10"] != 0

    def data(self) -> Dataset:
        recon = self.recon
        if recon.dataset is None:
            raise DataError("there are no data yet: Reconstruction.open(path), or set `dataset`.")
        return recon.dataset

    def _exchange(self, change: Callable[[Dataset], Dataset], what: str) -> None:
        """Other data of the same experiment; the optics' vacuum pattern, seen by the same detector, goes along."""
        recon = self.recon
        before = self.data()
        recon._session.require_idle(what)
        views = recon.views
        number = None if views is None else views.number(before)
        datasets = None if views is None else tuple(change(one) for one in views.datasets)
        after = change(before) if datasets is None or number is None else datasets[number]
        if after is before and (views is None or datasets == views.datasets):
            return
        optics, each = recon.optics, () if views is None else views.optics
        optics = _seen_as(optics, change, before, after)
        if views is not None and datasets is not None:
            pairs = zip(each, views.datasets, datasets, strict=False)
            each = tuple(_seen_as(one, change, old, new) for one, old, new in pairs)
            recon.views = replace(views, datasets=datasets, optics=each)
            if number is not None:
                recon.dataset = after
            if not each and optics is not recon.optics:
                recon.optics = optics
            return
        if self.uncropped is None or not _comes_from(before, self.uncropped[0]):
            self.uncropped = before, recon.optics
        own = recon.optics.aberrations
        recon.dataset = after
        if recon.optics.aberrations != own:  # found in the data before, and forgotten with them
            optics = optics.replace(aberrations=recon.optics.aberrations)
        if optics is not recon.optics:
            recon.optics = optics

    def recalibrate(self, **changes: Any) -> None:
        recon = self.recon
        views = recon.views
        number = None if views is None else views.number(recon.dataset)
        if views is None or number is None:
            recon.dataset = self.data().with_calibration(**changes)
        else:
            recon.views = views = views.with_calibration(**changes)
            recon.dataset = views.datasets[number]

    # ---------------------------------------------------------------- following

    def check_settable(self, name: str, value: Any) -> None:
        """Raise where data or a measurement are about to be set, or taken away, during a run.

        A run has its data in its problem, so other ones are refused as :meth:`crop` and :meth:`prepare` are, but for
        those who make it ready; another tilt of the same series is but looked at. While it is made ready, lens and
        preparation are found and taken over, so nobody else can set these.
        """
        recon, session = self.recon, self.recon._session
        if name in ("optics", "preparation") and session.made_ready:
            raise ParameterError(f"cannot set the {name} while a run looks for what is unknown of it; stop it first.")
        if name not in TITLES or session.preparing or self._turning:
            return
        if not (name == "dataset" and recon.views is not None and recon.views.number(value) is not None):
            session.require_idle(f"set {TITLES[name]}")

    def say_next_run(self, what: str) -> None:
        """During a run, say of something else that was set when it counts."""
        session = self.recon._session
        if session.active and not (session.preparing or self.taking):
            self.recon.message = f"{what} with the next run, which begins anew: Stop, then Run."

    def follow(self, change: Any) -> None:
        recon = self.recon
        name, old, new = change["name"], change["old"], change["new"]
        if self._turning or (name == "dataset" and not self.taking and self._turn_to(new)):
            return
        differs = not makes_no_difference(name, old, new, recon.measurement)
        if differs:
            self.outdate()
        elif name == "dataset" and recon.views is None:  # the same with another name, or another word on its numbers
            of = recon._maker.made_of
            if of is not None and of.dataset is old:
                recon._maker.made_of = replace(of, dataset=new)
            return
        if differs and name in ("optics", "preparation"):
            self.say_next_run(f"The {name} change{'s' * (name == 'preparation')}")
        if name == "measurement":
            self.asked = recon.preparation
        if name in ("optics", "measurement") and not (self.taking or recon._session.preparing):
            self.revise(_in_use(old), _in_use(new))
        if name == "views":
            self.tilts.forget()
            if new is not None and not self.taking:
                self._begin_with(new)
        elif name == "dataset" and old is not new and not self.taking:
            self.forget()
            with self.quietly():
                recon.views = None  # these data are not of the series
            if recon.status == "empty" and new is not None:
                recon._session.set_status("ready")
            if old is not None and new is not None:
                self._bring_vacuum(old, new)
        elif name == "measurement" and recon.views is not None:
            number = recon.views.number(recon.dataset)
            if new is None or number is None:
                self.tilts.forget()
            else:
                self.tilts.take(number, new)
        elif name == "optics" and recon.views is not None and recon.views.optics:
            with self.quietly():
                recon.views = replace(recon.views, optics=())  # set once, they are those of all

    def outdate(self) -> None:
        """The result, if there is one, is not of what is set any more."""
        recon = self.recon
        before, self.stale = self.stale, True
        made_with = recon.result.made_with
        if made_with and not before and not (recon._session.active or self._speaks):
            doubts = doubtful(recon.doubts) if recon.doubts else ""
            words = f"The result was made with {made_with}; the next run begins anew with what is set now."
            recon.message = f"{words} {doubts}".strip()

    def revise(self, before: dict[str, Any], now: dict[str, Any]) -> None:
        """Let the estimates say what is in use, where somebody has set another value than was estimated."""
        recon = self.recon
        if recon.estimates and now:
            recon.estimates = revised(recon.estimates, before, now, _sizes(now))

    def revised_lens(
        self, estimates: tuple[Estimate, ...], before: Aberrations, now: Aberrations
    ) -> tuple[Estimate, ...]:
        """Estimates that were made with some aberrations, where somebody has set others of them."""
        then, used = (_in_use(Optics(aberrations=lens)) for lens in (before, now))
        return revised(estimates, then, used, _sizes(used))

    def _bring_vacuum(self, old: Dataset, new: Dataset) -> None:
        """Where the optics have the vacuum pattern of the old data, they get that of the new ones."""
        recon = self.recon
        vacuum = recon.optics.vacuum
        if vacuum is None or old.vacuum is None or new.vacuum is None or not np.array_equal(vacuum, old.vacuum):
            return
        if not np.array_equal(vacuum, new.vacuum):
            recon.optics = recon.optics.replace(vacuum=new.vacuum)

    def _begin_with(self, views: TiltSeriesData) -> None:
        """Another series."""
        recon = self.recon
        number = views.number(recon.dataset) or 0
        with self.quietly():
            recon.dataset = views.datasets[number]
            if views.optics:
                recon.optics = views.optics[number]
        self.forget()
        if recon.status == "empty":
            recon._session.set_status("ready")

    def forget(self) -> None:
        """Of other data nothing is known that was found in these."""
        recon = self.recon
        recon.measurement = recon.initial_image = recon.start_landscape = None
        recon.estimates = recon.start_alternatives = ()
        self.who = self.who.without_start()
        found, lens = self.found_names, recon.optics.aberrations
        if self.who.found(lens):
            recon.optics = recon.optics.replace(aberrations=self.who.given(lens))
        recon.preparation = recon.preparation.replace(**{name: None for name in TURN if name in found})
        self.who = WhoSet()
        recon._work.forget_model()  # that was found for those
        recon._waves.forget_object()  # of another specimen; a probe may well be the same

    @property
    def found_names(self) -> tuple[str, ...]:
        """Of Cartesian aberrations, rotation and transpose those in use that were found from the data and not given."""
        recon = self.recon
        return self.who.found_names(recon.optics.aberrations, recon.preparation)

    def remember_found(self, names: Sequence[str]) -> None:
        """Take what is in use for found, not given, as it was before it was saved."""
        recon = self.recon
        lens = {n: v for n, v in recon.optics.aberrations.cartesian.items() if n in names}
        self.who = self.who.with_found(lens).with_found_turn(recon.preparation, names)

    def _turn_to(self, dataset: Dataset | None) -> bool:
        """Whether this is but another tilt of the series, and then look at it."""
        recon = self.recon
        views = recon.views
        number = None if views is None else views.number(dataset)
        if views is None or number is None:
            return False
        measurement = self.tilts.one(number) if self.tilts.lead is not None else None
        with self.quietly():
            recon.measurement = measurement
            if views.optics:
                recon.optics = views.optics[number]
        return True

    @contextmanager
    def quietly(self) -> Iterator[None]:
        """Inputs change and the state does not become stale by it."""
        before, self._quiet.on = self._turning, True
        try:
            yield
        finally:
            self._quiet.on = before

    @property
    def _turning(self) -> bool:
        """Whether the calling thread looks at another tilt, or takes in rows that have come."""
        return bool(getattr(self._quiet, "on", False))


def _sizes(now: dict[str, Any]) -> dict[str, float]:
    """What is shown of aberrations that are pairs of numbers."""
    return {name: value and math.hypot(*value) for name, value in now.items() if name in PAIRS}


def _in_use(value: Any) -> dict[str, Any]:
    """What optics or a measurement say of what is estimated, by the names of estimates."""
    if isinstance(value, Measurement):
        return {"rotation": value.rotation, "transpose": value.transpose}
    if not isinstance(value, Optics):
        return {}
    lens, parts = value.aberrations, value.aberrations.cartesian
    pairs = {name: (parts[one], parts[other]) for name, (one, other) in PAIRS.items()}
    aperture = {} if value.semiangle is None else {"semi-angle": value.semiangle}
    return {"defocus": lens["defocus"] if lens.known else None, **pairs, **aperture}


def _seen_as(optics: Optics, change: Callable[[Dataset], Dataset], before: Dataset, after: Dataset) -> Optics:
    """The optics, with a vacuum pattern of their own cropped or binned as the data were."""
    vacuum = optics.vacuum
    if vacuum is None or before.detector_shape == after.detector_shape:
        return optics
    if vacuum.shape != before.detector_shape:
        return optics  # make_aperture says so
    if before.vacuum is None or not np.array_equal(before.vacuum, vacuum):
        after = change(before.with_vacuum(vacuum))
    return optics.replace(vacuum=after.vacuum)


def _comes_from(dataset: Dataset, whole: Dataset) -> bool:
    """Whether a data set is what was made of another one by cropping and binning."""
    made, begun = dataset.source, whole.source
    same = (made.path, made.dataset, made.shape) == (begun.path, begun.dataset, begun.shape)
    return same and made.operations[: len(begun.operations)] == begun.operations


__all__ = ["Inputs"]
