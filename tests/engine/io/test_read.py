"""Reading: what is found without being told, and what is said when it cannot be."""

from __future__ import annotations

import os
import pickle
import threading

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, DataError, FileFormatError, ParameterError
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io import contents, read, read_pattern, write
from ptywidgets.engine.io.formats.hdf5.emd_write import write_array, write_metadata, write_root


@pytest.fixture
def patterns():
    return np.random.default_rng(1).integers(0, 99, (3, 4, 6, 8)).astype(np.uint16)


@pytest.fixture
def plain(tmp_path, patterns):
    """Make a plain HDF5 file from name=array."""

    def make(name="plain.h5", **arrays):
        with h5py.File(tmp_path / name, "w") as file:
            for key, value in (arrays or {"data": patterns}).items():
                file[key.replace("__", "/")] = value
        return tmp_path / name

    return make


def emd(path, data, items, vacuum=None):
    with h5py.File(path, "w") as file:
        root = write_root(file, "datacube_root")
        write_metadata(root, "calibration", items, "Calibration")
        cube = write_array(root, "datacube", data, python_class="DataCube")
        if vacuum is not None:
            write_array(cube.parent, *vacuum)
    return path


# ------------------------------------------------------------------ plain HDF5


def test_the_only_4d_array_is_taken(plain, patterns):
    path = plain(deep__inside__scan=patterns, image=patterns[0, 0], words=np.bytes_(b"hello"))
    with h5py.File(path, "a") as file:
        file["deep/inside/scan"].attrs["microscope"] = "<b>Titan</b>"
        file.attrs["when"] = [1, 2, 3]
    dataset = read(path)
    np.testing.assert_array_equal(dataset.load().data, patterns)
    assert dataset.is_lazy and dataset.name == "plain" and dataset.path == path
    assert dataset.metadata["deep/inside/scan@microscope"] == "<b>Titan</b>"
    assert dataset.metadata["@when"] == "[1 2 3]"


def test_two_4d_arrays_are_listed(plain, patterns):
    path = plain(a=patterns, b=patterns)
    with pytest.raises(FileFormatError, match=r"2 arrays.*'a' 3 x 4 x 6 x 8 uint16; 'b'.*dataset='a'"):
        read(path)
    np.testing.assert_array_equal(read(path, dataset="b").pattern(1, 1), patterns[1, 1])
    with pytest.raises(FileFormatError, match=r"no 'c'.*It holds: 'a'"):
        read(path, dataset="c")


def test_without_4d_data_everything_is_listed(plain, patterns):
    path = plain(maps__sum=patterns.sum((2, 3)), line=patterns[0, 0, 0])
    with pytest.raises(FileFormatError, match=r"no 4-D array.*'maps/sum' 3 x 4 uint64; 'line' 8 uint16"):
        read(path)
    assert [(e.path, e.shape) for e in contents(path)] == [("line", (8,)), ("maps/sum", (3, 4))]


def test_a_stack_needs_its_scan_shape(plain, patterns):
    path = plain(frames=patterns.reshape(12, 6, 8))
    with pytest.raises(FileFormatError, match=r"stack of 12 patterns, pass scan_shape=\(3, 4\)"):
        read(path)
    dataset = read(path, scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.load().data, patterns)
    np.testing.assert_array_equal(dataset.pattern(2, 1), patterns[2, 1])
    with pytest.raises(
        DataError, match=r"12 diffraction patterns but scan_shape=\(5, 5\) has 25.*such as \(3, 4\).*sync_offset=0"
    ):
        read(path, scan_shape=(5, 5))
    with pytest.raises(DataError, match="stack of 12 patterns, 12 x 6 x 8, and does not say"):
        read(path, dataset="frames")


def test_scan_shape_that_contradicts_4d_data(plain):
    with pytest.raises(DataError, match=r"scan_shape is \(4, 3\)"):
        read(plain(), scan_shape=(4, 3))


def test_axes_of_length_one_are_dropped(plain, patterns):
    dataset = read(plain(data=patterns[:, :, None]))
    assert dataset.shape == (3, 4, 6, 8)
    np.testing.assert_array_equal(dataset.pattern(2, 3), patterns[2, 3])
    np.testing.assert_array_equal(dataset.mean_pattern((0, 2, 1, 3)), patterns[:2, 1:3].mean((0, 1)))


