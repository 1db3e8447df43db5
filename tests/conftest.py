"""What every test shares: the optional reference data and the strictness of CI; nothing from the machine it runs on."""

from __future__ import annotations

import importlib.abc
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ptywidgets import ModelConfig, samples
from ptywidgets.engine import Aberrations, Optics, make_problem, prepare
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read
from ptywidgets.engine.preprocess import Preparation

os.environ["PTYWIDGETS_RECENT"] = "off"  # the list of files that its user has opened is no test's
NAMES = {"rsciio": "rosettasciio"}
REPOSITORY = Path(__file__).resolve().parents[1]
CI = bool(os.environ.get("CI"))
HIDDEN = tuple(os.environ.get("PTYWIDGETS_TEST_WITHOUT", "").split())  # packages, as if they were not installed
MAY_BE_SKIPPED_ON_CI = re.compile(
    "|".join(
        [
            "no GPU|no shared data|no (dask|xarray|abTEM|zarr 3) here|a folder; its files",
            *(f"could not import '{name}|no {NAMES.get(name, name)} here" for name in HIDDEN),
        ]
    )
)


class _Hidden(importlib.abc.MetaPathFinder):
    """Makes an import of a hidden package fail as that of one that is not installed."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        if fullname.split(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


if HIDDEN:
    for loaded in [name for name in sys.modules if name.split(".")[0] in HIDDEN]:  # by plugins of pytest
        del sys.modules[loaded]
    sys.meta_path.insert(0, _Hidden())


def pytest_sessionstart(session: pytest.Session) -> None:
    """Let a SIGTERM (a time limit, CI) run the teardowns, which end the servers and kernels that the tests started."""

    def stop(*_: object) -> None:
        session.shouldstop = "ended by SIGTERM"  # no further test, whatever becomes of the exception
        pytest.exit("ended by SIGTERM", returncode=143)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, stop)


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip on CI into a failure, but for the reasons that are allowed there."""
    if not (CI and report.skipped) or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not MAY_BE_SKIPPED_ON_CI.search(reason):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    _refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector):
    report = yield
    _refuse_skip(report)
    return report


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def client():
    """A client of two single-threaded worker processes on this machine, which listen to it alone."""
    import dask
    from distributed import Client, LocalCluster

    with (
        # A worker that a test kills comes back, however busy the machine is: dask gives it up after 15 s else.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "10 minutes"}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def artifacts() -> Path:
    """Folder for screenshots and logs that a person may want to look at."""
    folder = Path(os.environ.get("PTYWIDGETS_ARTIFACTS", REPOSITORY / "test-artifacts"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with reference data beside the repository; the test is skipped where there is none."""
    folder = Path(os.environ.get("PTYWIDGETS_SHARED", REPOSITORY.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no shared data")
    return folder


@pytest.fixture(scope="session")
def simulated(shared: Path) -> Path:
    """Simulated sets with their truth beside them."""
    return shared / "data" / "simulated"


@pytest.fixture(scope="session")
def py4dstem() -> str:
    """Python interpreter that can import py4DSTEM (`make py4dstem-env`); the test is skipped where there is none."""
    return interpreter_with("py4DSTEM")


@pytest.fixture(scope="session")
def cupy() -> str:
    """Python interpreter that can import cupy (`make cupy-env`), with a card or without; else the test is skipped."""
    return interpreter_with("cupy")


def interpreter_with(package: str) -> str:
    """That of an environment which `make PACKAGE-env` makes, or the environment variable PTYWIDGETS_PACKAGE names."""
    variable, name = f"PTYWIDGETS_{package.upper()}", package.lower()
    python = os.environ.get(variable) or str(REPOSITORY / ".venvs" / name / "bin" / "python")
    if not Path(python).exists():
        pytest.skip(f"no {package}: run `make {name}-env`, or set {variable} to a Python that has it")
    return python


class GrowingDuck:
    """The simulated duck in a file that the test writes, row by row, each followed by a byte of the next pattern."""

    def __init__(self, path: Path, rows: int, size: str = "small") -> None:
        self.duck = samples.ducky(size)
        self.patterns = np.asarray(self.duck.data).astype("<u2")
        self.bytes, self.row_bytes, self.path = self.patterns.tobytes(), self.patterns[0].nbytes, path
        self.known = {n: getattr(self.duck.calibration, n) for n in ("energy", "scan_step", "q_pixel", "semiangle")}
        self.layout = {"dtype": "<u2", "detector_shape": self.duck.detector_shape, "scan_shape": self.duck.scan_shape}
        self.given = {
            "defocus": samples.ducky_defocus(size),
            "preparation": Preparation(rotation=-15, transpose=False),
        }
        path.touch()
        self.write(rows)

    def write(self, rows: int) -> None:
        """Write up to so many rows, all in all."""
        done = self.path.stat().st_size
        with self.path.open("ab") as file:
            file.write(self.bytes[done : rows * self.row_bytes + 1])

    def open(self) -> Dataset:
        """The data as they are there."""
        return read(self.path, follow=True, **self.layout, **self.known)

    def complete(self) -> Dataset:
        """The data as they will be."""
        return Dataset(self.patterns, self.duck.calibration)


@pytest.fixture
def growing_duck(tmp_path: Path) -> Callable[[int], GrowingDuck]:
    """A duck in a file of so many rows that more are written to."""
    return lambda rows: GrowingDuck(tmp_path / "scan.raw", rows)


@pytest.fixture(scope="session")
def blurred() -> Dataset:
    """Counts of a beam that is only partially coherent."""
    dataset, optics = samples.ducky("tiny", dose=None, descan=0.0), {"aberrations": Aberrations(defocus=250.0)}
    measurement = prepare(dataset, rotation=-15.0, transpose=False)
    model = ModelConfig(source_size=0.5, focal_spread=80.0).build("potential", measurement)
    problem = make_problem(measurement, Optics.from_dataset(dataset, **optics), model=model)
    phase = 3 * samples.ducky_truth("tiny")[0]  # what is weak looks the same when a coherent beam images it blurred
    low = [(n - m) // 2 for n, m in zip(phase.shape, problem.object_shape[-2:], strict=True)]
    inside = tuple(slice(a, a + m) for a, m in zip(low, problem.object_shape[-2:], strict=True))
    state = problem.start().replace(object=phase[inside][None].astype(np.float32))
    patterns = np.fft.fftshift(problem.intensities(state, np.arange(problem.count)), axes=(1, 2))
    counts = np.random.default_rng(1).poisson(patterns * (4e4 / patterns.sum((1, 2)).mean()))
    return Dataset(counts.reshape(dataset.shape).astype(np.uint16), dataset.calibration, vacuum=dataset.vacuum)
