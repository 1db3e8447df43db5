"""Rarer formats through rosettasciio, where it is installed; and what is said where it is not."""

from __future__ import annotations

import json
import logging
import shutil
import sys

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataError, DataWarning, FileFormatError
from ptywidgets.engine.core.units import mrad_to_inverse_angstrom
from ptywidgets.engine.data import dataset_checks
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.containers import rosettasciio, topspin
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(7).poisson(4, (3, 4, 6, 5)).astype(np.uint16)
STATED = {"energy": 80e3, "scan_step": (4.0, 3.0), "q_pixel": (0.05, 0.04), "semiangle": 20.0}
METADATA = {
    "type": "4D", "content.types": ["CameraX", "CameraY", "ScanX", "ScanY"], "repo_id": "a.0",
    "electron_gun.voltage": 80000, "condenser.convergence_semi_angle": 0.02, "size": [5, 6, 4, 3],
    "device.calib": [
        {"unit": unit, "value": step, "offset": 0.0}
        for unit, step in (("1/m", 4e8), ("1/m", 5e8), ("m", 3e-10), ("m", 4e-10))
    ],
}  # fmt: skip


def written(path, packed=False, **members):
    said = {
        "data": TRUTH,
        "meta_data_json": np.array(json.dumps([METADATA])),
        "file_format_version": np.array(7),
        **members,
    }
    with path.open("wb") as file:
        (np.savez_compressed if packed else np.savez)(file, **{k: v for k, v in said.items() if v is not None})
    return path


class TestPanta(FormatContract):
    module = rosettasciio

    @pytest.fixture
    def sample(self, tmp_path):
        pytest.importorskip("rsciio", reason="no rosettasciio here")
        folder = tmp_path / "sample"
        folder.mkdir()
        return Sample(written(folder / "a.prz"), TRUTH, STATED)


class TestPantaPacked(FormatContract):
    module, stays_on_disk = rosettasciio, False

    @pytest.fixture
    def sample(self, tmp_path):
        pytest.importorskip("rsciio", reason="no rosettasciio here")
        folder = tmp_path / "sample"
        folder.mkdir()
        return Sample(written(folder / "a.prz", packed=True), TRUTH, STATED)


def test_the_memory_is_asked_for_before_it_is_taken(tmp_path, monkeypatch):
    pytest.importorskip("rsciio", reason="no rosettasciio here")
    path = written(tmp_path / "a.prz", packed=True, data=np.zeros((2, 2, 1000, 1000)))
    monkeypatch.setattr(dataset_checks.memory, "available_memory", lambda: 1e7)
    with pytest.raises(DataError, match=r"2 x 2 x 1000 x 1000 float64 of a\.prz.*needs 64 MB"):
        read(path)


def test_python_objects_are_never_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("it was unpickled",)

    path = written(tmp_path / "a.prz", meta_data_json=None, meta_data=np.array([Trap()], object))
    with pytest.raises(FileFormatError, match=r"Python objects, which are never opened.*format='npz', dataset='data'"):
        read(path)
    np.testing.assert_array_equal(read(path, format="npz", dataset="data").load().data, TRUTH)


def test_where_it_is_not_installed(tmp_path, monkeypatch, shared_or_none):
    monkeypatch.setitem(sys.modules, "rsciio", None)
    (tmp_path / "a.ser").write_bytes(rosettasciio.TIA + bytes(100))
    for path in (written(tmp_path / "a.prz"), tmp_path / "a.ser", *shared_or_none):
        with pytest.raises(FileFormatError, match=r"only rosettasciio reads.*pip install .*\[formats-gpl\]"):
            read(path)


@pytest.fixture
def shared_or_none(request):
    """TopSpin's files, where there are any."""
    try:
        shared = request.getfixturevalue("shared")
    except pytest.skip.Exception:
        return []
    return sorted((shared / "data" / "formats" / "topspin").glob("*.app5"))


