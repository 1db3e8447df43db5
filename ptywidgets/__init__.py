"""Jupyter widgets for electron ptychography of 4D-STEM data.

The widgets are imported only when they are touched, so that ``import ptywidgets`` is quick and works without
Jupyter; :mod:`ptywidgets.engine` never needs it.
"""

from __future__ import annotations

import importlib
from typing import Any

from ptywidgets._version import __version__

_HOMES = {
    "engine": "ptywidgets.engine",
    "metrics": "ptywidgets.engine.metrics",
    "samples": "ptywidgets.samples",
    "read": "ptywidgets.engine.io",
    "write": "ptywidgets.engine.io",
    "Dataset": "ptywidgets.engine.dataset",
    "Calibration": "ptywidgets.engine.dataset",
    "Composition": "ptywidgets.engine.composition",
    "Plan": "ptywidgets.engine.plan",
    "Reconstruction": "ptywidgets.reconstruction",
    "ImageView": "ptywidgets.widgets.image_view",
    "DatasetBrowser": "ptywidgets.widgets.dataset_browser",
    "RotationExplorer": "ptywidgets.widgets.rotation_explorer",
    "ProbeDesigner": "ptywidgets.widgets.probe_designer",
    "OrientationPicker": "ptywidgets.widgets.orientation_picker",
    "ParallaxExplorer": "ptywidgets.widgets.parallax_explorer",
    "DirectExplorer": "ptywidgets.widgets.direct_explorer",
    "ReconstructionRunner": "ptywidgets.widgets.reconstruction_runner",
    "StartAlternatives": "ptywidgets.widgets.start_alternatives",
    "Workbench": "ptywidgets.widgets.workbench",
}
__all__ = [
    "Calibration",
    "Composition",
    "Dataset",
    "DatasetBrowser",
    "DirectExplorer",
    "ImageView",
    "OrientationPicker",
    "ParallaxExplorer",
    "Plan",
    "ProbeDesigner",
    "Reconstruction",
    "ReconstructionRunner",
    "RotationExplorer",
    "StartAlternatives",
    "Workbench",
    "__version__",
    "engine",
    "metrics",
    "read",
    "samples",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ptywidgets' has no attribute {name!r}; it has: {', '.join(__all__)}")
    module = importlib.import_module(_HOMES[name])
    return module if _HOMES[name].rsplit(".", 1)[-1] == name else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
