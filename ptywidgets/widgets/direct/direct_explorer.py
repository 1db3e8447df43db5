"""DirectExplorer: the phase by a direct method, live while aberrations are dragged, and a start for the iteration."""

from __future__ import annotations

import os
import time
from typing import Any

import numpy as np
from ipywidgets import ToggleButtons

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_parts import measured_rows
from ptywidgets.engine.direct import DirectImage
from ptywidgets.engine.direct.sidebands.ssb import SideBands
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.reconstruction.result.snapshot import fourier_amplitude
from ptywidgets.widgets.controls.aberration_panel import AberrationPanel
from ptywidgets.widgets.controls.fields import AUTO_WIDTH, button, heading, note, panel, panels, set_text, tip, toolbar
from ptywidgets.widgets.controls.formatting import degrees_text
from ptywidgets.widgets.image.image_view import ImageView
from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.panel.latest_task import LatestTask

METHODS = {"SSB": "ssb", "OBF": "obf", "WDD": "wdd"}
EXPLAINED = (
    "SSB: single sideband. OBF: optimum bright field, weighted by signal to noise. "
    "WDD: Wigner distribution deconvolution, computed when the sliders rest."
)
FRAME = 0.06  # s: an image may take so long while a slider is dragged
SHARES = (0.02, 1.0)
LIVE_FINENESS = 4  # pixels of the image per scan step while a slider is dragged, at most
FEW = 8e6  # bytes of data that are gathered at once; more on a thread
WAITING = "Transforming the bright field ..."


