"""What a reconstruction is made from: data, tilts, measurements, optics; and what a change of one means for others."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from traitlets import Instance

from ptywidgets.engine.core.errors import DataError, PtyError
from ptywidgets.engine.core.files import listed_files
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Measurement, Preparation, prepare, reorient
from ptywidgets.reconstruction.inputs.views import Views
from ptywidgets.reconstruction.safe import SafeTraits


class Inputs(SafeTraits):
    """Data and measurements of one view, or of many that see one volume.

    Of a tilt series, `dataset` and `measurement` are those of the tilt that is looked at. Setting `dataset` to another
    one of ``views.datasets`` looks at that; nothing is begun anew. The tilt that was prepared last says how the
    detector lies to the scan, for all of them; each has an origin of its own.
    """

    dataset = Instance(Dataset, allow_none=True, help="The data; of a tilt series those that are looked at.")
    views = Instance(Views, allow_none=True, help="The tilt series; None: there is one data set.")
    preparation = Instance(Preparation, args=(), help="How the data are prepared.")
    measurement = Instance(Measurement, allow_none=True, help="Prepared data; None until prepare().")
    optics = Instance(Optics, args=(), help="What forms the probe.")

    status: Any
    message: Any
    start_image: Any
    start_decisions: Any
    start_alternatives: Any
    start_landscape: Any
    _prepare: Any
    _require_idle: Any
    _session: Any
    _stale: bool  # the present state belongs to other data or another probe
    _taking = False  # a start is being taken over
    _turning = False  # another tilt is being looked at
    _uncropped: tuple[Dataset, Optics] | None = None  # data before they were cropped or binned here, and their optics
    _lead: Measurement | None = None  # prepared last: its rotation is that of all tilts
    _also_read: tuple[Path, ...] = ()  # files

    def __init__(self, **values: Any) -> None:
        self._measured: dict[int, Measurement] = {}  # of tilts
        super().__init__(**values)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Prepared data of all tilts, or of the one view that there is; prepared now where they were not."""
        if self.views is not None:
            return self._measure_all()
        return (self.measurement or self._prepare(),)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The files that data, vacuum patterns and masks were read from, of all tilts; nothing is saved over them."""
        views = () if self.views is None else self.views.datasets
        seen = () if self.dataset is None else (self.dataset,)
        return listed_files([file for one in (*views, *seen) for file in one.inputs] + list(self._also_read))

    def remember_input(self, path: str | os.PathLike[str]) -> None:
        """Count a file among :attr:`inputs` that something was read from which the data do not know of."""
        self._also_read = listed_files((*self._also_read, path))

    def crop(
        self,
        scan: tuple[int, int, int, int] | None = None,
        detector: tuple[int, int, int, int] | None = None,
        *,
        cut_disk: bool = False,
    ) -> None:
        """Keep a part of the scan or of the detector, as :meth:`Dataset.crop` does; of a tilt series in all tilts."""
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

        def change(dataset: Dataset) -> Dataset:
            return dataset.crop(scan, detector, cut_disk=cut_disk).bin(bin_scan, bin_detector)

        self._exchange(change, "crop or bin the data")

    def uncrop(self) -> None:
        """The whole data again, as they were before :meth:`crop` and :meth:`bin`; see :meth:`Dataset.uncropped`."""
        self._require_idle("take the whole data")
        dataset = self._data()
        if self.views is not None:
            raise DataError("a tilt series is not taken back as a whole; open its files again.")
        if not dataset.source.operations:
            return
        before, optics = self._uncropped or (None, self.optics)
        if before is not None and not _comes_from(dataset, before):
            before = None
        vacuum = self.optics.vacuum
        whole = dataset.uncropped(before)
        if vacuum is not None:
            own = whole.vacuum if before is None else optics.vacuum
            if own is None:
                raise DataError("the whole vacuum pattern is not known any more; open the data again, with vacuum=...")
            vacuum = own
        self.dataset = whole
        self._uncropped = None
        self.optics = self.optics.replace(vacuum=vacuum)

    def set_calibration(self, *, origin: str = "given", **changes: Any) -> None:
        """Change energy (eV), scan_step (A), q_pixel (1/A) or semiangle (mrad); of a tilt series in all tilts.

        `origin` says where the numbers came from, such as "measured".
        """
        dataset = self._data()
        self._require_idle("change the calibration")
        calibration = dataset.calibration.replace(**changes)
        self._recalibrate(origin=origin, **changes)
        self.measurement = None
        if "semiangle" in changes and not (self.views is not None and self.views.optics):
            self.optics = self.optics.replace(semiangle=calibration.semiangle)

    def _data(self) -> Dataset:
        if self.dataset is None:
            raise DataError("there are no data yet: Reconstruction.open(path), or set `dataset`.")
        return self.dataset

    def _exchange(self, change: Callable[[Dataset], Dataset], what: str) -> None:
        """Other data of the same experiment; the optics' vacuum pattern, seen by the same detector, goes along."""
        before = self._data()
        self._require_idle(what)
        views = self.views
        number = None if views is None else views.number(before)
        datasets = None if views is None else tuple(change(one) for one in views.datasets)
        after = change(before) if datasets is None or number is None else datasets[number]
        if after is before and (views is None or datasets == views.datasets):
            return
        optics, each = self.optics, () if views is None else views.optics
        optics = _seen_as(optics, change, before, after)
        if views is not None and datasets is not None:
            pairs = zip(each, views.datasets, datasets, strict=False)
            each = tuple(_seen_as(one, change, old, new) for one, old, new in pairs)
            self.views = replace(views, datasets=datasets, optics=each)
            if number is not None:
                self.dataset = after
            if not each and optics is not self.optics:
                self.optics = optics
            return
        if self._uncropped is None or not _comes_from(before, self._uncropped[0]):
            self._uncropped = before, self.optics
        own = self.optics.aberrations
        self.dataset = after
        if self.optics.aberrations != own:  # found in the data before, and forgotten with them
            optics = optics.replace(aberrations=self.optics.aberrations)
        if optics is not self.optics:
            self.optics = optics

    def _recalibrate(self, **changes: Any) -> None:
        views = self.views
        number = None if views is None else views.number(self.dataset)
        if views is None or number is None:
            self.dataset = self._data().with_calibration(**changes)
        else:
            self.views = views = views.with_calibration(**changes)
            self.dataset = views.datasets[number]

    # ---------------------------------------------------------------- all tilts

    def _measure_all(self) -> tuple[Measurement, ...]:
        """Of a series; raises Halted where the run that needs them is to stop."""
        assert self.views is not None
        if self.measurement is None:
            self._prepare()
        said = self.message
        for number in range(len(self.views)):
            self._session.halt()
            if number not in self._measured:
                self.message = f"Preparing tilt {number + 1} of {len(self.views)}."
            self._measure(number)
        self.message = said
        return tuple(self._measured[number] for number in range(len(self.views)))

    def _measure(self, number: int) -> Measurement:
        """One tilt, prepared as the leading one is, where it is not already."""
        assert self.views is not None and self._lead is not None
        dataset, lead, there = self.views.datasets[number], self._lead, self._measured.get(number)
        if there is lead:
            return there
        wanted = lead.preparation.replace(rotation=lead.rotation, transpose=lead.transpose, flip=False)
        if there is None or there.calibration != dataset.calibration or not same_origin(there, wanted):
            try:
                there = prepare(dataset, wanted)
            except PtyError as error:
                raise error.about(f"tilt {number + 1}, {dataset.name or 'without a name'}") from error
        elif (there.rotation, there.transpose) != (lead.rotation, lead.transpose):
            there = reorient(there, wanted)
        self._measured[number] = there
        return there

    # ---------------------------------------------------------------- following

    def _follow_inputs(self, change: Any) -> None:
        name, old, new = change["name"], change["old"], change["new"]
        if self._turning or (name == "dataset" and not self._taking and self._turn_to(new)):
            return
        self._stale = True
        if name == "views":
            self._measured, self._lead = {}, None
            if new is not None and not self._taking:
                self._begin_with(new)
        elif name == "dataset" and old is not new and not self._taking:
            self._forget()
            with self._quietly():
                self.views = None  # these data are not of the series
            if self.status == "empty" and new is not None:
                self._session.set_status("ready")
            if old is not None and new is not None:
                self._bring_vacuum(old, new)
        elif name == "measurement" and self.views is not None:
            number = self.views.number(self.dataset)
            if new is None or number is None:
                self._measured, self._lead = {}, None
            else:
                self._measured[number] = self._lead = new
        elif name == "optics" and self.views is not None and self.views.optics:
            with self._quietly():
                self.views = replace(self.views, optics=())  # set once, they are those of all

    def _bring_vacuum(self, old: Dataset, new: Dataset) -> None:
        """Where the optics have the vacuum pattern of the old data, they get that of the new ones."""
        vacuum = self.optics.vacuum
        if vacuum is None or old.vacuum is None or new.vacuum is None or not np.array_equal(vacuum, old.vacuum):
            return
        if not np.array_equal(vacuum, new.vacuum):
            self.optics = self.optics.replace(vacuum=new.vacuum)

    def _begin_with(self, views: Views) -> None:
        """Another series."""
        number = views.number(self.dataset) or 0
        with self._quietly():
            self.dataset = views.datasets[number]
            if views.optics:
                self.optics = views.optics[number]
        self._forget()
        if self.status == "empty":
            self._session.set_status("ready")

    def _forget(self) -> None:
        self.measurement = self.start_image = self.start_landscape = None
        self.start_decisions = self.start_alternatives = ()

    def _turn_to(self, dataset: Dataset | None) -> bool:
        """Whether this is but another tilt of the series, and then look at it."""
        views = self.views
        number = None if views is None else views.number(dataset)
        if views is None or number is None:
            return False
        measurement = self._measure(number) if self._lead is not None else None
        with self._quietly():
            self.measurement = measurement
            if views.optics:
                self.optics = views.optics[number]
        return True

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Inputs change and the state does not become stale by it."""
        before, self._turning = self._turning, True
        try:
            yield
        finally:
            self._turning = before


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


def same_origin(measurement: Measurement, preparation: Preparation) -> bool:
    """Whether a measurement's origin was fitted as a preparation asks for."""
    done = measurement.preparation
    return (done.origin, done.robust) == (preparation.origin, preparation.robust)


__all__ = ["Inputs", "same_origin"]
