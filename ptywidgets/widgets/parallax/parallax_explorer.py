"""ParallaxExplorer: each pixel of the aperture sees the specimen under its tilt; the shifts tell the aberrations."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from ipywidgets import HTML

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.data.calibration import in_words
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.aberration_panel import AberrationPanel
from ptywidgets.widgets.controls.fields import (
    button,
    checkbox,
    dropdown,
    heading,
    note,
    panel,
    panels,
    set_text,
    toolbar,
)
from ptywidgets.widgets.controls.formatting import degrees_text
from ptywidgets.widgets.controls.slider import Slider
from ptywidgets.widgets.image.image_view import ImageView
from ptywidgets.widgets.panel.base import Panel
from ptywidgets.widgets.panel.latest_task import LatestTask
from ptywidgets.widgets.parallax.tilted_images import Fine, Guess, TiltedImages, fit_table, fit_text
from ptywidgets.widgets.plots.shift_plot import ShiftPlot
from ptywidgets.widgets.rotation.rotation_explorer import ANGLE

ORDERS = {"up to astigmatism": 1, "up to coma": 2, "up to third order": 3, "up to fifth order": 5}
FEW = 8e6  # bytes of data that are gathered at once; more on a thread
WAITING = "Gathering the bright field ..."


class ParallaxExplorer(Panel):
    """The bright-field images of all tilts, shifted by what rotation and aberrations predict, and summed.

    Where the prediction is right the sum is sharp. The image follows the sliders; the phase with its contrast
    transfer corrected is made anew when they rest.

    Parameters
    ----------
    source : Reconstruction, Dataset or path
        A dataset or file gets a reconstruction of its own.

    Notes
    -----
    Nothing is written to the reconstruction before :meth:`hand_over`.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> explorer = ParallaxExplorer(samples.ducky("tiny"))
    >>> explorer.aberrations = {"defocus": 250}
    >>> explorer.rotation = -15
    >>> explorer.hand_over()
    >>> explorer.recon.optics.aberrations, explorer.recon.rotation
    (Aberrations(C10=-250), -15.0)
    """

    def __init__(self, source: Reconstruction | Dataset | str | os.PathLike[str] | None = None) -> None:
        super().__init__(source)
        self.images: TiltedImages | None = None
        self.fit: Any = None
        self.guess = Guess(Aberrations(), 0.0, False)
        self._whole = LatestTask(self)
        self._make()
        self.on_change(self.angle, lambda angle: self._change(rotation=float(angle)))
        self.on_change(self.transposed, lambda on: self._change(transpose=bool(on)))
        self.on_change(self.angle, self.set_error, "error")
        self.on_click(self.fit_button, self._fit_clicked)
        self.on_click(self.over_button, self._over_clicked)
        self.observe_reconstruction(self._new_data, "dataset")
        self.observe_reconstruction(self._follow, "measurement", "optics")
        self.safe_callback(self._new_data)()

    # ---------------------------------------------------------------- for code

    @property
    def rotation(self) -> float:
        """Degrees from detector to scan, as shown; set it to try another."""
        return self.guess.rotation

    @rotation.setter
    def rotation(self, value: float) -> None:
        self._change(rotation=ANGLE.check(value))
        self.settle()

    @property
    def transpose(self) -> bool:
        """Whether detector rows and columns are exchanged; set it to try."""
        return self.guess.transpose

    @transpose.setter
    def transpose(self, value: bool) -> None:
        self._change(transpose=bool(value))
        self.settle()

    @property
    def aberrations(self) -> Aberrations:
        """As shown, in the detector frame; set them (or a mapping) to try others."""
        return self.guess.aberrations

    @aberrations.setter
    def aberrations(self, values: Any) -> None:
        self._change(aberrations=Aberrations(**dict(values)))
        self.settle()

    @property
    def aligned(self) -> np.ndarray | None:
        """(Ry, Rx): the sum of the shifted images, as shown."""
        return None if self.images is None else self.images.aligned(self.guess)

    def find(self) -> None:
        """Fit rotation and aberrations to the images, and show them."""
        self.wait()  # for the images
        self._fitted(self._fit())
        self.wait()

    def hand_over(self) -> None:
        """Give the rotation and the aberrations that are shown to the reconstruction."""
        self._handed(self._hand(self.guess))

    # ---------------------------------------------------------------- building

    def _make(self) -> None:
        self.angle = Slider(ANGLE, 0.0)
        self.angle.set_flex("1 1 60px", "50px")
        self.transposed = checkbox("transposed", False, "Detector rows and columns are exchanged.")
        self.dials = AberrationPanel(
            lambda values: self.safe_callback(lambda: self._change(aberrations=values), "aberrations")(), self.set_error
        )
        self.order = dropdown("", list(ORDERS.items()), 2, "Aberrations that are fitted.", "150px")
        self.fit_button = button("Fit", "Rotation and aberrations that align the images best", "", "search")
        over = "Write this rotation and these aberrations to the reconstruction"
        self.over_button = button("Hand over to the probe", over, "primary", "check")
        looks: dict[str, Any] = {"placeholder": WAITING, "max_width": 420}
        self.aligned_view = ImageView("Shifted bright field", "gray", **looks)
        self.corrected_view = ImageView("Phase, contrast corrected", "magma", note="rad", **looks)
        self.transfer_view = ImageView("Fourier transform | transfer", "gray", **looks)
        self.views = [self.aligned_view, self.corrected_view, self.transfer_view]
        self.plot = ShiftPlot()
        self.facts = note()
        self.table = HTML()
        self.table.add_class("pty-figure")
        controls = panel(self.angle, self.transposed, self.dials, self.table)
        controls.layout.flex = "1 1 300px"
        images = panels(
            panel(self.aligned_view), panel(self.corrected_view), panel(self.transfer_view), panel(self.plot)
        )
        images.layout.flex = "3 1 560px"
        self.children = [
            toolbar(heading("Parallax"), self.facts),
            toolbar(self.fit_button, self.order, self.over_button),
            self.status_line,
            panels(controls, images),
        ]

    # ---------------------------------------------------------------- data

    def _new_data(self) -> None:
        dataset = self.recon.dataset
        if dataset is None:
            self.images = self.fit = None
            self.show_no_data(self.facts)
            return
        self.run_with_data(lambda: (dataset, TiltedImages(self.recon.bright_field())), self._take, WAITING, FEW)

    def _take(self, gathered: tuple[Dataset, TiltedImages]) -> None:
        dataset, images = gathered
        if self.recon.dataset is not dataset:
            return  # other data have come meanwhile
        self.images, self.fit = images, None
        count, (ry, rx) = len(images.bright.images), images.bright.scan_shape
        set_text(
            self.facts, f"{count} tilted images of {ry} × {rx} positions, {in_words(images.step, 4, ' × ')} Å apart"
        )
        self.set_status("")
        self._follow()
        self._settle()

    def _follow(self) -> None:
        """Rotation or probe were changed elsewhere: show them."""
        recon = self.recon
        if self.images is None or recon.rotation is None:
            return
        guess = Guess(recon.optics.aberrations, recon.rotation, bool(recon.transpose))
        if guess != self.guess:
            self._show_guess(guess)
            self.settle_soon()

    # ---------------------------------------------------------------- fit and hand-over

    def _fit_clicked(self) -> None:
        self.run_with_data(self._fit, self._fitted, "Aligning the images ...", FEW / 4)

    def _fit(self) -> Any:
        if self.images is None:
            raise DataError("there are no images yet: load data first.")
        return self.images.fit(self.guess, self.order.value)

    def _fitted(self, fit: Any) -> None:
        self.fit = fit
        self._show_guess(Guess(fit.aberrations, fit.rotation, fit.transpose))
        self.safe_callback(self._settle)()
        self.table.value = fit_table(fit)
        self.set_status(*fit_text(fit))

    def _over_clicked(self) -> None:
        guess = self.guess
        self.run_with_data(lambda: self._hand(guess), self._handed, "Preparing the data ...")

    def _hand(self, guess: Guess) -> Guess:
        recon = self.recon
        if (recon.rotation, recon.transpose) != (guess.rotation, guess.transpose):
            recon.prepare(rotation=guess.rotation, transpose=guess.transpose)
        recon.optics = recon.optics.replace(aberrations=guess.aberrations)
        return guess

    def _handed(self, guess: Guess) -> None:
        defocus = guess.aberrations["defocus"]
        self.set_status(
            f"Handed over: rotation {degrees_text(guess.rotation)}, defocus {defocus:.0f} Å; see Probe.", "good"
        )

    # ---------------------------------------------------------------- showing

    def _change(self, **changes: Any) -> None:
        now = {"aberrations": self.aberrations, "rotation": self.rotation, "transpose": self.transpose}
        self._show_guess(Guess(**{**now, **changes}))
        self.settle_soon()

    def _show_guess(self, guess: Guess) -> None:
        self.guess = guess
        self.set_silently(self.angle, round(guess.rotation, 2))
        self.set_silently(self.transposed, guess.transpose)
        self.dials.show(guess.aberrations)
        if self.images is not None:
            self._whole.cancel()
            self.run_soon(self._draw, "draw")

    def _draw(self) -> None:
        """What follows the sliders."""
        images, guess = self.images, self.guess
        if images is None:
            return
        self.plot.show(*images.arrows(guess, self.fit), images.angle)
        self.aligned_view.note = "finer when the sliders rest"
        self.aligned_view.show(images.aligned(guess), live=True, sampling=images.step, unit="A")
        self._show_transfer(guess, live=True)

    def _settle(self) -> None:
        """The sliders rest: the images that take longer."""
        images, guess = self.images, self.guess
        if images is not None:
            self._whole.submit(lambda: (guess, images.finely(guess)), self._show_fine)

    def _show_fine(self, made: tuple[Guess, Fine] | None) -> None:
        if made is None:
            return
        guess, fine = made
        self.aligned_view.note = f"{in_words(fine.step, 3, ' × ')} Å per pixel"
        self.aligned_view.show(fine.aligned, sampling=fine.step, unit="A")
        self.corrected_view.show(fine.phase.phase, sampling=fine.phase.sampling, unit="A")
        self._show_transfer(guess, live=False)

    def _show_transfer(self, guess: Guess, live: bool) -> None:
        if self.images is not None:
            image, pixel = self.images.transfer(guess)
            self.transfer_view.origin = [n // 2 for n in image.shape]
            self.transfer_view.show(image, live=live, sampling=pixel, unit="1/A", lo=0.0, hi=1.0)

    def _describe(self) -> str:
        if self.images is None:
            return self.recon.status
        return f"rotation {self.rotation:.2f} degrees, defocus {self.aberrations['defocus']:.0f} A"


__all__ = ["ParallaxExplorer"]
