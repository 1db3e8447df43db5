"""All models in one sentence: *specimen x exit wave x ensemble x detector*.

    I_j(k) = sum_m | F[ D_j . exit_wave( P_m(r - R_j), t(object) cut at R_j ) ](k) |^2

A **specimen** says how the unknown becomes a transmission function t (complex: t = O; potential: t = exp(iV)). The
**exit-wave model** says how a wave goes through it (single slice: one multiplication; multislice: slices with free
space between). The **ensemble** is the incoherent sum: M probe modes P_m, M = 1 being a coherent probe, and what a
source of some size makes of each; where atoms move, of K **object modes** as well. The **detector** carries exit waves
to the detector plane (far field: F is the orthonormal FFT; D_j is a phase ramp that takes up what is left of the
pattern's origin below a pixel, so that measured counts never are interpolated; near field: free space). What is
**diffuse** or **background** adds to the intensity, and the **response** of a detector may mix its pixels.

Each part has its exact adjoint, so their composition has one, and no class exists for a combination: a named model is
a function that puts parts together.
"""

from __future__ import annotations

from ptywidgets.engine.core.errors import look_up
from ptywidgets.engine.models.composed import Gradients, Model, WindowGradients
from ptywidgets.engine.models.parts.detector import FarField, NearField
from ptywidgets.engine.models.parts.ensemble import PartialCoherence
from ptywidgets.engine.models.parts.exit_wave import Multislice, SingleSlice
from ptywidgets.engine.models.parts.object_modes import ObjectModes
from ptywidgets.engine.models.parts.response import PointSpread, Segments
from ptywidgets.engine.models.parts.scattering import Background, Diffuse
from ptywidgets.engine.models.parts.specimen import SPECIMENS, ComplexObject, PotentialObject

__all__ = [
    "SPECIMENS",
    "Background",
    "ComplexObject",
    "Diffuse",
    "FarField",
    "Gradients",
    "Model",
    "Multislice",
    "NearField",
    "ObjectModes",
    "PartialCoherence",
    "PointSpread",
    "PotentialObject",
    "Segments",
    "SingleSlice",
    "WindowGradients",
    "single_slice",
]


def single_slice(object_type: str = "complex") -> Model:
    """Single-slice ptychography: a thin specimen, a far-field detector, any number of probe modes.

    Parameters
    ----------
    object_type : {"complex", "potential"}
        Whether amplitude and phase are free, or the specimen only shifts the phase: t = exp(iV), V real, in rad.

    Examples
    --------
    >>> single_slice("potential")
    Model(specimen=PotentialObject(), exit_wave=SingleSlice(), detector=FarField())
    """
    object_type = look_up("object_type", object_type, SPECIMENS)
    return Model(specimen=SPECIMENS[object_type](), exit_wave=SingleSlice(), detector=FarField())
