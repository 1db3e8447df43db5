"""How much of the bright-field disk a mask hides, and how far that moves the centre of mass of what is left."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve

from ptywidgets.engine.core.errors import InsufficientData, ParameterError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.dataset import Dataset

NOTICED = 0.01  # of the disk's radius: a centre of mass that is off by less is off by what noise and descan do
UNTOLD = 0.1  # likewise: with more, no search has found the truth, and some were sure of something else


@dataclass(frozen=True)
class HiddenDisk:
    """What a mask hides of the bright-field disk."""

    share: float  # of the disk's pixels, that are masked
    off: float  # distance of the centre of mass of the others from the disk's centre, in radii; 0 for a round beam stop

    def __str__(self) -> str:
        return (
            f"{self.share:.0%} of the bright-field disk is masked, on one side of it, which moves its centre of mass "
            "and hides its rim (mask less of it)"
        )


def hidden_disk(dataset: Dataset) -> HiddenDisk:
    """Look what the mask of a dataset hides of its disk.

    The disk is where a circle of its radius holds most of the bright pixels and fewest of the dark ones; masked ones
    say nothing. Where there is no disk, as nothing is brighter than the rest, none of it is hidden.

    Parameters
    ----------
    dataset : Dataset
        With energy, semi-angle and detector pixel.

    Examples
    --------
    >>> import numpy as np
    >>> from ptywidgets import samples
    >>> data = samples.ducky("tiny")
    >>> half = np.ones(data.detector_shape, bool)
    >>> half[:, :32] = False
    >>> hidden = hidden_disk(data.with_mask(half))
    >>> bool(0.4 < hidden.share < 0.6), hidden.off > UNTOLD, hidden_disk(data)
    (True, True, HiddenDisk(share=0.0, off=0.0))
    """
    if not isinstance(dataset, Dataset):
        raise ParameterError(
            f"what a mask hides of a disk is looked for in {dataset!r}; expected a Dataset, from read(path) or "
            "Dataset(data, Calibration(...))."
        )
    mask, known = dataset.mask, dataset.calibration
    if mask is None or known.semiangle is None:
        return HiddenDisk(0.0, 0.0)
    radius = math.sin(1e-3 * known.semiangle) / wavelength(known.require("energy")) / np.array(known.q_pixels)
    pattern = np.asarray(dataset.mean_pattern(), float)
    seen = pattern[mask]
    height = float(np.sort(seen)[-max(1, min(seen.size, round(0.25 * math.pi * float(radius.prod())))) :].mean())
    if not height > seen.min():  # nothing, or the same everywhere
        return HiddenDisk(0.0, 0.0)
    weight = np.where(mask, np.where(pattern > 0.5 * height, 1.0, -1.0), 0.0)
    reach = [min(math.ceil(r), n) for r, n in zip(radius, mask.shape, strict=True)]  # all that a detector holds
    disk = _inside(np.mgrid[-reach[0] : reach[0] + 1, -reach[1] : reach[1] + 1], (0, 0), radius)
    score = fftconvolve(weight, disk.astype(float), mode="same")
    centre = np.unravel_index(int(score.argmax()), score.shape)
    places = np.mgrid[: mask.shape[0], : mask.shape[1]]
    inside = _inside(places, centre, radius)
    left = inside & mask
    if not left.any():
        return HiddenDisk(1.0, 1.0)
    off = [(places[i][left].mean() - places[i][inside].mean()) / radius[i] for i in (0, 1)]
    return HiddenDisk(1 - left.sum() / inside.sum(), math.hypot(*off))


def require_disk(hidden: HiddenDisk) -> None:
    """Raise an InsufficientData where too much of one side of the disk is masked."""
    if hidden.off > UNTOLD:
        raise InsufficientData(f"{hidden}.")


def _inside(places: np.ndarray, centre: tuple[int, ...] | tuple[np.intp, ...], radius: np.ndarray) -> np.ndarray:
    (y, x), (cy, cx) = places, centre
    return np.hypot((y - cy) / radius[0], (x - cx) / radius[1]) <= 1


__all__ = ["NOTICED", "HiddenDisk", "hidden_disk", "require_disk"]
