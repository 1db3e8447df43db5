"""Which part of the scan and of the detector is worked on, and how many positions and pixels make one."""

from __future__ import annotations

from typing import Any

from ipywidgets import VBox

from ptywidgets.engine.core.params import Parameter
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.source import bins_of, region_of
from ptywidgets.widgets.controls.fields import TextField, button, checkbox, note, set_text, toolbar

PARTS = "Rows and columns to keep, half-open: 10:50, 0:40."
BINS = "Binning factor; two numbers for rows and columns: 2, 4."


class CropEditor(VBox):
    """Fields for a crop and a binning; whoever shows it listens to the buttons `apply`, `whole` and `drawn`."""

    def __init__(self) -> None:
        self.scan = TextField(Parameter("scan", "", doc=PARTS, type=str), label="scan", width="118px")
        self.detector = TextField(Parameter("detector", "", doc=PARTS, type=str), label="detector", width="118px")
        self.bin_scan = TextField(Parameter("bin_scan", "1", doc=BINS, type=str), "1", label="bin scan", width="60px")
        self.bin_detector = TextField(
            Parameter("bin_detector", "1", doc=BINS, type=str), "1", label="detector", width="60px"
        )
        self.cut_disk = checkbox("cut disk", False, "Allow a crop of the detector that cuts the bright-field disk.")
        self.drawn = button("Take drawn", "Enter the region drawn on the scan, and the box drawn on the pattern.")
        self.apply = button("Crop and bin", "Use this part; masks, vacuum pattern and calibration follow.")
        self.whole = button("Whole", "Restore the whole dataset.")
        self.done = note()
        super().__init__(
            [
                toolbar(self.scan, self.detector),
                toolbar(self.bin_scan, self.bin_detector, self.cut_disk),
                toolbar(self.drawn, self.apply, self.whole),
                self.done,
            ]
        )
        self.add_class("pty-panel")

    def show(self, dataset: Dataset | None) -> None:
        """Show the whole of these data, and what was done to them."""
        shape = (0, 0, 0, 0) if dataset is None else dataset.shape
        self.enter((0, shape[0], 0, shape[1]), (0, shape[2], 0, shape[3]))
        self.bin_scan.value = self.bin_detector.value = "1"
        operations = () if dataset is None else dataset.source.operations
        text = "; then ".join(map(str, operations))
        set_text(self.done, text[:1].upper() + text[1:] + "." if text else "")
        self.done.layout.display = "" if text else "none"
        self.apply.disabled = self.drawn.disabled = dataset is None
        self.whole.disabled = not operations

    def enter(
        self,
        scan: tuple[int, int, int, int] | None = None,
        detector: tuple[int, int, int, int] | None = None,
    ) -> None:
        """Enter regions in the fields; None leaves one as it is."""
        for field, region in ((self.scan, scan), (self.detector, detector)):
            if region is not None:
                field.value = f"{region[0]}:{region[1]}, {region[2]}:{region[3]}"

    def wanted(self) -> dict[str, Any]:
        """What the fields say, as arguments of :meth:`Reconstruction.crop_and_bin`."""
        return {
            "scan": region_of(self.scan.value),
            "detector": region_of(self.detector.value),
            "bin_scan": bins_of(self.bin_scan.value),
            "bin_detector": bins_of(self.bin_detector.value),
            "cut_disk": self.cut_disk.value,
        }


__all__ = ["CropEditor"]
