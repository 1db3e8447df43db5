"""By what microscope and how a variant is recorded: drawn by its seed, right and wrong things alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import look_up
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.testing.specimens import CLASSES

KINDS = tuple(CLASSES)
ENERGIES = (60e3, 80e3, 100e3, 120e3, 200e3, 300e3)
DETECTORS = (64, 72, 80, 96, 112, 128)
LARGEST = 0.5  # of a window: what the geometrical probe may cover
MOST = 200e6  # samples in all slices at all positions: what takes a few seconds


@dataclass(frozen=True)
class Recipe:
    """What a variant is made from; all of it is true, what is stated beside it may be wrong."""

    seed: int
    kind: str
    energy: float  # eV
    semiangle: float  # mrad, to the middle of the aperture's edge
    scan: tuple[int, int]
    step: float  # A
    detector: int  # pixels on a side
    q_pixel: float  # 1/A
    rotation: float  # degrees, detector to scan
    transpose: bool
    aberrations: Aberrations  # detector frame, counted from the plane that stands for the specimen
    dose: float | None = None  # e/A^2; None: no noise
    vacuum: bool = True  # whether there is a vacuum pattern
    descan: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)  # px from the first to the last row, and column
    jitter: float = 0.0  # A, of the positions, along one direction
    source: float = 0.0  # A, width (one sigma) of the source in the plane of the specimen
    spread: float = 0.0  # A, one sigma of the defocus
    stated_semiangle: float = 1.0  # what is stated, over what is true
    stated_step: float = 1.0
    tell_thickness: bool = False  # whether a start should be told how thick the specimen is

    @property
    def is_misled(self) -> bool:
        """Whether what is stated is wrong."""
        return self.stated_semiangle != 1 or self.stated_step != 1

    @property
    def sampling(self) -> float:
        """Pixel of a reconstruction in A."""
        return 1 / (self.q_pixel * self.detector)


def recipe(seed: int, kind: str | None = None) -> Recipe:
    """What the variant of a seed is made from, without making it.

    Examples
    --------
    >>> from ptywidgets.testing.recipes import recipe
    >>> recipe(0).kind, recipe(0) == recipe(0), recipe(0, "film").kind
    ('lattice', True, 'film')
    """
    kind = KINDS[seed % len(KINDS)] if kind is None else look_up("kind of specimen", kind, CLASSES)
    generator = np.random.default_rng([1701, seed])
    while True:
        drawn = _drawn(seed, kind, generator)
        if drawn is not None:
            return drawn


def _drawn(seed: int, kind: str, generator: np.random.Generator) -> Recipe | None:
    """One draw; None where its probe does not fit into any detector, or it takes too long."""
    uniform = generator.uniform
    energy, semiangle = float(generator.choice(ENERGIES)), float(uniform(10, 30))
    wave, alpha = wavelength(energy), semiangle * 1e-3
    airy, depth = wave / alpha, wave / alpha**2
    if generator.random() < 0.12:  # near focus, and a scan that is fine enough for it
        step = uniform(0.3, 0.5) * airy
        defocus = uniform(-0.6, 0.6) * depth
    else:
        step = uniform(2.0, 3.5) if kind == "lattice" else uniform(1.0, 4.0)
        defocus = generator.choice([-1, 1]) * step * np.exp(uniform(np.log(2.5), np.log(8))) / (2 * alpha)
    field = max(2 * alpha * abs(defocus) / LARGEST, 8 * airy)
    margin = uniform(1.4, 2.4)  # the edge of the detector, over that of the aperture
    fitting = [n for n in DETECTORS if n * airy / (2 * margin) >= field]
    if not fitting:
        return None
    detector = int(generator.choice(fitting[:3]))
    q_pixel = 2 * margin / (airy * detector)
    # So much of a turn at the edge of the aperture each aberration makes.
    turns = {"C12": abs(generator.normal(0, 0.25)), "C21": abs(generator.normal(0, 0.2)), "C30": 0.0}
    if generator.random() < 0.3:
        turns["C30"] = uniform(-0.15, 0.15)
    orders = {"C12": 1, "C21": 2, "C30": 3}
    lens = {k: v * wave * (orders[k] + 1) / alpha ** (orders[k] + 1) for k, v in turns.items() if v}
    aberrations = Aberrations(defocus=defocus, phi12=uniform(-1.5, 1.5), phi21=uniform(-3, 3), **lens)
    partial = generator.choice(["", "source", "spread"], p=[0.8, 0.1, 0.1])
    scan = (int(generator.integers(16, 25)), int(generator.integers(16, 25)))
    if generator.random() < 0.2 and kind != "thick":
        scan = (int(generator.integers(24, 33)), int(generator.integers(24, 33)))
    slices = {"lattice": 1, "thick": 13}.get(kind, 3)
    if np.prod(scan) * (2 * detector) ** 2 * slices * (4 if partial else 1) > MOST:
        return None
    wrong = generator.choice(["", "semiangle", "step"], p=[0.86, 0.07, 0.07])
    off = 1 + 0.05 * float(generator.choice([-1, 1]))
    descan = uniform(-1, 1, 4) * generator.choice([0.0, 1.0, 4.0], p=[0.4, 0.4, 0.2])
    dose = 10 ** uniform(2.5, 6.0)
    return Recipe(
        seed=seed,
        kind=kind,
        energy=energy,
        semiangle=round(semiangle, 2),
        scan=scan,
        step=round(step, 3),
        detector=detector,
        q_pixel=q_pixel,
        rotation=float(uniform(-180, 180)),
        transpose=bool(generator.random() < 0.5),
        aberrations=aberrations,
        dose=None if generator.random() < 0.12 else float(dose),
        vacuum=bool(generator.random() < 0.6),
        descan=tuple(float(d) for d in descan),  # type: ignore[arg-type]  # rows and columns
        jitter=float(uniform(0.03, 0.1) * step) if generator.random() < 0.15 else 0.0,
        source=float(uniform(0.15, 0.4) * airy) if partial == "source" else 0.0,
        spread=float(uniform(0.15, 0.5) * depth) if partial == "spread" else 0.0,
        stated_semiangle=off if wrong == "semiangle" else 1.0,
        stated_step=off if wrong == "step" else 1.0,
        tell_thickness=kind == "thick" and bool(generator.random() < 0.4),
    )
