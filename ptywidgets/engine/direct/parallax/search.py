"""Where the alignment of the tilted images starts: the defocus, and the orientation where it is not known.

The sum of the shifted images is most coherent where they lie on one another. All images speak at once, so that scans
too coarse for their detail do not mislead: what is aliased moves differently from image to image, and cancels, which
between two neighbouring images it does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine.data.calibration import single
from ptywidgets.engine.direct.bright_field import BrightField
from ptywidgets.engine.direct.parallax.tilt_spectra import TiltSpectra
from ptywidgets.engine.preprocess.rotation import rotate_vectors, wrapped_angle


@dataclass(frozen=True)
class RoundFit:
    """The defocus alone, and the orientation of the detector, that bring the images together best."""

    defocus: float  # A
    rotation: float  # degrees
    transpose: bool
    coherence: float  # power of the sum over that of images that have nothing in common: 1 where nothing is found
    edge: float = 0.0  # scan pixels, shift of the outermost image


def coarse_search(
    bright: BrightField, rotation: float | None = None, transpose: bool | None = None, most: int = 150
) -> RoundFit:
    """Try defoci, and orientations where the given ones bring nothing, for the most coherent sum of the images.

    Parameters
    ----------
    bright : BrightField
        Its rotation and transpose are tried first.
    rotation, transpose : float (degrees), bool, optional
        Known ones: no other is tried.
    most : int
        Neighbouring tilts are merged until no more images than this are left.
    """
    small = merged(bright, most)
    spectra = TiltSpectra.prepare(small, limit=64e6)
    search = _Search(small, spectra)
    turns = [bright.rotation if rotation is None else rotation]
    flips = [bright.transpose if transpose is None else transpose]
    best = search.over(_rings(search.furthest), turns, flips)
    if rotation is None and abs(best.edge) > 3:  # a wrong angle moves far images far
        turns = [turns[0] + d for d in (-12.0, -6.0, 6.0, 12.0)]
        near = [best.edge + d for d in (-0.5, 0.0, 0.5)]
        best = max(best, search.over(near, turns, flips), key=lambda fit: fit.coherence)
    if best.coherence > clear_coherence(len(small.images)) or (rotation is not None and transpose is not None):
        return best
    best = _search_everywhere(merged(bright, 60), best, rotation, transpose)
    if rotation is None and abs(wrapped_angle(best.rotation - bright.rotation)) > 90:  # the flip, which does as well
        best = replace(best, defocus=-best.defocus, rotation=wrapped_angle(best.rotation + 180), edge=-best.edge)
    return best


def _search_everywhere(bright: BrightField, best: RoundFit, rotation: float | None, transpose: bool | None) -> RoundFit:
    """All orientations, from small defoci outwards, until one stands out."""
    search = _Search(bright, TiltSpectra.prepare(bright, limit=len(bright.images) * 48 * 25 * 8))
    clear = clear_coherence(len(bright.images))
    best = replace(best, coherence=search.coherence(best.defocus, best.rotation, best.transpose))
    flips = [False, True] if transpose is None else [transpose]
    inner, outer = 0.0, 4.0
    while inner < search.furthest and inner < 16 and best.coherence < clear:
        for edge in _rings(min(outer, search.furthest)):
            if edge > inner:
                steps = math.ceil(2 * math.pi * edge)  # the outermost tilts move by half a pixel from turn to turn
                turns = [rotation] if rotation is not None else (np.arange(steps) * 180.0 / steps).tolist()
                best = max(best, search.over([edge, -edge], turns, flips), key=lambda fit: fit.coherence)
        inner, outer = outer, 2 * outer
    return best


def clear_coherence(count: int) -> float:
    """Coherence of `count` images, which is `count` at most, that chance does not reach."""
    return 1 + min(3.0, 0.3 * (count - 1))


def _rings(furthest: float) -> list[float]:
    """Shifts of the outermost tilt, in scan pixels, both signs of the defocus."""
    rings = np.arange(0.5, furthest + 0.5, 0.5)
    return [*(-rings[::-1]).tolist(), 0.0, *rings.tolist()]


class _Search:
    """How coherent the images are for one guess after another."""

    def __init__(self, bright: BrightField, spectra: TiltSpectra) -> None:
        self.bright, self.spectra = bright, spectra
        self.outermost = float(np.hypot(*bright.tilts.T).max())
        self.furthest = min(bright.scan_shape) / 3
        q = np.hypot(spectra.rows[:, None], spectra.columns)
        self.use = (q > 0.12 / bright.step_mean) & (q < 0.5 / bright.step_mean)  # lower ones hardly know a shift
        self.alone = (np.abs(spectra.spectra) ** 2).sum(1)

    def over(self, edges: list[float], rotations: list[float], flips: list[bool]) -> RoundFit:
        """The best of all combinations; `edges` are shifts of the outermost tilt in scan pixels."""
        best = RoundFit(0.0, rotations[0], flips[0], 0.0)
        for edge in edges:
            defocus = edge * self.bright.step_mean / (self.bright.wavelength * self.outermost)
            for rotation in rotations:
                for flip in flips:
                    coherence = self.coherence(defocus, rotation, flip)
                    if coherence > best.coherence:
                        best = RoundFit(defocus, wrapped_angle(rotation), flip, coherence, edge)
        return best

    def coherence(self, defocus: float, rotation: float, transpose: bool) -> float:
        tilts = -self.bright.wavelength * defocus * self.bright.tilts
        total = self.spectra.total(*self.spectra.ramps(rotate_vectors(tilts.T, rotation, transpose).T))
        return float((np.abs(total[self.use]) ** 2 / (self.alone[self.use] + 1e-30)).mean())


def merged(bright: BrightField, most: int) -> BrightField:
    """Neighbouring tilts summed, 2 x 2, 3 x 3, ..., until no more than `most` are left."""
    bin, group = _groups(bright, most)
    if bin == 1:
        return bright
    images = np.zeros((group.max() + 1, *bright.scan_shape), np.float32)
    for into, image in zip(group.tolist(), bright.images, strict=True):
        images[into] += image
    return replace(bright, images=images, tilts=merged_tilts(bright, most)[0], q_pixel=_widened(bright, bin))


def merged_tilts(bright: BrightField, most: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The tilts (K, 2) alone that :func:`merged` has, their counts (K,) and their distance (1/A)."""
    bin, group = _groups(bright, most)
    weights = bright.images.mean(axis=(1, 2), dtype=np.float64)
    total = np.bincount(group, weights)
    if not (total > 0).all():  # without a count they all weigh the same
        weights = np.where((total > 0)[group], weights, 1.0)
    share = np.bincount(group, weights)
    tilts = [np.bincount(group, weights * bright.tilts[:, axis]) / share for axis in (0, 1)]
    return np.stack(tilts, 1), total, bright.q_mean * bin


def _widened(bright: BrightField, bin: int) -> float | tuple[float, float]:
    """Distance of tilts of which `bin` x `bin` are one (1/A)."""
    return single((bright.q_pixels[0] * bin, bright.q_pixels[1] * bin))


def _groups(bright: BrightField, most: int) -> tuple[int, np.ndarray]:
    """How many tilts in each direction are merged, and the group (K,) of each."""
    bin = max(1, math.ceil(math.sqrt(len(bright.images) / most)))
    cell = np.floor((bright.tilts - bright.tilts.min(0)) / (bin * np.array(bright.q_pixels)) + 1e-6).astype(int)
    return bin, np.unique(cell @ np.array([cell.max() + 1, 1]), return_inverse=True)[1].ravel()
