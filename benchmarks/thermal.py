"""Thermal diffuse scattering: what is found of it in simulated data, beside a model that knows only waves.

    python benchmarks/thermal.py [mos2] [si] [--snapshots 32] [--dose 1e7] [--learned] [--object-modes 8]
        [--picture PICTURE.png]

Frozen-phonon multislice of MoS2 and of silicon along [110], 5 nm thick; the probe is known. Told are the Debye-Waller
factor against that of the atoms, the likeness of what the model gives off at each position to the simulated annular
dark field, chi squared in rings of the detector, and the potential's likeness to the time-averaged truth. "still" is
the same specimen whose atoms do not move: there the channel must do no harm. With --object-modes the same is done by so
many displaced states, of which the displacement is told, and the Debye-Waller factor 8 pi^2 u^2 that it means.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ptywidgets.engine import (
    PIE,
    Aberrations,
    Calibration,
    ConjugateGradient,
    ModelConfig,
    Optics,
    Plan,
    iterate,
    make_problem,
    prepare,
)
from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.io.atomic import PICTURE, atomic_file
from ptywidgets.engine.metrics import chi_squared_rings, compare_to_truth, diffuse_counts, hold_out
from ptywidgets.engine.models.parts.learned_shape import LEARNED
from ptywidgets.engine.refinements import RefineDiffuse, RefineObjectModes
from ptywidgets.engine.simulate import Simulation, mos2, silicon_110, simulate_dataset


@dataclass(frozen=True)
class Case:
    """A specimen and how it is looked at."""

    formula: str
    calibration: Calibration
    optics: Optics
    model: ModelConfig
    annulus: tuple[float, float]  # mrad
    sweeps: int

    def simulated(self, snapshots: int, dose: float | None) -> Simulation:
        """The data, with their truth."""
        generator = np.random.default_rng(1)
        thick = self.formula == "Si"
        atoms = (
            silicon_110((36.0, 36.0), thickness=50.0)
            if thick
            else mos2((36.0, 36.0), displacements=(0.075, 0.075), vacancies=0.05, generator=generator)
        )
        return simulate_dataset(
            atoms,
            self.calibration,
            self.optics,
            scan=(18, 18),
            detector=(128, 128),
            pixels=240 if thick else 288,
            thickness=3.84 if thick else 1.6,
            truth_thickness=10.0 if thick else None,
            snapshots=snapshots,
            annuli=(self.annulus,),
            dose=dose,
            generator=generator,
        )


CASES = {
    "mos2": Case(
        "MoS2",
        Calibration(energy=80e3, semiangle=25.0, q_pixel=0.05, scan_step=0.5),
        Optics(semiangle=25.0, aberrations=Aberrations(defocus=60.0)),
        ModelConfig(),
        (60.0, 100.0),
        8,
    ),
    "si": Case(
        "Si",
        Calibration(energy=200e3, semiangle=20.0, q_pixel=0.05, scan_step=0.5),
        Optics(semiangle=20.0, aberrations=Aberrations(defocus=80.0)),
        ModelConfig(slices=5, thickness=50.0),
        (45.0, 75.0),
        12,
    ),
}


def reconstructed(
    case: Case, simulation: Simulation, iterations: int, diffuse: str = "", object_modes: int = 1
) -> tuple[Any, Any, float]:
    """Problem, state and seconds; the coherent model takes the amplitude loss, since the Poisson loss breaks down in
    the dark that it cannot explain, and object modes take it until there are any."""
    measurement = prepare(simulation.dataset, rotation=0.0, transpose=False)
    optics = replace(Optics.from_dataset(simulation.dataset), aberrations=case.optics.aberrations)
    config = case.model.replace(diffuse=diffuse, b_factor=0.25, object_modes=object_modes, displacement=0.05)
    problem = make_problem(
        measurement,
        optics,
        model=config.build("potential", measurement),
        probe=config.initial_probe(optics, measurement),
        loss="poisson" if diffuse else "amplitude",
    )
    step = 1.0 if case.model.slices > 1 else 0.5
    first = PIE(object_step=step, regularization=0.5, decay=0.2, hold_probe=True)
    plan = Plan(
        iterations=case.sweeps,
        batch=64,
        algorithm=first,
        constraints=default_constraints("potential"),
        refinements=(RefineDiffuse(b_from=case.sweeps),) if diffuse else (),
    )
    if object_modes > 1:
        plan = plan.replace(refinements=(RefineObjectModes(first=case.sweeps - 1),))
    began = time.perf_counter()
    split = hold_out(problem)
    *_, state = iterate(split, plan)
    if object_modes > 1:
        split, problem = split.with_loss("poisson"), problem.with_loss("poisson")
    finish = ConjugateGradient(lower_bound=0.0, hold_probe=True)
    *_, state = iterate(split, plan.replace(iterations=iterations, algorithm=finish), state)
    return problem, state, time.perf_counter() - began


def shape(problem: Any, state: Any) -> np.ndarray:
    """Electrons that each pixel (Ny, Nx) gets diffusely from all positions."""
    patterns = problem.model_at(state).diffuse.patterns(problem.backend, problem.window, np.float64)
    return np.asarray(patterns[0] * diffuse_counts(problem, state).sum())


def off(one: np.ndarray, other: np.ndarray, problem: Any) -> float:
    """Mean relative difference of two shapes from 1 to 4 1/A, in rings of 0.5 1/A."""
    frequencies = [np.fft.fftfreq(n, d) for n, d in zip(one.shape, problem.sampling, strict=True)]
    ring = (np.hypot(*np.meshgrid(*frequencies, indexing="ij")) // 0.5).astype(int)
    return float(np.mean([abs(one[ring == n].sum() / other[ring == n].sum() - 1) for n in range(2, 8)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), help=f"of {', '.join(CASES)}")
    parser.add_argument("--snapshots", type=int, default=32)
    parser.add_argument("--dose", type=float, default=1e7, help="electrons per A^2")
    parser.add_argument("--iterations", type=int, default=30)
    parser.add_argument(
        "--learned", action="store_true", help="also with a shape of diffuse scattering that is learned"
    )
    parser.add_argument("--object-modes", type=int, default=0, help="also with so many displaced states")
    parser.add_argument("--picture", help="where to draw")
    options = parser.parse_args()
    drawn = []
    for name in options.cases:
        case = CASES[name]
        for still in (False, True):
            began = time.perf_counter()
            simulation = case.simulated(0 if still else options.snapshots, options.dose)
            print(f"{name}{', still' if still else ''}: simulated in {time.perf_counter() - began:.0f} s", flush=True)
            shapes: dict[str, Any] = {}
            kinds: dict[str, Any] = {"coherent": {}, "diffuse": {"diffuse": case.formula}}
            if options.learned:
                kinds["learned"] = {"diffuse": LEARNED}
            if options.object_modes > 1 and not still:
                kinds["object modes"] = {"object_modes": options.object_modes}
            for kind, parts in kinds.items():
                diffuse = "diffuse" in parts
                problem, state, seconds = reconstructed(case, simulation, options.iterations, **parts)
                told = compare_to_truth(
                    state.object.sum(0),
                    state.positions,
                    simulation.phase.sum(0),
                    simulation.positions,
                    sampling=problem.sampling,
                    truth_sampling=simulation.sampling,
                )
                rings = chi_squared_rings(problem, state)
                dark = rings.angles > 2 * case.optics.semiangle
                line = f"  {kind:12} {seconds:4.0f} s  correlation {told.correlation:.4f}"
                line += f"  rms {told.rms:.4f} rad  chi squared in the dark {np.nanmean(rings.chi_squared[dark]):.2f}"
                if kind == "object modes":
                    atoms = state.object.clip(0).sum(0) ** 2 * problem.field_of_view()
                    u = float(np.average(state.parameters["displacement"], weights=atoms))
                    line += f"  u {u:.4f} A, so B {8 * np.pi**2 * u**2:.3f} A^2 (true {simulation.b_factor:.3f})"
                elif diffuse and not still:
                    q, field = diffuse_counts(problem, state).sum(1), np.asarray(simulation.dark_fields[0]).ravel()
                    if kind == "diffuse":
                        b = float(state.parameters["b_factor"][0])
                        line += f"  B {b:.3f} A^2 (true {simulation.b_factor:.3f})"
                    shapes[kind] = shape(problem, state)
                    if kind == "learned":
                        line += f"  off the physical shape by {off(shapes[kind], shapes['diffuse'], problem):.3f}"
                    line += f"  likeness to the dark field {np.corrcoef(q, field)[0, 1]:.4f}"
                    if kind == "diffuse":
                        drawn.append((name, problem, state, q, field, rings))
                elif diffuse:
                    line += f"  given off {diffuse_counts(problem, state).mean() / problem.mean_intensity:.5f}"
                print(line, flush=True)
    if options.picture:
        draw(drawn, options.picture)


def draw(drawn: list[Any], path: str) -> None:
    """Potential, strength, what is given off, the dark field, and counts in rings, for each specimen."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(len(drawn), 5, figsize=(17, 3.6 * len(drawn)), squeeze=False)
    for row, (name, problem, state, q, field, rings) in zip(axes, drawn, strict=True):
        half = [n // 2 for n in problem.window]
        inside = tuple(slice(h // 2 + 10, -h // 2 - 10) for h in half)
        scan = problem.measurement.scan_shape
        pictures = {
            f"{name}: potential (rad)": state.object.sum(0)[inside],
            "tds_strength": state.parameters["tds_strength"].sum((0, 1))[inside],
            "given off (electrons)": q.reshape(scan),
            "dark field": field.reshape(scan),
        }
        for axis, (title, picture) in zip(row, pictures.items(), strict=False):
            axis.imshow(picture, cmap="magma")
            axis.set_title(title)
            axis.axis("off")
        row[4].semilogy(rings.angles, rings.measured, "k.", label="measured")
        row[4].semilogy(rings.angles, rings.modelled, label="modelled")
        row[4].set_xlabel("mrad")
        row[4].legend()
    figure.tight_layout()
    with atomic_file(path, replaces=PICTURE) as temporary:
        figure.savefig(temporary, dpi=90, format="png")


if __name__ == "__main__":
    main()
