"""Names of earlier development versions: whoever still uses one is told the present name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

RENAMED = {
    "find_start": "calibrate",
    "Start": "CalibrationResult",
    "start_decisions": "estimates",
    "Decision": "Estimate",
    "Composition": "ModelConfig",
    "composition": "model",
    "start_from": "initialize_from",
    "start_image": "initial_image",
    "started_from": "initialized_from",
    "first_object": "initial_object",
    "first_probe": "initial_probe",
    "first_positions": "initial_positions",
    "Look": "DisplaySettings",
    "Views": "TiltSeriesData",
    "auto": 'schedule ("automatic" or "manual"; in the engine: reconstruct or automatic_schedule)',
    "auto_steps": "reconstruct",
    "for_auto": "prepared_for_schedule",
    "staged": "run_stages",
    "tilt_words": "tilt_text",
    "mailbox": "snapshots",
}


def now_called(name: str) -> str:
    """What a name is called now, in a sentence; empty where it is no old one.

    Examples
    --------
    >>> now_called("find_start")
    'find_start is called calibrate now.'
    """
    return f"{name} is called {RENAMED[name]} now." if name in RENAMED else ""


def module_getattr(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module, which raises AttributeError with the present name of an old one.

    Examples
    --------
    >>> module_getattr("ptywidgets.engine")("Composition")
    Traceback (most recent call last):
    ...
    AttributeError: module 'ptywidgets.engine' has no attribute 'Composition'; Composition is called ModelConfig now.
    """

    def getattr_of_module(name: str) -> Any:
        told = now_called(name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}" + (f"; {told}" if told else ""))

    return getattr_of_module
