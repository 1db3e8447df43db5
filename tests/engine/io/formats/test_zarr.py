"""zarr: folders and zips, of versions 2 and 3, and what HyperSpy, abTEM, quantem and xarray say in them."""

from __future__ import annotations

import json
import pickle
import shutil
import sys
import zipfile

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError, PtyError
from ptywidgets.engine.data import dataset_checks
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.io import read, read_pattern
from ptywidgets.engine.io.formats.containers import zarr
from ptywidgets.testing.contracts.formats import FormatContract, Sample

package = pytest.importorskip("zarr", reason="no zarr here")
OLD = package.__version__.startswith("2.")
TRUTH = np.random.default_rng(6).poisson(4, (3, 4, 6, 5)).astype(np.uint16)
AXES = ("y", "x", "ky", "kx")
UNITS = ("nm", "nm", "1/A", "1/A")
STEPS = (0.4, 0.3, 0.05, 0.04)
STATED = Calibration(None, (4.0, 3.0), (0.05, 0.04))
newer = pytest.mark.skipif(OLD, reason="no zarr 3 here, which needs Python 3.11")
versions = pytest.mark.parametrize("version", [2, pytest.param(3, marks=newer)])


def group(folder, version, **attributes):
    """A group as the format describes it, of whatever is put into its folder."""
    folder.mkdir(parents=True)
    if version == 2:
        (folder / ".zgroup").write_text('{"zarr_format": 2}')
        (folder / ".zattrs").write_text(json.dumps(attributes))
    else:
        said = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
        (folder / "zarr.json").write_text(json.dumps(said))
    return folder


