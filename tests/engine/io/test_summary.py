"""What a file is before it is opened: whatever it is, an answer in words."""

import os
import warnings

import h5py
import numpy as np
import pytest

import ptywidgets as pw
from ptywidgets.cli import main
from ptywidgets.engine.core.errors import DataWarning, ParameterError, ScanShapeUnknown, SeriesOfScans, SeveralArrays
from ptywidgets.engine.io import summary as module
from ptywidgets.engine.io.detect_format import is_store
from ptywidgets.engine.io.summary import FileSummary, summarise, summary_of
from ptywidgets.testing.record_files import blo_file, tvips_files


@pytest.fixture(scope="module")
def duck():
    return pw.samples.ducky("tiny")


def test_a_vendor_file(tmp_path):
    counts = np.random.default_rng(0).poisson(3, (3, 4, 16, 16)).astype(np.uint8)
    found = summarise(blo_file(tmp_path / "scan.blo", counts, step=(0.4, 0.4), volts=80000))
    assert found.can_open and found.kind == "data" and found.format == "NanoMegas .blo"
    assert (found.shape, found.dtype, found.nbytes) == ((3, 4, 16, 16), "uint8", counts.nbytes)
    assert found.on_disk == (tmp_path / "scan.blo").stat().st_size
    rows = dict(found.rows())
    assert rows["energy"] == "80 keV, from the file (header: Beam_energy)"
    assert rows["scan step"].startswith("4 A, from the file")
    assert rows["q pixel"] == "not known" and rows["vacuum pattern"] == "none"
    assert found.missing == ("semiangle", "q_pixel")
    assert found.needs("widget")[0] == "To reconstruct, give one of: semi-angle (mrad), q pixel (1/A)"
    assert found.needs("code")[0].endswith("semiangle=20.0 (semi-angle, mrad), q_pixel=0.025 (detector pixel, 1/A)")
    given = summarise(tmp_path / "scan.blo", semiangle=20.0)
    assert given.missing == () and dict(given.rows())["semi-angle"] == "20 mrad, given"


def test_vacuum_and_masks_are_told(tmp_path, duck):
    mask = np.ones((64, 64), bool)
    mask[3, 4] = False
    masked = duck.with_mask(mask)
    found = summarise(pw.write(tmp_path / "duck.h5", masked))
    assert found.missing == () and found.vacuum.startswith("in the file (")
    assert found.left_out == "1 of 4096 detector pixels"
    assert summary_of(masked).vacuum == "from an array"


def test_the_command_line_says_the_same(tmp_path, capsys):
    counts = np.ones((3, 4, 16, 16), np.uint8)
    file = blo_file(tmp_path / "scan.blo", counts, volts=80000)
    assert main(["info", str(file)]) == 0
    told = capsys.readouterr().out.rstrip("\n")
    assert told == summarise(file).describe("command line")


def test_a_stack_is_asked_for_its_scan_and_tells_the_rest(tmp_path):
    stack = np.random.default_rng(0).poisson(3, (12, 8, 16)).astype(np.uint16)
    (file,) = tvips_files(tmp_path, stack, [12])
    found = summarise(file)
    assert not found.can_open and isinstance(found.error, ScanShapeUnknown)
    assert (found.asked, found.likely, found.shape, found.dtype) == (("scan_shape",), (3, 4), (12, 8, 16), "uint16")
    assert dict(found.rows())["energy"].startswith("200 keV, from the file")
    assert "enter the rows and columns of the scan" in found.problem("widget")
    answered = summarise(file, scan_shape=(2, 6))
    assert answered.can_open and answered.shape == (2, 6, 8, 16) and answered.asked == ("scan_shape",)
    wrong = summarise(file, scan_shape=(5, 5))
    assert not wrong.can_open and wrong.asked == ("scan_shape",) and "25 scan positions" in wrong.problem()


