"""Aberrations, rotation and transpose from the shifts of the tilted bright-field images.

The image under the tilt k is shifted by grad chi(k) / 2 pi, a vector of the detector frame that is measured in the scan
frame: shift(k) = R(theta) T grad chi(k) / 2 pi, T the exchange of rows and columns where the detector is transposed.
For given theta and T this is linear in the coefficients. Detector turned by 180 degrees and chi -> -chi give the same
shifts: the pair of answers, 180 degrees apart, that only a known sign of the defocus, or of the specimen's phase, tells
apart.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.core.errors import DataError
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.optics.chi_terms import coefficient_names, slopes
from ptywidgets.engine.preprocess.rotation import rotate_vectors, wrapped_angle


def gradient_basis(tilts: np.ndarray, names: tuple[str, ...], wavelength: float) -> np.ndarray:
    """Shift grad chi / 2 pi (A, detector frame) by 1 A of each coefficient.

    Parameters
    ----------
    tilts : ndarray (K, 2)
        1/A.
    names : tuple of str
        Of Cartesian coefficients.
    wavelength : float
        A.

    Returns
    -------
    ndarray (len(names), K, 2)

    Examples
    --------
    >>> gradient_basis(np.array([[0.1, 0.2]]), ("C10",), 0.04).round(6).tolist()
    [[[0.004, 0.008]]]
    """
    z = tilts[:, 0] + 1j * tilts[:, 1]
    down, right = np.ones_like(z), 1j * np.ones_like(z)
    slope = [[slopes([name], [1.0], z, along, wavelength) for along in (down, right)] for name in names]
    return np.moveaxis(np.reshape(slope, (len(names), 2, len(z))), 1, 2) / (2 * math.pi)


def predicted_shifts(
    tilts: np.ndarray, aberrations: Mapping[str, float], rotation: float, transpose: bool, wavelength: float
) -> np.ndarray:
    """Shifts (K, 2) in A, scan frame, that align the images of the tilts (K, 2) in 1/A, detector frame.

    Examples
    --------
    >>> predicted_shifts(np.array([[0.1, 0.0]]), Aberrations(defocus=1000), 90.0, False, 0.04).round(6).tolist()
    [[-0.0, -4.0]]
    """
    cartesian = Aberrations(**aberrations).cartesian
    names = tuple(name for name, value in cartesian.items() if value)
    basis = gradient_basis(tilts, names, wavelength)
    detector = np.tensordot(np.array([cartesian[name] for name in names]), basis, 1)
    return rotate_vectors(detector.T, rotation, transpose).T


@dataclass(frozen=True)
class ShiftFit:
    """What shifts say about the optics."""

    aberrations: Aberrations  # detector frame
    rotation: float  # degrees in (-180, 180], detector to scan
    transpose: bool
    uncertainty: dict[str, float]  # one sigma: A for Cartesian coefficients, degrees for "rotation"
    rms: float  # A, of the shifts about the fit

    def __post_init__(self) -> None:
        object.__setattr__(self, "rotation", wrapped_angle(self.rotation))


def fit_shifts(
    tilts: np.ndarray,
    shifts: np.ndarray,
    wavelength: float,
    *,
    order: int = 2,
    weights: np.ndarray | None = None,
    rotation: float | None = None,
    transpose: bool | None = None,
    near: float = 0.0,
    recursive: bool = True,
) -> ShiftFit:
    """Weighted least squares of aberrations and rotation to shifts, recursively by order.

    Parameters
    ----------
    tilts : ndarray (K, 2)
        1/A, detector frame.
    shifts : ndarray (K, 2)
        A, scan frame; those that align the images.
    wavelength : float
        A.
    order : int
        Highest n of the coefficients C_nm; each order starts from the one below.
    weights : ndarray (K,) or (K, 2, 2), optional
        Inverse variances, or inverse covariances, of the shifts.
    rotation : float (degrees), optional
        Where it is known; otherwise it is fitted.
    transpose : bool, optional
        Where it is known; otherwise taken from the sign of the map from tilts to shifts.
    near : float
        Of the two answers, 180 degrees apart, the one is taken whose rotation (degrees) is nearer to this one.
    recursive : bool
        Start each order from the one below, and not from the linear map at once.

    Returns
    -------
    ShiftFit

    Examples
    --------
    >>> k = np.stack(np.meshgrid(*[np.linspace(-0.4, 0.4, 9)] * 2), -1).reshape(-1, 2)
    >>> true = Aberrations(defocus=500, C12=40, phi12=0.3, C21=300, phi21=-1.0)
    >>> fit = fit_shifts(k, predicted_shifts(k, true, -15, True, 0.04176), 0.04176)
    >>> round(fit.rotation, 3), fit.transpose, round(fit.aberrations["C12"], 2), round(fit.aberrations["phi21"], 3)
    (-15.0, True, 40.0, -1.0)
    """
    if len(tilts) < 3:
        raise DataError(f"{len(tilts)} tilted images; an aberration fit needs at least 3: enlarge the radius.")
    matrices = _weight_matrices(weights, len(tilts))
    offset = _weighted_mean(shifts, matrices)
    linear = _linear_map(tilts, shifts - offset, matrices)
    theta, transpose = orientation_of(linear, transpose, near if rotation is None else rotation)
    fit = ShiftFit(Aberrations(), theta if rotation is None else rotation, transpose, {}, math.inf)
    for n in range(1 if recursive else order, order + 1):
        fit = _gauss_newton(fit, tilts, shifts, wavelength, n, matrices, turn=False)
        for _ in range(8 if rotation is None else 0):
            before = fit.rotation
            fit = _gauss_newton(fit, tilts, shifts, wavelength, n, matrices, turn=True)
            if abs(fit.rotation - before) < 1e-6:
                break
    return fit


def orientation_of(linear: np.ndarray, transpose: bool | None, near: float) -> tuple[float, bool]:
    """Rotation (degrees) and transpose of a map (2, 2) from tilts to shifts: its polar decomposition.

    The map is R(theta) T H with a symmetric H; where the defocus outweighs the astigmatism, H keeps the sense of
    turning, and the determinant tells the transpose. Of theta and theta + 180 the one nearer to `near` is returned.

    Examples
    --------
    >>> theta, transpose = orientation_of(np.array([[0.0, 3.0], [-3.0, 0.0]]), None, 0.0)
    >>> round(theta, 6), transpose
    (-90.0, False)
    """
    if transpose is None:
        transpose = bool(np.linalg.det(linear) < 0)
    m = linear[:, ::-1] if transpose else linear
    # R(theta) (H, rows exchanged where transposed): the angle that makes R(-theta) m symmetric before the exchange
    theta = math.degrees(math.atan2(m[1, 0] - m[0, 1], m[0, 0] + m[1, 1]))
    if abs(wrapped_angle(theta - near)) > 90:
        theta += 180
    return wrapped_angle(theta), transpose


def _gauss_newton(
    fit: ShiftFit,
    tilts: np.ndarray,
    shifts: np.ndarray,
    wavelength: float,
    order: int,
    matrices: np.ndarray,
    turn: bool,
) -> ShiftFit:
    """One step: all coefficients up to `order` anew, and a small turn, with a common offset left free."""
    names = coefficient_names(order)
    design = shift_derivatives(fit, tilts, names, wavelength, turn)
    design = np.concatenate([design, np.broadcast_to(np.eye(2)[:, None], (2, len(tilts), 2))])
    weighted = np.einsum("kab,pkb->pka", matrices, design)
    normal = np.einsum("pka,qka->pq", weighted, design)
    scale = 1 / np.sqrt(np.diag(normal).clip(1e-300))
    inverse = scale[:, None] * np.linalg.pinv(scale[:, None] * normal * scale, rcond=1e-10, hermitian=True) * scale
    solution = inverse @ np.einsum("pka,ka->p", weighted, shifts)
    rest = shifts - np.tensordot(solution, design, 1)
    freedom = max(1, 2 * len(tilts) - len(solution))
    variance = float(np.einsum("ka,kab,kb->", rest, matrices, rest)) / freedom
    sigma = np.sqrt(max(variance, 0.0) * np.diag(inverse).clip(0))  # rounding may leave less than nothing
    aberrations = Aberrations(**dict(zip(names, solution, strict=False)))
    uncertainty = dict(zip(names, sigma.tolist(), strict=False))
    rotation = fit.rotation
    if turn:
        extra = math.degrees(solution[len(names)])
        rotation = wrapped_angle(rotation + max(-10.0, min(10.0, extra)))
        uncertainty["rotation"] = min(90.0, math.degrees(sigma[len(names)]))
    rms = float(np.sqrt((rest**2).sum(1).mean()))
    return replace(fit, aberrations=aberrations, rotation=rotation, uncertainty=uncertainty, rms=rms)


def shift_derivatives(
    fit: ShiftFit, tilts: np.ndarray, names: tuple[str, ...], wavelength: float, turn: bool
) -> np.ndarray:
    """Change of the shifts (P, K, 2), scan frame, by 1 A of each coefficient and, where `turn`, by 1 rad."""
    basis = gradient_basis(tilts, names, wavelength)
    out = rotate_vectors(np.moveaxis(basis, -1, 0), fit.rotation, fit.transpose)
    if turn:
        now = predicted_shifts(tilts, fit.aberrations, fit.rotation + 90, fit.transpose, wavelength)
        out = np.concatenate([out, now.T[:, None]], axis=1)
    return np.moveaxis(out, 0, -1)


def _weight_matrices(weights: np.ndarray | None, count: int) -> np.ndarray:
    """Inverse covariances (K, 2, 2) from whatever form of weights was given."""
    if weights is None:
        weights = np.ones(count)
    return weights if weights.ndim == 3 else weights[:, None, None] * np.eye(2)


def _weighted_mean(shifts: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    total = matrices.sum(0)
    return np.linalg.pinv(total, hermitian=True) @ np.einsum("kab,kb->a", matrices, shifts)


def _linear_map(tilts: np.ndarray, shifts: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """The (2, 2) map that takes tilts to shifts best."""
    normal = np.einsum("kac,kb,kd->abcd", matrices, tilts, tilts).reshape(4, 4)
    moment = np.einsum("kac,kc,kb->ab", matrices, shifts, tilts)
    return (np.linalg.pinv(normal, hermitian=True) @ moment.ravel()).reshape(2, 2)
