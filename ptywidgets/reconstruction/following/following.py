"""The part of a reconstruction that follows a file which is still being written: data and measurement grow with it."""

from __future__ import annotations

import math
import threading
import time
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ptywidgets.engine.core.errors import DataError, PtyError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io.growing.follower import Follower, rows_shown, with_rows
from ptywidgets.engine.io.growing.stack import GrowingScan, growing_scan
from ptywidgets.engine.preprocess import Measurement, reorient, wrapped_angle
from ptywidgets.engine.preprocess.growing import GrowingMeasurement
from ptywidgets.engine.preprocess.measurement import left_out_alike
from ptywidgets.reconstruction.session.ending import Thread

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

REST = 0.1  # s at least between two updates, so that everything else has a turn
RESTING, LONGEST_REST = 0.5, 1.0  # of what an update took, and s at most: its rest
ALL_KNOWN = 4  # rows with which a run begins where nothing has to be found
CLEARLY = 1.5  # times less curl with the other transpose, from which on it is the right one
TO_FIND, SHARE = 16, 4  # rows, and one of so many, from which a start is found


class Following:
    """Who watches the file, and brings `dataset` and `measurement` to the rows that are whole.

    The calibration, the masks and the vacuum pattern are those that are set. Of the measurement origin and rotation are
    fitted again to all rows; once there is a result the rotation is held, since the object lies as it says.
    """

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.follower: Follower | None = None
        self._growing = GrowingMeasurement()
        self._held = False  # nothing is taken in
        self._lock = threading.RLock()  # while the next data are made; not while they are told

    # ---------------------------------------------------------------- asked

    @property
    def scan(self) -> GrowingScan | None:
        """What grows; None where nothing does."""
        return None if self.follower is None else self.follower.scan

    @property
    def current(self) -> Follower | None:
        """Who watches the file of data that are still being written, with their :attr:`~Follower.text`; else None."""
        return self.follower

    @property
    def goes_on(self) -> bool:
        """Whether more rows are expected."""
        follower = self.follower
        return follower is not None and not (follower.ended or follower.stalled)

    @property
    def has_more(self) -> bool:
        """Whether there are rows that the present result was not made of."""
        of, scan = self.recon._maker.made_of, self.scan
        if of is None or scan is None or growing_scan(of.dataset.data) is not scan:
            return False
        rows = of.measurement.rows_there
        return rows is not None and rows < scan.rows

    # ---------------------------------------------------------------- commands

    def complete_now(self) -> None:
        """Wait for no more rows: what is there is all of the data."""
        if self.follower is None:
            raise DataError("no data are followed; open them by Reconstruction.open(path, follow=True).")
        self.follower.complete_now()
        self.catch_up()

    def hold(self) -> None:
        """Take nothing in before :meth:`release`."""
        self._held = True

    def release(self) -> None:
        """Take in what has come."""
        self._held = False
        self.catch_up()

    # ---------------------------------------------------------------- data

    def begin(self) -> None:
        """Follow the data that are set, from now on."""
        self.recon.observe(self.new_dataset, ["dataset", "views"])
        self.recon.observe(self.new_measurement, "measurement")
        self.new_dataset()

    def new_dataset(self, _change: Any = None) -> None:
        """Follow what was set, where it grows; let go of what is not looked at any more."""
        recon = self.recon
        dataset, before = recon.dataset, self.follower
        scan = None if dataset is None or recon.views is not None else growing_scan(dataset.data)
        if before is not None and scan is before.scan and dataset is not None:
            if dataset.scan_shape == scan.scan_shape:
                return
            recon.message = f"The scan was cropped or binned: no more rows are taken in ({before.text})."
        self.follower, self._growing = None, GrowingMeasurement()
        if before is not None:
            before.close()
        if dataset is None or scan is None or dataset.scan_shape != scan.scan_shape:
            return
        if scan.complete and dataset.scan_mask is None:
            return
        self.follower = Follower(dataset, thread=Thread)
        self.follower.on_rows(_weakly(self))

    def new_measurement(self, _change: Any = None) -> None:
        """Rows may have come while it was made."""
        recon, scan = self.recon, self.scan
        if scan is not None and _lags(recon.measurement, scan) and not recon._session.getting_ready:
            self.catch_up()

    def came(self, follower: Follower) -> None:
        """Rows have come, or there is something to say. Called by the thread that watches."""
        recon, begun = self.recon, time.perf_counter()
        if follower is not self.follower:
            return
        if not recon._session.getting_ready:  # what a run is made from stays while it is made ready
            self.catch_up()
        if follower.error is not None or follower.stalled or (follower.ended and not recon._session.active):
            recon.message = f"{recon.dataset.name if recon.dataset else 'The scan'}: {follower.text.rstrip('.?')}."
        if not follower.ended:
            follower.rest(min(max(REST, RESTING * (time.perf_counter() - begun)), LONGEST_REST))

    def catch_up(self) -> None:
        """Bring data and measurement to the rows that are whole now."""
        recon = self.recon
        with self._lock:
            before = recon.dataset
            scan = self.scan
            if self._held or scan is None or before is None or growing_scan(before.data) is not scan:
                return
            if scan.rows <= rows_shown(before, scan) and not _lags(recon.measurement, scan):
                return
            try:
                dataset, measurement = self._grown(before, scan)
            except PtyError as error:
                recon.message = f"The rows that have come could not be taken in: {error}"
                return
        if recon.dataset is not before:  # somebody has set something else meanwhile, which counts
            return
        with recon._inputs.quietly():
            recon.dataset = dataset
            if measurement is not None:
                prepared_here = recon.measurement is recon._inputs.prepared
                recon.measurement = measurement
                if prepared_here:
                    recon._inputs.prepared = measurement

    def _grown(self, before: Dataset, scan: GrowingScan) -> tuple[Dataset, Measurement | None]:
        dataset, known = with_rows(before, scan, rows_shown(before, scan)), self.recon.measurement
        if known is None or tuple(known.scan_shape) != dataset.scan_shape:  # that of somebody who knew the positions
            return dataset, None
        measurement = self._measured(dataset, known)
        return left_out_alike(dataset, measurement), measurement

    def _measured(self, dataset: Dataset, known: Measurement) -> Measurement:
        """The measurement of the rows that are there, turned as the one that stands where that has to stay."""
        recon, wanted = self.recon, self.recon.preparation
        held = recon.result.state is not None or recon._session.active or known is not recon._inputs.prepared
        if held:
            turn = {"rotation": known.rotation, "transpose": known.transpose, "flip": False}
            found = self._growing.of(dataset, known.preparation.replace(**turn))
            return replace(found, preparation=known.preparation)
        found = self._growing.of(dataset, wanted)
        if wanted.rotation is None and abs(wrapped_angle(found.rotation - known.rotation)) > 90:
            turned = reorient(found, wanted.replace(rotation=wrapped_angle(found.rotation + 180)))
            found = replace(turned, preparation=wanted)  # the half turn was told by the known defocus
        return found

    # ---------------------------------------------------------------- a run

    def wait_for_enough(self) -> None:
        """For the one who works: wait until there are rows enough to begin with; raises Halted where it is to stop."""
        recon, scan = self.recon, self.scan
        if scan is None:
            return
        wanted = recon.preparation
        told = bool(recon._unknown.names) or wanted.rotation is None or wanted.transpose is None
        rows = scan.scan_shape[0]
        needed = min(rows, max(TO_FIND, math.ceil(rows / SHARE)) if told else ALL_KNOWN)
        before, waited = recon.message, False
        while self.goes_on and scan.rows < needed:
            recon._session.halt()
            why = ", from which what is unknown is found" if told else ""
            recon.message, waited = (
                f"Waiting for rows: {scan.words} are there; the run begins with {needed}{why}.",
                True,
            )
            time.sleep(0.05)
        if waited:
            recon.message = before
        self.catch_up()

    def verdict(self) -> str:
        """At the end of a run on rows that came: what is to be said of them; empty where all is well."""
        of, follower = self.recon._maker.made_of, self.follower
        if of is None or follower is None:
            return ""
        if not follower.complete:
            return f"The result is of {follower.text}."
        measurement = of.measurement
        fit, found = measurement.rotation_fit, "rotation" not in self.recon._inputs.found_names
        off = abs(wrapped_angle(fit.rotation - measurement.rotation))
        if self.recon.preparation.rotation is None and found and max(3 * fit.uncertainty, 1.0) < off < 90:
            return (
                f"By all rows the rotation is {fit.rotation:.2f} degrees (+- {fit.uncertainty:.2f}), and the run went "
                f"on with {measurement.rotation:.2f}, of the rows that it began with: reset() and run() for the other."
            )
        asked = self.recon.preparation.transpose is None and "transpose" not in self.recon._inputs.found_names
        if asked and CLEARLY * fit.other_share < fit.solenoidal_share:
            other = not measurement.transpose
            return (
                f"By all rows the detector is {'' if other else 'not '}transposed, and the run went on with the other, "
                f"of the rows that it began with: prepare(transpose={other}), reset() and run()."
            )
        return ""


def _lags(measurement: Measurement | None, scan: GrowingScan) -> bool:
    """Whether a measurement is of fewer rows than are there."""
    return measurement is not None and measurement.rows_there is not None and measurement.rows_there < scan.rows


def _weakly(following: Following) -> Any:
    """A callback that does not keep the reconstruction alive."""
    reference = weakref.WeakMethod(following.came)

    def call(follower: Follower) -> None:
        came = reference()
        if came is not None:
            came(follower)

    return call


__all__ = ["Following"]
