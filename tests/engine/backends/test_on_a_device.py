"""Runs whose arrays lie behind a wall, as a GPU's do: nothing is mixed up, and what comes out is what the CPU gives."""

import ast
import importlib.util
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from walled_arrays import WalledArray, WalledModule, add_at

import ptywidgets.engine.problem.problem as problems
from ptywidgets.engine import ModelConfig, Plan, iterate, make_problem, reconstruct
from ptywidgets.engine.algorithms import ALGORITHMS
from ptywidgets.engine.algorithms.pie import PIE
from ptywidgets.engine.backends import get_backend
from ptywidgets.engine.backends.gpu import GpuBackend
from ptywidgets.engine.checks.doubts import doubts_of
from ptywidgets.engine.constraints import CONSTRAINTS
from ptywidgets.engine.problem.held_out import hold_out
from ptywidgets.engine.refinements import REFINEMENTS, default_refinements
from ptywidgets.engine.refinements.tilts import RefineTilts
from ptywidgets.testing import example_problem
from ptywidgets.testing.series import example_series

ENGINE = Path(problems.__file__).parents[1]
SCRIPT = ENGINE.parents[1] / "benchmarks" / "gpu.py"
OTHER_MODELS = {"RefineTilts", "RefineObjectModes"}  # act on what the example has not


@pytest.fixture
def moved(monkeypatch):
    """Moves a problem to the device."""
    device = GpuBackend(WalledModule(), add_at, lambda: 1 << 30)
    monkeypatch.setattr(problems, "get_backend", lambda name: device if name == "gpu" else get_backend(name))
    return lambda problem: problem.to("gpu")


@pytest.fixture(scope="module")
def everything():
    """The example's data with all that a model can have."""
    example = example_problem("potential")
    config = ModelConfig(
        slices=2, thickness=30.0, modes=2, source_size=0.2, diffuse="C", background=True, blur=0.3, tilt_rows=2.0
    )
    probe = np.concatenate([example.initial_probe, 0.2 * example.initial_probe * example.initial_probe])
    measurement = example.measurement
    return config, make_problem(measurement, model=config.build("potential", measurement), probe=probe)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_runs_with_every_part_of_a_model(algorithm, everything, moved):
    config, problem = everything
    plan = Plan(
        iterations=2,
        batch=32,
        algorithm=ALGORITHMS[algorithm](),
        constraints=(),
        refinements=default_refinements(config),
    )
    *_, here = iterate(problem, plan)
    *_, there = iterate(moved(problem), plan)
    assert isinstance(there.object, WalledArray) and isinstance(there.probe, WalledArray)
    np.testing.assert_allclose(there.losses, here.losses, rtol=1e-3)


@pytest.mark.parametrize("kind", [*CONSTRAINTS, *(name for name in REFINEMENTS if name not in OTHER_MODELS)])
def test_every_constraint_and_refinement_acts(kind, moved):
    extra = (
        {"constraints": (CONSTRAINTS[kind](),)}
        if kind in CONSTRAINTS
        else {"constraints": (), "refinements": (REFINEMENTS[kind](),)}
    )
    problem = example_problem("potential")
    plan = Plan(iterations=1, batch=64, algorithm=PIE(), **extra)
    *_, here = iterate(problem, plan)
    *_, there = iterate(moved(problem), plan)
    np.testing.assert_allclose(there.object.get(), here.object, rtol=0, atol=2e-3)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_series_of_tilts(algorithm, moved):
    series = example_series()
    plan = Plan(iterations=2, batch=32, algorithm=ALGORITHMS[algorithm](), constraints=(), refinements=(RefineTilts(),))
    *_, here = iterate(series, plan)
    *_, there = iterate(moved(series), plan)
    assert isinstance(there.object, WalledArray)
    np.testing.assert_allclose(there.losses, here.losses, rtol=1e-2)  # as near as numpy and numba are to each other