def array(folder, values, version, chunks=None, names=None, **attributes):
    """An array without compression."""
    folder.mkdir(parents=True)
    values = np.asarray(values)
    chunks = values.shape if chunks is None else chunks
    if version == 2:
        said = {
            "zarr_format": 2, "shape": values.shape, "chunks": chunks, "dtype": values.dtype.str, "compressor": None,
            "fill_value": 0, "order": "C", "filters": None,
        }  # fmt: skip
        (folder / ".zarray").write_text(json.dumps(said))
        (folder / ".zattrs").write_text(json.dumps({**attributes, **({"_ARRAY_DIMENSIONS": names} if names else {})}))
    else:
        codec = {"name": "bytes", "configuration": {"endian": "little"}}
        said = {
            "zarr_format": 3, "node_type": "array", "shape": values.shape, "data_type": values.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunks}}, "fill_value": 0,
            "chunk_key_encoding": {"name": "v2", "configuration": {"separator": "."}}, "codecs": [codec],
            "attributes": attributes, **({"dimension_names": names} if names else {}),
        }  # fmt: skip
        (folder / "zarr.json").write_text(json.dumps(said))
    for at in np.ndindex(*(-(-n // c) for n, c in zip(values.shape, chunks, strict=True))):
        block = np.zeros(chunks, values.dtype)
        part = values[tuple(slice(i * c, (i + 1) * c) for i, c in zip(at, chunks, strict=True))]
        block[tuple(slice(n) for n in part.shape)] = part
        (folder / ".".join(map(str, at))).write_bytes(block.tobytes())
    return folder


def zipped(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        for part in sorted(folder.rglob("*")):
            if part.is_file():
                file.write(part, part.relative_to(folder).as_posix())
    return path


@versions
class TestFolder(FormatContract):
    module = zarr

    @pytest.fixture
    def sample(self, tmp_path, version):
        folder = tmp_path / "sample"
        folder.mkdir()
        said = {"sampling": STEPS, "units": UNITS, "energy_keV": 80, "semiangle": 20}
        path = array(folder / "a.zarr", TRUTH, version, (2, 2, 6, 5), **said)
        stated = {"energy": 80e3, "scan_step": (4.0, 3.0), "q_pixel": (0.05, 0.04)}
        assert read(path).data.chunks == (2, 2, 6, 5) and read(path).metadata["semiangle"] == "20"
        return Sample(path, TRUTH, stated)


@versions
class TestZip(FormatContract):
    module = zarr

    @pytest.fixture
    def sample(self, tmp_path, version):
        folder = tmp_path / "sample"
        folder.mkdir()
        store = group(tmp_path / "store", version)
        array(store / "scan" / "data", TRUTH, version, (2, 2, 6, 5))
        if version == 2:
            (store / "scan" / ".zgroup").write_text('{"zarr_format": 2}')
        else:
            shutil.copy(store / "zarr.json", store / "scan" / "zarr.json")
        return Sample(zipped(store, folder / "a.zarr.zip"), TRUTH)


@versions
def test_every_file_of_a_folder_damaged(tmp_path, version):
    whole = array(tmp_path / "a.zarr", TRUTH, version, (2, 2, 6, 5))
    rng = np.random.default_rng(0)
    for file in sorted(p for p in whole.iterdir() if p.is_file()):
        content = file.read_bytes()
        for end in sorted({0, 1, len(content) // 2, len(content) - 1}):
            file.write_bytes(content[:end])
            self_in_words(whole, file.name.startswith(("0", "1")))
        for _ in range(10):
            changed = bytearray(content)
            for at in rng.integers(0, max(len(content), 1), min(3, len(content))):
                changed[int(at)] = int(rng.integers(256))
            file.write_bytes(bytes(changed))
            self_in_words(whole, False)
        file.write_bytes(content)
    np.testing.assert_array_equal(read(whole).load().data, TRUTH)


def self_in_words(path, must_fail):
    try:
        dataset = read(path)
        if dataset.nbytes < 1e8:
            dataset.load()
    except PtyError as error:
        assert str(error).isprintable()
    except DataWarning:  # an error in the tests
        pass
    else:
        assert not must_fail, "a chunk that is cut was read"


@versions
def test_chunks_that_are_not_there_are_told(tmp_path, version):
    path = array(tmp_path / "a.zarr", TRUTH, version, (2, 2, 6, 5))
    (path / "1.1.0.0").unlink()
    with pytest.warns(DataWarning, match=r"of a\.zarr 3 of 4 chunks are stored, the others are read as 0.*broke off"):
        dataset = read(path)
    assert dataset.metadata["chunks"].startswith("3 of 4")
    assert not dataset.pattern(2, 2).any()


@versions
def test_hyperspy(tmp_path, version):
    store = group(tmp_path / "a.zspy", version, file_format="ZSpy")
    top = group(store / "Experiments", version) / "one"
    group(top, version)
    array(top / "data", TRUTH, version)
    for i in range(4):
        group(top / f"axis-{i}", version, name=AXES[i], units=UNITS[i], scale=STEPS[i], navigate=i < 2)
    group(top / "metadata", version)
    group(top / "metadata" / "Acquisition_instrument", version)
    said = {"beam_energy": 80.0, "convergence_angle": 20.0}
    group(top / "metadata" / "Acquisition_instrument" / "TEM", version, **said)
    dataset = read(store)
    assert dataset.calibration == STATED.replace(energy=80e3, semiangle=20.0)
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


@versions
@pytest.mark.parametrize("as_text", [True, False])
def test_abtem(tmp_path, version, as_text):
    axes = {
        f"axis_{i}": {"label": name, "sampling": step, "units": unit}
        for i, (name, step, unit) in enumerate(zip(("x", "y", "kx", "ky"), (4, 3, 0.05, 0.04), "AA__", strict=True))
    }
    axes["axis_2"]["units"] = axes["axis_3"]["units"] = "1/Å"
    said = {"energy": 80e3, "semiangle_cutoff": 20.0, "axes": axes, "type": "DiffractionPatterns"}
    store = group(tmp_path / "a.zarr", version, metadata0=json.dumps(said) if as_text else said)
    array(store / "array0", TRUTH.astype(np.float32), version)
    dataset = read(store)
    assert dataset.calibration == STATED.replace(energy=80e3, semiangle=20.0)
    assert dataset.metadata["type"] == "DiffractionPatterns"
    older = group(tmp_path / "b.zarr", version, kwargs0={"metadata": {"energy": 80e3}})
    array(older / "array0", TRUTH, version)
    assert read(older).calibration == Calibration(energy=80e3)


@versions
def test_quantem(tmp_path, version):
    store = group(tmp_path / "a.zarr", version, _name="a name")
    array(store / "_array", TRUTH, version)
    array(store / "_sampling", np.array([4.0, 3.0, 0.05, 0.04]), version)
    array(store / "_origin", np.zeros(4), version)
    group(store / "_units", version, **{"0": "A", "1": "A", "2": "A^-1", "3": "A^-1"})
    group(store / "_metadata", version, q_to_r_rotation_ccw_deg=12.5, q_transpose=None)
    for path in (store, zipped(store, tmp_path / "a.zip")):
        dataset = read(path)
        assert dataset.calibration == STATED and dataset.metadata["q_to_r_rotation_ccw_deg"] == "12.5"


@versions
def test_xarray_in_another_order(tmp_path, version):
    store = group(tmp_path / "a.zarr", version)
    turned = TRUTH.transpose(2, 3, 0, 1)
    array(store / "counts", turned, version, (6, 5, 3, 2), [*AXES[2:], *AXES[:2]])
    for name, unit, step, n in zip(AXES, UNITS, STEPS, TRUTH.shape, strict=True):
        array(store / name, np.arange(n) * step, version, units=unit)
    dataset = read(store)
    assert dataset.calibration == STATED and dataset.data.chunks == (3, 2, 6, 5)
    np.testing.assert_array_equal(dataset.load().data, TRUTH)


@versions
def test_one_of_several_a_stack_and_a_vacuum_pattern(tmp_path, version):
    store, vacuum = group(tmp_path / "a.zarr", version), np.ones((6, 5), np.float32)
    array(store / "one", TRUTH, version)
    array(store / "two", TRUTH + 1, version)
    array(store / "stack", TRUTH.reshape(12, 6, 5), version)
    array(store / "vacuum", vacuum, version)
    with pytest.raises(FileFormatError, match=r"2 arrays that could be the data.*dataset='one'"):
        read(store)
    dataset = read(store, dataset="two")
    np.testing.assert_array_equal(dataset.load().data, TRUTH + 1)
    np.testing.assert_array_equal(dataset.vacuum, vacuum)
    np.testing.assert_array_equal(read_pattern(store), vacuum)
    np.testing.assert_array_equal(read(store, dataset="stack", scan_shape=(3, 4)).load().data, TRUTH)
    with pytest.raises(FileFormatError, match="no array 'three'"):
        read(store, dataset="three")


@versions
def test_series_and_axes_of_one(tmp_path, version):
    series = np.stack([TRUTH, TRUTH + 1])
    path = array(tmp_path / "a.zarr", series, version, sampling=[1, *STEPS], units=["s", *UNITS])
    dataset = read(path, choose=1)
    assert dataset.calibration == STATED
    np.testing.assert_array_equal(dataset.load().data, TRUTH + 1)
    one = read(array(tmp_path / "b.zarr", TRUTH[:, :, None], version))
    np.testing.assert_array_equal(one.load().data, TRUTH)
    np.testing.assert_array_equal(one.pattern(1, 2), TRUTH[1, 2])


@versions
def test_one_that_was_replaced_is_told(tmp_path, version):
    path = array(tmp_path / "a.zarr", TRUTH, version)
    content = pickle.dumps(read(path))
    shutil.rmtree(path)
    array(path, TRUTH[:2], version)
    with pytest.raises(FileFormatError, match="replaced since it was opened"):
        pickle.loads(content)  # of our own making


def test_a_chunk_larger_than_memory(tmp_path, monkeypatch):
    path = array(tmp_path / "a.zarr", np.zeros((2, 2, 1000, 1000)), 2)
    monkeypatch.setattr(dataset_checks.memory, "available_memory", lambda: 1e7)
    with pytest.raises(DataError, match=r"one chunk of a\.zarr needs 32 MB.*smaller chunks"):
        read(path)


@versions
def test_a_folder_that_has_lost_what_says_what_it_holds(tmp_path, version):
    for name in ("a.zarr", "a"):
        path = array(tmp_path / name, TRUTH, version)
        with pytest.raises(FileFormatError, match=f"is a folder that is no data set.*; it holds '{name}'"):
            read(tmp_path)
        for mark in (".zarray", ".zattrs", "zarr.json"):
            (path / mark).unlink(missing_ok=True)
        with pytest.raises(FileFormatError, match=r"looks like a zarr store \(.*without the file.*zarr\.json"):
            read(path)
        shutil.rmtree(path)
    (tmp_path / "b" / "c" / "0").mkdir(parents=True)
    with pytest.raises(FileFormatError, match=r"b looks like a zarr store \(it holds 'c'"):
        read(tmp_path / "b")


def test_what_cannot_be_read_here_is_said(tmp_path, monkeypatch):
    path = array(tmp_path / "a.zarr", TRUTH, 3)
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(FileFormatError, match="is a folder that is no data set"):
        read(folder)
    monkeypatch.setattr(package, "__version__", "2.18.3")
    with pytest.raises(FileFormatError, match=r"zarr store of version 3, which zarr 2\.18\.3 does not.*Python 3\.11"):
        read(path)
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(FileFormatError, match=r"is a zarr store, .*pip install \"ptywidgets\[formats\]\""):
        read(path)


@newer
def test_a_cut_zip_is_told_to_be_one(tmp_path):
    data = zipped(group(tmp_path / "a.zarr", 3), tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(data[:-40])
    with pytest.raises(FileFormatError, match=r"b\.zip is cut off or damaged.*table of contents"):
        read(tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("name", "stated"),
    {
        "zarr/v2_plain.zarr": Calibration(),
        "zarr/v3_plain.zarr": Calibration(None, 1.5, 0.05),
        "zarr/v3_sharded.zarr": Calibration(),
        "zarr/v3.zarr.zip": Calibration(),
        "hspy/made.zspy": Calibration(80e3, 1.5, 0.05, 20.0),
        "quantem/made.zip": Calibration(None, 1.5, 0.05),
    }.items(),
)
def test_shared_files(shared, name, stated):
    folder = shared / "data" / "formats" / "made"
    if OLD and not name.endswith(("v2_plain.zarr", ".zspy")):
        with pytest.raises(FileFormatError, match="version 3"):
            read(folder / name)
        return
    dataset = read(folder / name)
    np.testing.assert_array_equal(dataset.load().data, np.load(folder / "truth.npz")["u16"])
    assert dataset.calibration == stated
