"""numpy's .npy: in both orders, as a scan and as a stack, and never the end of the process."""

from __future__ import annotations

import numpy as np
import pytest

from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.containers import npy
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(0).integers(0, 60000, (3, 4, 10, 7)).astype(np.uint16)


class Npy(FormatContract):
    module = npy
    array, arguments = TRUTH, {}

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        np.save(folder / "scan.npy", self.array)
        return Sample(folder / "scan.npy", TRUTH, arguments=self.arguments)


class TestScan(Npy):
    pass


class TestColumnsFirst(Npy):
    array = np.asfortranarray(TRUTH)


class TestStack(Npy):
    array, arguments = TRUTH.reshape(12, 10, 7).astype(">u2"), {"scan_shape": (3, 4)}


def test_a_file_that_is_saved_over_by_a_shorter_one(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((32, 32, 64, 64), np.uint16))
    dataset = read(tmp_path / "a.npy")
    np.save(tmp_path / "a.npy", np.ones((8, 8, 64, 64), np.uint16))
    with pytest.raises(PtyError, match=r"shorter|cut|replaced"):
        dataset.pattern(31, 31)
