"""ptypy's chunks: put in the order of their indices, with the positions' raster and the geometry's pixel."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.hdf5 import ptyd
from ptywidgets.engine.io.formats.registry import format_of
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(6).poisson(4.0, (3, 4, 10, 6)).astype(np.uint16)
META = {"energy": 200.0, "distance": 0.5, "psize": np.array([2e-4, 1e-4]), "version": np.bytes_("0.1")}


def written(path, chunks=(range(5), range(5, 12)), meta=META, positions=True, numbers=None):
    """Patterns with the numbers in `chunks`, in that order."""
    path.parent.mkdir(exist_ok=True)
    rows, columns = np.divmod(np.arange(12), 4)
    places = np.stack([rows * 4e-10, columns * -3e-10], -1)
    with h5py.File(path, "w") as file:
        for name, value in meta.items():
            file[f"meta/{name}"] = value
        for number, chunk in enumerate(chunks):
            group, chunk = file.create_group(f"chunks/{number}"), list(chunk)
            group.create_dataset("data", data=TRUTH.reshape(12, 10, 6)[chunk], chunks=(1, 10, 6))
            group["indices"] = np.array(chunk if numbers is None else numbers[number])
            if positions:
                group["positions"] = places[chunk]
            group["weights"] = np.zeros(0)
    return path


KNOWN = {
    "energy": 200e3,
    "scan_step": (4.0, 3.0),
    "q_pixel": (4e-4 / wavelength(200e3), 2e-4 / wavelength(200e3)),
}


class TestPtyd(FormatContract):
    module = ptyd

    @pytest.fixture
    def sample(self, tmp_path):
        return Sample(written(tmp_path / "sample" / "scan.ptyd"), TRUTH, KNOWN)


class TestPtydOutOfOrder(FormatContract):
    module = ptyd

    @pytest.fixture
    def sample(self, tmp_path):
        path = written(tmp_path / "sample" / "scan.ptyd", ((7, 2, 3, 0), (1, 11, 5, 4), (6, 8, 9, 10)))
        return Sample(path, TRUTH, KNOWN)


def test_ten_chunks_are_in_the_order_of_their_numbers(tmp_path):
    path = written(tmp_path / "a.ptyd", [(n,) for n in range(12)])
    with h5py.File(path, "r+") as file:
        for number in range(12):
            del file[f"chunks/{number}/indices"]
    np.testing.assert_array_equal(read(path).load().data, TRUTH)


def test_numbers_that_begin_elsewhere_or_have_gaps(tmp_path):
    path = written(tmp_path / "a.ptyd", numbers=(range(100, 105), range(107, 114)))
    np.testing.assert_array_equal(read(path).load().data, TRUTH)
    with pytest.raises(FileFormatError, match="pattern number 4 twice"):
        read(written(tmp_path / "b.ptyd", numbers=(range(5), range(4, 11))))


def test_energies_that_may_be_photons_are_only_told(tmp_path):
    dataset = read(written(tmp_path / "a.ptyd", meta={**META, "energy": 8.5}))
    assert dataset.calibration.energy is None and dataset.calibration.q_pixel is None
    assert dataset.metadata["meta/energy"] == "8.5 keV, of electrons or photons, is not said"
    for wrong in ({"energy": np.nan}, {"energy": np.bytes_("None")}, {"distance": np.bytes_("None")}):
        assert read(written(tmp_path / "b.ptyd", meta={**META, **wrong})).calibration.q_pixel is None
    some = read(written(tmp_path / "c.ptyd", meta={"energy": 80.0, "distance": 0.0, "psize": 1e-4})).calibration
    assert some.energy == 80e3 and some.q_pixel is None


def test_without_a_raster_the_scan_has_to_be_given(tmp_path):
    path = written(tmp_path / "a.ptyd", positions=False)
    with pytest.raises(DataError, match=r"stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(path)
    dataset = read(path, scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert dataset.calibration.scan_step is None


def test_chunks_that_do_not_fit_together(tmp_path):
    path = written(tmp_path / "a.ptyd")
    with h5py.File(path, "r+") as file:
        del file["chunks/1/data"]
        file["chunks/1/data"] = TRUTH.reshape(12, 6, 10)[:7]
    with pytest.raises(DataError, match="patterns of one size and type"):
        read(path)


def test_one_array_by_its_name(tmp_path):
    path = written(tmp_path / "a.ptyd", chunks=(range(6), range(6, 12)))
    np.testing.assert_array_equal(read(path, "chunks/1/data", scan_shape=(2, 3)).load().data[0, 0], TRUTH[1, 2])


def test_the_made_file(shared):
    path = shared / "data" / "formats" / "made" / "ptypy" / "made.ptyd"
    assert format_of(path) is ptyd
    dataset = read(path)
    np.testing.assert_array_equal(dataset.load().data, np.load(path.parents[1] / "truth.npz")["u16"])
    known = dataset.calibration
    assert (known.energy, known.scan_step) == (80e3, pytest.approx(1.5))
    assert known.q_pixel == pytest.approx(0.05, rel=1e-3) and known.semiangle is None
    assert "pixel size / distance" in " ".join(map(str, dataset.source.calibration))
