"""Every backend does the same: numpy, numba, the GPU's code behind a wall, and cupy where there is a GPU."""

import importlib.util
import subprocess
import sys
import threading

import numpy as np
import pytest
from walled_arrays import WalledModule, add_at

from ptywidgets.engine import ParameterError
from ptywidgets.engine.backends import available_devices, get_backend, gpu
from ptywidgets.engine.backends.cpu import CpuBackend
from ptywidgets.engine.backends.kernels.kernels import load_kernels
from ptywidgets.engine.backends.transforms import load_transform
from ptywidgets.testing import BackendContract, model_case

NUMBA = importlib.util.find_spec("numba") is not None
DUCC = importlib.util.find_spec("ducc0") is not None


class TestNumpy(BackendContract):
    @pytest.fixture(params=[1, 2])
    def backend(self, request):
        backend = CpuBackend(request.param, "numpy", "scipy")
        yield backend
        backend.close()


@pytest.mark.skipif(not NUMBA, reason="numba is not installed")
class TestNumba(BackendContract):
    @pytest.fixture(params=[1, 2])
    def backend(self, request):
        backend = CpuBackend(request.param, "numba")
        yield backend
        backend.close()


@pytest.mark.skipif(not DUCC, reason="ducc0 is not installed")
class TestDucc(BackendContract):
    @pytest.fixture
    def backend(self):
        backend = CpuBackend(2, "numpy", "ducc0")
        yield backend
        backend.close()


class TestGpuStandIn(BackendContract):
    @pytest.fixture
    def backend(self):
        return gpu.GpuBackend(WalledModule(), add_at, lambda: 10**9)


class TestGpu(BackendContract):
    @pytest.fixture
    def backend(self):
        backend = gpu.find()
        if backend is None:
            pytest.skip("no GPU: cupy finds none")
        return backend


def test_numpy_and_numba_agree_to_the_last_digits():
    if not NUMBA:
        pytest.skip("numba is not installed")
    plain, compiled = (
        model_case(positions=30, double=False, backend=CpuBackend(2, kernels)).gradients()
        for kernels in ("numpy", "numba")
    )
    np.testing.assert_allclose(compiled.loss, plain.loss, rtol=1e-6)
    for name in ("object", "probe", "illumination", "coverage"):
        got, expected = getattr(compiled, name), getattr(plain, name)
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


def test_an_interrupt_leaves_no_worker_behind():
    backend = CpuBackend(2, "numpy")
    running, release, done = threading.Event(), threading.Event(), []

    def task(part, own):
        if part == 0:
            running.wait(10)
            release.set()
            raise KeyboardInterrupt
        if part == 1:
            running.set()
            release.wait(10)
        done.append(part)

    with pytest.raises(KeyboardInterrupt):
        backend.map_reduce(task, list(range(2000)), list)
    finished = len(done)
    backend.close()
    assert len(done) == finished < 1999


def test_buffers_are_a_workers_own_and_reused():
    backend = CpuBackend(2, "numpy")
    seen = backend.map_reduce(
        lambda part, own: own.append(backend.empty("x", (part + 1,), np.complex64).ctypes.data),
        [3, 3, 2, 2, 1, 1],
        list,
    )
    backend.close()
    assert [len(set(own)) for own in seen] == [1, 1]
    assert seen[0][0] != seen[1][0]


def test_unknown_names_are_told():
    with pytest.raises(ParameterError, match="numba"):
        load_kernels("numbra")
    with pytest.raises(ParameterError, match="ducc0"):
        load_transform("ducc")
    with pytest.raises(ParameterError, match="cpu"):
        get_backend("cpo")
    if "gpu" not in available_devices():
        with pytest.raises(ParameterError, match="cupy finds no GPU"):
            get_backend("gpu")


def test_importing_the_engine_loads_no_optional_package():
    optional = {"numba", "ducc0", "cupy", "pytest"}
    code = f"import sys, ptywidgets.engine, ptywidgets.testing; print({optional} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"
