"""What a graphics card does: right or wrong, how fast, with how much memory; made to take less than five minutes.

    python benchmarks/gpu.py [small full ...] [--data FOLDER]

Operations are held against plain numpy, runs against the same on the processor, by every algorithm and part of a model.
Then seconds an iteration on ducky of each size, beside the two FFTs of every position alone, and on the processor; an
automatic run to its end, with what its phase correlates with the truth; memory, and what carrying things over takes.
The first iteration of each run, which compiles, is told apart. Without a card it says so and ends with status 1.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from cases import load_case
from score import score

from ptywidgets import samples
from ptywidgets.engine import (
    Aberrations,
    ModelConfig,
    Optics,
    Plan,
    Problem,
    iterate,
    make_problem,
    prepare,
    reconstruct,
    single_slice,
)
from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.backends import gpu
from ptywidgets.testing import BackendContract, example_problem

NEAR = 1e-3  # relative: so far a loss may differ after some iterations in single precision
BATCHES = {"PIE": 64, "LSQ-ML": 64, "gradient descent": 512, "conjugate gradients": 256}
ROUNDS = 3  # iterations that are timed
MODELS = {
    "one slice": ModelConfig(),
    "slices": ModelConfig(slices=2, thickness=30.0, tilt_rows=2.0),
    "modes": ModelConfig(modes=2),
    "coherence": ModelConfig(source_size=0.2),
    "diffuse, background, blur": ModelConfig(diffuse="C", background=True, blur=0.4),
}


def main() -> None:
    """Print what was found; end with 1 where there is no card or something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", nargs="*", default=["small", "full"], help="of ducky")
    parser.add_argument("--data", type=Path, help="folder of simulated sets with their truth; else our own ducky")
    options = parser.parse_args()
    backend = gpu.find()
    if backend is None:
        raise SystemExit("never run: cupy finds no GPU here (pip install cupy-cuda12x, or -cuda13x for a newer driver)")
    begun = time.perf_counter()
    print(described(backend.xp))
    wrong = contract(backend) + agreement()
    for size in options.sizes:
        speed(size, backend)
    for name in ("small_dose1e4", "full_counts") if "full" in options.sizes else ("small_dose1e4",):
        quality(name, options.data, backend)
    print(f"{time.perf_counter() - begun:.0f} s in all; {wrong} things are wrong")
    if wrong:
        raise SystemExit(1)


def described(xp: Any) -> str:
    """The card, its driver, and cupy."""
    if not hasattr(xp, "cuda"):
        return "arrays that stand in for a card's: times mean nothing"
    number = xp.cuda.runtime.getDevice()
    properties = xp.cuda.runtime.getDeviceProperties(number)
    driver = xp.cuda.runtime.driverGetVersion()
    return (
        f"{properties['name'].decode()}, {properties['totalGlobalMem'] / 1e9:.0f} GB; cupy {xp.__version__}, CUDA "
        f"{xp.cuda.runtime.runtimeGetVersion()}, driver {driver}"
    )


def contract(backend: Any) -> int:
    """Every operation against plain numpy; how many are wrong."""
    tests = [name for name in dir(BackendContract) if name.startswith("test_")]
    failed = 0
    for name in tests:
        try:
            getattr(BackendContract(), name)(backend)
        except Exception:  # whatever a card or its compiler may say, the others are still to be seen
            failed += 1
            print(f"  WRONG {name}\n{traceback.format_exc()}")
    print(f"operations: {len(tests) - failed} of {len(tests)} as plain numpy", flush=True)
    return failed


def agreement() -> int:
    """Three iterations of every algorithm with every part of a model, on both; how many differ."""
    failed = done = 0
    for object_type in ("potential", "complex"):
        for words, config in MODELS.items():
            problem = modelled(config, object_type)
            for name, kind in ALGORITHMS.items():
                plan = Plan(iterations=3, batch=32, algorithm=kind(), constraints=())
                done += 1
                try:
                    *_, here = iterate(problem, plan)
                    *_, there = iterate(problem.to("gpu"), plan)
                    apart = float(np.max(np.abs(np.array(there.losses) / np.array(here.losses) - 1)))
                    told = f"losses differ by {apart:.1e}" if not apart < NEAR else ""
                except Exception:
                    told = traceback.format_exc()
                if told:
                    failed += 1
                    print(f"  WRONG {name}, {object_type}, {words}: {told}")
    print(f"runs: {done - failed} of {done} as on the processor, losses to {NEAR:g}", flush=True)
    return failed


