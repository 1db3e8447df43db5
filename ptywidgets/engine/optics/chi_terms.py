"""The functions that single coefficients multiply in chi, and their slopes: chi is linear in Cartesian coefficients."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.optics.aberrations import SYMBOLS

HIGHEST_ORDER = max(n for n, _ in SYMBOLS.values())


def coefficient_names(order: int = HIGHEST_ORDER) -> tuple[str, ...]:
    """Cartesian names of all coefficients C_nm with n up to `order`.

    Examples
    --------
    >>> coefficient_names(1)
    ('C10', 'C12a', 'C12b')
    """
    if not 1 <= order <= HIGHEST_ORDER:
        raise ParameterError(f"order is {order}; expected 1 (defocus, astigmatism) to {HIGHEST_ORDER}.")
    chosen = [(s, m) for s, (n, m) in SYMBOLS.items() if n <= order]
    return tuple(name for s, m in chosen for name in ((f"{s}a", f"{s}b") if m else (s,)))


def polynomials(terms: Sequence[str], z: np.ndarray, lam: float) -> list[np.ndarray]:
    """The functions that coefficients such as "C10", "C12a", "C12b" multiply in chi, at z = ky + i kx (1/A).

    Examples
    --------
    >>> from ptywidgets.engine.optics.aberrations import Aberrations, chi
    >>> from ptywidgets.engine.core.units import wavelength
    >>> z, lam = np.array([0.3 + 0.2j]), wavelength(80e3)
    >>> bool(np.isclose(polynomials(["C21b"], z, lam)[0], chi(Aberrations(C21b=1), z.real, z.imag, 80e3))[0])
    True
    """
    squared = z.real**2 + z.imag**2
    out = []
    for n, m, part in map(_parts, terms):
        value = _power(z, m).imag if part == "b" else _power(z, m).real if m else 1.0
        out.append(2 * math.pi * lam**n / (n + 1) * _power(squared, (n + 1 - m) // 2) * value)
    return out


def slopes(
    terms: Sequence[str], values: Sequence[float] | np.ndarray, z: np.ndarray, along: np.ndarray, lam: float
) -> np.ndarray:
    """Derivative of chi with coefficients `values` at `z` in the direction `along`, both complex."""
    # the part of b is that of a turned by a quarter: one complex coefficient a - i b for both
    real = np.zeros(np.broadcast_shapes(z.shape, along.shape), z.real.dtype)
    conj = np.conj(z)
    for (n, m, part), value in zip(map(_parts, terms), values, strict=True):
        if not value:
            continue
        s = (n + 1 - m) // 2
        term = (s + m) * _power(z, s + m - 1) * _power(conj, s) * along
        if s:
            term = term + s * _power(z, s + m) * _power(conj, s - 1) * np.conj(along)
        real += 2 * math.pi * lam**n / (n + 1) * value * (term.imag if part == "b" else term.real)
    return real


def taylor_terms(
    cartesian: Mapping[str, float], k: np.ndarray, q: np.ndarray, lam: float, parity: int
) -> tuple[np.ndarray, np.ndarray]:
    """Terms of chi(k + q), from the second order in q on, whose order is even (`parity` 0) or odd (1).

    With z = ky + i kx a coefficient's part of chi is Re(c z^a conj(z)^b), of which the binomial theorem makes sums of
    products of k and of q.

    Parameters
    ----------
    cartesian : mapping
        Coefficients by Cartesian names, A.
    k, q : ndarray (K,), (Q,) complex
        1/A.
    lam : float
        Wavelength, A.
    parity : int

    Returns
    -------
    coefficients : ndarray (K, B) float32
    basis : ndarray (B, Q) float32
        Their product (K, Q) is in rad.

    Examples
    --------
    >>> k, q = np.array([0.3 + 0.2j]), np.array([0.1 - 0.4j])
    >>> coefficients, basis = taylor_terms({"C10": 100.0}, k, q, 0.04, 0)
    >>> bool(np.isclose(coefficients @ basis, polynomials(["C10"], q, 0.04)[0] * 100, rtol=1e-6)[0, 0])
    True
    """
    terms: dict[tuple[int, int], np.ndarray] = {}
    for (n, m, part), value in zip(map(_parts, cartesian), cartesian.values(), strict=True):
        b = (n + 1 - m) // 2
        a = b + m
        factor = 2 * math.pi * lam**n / (n + 1) * value * (-1j if part == "b" else 1)
        for i, j in itertools.product(range(a + 1), range(b + 1)):
            if value and i + j >= 2 and (i + j) % 2 == parity:
                binomial = factor * math.comb(a, i) * math.comb(b, j)
                term = binomial * _power(k, a - i) * _power(np.conj(k), b - j) * np.ones_like(k)
                key, term = ((i, j), term) if i >= j else ((j, i), np.conj(term))
                terms[key] = terms.get(key, 0) + term
    coefficients, basis = [np.zeros((0, len(k)))], [np.zeros((0, len(q)), np.float32)]
    for (i, j), term in terms.items():
        power = _power(q, i) * _power(np.conj(q), j)
        coefficients.append(np.stack([term.real, -term.imag]))
        basis.append(np.stack([power.real, power.imag]).astype(np.float32))
    return np.concatenate(coefficients).T.astype(np.float32), np.concatenate(basis)


def _power(z: np.ndarray, exponent: int) -> np.ndarray:
    """A whole power by multiplications, which are much faster than numpy's complex power."""
    out = z if exponent else np.ones((1,) * z.ndim, z.dtype)
    for _ in range(exponent - 1):
        out = out * z
    return out


def _parts(symbol: str) -> tuple[int, int, str]:
    part = symbol[-1] if symbol[-1] in "ab" else "a"
    return (*SYMBOLS[symbol.rstrip("ab")], part)