def test_an_automatic_run_and_its_doubts(moved):
    problem = example_problem("potential")
    *_, here = reconstruct(problem, iterations=6)
    there = moved(problem)
    *_, state = reconstruct(there, iterations=6)
    np.testing.assert_allclose(state.losses, here.losses, rtol=1e-3)
    judged = hold_out(there.at_window(state.probe.shape[-2:]))
    assert doubts_of(judged, state, Plan(), settled=True, progress=lambda words: None) == ()


def test_a_forgotten_conversion_is_an_error():
    xp, host = WalledModule(), np.ones(3, np.float32)
    device = xp.asarray(host)
    for mix in (lambda: device + host, lambda: xp.maximum(host, 1), lambda: np.array([device]), lambda: host * device):
        with pytest.raises(TypeError):
            mix()
    device[1:] *= np.float32(2)
    assert isinstance(device.sum(), WalledArray) and float(device.sum()) == 5
    np.testing.assert_array_equal(device.get(), [1, 2, 2])


NAMES = """
import inspect, json, sys, cupy, cupyx
missing = []
for name, keywords in json.load(sys.stdin):
    found = {"cupy": cupy, "cupyx": cupyx}[name.split(".")[0]]
    try:
        for part in name.split(".")[1:]:
            found = getattr(found, part)
        takes = inspect.signature(found).parameters
    except AttributeError:
        missing.append(name)
        continue
    except (TypeError, ValueError):  # a ufunc or a compiled one does not tell
        continue
    if not any(p.kind is p.VAR_KEYWORD for p in takes.values()):
        missing += [f"{name}({keyword}=)" for keyword in keywords if keyword not in takes]
print(json.dumps([cupy.__version__, missing]))
"""


def test_every_name_of_cupy_in_use_exists(cupy):
    """It can be imported without a card."""
    used = names_in_use()
    assert ("cupy.fft.fft2", ("norm",)) in used and ("cupyx.scatter_add", ()) in used and len(used) > 40
    answer = subprocess.run([cupy, "-c", NAMES], input=json.dumps(used), capture_output=True, text=True, check=True)
    version, missing = json.loads(answer.stdout)
    assert missing == [], f"cupy {version} does not have them"


def test_the_benchmark_of_a_card_runs(moved, monkeypatch, capsys):
    device = moved(example_problem()).backend
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    spec = importlib.util.spec_from_file_location("gpu_benchmark", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script.gpu, "find", lambda: device)
    monkeypatch.setattr("sys.argv", ["gpu.py", "tiny"])
    monkeypatch.setattr(script, "MODELS", {"modes": script.MODELS["modes"]})
    script.main()
    told = capsys.readouterr().out
    assert "; 0 things are wrong" in told and told.count("floors") == len(script.BATCHES)
    monkeypatch.setattr(script.gpu, "find", lambda: None)
    with pytest.raises(SystemExit, match="never run"):
        script.main()


def names_in_use() -> list[tuple[str, tuple[str, ...]]]:
    """Names that the engine and the benchmark take from cupy, cupyx or an array module `xp`, with their keywords."""
    found = set()
    for file in [*ENGINE.rglob("*.py"), SCRIPT]:
        tree = ast.parse(file.read_text(encoding="utf-8"))
        calls = {node.func: node.keywords for node in ast.walk(tree) if isinstance(node, ast.Call)}
        inner = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node not in inner and (name := dotted(node)):
                found.add((name, tuple(sorted(k.arg for k in calls.get(node, ()) if k.arg))))
    return sorted(found)


def dotted(node: ast.Attribute) -> str | None:
    """An attribute of an array module with its full name, as ``cupy.fft.fft2``."""
    parts = [node.attr]
    at = node.value
    while isinstance(at, ast.Attribute) and at.attr != "xp":
        parts.append(at.attr)
        at = at.value
    root = at.attr if isinstance(at, ast.Attribute) else at.id if isinstance(at, ast.Name) else ""
    if root not in ("xp", "cupy", "cupyx"):
        return None
    return ".".join(["cupyx" if root == "cupyx" else "cupy", *reversed(parts)])