def modelled(config: ModelConfig, object_type: str) -> Problem:
    """The example's data under a model; further modes are faint and of another shape."""
    example = example_problem(object_type)
    modes = config.initial_probe(Optics(semiangle=20.0), example.measurement).shape[0]
    probe = np.repeat(example.initial_probe, modes, axis=0)
    probe[1:] *= np.float32(0.2) * np.sign(np.fft.fftfreq(probe.shape[-1]) + 1e-9).astype(np.float32)
    return make_problem(example.measurement, model=config.build(object_type, example.measurement), probe=probe)


def speed(size: str, backend: Any) -> None:
    """Seconds an iteration of every algorithm that has a usual batch; what is carried over; memory."""
    dataset = samples.ducky(size)
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=samples.ducky_defocus(size)))
    problem = make_problem(prepare(dataset, rotation=-15.0), optics, model=single_slice("potential"))
    there, carried = timed(lambda: problem.to("gpu"), backend)
    state, _ = timed(there.start, backend)
    _, back = timed(lambda: (backend.to_numpy(state.object), backend.to_numpy(state.probe)), backend)
    counts = dataset.data.nbytes / 1e6
    floor = transforms_alone(there, backend)
    print(
        f"ducky {size}, {there.count} patterns of {there.window}: {counts:.0f} MB carried over in {carried:.3f} s, an "
        f"image back in {back * 1e3:.1f} ms; two FFTs of every position {floor:.4f} s"
    )
    for name, batch in BATCHES.items():
        plan = Plan(iterations=ROUNDS + 1, batch=batch, algorithm=ALGORITHMS[name](), constraints=())
        first, card = iterations(there, plan, backend)
        used = memory(backend.xp)
        _, processor = iterations(problem, plan, backend)
        print(
            f"  {name:20} {card:.4f} s an iteration, {card / floor:.2f} floors (the first {first:.2f} s); processor "
            f"{processor:.3f} s, {processor / card:.1f} times as long{used}",
            flush=True,
        )


def iterations(problem: Problem, plan: Plan, backend: Any) -> tuple[float, float]:
    """Seconds of the first iteration, and of one of the others."""
    each, run = [], iterate(problem, plan)
    for _ in range(plan.iterations):
        each.append(timed(lambda: next(run), backend)[1])
    return each[0], median(each[1:])


def transforms_alone(problem: Problem, backend: Any) -> float:
    """Seconds of two transforms of every position's wave, in chunks as an iteration makes them."""
    shape = problem.initial_probe.shape

    def sweep() -> None:
        for places in backend.chunks(np.arange(problem.count), problem.initial_probe.nbytes):
            waves = backend.zeros((len(places), *shape), np.complex64)
            backend.ifft2(backend.fft2(waves))

    return min(timed(sweep, backend)[1] for _ in range(ROUNDS + 1))


def quality(name: str, data: Path | None, backend: Any) -> None:
    """An automatic run from the true geometry to its end, on both."""
    with tempfile.TemporaryDirectory() as scratch:
        case = load_case(name, data, Path(scratch))
        measurement = prepare(case.dataset, rotation=case.rotation, transpose=case.transpose)
        optics = Optics.from_dataset(case.dataset, aberrations=Aberrations(defocus=case.defocus))
        problem = make_problem(measurement, optics, model=single_slice("potential"))
        print(case.title)
        for where, one in (("card", problem.to("gpu")), ("processor", problem)):
            state, seconds = timed(lambda one=one: last(reconstruct(one)), backend)
            here = one.at_window(state.probe.shape[-2:])
            phase = one.backend.to_numpy(state.object)[0]
            found = score(phase, one.backend.to_numpy(state.positions) / here.sampling, case.truth)
            print(f"  {where:10} {state.iteration} iterations in {seconds:.2f} s: {found.correlation:.4f}", flush=True)


def last(run: Iterator[Any]) -> Any:
    """The state that a run ends with."""
    *_, state = run
    return state


def timed(work: Callable[[], Any], backend: Any) -> tuple[Any, float]:
    """What `work` gives, and its seconds, until the card is done."""
    wait(backend.xp)
    begun = time.perf_counter()
    result = work()
    wait(backend.xp)
    return result, time.perf_counter() - begun


def wait(xp: Any) -> None:
    """Until all that was asked of the card is done."""
    if hasattr(xp, "cuda"):
        xp.cuda.runtime.deviceSynchronize()


def memory(xp: Any) -> str:
    """What cupy has taken of the card so far, and gives it back."""
    if not hasattr(xp, "cuda"):
        return ""
    pool = xp.get_default_memory_pool()
    taken = pool.total_bytes()
    pool.free_all_blocks()
    return f"; {taken / 1e6:.0f} MB of the card"


if __name__ == "__main__":
    main()
