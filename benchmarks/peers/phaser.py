"""phaser on JAX: ePIE of its conventional engine and Adam of its gradient engine.

Its LSQML is left out: its steps depend on the unit of the counts, and it came to a correlation of 0.77 at best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from protocol import LONG, Given, Turn, centred, sampling

COMMON = {"probe_modes": 1, "niter": LONG, "noise_model": {"type": "anscombe"}, "iter_constraints": []}
CLAMP = [{"type": "clamp_object_amplitude", "amplitude": 1.1}]
ENGINES: dict[str, dict[str, Any]] = {
    "epie": {
        "type": "conventional",
        "grouping": 32,
        "solver": {"type": "epie", "beta_object": 0.5, "beta_probe": 0.1},
        "group_constraints": CLAMP,
    },
    "adam": {
        "type": "gradient",
        "grouping": 64,
        "solvers": {
            "object": {"type": "adam", "learning_rate": 1e-2},
            "probe": {"type": "adam", "learning_rate": 1e-2},
        },
        "regularizers": [],
        "group_constraints": CLAMP,
    },
}
SETTINGS = {
    "epie": "ePIE (object 0.5, probe 0.1), groups of 32, JAX",
    "adam": "Adam (rate 0.01), groups of 64, Anscombe, JAX",
}


def run(given: Given, mode: str, turn: Turn) -> None:
    """`mode` is "epie" or "adam"."""
    import pane
    from phaser.execute import prepare_for_engine
    from phaser.hooks import EngineHook
    from phaser.observer import Observer
    from phaser.state import IterState, Patterns, PixelatedObjectState, PixelatedProbeState, ReconsState, ScanState
    from phaser.utils.num import Sampling, get_backend_module
    from phaser.utils.object import ObjectSampling

    xp = get_backend_module("jax")
    engine = pane.from_data({**COMMON, **ENGINES[mode]}, EngineHook)
    window = given["probe"].shape
    grid = Sampling(window, sampling=(sampling(given),) * 2)
    scan = given["positions"].astype(np.float32)
    field = ObjectSampling.from_scan(scan, grid.sampling, grid.extent / 2 + 5 * grid.sampling)
    patterns = np.fft.ifftshift(centred(given), axes=(-2, -1))
    state = ReconsState(
        iter=IterState(0, 0, 0),
        wavelength=float(given["wavelength"]),
        # Its windows lie half a pixel from where their middle pixel is, which moves the picture as a whole.
        probe=PixelatedProbeState(grid, np.fft.fftshift(given["probe"])[None].astype(np.complex64)),
        object=PixelatedObjectState(field, np.ones((1, *field.shape), np.complex64), np.array([], np.float32)),
        scan=ScanState(scan, scan.copy()),
    )
    data, state = prepare_for_engine(Patterns(patterns, np.ones(window, np.float32)), state, xp, engine.props)

    class Watch(Observer):
        def start_engine(self, init_state: Any) -> None:
            turn.ready(SETTINGS[mode], ("phaserem", "jax"))

        def update_iteration(self, state: Any, i: int, n: int, errors: dict[str, float]) -> None:
            np.asarray(state.object.data[0, 0, 0])  # JAX works ahead; this waits for it
            turn.done(lambda: result(state))

    def result(state: Any) -> tuple[np.ndarray, np.ndarray, float]:
        field = state.object.sampling
        pixels = (np.asarray(state.scan.data, float) - field.corner) / field.sampling
        return np.asarray(state.object.data[0]), pixels.reshape(-1, 2), float(field.sampling[0])

    args = {"data": data, "state": state, "dtype": np.float32, "xp": xp, "recons_name": "bench", "seed": 0}
    engine({**args, "observer": Watch()})
