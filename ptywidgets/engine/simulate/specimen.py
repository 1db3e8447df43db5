"""Atoms: where they are, what they are, and how far they swing."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from ptywidgets.engine.core.errors import ParameterError, look_up

_PLANES = {"z": (1, 2), "y": (2, 0), "x": (0, 1)}  # the two coordinates that a rotation about an axis mixes


@dataclass(frozen=True, eq=False)
class Atoms:
    """Atoms in a box that the beam enters at z = 0.

    Parameters
    ----------
    positions : ndarray (A, 3)
        z (along the beam), y (rows), x (columns) in A.
    numbers : ndarray (A,)
        Atomic numbers.
    displacements : ndarray (A,) or float
        Root mean square of the thermal displacement along one direction, u in A; the Debye-Waller factor is
        B = 8 pi^2 u^2. Atoms swing on their own and alike in all directions (Einstein).
    cell : (float, float, float)
        Depth, height and width of the box in A.

    Examples
    --------
    >>> atoms = Atoms([[1, 5, 5], [3, 5, 6]], [42, 16], 0.07, (4, 10, 10))
    >>> len(atoms), atoms.b_factors.round(3)
    (2, array([0.387, 0.387]))
    """

    positions: np.ndarray
    numbers: np.ndarray
    displacements: np.ndarray
    cell: tuple[float, float, float]

    def __post_init__(self) -> None:
        positions = np.array(self.positions, float).reshape(-1, 3)
        numbers = np.array(self.numbers, int).reshape(-1)
        displacements = np.array(np.broadcast_to(np.asarray(self.displacements, float), numbers.shape))
        cell = tuple(float(side) for side in self.cell)
        if len(numbers) != len(positions):
            raise ParameterError(f"{len(positions)} positions but {len(numbers)} atomic numbers; give one of each.")
        if len(cell) != 3 or min(cell) <= 0:
            raise ParameterError(f"cell is {self.cell}; expected depth, height and width in A, all above 0.")
        if not np.isfinite(positions).all() or not (displacements >= 0).all():
            raise ParameterError("positions must be finite, and root mean square displacements 0 or more.")
        for name, value in (("positions", positions), ("numbers", numbers), ("displacements", displacements)):
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        object.__setattr__(self, "cell", cell)

    def __len__(self) -> int:
        return len(self.numbers)

    def __add__(self, other: Atoms) -> Atoms:
        """Both, in a box that holds both boxes."""
        return Atoms(
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.numbers, other.numbers]),
            np.concatenate([self.displacements, other.displacements]),
            tuple(max(sides) for sides in zip(self.cell, other.cell, strict=True)),  # type: ignore[arg-type]  # three sides
        )

    @property
    def b_factors(self) -> np.ndarray:
        """Debye-Waller factors B = 8 pi^2 u^2 in A^2, (A,)."""
        return 8 * np.pi**2 * self.displacements**2

    def at_rest(self) -> Atoms:
        """The same atoms without thermal motion."""
        return dataclasses.replace(self, displacements=np.zeros(len(self)))

    def displaced(self, generator: np.random.Generator) -> Atoms:
        """One snapshot of the thermal motion: every atom moved at random, and at rest there.

        Examples
        --------
        >>> atoms = Atoms(np.zeros((10000, 3)), np.full(10000, 6), 0.1, (1, 1, 1))
        >>> moved = atoms.displaced(np.random.default_rng(1))
        >>> moved.positions.std(0).round(2), bool(moved.displacements.any())
        (array([0.1, 0.1, 0.1]), False)
        """
        steps = generator.standard_normal((len(self), 3)) * self.displacements[:, None]
        return dataclasses.replace(self, positions=self.positions + steps, displacements=np.zeros(len(self)))

    def rotated(self, angle: float, axis: str = "y") -> Atoms:
        """Turned about an axis through the middle of the cell, which stays as it is.

        Parameters
        ----------
        angle : float
            Degrees. About "x" it turns z towards y, about "y" x towards z, about "z" y towards x.
        axis : {"z", "y", "x"}

        Examples
        --------
        >>> Atoms([[2, 2, 3]], [6], 0, (4, 4, 4)).rotated(90, "y").positions.round(6)
        array([[3., 2., 2.]])
        """
        axis = look_up("axis", axis, _PLANES)
        first, second = _PLANES[axis]
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        middle = np.array(self.cell) / 2
        moved = self.positions - middle
        moved[:, [first, second]] = moved[:, [first, second]] @ np.array([[c, s], [-s, c]])
        return dataclasses.replace(self, positions=moved + middle)

    def kept(self, keep: np.ndarray) -> Atoms:
        """Only the atoms where `keep` (A,) is True."""
        return dataclasses.replace(
            self, positions=self.positions[keep], numbers=self.numbers[keep], displacements=self.displacements[keep]
        )
