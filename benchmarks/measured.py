"""Reconstruct the measured low-dose data of docs/measured.md and draw the picture shown there.

    python benchmarks/measured.py cryo_rotavirus_bin2_small.h5 docs/images/rotavirus.png

The file is described in docs/measured.md.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from scipy import ndimage

from ptywidgets import Reconstruction
from ptywidgets.engine.io.atomic import PICTURE, atomic_file, checked_target
from ptywidgets.engine.io.images.png import png
from ptywidgets.engine.preprocess import integrate
from ptywidgets.widgets.image.png import side_by_side

SEMIANGLE = 1.03  # mrad
OBJECT_PIXEL = 4.65  # A
DEFOCUS = 135e3  # A; documented as -13.5 um with the opposite sign convention


def reconstruct(path: str) -> Reconstruction:
    """The steps of docs/measured.md."""
    begun = time.perf_counter()
    recon = Reconstruction.open(
        path, energy=300e3, semiangle=SEMIANGLE, scan_step=62.5, q_pixel=1 / (128 * OBJECT_PIXEL), defocus=DEFOCUS
    )
    recon.optics = recon.optics.replace(rolloff=0.04)
    print(recon.calibrate())
    print(f"start found after {time.perf_counter() - begun:.1f} s")
    told = lambda change: print(f"iteration {change['new']} after {time.perf_counter() - begun:.1f} s")  # noqa: E731
    recon.observe(told, "iteration")
    return recon.run()


def main(path: str, picture: str) -> None:
    """Reconstruct and draw: integrated centre of mass (left), ptychographic phase (right)."""
    checked_target(picture, inputs=[Path(path)], replaces=PICTURE)
    recon = reconstruct(path)
    print(recon)
    phase = ndimage.gaussian_filter(recon.object_phase, 2.5)
    com = integrate(recon.measurement.com_corrected, recon.calibration.scan_step)
    com = ndimage.zoom(com, [n / m for n, m in zip(phase.shape, com.shape, strict=True)], order=0)
    views = [colours_of(com, 1, 99.5), colours_of(phase, 0.5, 99.7)]
    with atomic_file(picture, inputs=recon.inputs, replaces=PICTURE) as temporary:
        temporary.write_bytes(png(side_by_side(views)))


def colours_of(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Grey levels (H, W, 3) uint8 between two percentiles."""
    lo, hi = np.percentile(image, [low, high])
    grey = (255 * np.clip((image - lo) / (hi - lo), 0, 1)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
