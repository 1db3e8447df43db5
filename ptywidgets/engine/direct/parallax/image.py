"""Images from aligned bright-field images: on a finer grid, corrected for their contrast transfer, in depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.direct.image import DirectImage
from ptywidgets.engine.direct.parallax.fit import predicted_shifts
from ptywidgets.engine.direct.parallax.parallax import Parallax
from ptywidgets.engine.direct.parallax.transfer import sum_transfer
from ptywidgets.engine.direct.parallax.upsample import Kernel, scattered, upsampling
from ptywidgets.engine.optics.aberrations import Aberrations
from ptywidgets.engine.preprocess.measurement import scan_frequencies

CORRECTIONS = ("wiener", "sign", "none")


def upsampled(
    result: Parallax, factor: float | None = None, *, shifts: np.ndarray | None = None, kernel: float = 0.125
) -> tuple[np.ndarray, tuple[float, float]]:
    """The aligned bright field on a grid finer than the scan's.

    The images' shifts are fractions of a scan step, so together they sample the specimen more finely than the scan
    does. Every value goes to where it belongs on the fine grid, smoothed by a narrow kernel and divided by the density.

    Parameters
    ----------
    result : Parallax
    factor : float, optional
        Pixels per scan step; by default as many as the aperture can fill: see
        :func:`ptywidgets.engine.direct.parallax.upsample.upsampling`.
    shifts : ndarray (K, 2), optional
        A, scan frame; by default those of the fitted aberrations.
    kernel : float
        Width (sigma) of the kernel in scan steps.

    Returns
    -------
    image : ndarray (Y, X) float32
        Relative to its mean; pixel (0, 0) lies on the first scan position.
    sampling : (float, float)
        A.

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.direct import parallax
    >>> upsampled(parallax(samples.ducky("tiny")), 2)[0].shape
    (24, 24)
    """
    shifts = result.predicted if shifts is None else shifts
    factor = upsampling(result.bright) if factor is None else factor
    fine = scattered(result.bright, shifts, factor, kernel)
    return fine.cropped(fine.image), fine.sampling


def corrected(
    result: Parallax,
    *,
    factor: float | None = None,
    method: str = "wiener",
    regularisation: float = 0.003,
    aberrations: Mapping[str, float] | None = None,
    low_pass: float | None = None,
    kernel: float = 0.125,
) -> DirectImage:
    """The phase of the specimen: the aligned bright field, corrected for its contrast transfer.

    Parameters
    ----------
    result : Parallax
    factor : float, optional
        Pixels per scan step; by default as many as the aperture can fill.
    method : {"wiener", "sign", "none"}
        "wiener" divides by the transfer T, phi = T* S / (|T|^2 + r), and is in rad; "sign" only turns the reversed
        frequencies round (by the phase of T, for odd aberrations too), leaving their strength; "none" leaves all.
    regularisation : float
        r of the Wiener filter, in units of the largest transfer squared: how little transfer counts as none.
    aberrations : mapping, optional
        Detector frame; by default those that were fitted. The images are aligned with them, too.
    low_pass : float, optional
        1/A; higher frequencies are left out.
    kernel : float
        As in :func:`upsampled`.

    Returns
    -------
    DirectImage

    Examples
    --------
    >>> from ptywidgets import samples
    >>> from ptywidgets.engine.direct import parallax
    >>> corrected(parallax(samples.ducky("tiny")), factor=2)
    DirectImage(parallax, 24x24, 0.75 A pixels)
    """
    method = look_up("correction", method, CORRECTIONS)
    if not regularisation > 0:
        raise ParameterError(f"regularisation is {regularisation!r}; expected a positive number, such as 0.1.")
    known, shifts = result.aberrations, result.predicted
    bright = result.bright
    if aberrations is not None:
        known = Aberrations(**aberrations)
        shifts = predicted_shifts(bright.tilts, known, result.rotation, result.transpose, bright.wavelength)
    factor = upsampling(bright) if factor is None else factor
    if factor == 1:
        common, seen = result.spectra.aligned_frame(shifts)
        contrast, sampling, shape = (common - 1) * np.clip(seen, 0, 1), bright.scan_steps, bright.scan_shape
        smear = Kernel((0.0, 0.0), (0.0, 0.0))
    else:
        fine = scattered(bright, shifts, factor, kernel)
        contrast, sampling, shape = (fine.image - 1) * fine.seen, fine.sampling, fine.shape
        smear = fine.kernel
    spectrum = sfft.rfft2(contrast)
    q = scan_frequencies(contrast.shape, sampling)
    if method != "none":
        transfer = sum_transfer(bright, known, q)
        if method == "sign":
            spectrum *= transfer.conj() / np.maximum(np.abs(transfer), 1e-6)
        else:
            transfer *= smear.transfer(q)
            spectrum *= transfer.conj() / (np.abs(transfer) ** 2 + 4 * regularisation)
        spectrum[0, 0] = 0
    if low_pass is not None:
        spectrum *= 1 / (1 + (np.hypot(*q) / low_pass) ** 8)
    phase = sfft.irfft2(spectrum, s=contrast.shape)
    if factor != 1:
        phase = fine.cropped(phase)
    phase = phase[: shape[0], : shape[1]]
    return DirectImage(
        phase=np.ascontiguousarray(phase, np.float32),
        sampling=sampling,
        method="parallax",
        rotation=result.rotation,
        transpose=result.transpose,
        aberrations=known,
        message=result.message,
    )


def depth_section(
    result: Parallax, depths: Sequence[float], *, correct: bool = True, regularisation: float = 0.003
) -> np.ndarray:
    """Images focused on planes at several depths.

    Parameters
    ----------
    result : Parallax
    depths : sequence of float
        A, along the beam from the plane that the aberrations were fitted to: the probe is `depth` less defocused there.
    correct : bool
        Wiener-correct each plane for the contrast transfer of its own defocus; otherwise the aligned bright field.
    regularisation : float
        As in :func:`corrected`.

    Returns
    -------
    ndarray (D, Ry, Rx) float32
    """
    planes = []
    for depth in depths:
        known = result.aberrations.replace(defocus=result.aberrations["defocus"] - float(depth))
        if correct:
            planes.append(corrected(result, factor=1, aberrations=known, regularisation=regularisation).phase)
        else:
            planes.append(result.align_with(known))
    return np.asarray(planes, np.float32)