def test_several_arrays_are_to_be_chosen_from(tmp_path):
    with h5py.File(tmp_path / "two.h5", "w") as file:
        file["a/first"] = np.ones((2, 3, 8, 8), np.uint8)
        file["b"] = np.ones((2, 3, 8, 8), np.uint16)
    np.savez(tmp_path / "two.npz", u8=np.ones((2, 3, 8, 8), np.uint8), u16=np.ones((2, 3, 8, 8), np.uint16))
    for file in ("two.h5", "two.npz"):
        found = summarise(tmp_path / file)
        assert isinstance(found.error, SeveralArrays) and found.asked == ("dataset",)
        assert len(found.arrays) == 2 and "2 x 3 x 8 x 8" in found.arrays[0][1]
        assert found.problem("widget").endswith("choose one of them.") and "dataset=" in found.problem()
        for at, words in found.arrays:
            chosen = summarise(tmp_path / file, dataset=at)
            assert chosen.can_open and chosen.dtype in words and chosen.asked == ("dataset",)


def test_stacks_in_hdf5_are_chosen_and_asked_for_their_scan(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        file["frames"] = np.ones((12, 8, 8), np.uint8)
    found = summarise(tmp_path / "one.h5")
    assert (found.asked, found.likely, found.shape) == (("scan_shape",), (3, 4), (12, 8, 8))
    assert summarise(tmp_path / "one.h5", scan_shape=(3, 4)).can_open
    with h5py.File(tmp_path / "several.h5", "w") as file:
        file["a"] = np.ones((12, 8, 8), np.uint8)
        file["b"] = np.ones((12, 8, 8), np.uint8)
    found = summarise(tmp_path / "several.h5")
    assert found.asked == ("dataset", "scan_shape") and len(found.arrays) == 2
    assert summarise(tmp_path / "several.h5", scan_shape=(3, 4), dataset="b").can_open


def test_a_series_is_to_be_chosen_from(tmp_path):
    np.save(tmp_path / "series.npy", np.ones((3, 2, 2, 8, 8), np.uint8))
    found = summarise(tmp_path / "series.npy")
    assert isinstance(found.error, SeriesOfScans) and (found.asked, found.scans) == (("choose",), 3)
    assert found.shape == (3, 2, 2, 8, 8) and "the sum of all" in found.problem("widget")
    for choice in (0, 2, "sum"):
        assert summarise(tmp_path / "series.npy", choose=choice).shape == (2, 2, 8, 8)


def test_bare_numbers_are_asked_how_they_lie(tmp_path):
    np.arange(4 * 16, dtype="<u2").tofile(tmp_path / "bare.bin")
    found = summarise(tmp_path / "bare.bin")
    assert found.asked == ("dtype", "detector_shape") and found.kind == "other" and not found.can_open
    assert "fill in how they lie" in found.problem("widget")
    half = summarise(tmp_path / "bare.bin", dtype="<u2")
    assert not half.can_open and half.asked == ("dtype", "detector_shape")
    known = {"dtype": "<u2", "detector_shape": (4, 4)}
    assert "scan_shape" in summarise(tmp_path / "bare.bin", **known).asked
    assert summarise(tmp_path / "bare.bin", **known, scan_shape=(2, 2)).can_open
    assert "whole number of times" in summarise(tmp_path / "bare.bin", dtype="<u2", detector_shape=(5, 5)).problem()


def test_an_energy_that_axes_need_is_asked_for(tmp_path):
    with h5py.File(tmp_path / "mrad.h5", "w") as file:
        file["data"] = np.ones((3, 4, 8, 8), np.uint8)
        for n, (length, unit) in enumerate(((3, "nm"), (4, "nm"), (8, "mrad"), (8, "mrad")), 1):
            file[f"dim{n}"] = np.arange(length) * 0.5
            file[f"dim{n}"].attrs["units"] = unit
    found = summarise(tmp_path / "mrad.h5")
    assert found.asked == ("energy",) and "energy" in found.problem("widget")
    assert summarise(tmp_path / "mrad.h5", energy=80e3).can_open


def test_a_saved_reconstruction_is_told_from_data(tmp_path, duck):
    pw.write(tmp_path / "duck.h5", duck)
    recon = pw.Reconstruction.open(tmp_path / "duck.h5", defocus=250).run(1)
    found = summarise(recon.save(tmp_path / "saved.h5"))
    assert found.kind == "reconstruction" and found.can_open and "saved reconstruction" in found.rows()[0][1]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("notes.txt", b"some words", "is text"),
        ("empty.mib", b"", "empty (0 bytes)"),
        ("cut.h5", b"\x89HDF\r\n\x1a\n and no more", "damaged"),
        ("pickle.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", ""),
    ],
)
def test_what_is_no_data_says_what_it_is(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    found = summarise(tmp_path / name)
    assert not found.can_open and words in found.problem("widget") and found.missing == ()
    assert found.problem() in found.describe()


def test_what_is_not_there_or_no_file(tmp_path):
    assert "no such file" in summarise(tmp_path / "gone.mib").problem()
    folder = summarise(tmp_path)
    assert folder.kind == "folder" and not folder.can_open and "is a folder" in folder.problem()
    os.symlink(tmp_path / "nowhere", tmp_path / "broken.mib")
    assert "no such file" in summarise(tmp_path / "broken.mib").problem()
    for bad in (5, "nul\0.mib"):
        assert summarise(bad).problem()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mib")
    assert "a pipe or a device" in summarise(tmp_path / "pipe.mib").problem()
    with pytest.raises(pw.engine.FileFormatError, match="is a pipe, a socket or a device; expected a file"):
        pw.read(tmp_path / "pipe.mib")


def test_a_file_that_may_not_be_read_or_goes_away(tmp_path, monkeypatch):
    file = blo_file(tmp_path / "scan.blo", np.ones((2, 2, 8, 8), np.uint8))

    def goes(*_args, **_reading):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(module, "read", goes)
    assert "is gone" in summarise(file).problem()

    def refused(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "existing_path", refused)
    assert "may not be read; check its permissions" in summarise(file).problem()


def test_what_reading_warns_of_is_told_and_not_shown(tmp_path):
    counts = np.ones((12, 16, 16), np.uint8)
    file = tmp_path / "scan_x4_y4.npy"
    np.save(file, counts)
    from ptywidgets.testing.record_files import de_info, mrc_file

    de_info(tmp_path / "m_info.txt", (4, 4, 16, 16))
    movie = mrc_file(tmp_path / "m_movie.mrc", counts)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = summarise(movie)
    assert not [one for one in heard if issubclass(one.category, DataWarning)]
    assert found.can_open and any("3 of 4 rows of the scan" in note for note in found.notes)
    assert found.notes[0] in found.describe()


def test_what_can_only_be_read_whole_is_not_read_where_it_is_large(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "packed.npz", data=np.zeros((4, 4, 32, 32), np.uint8))
    np.savez(tmp_path / "stored.npz", data=np.zeros((4, 4, 32, 32), np.uint8))
    assert summarise(tmp_path / "packed.npz").shape == (4, 4, 32, 32)
    monkeypatch.setattr(module, "LARGE", 100)
    packed = summarise(tmp_path / "packed.npz")
    assert packed.can_open and packed.shape == () and "read whole" in packed.notes[0] and packed.missing == ()
    assert summarise(tmp_path / "stored.npz").shape == (4, 4, 32, 32)


def test_an_argument_that_read_does_not_know_is_refused(tmp_path):
    with pytest.raises(ParameterError, match="did you mean 'energy'"):
        summarise(tmp_path, enrgy=80e3)


def test_all_files_of_the_formats_have_an_answer(shared):
    """Whatever they are, and whatever is wrong with them."""
    count = 0
    for path in sorted((shared / "data" / "formats").rglob("*")):
        if any(is_store(folder) for folder in path.parents):
            continue
        found = summarise(path)
        assert isinstance(found, FileSummary) and found.describe("widget")
        assert found.can_open or found.problem("widget")
        count += found.can_open
    assert count > 30