def test_what_it_raises_is_said_and_nothing_is_printed(tmp_path, capfd):
    pytest.importorskip("rsciio", reason="no rosettasciio here")
    before = logging.getLogger("rsciio").level
    (tmp_path / "a.ser").write_bytes(rosettasciio.TIA + bytes(100))
    with pytest.raises(FileFormatError, match=r"a\.ser could not be read by rosettasciio \("):
        read(tmp_path / "a.ser")
    (tmp_path / "a.xyz").write_bytes(bytes(100))
    with pytest.raises(FileFormatError, match=r"not of one kind to rosettasciio: 0 of its readers take '\.xyz'"):
        read(tmp_path / "a.xyz", format="rosettasciio")
    written(tmp_path / "b.prz", meta_data_json=np.array("{"))
    with pytest.raises(FileFormatError, match="JSONDecodeError"):
        read(tmp_path / "b.prz")
    written(tmp_path / "c.prz", data=TRUTH[0, 0], meta_data_json=np.array('[{"repo_id": "t.0", "type": "2D"}]'))
    with pytest.raises(FileFormatError, match=r"no scan of patterns .*'t' 6 x 5"):
        read(tmp_path / "c.prz")
    assert "".join(capfd.readouterr()) == "" and logging.getLogger("rsciio").level == before


class TestTopSpin(FormatContract):
    module, stays_on_disk = topspin, False

    @pytest.fixture
    def sample(self, shared, tmp_path):
        pytest.importorskip("rsciio", reason="no rosettasciio here")
        folder = tmp_path / "sample"
        folder.mkdir()
        path = folder / "a.app5"
        shutil.copy(shared / "data" / "formats" / "topspin" / "topspin_test_C.app5", path)
        with h5py.File(path) as file:
            group = file["030444c4-694d-4184-94be-4bb9ffeda552/e0c99515-f43c-44c3-8394-132dafbacc39"]
            frames = [group[f"{n}/Data"][()] for n in range(len(group))]
        stated = {
            "energy": 200e3, "scan_step": 10.0, "q_pixel": mrad_to_inverse_angstrom(0.241930201689952, 200e3),
        }  # fmt: skip
        return Sample(path, np.reshape(frames, (3, 5, 14, 12)), stated)


def test_one_of_several_signals_by_its_number(shared):
    pytest.importorskip("rsciio", reason="no rosettasciio here")
    path = shared / "data" / "formats" / "topspin" / "topspin_test_C.app5"
    assert read(path, dataset="1").shape == (3, 5, 14, 12)
    for name, words in (
        ("x", "no signals called 'x'; it holds 0: '0304"),
        ("030444c4-694d-4184-94be-4bb9ffeda552", "2"),
    ):
        with pytest.raises(FileFormatError, match=f"holds {words}"):
            read(path, dataset=name)


def test_shared_topspin(shared):
    pytest.importorskip("rsciio", reason="no rosettasciio here")
    dataset = read(shared / "data" / "formats" / "topspin" / "topspin_test_A.app5")
    assert dataset.shape == (2, 5, 14, 12) and dataset.calibration.scan_step == pytest.approx(20)
    assert dataset.calibration.energy == 200e3 and dataset.metadata["camera length"] == "2.8 m"
    assert dataset.metadata["diffraction to STEM rotation"].endswith(" rad")


def test_shared_prz(shared):
    pytest.importorskip("rsciio", reason="no rosettasciio here")
    formats = shared / "data" / "formats"
    with pytest.raises(FileFormatError, match="never opened"):
        read(formats / "made" / "prz" / "made.prz")
    numbers = read(formats / "made" / "prz" / "made.prz", format="npz")
    np.testing.assert_array_equal(numbers.load().data, np.load(formats / "made" / "truth.npz")["u16"])
    with pytest.raises(FileFormatError, match=r"no scan of patterns .*16 x 16"):
        read(formats / "misc" / "panta_rhei_sample.prz")


def test_shared_files_of_other_kinds_when_it_is_asked_for(shared):
    pytest.importorskip("rsciio", reason="no rosettasciio here")
    made = shared / "data" / "formats" / "made"
    truth = np.load(made / "truth.npz")["u16"]
    with pytest.warns(DataWarning, match="old order"):
        gatan = read(made / "dm" / "order_swapped.dm4", format="rosettasciio")
    np.testing.assert_array_equal(gatan.load().data, truth)
    tvips = read(made / "tvips" / "made_000.tvips", format="rosettasciio", scan_shape=(3, 4))
    np.testing.assert_array_equal(tvips.load().data, truth)
    assert tvips.calibration.q_pixel is None  # stored as 0
    np.testing.assert_array_equal(tvips.source.open().load().data, truth)
