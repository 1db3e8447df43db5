"""What a model is made of, in a few numbers: the description that a widget shows, a file keeps and a script writes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.atoms.elements import scattering_table
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.core.params import Params, param
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.models.parts.ensemble import PartialCoherence
from ptywidgets.engine.models.parts.exit_wave import Multislice
from ptywidgets.engine.models.parts.learned_shape import LEARNED
from ptywidgets.engine.models.parts.object_modes import ObjectModes
from ptywidgets.engine.models.parts.response import PointSpread
from ptywidgets.engine.models.parts.scattering import Background, Diffuse, atoms_of
from ptywidgets.engine.optics.modes import FIRST_SHARE, first_modes
from ptywidgets.engine.optics.probe import Optics, make_probe
from ptywidgets.engine.preprocess.measurement import Measurement

FOCUS = ("entrance", "middle")


@dataclass(frozen=True)
class ModelConfig(Params):
    """What a forward model is made of: slices, modes, partial coherence and diffuse scattering, in any combination.

    Examples
    --------
    >>> thick = ModelConfig(slices=10, thickness=200, modes=3)
    >>> thick.replace(slices=20).thickness
    200.0
    """

    slices: int = param(1, low=1, high=500, doc="Slices of the specimen; 1: thin.")
    thickness: float = param(0.0, unit="A", low=0, high=20000, step=1, doc="Of the specimen, shared by the slices.")
    tilt_rows: float = param(
        0.0, unit="mrad", low=-100, high=100, step=0.1, doc="Tilt of the specimen against the beam, down the rows."
    )
    tilt_columns: float = param(0.0, unit="mrad", low=-100, high=100, step=0.1, doc="The same along the columns.")
    focus: str = param("entrance", choices=FOCUS, doc="The plane of the specimen that the defocus is meant for.")
    modes: int = param(1, low=1, high=30, doc="Probe modes whose patterns add: what partial coherence needs.")
    source_size: float = param(
        0.0, unit="A", low=0, high=20, step=0.05, doc="Standard deviation of source and vibration; 0: a point."
    )
    focal_spread: float = param(
        0.0, unit="A", low=0, high=1000, step=1, doc="Standard deviation of the defocus; 0: electrons of one energy."
    )
    diffuse: str = param(
        "", doc='Elements whose thermal diffuse scattering is fitted, "Mo, S", a formula, "MoS2", or "learned".'
    )
    b_factor: float = param(0.5, unit="A2", low=0.001, high=10, step=0.01, doc="Their Debye-Waller factor at first.")
    object_modes: int = param(
        1, low=1, high=64, doc="States of the object whose patterns add, as atoms move: 1, or an even number."
    )
    displacement: float = param(
        0.08, unit="A", low=0.001, high=1, step=0.005, doc="How far atoms are displaced in them at first, rms."
    )
    background: bool = param(False, doc="Fit the electrons that all patterns have in common.")
    blur: float = param(
        0.0, unit="px", low=0, high=10, step=0.05, doc="Standard deviation of the detector's point spread; 0: none."
    )

    @property
    def elements(self) -> tuple[str, ...]:
        """Of the diffuse channels.

        Examples
        --------
        >>> ModelConfig(diffuse="C").elements
        ('C',)
        """
        names = tuple(name for name in self.diffuse.replace(",", " ").split() if name)
        known = (name for name in names if name != LEARNED)
        unknown = [s for name in known for s, _ in atoms_of(name) if s not in scattering_table()]
        if unknown:
            raise ParameterError(
                f"diffuse is {self.diffuse!r} but there is no element {unknown[0]!r}; expected 'Mo, S', 'MoS2' or "
                f"{LEARNED!r} for a shape that the data tell."
            )
        return names

    def check(self) -> None:
        """Raise ParameterError for what lacks, or is not known, before a model can be made.

        Examples
        --------
        >>> ModelConfig(slices=2, thickness=40, diffuse="Si").check()
        """
        if self.slices > 1 and self.thickness <= 0:
            raise ParameterError(
                f"slices is {self.slices} but thickness is {self.thickness:g} A; give the specimen's thickness."
            )
        if self.object_modes > 1 and self.object_modes % 2:
            raise ParameterError(
                f"object_modes is {self.object_modes}; expected 1, or an even number: states come in pairs."
            )
        _ = self.elements

    def build(self, object_type: str, measurement: Measurement) -> Model:
        """Build the model of a measurement's patterns.

        Raises
        ------
        CalibrationError
            Where a part needs the electrons' energy and it is not known.
        ParameterError
            Where several slices have no thickness.
        """
        model = single_slice(object_type)
        if self == ModelConfig():
            return model
        window = measurement.patterns.shape[-2:]
        extent = (window[0] * measurement.sampling[0], window[1] * measurement.sampling[1])
        self.check()
        if self.slices > 1:
            tilt = (self.tilt_rows, self.tilt_columns)
            each = (self.thickness / self.slices,) * self.slices
            model = replace(model, exit_wave=Multislice(each, self._wavelength(measurement), extent, tilt))
        if self.source_size or self.focal_spread:
            spread = PartialCoherence(self.source_size, self.focal_spread, self._wavelength(measurement), extent)
            model = replace(model, ensemble=spread)
        if self.elements:
            semiangle = measurement.calibration.semiangle or 0.0
            aperture = semiangle * 1e-3 / self._wavelength(measurement)
            energy = measurement.calibration.energy
            reach = math.hypot(*(0.5 / s for s in measurement.sampling))
            diffuse = Diffuse(self.elements, self.b_factor, extent, aperture=aperture, energy=energy, reach=reach)
            model = replace(model, diffuse=diffuse)
        if self.object_modes > 1:
            model = replace(model, object_modes=ObjectModes(self.object_modes, self.displacement))
        return replace(
            model,
            background=Background() if self.background else None,
            response=PointSpread(self.blur) if self.blur else None,
        )

    def initial_probe(self, optics: Optics, measurement: Measurement) -> np.ndarray:
        """Return the initial probe (M, Ny, Nx), corner-centred: its counts are a pattern's, shared by the modes."""
        if self.focus == "middle" and self.slices > 1:
            # A slice stands for what lies around its plane, so the middle is that of the first and the last plane.
            down = self.thickness * (self.slices - 1) / (2 * self.slices)
            known = optics.aberrations
            optics = optics.replace(aberrations=known.replace(C10=known.get("C10", 0.0) - down))
        probe = make_probe(
            optics,
            measurement.patterns.shape[-2:],
            measurement.sampling,
            measurement.calibration.require("energy"),
            measurement.mean_intensity,
        )
        return first_modes(probe, self.modes, main_share=FIRST_SHARE) if self.modes > 1 else probe[None]

    def _wavelength(self, measurement: Measurement) -> float:
        measurement.calibration.require("energy")
        return float(measurement.calibration.wavelength)