@pytest.mark.parametrize("bad", [np.ones((2, 2, 4, 4), complex), np.full((2, 2, 4, 4), b"x")])
def test_arrays_that_are_not_numbers_are_no_data(plain, bad):
    with pytest.raises(FileFormatError, match="no 4-D array of numbers"):
        read(plain(data=bad))


def test_chunks_are_read_whole(tmp_path, patterns):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("data", data=patterns, chunks=(2, 4, 6, 8), compression="gzip")
    firsts = [first for first, _ in read(tmp_path / "c.h5").rows(chunk_bytes=1)]
    assert firsts == [0, 2]


def test_links_out_of_the_file_are_refused(plain, tmp_path, patterns):
    plain("other.h5", secret=patterns)
    path = tmp_path / "links.h5"
    with h5py.File(path, "w") as file:
        file["data"] = h5py.ExternalLink("other.h5", "secret")
        file["soft"] = h5py.SoftLink("/data")
        file["circle"] = h5py.SoftLink("/circle")
    with pytest.raises(FileFormatError, match=r"'data' -> 'other.h5'.*allow_external=True"):
        read(path)
    for name in ("data", "soft"):
        with pytest.raises(FileFormatError, match=r"another file, 'other.h5'.*allow_external"):
            read(path, dataset=name)
    with pytest.raises(FileFormatError, match="circle"):
        read(path, dataset="circle")
    np.testing.assert_array_equal(read(path, dataset="data", allow_external=True).pattern(0, 1), patterns[0, 1])
    np.testing.assert_array_equal(read(path, allow_external=True).pattern(0, 1), patterns[0, 1])
    (tmp_path / "other.h5").unlink()
    with pytest.raises(FileFormatError, match=r"'data' in links.h5 takes its .*'secret' in 'other.h5'.*cannot be open"):
        read(path, dataset="data", allow_external=True)


def test_virtual_and_external_storage_are_refused(plain, tmp_path, patterns):
    plain("other.h5", secret=patterns)
    (tmp_path / "raw.bin").write_bytes(patterns.tobytes())
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(patterns.shape, patterns.dtype)
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", patterns.shape)
        file.create_virtual_dataset("data", layout)
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file.create_dataset("data", patterns.shape, patterns.dtype, external=[(str(tmp_path / "raw.bin"), 0, 10**6)])
    for name in ("virtual.h5", "raw.h5"):
        with pytest.raises(FileFormatError, match=r"another file.*allow_external"):
            read(tmp_path / name)
        np.testing.assert_array_equal(read(tmp_path / name, allow_external=True).pattern(2, 3), patterns[2, 3])


def test_linked_calibration_is_not_followed(tmp_path, patterns):
    path = emd(tmp_path / "a.h5", patterns, {})
    with h5py.File(path, "a") as file:
        file["datacube_root/datacube/calibration"] = h5py.ExternalLink("nowhere.h5", "x")
        del file["datacube_root/metadatabundle/calibration"]
        file["datacube_root/metadatabundle/calibration"] = h5py.ExternalLink("nowhere.h5", "x")
    assert read(path).calibration == Calibration()


def test_lazy_array_survives_threads_pickle_close_and_fork(plain, patterns):
    data = read(plain()).data
    wrong = []

    def look():
        for k in range(60):
            if not np.array_equal(data[k % 3, k % 4], patterns[k % 3, k % 4]):
                wrong.append(k)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(data))[...], patterns)
    data.close()
    np.testing.assert_array_equal(np.asarray(data), patterns)
    assert len(data) == 3 and data[1, 2].dtype == np.uint16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_lazy_array_after_a_fork(plain, patterns):
    data = read(plain()).data
    data[0, 0]
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(data[2, 3], patterns[2, 3]) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(data[1, 1], patterns[1, 1])


# ------------------------------------------------------------------ calibration


def items(q=0.05, qu="A^-1", r=1.5, ru="A", **more):
    return {"Q_pixel_size": q, "Q_pixel_units": qu, "R_pixel_size": r, "R_pixel_units": ru, **more}


