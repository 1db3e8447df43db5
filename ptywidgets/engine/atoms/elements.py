"""How strongly atoms scatter electrons, of every element to lawrencium.

f(k) = sum a / (k^2 + b) + sum c exp(-d k^2), three terms each, k in 1/A and f in A, fitted for k up to 6 1/A;
Kirkland, Advanced Computing in Electron Microscopy, appendix C. The numbers lie in ``kirkland.json`` and are read when
first asked for: a1 b1 a2 b2 a3 b3 c1 d1 c2 d2 c3 d3 for each symbol, in the order of the atomic number.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources

import numpy as np

from ptywidgets.engine.core.errors import ParameterError, unknown_name


@cache
def scattering_table() -> dict[str, tuple[float, ...]]:
    """The 12 numbers of each element, by symbol, from H (Z = 1) to Lr (Z = 103).

    Examples
    --------
    >>> len(scattering_table()), scattering_table()["C"][:2]
    (103, (0.212080767, 0.208605417))
    """
    text = resources.files("ptywidgets.engine.atoms").joinpath("kirkland.json").read_text(encoding="utf-8")
    return {symbol: tuple(numbers) for symbol, numbers in json.loads(text).items()}


def atomic_number(element: str | int) -> int:
    """Z of an element's symbol, or of its number, which is checked.

    Raises
    ------
    ParameterError
        For an unknown symbol, or a number outside 1 to 103.

    Examples
    --------
    >>> atomic_number("Mo"), atomic_number(16)
    (42, 16)
    """
    table = scattering_table()
    if isinstance(element, str):
        if element not in table:
            raise unknown_name("element", element, table)
        return list(table).index(element) + 1
    if not 1 <= element <= len(table):
        raise ParameterError(f"atomic number {element}; scattering factors are known for 1 to {len(table)}.")
    return int(element)


def scattering_factor(element: str | int, k: np.ndarray) -> np.ndarray:
    """Electron scattering factor in A, of an atom at rest and in first Born approximation.

    Parameters
    ----------
    element : str or int
        Symbol or atomic number.
    k : ndarray
        Spatial frequencies (scattering angle / wavelength) in 1/A.

    Examples
    --------
    >>> round(float(scattering_factor("C", np.array(0.0))), 2)
    2.51
    """
    numbers = list(scattering_table().values())[atomic_number(element) - 1]
    k2 = np.asarray(k, float) ** 2
    out = np.zeros_like(k2)
    for a, b in zip(numbers[0:6:2], numbers[1:6:2], strict=True):
        out += a / (k2 + b)
    for c, d in zip(numbers[6::2], numbers[7::2], strict=True):
        out += c * np.exp(-d * k2)
    return out