class DirectExplorer(Panel):
    """A phase without iterations; which aberrations make it sharp is seen at once.

    While a slider is dragged the image is made from the strongest spatial frequencies only, as many as there is time
    for; when it rests, from all. A line says which.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Notes
    -----
    Nothing is written to the reconstruction before :meth:`start_from_this`.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> explorer = DirectExplorer(samples.ducky("tiny"))
    >>> explorer.aberrations = {"defocus": 250}
    >>> explorer.start_from_this()
    >>> explorer.recon.initial_image.method, explorer.recon.optics.aberrations
    ('ssb', Aberrations(C10=-250))
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.image: DirectImage | None = None
        self._bands: SideBands | None = None
        self._aberrations = self.recon.optics.aberrations
        self._aperture: tuple[Any, ...] = ()
        self._share = 0.1
        self._whole, self._rows = LatestTask(self), LatestTask(self)
        self._of: Any = None  # the array that is shown
        self._gathering = False  # whether its first image is on its way
        self._in_full = True  # whether that of all its rows and detector pixels is, or is there
        self._make()
        self.on_change(self.kind, lambda _kind: self._settle())
        self.on_click(self.start_button, self.start_from_this)
        self.observe_reconstruction(self._new_data, "dataset", "measurement")
        self.observe_reconstruction(self._follow, "optics")
        self.observe_reconstruction(self._show_start, "initial_image")
        self.observe_reconstruction(self._finish_rows, "message")  # that of the end of a file that is followed
        self.safe_callback(self._new_data)()

    # ---------------------------------------------------------------- for code

    @property
    def method(self) -> str:
        """ssb, obf or wdd; set it to change it."""
        return METHODS[self.kind.value]

    @method.setter
    def method(self, name: str) -> None:
        names = {method: label for label, method in METHODS.items()}
        if name not in names:
            raise DataError(f"there is no method {name!r}; there are {', '.join(names)}.")
        self.set_silently(self.kind, names[name])
        self.settle()

    @property
    def aberrations(self) -> Aberrations:
        """As shown, in the detector frame; set them (or a mapping) to try others."""
        return self._aberrations

    @aberrations.setter
    def aberrations(self, values: Any) -> None:
        self._change(Aberrations(**dict(values)))
        self.settle()

    @property
    def phase(self) -> np.ndarray | None:
        """(Y, X) rad: the last image made from all spatial frequencies."""
        return None if self.image is None else self.image.phase

    def start_from_this(self) -> None:
        """Let the next run begin from this image, with these aberrations in its probe."""
        if self.image is None:
            raise DataError("there is no image yet: load data first.")
        self._started(self._start(self.image))

    # ---------------------------------------------------------------- building

    def _make(self) -> None:
        self.kind = ToggleButtons(options=list(METHODS), **AUTO_WIDTH, **tip(EXPLAINED))
        self.dials = AberrationPanel(
            lambda values: self.safe_callback(lambda: self._change(values), "aberrations")(), self.set_error
        )
        start = "The next run starts from this image instead of an empty object"
        self.start_button = button("Start from this", start, "primary", "play-circle-o")
        self.phase_view = ImageView("Phase", "magma", placeholder=WAITING, unit="A", max_width=520)
        self.transform_view = ImageView("Its Fourier transform", "inferno", placeholder=WAITING, max_width=520)
        self.views = [self.phase_view, self.transform_view]
        self.facts, self.share_line, self.start_line = note(), note(), note()
        controls = panel(self.dials, self.share_line)
        self.children = [
            toolbar(heading("Direct ptychography"), self.facts),
            toolbar(self.kind, self.start_button, self.start_line),
            self.status_line,
            panels(controls, panel(self.phase_view), panel(self.transform_view)),
        ]

    # ---------------------------------------------------------------- data

    def _new_data(self) -> None:
        dataset = self.recon.dataset
        known = self._bands is not None or self._gathering
        if known and dataset is not None and dataset.data is self._of and dataset.source.follow:
            self._take_rows(dataset)
            return
        self._rows.cancel()
        self._whole.cancel()
        self._of = None if dataset is None else dataset.data
        self._bands = self.image = None
        if dataset is None:
            self.show_no_data(self.facts)
            return
        self._gathering = True
        self._in_full = not dataset.source.follow
        self.run_with_data(lambda: self._gather_first(dataset), self._take, WAITING, FEW)

    def _take_rows(self, dataset: Dataset) -> None:
        """Of data that are still being written rows have come: the image of all, once it is there."""
        if self._bands is not None:  # else the first are being gathered, and looked at again after that
            self._rows.submit(lambda: self._gather(dataset, at_once=True), self._take_grown, more=True)

    def _take_grown(self, gathered: tuple[Dataset, Any, SideBands]) -> None:
        self._take_more(gathered)
        self._in_full = False
        self._finish_rows()

    def _finish_rows(self) -> None:
        """Where no more rows are expected: the image of all detector pixels, after that which was quick."""
        now, follower = self.recon.dataset, self.recon.following
        goes_on = follower is not None and not (follower.ended or follower.stalled)
        if not (self._in_full or goes_on or now is None or self._bands is None or now.data is not self._of):
            self._in_full = True
            self._rows.submit(lambda: self._gather(now), self._take_more, more=True)

    def _take_more(self, gathered: tuple[Dataset, Any, SideBands]) -> None:
        dataset, bright, self._bands = gathered
        self._describe_bright(dataset, bright)
        self._settle(more=True)

    def _gather_first(self, dataset: Dataset) -> tuple[Dataset, Any, SideBands]:
        try:
            return self._gather(dataset)
        finally:
            self._gathering = False

    def _gather(self, dataset: Dataset, *, at_once: bool = False) -> tuple[Dataset, Any, SideBands]:
        now = self.recon.dataset
        if now is not None and now.data is dataset.data:
            dataset = now  # rows may have come since it was asked for
        bright = self.recon.bright_field(at_once=at_once)
        optics = self.recon.optics
        self._aperture = (optics.semiangle, optics.rolloff, optics.vacuum is None)
        return dataset, bright, SideBands.prepare(bright, optics)

    def _take(self, gathered: tuple[Dataset, Any, SideBands]) -> None:
        dataset, bright, bands = gathered
        now = self.recon.dataset
        if now is not dataset and not (now is not None and dataset.source.follow and now.data is dataset.data):
            return  # other data have come meanwhile
        self._bands = bands
        self._describe_bright(dataset, bright)
        self.set_status("")
        self._set_aberrations(self.recon.optics.aberrations)
        self._settle()
        if now is not dataset:
            self._take_rows(now)

    def _describe_bright(self, dataset: Dataset, bright: Any) -> None:
        turned = f"rotation {degrees_text(bright.rotation)}"
        turned += ", transposed" if bright.transpose else ""
        rows = measured_rows(dataset).scan_shape[0]
        there = f", {rows} of {dataset.scan_shape[0]} rows" if dataset.source.follow else ""
        set_text(self.facts, f"{len(bright.images)} detector pixels, {turned}{there}")

    def _follow(self) -> None:
        """The probe was changed elsewhere."""
        optics = self.recon.optics
        aperture = (optics.semiangle, optics.rolloff, optics.vacuum is None)
        if self._bands is None or aperture != self._aperture:
            self._new_data()
        elif optics.aberrations != self._aberrations:
            self._change(optics.aberrations)

    # ---------------------------------------------------------------- showing

    def _set_aberrations(self, aberrations: Aberrations) -> None:
        self._aberrations = aberrations
        self.dials.show(aberrations)

    def _change(self, aberrations: Aberrations) -> None:
        self._set_aberrations(aberrations)
        if self._bands is None:
            return
        self._whole.cancel()
        if self.method == "wdd":
            set_text(self.share_line, "WDD is computed when the sliders rest.")
        else:
            self.run_soon(self._draw, "draw")
        self.settle_soon()

    def _draw(self) -> None:
        """An image in time for the next one."""
        if self._bands is None:
            return
        begun = time.perf_counter()
        fine = min(self._bands.finest, LIVE_FINENESS)
        image = self._bands.image(self._aberrations, self.method, share=self._share, upsampling=fine)
        cost = max(time.perf_counter() - begun, 1e-4)
        set_text(self.share_line, _share_text(self._share))
        self._show(image, live=True)
        self._share = min(max(self._share * FRAME / cost, SHARES[0]), SHARES[1])

    def _settle(self, *, more: bool = False) -> None:
        bands, aberrations, method = self._bands, self._aberrations, self.method
        if bands is None:
            return
        if self._whole.busy or self._share < 1 or method == "wdd":
            set_text(self.share_line, "Computing from all spatial frequencies ...")
        self._whole.submit(lambda: self._make_whole(bands, aberrations, method), self._show_whole, more=more)

    def _make_whole(self, bands: SideBands, aberrations: Aberrations, method: str) -> DirectImage:
        if method == "wdd":
            return self.recon.direct("wdd", aberrations=aberrations)
        return bands.image(aberrations, method, upsampling=None)

    def _show_whole(self, image: DirectImage | None) -> None:
        if image is None:
            return
        self.image = image
        set_text(self.share_line, _share_text(1.0))
        self._show(image, live=False)

    def _show(self, image: DirectImage, live: bool) -> None:
        self.phase_view.title = f"Phase by {image.method.upper()}"
        self.phase_view.note = "rad"
        self.phase_view.show(image.phase, live=live, sampling=image.sampling, unit="A")
        transform, step = fourier_amplitude(image.phase, image.sampling)
        self.transform_view.origin = [n // 2 for n in transform.shape]
        self.transform_view.show(transform, live=live, sampling=step, unit="1/A")

    # ---------------------------------------------------------------- a start for the iteration

    def _start(self, image: DirectImage) -> DirectImage:
        recon = self.recon
        if recon.optics.aberrations != image.aberrations:
            recon.optics = recon.optics.replace(aberrations=image.aberrations)
        recon.initialize_from(image)
        return image

    def _started(self, image: DirectImage) -> None:
        self.set_status(
            f"The next run starts from this {image.method.upper()} image, with a defocus of "
            f"{image.aberrations['defocus']:.0f} Å in its probe.",
            "good",
        )

    def _show_start(self) -> None:
        image = self.recon.initial_image
        set_text(self.start_line, "" if image is None else f"the next run starts from {image!r}")

    def _describe(self) -> str:
        return self.recon.status if self.image is None else repr(self.image)


def _share_text(share: float) -> str:
    if share >= 1:
        return "Computed from all spatial frequencies."
    return f"While dragging: the strongest {100 * share:.0f} % of the spatial frequencies; all on release."


__all__ = ["DirectExplorer"]
