"""numpy's .npz: read where it lies when stored, whole when compressed, never unpickled."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, FileFormatError
from ptywidgets.engine.data import dataset_checks
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.containers import npz
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(3).poisson(4, (3, 4, 6, 5)).astype(np.uint16)


class TestStored(FormatContract):
    module = npz

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        np.savez(folder / "a.npz", data=TRUTH.astype(">u2"), energy_keV=80.0, dk_invA=0.05, step_nm=0.3, alpha=20.0)
        stated = {"energy": 80e3, "q_pixel": 0.05, "scan_step": 3.0}
        return Sample(folder / "a.npz", TRUTH, stated)


class TestCompressed(FormatContract):
    module, stays_on_disk = npz, False

    @pytest.fixture
    def sample(self, tmp_path):
        folder = tmp_path / "sample"
        folder.mkdir()
        np.savez_compressed(folder / "a.npz", data=TRUTH, semiangle_mrad=20.0, energy=80e3)
        return Sample(folder / "a.npz", TRUTH, {"semiangle": 20.0})


def test_what_is_read_whole_is_said(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", data=TRUTH)
    assert read(tmp_path / "a.npz").metadata["reading"] == "stored compressed and read whole, 3 x 4 x 6 x 5 uint16"
    np.savez(tmp_path / "b.npz", data=np.asfortranarray(TRUTH))
    dataset = read(tmp_path / "b.npz")
    assert dataset.metadata["reading"].startswith("stored in columns first")
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


def test_the_memory_is_asked_for_before_it_is_taken(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "a.npz", data=np.zeros((4, 4, 600, 600)))
    monkeypatch.setattr(dataset_checks.memory, "available_memory", lambda: 1e7)
    with pytest.raises(DataError, match=r"'data' 4 x 4 x 600 x 600 .*needs 46.1 MB.*numpy.savez instead"):
        read(tmp_path / "a.npz")


def test_one_of_several_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", one=TRUTH, two=TRUTH + 1, stack=TRUTH.reshape(12, 6, 5), objects=np.array([{}, None]))
    with pytest.raises(FileFormatError, match=r"2 arrays that could be the data.*'one'.*dataset='one'"):
        read(tmp_path / "a.npz")
    np.testing.assert_array_equal(read(tmp_path / "a.npz", dataset="two.npy").load().data, TRUTH + 1)
    stack = read(tmp_path / "a.npz", dataset="stack", scan_shape=(4, 3))
    np.testing.assert_array_equal(stack.load().data, TRUTH.reshape(4, 3, 6, 5))
    for name, words in (("three", r"no array 'three'; it holds 'one'"), ("objects", r"no array of real numbers")):
        with pytest.raises(FileFormatError, match=words):
            read(tmp_path / "a.npz", dataset=name)


def test_a_stack_a_series_and_a_vacuum_pattern(tmp_path):
    vacuum = np.ones((6, 5), np.float32)
    np.savez(tmp_path / "a.npz", data=TRUTH.reshape(12, 6, 5), vacuum=vacuum, x=np.zeros(3))
    with pytest.raises(DataError, match=r"a stack of 12 patterns.*scan_shape=\(3, 4\)"):
        read(tmp_path / "a.npz")
    dataset = read(tmp_path / "a.npz", scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.vacuum, vacuum)
    np.testing.assert_array_equal(read_pattern(tmp_path / "a.npz"), vacuum)
    np.savez(tmp_path / "b.npz", data=np.stack([TRUTH, TRUTH + 1]))
    np.testing.assert_array_equal(read(tmp_path / "b.npz", choose=1).load().data, TRUTH + 1)
    np.savez(tmp_path / "c.npz", a=vacuum, b=vacuum)
    with pytest.raises(FileFormatError, match="2 2-D patterns"):
        read_pattern(tmp_path / "c.npz")
    with pytest.raises(FileFormatError, match="no 4-D array"):
        read(tmp_path / "c.npz")


def test_python_objects_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("it was unpickled",)

    np.savez(tmp_path / "a.npz", data=np.array([[[[Trap()]]]], object))
    for name in (None, "data"):
        with pytest.raises(FileFormatError):
            read(tmp_path / "a.npz", dataset=name)


def written(path, header, content=b"", **member):
    """A .npz of one member whose header says what it likes."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<u2", "fortran_order": False, **header})
    with zipfile.ZipFile(path, "w", **member) as file:
        file.writestr("data.npy", stream.getvalue() + content)


@pytest.mark.parametrize("shape", [(3, 4, 6, 7), (2**31, 2**31, 4, 4), (-3, -4, 6, 5), (3, 4, 6, 4)])
@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_sizes_that_do_not_go_with_the_file(tmp_path, shape, kind):
    written(tmp_path / "a.npz", {"shape": shape}, TRUTH.tobytes(), compression=kind)
    with pytest.raises(FileFormatError, match=r"cut off or damaged .*bytes where the zip has"):
        read(tmp_path / "a.npz")


def test_a_cut_file_is_told_to_be_one(tmp_path):
    np.savez(tmp_path / "a.npz", data=TRUTH)
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    with pytest.raises(FileFormatError, match=r"b\.npz is cut off or damaged .*copy or download it again"):
        read(tmp_path / "b.npz")


def test_other_zips_are_no_npz(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("data.npy", b"1")
        file.writestr("readme.txt", b"2")
    assert not npz.understands(tmp_path / "a.npz")
    with pytest.raises(FileFormatError, match="a zip archive"):
        read(tmp_path / "a.npz")


def test_shared_files(shared):
    folder = shared / "data" / "formats" / "made"
    truth = np.load(folder / "truth.npz")
    for name in truth.files:
        np.testing.assert_array_equal(read(folder / "truth.npz", dataset=name).load().data, truth[name])
    tike = read(shared / "data" / "tike-known-answers" / "forward_two_modes.npz", dataset="data", scan_shape=(13, 13))
    assert tike.shape == (13, 13, 32, 32)
