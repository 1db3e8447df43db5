"""Specimens to simulate: crystals cut to size, and small particles for tilt series.

The cells are not periodic: a crystal ends where its cell ends. Let the cell reach beyond the scan by what the probes
cover. Displacements are root mean squares along one direction at room temperature.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ptywidgets.engine.atoms.elements import atomic_number
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.simulate.specimen import Atoms

_FACE_CENTRED = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def crystal(
    vectors: np.ndarray,
    basis: np.ndarray,
    numbers: np.ndarray,
    displacements: np.ndarray | float,
    cell: tuple[float, float, float],
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Atoms:
    """The atoms of a lattice that lie inside a cell.

    Parameters
    ----------
    vectors : ndarray (3, 3)
        Lattice vectors as rows, [z, y, x] in A.
    basis : ndarray (B, 3)
        In fractions of the lattice vectors.
    numbers, displacements : ndarray (B,)
        Atomic number and root mean square displacement (A) of each atom of the basis.
    cell : (float, float, float)
        Depth, height, width in A; half-open, so that what is a period long holds each atom once.
    origin : (float, float, float)
        Where a lattice point lies, in A.

    Examples
    --------
    >>> len(crystal(4.0 * np.eye(3), np.zeros((1, 3)), np.array([29]), 0.08, (4, 8, 12)))
    6
    """
    vectors, basis = np.asarray(vectors, float), np.asarray(basis, float)
    corners = np.array(np.meshgrid(*[(0.0, side) for side in cell])).reshape(3, -1).T - origin
    reach = corners @ np.linalg.inv(vectors)
    low, high = np.floor(reach.min(0)) - 1, np.ceil(reach.max(0)) + 2
    ranges = [np.arange(*ends) for ends in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*ranges, indexing="ij"), -1).reshape(-1, 1, 3)
    positions = ((points + basis) @ vectors + origin).reshape(-1, 3)
    atoms = Atoms(
        positions,
        np.tile(np.asarray(numbers, int), len(points)),
        np.tile(np.broadcast_to(np.asarray(displacements, float), len(basis)), len(points)),
        cell,
    )
    margin = 1e-6  # A; keeps rounding from doubling or dropping what lies on a face
    inside = (atoms.positions >= -margin) & (atoms.positions < np.array(cell) - margin)
    return atoms.kept(np.all(inside, axis=1))


def mos2(
    size: tuple[float, float] = (50.0, 50.0),
    *,
    displacements: tuple[float, float] = (0.07, 0.08),
    angle: float = 0.0,
    tungsten: float = 0.0,
    vacancies: float = 0.0,
    vacuum: float = 2.0,
    generator: np.random.Generator | None = None,
) -> Atoms:
    """A sheet of molybdenum disulfide.

    Parameters
    ----------
    size : (float, float)
        Height and width in A.
    displacements : (float, float)
        Of Mo and of S in A.
    angle : float
        Of the lattice in degrees, y towards x.
    tungsten, vacancies : float
        Fraction of Mo replaced by W, and of S missing, drawn by `generator`.
    vacuum : float
        Above and below, in A.

    Examples
    --------
    >>> sheet = mos2((30, 30))
    >>> sheet.cell, sorted(set(sheet.numbers.tolist()))
    ((7.12, 30.0, 30.0), [16, 42])
    """
    a, half = 3.16, 1.56
    depth = 2 * (half + vacuum)
    vectors = np.array([[2 * depth, 0, 0], [0, 0, a], [0, a * np.sqrt(3) / 2, a / 2]])
    height = half / (2 * depth)
    basis = np.array([[0, 0, 0], [-height, 1 / 3, 1 / 3], [height, 1 / 3, 1 / 3]])
    u = np.array([displacements[0], displacements[1], displacements[1]])
    spare = float(np.hypot(*size))  # cut out of a larger square, so that it may be turned
    middle = (depth / 2, spare, spare)
    whole = crystal(vectors, basis, np.array([42, 16, 16]), u, (depth, 2 * spare, 2 * spare), middle)
    turned = whole.rotated(angle, "z")
    shift = np.array([0, spare - size[0] / 2, spare - size[1] / 2])
    atoms = _cut(turned, turned.positions - shift, (depth, *size))
    if not (tungsten or vacancies):
        return atoms
    draws = (generator or np.random.default_rng(0)).random(len(atoms))
    numbers = np.where((atoms.numbers == 42) & (draws < tungsten), 74, atoms.numbers)
    there = (atoms.numbers == 42) | (draws >= vacancies)
    return Atoms(atoms.positions, numbers, atoms.displacements, atoms.cell).kept(there)


def silicon_110(
    size: tuple[float, float] = (40.0, 40.0), thickness: float = 100.0, *, displacement: float = 0.076
) -> Atoms:
    """Silicon seen along [110]: dumbbells of atoms 1.36 A apart in y.

    y runs along [001] (period 5.431 A), x along [1-10] (3.840 A); the period in depth is 3.840 A.

    Examples
    --------
    >>> len(silicon_110((5.431, 3.84), 3.84))
    4
    """
    a = 5.431
    along = a / np.sqrt(2)
    vectors = np.diag([along, a, along])
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0.25, 0.5], [0.5, 0.75, 0]])
    return crystal(vectors, basis, np.full(4, 14), displacement, (thickness, *size))


def strontium_titanate(
    size: tuple[float, float] = (39.05, 39.05),
    thickness: float = 199.155,
    *,
    displacements: tuple[float, float, float] = (0.078, 0.068, 0.09),
    dopants: Mapping[tuple[float, float, float], str | int] | None = None,
) -> Atoms:
    """SrTiO3 along [001], with single atoms replaced where asked.

    Parameters
    ----------
    size : (float, float)
        Height and width in A; the lattice constant is 3.905 A.
    thickness : float
        In A.
    displacements : (float, float, float)
        Of Sr, Ti and O in A.
    dopants : mapping of (z, y, x) to element, optional
        The Sr atom nearest to each point (A) becomes that element.

    Examples
    --------
    >>> cube = strontium_titanate((7.81, 7.81), 7.81, dopants={(1.0, 1.0, 1.0): "Bi"})
    >>> len(cube), int((cube.numbers == 83).sum())
    (40, 1)
    """
    a = 3.905
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    u = np.array([displacements[0], displacements[1], *[displacements[2]] * 3])
    start = (a / 4, a / 4, a / 4)
    atoms = crystal(a * np.eye(3), basis, np.array([38, 22, 8, 8, 8]), u, (thickness, *size), start)
    numbers = atoms.numbers.copy()
    strontium = np.flatnonzero(numbers == 38)
    for point, element in (dopants or {}).items():
        nearest = np.linalg.norm(atoms.positions[strontium] - np.array(point), axis=1).argmin()
        numbers[strontium[nearest]] = atomic_number(element)
    return Atoms(atoms.positions, numbers, atoms.displacements, atoms.cell)


def gold_particle(diameter: float = 20.0, cell: float = 40.0, *, displacement: float = 0.085) -> Atoms:
    """A ball of gold, tilted off its zone axes, in the middle of a cube of vacuum.

    Examples
    --------
    >>> ball = gold_particle(20, 30)
    >>> bool(np.linalg.norm(ball.positions - 15, axis=1).max() <= 10)
    True
    """
    if diameter >= cell:
        raise ParameterError(f"the ball of {diameter:g} A does not fit into the cube of {cell:g} A; make it larger.")
    a = 4.078
    box = (cell, cell, cell)
    middle = (cell / 2, cell / 2, cell / 2)
    atoms = crystal(a * np.eye(3), _FACE_CENTRED, np.full(4, 79), displacement, box, middle)
    distance = np.asarray(np.linalg.norm(atoms.positions - cell / 2, axis=1))
    return atoms.kept(distance <= diameter / 2).rotated(17.0, "z").rotated(11.0, "x")


def nanotube(
    n: int = 8, m: int = 4, cell: float = 40.0, *, length: float | None = None, displacement: float = 0.06
) -> Atoms:
    """A carbon nanotube (n, m) along the rows' axis y, in the middle of a cube of vacuum.

    Rolled from graphene with bonds of 1.42 A; Saito, Dresselhaus and Dresselhaus, Physical Properties of Carbon
    Nanotubes: the circumference is the vector n a1 + m a2.

    Examples
    --------
    >>> tube = nanotube(8, 4, 30)
    >>> radius = np.hypot(tube.positions[:, 0] - 15, tube.positions[:, 2] - 15)
    >>> bool(np.allclose(radius, 1.42 * 3**0.5 * (64 + 16 + 32) ** 0.5 / (2 * np.pi)))
    True
    """
    a = 1.42 * np.sqrt(3)
    first, second = a * np.array([np.sqrt(3) / 2, 0.5]), a * np.array([np.sqrt(3) / 2, -0.5])
    round_ = n * first + m * second
    circumference = float(np.linalg.norm(round_))
    radius = circumference / (2 * np.pi)
    if 2 * radius >= cell:
        raise ParameterError(f"the tube is {2 * radius:.1f} A wide and does not fit into {cell:g} A; make cell larger.")
    length = 0.7 * cell if length is None else length
    reach = int((circumference + length) / a) + 4
    i, j = np.meshgrid(np.arange(-reach, reach), np.arange(-reach, reach), indexing="ij")
    sheet = (i[..., None] * first + j[..., None] * second).reshape(-1, 2)
    sheet = np.concatenate([sheet, sheet + (first + second) / 3])
    along = sheet @ (round_ / circumference)
    height = sheet @ (np.array([-round_[1], round_[0]]) / circumference)
    keep = (along > -1e-6) & (along < circumference - 1e-6) & (abs(height) <= length / 2)
    angle = along[keep] / radius
    positions = np.stack([radius * np.sin(angle), height[keep], radius * np.cos(angle)], 1) + cell / 2
    swing = np.full(len(positions), displacement)
    return Atoms(positions, np.full(len(positions), 6), swing, (cell, cell, cell))


def _cut(atoms: Atoms, positions: np.ndarray, cell: tuple[float, float, float]) -> Atoms:
    """Atoms at new positions, as far as they lie inside a new cell."""
    moved = Atoms(positions, atoms.numbers, atoms.displacements, cell)
    inside = (positions[:, 1:] >= -1e-6) & (positions[:, 1:] < np.array(cell[1:]) - 1e-6)
    return moved.kept(np.all(inside, axis=1))
