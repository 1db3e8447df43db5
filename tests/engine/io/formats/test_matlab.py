"""MATLAB v5: axes the other way round, and numbers beside the data by the names that people use."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.data import dataset_checks
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.containers import matlab
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(5).poisson(4, (3, 4, 6, 5)).astype(np.uint16)
MATLAB = TRUTH.transpose(2, 3, 0, 1)  # [Qy Qx Ry Rx]


@pytest.mark.parametrize("packed", [False, True])
class TestMatlab(FormatContract):
    module, stays_on_disk = matlab, False

    @pytest.fixture
    def sample(self, tmp_path, packed):
        folder = tmp_path / "sample"
        folder.mkdir()
        beside = {"voltage": 80.0, "alpha": 20.0, "dk": 0.05, "scanstep": 1.5, "defocus": -200.0, "note": "a text"}
        scipy.io.savemat(folder / "a.mat", {"cbed": MATLAB, **beside}, do_compression=packed)
        stated = {"energy": 80e3, "semiangle": 20.0, "q_pixel": 0.05, "scan_step": 1.5}
        return Sample(folder / "a.mat", TRUTH, stated)


def test_the_order_is_said_and_can_be_another(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"cbed": MATLAB, "cells": np.array([1, "x"], object), "voltage": 300e3})
    dataset = read(tmp_path / "a.mat")
    assert dataset.metadata["axes"].startswith("stored as (Qy, Qx, Ry, Rx)") and dataset.calibration.energy == 300e3
    other = read(tmp_path / "a.mat", axes="Ry Rx Qy Qx")
    np.testing.assert_array_equal(other.load().data, MATLAB)


def test_a_stack_and_a_series(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"dp": TRUTH.reshape(12, 6, 5).transpose(1, 2, 0)})
    dataset = read(tmp_path / "a.mat", scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert "[Qy Qx J]" in dataset.metadata["axes"]
    with pytest.raises(DataError, match=r"stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(tmp_path / "a.mat")
    scipy.io.savemat(tmp_path / "b.mat", {"dp": np.stack([MATLAB, MATLAB + 1], -1)})
    np.testing.assert_array_equal(read(tmp_path / "b.mat", choose=1).load().data, TRUTH + 1)


@pytest.mark.parametrize("name", ["data", "array"])
def test_what_scipy_has_written_is_in_the_order_of_python(tmp_path, name):
    scipy.io.savemat(tmp_path / "a.mat", {name: TRUTH, "voltage": 80.0, "vacuum": np.ones((6, 5))})
    with pytest.warns(DataWarning, match=r"taken for \(Ry, Rx, Qy, Qx\), in the order of Python.*'Qy Qx Ry Rx'"):
        dataset = read(tmp_path / "a.mat")
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration.energy == 80e3 and dataset.vacuum.shape == (6, 5) and "axes" not in dataset.metadata
    scipy.io.savemat(tmp_path / "a.mat", {name: MATLAB})
    dataset = read(tmp_path / "a.mat", axes="Qy Qx Ry Rx")  # nothing is left to doubt
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


def test_a_shape_that_only_one_order_can_have(tmp_path):
    truth = np.random.default_rng(1).poisson(4, (3, 4, 24, 32)).astype(np.uint16)
    scipy.io.savemat(tmp_path / "a.mat", {"data": truth.transpose(2, 3, 0, 1)})
    with pytest.warns(DataWarning, match=r"order of MATLAB, because of its shape.*axes='Ry Rx Qy Qx'"):
        dataset = read(tmp_path / "a.mat")
    np.testing.assert_array_equal(dataset.load().data, truth)
    squares = truth[..., :24].reshape(12, 24, 24)
    for stack, words in ((squares, "Python"), (squares.transpose(1, 2, 0), "MATLAB")):
        scipy.io.savemat(tmp_path / "a.mat", {"data": stack})
        with pytest.warns(DataWarning, match=f"in the order of {words}"):
            dataset = read(tmp_path / "a.mat", scan_shape=(3, 4))
        np.testing.assert_array_equal(dataset.load().data, truth[..., :24])
    scipy.io.savemat(tmp_path / "a.mat", {"data": np.stack([truth, truth + 1])})
    with pytest.warns(DataWarning, match=r"taken for \(T, Ry, Rx, Qy, Qx\)"):
        dataset = read(tmp_path / "a.mat", choose=1)
    np.testing.assert_array_equal(dataset.load().data, truth + 1)


def test_what_matlab_itself_has_written_is_in_its_order(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"data": MATLAB})
    data = (tmp_path / "a.mat").read_bytes()
    for header in (
        b"Platform: GLNXA64, Created on: Mon",
        b"Platform: PCWIN64, Created on: Mon",
        b", written by Octave",
    ):
        text = (b"MATLAB 5.0 MAT-file" + header).ljust(116)
        (tmp_path / "a.mat").write_bytes(text + data[116:])
        np.testing.assert_array_equal(read(tmp_path / "a.mat").load().data, TRUTH)


def test_one_of_several_and_a_vacuum_pattern(tmp_path):
    vacuum = np.ones((6, 5))
    scipy.io.savemat(tmp_path / "a.mat", {"cbed": MATLAB, "dp": MATLAB + 1, "vacuum": vacuum, "probe": vacuum * 1j})
    with pytest.raises(FileFormatError, match=r"2 arrays that could be the data.*dataset='cbed'"):
        read(tmp_path / "a.mat")
    dataset = read(tmp_path / "a.mat", dataset="dp")
    np.testing.assert_array_equal(dataset.load().data, TRUTH + 1)
    with pytest.raises(FileFormatError, match="no array 'c'"):
        read(tmp_path / "a.mat", dataset="c")
    with pytest.raises(FileFormatError, match="real numbers"):
        read_pattern(tmp_path / "a.mat", dataset="probe")
    np.testing.assert_array_equal(read_pattern(tmp_path / "a.mat", dataset="vacuum"), vacuum)


def test_complex_data_are_refused(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"cbed": MATLAB * 1j})
    with pytest.raises(FileFormatError, match=r"no 4-D array of numbers.*complex128"):
        read(tmp_path / "a.mat")


def test_the_memory_is_asked_for_before_it_is_taken(tmp_path, monkeypatch):
    scipy.io.savemat(tmp_path / "a.mat", {"cbed": np.zeros((600, 600, 4, 4))}, do_compression=True)
    monkeypatch.setattr(dataset_checks.memory, "available_memory", lambda: 1e7)
    with pytest.raises(DataError, match=r"600 x 600 x 4 x 4 float64.*needs 46.1 MB.*'-v7.3'"):
        read(tmp_path / "a.mat")


def test_sizes_that_do_not_go_with_the_file(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"cbed": MATLAB})
    data = (tmp_path / "a.mat").read_bytes()
    sizes = np.array(MATLAB.shape, "<i4").tobytes()
    assert data.count(sizes) == 1
    (tmp_path / "a.mat").write_bytes(data.replace(sizes, np.array([2**20, 2**20, 3, 4], "<i4").tobytes()))
    with pytest.raises(FileFormatError, match=r"would take \d+ bytes where 720 are"):
        read(tmp_path / "a.mat")


def test_shared_file(shared):
    folder = shared / "data" / "formats" / "made"
    dataset = read(folder / "matlab" / "cbed_v5.mat")
    np.testing.assert_array_equal(dataset.load().data, np.load(folder / "truth.npz")["u16"])
    c = dataset.calibration
    assert (c.energy, c.scan_step, c.q_pixel, c.semiangle) == (80e3, 1.5, 0.05, 20.0)
