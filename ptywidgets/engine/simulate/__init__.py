"""Simulation: elements and atoms, atoms to phase, phase and probe to patterns, patterns to counts.

For thin objects on the reconstruction's own grid ``projected_phase`` and ``diffraction_patterns``; for everything else
``Atoms``, ``phase_slices``, ``multislice`` and ``frozen_phonons``, or ``simulate_dataset``, which does it all.
"""

from __future__ import annotations

from ptywidgets.engine.atoms.atomic_phase import projected_phase
from ptywidgets.engine.atoms.elements import atomic_number, scattering_factor, scattering_table
from ptywidgets.engine.simulate.crystals import crystal, gold_particle, mos2, nanotube, silicon_110, strontium_titanate
from ptywidgets.engine.simulate.dataset import Simulation, grid_shape, raster, simulate_dataset
from ptywidgets.engine.simulate.multislice import Scattered, frozen_phonons, multislice
from ptywidgets.engine.simulate.potential import phase_slices
from ptywidgets.engine.simulate.single_slice import diffraction_patterns, poisson_counts
from ptywidgets.engine.simulate.specimen import Atoms
from ptywidgets.engine.simulate.window import Window

__all__ = [
    "Atoms",
    "Scattered",
    "Simulation",
    "Window",
    "atomic_number",
    "crystal",
    "diffraction_patterns",
    "frozen_phonons",
    "gold_particle",
    "grid_shape",
    "mos2",
    "multislice",
    "nanotube",
    "phase_slices",
    "poisson_counts",
    "projected_phase",
    "raster",
    "scattering_factor",
    "scattering_table",
    "silicon_110",
    "simulate_dataset",
    "strontium_titanate",
]
