"""Compare two starts for measured data: the documented one, and the one that was found from the data alone.

    python benchmarks/half_sets.py cryo_rotavirus_bin2_small.h5 [--seeds 0 1 2]

The counts are split at random into two halves (binomial thinning), each half is reconstructed on its own with either
start, and the two pictures are compared ring by ring: what is not noise is in both. The file: docs/measured.md.
"""

from __future__ import annotations

import argparse

import numpy as np

from ptywidgets import Dataset, Reconstruction, read
from ptywidgets.engine import Aberrations, GradientDescent, Optics
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.constraints import VacuumBaseline
from ptywidgets.engine.metrics import Ring, frc, thin_counts

SEMIANGLE = 1.03  # mrad
ROLLOFF = 0.04  # mrad
OBJECT_PIXEL = 4.65  # A
DOCUMENTED = {"rotation": 126.0, "defocus": 135e3}  # degrees, A, in the sign conventions of docs/conventions.md
BANDS = ((0, 0.005), (0.005, 0.01), (0.01, 0.02), (0.02, 0.04), (0.04, 0.1))  # 1/A
EDGE = 0.18  # of the picture that is left out on each side


def reconstruct(half: Dataset, rotation: float, defocus: float) -> Reconstruction:
    """16 iterations of a potential object with the probe held, as in docs/measured.md."""
    optics = Optics(semiangle=SEMIANGLE, rolloff=ROLLOFF, aberrations=Aberrations(defocus=defocus))
    recon = Reconstruction(half, optics=optics, object_type="potential")
    recon.prepare(rotation=rotation, transpose=False)
    recon.update_plan(
        iterations=16,
        batch=256,
        algorithm=GradientDescent(step=0.5, normalization_min=0.3, hold_probe=True),
        constraints=(VacuumBaseline(),),
    )
    return recon.run()


def agreement(halves: tuple[Dataset, Dataset], rotation: float, defocus: float) -> Ring:
    """Fourier ring correlation of the two halves' pictures."""
    runs = [reconstruct(half, rotation, defocus) for half in halves]
    pictures = []
    for run in runs:
        cut = [int(EDGE * n) for n in run.object_phase.shape]
        pictures.append(run.object_phase[cut[0] : -cut[0], cut[1] : -cut[1]])
    return frc(*pictures, runs[0].sampling)


def main() -> None:
    """Print the start that is found, and the agreement of the halves for both."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("path")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    known = {"energy": 300e3, "semiangle": SEMIANGLE, "scan_step": 62.5, "q_pixel": 1 / (128 * OBJECT_PIXEL)}
    dataset = read(options.path, **known).load()
    start = calibrate(dataset, aberrations=Aberrations(defocus=1), transpose=False)  # of the defocus, the sign
    print(start, f"\n{start.seconds:.1f} s")
    found = {"rotation": start.measurement.rotation, "defocus": start.optics.aberrations["defocus"]}
    for seed in options.seeds:
        halves = thin_counts(dataset, seed=seed)
        for name, values in (("documented", DOCUMENTED), ("found", found)):
            ring = agreement(halves, **values)
            bands = " ".join(f"{ring.mean(low, high):.3f}" for low, high in BANDS)
            told = f"{values['rotation']:6.1f} degrees, {values['defocus'] / 1e3:.1f} kA"
            ends = f"1/7 at {ring.resolution():.1f} A, 1/2 at {ring.resolution(0.5):.1f} A"
            print(f"seed {seed} {name:10} {told}: {ends}; mean in bands {bands}; all {np.mean(ring.correlation):.4f}")


if __name__ == "__main__":
    main()
