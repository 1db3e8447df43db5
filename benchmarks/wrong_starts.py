"""Which runs from a start that is wrong on purpose say so at their end, and which runs from the true one do.

    python benchmarks/wrong_starts.py small_dose1e4 crystal_a --data FOLDER [--kinds rotation+60 ...] [--remade ...]

Each line is a run of the automatic schedule: what was told wrongly, what the phase correlates with the truth, how the
run ended and in which words. "true" and what begins with it are starts with nothing wrong: a doubt there is a false
alarm. A run from another start that nevertheless comes within 0.02 of the true one's correlation has found its way, and
need not be doubted. The last lines count both. Without a folder of simulated sets our own ducky stands for them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, load_case
from scipy import ndimage
from score import Truth, score

from ptywidgets import Reconstruction
from ptywidgets.engine import Aberrations, Dataset, ModelConfig, Optics, make_problem, prepare
from ptywidgets.engine.metrics import thin_counts

NEAR = 0.02  # of the true start's correlation: the run has found its way


@dataclass(frozen=True)
class Trial:
    """Data and what is told about them."""

    dataset: Dataset
    aberrations: Aberrations
    rotation: float  # degrees
    transpose: bool
    model: ModelConfig = ModelConfig()  # noqa: RUF009  # frozen

    def turned(self, by: float) -> Trial:
        """With another rotation."""
        return replace(self, rotation=self.rotation + by)

    def lens(self, factor: float) -> Trial:
        """With another defocus."""
        return replace(self, aberrations=self.aberrations.replace(C10=factor * self.aberrations.get("C10", 0.0)))

    def calibrated(self, **values: float) -> Trial:
        """With another calibration; each value a factor."""
        known = self.dataset.calibration
        changed = {name: factor * known.require(name) for name, factor in values.items()}
        return replace(self, dataset=self.dataset.with_calibration(**changed))

    @property
    def bare(self) -> Trial:
        """Without a vacuum pattern."""
        return replace(self, dataset=self.dataset.with_vacuum(None))

    @property
    def flipped(self) -> Trial:
        """The other solution of a thin specimen: turned by 180 degrees, with the conjugate probe."""
        conjugate = {n: v if n.startswith("phi") else -v for n, v in self.aberrations.items()}
        return replace(self.turned(180), aberrations=Aberrations(**conjugate))

    def thinned(self, dose: float) -> Trial:
        """With that many electrons per A^2 of those that there are."""
        have = np.asarray(self.dataset.data).sum(dtype=float) / np.prod(self.dataset.scan_shape)
        have /= np.prod(self.dataset.calibration.scan_steps)
        if dose >= have:
            raise LookupError(f"there are {have:.3g} e/A^2")
        data = self.dataset.data
        if np.asarray(data).dtype.kind == "f":
            counted = np.random.default_rng(5).poisson(np.asarray(data) * (dose / have)).astype(np.uint16)
            return replace(self, dataset=replace(self.dataset, data=counted))
        return replace(self, dataset=thin_counts(self.dataset, dose / have, seed=5)[0])


KINDS: dict[str, Callable[[Trial], Trial]] = {
    "true": lambda t: t,
    "true, no vacuum": lambda t: t.bare,
    "true, 1e4": lambda t: t.thinned(1e4),
    "true, 1e3": lambda t: t.thinned(1e3),
    "true, 3e2": lambda t: t.thinned(3e2),
    "rotation +30": lambda t: t.turned(30),
    "rotation +60": lambda t: t.turned(60),
    "rotation -90": lambda t: t.turned(-90),
    "transpose": lambda t: replace(t, transpose=not t.transpose),
    "half a turn": lambda t: t.turned(180),
    "flipped": lambda t: t.flipped,
    "defocus -1": lambda t: t.lens(-1.0),
    "defocus x2": lambda t: t.lens(2.0),
    "defocus 0": lambda t: t.lens(0.0),
    "semi-angle -15 %": lambda t: t.bare.calibrated(semiangle=0.85),
    "semi-angle +15 %": lambda t: t.bare.calibrated(semiangle=1.15),
    "scan step -15 %": lambda t: t.calibrated(scan_step=0.85),
    "scan step +15 %": lambda t: t.calibrated(scan_step=1.15),
    "energy": lambda t: t.calibrated(energy=80 / 200 if t.dataset.calibration.require("energy") > 150e3 else 200 / 80),
    "energy, no vacuum": lambda t: KINDS["energy"](t.bare),
    "rotation +60, 1e3": lambda t: t.thinned(1e3).turned(60),
    "half a turn, 1e3": lambda t: t.thinned(1e3).turned(180),
    "defocus x2, 1e3": lambda t: t.thinned(1e3).lens(2.0),
    "transpose, 3e2": lambda t: KINDS["transpose"](t.thinned(3e2)),
}


REMADE: dict[str, ModelConfig] = {  # how the same specimen is simulated anew; a coherent thin model is wrong for all
    "source of 0.3 A": ModelConfig(source_size=0.3),
    "source of 0.6 A": ModelConfig(source_size=0.6),
    "focal spread of 60 A": ModelConfig(focal_spread=60.0),
    "source and spread": ModelConfig(source_size=0.45, focal_spread=40.0),
    "240 A thick": ModelConfig(slices=6, thickness=240.0),
}


def main() -> None:
    """Print the table, and the rates of misses and false alarms."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sets", nargs="*", default=["tiny", "small_dose1e4"])
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS), help="of what is told wrongly")
    parser.add_argument("--remade", nargs="*", default=list(REMADE), help="of what is simulated anew")
    parser.add_argument("--dose", type=float, default=3e4, help="of those, e/A^2")
    parser.add_argument("--words", action="store_true", help="all that is said, not its beginning")
    options = parser.parse_args()
    ends: list[tuple[str, float, float, str]] = []
    for name in options.sets:
        with tempfile.TemporaryDirectory() as scratch:
            case = load_case(name, options.data, Path(scratch))
        truth = trial_of(case, options.data)
        best = np.nan
        for kind in options.kinds:
            try:
                trial = KINDS[kind](truth)
            except LookupError:
                continue  # of a dose that the set has not
            recon = run(trial)
            found = correlation(recon, case)
            best = found if kind == "true" or np.isnan(best) else best
            ends.append((kind, found, best, recon.status))
            say(name, kind, found, recon, options.words)
        for kind in options.remade:
            made = remade(case, truth, REMADE[kind], options.dose)
            best = np.nan
            for told, model in ((f"true, {kind}", REMADE[kind]), (kind, ModelConfig())):
                recon = run(replace(truth, dataset=made.dataset, model=model))
                found = correlation(recon, made)
                best = found if np.isnan(best) else best
                ends.append((told, found, best, recon.status))
                say(name, told, found, recon, options.words)
    right = [status == "doubtful" for kind, *_, status in ends if kind.startswith("true")]
    wrong = [s == "doubtful" for kind, f, best, s in ends if not kind.startswith("true") and f < best - NEAR]
    print(f"false alarms: {sum(right)} of {len(right)}; wrong and told so: {sum(wrong)} of {len(wrong)}")


