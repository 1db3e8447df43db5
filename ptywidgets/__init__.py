"""Jupyter widgets for electron ptychography of 4D-STEM data.

The widgets are imported only when they are touched, so that ``import ptywidgets`` is quick and works without
Jupyter; :mod:`ptywidgets.engine` never needs it.
"""

from __future__ import annotations

import importlib
from typing import Any

from ptywidgets._renamed import absent
from ptywidgets._version import __version__

_HOMES = {
    "constraints": "ptywidgets.engine.constraints",
    "direct": "ptywidgets.engine.direct",
    "engine": "ptywidgets.engine",
    "metrics": "ptywidgets.engine.metrics",
    "samples": "ptywidgets.samples",
    "read": "ptywidgets.engine.io",
    "write": "ptywidgets.engine.io",
    "Dataset": "ptywidgets.engine.data.dataset",
    "Calibration": "ptywidgets.engine.data.dataset",
    "Follower": "ptywidgets.engine.io.growing.follower",
    "ModelConfig": "ptywidgets.engine.problem.model_config",
    "Aberrations": "ptywidgets.engine.optics.aberrations",
    "Optics": "ptywidgets.engine.optics.probe",
    "Plan": "ptywidgets.engine.solve.plan",
    "Reconstruction": "ptywidgets.reconstruction",
    "ImageView": "ptywidgets.widgets.image.image_view",
    "DatasetBrowser": "ptywidgets.widgets.browse.dataset_browser",
    "RotationExplorer": "ptywidgets.widgets.rotation.rotation_explorer",
    "ProbeDesigner": "ptywidgets.widgets.probe.probe_designer",
    "OrientationPicker": "ptywidgets.widgets.rotation.orientation_picker",
    "ParallaxExplorer": "ptywidgets.widgets.parallax.parallax_explorer",
    "DirectExplorer": "ptywidgets.widgets.direct.direct_explorer",
    "FileChooser": "ptywidgets.widgets.files.file_chooser",
    "ReconstructionRunner": "ptywidgets.widgets.run.reconstruction_runner",
    "StartAlternatives": "ptywidgets.widgets.start.start_alternatives",
    "Workbench": "ptywidgets.widgets.workbench.workbench",
}
__all__ = [
    "Aberrations",
    "Calibration",
    "Dataset",
    "DatasetBrowser",
    "DirectExplorer",
    "FileChooser",
    "Follower",
    "ImageView",
    "ModelConfig",
    "Optics",
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
    "constraints",
    "direct",
    "engine",
    "metrics",
    "read",
    "samples",
    "write",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise absent("ptywidgets", name, f"it has: {', '.join(__all__)}")
    module = importlib.import_module(_HOMES[name])
    return module if _HOMES[name].rsplit(".", 1)[-1] == name else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
