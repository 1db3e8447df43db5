"""Where what somebody means belongs: for attributes and arguments that a reconstruction, or a widget, does not have."""

from __future__ import annotations

import dataclasses
from functools import lru_cache
from typing import Any

import numpy as np

from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.data.calibration import NAMES
from ptywidgets.engine.optics.aberrations import known_names as aberration_names
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Preparation
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.solve.plan import Plan
from ptywidgets.reconstruction.result.display_settings import DisplaySettings

RECON = "recon"


def right_way(name: str, value: Any, recon: str = RECON) -> str:
    """The statement that does what setting `name` of a reconstruction was meant to do, in a sentence; or "".

    Parameters
    ----------
    name : str
        Of the attribute or argument.
    value : object
        What it was to become.
    recon : str
        How the reconstruction is called.

    Examples
    --------
    >>> right_way("defocus", 500)
    'set it with recon.update_optics(defocus=500).'
    >>> right_way("thickness", 200, "browser.recon")
    'set it with browser.recon.model = browser.recon.model.replace(thickness=200).'
    """
    form = _forms().get(name)
    if form is None:
        return ""
    return f"set it with {form.format(recon=recon, name=name, value=short(value))}."


def known_names() -> list[str]:
    """Names that :func:`right_way` knows."""
    return list(_forms())


@lru_cache(maxsize=1)
def _forms() -> dict[str, str]:
    """Statements by names; of a name that several have, the first holds."""
    forms: dict[str, str] = {
        "mask": "{recon}.dataset = {recon}.dataset.with_mask({value})",
        "scan_mask": "{recon}.dataset = {recon}.dataset.with_scan_mask({value})",
        "data": "{recon}.dataset = Dataset({value}, Calibration(...))",
        "path": "Reconstruction.open({value})",
        "calibration": "{recon}.set_calibration(energy=..., scan_step=..., q_pixel=..., semiangle=...)",
        "tilts": "Reconstruction(datasets, tilts={value})",
        "status": "{recon}.start(), {recon}.pause(), {recon}.stop() or {recon}.reset()",
        "probe": "{recon}.begin_with(probe={value})",
        "object": "{recon}.begin_with(object={value})",
        "aberrations": "{recon}.update_optics(aberrations={value})",
    }
    calls = (
        ("{recon}.set_calibration({name}={value})", NAMES),
        ("{recon}.update_optics({name}={value})", [*aberration_names(), *_fields(Optics)]),
        ("{recon}.update_plan({name}={value})", _fields(Plan)),
        ("{recon}.model = {recon}.model.replace({name}={value})", _fields(ModelConfig)),
        ("{recon}.prepare({name}={value})", _fields(Preparation)),
        ("{recon}.look = {recon}.look.replace({name}={value})", _fields(DisplaySettings)),
        ("{recon}.update_plan({name}={value})", [n for kind in ALGORITHMS.values() for n in _fields(kind)]),
    )
    for form, names in calls:
        for name in names:
            forms.setdefault(name, form)
    return forms


def _fields(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def short(value: Any) -> str:
    """A value as it would be typed, or dots where that is long."""
    words = "..." if isinstance(value, np.ndarray) else repr(value)
    return words if len(words) <= 60 else "..."


__all__ = ["RECON", "known_names", "right_way", "short"]