def say(name: str, kind: str, found: float, recon: Reconstruction, whole: bool) -> None:
    """A line of the table."""
    words = recon.message if whole else recon.message[:90]
    print(f"{name:14} {kind:26} {found:7.3f} {recon.status:9} {recon.iteration:3} {words}", flush=True)


def remade(case: Case, truth: Trial, model: ModelConfig, dose: float) -> Case:
    """Counts of the same specimen by another model; of a thick one each slice is another part of it."""
    measurement = prepare(truth.dataset, rotation=truth.rotation, transpose=truth.transpose)
    measurement = replace(measurement, shifts=np.zeros_like(measurement.shifts))  # no descan: only its rest is here
    calibration = truth.dataset.calibration
    optics = Optics(semiangle=calibration.require("semiangle"), aberrations=truth.aberrations)
    problem = make_problem(measurement, optics, model=model.build("potential", measurement))
    sampling, known = problem.sampling, case.truth
    places = np.meshgrid(
        *(np.arange(n) * s for n, s in zip(problem.object_shape[-2:], sampling, strict=True)), indexing="ij"
    )
    off = known.positions.mean(0) - problem.initial_positions.mean(0)
    at = [(place + o) / known.sampling for place, o in zip(places, off, strict=True)]
    phase = ndimage.map_coordinates(known.phase, at, order=3, mode="nearest")
    slices = np.stack([np.roll(phase, 23 * i, (0, 1)) for i in range(model.slices)]).astype(np.float32)
    state = problem.start().replace(object=problem.backend.to_device(slices))
    patterns = np.fft.fftshift(problem.intensities(state, np.arange(problem.count)), axes=(1, 2))
    counts = dose * np.prod(calibration.scan_steps) / problem.mean_intensity
    data = np.random.default_rng(7).poisson(patterns * counts).astype(np.uint16)
    vacuum = np.fft.fftshift(np.abs(np.fft.fft2(problem.initial_probe[0], norm="ortho")) ** 2) * counts
    dataset = Dataset(data.reshape(truth.dataset.shape), calibration, vacuum=vacuum.astype(np.float32))
    made = Truth(slices.sum(0), problem.initial_positions, sampling[0], sampling[0])
    return replace(case, dataset=dataset, truth=made)


def trial_of(case: Case, folder: Path | None) -> Trial:
    """The truth, with all aberrations."""
    known: dict[str, Any] = {"C10": -case.defocus}
    if folder is not None:
        import json

        known |= json.loads((folder / f"{case.name}_meta.json").read_text()).get("aberrations", {})
    return Trial(case.dataset, Aberrations(**known), case.rotation, case.transpose)


def run(trial: Trial) -> Reconstruction:
    """From what is told, which is not looked for in the data, to the end."""
    recon = Reconstruction(trial.dataset, model=trial.model)
    recon.update_optics(aberrations=trial.aberrations)
    recon.prepare(rotation=trial.rotation, transpose=trial.transpose)
    return recon.run()


def correlation(recon: Reconstruction, case: Case) -> float:
    """Of the phase with the truth, whichever its sign."""
    problem, state = recon.present or (None, None)
    assert problem is not None and state is not None
    phase = np.asarray(problem.backend.to_numpy(state.object))
    phase = phase[0] if len(phase) == 1 else phase.sum(0)
    # Scored as if its pixels were those of the truth: a wrong scale is wrong.
    found = score(phase, state.positions / problem.sampling, case.truth)
    return float(found.correlation * found.sign)


if __name__ == "__main__":
    main()
