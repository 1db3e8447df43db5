"""Specimens of five classes, drawn at random: what a start has to be found on, whatever it grew up with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ptywidgets.engine.simulate import Atoms, crystal, silicon_110, strontium_titanate

SWING = 0.08  # A, root mean square displacement of all atoms
BOND = 1.42  # A, of carbon in a sheet

# What a sheet of a transition metal and two chalcogens is made of: lattice constant in A, and atomic numbers.
SHEETS = ((3.16, 42, 16), (3.19, 74, 16), (3.12, 23, 16), (2.98, 24, 16), (2.72, 22, 7), (3.05, 40, 8))


def lattice(generator: np.random.Generator, size: tuple[float, float]) -> Atoms:
    """A crystal of one sheet with vacancies, dopants and, often, holes; hexagonal or square, 2.7 to 3.2 A.

    Examples
    --------
    >>> sheet = lattice(np.random.default_rng(1), (40, 50))
    >>> sheet.cell[1:], len(sheet) > 200
    ((40.0, 50.0), True)
    """
    constant, metal, light = SHEETS[generator.integers(len(SHEETS))]
    depth = 7.0
    if generator.random() < 0.7:
        vectors = np.array([[2 * depth, 0, 0], [0, 0, constant], [0, constant * np.sqrt(3) / 2, constant / 2]])
        height = 1.56 / (2 * depth)
        basis = np.array([[0, 0, 0], [-height, 1 / 3, 1 / 3], [height, 1 / 3, 1 / 3]])
        numbers = np.array([metal, light, light])
    else:
        vectors = np.diag([2 * depth, constant, constant])
        basis, numbers = np.array([[0, 0, 0], [0, 0.5, 0.5]]), np.array([metal, light])
    atoms = _turned(lambda cell, middle: crystal(vectors, basis, numbers, SWING, cell, middle), depth, size, generator)
    vacancies, dopants = generator.uniform(0.01, 0.06, 2)
    draws = generator.random(len(atoms))
    doped = (atoms.numbers == metal) & (draws < dopants)
    other = int(generator.choice([74, 79] if metal < 60 else [24, 42]))
    keep = draws < 1 - vacancies
    for _ in range(int(generator.integers(0, 4))):
        middle, radius = generator.uniform(0.2, 0.8, 2) * size, generator.uniform(3, 9)
        keep &= np.hypot(*(atoms.positions[:, 1:] - middle).T) > radius
    return _cut(atoms.positions[keep], np.where(doped, other, atoms.numbers)[keep], atoms.cell)


def particles(generator: np.random.Generator, size: tuple[float, float]) -> Atoms:
    """Balls of a heavy metal, each its own crystal, on a thin film of carbon.

    Examples
    --------
    >>> some = particles(np.random.default_rng(1), (40, 50))
    >>> sorted(set(some.numbers.tolist()))[0], some.cell[0] < 40
    (6, True)
    """
    carbon, largest = float(generator.uniform(6, 16)), float(generator.uniform(5, 10))
    depth = carbon + 2 * largest
    metal = int(generator.choice([47, 78, 79]))
    balls = []
    for _ in range(max(2, round(size[0] * size[1] / generator.uniform(350, 900)))):
        radius = generator.uniform(0.5, 1) * largest
        box = (2 * radius + 1, 2 * radius + 1, 2 * radius + 1)
        corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
        ball = crystal(4.08 * np.eye(3), corners, np.full(4, metal), SWING, box, (radius, radius, radius))
        ball = ball.kept(np.linalg.norm(ball.positions - np.array(box) / 2, axis=1) <= radius)
        for axis in ("z", "y", "x"):
            ball = ball.rotated(float(generator.uniform(0, 90)), axis)
        place = np.array([radius + 0.5, *generator.uniform(0, 1, 2) * size])
        balls.append(ball.positions - np.array(box) / 2 + place)
    metal_atoms = np.concatenate(balls)
    film = _random_atoms(generator, 0.09, (carbon, *size)) + np.array([2 * largest, 0, 0])
    numbers = np.r_[np.full(len(metal_atoms), metal), np.full(len(film), 6)]
    return _cut(np.concatenate([metal_atoms, film]), numbers, (depth, *size))


def film(generator: np.random.Generator, size: tuple[float, float]) -> Atoms:
    """An amorphous film of carbon, silicon or germanium, 15 to 60 A thick, with no picture in it.

    Examples
    --------
    >>> len(set(film(np.random.default_rng(1), (40, 50)).numbers.tolist()))
    1
    """
    number, density = ((6, 0.09), (14, 0.05), (32, 0.044))[generator.integers(3)]
    depth = float(generator.uniform(15, 60))
    places = _random_atoms(generator, density, (depth, *size))
    return _cut(places, np.full(len(places), number), (depth, *size))


def island(generator: np.random.Generator, size: tuple[float, float]) -> Atoms:
    """A thing with an outline and parts of other thickness, alone in vacuum, made of sheets of carbon.

    Examples
    --------
    >>> thing = island(np.random.default_rng(1), (60, 60))
    >>> bool((thing.positions[:, 1:].min(0) > 5).all() and (thing.positions[:, 1:].max(0) < 55).all())
    True
    """
    radius = 0.33 * min(size)
    angles = generator.uniform(0, 2 * np.pi, 3)
    sizes = generator.uniform(0.04, 0.16, 3)
    parts = [(generator.uniform(-0.5, 0.5, 2), generator.uniform(0.15, 0.4, 2)) for _ in range(4)]
    layers = [int(n) for n in generator.integers(2, 6, 1 + len(parts))]
    spacing, turn = 3.35, float(generator.uniform(0, 360))
    count = sum(layers)
    depth = spacing * min(count, 12)
    out = []
    for level in range(count):
        part = int(np.searchsorted(np.cumsum(layers), level + 0.5))  # the first of which is the whole
        a = BOND * np.sqrt(3)
        vectors = np.array([[4 * depth, 0, 0], [0, 0, a], [0, a * np.sqrt(3) / 2, a / 2]])
        basis = np.array([[0, 0, 0], [0, 1 / 3, 1 / 3]])
        shift = generator.uniform(0, 3, 2) if part else (BOND * (level % 2), 0)
        place = (level % 12 + 0.5) * spacing
        side = 2 * float(np.hypot(*size))
        sheet = crystal(
            vectors, basis, np.array([6, 6]), SWING, (depth, side, side), (place, *(side / 2 + np.array(shift)))
        )
        places = sheet.rotated(turn, "z").positions - np.array([0, side / 2, side / 2])
        v, u = places[:, 1] / radius, places[:, 2] / radius
        around = np.arctan2(v, u)
        edge = 1 + sum(s * np.cos((n + 2) * around + p) for n, (s, p) in enumerate(zip(sizes, angles, strict=True)))
        inside = np.hypot(v, u) < edge
        if part:
            middle, half = parts[part - 1]
            inside &= ((v - middle[0]) / half[0]) ** 2 + ((u - middle[1]) / half[1]) ** 2 < 1
        out.append(places[inside] + np.array([0, size[0] / 2, size[1] / 2]))
    places = np.concatenate(out)
    return _cut(places, np.full(len(places), 6), (depth, *size))


def thick(generator: np.random.Generator, size: tuple[float, float]) -> Atoms:
    """What many times scatters: silicon or strontium titanate down a zone axis, or glass with gold in it; 100 to 200 A.

    Examples
    --------
    >>> 100 <= thick(np.random.default_rng(1), (30, 30)).cell[0] <= 200
    True
    """
    depth, draw = float(generator.uniform(100, 200)), generator.random()
    if draw < 0.3:
        return _dented(_spun(lambda whole: silicon_110(whole, depth), depth, size, generator), generator)
    if draw < 0.6:
        return _dented(_spun(lambda whole: strontium_titanate(whole, depth), depth, size, generator), generator)
    glass = _random_atoms(generator, 0.05, (depth, *size))
    gold = []
    for _ in range(max(3, round(size[0] * size[1] / 400))):
        middle, radius = generator.uniform(0.1, 0.9, 3) * (depth, *size), generator.uniform(3, 7)
        ball = _random_atoms(generator, 0.059, (2 * radius, 2 * radius, 2 * radius)) - radius
        gold.append(ball[np.linalg.norm(ball, axis=1) < radius] + middle)
    places = np.concatenate([glass, *gold])
    numbers = np.r_[np.full(len(glass), 14), np.full(len(places) - len(glass), 79)]
    return _cut(places, numbers, (depth, *size))


CLASSES: dict[str, Callable[[np.random.Generator, tuple[float, float]], Atoms]] = {
    "lattice": lattice,
    "particles": particles,
    "film": film,
    "island": island,
    "thick": thick,
}


def _random_atoms(generator: np.random.Generator, density: float, box: tuple[float, float, float]) -> np.ndarray:
    """Places (A, 3) of atoms of a density in 1/A^3, of which none knows of another."""
    return generator.uniform(0, 1, (int(density * np.prod(box)), 3)) * box


def _cut(places: np.ndarray, numbers: np.ndarray, cell: tuple[float, float, float]) -> Atoms:
    """Atoms as far as they lie in the cell."""
    inside = np.all((places[:, 1:] >= 0) & (places[:, 1:] < cell[1:]), axis=1)
    return Atoms(places, numbers, np.full(len(places), SWING), cell).kept(inside)


def _turned(
    make: Callable[[tuple[float, float, float], tuple[float, float, float]], Atoms],
    depth: float,
    size: tuple[float, float],
    generator: np.random.Generator,
) -> Atoms:
    """A crystal about the middle of its cell, turned by any angle and cut out of a larger one."""
    side = float(np.hypot(*size)) + 4
    whole = make((depth, side, side), (depth / 2, side / 2, side / 2)).rotated(float(generator.uniform(0, 360)), "z")
    shift = np.array([0, (side - size[0]) / 2, (side - size[1]) / 2])
    return _cut(whole.positions - shift, whole.numbers, (depth, *size))


def _spun(
    make: Callable[[tuple[float, float]], Atoms],
    depth: float,
    size: tuple[float, float],
    generator: np.random.Generator,
) -> Atoms:
    return _turned(lambda cell, _middle: make((cell[1], cell[2])), depth, size, generator)


def _dented(atoms: Atoms, generator: np.random.Generator) -> Atoms:
    """With pits in its upper face and atoms missing, as what is thinned by ions has."""
    keep = generator.random(len(atoms)) > 0.02
    depth, size = atoms.cell[0], np.array(atoms.cell[1:])
    for _ in range(int(generator.integers(3, 8))):
        middle, radius, down = generator.uniform(0, 1, 2) * size, generator.uniform(4, 12), generator.uniform(0.1, 0.5)
        near = np.hypot(*(atoms.positions[:, 1:] - middle).T) < radius
        keep &= ~(near & (atoms.positions[:, 0] < down * depth))
    return atoms.kept(keep)
