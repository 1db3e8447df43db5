"""What the right model is worth: simulated sets whose truth is known, thin and coherent models beside fitting ones.

    python benchmarks/models.py sto small_mixed --data FOLDER [--peers FOLDER] [--picture PICTURE.png]

Each set is reconstructed by the automatic schedule with several models; the score is that of
`ptywidgets.metrics.compare_to_truth` on the projected phase. With --peers, results of other programs, .npz files
with `object`, `pos_px` and `sampling` whose names contain that of the set, are scored in the same way. Geometry and
defocus are those that the sets were made with. The picture shows a depth section of the thick specimen and its truth.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from ptywidgets import read
from ptywidgets.engine import Aberrations, ModelConfig, Optics, make_problem, prepare, reconstruct
from ptywidgets.engine.io.atomic import PICTURE, atomic_file
from ptywidgets.engine.metrics import compare_to_truth

THICKNESS = 199.0  # A, of the strontium titanate
MODELS = {
    "sto": {"thin": ModelConfig(), "10 slices": ModelConfig(slices=10, thickness=THICKNESS)},
    "small_mixed": {
        "coherent": ModelConfig(),
        "4 modes": ModelConfig(modes=4),
        "source and focal spread": ModelConfig(source_size=0.45, focal_spread=40.0),
    },
}


class Known:
    """A simulated set with its truth."""

    def __init__(self, folder: Path, name: str) -> None:
        self.meta = json.loads((folder / f"{name}_meta.json").read_text())
        energy, semiangle = self.meta["energy_eV"], self.meta["semiangle_mrad"]
        dataset = read(folder / f"{name}.h5", energy=energy, semiangle=semiangle)
        self.dataset = dataset.with_vacuum(folder / f"{name}_vacuum-probe.h5")
        self.phase = np.load(folder / f"{name}_truth.npz")["phase"]
        self.positions = np.load(folder / f"{name}_positions_A.npy")

    def score(self, obj: np.ndarray, positions: np.ndarray, sampling: Any) -> Any:
        """How close a projected object is; `positions` in A from its first pixel."""
        phase = np.angle(obj) if np.iscomplexobj(obj) else obj
        phase, truth = (p.sum(0) if p.ndim == 3 else p for p in (phase, self.phase))
        known = self.meta["truth_sampling_A"]
        return compare_to_truth(phase, positions, truth, self.positions, sampling=sampling, truth_sampling=known)

    def reconstructed(self, config: ModelConfig, iterations: int) -> tuple[Any, Any, float]:
        """Problem, state and seconds."""
        measurement = prepare(self.dataset, rotation=self.meta["rotation_deg"], transpose=False)
        optics = Optics.from_dataset(self.dataset, aberrations=Aberrations(defocus=self.meta["defocus_A"]))
        model, probe = config.build("potential", measurement), config.initial_probe(optics, measurement)
        problem = make_problem(measurement, optics, model=model, probe=probe)
        began = time.perf_counter()
        *_, state = reconstruct(problem, iterations=iterations)
        return problem.at_window(state.probe.shape[-2:]), state, time.perf_counter() - began


def main() -> None:
    """Score every config of every set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(MODELS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--iterations", type=int, default=40)
    parser.add_argument("--picture", help="where to draw the depth section")
    options = parser.parse_args()
    for name in options.sets:
        known = Known(options.data, name)
        for path in sorted(options.peers.glob(f"*_{name}_*.npz")) if options.peers else ():
            stored = np.load(path)
            sampling = float(stored["sampling"])
            found = known.score(stored["object"], stored["pos_px"] * sampling, sampling)
            print(f"{name}, {path.stem}: correlation {found.correlation:.4f}, rms {found.rms:.3f} rad", flush=True)
        for words, config in MODELS[name].items():
            problem, state, seconds = known.reconstructed(config, options.iterations)
            found = known.score(state.object, state.positions, problem.sampling)
            line = f"{name}, {words}: correlation {found.correlation:.4f}, rms {found.rms:.3f} rad, contrast"
            print(f"{line} {found.contrast:.3f}, {state.iteration} iterations in {seconds:.0f} s", flush=True)
            if options.picture and len(state.object) > 1:
                draw(known, problem, state, options.picture)


def draw(known: Known, problem: Any, state: Any, path: str) -> None:
    """The section through the middle of the scan, beside that of the truth, and the profile of a column in depth."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    sampling, fine = problem.sampling[1], known.meta["truth_sampling_A"]
    low, high = state.positions.min(0), state.positions.max(0)
    there = known.positions.min(0)
    figure, axes = plt.subplots(2, 2, figsize=(10, 8), width_ratios=(1, 1.4))
    pictures = ((state.object, low, sampling, "reconstructed"), (known.phase, there, fine, "truth"))
    for row, (slices, corner, pixel, title) in zip(axes, pictures, strict=True):
        (y0, x0), (y1, x1) = (np.rint(c / pixel).astype(int) for c in (corner, corner + high - low))
        seen = slices[:, y0:y1, x0:x1]
        column = seen.sum(0).sum(1).argmax()
        row[0].imshow(seen.sum(0), cmap="magma")
        row[0].axhline(column, color="w", lw=0.5)
        row[0].set_title(f"{title}: projection")
        row[1].imshow(seen[:, column] / np.ptp(seen), cmap="magma", aspect="auto", extent=(0, high[1] - low[1], 199, 0))
        row[1].set_title(f"{title}: depth section along the line")
        row[1].set_xlabel("A")
        row[1].set_ylabel("depth, A")
    figure.tight_layout()
    with atomic_file(path, replaces=PICTURE) as temporary:
        figure.savefig(temporary, dpi=90, format="png")


if __name__ == "__main__":
    main()
