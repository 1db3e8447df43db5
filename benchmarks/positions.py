"""How well displaced positions are found again: refinement inside the run, against the simulation's true positions.

    python benchmarks/positions.py --data ../shared/data/simulated [--name small] [--picture drift.png]

The true positions are displaced at random by half a pixel (rms), and in a second run scaled by 2 % besides. A
potential is reconstructed with the vacuum probe held, positions being refined after every batch. The defocus is that
in the middle of the specimen, which is where a single slice lies. Errors are root mean squares of the distances after
the mean (and, in the last column, the best affine map) has been taken off. Without --data our own ducky is used, whose
patterns a single slice explains exactly. The picture shows displacements as they were put in and as they were found,
and what is left, rows of the scan down: colour is the direction, brightness the length, full at 1.5 px.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from cases import Case, load_case

from ptywidgets.engine import Aberrations, Optics, Plan, iterate, make_problem, prepare
from ptywidgets.engine.algorithms import LSQML
from ptywidgets.engine.constraints import Positivity, Until
from ptywidgets.engine.io.atomic import PICTURE, atomic_file
from ptywidgets.engine.io.images.png import png
from ptywidgets.engine.metrics import position_errors
from ptywidgets.engine.models import single_slice
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.refinements import RefineAffine, RefineOptics, RefinePositions

RMS = 0.5  # px
ROOM = 3.0  # A around the outermost windows
FULL = 1.5  # px that are shown at full brightness


def problem_of(case: Case, thickness: float) -> Problem:
    """With true positions, and the defocus in the middle of the specimen."""
    optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus - thickness / 2))
    measurement = prepare(case.dataset, rotation=case.rotation, transpose=case.transpose)
    return make_problem(measurement, optics, model=single_slice("potential"), object_padding=ROOM)


def displaced(problem: Problem, scale: float, seed: int) -> Problem:
    """The problem with wrong positions to begin with."""
    true = problem.initial_positions
    noise = np.random.default_rng(seed).normal(scale=RMS * problem.sampling[0] / np.sqrt(2), size=true.shape)
    return replace(problem, initial_positions=true.mean(0) + scale * (true - true.mean(0)) + noise)


def run(problem: Problem, true: np.ndarray, plan: Plan) -> np.ndarray:
    """Positions in the end; prints how they come nearer."""
    pixel, begun = problem.sampling[0], time.perf_counter()

    def tell(iteration: int, positions: np.ndarray) -> None:
        found, shape = position_errors(positions, true), position_errors(positions, true, affine=True)
        scale = 100 * (1 / shape.scale - 1)
        print(
            f"{iteration:4d} {time.perf_counter() - begun:6.1f} s  {found.rms / pixel:.3f} px  "
            f"scale {scale:+.2f} %  {shape.rms / pixel:.3f} px",
            flush=True,
        )

    tell(0, problem.initial_positions)
    for state in iterate(problem, plan):
        if state.iteration in (1, 2, 3, 5, 8) or state.iteration % 5 == 0:
            tell(state.iteration, state.positions)
    return state.positions


def drift_picture(fields: list[np.ndarray], scan: tuple[int, int], pixel: float, zoom: int = 10) -> np.ndarray:
    """Displacements (J, 2) in A side by side, as colours (H, W, 3) uint8."""
    views = []
    for field in fields:
        moved = (field - field.mean(0)).reshape(*scan, 2) / pixel
        length, angle = np.hypot(moved[..., 0], moved[..., 1]) / FULL, np.arctan2(moved[..., 0], moved[..., 1])
        hues = 0.5 + 0.5 * np.cos(angle[..., None] - np.array([0, 2, 4]) * np.pi / 3)
        view = (255 * hues * length.clip(0, 1)[..., None]).astype(np.uint8)
        views += [view.repeat(zoom, 0).repeat(zoom, 1), np.full((scan[0] * zoom, zoom, 3), 255, np.uint8)]
    return np.concatenate(views[:-1], axis=1)


def main() -> None:
    """Both runs."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--name", default="small")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--batch", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        case = load_case(options.name, options.data, Path(scratch))
    meta = options.data and json.loads((options.data / f"{options.name}_meta.json").read_text())
    problem = problem_of(case, meta["thickness_A"] if meta else 0.0)
    true = problem.initial_positions
    plan = Plan(
        iterations=options.iterations,
        batch=options.batch,
        algorithm=LSQML(hold_probe=True),
        constraints=(Positivity(),),
    )
    fields = []
    for scale in (1.0, 1.02):
        if scale == 1:  # the scan's size is right: let it say what the defocus is
            refinements = (RefinePositions(hold="affine"), Until(8, RefineOptics("defocus")))
        else:
            refinements = (Until(8, RefineAffine()), RefinePositions())
        wrong = displaced(problem, scale, options.seed)
        print(f"{options.name}: displaced by {RMS} px rms, scaled by {scale:g}; {refinements}")
        found = run(wrong, true, plan.replace(refinements=refinements))
        fields += [wrong.initial_positions - true, found - wrong.initial_positions, found - true]
    if options.picture:
        with atomic_file(options.picture, inputs=case.dataset.inputs, replaces=PICTURE) as temporary:
            temporary.write_bytes(png(drift_picture(fields, case.dataset.scan_shape, problem.sampling[0])))


if __name__ == "__main__":
    main()
