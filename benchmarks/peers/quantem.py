"""quantem: Adam through automatic differentiation; descan and positions are held."""

from __future__ import annotations

import warnings

import numpy as np
from protocol import Given, Turn, sampling

BATCH = 64
OBJECT, PROBE = 5e-3, 1e-3  # rates of Adam


def run(given: Given, mode: str, turn: Turn) -> None:
    """`mode` is "adam"."""
    warnings.filterwarnings("ignore")
    from quantem.core.datastructures import Dataset4dstem
    from quantem.core.ml import OptimizerParams
    from quantem.diffractive_imaging import (
        DetectorPixelated,
        ObjectPixelated,
        ProbePixelated,
        Ptychography,
        PtychographyDatasetRaster,
    )

    shape = (*given["scan_shape"], *given["probe"].shape)
    scales = (*[float(given["scan_step"])] * 2, *[float(given["q_pixel"])] * 2)
    patterns = given["patterns"].reshape(shape).astype(np.float32)
    bright = float(patterns.sum(dtype=float) / np.prod(given["scan_shape"]))
    patterns /= bright  # the rate of the probe is in units of its amplitude
    raw = Dataset4dstem.from_array(patterns, sampling=scales, units=("A", "A", "A^-1", "A^-1"))
    data = PtychographyDatasetRaster.from_dataset4dstem(
        raw, verbose=False, learn_descan=False, learn_scan_positions=False
    )
    data.preprocess(
        com_fit_function="plane",
        force_com_rotation=float(given["rotation"]),
        force_com_transpose=bool(given["transpose"]),
        plot_rotation=False,
        plot_com=False,
        probe_energy=float(given["energy"]),
    )
    known = {"energy": float(given["energy"]), "defocus": float(given["defocus"])}
    peer = Ptychography.from_models(
        dset=data,
        obj_model=ObjectPixelated.from_uniform(obj_type="complex", num_slices=1),
        probe_model=ProbePixelated.from_array(given["probe"] / np.float32(np.sqrt(bright)), probe_params=known),
        detector_model=DetectorPixelated(),
        verbose=False,
        rng=0,
    )
    peer.preprocess(obj_padding_px=(8, 8))
    turn.ready(f"Adam (object {OBJECT:g}, probe {PROBE:g}), batch {BATCH}, complex object", ("quantem", "torch"))
    rates = {"object": OptimizerParams.Adam(lr=OBJECT), "probe": OptimizerParams.Adam(lr=PROBE)}

    def result() -> tuple[np.ndarray, np.ndarray, float]:
        return peer.obj[0], data.scan_positions_px.detach().cpu().numpy().astype(float), sampling(given)

    first = True
    while True:
        peer.reconstruct(num_iters=1, reset=first, optimizer_params=rates if first else None, batch_size=BATCH)
        first = False
        turn.done(result)
