"""ModelEditor: what the model of the patterns is made of, in a few numbers; only those that matter are shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ipywidgets import VBox

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.models import SPECIMENS
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.tomography import check_series
from ptywidgets.reconstruction import Reconstruction
from ptywidgets.widgets.controls.controls import control
from ptywidgets.widgets.controls.fields import NumberField, dropdown, set_text, text_label
from ptywidgets.widgets.controls.quiet import Quiet

OBJECTS = {"complex": "complex (phase and amplitude)", "potential": "potential (phase only)"}
LABELS = {
    "tilt_rows": "tilt, rows",
    "tilt_columns": "tilt, columns",
    "focus": "defocus plane",
    "modes": "probe modes",
    "diffuse": "elements",
    "b_factor": "initial B",
    "object_modes": "object modes",
    "displacement": "rms displacement",
    "background": "fit a background",
    "blur": "point spread",
}
LABEL_WIDTH = "92px"


@dataclass(frozen=True)
class Group:
    """Some of the numbers under one heading."""

    title: str
    names: tuple[str, ...]


GROUPS = (
    Group("Specimen", ("slices", "thickness", "tilt_rows", "tilt_columns", "focus")),
    Group("Partial coherence", ("modes", "source_size", "focal_spread")),
    Group("Thermal motion", ("diffuse", "b_factor", "object_modes", "displacement")),
    Group("Detector", ("background", "blur")),
)
# What means something only together with something else: in a model, perhaps that of a tilt series.
SHOWN_WITH: dict[str, Callable[[ModelConfig, bool], bool]] = {
    "thickness": lambda c, tilted: c.slices > 1 or tilted,
    **dict.fromkeys(("tilt_rows", "tilt_columns"), lambda c, tilted: c.slices > 1 and not tilted),
    "focus": lambda c, tilted: c.slices > 1,
    "b_factor": lambda c, tilted: bool(c.diffuse.strip()),
    "object_modes": lambda c, tilted: not tilted,
    "displacement": lambda c, tilted: c.object_modes > 1,
}
THICKNESS, DEPTH = "thickness", "volume depth"  # what the number is called for one view, and for a tilt series


class ModelEditor(VBox):
    """Kind of object, slices, modes, coherence, diffuse scattering and detector of a reconstruction.

    Parameters
    ----------
    recon : Reconstruction
        Its `model` and `object_type` are changed; what it has found so far goes on under the new model.
    safe_callback : callable
        Turns a callback into one that cannot fail: :meth:`Panel.safe_callback`.
    set_error : callable
        Called with the message for an entry that cannot be.
    """

    def __init__(
        self,
        recon: Reconstruction,
        safe_callback: Callable[[Callable[..., Any]], Callable[..., Any]],
        set_error: Callable[[str], Any],
    ) -> None:
        self.recon, self._quiet = recon, Quiet()
        objects = [(OBJECTS.get(kind, kind), kind) for kind in SPECIMENS]
        self.object_type = dropdown("object", objects, recon.object_type, "What is reconstructed.")
        self.object_type.observe(safe_callback(lambda change: self._set("object_type", change["new"])), "value")
        known = {parameter.name: parameter for parameter in ModelConfig.describe()}
        self.controls: dict[str, Any] = {}
        lines: list[Any] = [text_label("Model", "pty-title"), self.object_type]
        take = safe_callback(self._take)
        for group in GROUPS:
            lines.append(text_label(group.title, "pty-group"))
            for name in group.names:
                item = self.controls[name] = _compact(known[name], getattr(recon.model, name))
                item.observe(lambda change, name=name: take(name, change["new"]), "value")
                item.observe(lambda change: change["new"] and set_error(change["new"]), "error")
                lines.append(item)
        self.lacking = text_label("", "pty-warn")
        super().__init__([*lines, self.lacking])
        self.add_class("pty-panel")
        self.show()

    def show(self) -> None:
        """Show what the reconstruction has now; nothing is changed by that."""
        config, tilted = self.recon.model, self.recon.views is not None
        with self._quiet:
            self.object_type.value = self.recon.object_type
            for name, item in self.controls.items():
                item.value = getattr(config, name)
                item.layout.display = "" if SHOWN_WITH.get(name, _always)(config, tilted) else "none"
            set_text(self.controls["thickness"].children[0], DEPTH if tilted else THICKNESS)
        lacking = what_lacks(config, self.recon.object_type if tilted else None)
        set_text(self.lacking, lacking)
        self.lacking.layout.display = "" if lacking else "none"

    def _take(self, name: str, value: Any) -> None:
        if not self._quiet:
            self.recon.model = self.recon.model.replace(**{name: value})
            self.show()

    def _set(self, name: str, value: Any) -> None:
        if not self._quiet:
            self.recon.set_trait(name, value)


def what_lacks(config: ModelConfig, of_volume: str | None = None) -> str:
    """What has to be given before a run can begin; nothing where all is.

    Of a tilt series the kind of object is asked about, too: `of_volume`.

    Examples
    --------
    >>> what_lacks(ModelConfig(slices=3))
    "slices is 3 but thickness is 0 A; give the specimen's thickness."
    >>> what_lacks(ModelConfig(slices=3, thickness=60))
    ''
    """
    try:
        config.check() if of_volume is None else check_series(config, of_volume)
    except PtyError as error:
        return str(error)
    return ""


def _compact(parameter: Any, value: Any) -> Any:
    """A control without a slider: these numbers are known, not tried out."""
    label = LABELS.get(parameter.name)
    if parameter.choices is not None or parameter.type in (bool, str):
        item = control(parameter, value, label)
    else:
        item = NumberField(parameter, value, label)
    if parameter.type is not bool and parameter.choices is None:
        item.children[0].layout.width = LABEL_WIDTH
    return item


def _always(_config: ModelConfig, _tilted: bool) -> bool:
    return True


__all__ = ["GROUPS", "ModelEditor", "what_lacks"]
