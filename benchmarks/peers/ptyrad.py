"""PtyRAD: Adam with its default losses and constraints; positions are held."""

from __future__ import annotations

import logging
import sys
from typing import Any
from unittest import mock

import numpy as np
from protocol import Given, Turn, centred, positions_of_windows, sampling, torchvision_stand_in, window_corners

BATCH = 32
RATES = {"obja": 5e-3, "objp": 5e-3, "probe": 1e-3, "obj_tilts": 0.0, "slice_thickness": 0.0, "probe_pos_shifts": 0.0}


def run(given: Given, mode: str, turn: Turn) -> None:
    """`mode` is "adam"."""
    torchvision_stand_in()
    for name in ("", ".basic", ".model"):  # 1.0.0 has syntax of Python 3.12 in what it plots with
        sys.modules[f"ptyrad.plotting{name}"] = mock.MagicMock()
    import torch
    from ptyrad.core import CombinedConstraint, CombinedLoss, PtychoModel
    from ptyrad.params.constraint_params import ConstraintParams
    from ptyrad.params.loss_params import LossParams
    from ptyrad.solver.reconstruction import (
        compute_loss,
        create_optimizer,
        make_batches,
        recon_step,
        toggle_grad_requires,
    )

    logging.disable(logging.INFO)
    patterns = centred(given)
    scale = patterns.mean(0).max()  # what its initialisation calls "max_at_one"
    patterns /= scale
    corners, shape = window_corners(given)
    whole = np.rint(corners).astype(int)
    rows, columns = given["scan_shape"]
    variables: dict[str, Any] = {
        "measurements": patterns,
        "obj": np.ones((1, 1, *shape), np.complex64),
        "obj_tilts": np.zeros((1, 2), np.float32),
        "slice_thickness": 1.0,
        "probe": (np.fft.fftshift(given["probe"]) / np.sqrt(scale)).astype(np.complex64)[None],
        "probe_pos_shifts": (corners - whole).astype(np.float32),
        "omode_occu": np.ones(1, np.float32),
        "H": np.ones(given["probe"].shape, np.complex64),
        "N_scan_slow": int(rows),
        "N_scan_fast": int(columns),
        "crop_pos": whole,
        "dx": sampling(given),
        "dk": float(given["q_pixel"]),
        "lambd": float(given["wavelength"]),
        "random_seed": 0,
        "length_unit": "Ang",
        "scan_affine": None,
        "meas_Npix": patterns.shape[-1],
        "simu_Npix": patterns.shape[-1],
        "simu_match_mode": None,
        "recon_provenance": None,
    }
    updates = {k: {"start_iter": 1 if v else None, "end_iter": None, "lr": v} for k, v in RATES.items()}
    optimizer_params: dict[str, Any] = {"name": "Adam", "configs": {}, "load_state": None}
    settings = {"detector_blur_std": None, "update_params": updates, "optimizer_params": optimizer_params}
    model = PtychoModel(variables, settings, device="cpu")
    losses = CombinedLoss(LossParams().model_dump(), device="cpu")
    constraints = CombinedConstraint(ConstraintParams().model_dump(), device="cpu")
    optimizer = create_optimizer(optimizer_params, model.optimizable_params)
    batches = make_batches(np.arange(len(whole)), whole, BATCH, mode="random", seed=0)
    about = f"Adam (object {RATES['objp']:g}, probe {RATES['probe']:g}), batch {BATCH}, default constraints"
    turn.ready(about, ("ptyrad", "torch"))

    def result() -> tuple[np.ndarray, np.ndarray, float]:
        with torch.no_grad():
            image = torch.polar(model.opt_obja, model.opt_objp)[0, 0].numpy().copy()
        return image, positions_of_windows(corners, given), sampling(given)

    iteration = 0
    while True:
        iteration += 1
        toggle_grad_requires(model, iteration)
        recon_step(batches, 1, model, optimizer, None, losses, constraints, iteration, compute_loss_fn=compute_loss)
        turn.done(result)
