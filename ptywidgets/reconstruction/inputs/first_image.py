"""A first image by a direct method, and a run that begins from it."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from ptywidgets.engine import direct
from ptywidgets.engine.core.errors import look_up
from ptywidgets.engine.core.params import check_options, switch
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.direct import BrightField, DirectImage, bright_field, start_object
from ptywidgets.engine.direct.bright_field import aperture_radius, with_more_rows
from ptywidgets.engine.preprocess import Measurement, wrapped_angle

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction

METHODS = ("dpc", "parallax", "ssb", "obf", "wdd")
WHILE_ROWS_COME = 12.0  # detector pixels, radius of the aperture in an image of rows that are still coming
SAME = 2.0  # degrees: an image is still a start for data that are read with a rotation so near to its own


class FirstImage:
    """The direct methods, with the rotation and the aberrations of a reconstruction."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.began_from = "empty"  # what the present run began from, for the record
        # What it was gathered for, from how many rows as they came (None: in full), and what was gathered.
        self._bright: tuple[tuple[Any, ...], int | None, BrightField] | None = None

    def bright_field(self, *, at_once: bool = False) -> BrightField:
        """The scan images of the aperture's detector pixels; kept until the data or their origin change.

        While rows are coming, detector pixels are summed, and only new rows are read. Once no more are expected that is
        so where it has to be had `at_once`; else they are gathered anew in full.
        """
        at_once = switch("at_once", at_once)
        recon, inputs = self.recon, self.recon._inputs
        dataset, measurement = inputs.data(), recon.measurement or inputs.prepare_now()
        gathered = (dataset.data, dataset.calibration, measurement.origin)
        known = self._bright  # read once: others may gather at the same time
        full = not (dataset.source.follow and (at_once or recon._following.goes_on))
        if known is None or not _alike(known[0], gathered) or (full and known[1] is not None):
            there = dataset.scan_shape[0] if measurement.rows_there is None else measurement.rows_there
            grown = None if full else self._with_rows(known, dataset, measurement, there)
            bright = grown or bright_field(dataset, measurement, binning=None if full else _live(dataset))
            known = self._bright = (gathered, None if full else there, bright)
        return known[2].turned(measurement.rotation, measurement.transpose)

    @staticmethod
    def _with_rows(known: Any, dataset: Dataset, measurement: Measurement, there: int) -> BrightField | None:
        """What was gathered with the rows that have come since; None where all has to be gathered."""
        if known is None or known[1] is None:
            return None
        (data, calibration, _), rows, bright = known
        if data is not dataset.data or calibration != dataset.calibration or rows > there:
            return None
        return with_more_rows(bright, dataset, measurement, rows)

    def direct(self, /, method: str = "ssb", **options: Any) -> DirectImage:
        """The phase by a direct method, with the present rotation and aberrations.

        Parameters
        ----------
        method : {"dpc", "parallax", "ssb", "obf", "wdd"}
        **options
            Of the function of that name in :mod:`ptywidgets.engine.direct`.
        """
        recon, inputs = self.recon, self.recon._inputs
        method = look_up("direct method", method, METHODS)
        check_options(getattr(direct, method), options)
        if method == "dpc":
            return direct.dpc(recon.measurement or inputs.prepare_now(), **options)
        if method == "parallax":
            return direct.corrected(direct.parallax(self.bright_field(), **options))
        if method == "wdd":  # it uses electrons beyond the aperture, too
            return direct.wdd(
                inputs.data(),
                recon.optics,
                measurement=recon.measurement or inputs.prepare_now(),
                **options,
            )
        return getattr(direct, method)(self.bright_field(), recon.optics, **options)

    def initialize_from(self, image: DirectImage | None) -> None:
        """Let the next run begin anew, from this image instead of an empty object; None: from empty again.

        Examples
        --------
        >>> from ptywidgets import Reconstruction, samples
        >>> recon = Reconstruction(samples.ducky("tiny"), defocus=250)
        >>> recon.initialize_from(recon.direct("dpc"))
        >>> recon.run(1).initialized_from
        'DirectImage(dpc, 12x12, 1.5 A pixels)'
        """
        recon = self.recon
        if image is not None:
            recon._waves.forget_object()  # the latest wish holds
        recon.initial_image = image
        if image is not None:
            recon._inputs.outdate()  # also with the same again

    def follow(self, change: Any) -> None:
        inputs = self.recon._inputs
        inputs.outdate()
        inputs.say_next_run("The image to begin from changes")

    @property
    def initialized_from(self) -> str:
        """What the present run began from: "empty", or the words of an image."""
        return self.began_from

    def begin(self, problem: Any) -> Any:
        """A fresh problem, with the object that :meth:`initialize_from` asked for."""
        recon = self.recon
        image, measurement = recon.initial_image, problem.measurement
        self.began_from = "empty"
        if image is None:
            return problem
        if recon.views is not None:
            recon.message = "Started from empty: the image of one tilt is no volume."
            return problem
        turned = abs(wrapped_angle(image.rotation - measurement.rotation))
        if turned > SAME or image.transpose != measurement.transpose:
            recon.message = f"Started from empty: the {image.method} image was made with another rotation."
            return problem
        self.began_from = repr(image)
        return dataclasses.replace(problem, initial_object=start_object(image, problem))


def _live(dataset: Dataset) -> int:
    """Detector pixels that are summed while rows are coming, so that an image keeps up with them."""
    return max(1, math.ceil(aperture_radius(dataset) / WHILE_ROWS_COME))


def _alike(one: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return one[0] is other[0] and one[1] == other[1] and one[2] is other[2]


__all__ = ["METHODS", "FirstImage"]
