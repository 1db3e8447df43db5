"""How good a result is: against a known truth, and from the data alone.

Ptychography cannot tell everything: an object may be multiplied by exp(i (a + g.r)) and moved together with the probe
and the positions, and no pattern changes. :func:`align` and :func:`compare_to_truth` take that off before anything is
compared, and say what it was. Without a truth there are two halves of the counts (:func:`thin_counts`, :func:`frc`,
:func:`fsc`), counts held out (:func:`held_out_likelihood`) and the statistics of what is left over
(:func:`chi_squared_rings`).
"""

from __future__ import annotations

from ptywidgets.engine.metrics.diffuse import diffuse_counts
from ptywidgets.engine.metrics.fourier import Ring, frc, fsc, half_bit, information_threshold, one_bit
from ptywidgets.engine.metrics.likelihood import ChiSquared, chi_squared_rings, held_out_likelihood
from ptywidgets.engine.metrics.thinning import thin_counts
from ptywidgets.engine.metrics.truth.alignment import align
from ptywidgets.engine.metrics.truth.compare import compare_to_truth
from ptywidgets.engine.metrics.truth.fidelity import Fidelity, probe_fidelity
from ptywidgets.engine.metrics.truth.gauge import Alignment, Gauge
from ptywidgets.engine.metrics.truth.positions import PositionErrors, position_errors
from ptywidgets.engine.problem.held_out import hold_out

__all__ = [
    "Alignment",
    "ChiSquared",
    "Fidelity",
    "Gauge",
    "PositionErrors",
    "Ring",
    "align",
    "chi_squared_rings",
    "compare_to_truth",
    "diffuse_counts",
    "frc",
    "fsc",
    "half_bit",
    "held_out_likelihood",
    "hold_out",
    "information_threshold",
    "one_bit",
    "position_errors",
    "probe_fidelity",
    "thin_counts",
]
