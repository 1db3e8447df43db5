"""DatasetBrowser: scan image and diffraction pattern, each of them answering to what is dragged on the other."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from ipywidgets import HTML, ToggleButton

from ptywidgets.engine.core.errors import DataError, unknown_name
from ptywidgets.engine.core.stopping import stopped_by
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.data.virtual import PRESETS, Detector, VirtualImager, disk_semiangle, fit_disk, scan_range
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.browse.crop_editor import CropEditor
from ptywidgets.widgets.browse.dataset_text import browser_code, dataset_summary
from ptywidgets.widgets.browse.pattern_pane import PatternPane
from ptywidgets.widgets.browse.scan_pane import ScanPane
from ptywidgets.widgets.controls.calibration_editor import CalibrationEditor
from ptywidgets.widgets.controls.fields import heading, note, panel, panels, set_text, text_label, toolbar
from ptywidgets.widgets.panel.base import NO_DATA, Panel
from ptywidgets.widgets.panel.latest_task import LatestTask
from ptywidgets.widgets.plots.histogram import ContrastHistogram


class DatasetBrowser(Panel):
    """Look through 4D-STEM data.

    Left the scan: a virtual image, on which a position or a region is chosen. Right the diffraction pattern of that
    position (or the mean of that region), on which the virtual detector is dragged and resized; the virtual image
    follows at once.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> browser = DatasetBrowser(samples.ducky("tiny"))
    >>> browser.position = 3, 5
    >>> browser.pattern.shape, browser.virtual_image.shape
    ((64, 64), (12, 12))
    >>> browser
    DatasetBrowser('ducky tiny'; position 3, 5; BF)
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self._imager: VirtualImager | None = None
        self._virtual: np.ndarray | None = None
        self._pattern: np.ndarray | None = None
        self._mean_counts = 0.0
        self._sums, self._wanted = LatestTask(self), object()  # of large data: the exact image, and which one it is of
        self._cropping_of: Dataset | None = None  # whose regions the fields show
        self._rows, self._reading = LatestTask(self), None  # taken in as they come; and what is being read at first
        self.scan_pane, self.pattern_pane = ScanPane(), PatternPane()
        self.scan_view, self.pattern_view = self.scan_pane.view, self.pattern_pane.view
        self.views = [self.scan_view, self.pattern_view]
        self.histogram = ContrastHistogram("counts")
        self.calibration = CalibrationEditor(self.safe_callback(self._calibrate), self.safe_callback(self.set_error))
        self.cropping = CropEditor()
        self.facts = note()
        self.show_code = ToggleButton(description="Code", layout={"width": "auto"}, icon="code")
        self.code_text = HTML(layout={"display": "none"})
        axes = "Contrast of the pattern: histogram of the counts (log)"
        self.children = [
            toolbar(heading("Dataset"), self.facts),
            panels(self.scan_pane, self.pattern_pane),
            panels(
                panel(text_label(axes, "pty-note"), self.histogram),
                panel(text_label("Calibration", "pty-note"), self.calibration, toolbar(self.show_code), self.code_text),
                panel(text_label("Cropping and binning", "pty-note"), self.cropping),
            ),
            self.status_line,  # by what is typed: in a narrow window all of this is one column
        ]
        self._connect()
        self.on_close(self._stop_sum)
        self.safe_callback(self._new_data)()

    # ---------------------------------------------------------------- for code

    @property
    def position(self) -> tuple[int, int]:
        """Row and column of the probe in the scan; set it to move."""
        return self.scan_pane.position

    @position.setter
    def position(self, place: tuple[int, int]) -> None:
        self._dataset()
        self.set_silently(self.scan_pane.mode, "Point")
        self.scan_pane.move(*place)
        self.callback_queue.run(self._show_pattern)
        self.wait()

    @property
    def region(self) -> tuple[int, int, int, int] | None:
        """Chosen scan positions (y0, y1, x0, x1), half-open; None while a point is chosen."""
        return self.scan_pane.region

    @property
    def pattern(self) -> np.ndarray | None:
        """(Qy, Qx): the pattern that is shown, or the mean of the region."""
        return self._pattern

    @property
    def detector(self) -> Detector | None:
        """The virtual detector; set it to BF, ABF or ADF, or to a :class:`~ptywidgets.engine.data.virtual.Detector`."""
        return self.pattern_pane.detector

    @detector.setter
    def detector(self, value: Detector | str) -> None:
        if isinstance(value, str) and value not in PRESETS:
            raise unknown_name("detector", value, PRESETS)
        self.wait()
        self._dataset()
        self.callback_queue.run(lambda: self._set_detector(value))
        self.wait()

    @property
    def detector_mask(self) -> np.ndarray | None:
        """(Qy, Qx) bool: pixels that the virtual image sums."""
        return None if self.detector is None else self.detector.mask(self._dataset().detector_shape)

    @property
    def virtual_image(self) -> np.ndarray | None:
        """(Ry, Rx) float64: sum over the detector at every scan position."""
        return self._virtual

    @property
    def code(self) -> str:
        """Python lines that make what is shown."""
        return browser_code(self.recon.dataset, self.position, self.region, self.detector)

    # ---------------------------------------------------------------- callbacks

    def _connect(self) -> None:
        self.on_region_drag(self.scan_view, self._scan_moved)
        self.on_region_drag(self.pattern_view, self._detector_moved)
        self.on_change(self.scan_pane.mode, lambda mode: self._choose_on_scan())
        self.on_change(self.pattern_pane.choice, self._set_detector)
        self.on_change(self.pattern_pane.display.unit, lambda unit: self._show_pattern())
        self.on_change(self.histogram, lambda limits: setattr(self.pattern_view, "limits", limits), "limits")
        self.on_change(self.histogram, lambda pair: setattr(self.pattern_view, "percentiles", pair), "percentiles")
        self.on_click(self.calibration.from_disk, self._semiangle_from_disk)
        self.on_click(self.cropping.drawn, self._take_drawn)
        self.on_click(self.cropping.apply, self._crop)
        self.on_click(self.cropping.whole, self._uncrop)
        self.on_change(self.show_code, lambda on: self._show_code())
        self.observe_reconstruction(self._new_dataset, "dataset")
        self.observe_reconstruction(self._show_following, "message")

    def _scan_moved(self, region: dict[str, Any], _final: bool) -> None:
        self.scan_pane.take(region)
        self._show_pattern()

    def _choose_on_scan(self) -> None:
        if self.recon.dataset is not None:
            self.scan_pane.choose()
            self._show_pattern()

    def _set_detector(self, choice: str | Detector | None) -> None:
        if choice is None:
            return
        self.set_silently(self.pattern_pane.choice, self.pattern_pane.choose(choice, self._dataset().detector_shape))
        self._show_virtual()

    def _detector_moved(self, region: dict[str, Any], final: bool) -> None:
        word = self.pattern_pane.take(region)
        if word is not None:
            self.set_silently(self.pattern_pane.choice, word)
            self._show_virtual(live=not final)

    # ---------------------------------------------------------------- data

    def _dataset(self) -> Dataset:
        if self.recon.dataset is None:
            raise DataError("there are no data yet: set recon.dataset, or open a file by Reconstruction.open(path).")
        return self.recon.dataset

    def _new_dataset(self) -> None:
        """Another calibration of the same patterns needs no new reading."""
        dataset, known = self.recon.dataset, self._reading if self._imager is None else self._imager.dataset
        if dataset is None or known is None or not _same_patterns(known, dataset):
            self._new_data()
            return
        if dataset.source.follow and known is not dataset:
            self._take_rows(dataset)
            return
        self._show_facts()
        self._show_virtual()
        self._show_pattern()

    def _take_rows(self, dataset: Dataset) -> None:
        """Of data that are still being written rows have come, or all was said again: what is new is read."""
        imager = self._imager
        if imager is None:
            return  # what is there at first is being read

        def shown(_: None) -> None:
            if imager is self._imager and self.detector is not None:
                self._show_virtual()
                self._show_facts()
                self._show_pattern()

        self._rows.submit(lambda: imager.take(dataset), shown)

    def _show_following(self) -> None:
        """Say what is wrong with a file that is followed."""
        following = self.recon.following
        if following is not None and (following.error is not None or following.stalled):
            self.set_status(following.text, "warn")
        if following is not None:
            self._show_facts()

    def _new_data(self) -> None:
        self._stop_sum()
        self._rows.cancel()
        self._imager = self._virtual = self._pattern = None
        self.pattern_pane.reset()
        self._show_facts()
        dataset = self.recon.dataset
        self.scan_pane.reset(None if dataset is None else dataset.scan_shape)
        if dataset is None:
            self.pattern_view.clear()
            return
        if dataset.source.follow:  # its middle may be far from being written
            self.scan_pane.move((measured_rows(dataset).scan_shape[0] - 1) // 2, dataset.scan_shape[1] // 2)
        self._show_pattern()
        self._reading = dataset
        self.run_with_data(lambda: VirtualImager(dataset), self._take_imager, "Reading patterns ...")

    def _take_imager(self, imager: VirtualImager) -> None:
        if self.recon.dataset is None or not _same_patterns(imager.dataset, self.recon.dataset):
            return  # other data have come meanwhile
        mean = imager.mean_pattern()
        self._imager, self.pattern_pane.disk, self._mean_counts = imager, fit_disk(mean), float(mean.sum())
        self._show_facts()
        self._set_detector("BF")
        self._show_pattern()
        self.set_status("")
        if self.recon.dataset is not imager.dataset:
            self._new_dataset()

    # ---------------------------------------------------------------- showing

    def _show_pattern(self) -> None:
        dataset = self.recon.dataset
        if dataset is None:
            return
        region = self.region
        if region is None:
            y, x = self.position
            self._pattern, text = dataset.pattern(y, x), f"at row {y}, column {x}"
            if _is_to_come(dataset, y):
                text += ", not there yet"
        elif _is_to_come(dataset, region[0]):
            self._pattern, text = dataset.pattern(region[0], region[2]), "these rows are not there yet"
        else:
            count = (region[1] - region[0]) * (region[3] - region[2])
            self._pattern, text = dataset.mean_pattern(region), f"mean of {count} positions"
        self.pattern_pane.show(self._pattern, dataset.calibration, text)
        self.histogram.show(self._pattern)
        self._show_code()

    def _show_virtual(self, live: bool = False) -> None:
        imager = self._imager
        if imager is None or self.detector is None:
            return
        self._stop_sum()
        mask = self.detector.mask(imager.dataset.detector_shape)
        self._show_scan(imager.preview(mask), "" if imager.fast else ", a sample of the positions", live)
        if live:
            self.settle_soon()
        elif not imager.fast:
            self._sum(imager, mask)
        self._show_code()

    def _show_scan(self, image: np.ndarray, of: str = "", live: bool = False) -> None:
        self._virtual = image
        self.scan_pane.show(image, self._dataset().calibration, f"{self.pattern_pane.name}{of}", live)

    def _sum(self, imager: VirtualImager, mask: np.ndarray) -> None:
        """The exact image of data that are not held in memory: one pass over all of them, beside everything else."""
        wanted = self._wanted

        def told(share: float) -> None:
            if wanted is self._wanted:
                self.run_soon(
                    self.set_status, "sum", f"Summing all patterns: {share:.0%}; moving the detector stops it."
                )

        def work() -> np.ndarray:
            with stopped_by(lambda: wanted is not self._wanted):
                return imager.image(mask, told)

        def done(image: np.ndarray) -> None:
            if wanted is self._wanted and imager is self._imager:
                self._show_scan(image)
                self.set_status("")

        self._sums.submit(work, done)

    def _stop_sum(self) -> None:
        """What is being summed is no longer wanted."""
        self._wanted = object()
        self._sums.cancel()

    # ---------------------------------------------------------------- calibration and facts

    def _calibrate(self, **changes: Any) -> None:
        try:
            self._dataset()
            self.recon.set_calibration(**changes)
        finally:
            self.calibration.show(self.recon.calibration)
        self.set_status("")

    def _crop(self) -> None:
        before = self._dataset()
        self.recon.crop_and_bin(**self.cropping.wanted())
        after = self._dataset()
        if after is before:
            self.set_status("Nothing to do: this is all of the data, and nothing is binned.")
            return
        done = "; then ".join(map(str, after.source.operations[len(before.source.operations) :]))
        self.set_status(f"{done[:1].upper()}{done[1:]}.", "good")

    def _uncrop(self) -> None:
        self.recon.uncrop()
        self.set_status("The whole dataset is restored.", "good")

    def _take_drawn(self) -> None:
        self._dataset()
        detector, box = self.detector, None
        if detector is not None and detector.shape == "rectangle":
            box = scan_range((detector.y, detector.x), detector.h, detector.w, self._dataset().detector_shape)
        if self.region is None and box is None:
            raise DataError('nothing is drawn; choose "Region" for the scan or "Box" for the detector, and drag it.')
        self.cropping.enter(self.region, box)

    def _semiangle_from_disk(self) -> None:
        dataset = self._dataset()
        disk = self.pattern_pane.disk
        if disk is None:
            raise DataError("the patterns are still being read; try again in a moment.")
        angle = disk_semiangle(disk.radius, dataset.calibration, self.recon.optics.rolloff)
        self.recon.set_calibration(origin="measured", semiangle=float(f"{angle:.4g}"))
        self.set_status(f"The disk has a radius of {disk.radius:.2f} px: semi-angle {angle:.2f} mrad.", "good")

    def _show_facts(self) -> None:
        dataset = self.recon.dataset
        self.calibration.show(self.recon.calibration)
        if dataset is not self._cropping_of:
            self._cropping_of = dataset
            self.cropping.show(dataset)
        if dataset is None:
            set_text(self.facts, NO_DATA)
            return
        read, following = self.pattern_pane.disk is not None, self.recon.following
        text = dataset_summary(dataset, self._mean_counts if read else None)
        if following is not None:
            text = f"{text}; {following.text}"
        set_text(self.facts, text, tooltip=str(dataset.path or ""))

    def _show_code(self) -> None:
        self.code_text.layout.display = "" if self.show_code.value else "none"
        if self.show_code.value:
            set_text(self.code_text, self.code, tag="pre")

    def _describe(self) -> str:
        if self.recon.dataset is None:
            return self.recon.status
        y, x = self.position
        place = f"position {y}, {x}" if self.region is None else f"region {self.region}"
        return f"{place}; {self.pattern_pane.choice.value}"


def _is_to_come(dataset: Dataset, row: int) -> bool:
    """Whether a row of data that are still being written is not there yet."""
    return row >= measured_rows(dataset).scan_shape[0]


def _same_patterns(one: Dataset, other: Dataset) -> bool:
    """Whether virtual images of one are those of the other."""
    return one.data is other.data and one.source.mask == other.source.mask


__all__ = ["DatasetBrowser"]
