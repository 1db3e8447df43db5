"""The same files in py4DSTEM and here, both ways."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest

from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import read, read_pattern, write
from ptywidgets.engine.io.formats.hdf5.emd_write import Axis, write_array, write_metadata, write_root


@pytest.fixture(scope="module")
def py4dstem(tmp_path_factory):
    """Run a script where py4DSTEM is installed; it prints one line of JSON last."""
    python = os.environ.get("PTYWIDGETS_PY4DSTEM")
    if not python:
        if importlib.util.find_spec("py4DSTEM") is None:
            pytest.skip("py4DSTEM is not installed; name a Python that has it in PTYWIDGETS_PY4DSTEM")
        python = sys.executable
    home = tmp_path_factory.mktemp("home")

    def run(script, *args):
        environment = {**os.environ, "MPLBACKEND": "agg", "MPLCONFIGDIR": str(home), "PYTHONWARNINGS": "ignore"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(
            [python, "-c", script, *map(str, args)], capture_output=True, text=True, timeout=300, env=environment
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return run


OPEN = """
import json, sys, numpy as np, py4DSTEM
cube = py4DSTEM.read(sys.argv[1])
np.save(sys.argv[2], cube.data)
c = cube.calibration
vacuum = cube.tree("vacuum_probe")
print(json.dumps({
    "kind": type(cube).__name__, "vacuum": type(vacuum).__name__, "vacuum_sum": float(vacuum.data.sum()),
    "q": c.get_Q_pixel_size(), "qu": c.get_Q_pixel_units(), "r": c.get_R_pixel_size(), "ru": c.get_R_pixel_units(),
    "angle": c.get_convergence_semiangle_mrad(),
    "dims": [[float(d[0]), float(d[1]), len(d)] for d in cube.dims],
    "names": list(cube.dim_names), "units": list(cube.dim_units),
}))
"""


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_py4dstem_opens_what_we_write(tmp_path, py4dstem, dtype):
    data = np.random.default_rng(0).integers(0, 99, (3, 5, 6, 8)).astype(dtype)
    vacuum = np.random.default_rng(1).random((6, 8))
    path = write(tmp_path / "a.h5", Dataset(data, Calibration(80e3, 4.0, 0.025, 20.0), vacuum), compression="gzip")
    found = py4dstem(OPEN, path, tmp_path / "back.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), data)
    assert (found["kind"], found["vacuum"]) == ("DataCube", "VirtualDiffraction")
    assert found["vacuum_sum"] == pytest.approx(vacuum.sum())
    assert (found["q"], found["qu"], found["r"], found["ru"]) == (0.025, "A^-1", 4.0, "A")
    assert found["angle"] == 20.0
    assert found["dims"] == [[0, 4, 3], [0, 4, 5], [0, 0.025, 6], [0, 0.025, 8]]
    assert found["names"] == ["Rx", "Ry", "Qx", "Qy"] and found["units"] == ["A", "A", "A^-1", "A^-1"]


def test_py4dstem_opens_uncalibrated_data(tmp_path, py4dstem):
    path = write(tmp_path / "a.h5", Dataset(np.ones((2, 2, 4, 4), np.float32), vacuum=np.ones((4, 4))))
    found = py4dstem(OPEN, path, tmp_path / "back.npy")
    assert (found["q"], found["qu"], found["r"], found["ru"]) == (1, "pixels", 1, "pixels")


TREE = """
import json, sys, py4DSTEM
root = py4DSTEM.read(sys.argv[1])
m = root.metadata["plan"]
phase = root.tree("object")
print(json.dumps({"kind": type(root).__name__, "nodes": sorted(root._branch.keys()), "shape": list(phase.data.shape),
    "dtype": str(phase.data.dtype), "units": list(phase.dim_units), "step": float(phase.dims[0][1]),
    "values": {k: repr(m[k]) for k in m.keys}}))
"""


def test_py4dstem_opens_trees_of_arrays_and_metadata(tmp_path, py4dstem):
    values = {"none": None, "text": "<b>", "yes": True, "n": 3, "x": 0.5, "list": [1.0, 2.0], "words": ["a", "b"]}
    with h5py.File(tmp_path / "r.h5", "w") as file:
        root = write_root(file, "reconstruction_root")
        write_metadata(root, "plan", {**values, "nested": {"a": 1}, "array": np.arange(3), "tuple": (1, 2)})
        write_array(root, "object", np.ones((5, 7), np.complex64), [Axis("y", 0.2, "A"), Axis("x", 0.2, "A")], "rad")
        write_array(root, "probe", np.ones((2, 4, 4), np.complex64))
    found = py4dstem(TREE, tmp_path / "r.h5")
    assert found["kind"] == "Root" and found["nodes"] == ["object", "probe"]
    assert found["shape"] == [5, 7] and found["dtype"] == "complex64" and found["units"] == ["A", "A"]
    assert found["step"] == 0.2
    for name in ("none", "text", "yes", "n", "x", "words"):
        assert found["values"][name] == repr(values[name])
    assert found["values"]["nested"] == "{'a': 1}"


SAVE = """
import json, sys, numpy as np, py4DSTEM
cube = py4DSTEM.DataCube(np.random.default_rng(0).random((4, 3, 6, 5)).astype("f4"))
cube.calibration.set_R_pixel_size(0.25); cube.calibration.set_R_pixel_units("nm")
cube.calibration.set_Q_pixel_size(0.04); cube.calibration.set_Q_pixel_units("A^-1")
mean = cube.get_dp_mean()
probe = py4DSTEM.Probe(np.arange(30.0).reshape(6, 5), name="p")
cube.tree(graft=probe) if probe.root is not None else cube.tree(probe)
py4DSTEM.save(sys.argv[1], cube, mode="o")
py4DSTEM.save(sys.argv[2], py4DSTEM.VirtualDiffraction(np.arange(30.0).reshape(6, 5)), mode="o")
np.save(sys.argv[3], cube.data)
print(json.dumps({}))
"""


def test_we_open_what_py4dstem_writes(tmp_path, py4dstem):
    py4dstem(SAVE, tmp_path / "a.h5", tmp_path / "v.h5", tmp_path / "d.npy")
    dataset = read(tmp_path / "a.h5", energy=200e3)
    np.testing.assert_array_equal(dataset.load().data, np.load(tmp_path / "d.npy"))
    assert dataset.calibration == Calibration(200e3, 2.5, 0.04)
    np.testing.assert_array_equal(dataset.vacuum, np.arange(30.0).reshape(6, 5))  # the Probe, not the mean
    np.testing.assert_array_equal(read_pattern(tmp_path / "v.h5"), np.arange(30.0).reshape(6, 5))
