"""The fit of a smooth-edged ellipse: a first guess, and least squares in a band about the edge.

pattern = inside(y, x) E + outside(y, x) (1 - E), with the edge E = erfc((rho - R) / (sqrt(2) s)) / 2 and rho the
distance from the centre in the metric of the ellipse. Inside and outside are low polynomials, so that neither contrast
within the disk nor a diffuse background moves its edge. Gauss-Newton steps change the six numbers of the edge and solve
for the polynomials at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import erfc

from ptywidgets.engine.data.detectors import Disk, fit_disk

_SECTORS = 24


def first_guess(pattern: np.ndarray) -> Disk:
    """The one of a few quick guesses that is most like the pattern: plain, smoothed, and from moments."""
    coarse = max(1, max(pattern.shape) // 256)
    pattern = binned(pattern, coarse)
    around = np.ones((5, 5), bool)
    around[2, 2] = False
    usual = 3 * np.median(pattern[pattern > 0]) if (pattern > 0).any() else 0.0
    tame = np.minimum(pattern, np.maximum(ndimage.maximum_filter(pattern, footprint=around), usual))
    y, x = np.indices(pattern.shape)
    smooth = [ndimage.gaussian_filter(tame, sigma) for sigma in (1.0, 2.0, 4.0) if 6 * sigma < min(pattern.shape)]
    guesses = [fit_disk(image) for image in (tame, *smooth)]
    light = (tame - np.median(tame)).clip(0)
    guess = guesses[-1]
    for _ in range(4):  # a plain disk has a mean squared radius of R^2 / 2
        near = light * (np.hypot(y - guess.centre[0], x - guess.centre[1]) < 1.5 * guess.radius + 2)
        total = max(float(near.sum()), 1e-300)
        cy, cx = float((near * y).sum() / total), float((near * x).sum() / total)
        squared = float((near * ((y - cy) ** 2 + (x - cx) ** 2)).sum() / total)
        guess = Disk((cy, cx), max(1.0, math.sqrt(2 * squared)))
        guesses.append(guess)

    def likeness(disk: Disk) -> float:
        inside = np.hypot(y - disk.centre[0], x - disk.centre[1]) <= disk.radius
        return float(np.corrcoef(inside.ravel(), tame.ravel())[0, 1]) if 0 < inside.sum() < inside.size else -1.0

    best = max(guesses, key=likeness)
    offset = (coarse - 1) / 2
    return Disk((coarse * best.centre[0] + offset, coarse * best.centre[1] + offset), coarse * best.radius)


def binning_for(pattern: np.ndarray, disk: Disk) -> int:
    """By how much to bin: a large disk has pixels to spare, and one with few counts shows an edge only when binned."""
    y, x = np.ogrid[: pattern.shape[0], : pattern.shape[1]]
    inside = np.hypot(y - disk.centre[0], x - disk.centre[1]) <= 0.8 * disk.radius
    pairs = inside[:, 1:] & inside[:, :-1]
    if pairs.sum() < 10:
        return 1
    noise = float(np.mean(np.diff(pattern, axis=1)[pairs] ** 2)) / 2
    counts = float(pattern[inside].mean()) ** 2 / max(noise, 1e-300)  # as many independent counts in a pixel, about
    wanted = max(disk.radius / 40, math.sqrt(4 / max(counts, 1e-12)) if counts < 1 else 1.0)
    return max(1, int(min(wanted, disk.radius / 5)))


def binned(pattern: np.ndarray, binning: int) -> np.ndarray:
    """Sum blocks of binning x binning pixels; rows and columns that fill no block are left out."""
    rows, columns = (n // binning * binning for n in pattern.shape)
    shape = rows // binning, binning, columns // binning, binning
    return pattern[:rows, :columns].reshape(shape).sum((1, 3)) if binning > 1 else pattern


def distance(y: np.ndarray, x: np.ndarray, ellipse: tuple[float, ...] | np.ndarray) -> np.ndarray:
    """Distance from the centre in the metric exp([[a, b], [b, -a]]), which keeps areas; ellipse = (cy, cx, a, b)."""
    cy, cx, a, b = ellipse
    h = math.hypot(a, b)
    cosh, sinh = math.cosh(h), (math.sinh(h) / h if h > 1e-9 else 1.0)
    dy, dx = y - cy, x - cx
    return np.hypot((cosh + sinh * a) * dy + sinh * b * dx, sinh * b * dy + (cosh - sinh * a) * dx)


def fit_edge(pattern: np.ndarray, start: np.ndarray, rounds: int, free: int) -> EdgeFit:
    """Gauss-Newton in a band about the edge; in each round outliers lose their weight.

    The first `free` of (R, log s, cy, cx, a, b) are varied, with the linear terms beside them.
    """
    values = start.copy()
    reach = max(0.45 * values[0], 4.0, 3 * math.exp(values[1]))
    y, x = np.indices(pattern.shape).astype(float)
    band = np.abs(distance(y, x, values[2:]) - values[0]) < reach
    y, x, counts = y[band], x[band], pattern[band]
    counts = counts / max(float(np.abs(counts).mean()), 1e-300)
    low = np.array([0.5 * values[0], math.log(0.2), values[2] - reach, values[3] - reach, -0.5, -0.5])
    softest = math.log(max(0.5 * values[0], 1))
    high = np.array([1.6 * values[0], softest, values[2] + reach, values[3] + reach, 0.5, 0.5])
    limit = np.array([1.0, 0.4, 1.0, 1.0, 0.05, 0.05])
    limit[[0, 2, 3]] = max(1.0, 0.05 * values[0])
    weight, stiff, terms = np.ones(len(counts)), 0.0, _terms(y, x, values)
    coefficients = _solved(terms, counts, weight)
    for _ in range(rounds):
        slopes = _slopes(y, x, values, terms, coefficients)[:, :free]
        joint = np.concatenate([terms, slopes], axis=1)
        step = _solved(joint, counts, weight, stiff)[terms.shape[1] :]
        step *= min(1.0, *(limit[:free] / np.maximum(np.abs(step), 1e-12)))
        values[:free] = np.clip(values[:free] + step, low[:free], high[:free])
        terms = _terms(y, x, values)
        coefficients = _solved(terms, counts, weight, stiff)
        model = terms @ coefficients
        # Counting noise grows with the counts; beyond five times the usual deviation a pixel loses its say.
        noise = np.sqrt(np.maximum(model, 0.1 * max(float(np.quantile(model, 0.9)), 1e-12)))
        normal = (counts - model) / noise
        spread = math.sqrt(np.mean(np.sort(normal**2)[: math.ceil(0.97 * len(normal))])) + 1e-12
        weight = 1 / (1 + (normal / (5 * spread)) ** 2) / noise
        stiff = (spread / (0.3 * max(float(np.abs(coefficients[0])), 1e-12))) ** 2  # few counts show no contrast
        if (np.abs(step) < 1e-4 * limit[:free]).all():
            break
    joint = np.concatenate([terms, _slopes(y, x, values, terms, coefficients)], axis=1)
    covariances = _covariances(joint * weight[:, None], (counts - terms @ coefficients) * weight, y, x, values)
    errors = np.sqrt(np.max([np.diag(c)[-6:] for c in covariances], axis=0).clip(0))
    inside, outside = float(coefficients[0]), float(coefficients[_OUTSIDE])
    contrast = (inside - outside) / max(abs(inside), abs(outside), 1e-12)
    turn = np.linspace(0, 2 * math.pi, 72, endpoint=False)
    ring = values[2] + values[0] * np.cos(turn), values[3] + values[0] * np.sin(turn)
    beyond = [(at < 0) | (at > n - 1) for at, n in zip(ring, pattern.shape, strict=True)]
    of_step = max(float(c[0, 0] + c[_OUTSIDE, _OUTSIDE] - 2 * c[0, _OUTSIDE]) for c in covariances)
    clear = (inside - outside) / math.sqrt(max(of_step, 1e-30))
    return EdgeFit(values, errors, contrast, clear, float(np.mean(beyond[0] | beyond[1])))


@dataclass(frozen=True)
class EdgeFit:
    """Ellipse of the edge of a disk, as fitted, with its uncertainties and how clearly the edge is seen."""

    values: np.ndarray  # R, log s, cy, cx, a, b
    errors: np.ndarray  # one sigma of each
    contrast: float
    clear: float  # height of the edge in its own uncertainties
    cut: float  # share of the edge that lies beyond the detector


_OUTSIDE = 6
_CONTRAST = np.array([1, 2, 3, 4, 5, 7])


def _terms(y: np.ndarray, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Linear terms (N, 8): six of the inside, quadratic, and two of the outside."""
    rho = distance(y, x, values[2:])
    edge = 0.5 * erfc((rho - values[0]) / (math.sqrt(2) * math.exp(values[1])))
    v, u, out = (y - values[2]) / values[0], (x - values[3]) / values[0], rho / values[0]
    inside = [edge, edge * v, edge * u, edge * (out**2 - 1), edge * v * u, edge * (v * v - u * u)]
    return np.stack([*inside, 1 - edge, (1 - edge) * (1 / np.maximum(out, 0.5) ** 2 - 1)], axis=1)