def test_calibration_of_an_emd_tree(tmp_path, patterns):
    calibration = read(emd(tmp_path / "a.h5", patterns, items())).calibration
    assert calibration == Calibration(scan_step=1.5, q_pixel=0.05)
    assert calibration.missing == ("energy",)
    calibration = read(emd(tmp_path / "a.h5", patterns, items(r=0.15, ru="nm")), energy=80e3, semiangle=20).calibration
    assert calibration == Calibration(80e3, 1.5, 0.05, 20)


def test_pixels_are_no_calibration(tmp_path, patterns):
    assert read(emd(tmp_path / "a.h5", patterns, items(1, "pixels", 1, "pixels"))).calibration == Calibration()


def test_mrad_needs_the_energy(tmp_path, patterns):
    path = emd(tmp_path / "a.h5", patterns, items(2.087864874205901, "mrad"))
    with pytest.raises(CalibrationError, match=r"2.08786 mrad.*energy=80e3"):
        read(path)
    assert read(path, energy=80e3).calibration.q_pixel == pytest.approx(0.05, rel=1e-5)
    assert read(path, q_pixel=0.04).calibration.q_pixel == 0.04
    assert read(path, energy=80e3, angle_pixel=1.0).calibration.angle_pixel == pytest.approx(1.0)


def test_contradictions_are_named(tmp_path, patterns):
    path = emd(tmp_path / "a.h5", patterns, items())
    with h5py.File(path, "a") as file:
        for n, (step, unit) in enumerate([(1.5, "A"), (1.5, "A"), (3.0, "mrad"), (3.0, "mrad")]):
            del file[f"datacube_root/datacube/dim{n}"]
            dim = file.create_dataset(f"datacube_root/datacube/dim{n}", data=[0.0, step])
            dim.attrs["name"], dim.attrs["units"] = "", unit
    assert read(path).calibration.q_pixel == 0.05  # without the energy mrad says nothing
    with pytest.raises(CalibrationError, match=r"contradicts itself: q_pixel is 0.05 A\^-1 .* and 3 mrad"):
        read(path, energy=80e3)
    assert read(path, energy=80e3, q_pixel=0.05).calibration.q_pixel == 0.05


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf])
def test_impossible_values_in_a_file_can_be_overridden(tmp_path, patterns, bad):
    path = emd(tmp_path / "a.h5", patterns, items(q=bad))
    with pytest.raises(CalibrationError, match=r"q_pixel.*cannot be"):
        read(path)
    assert read(path, q_pixel=0.05).calibration.q_pixel == 0.05


def test_unknown_keyword_says_the_nearest(plain):
    with pytest.raises(ParameterError, match="did you mean 'energy'"):
        read(plain(), enrgy=80e3)
    with pytest.raises(ParameterError, match="'scan_shape'"):
        read(plain(), scan_shap=(3, 4))


# ------------------------------------------------------------------ vacuum


def test_vacuum_probe_in_the_tree_is_found_and_a_mean_is_not(tmp_path, patterns):
    mean = patterns.mean((0, 1))
    path = emd(tmp_path / "a.h5", patterns, items(), vacuum=("dp_mean", mean))
    assert read(path).vacuum is None
    path = emd(tmp_path / "a.h5", patterns, items(), vacuum=("vacuum_probe", mean))
    np.testing.assert_array_equal(read(path).vacuum, mean)
    np.testing.assert_array_equal(read_pattern(path), mean)
    assert read(path, vacuum=False).vacuum is None
    np.testing.assert_array_equal(read(path, vacuum=mean + 1).vacuum, mean + 1)


def test_py4dstem_probe_with_its_kernel(tmp_path, patterns):
    probe = np.stack([patterns[0, 0], patterns[0, 1]]).astype(float)
    path = emd(tmp_path / "a.h5", patterns, items(), vacuum=("p", probe, (), "", "Probe"))
    np.testing.assert_array_equal(read(path).vacuum, probe[0])
    np.testing.assert_array_equal(read_pattern(path, "datacube_root/datacube/p"), probe[0])


