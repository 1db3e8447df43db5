"""Names of earlier development versions: whoever still uses one is told the present name."""

from __future__ import annotations

import sys
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


def absent(module: str, name: str, otherwise: str = "") -> AttributeError | ImportError:
    """What the ``__getattr__`` of a module raises over a name that it does not have; of an old one it says the new one.

    That is an AttributeError, so that hasattr and getattr with a default are answered. Of ``from module import name``
    Python drops its words; it asks by a function of its own first, and gets an ImportError, which it passes on.

    Parameters
    ----------
    module : str
    name : str
    otherwise : str
        What there is to say of a name that is no old one.
    """
    told = now_called(name)
    asks = sys._getframe(2).f_code
    if told and asks.co_name == "_handle_fromlist" and "importlib" in asks.co_filename:
        return ImportError(f"cannot import name {name!r} from {module!r}; {told}", name=module)
    words = told or otherwise
    return AttributeError(f"module {module!r} has no attribute {name!r}" + (f"; {words}" if words else ""))


def module_getattr(module: str) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a module, which says what an old name is called now; see :func:`absent`.

    Examples
    --------
    >>> module_getattr("ptywidgets.engine")("Composition")
    Traceback (most recent call last):
    ...
    AttributeError: module 'ptywidgets.engine' has no attribute 'Composition'; Composition is called ModelConfig now.
    """

    def getattr_of_module(name: str) -> Any:
        raise absent(module, name)

    return getattr_of_module
