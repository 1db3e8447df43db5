"""The peers' side of direct.py, run by a Python that has the peer: one method for each name read from standard input.

    python direct_peers.py py4dstem data.npz result.npz

Each answer is a line "SECONDS number" after the phase and its sampling are saved. Orientation and lens are given.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import warnings

import numpy as np

warnings.filterwarnings("ignore")


def py4dstem(given):
    """Functions by name; each does all its work from data in memory, as the peer's tutorials do, without drawing."""
    import py4DSTEM
    from py4DSTEM.process.phase import DPC, OBF, SSB, WDD, Parallax

    cube = py4DSTEM.DataCube(given["data"].astype(np.float32))
    cube.calibration.set_R_pixel_size(float(given["scan_step"]))
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(float(given["q_pixel"]))
    cube.calibration.set_Q_pixel_units("A^-1")
    energy, step, turn = float(given["energy"]), float(given["scan_step"]), float(given["rotation"])
    lens = {"semiangle_cutoff": float(given["semiangle"]), "defocus": float(given["defocus"])}
    plots = {"plot_center_of_mass": False, "plot_rotation": False}
    known = {"force_com_rotation": turn, "force_com_transpose": False}

    def dpc():
        p = DPC(energy=energy, datacube=cube, verbose=False).preprocess(**plots, **known)
        return 2 * np.pi * p.reconstruct(progress_bar=False, reset=True).object_phase, step

    def parallax():
        p = Parallax(energy=energy, datacube=cube, verbose=False, object_padding_px=(8, 8))
        p.preprocess(edge_blend=4, plot_average_bf=False, force_rotation_angle_deg=turn, force_transpose=False)
        p.reconstruct(progress_bar=False, plot_aligned_bf=False, plot_convergence=False, reset=True)
        p.subpixel_alignment(plot_upsampled_BF_comparison=False, plot_upsampled_FFT_comparison=False)
        p.aberration_fit(plot_CTF_comparison=False, plot_BF_shifts_comparison=False)
        p.aberration_correct(plot_corrected_phase=False)
        image = p.object_cropped
        return image, step * given["data"].shape[0] / image.shape[0]

    def side_bands(kind, **options):
        def run():
            p = kind(energy=energy, datacube=cube, verbose=False, **lens)
            p.preprocess(plot_overlap_trotters=False, **plots, **known)
            p.reconstruct(progress_bar=False, num_jobs=os.cpu_count(), **options)
            return np.angle(p.object), step

        return run

    names = {"DPC": dpc, "parallax": parallax, "SSB": side_bands(SSB), "OBF": side_bands(OBF)}
    return {**names, "WDD": side_bands(WDD, relative_wiener_epsilon=0.01)}


def quantem(given):
    """The same for quantem: `FINE` times finer than the scan, where the kernel can."""
    from quantem.core.datastructures import Dataset4d
    from quantem.diffractive_imaging.direct_ptychography import DirectPtychography

    step, fine = float(given["scan_step"]), int(given["fine"])
    scales = (step, step, float(given["q_pixel"]), float(given["q_pixel"]))
    data = Dataset4d.from_array(given["data"].astype(np.float32), sampling=scales, units=("A", "A", "A^-1", "A^-1"))

    def kernel(name, scaled=True):
        def run():
            p = DirectPtychography.from_dataset4d(
                data,
                energy=float(given["energy"]),
                semiangle_cutoff=float(given["semiangle"]),
                aberration_coefs={"C10": -float(given["defocus"])},
                rotation_angle=float(given["rotation"]),
                verbose=False,
            )
            p.reconstruct(deconvolution_kernel=name, upsampling_factor=fine, verbose=False)
            return np.asarray(p.corrected_bf) * (fine**2 if scaled else 1), step / fine

        return run

    names = {"DPC": "icom", "parallax": "prlx", "SSB": "ssb", "OBF": "obf"}
    others = {"OBF, prior": kernel("wiener", scaled=False), "WDD": kernel("wdd", scaled=False)}
    return {**{name: kernel(own) for name, own in names.items()}, **others}


def main(peer, source, target):
    """Answer until the input ends."""
    given = dict(np.load(source))
    methods = {"py4dstem": py4dstem, "quantem": quantem}[peer](given)
    answers = sys.stdout
    for line in sys.stdin:
        name = line.strip()
        if name not in methods:
            print("NONE", file=answers, flush=True)
            continue
        try:
            with contextlib.redirect_stdout(sys.stderr):
                start = time.perf_counter()
                phase, sampling = methods[name]()
                seconds = time.perf_counter() - start
            np.savez(target, phase=phase, sampling=sampling)
            print("SECONDS", seconds, file=answers, flush=True)
        except Exception as error:
            print("FAILED", repr(error)[:200].replace("\n", " "), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
