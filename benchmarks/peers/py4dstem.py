"""py4DSTEM: single-slice gradient descent as in its tutorials."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from protocol import Given, Turn

BATCH = 512


def run(given: Given, mode: str, turn: Turn) -> None:
    """`mode` is "complex" or "potential"."""
    warnings.filterwarnings("ignore")
    import py4DSTEM
    from py4DSTEM.process.phase import SingleslicePtychography

    cube = py4DSTEM.DataCube(given["patterns"].reshape(*given["scan_shape"], *given["probe"].shape).astype(np.float32))
    cube.calibration.set_R_pixel_size(float(given["scan_step"]))
    cube.calibration.set_R_pixel_units("A")
    cube.calibration.set_Q_pixel_size(float(given["q_pixel"]))
    cube.calibration.set_Q_pixel_units("A^-1")
    peer: Any = SingleslicePtychography(
        datacube=cube,
        energy=float(given["energy"]),
        vacuum_probe_intensity=given["vacuum"].astype(np.float32),
        defocus=float(given["defocus"]),
        initial_probe_guess=given["probe"] / given["probe"].shape[-1],  # its transform is not orthonormal
        object_type=mode,
        verbose=False,
        device="cpu",
    )
    peer.preprocess(
        plot_center_of_mass=False,
        plot_rotation=False,
        plot_probe_overlaps=False,
        force_com_rotation=float(given["rotation"]),
        force_com_transpose=bool(given["transpose"]),
    )
    positivity = ", positivity" if mode == "potential" else ""
    turn.ready(f"GradientDescent, batch {BATCH}, step 0.5, {mode} object{positivity}", ("py4DSTEM", "scipy"))
    iteration = 0
    while True:
        # Seeded anew in every call: a seed of its own gives each iteration batches of its own, as one long call has.
        peer.reconstruct(
            num_iter=1, max_batch_size=BATCH, seed_random=iteration, reset=iteration == 0, progress_bar=False
        )
        iteration += 1
        turn.done(lambda: (np.asarray(peer.object), np.asarray(peer._positions_px), float(peer.sampling[0])))