def _slopes(
    y: np.ndarray, x: np.ndarray, values: np.ndarray, terms: np.ndarray, coefficients: np.ndarray
) -> np.ndarray:
    """Derivatives (N, 6) of the model as the edge moves; what moves with it inside and outside is among the terms."""
    rho, sigma = np.maximum(distance(y, x, values[2:]), 1e-6), math.exp(values[1])
    edge = np.maximum(terms[:, 0], 1e-12)
    height = (terms[:, :_OUTSIDE] @ coefficients[:_OUTSIDE]) / edge
    dark = np.maximum(terms[:, _OUTSIDE], 1e-12)
    height -= (terms[:, _OUTSIDE:] @ coefficients[_OUTSIDE:]) / dark
    moved = height * np.exp(-0.5 * ((rho - values[0]) / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
    v, u, along = y - values[2], x - values[3], moved / rho
    columns = [moved, moved * (rho - values[0]), along * v, along * u, along * (u * u - v * v), -2 * along * u * v]
    return np.stack(columns, axis=1)


def _solved(columns: np.ndarray, counts: np.ndarray, weight: np.ndarray, stiff: float = 0.0) -> np.ndarray:
    """Weighted least squares; `stiff` holds the terms of contrast near 0, as if each were 0 +- 0.3 of the height."""
    weighted = columns * weight[:, None]
    size = np.sqrt((weighted**2).sum(0)) + 1e-30
    gram = weighted.T @ weighted / np.outer(size, size)
    gram[_CONTRAST, _CONTRAST] += stiff / size[_CONTRAST] ** 2
    return np.linalg.lstsq(gram, weighted.T @ (counts * weight) / size, rcond=1e-9)[0] / size


def _covariances(
    columns: np.ndarray, residual: np.ndarray, y: np.ndarray, x: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two estimates: from the size of the residuals, and from how sectors of the edge differ in them.

    The second holds where the residuals are no noise but contrast, which neighbouring pixels share.
    """
    inverse = np.linalg.pinv(columns.T @ columns, rcond=1e-12, hermitian=True)
    plain = inverse * float(residual @ residual) / max(1, len(residual) - columns.shape[1])
    sector = ((np.arctan2(y - values[2], x - values[3]) / (2 * math.pi) + 0.5) * _SECTORS).astype(int) % _SECTORS
    pull = np.zeros((_SECTORS, columns.shape[1]))
    np.add.at(pull, sector, columns * residual[:, None])
    return plain, inverse @ (pull.T @ pull) @ inverse * _SECTORS / (_SECTORS - 8)
