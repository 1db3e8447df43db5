"""Whether the scan step can be: what an aperture lets through cannot change faster along the scan than it allows.

Every detector pixel's scan image holds products of two waves within the aperture, so its spectrum ends at
2 semiangle / wavelength. A step that is given ten times too small, as nm for A, puts the data's frequencies beyond.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import fft as sfft

from ptywidgets.engine.checks.facts import Facts, Finding, NotKnown
from ptywidgets.engine.data.calibration import in_words, single

SIDE = 32  # positions of the block that is looked at
DETECTOR = 48  # pixels to which patterns are summed up
ENOUGH = 12  # frequencies beyond the limit, for a mean that says something
MARGIN = 1.1  # of the limit: the window of a block widens the spectrum
BEYOND = 1.3  # times the counting noise: more is no noise
ALIKE = 1.2  # times: sums of 2 x 2 pixels of structure are brighter than those of noise by more
SHARE = 0.1  # of the mean power within the limit: less may be flicker of the beam
SLOW = 3  # periods in the block: what changes more slowly is descan


def check_step(facts: Facts) -> Finding:
    """Whether the data change along the scan no faster than a probe of this semi-angle can make them."""
    steps, semiangle = facts.calibration.scan_steps, facts.calibration.semiangle or facts.optics.semiangle
    step = min(steps)
    if semiangle is None:
        semiangle = facts.vacuum_disk.radius * facts.calibration.angle_mean
    limit = 2e-3 * semiangle / facts.calibration.wavelength  # 1/A
    rows, columns = (min(n, SIDE) for n in facts.dataset.scan_shape)
    size = np.hypot(np.fft.fftfreq(rows, steps[0])[:, None], np.fft.fftfreq(columns, steps[1])[None])
    beyond = size > MARGIN * limit
    within = (size < limit / MARGIN) & (size > SLOW / min(steps[0] * rows, steps[1] * columns))
    given = single(steps)
    words = f"Steps of {in_words(given, 3)} A"
    if beyond.sum() < ENOUGH or not within.any():
        return Finding("scan step", "good", step, "A", f"{words} are too coarse to be checked by the patterns.")
    block = np.asarray(facts.block(rows, columns))
    counted = block.dtype.kind in "bui" or bool((block == np.rint(block)).all())
    spectrum, counts = _spectrum(block, 1)
    noise = counts if counted else 0.0
    out, inside = float(spectrum[beyond].mean()), float(spectrum[within].mean())
    wrong = out > BEYOND * noise and out > noise + SHARE * (inside - noise)
    if wrong and not counted:  # noise of scaled counts is of any size, but not alike in neighbouring pixels
        wrong = float(_spectrum(block, 2)[0][beyond].mean()) > ALIKE * out
    if not wrong:
        words += " fit the patterns, which change no faster along the scan than they may."
        return Finding("scan step", "good", step, "A", words)
    words += f" cannot be: the patterns change faster along the scan than a probe of {semiangle:.3g} mrad allows."
    meant = in_words(single((10 * steps[0], 10 * steps[1])), 3)
    remedy = f"Did you mean {meant} A? The step is given in A; {in_words(given, 3)} nm are {meant} A."
    return Finding("scan step", "bad", step, "A", words, remedy)


def _spectrum(block: np.ndarray, more: int) -> tuple[np.ndarray, float]:
    """Power (Ry, Rx) of the scan images of all pixels together, and what counting noise alone would give it."""
    rows, columns, *shape = block.shape
    each = more * max(1, math.ceil(max(shape) / DETECTOR))
    ny, nx = (n // each for n in shape)
    if not (ny and nx):
        raise NotKnown("the detector has too few pixels")
    cut = block[:, :, : ny * each, : nx * each].reshape(rows, columns, ny, each, nx, each)
    images = cut.sum((3, 5), dtype=np.float32)
    window = (np.hanning(rows + 2)[1:-1, None] * np.hanning(columns + 2)[None, 1:-1]).astype(np.float32)
    counts = float(images.sum((2, 3), dtype=np.float64).mean())
    images = (images - images.mean((0, 1))) * window[..., None, None]
    power = (np.abs(sfft.fft2(images, axes=(0, 1))) ** 2).sum((2, 3), dtype=np.float64)
    return power / float((window.astype(float) ** 2).sum()), counts
