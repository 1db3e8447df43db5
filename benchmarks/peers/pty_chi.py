"""pty-chi: ePIE and LSQML with the steps of its tests' examples."""

from __future__ import annotations

import logging
import warnings

import numpy as np
from protocol import LONG, Given, Turn, centred, sampling, torchvision_stand_in, window_corners

BATCH = 64
ALPHA = 0.5  # of ePIE, for the object and the probe
SETTINGS = {"epie": f"ePIE (alpha {ALPHA}), batch {BATCH}", "lsqml": f"LSQML, batch {BATCH}"}


def run(given: Given, mode: str, turn: Turn) -> None:
    """`mode` is "epie" or "lsqml"."""
    warnings.filterwarnings("ignore")
    torchvision_stand_in()
    import ptychi.api as api
    from ptychi.api.task import PtychographyTask

    logging.disable(logging.WARNING)
    options = api.EPIEOptions() if mode == "epie" else api.LSQMLOptions()
    options.object_options.pixel_size_m = sampling(given) * 1e-10
    options.data_options.wavelength_m = float(given["wavelength"]) * 1e-10
    options.probe_position_options.optimizable = False
    options.reconstructor_options.batch_size = BATCH
    options.reconstructor_options.num_epochs = LONG
    options.reconstructor_options.default_device = api.Devices.CPU
    options.reconstructor_options.random_seed = 0
    if mode == "epie":
        options.object_options.alpha = ALPHA
        options.probe_options.alpha = ALPHA
    pixels = given["positions"] / sampling(given)
    pixels -= (pixels.max(0) + pixels.min(0)) / 2
    _, shape = window_corners(given)
    task = PtychographyTask(
        options,
        diffraction_data=centred(given),
        object_data=np.ones((1, *shape), np.complex64),
        probe_data=(np.fft.fftshift(given["probe"])[None, None] / given["probe"].shape[-1]).astype(np.complex64),
        probe_position_x_px=pixels[:, 1].astype(np.float32),
        probe_position_y_px=pixels[:, 0].astype(np.float32),
    )
    turn.ready(SETTINGS[mode], ("ptychi", "torch"))

    def result() -> tuple[np.ndarray, np.ndarray, float]:
        # Its origin of positions; a common half pixel is no matter, since scores align results.
        middle = np.round(np.array(shape) / 2) - 0.5
        return task.get_data_to_cpu("object", as_numpy=True)[0], pixels + middle, sampling(given)

    while True:
        task.run(n_epochs=1)
        turn.done(result)
