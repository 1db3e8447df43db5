"""Alternatives of a start, made up: a search with two basins, one of them an alias, and what it would offer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ptywidgets.engine.calibrate import CalibrationResult
from ptywidgets.engine.calibrate.alternatives import Alternative, Landscape
from ptywidgets.engine.preprocess import wrapped_angle


def example_landscape(rotation: float = 141.0, transpose: bool = True, defocus: float = 300.0) -> Landscape:
    """900 points: an even grid, and points closer together round the truth and round an alias of it.

    Examples
    --------
    >>> landscape = example_landscape()
    >>> best = landscape.misfit.argmin()
    >>> len(landscape), bool(abs(landscape.rotation[best] - 141) < 6), bool(landscape.transpose[best])
    (900, True, True)
    """
    rng = np.random.default_rng(17)
    basins = ((rotation, transpose, defocus, 1.0), (rotation + 237.4, not transpose, 1.18 * defocus, 0.8))
    sides = abs(defocus) * np.array([-3, -2.4, -1.9, -1.5, -1.2, -0.9, -0.6, 0.6, 0.9, 1.2, 1.5, 1.9, 2.4, 3])
    turns = np.arange(-180.0, 180.0, 12.0)
    grid = np.array([(turn, side, t) for t in (0, 1) for turn in turns for side in sides])
    close = [
        (turn + 5 * rng.standard_normal(), side * (1 + 0.08 * rng.standard_normal()), t)
        for turn, t, side, _ in basins
        for _ in range(30)
    ]
    points = np.concatenate([grid, np.array(close, float)])
    turns, sides, turned = wrapped(points[:, 0]), points[:, 1], points[:, 2] > 0.5
    misfit = 0.74 + 0.012 * rng.standard_normal(len(points))
    for turn, t, side, depth in basins:
        away = wrapped(turns - turn) / 8
        off = np.log(np.abs(sides / side)) / 0.2 + 9 * (np.sign(sides) != np.sign(side))
        misfit -= 0.3 * depth * np.exp(-0.5 * (away**2 + off**2)) * (turned == t)
    return Landscape(turns, turned, sides, misfit)


def example_alternatives(
    rotation: float = 141.0, transpose: bool = True, defocus: float = 300.0
) -> tuple[Alternative, ...]:
    """Five readings: the first, its alias, the first turned by 180 degrees, and two that are hardly likely.

    Examples
    --------
    >>> round(sum(one.probability for one in example_alternatives()), 6)
    1.0
    """
    return tuple(
        Alternative(wrapped_angle(rotation + turn), transpose ^ other, defocus * factor, misfit, probability)
        for turn, other, factor, misfit, probability in (
            (0.0, False, 1.0, 0.44, 0.812),
            (237.4, True, 1.18, 0.5, 0.14),
            (180.0, False, -1.0, 0.53, 0.045),
            (60.0, False, 1.9, 0.69, 0.00295),
            (-95.0, True, -2.4, 0.7, 0.00005),
        )
    )


def with_alternatives(start: CalibrationResult) -> CalibrationResult:
    """A start that has been found, with alternatives that nobody has looked for."""
    own = (start.measurement.rotation, start.measurement.transpose, start.optics.aberrations["defocus"])
    return replace(start, alternatives=example_alternatives(*own), landscape=example_landscape(*own))


def wrapped(angles: np.ndarray) -> np.ndarray:
    """Each in (-180, 180]."""
    return np.array([wrapped_angle(float(angle)) for angle in angles])


__all__ = ["example_alternatives", "example_landscape", "with_alternatives"]