def test_vacuum_from_another_file(plain, tmp_path, patterns):
    path = plain("vac.h5", pattern=patterns[1, 1], other=patterns[0, 0, 0])
    np.testing.assert_array_equal(read_pattern(path), patterns[1, 1])
    np.testing.assert_array_equal(read(plain(), vacuum=path).vacuum, patterns[1, 1])
    np.save(tmp_path / "v.npy", patterns[1, 1])
    np.testing.assert_array_equal(read(plain(), vacuum=str(tmp_path / "v.npy")).vacuum, patterns[1, 1])
    with pytest.raises(DataError, match="4 x 4 but the detector is 6 x 8"):
        read(plain(), vacuum=np.ones((4, 4)))
    with pytest.raises(FileFormatError, match="2 2-D patterns"):
        read_pattern(plain("two.h5", a=patterns[0, 0], b=patterns[0, 1]))
    with pytest.raises(FileFormatError, match="no 2-D patterns"):
        read_pattern(plain("none.h5", data=patterns))


def test_a_vacuum_file_given_as_the_data_says_so(plain, patterns):
    with pytest.raises(FileFormatError, match=r"vacuum pattern.*vacuum="):
        read(plain(pattern=patterns[0, 0]))


# ------------------------------------------------------------------ npy


def test_npy_is_mapped(tmp_path, patterns):
    np.save(tmp_path / "a.npy", patterns)
    dataset = read(tmp_path / "a.npy", energy=80e3)
    assert not isinstance(dataset.data, np.ndarray) and dataset.is_lazy
    np.testing.assert_array_equal(dataset.load().data, patterns)
    np.save(tmp_path / "b.npy", patterns.reshape(12, 6, 8))
    with pytest.raises(DataError, match=r"scan_shape=\(3, 4\)"):
        read(tmp_path / "b.npy")
    np.testing.assert_array_equal(read(tmp_path / "b.npy", scan_shape=(3, 4)).pattern(2, 2), patterns[2, 2])


def test_npy_with_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "o.npy", np.array([print, {}], dtype=object), allow_pickle=True)
    with pytest.raises(FileFormatError, match="never opened"):
        read(tmp_path / "o.npy")


# ------------------------------------------------------------------ not data at all


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n", "Git LFS pointer.*git lfs pull"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "web page"),
        (b"PK\x03\x04abcdef", "zip archive"),
        (b"\x1f\x8babc", "gzip"),
        (b"hello there", "text"),
        (b"\x80\x04\x95", "pickle"),
        (bytes(range(256)), "unknown format"),
        (b"\x89HDF", "cut off"),
    ],
)
def test_other_content_is_named(tmp_path, content, words):
    path = tmp_path / "scan.h5"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=words):
        read(path)
    with pytest.raises(FileFormatError):
        read_pattern(path)
    with pytest.raises(FileFormatError):
        contents(path)


def test_missing_file_names_the_nearest(tmp_path, plain):
    plain("ducky_scan.h5")
    with pytest.raises(FileFormatError, match=r"no such file.*Did you mean 'ducky_scan.h5'"):
        read(tmp_path / "duckyscan.h5")
    with pytest.raises(FileFormatError, match="no folder"):
        read(tmp_path / "nowhere" / "a.h5")
    with pytest.raises(FileFormatError, match=r"is a folder.*'ducky_scan.h5'"):
        read(tmp_path)
    for bad in ("a\0b", None, 3, "x" * 5000):
        with pytest.raises(FileFormatError):
            read(bad)


def test_a_user_block_before_hdf5_is_fine(tmp_path, patterns):
    with h5py.File(tmp_path / "u.mat", "w", userblock_size=512) as file:
        file["data"] = patterns
    assert read(tmp_path / "u.mat").shape == patterns.shape


def test_round_trip_with_other_calibration(tmp_path, patterns):
    path = write(tmp_path / "a.h5", Dataset(patterns, Calibration(80e3, 4, 0.025, 20), vacuum=patterns[0, 0] + 1.0))
    again = read(write(tmp_path / "b.h5", read(path).with_calibration(scan_step=5)))
    assert again.calibration == Calibration(80e3, 5, 0.025, 20)
    np.testing.assert_array_equal(again.load().data, patterns)
    np.testing.assert_array_equal(again.vacuum, patterns[0, 0] + 1.0)
