"""The smooth surface through the origins of the patterns, no smoother and no rougher than the data ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from ptywidgets.engine.core.errors import DataError, look_up

DEGREES = {"constant": 0, "plane": 1, "parabola": 2, "cubic": 3, "smooth": 6}  # of the polynomials in both directions
NEGLIGIBLE = 0.05  # px: less is left to the specimen, whose own slow deflections must not be fitted away
_FOLDS = 5


@dataclass(frozen=True)
class Descan:
    """What the scan coils did to the patterns."""

    origin: np.ndarray  # (2, Ry, Rx) detector px
    residual: float  # px, rms of what the surface leaves, outliers held back
    model: str
    errors: dict[str, float]  # px, of each model at positions that it has not seen
    span: float  # px, how far the origin moves over the scan
    sentence: str


def fit_descan(origins: np.ndarray, model: str = "auto") -> Descan:
    """Fit origins, or centres of mass, by a surface that predicts those it has not seen.

    The scan is cut into small blocks, a fifth of which is left out in turn. Of the models, polynomials of rising
    degree, the simplest is taken whose error there is as small as the least, within its uncertainty and 0.05 px.
    Outliers lose their weight, so that a heavy particle does not bend the surface.

    Parameters
    ----------
    origins : ndarray (2, Ry, Rx)
        Detector px, from :func:`ptywidgets.engine.preprocess.disk_origins` or
        :func:`ptywidgets.engine.preprocess.centre_of_mass`; NaN where unknown.
    model : {"auto", "constant", "plane", "parabola", "cubic", "smooth"}
        "smooth" is a polynomial of sixth degree.

    Returns
    -------
    Descan

    Examples
    --------
    >>> y, x = np.mgrid[-1:1:12j, -1:1:14j]
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (2, 12, 14))
    >>> fit = fit_descan(np.stack([30 + 4 * y - x, 32 + y + 2 * x * x]) + noise)
    >>> fit.model, round(fit.residual, 1)
    ('parabola', 0.1)
    """
    model = look_up("descan model", model, ("auto", *DEGREES))
    origins = np.asarray(origins, float)
    if origins.ndim != 3 or len(origins) != 2:
        raise DataError(f"origins are {origins.shape}; expected (2, Ry, Rx): row and column in detector pixels.")
    measured = origins.reshape(2, -1).T
    known = np.isfinite(measured).all(1)
    if not known.any():
        raise DataError("none of the origins is a finite number; there is nothing to fit.")
    shape = origins.shape[1:]
    fold = _folds(shape)
    errors, spreads = {}, {}
    chosen = model
    if model == "auto":
        for name, degree in DEGREES.items():
            basis = _basis(shape, degree)
            if basis.shape[1] > known.sum() / (3 if degree else 1):
                break
            squared = np.full(len(measured), np.nan)
            for k in range(_FOLDS):
                seen, unseen = known & (fold != k), known & (fold == k)
                if seen.sum() > basis.shape[1] and unseen.any():
                    coefficients, _ = _robust(basis[seen], measured[seen])
                    squared[unseen] = ((measured[unseen] - basis[unseen] @ coefficients) ** 2).sum(1)
            errors[name], spreads[name] = _typical(squared)
        chosen = _simplest(errors, spreads)
    basis = _basis(shape, DEGREES[chosen])
    coefficients, weight = _robust(basis[known], measured[known])
    surface = (basis @ coefficients).T.reshape(origins.shape)
    left = ((measured[known] - basis[known] @ coefficients) ** 2).sum(1)
    residual = float(np.sqrt((weight * left).sum() / weight.sum()))
    span = float(np.hypot(*np.ptp(surface.reshape(2, -1), axis=1)))
    return Descan(surface, residual, chosen, errors, span, _in_words(chosen, span, residual, errors))


def _basis(shape: tuple[int, ...], degree: int) -> np.ndarray:
    """Products (J, n) of Legendre polynomials of the scan indices, of total degree up to `degree`."""
    y, x = (np.linspace(-1, 1, n) if n > 1 else np.zeros(1) for n in shape)
    rows, columns = legendre.legvander(y, degree), legendre.legvander(x, degree)
    terms = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i) if i < shape[0] and j < shape[1]]
    return np.stack([np.outer(rows[:, i], columns[:, j]).ravel() for i, j in terms], axis=1)


def _folds(shape: tuple[int, ...]) -> np.ndarray:
    """Which fifth a position belongs to: small blocks of the scan, since a specimen does alike to neighbours."""
    sides = [max(1, min(n // 8, 6)) for n in shape]
    y, x = (np.arange(n) // side for n, side in zip(shape, sides, strict=True))
    return ((y[:, None] + 2 * x[None]) % _FOLDS).ravel()


def _robust(basis: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares in rounds; a point at three times the typical deviation has a quarter of its weight."""
    weight = np.ones(len(measured))
    coefficients = np.zeros((basis.shape[1], 2))
    for _ in range(8):
        weighted = basis * weight[:, None]
        coefficients = np.linalg.lstsq(weighted.T @ basis, weighted.T @ measured, rcond=1e-12)[0]
        squared = ((measured - basis @ coefficients) ** 2).sum(1)
        typical = max(float(np.median(squared)) / 1.39, 1e-18)  # 1.39: median of the sum of two squared normal numbers
        new = 1 / (1 + squared / (9 * typical)) ** 2
        if np.abs(new - weight).max() < 1e-3:
            break
        weight = new
    return coefficients, weight


def _typical(squared: np.ndarray) -> tuple[float, float]:
    """Rms of the deviations, the largest tenth left out, and its relative uncertainty."""
    values = np.sort(squared[np.isfinite(squared)])
    if not len(values):
        return np.inf, 0.0
    kept = values[: max(1, int(np.ceil(0.9 * len(values))))]
    mean = float(kept.mean())
    return float(np.sqrt(mean)), float(kept.std() / np.sqrt(len(kept)) / max(2 * mean, 1e-30))


def _simplest(errors: dict[str, float], spreads: dict[str, float]) -> str:
    best = min(errors, key=lambda name: errors[name])
    limit = np.hypot(errors[best] * (1 + spreads[best]), NEGLIGIBLE)
    return next(name for name in errors if errors[name] <= limit)


def _in_words(model: str, span: float, residual: float, errors: dict[str, float]) -> str:
    shape = {"constant": "a constant", "smooth": "a smooth surface of sixth degree"}.get(model, f"a {model}")
    if model == "constant":
        return f"The origin stays where it is: {shape} leaves {residual:.2g} px rms."
    words = f"The origin moves by {span:.3g} px over the scan; {shape} leaves {residual:.2g} px rms"
    simpler = [name for name in errors if DEGREES[name] < DEGREES[model]]
    if simpler:
        last = simpler[-1]
        words += f" ({errors[last]:.2g} px by {'a ' if last != 'smooth' else ''}{last})"
    return words + "."
