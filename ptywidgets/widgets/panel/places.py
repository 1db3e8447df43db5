"""Where things are in the widgets: the field that each quantity is filled in, the widget that shows each estimate.

The engine names quantities and estimates, and no widget; which field or widget that is, it is told from here.

Examples
--------
>>> from ptywidgets.engine.core.asked import how_to_give
>>> how_to_give(["semiangle", "vacuum"], "widget", "or")
'the field "semi-angle" in the DatasetBrowser or "vacuum pattern" in the ProbeDesigner'
>>> how_to_give(["scan_step", "q_pixel", "defocus"], "widget")
'the fields "scan step", "q pixel" in the DatasetBrowser and "defocus" in the ProbeDesigner'
"""

from __future__ import annotations

from ptywidgets.engine.core.asked import enter_fields

FIELDS = {  # of each of :data:`ptywidgets.engine.core.asked.QUANTITIES`
    "energy": '"energy" (keV) in the DatasetBrowser',
    "scan_step": '"scan step" in the DatasetBrowser',
    "q_pixel": '"q pixel" in the DatasetBrowser',
    "semiangle": '"semi-angle" in the DatasetBrowser',
    "angle_pixel": '"q pixel" (1/A) in the DatasetBrowser',
    "vacuum": '"vacuum pattern" in the ProbeDesigner',
    "thickness": '"thickness" among the settings of the ReconstructionRunner',
    "coherence": '"source size" and "focal spread" among the settings of the ReconstructionRunner',
    "defocus": '"defocus" in the ProbeDesigner',
    "rotation": '"rotation" in the RotationExplorer',
    "transpose": '"transpose" in the RotationExplorer',
}

ESTIMATES = {  # by the name of a :class:`ptywidgets.engine.calibrate.Estimate`: what shows it and lets one change it
    "positions left out": "DatasetBrowser",
    "pixels masked": "DatasetBrowser",
    "vacuum pattern": "ProbeDesigner",
    "scan step": "DatasetBrowser",
    "semi-angle": "DatasetBrowser",
    "detector pixel": "DatasetBrowser",
    "descan": "DatasetBrowser",
    "rotation": "RotationExplorer",
    "transpose": "OrientationPicker",
    "180-degree ambiguity": "OrientationPicker",
    "defocus": "ProbeDesigner",
    "astigmatism": "ParallaxExplorer",
    "coma": "ParallaxExplorer",
    "coarse reconstruction": "ProbeDesigner",
}
enter_fields(FIELDS)

__all__ = ["ESTIMATES", "FIELDS"]
