"""One of several orientations to choose from: its image, how well it does, and whether it is the best."""

from __future__ import annotations

from typing import Any

import numpy as np
from ipywidgets import HTML, VBox

from ptywidgets.widgets.controls.formatting import degrees_text
from ptywidgets.widgets.controls.tables import escaped_text
from ptywidgets.widgets.image.image_view import ImageView


class CandidateCard(VBox):
    """A small image that can be clicked, with a bar of confidence and a caption."""

    def __init__(self) -> None:
        looks: dict[str, Any] = {"colorbar": False, "scalebar": False, "max_width": 300}
        self.view = ImageView("", "magma", picked=False, **looks)
        self.caption = HTML()
        super().__init__([self.view, self.caption], layout={"min_width": "0", "overflow": "visible"})
        self.add_class("pty-card")

    def show(self, candidate: Any, best: bool, step: tuple[float | tuple[float, float], str]) -> None:
        """Show a :class:`~ptywidgets.engine.calibrate.orientation.Candidate`; `step` is the scan step with its unit."""
        self.view.title = degrees_text(candidate.rotation, 0)
        self.view.note = "transposed" if candidate.transpose else "as recorded"
        self.view.show(np.asarray(candidate.phase), sampling=step[0], unit=step[1])
        share = min(max(float(candidate.confidence), 0.0), 1.0)
        percent = f"{100 * share:.0f} %"
        star = "<b class='pty-good'>★ best</b> " if best else ""
        self.caption.value = (
            f"<div class='pty-bar' role='img' aria-label='confidence {percent}'>"
            f"<i style='width:{100 * share:.1f}%'></i></div>"
            f"<div class='pty-note' data-testid='pty-score'>{star}{percent}"
            f" · curl {escaped_text(f'{candidate.curl:.2f}')}</div>"
        )


__all__ = ["CandidateCard"]
