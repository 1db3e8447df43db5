"""What any HDF5 file says about its calibration and its scan: names with units, sources of a beam, positions."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from ptywidgets.engine.core.errors import CalibrationError, DataError, FileFormatError
from ptywidgets.engine.core.units import wavelength
from ptywidgets.engine.data.calibration import Calibration
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.hdf5 import plain
from ptywidgets.engine.io.formats.hdf5.positions import raster_shape
from ptywidgets.engine.io.formats.hdf5.stated import named
from ptywidgets.testing.contracts.formats import FormatContract, Sample

TRUTH = np.random.default_rng(5).poisson(4.0, (3, 4, 10, 6)).astype(np.uint16)
CHARGE = 1.602176634e-19


def written(path, data=TRUTH, root=None, own=None, **beside):
    """`data` with attributes of the root and of its own, and other arrays beside it."""
    path.parent.mkdir(exist_ok=True)
    with h5py.File(path, "w") as file:
        file.create_dataset("data", data=data, chunks=(1, *data.shape[1:]))
        file.attrs.update(root or {})
        file["data"].attrs.update(own or {})
        for name, value in beside.items():
            file[name] = value
    return path


def cxi(path, energy=200e3, length=None, positions=None, data=TRUTH):
    path.parent.mkdir(exist_ok=True)
    rows, columns = np.meshgrid(np.arange(3) * -4e-10, np.arange(4) * 3e-10, indexing="ij")
    places = np.stack([columns, rows, 0 * rows], -1).reshape(12, 3) if positions is None else positions
    with h5py.File(path, "w") as file:
        file["cxi_version"] = 160
        instrument = file.create_group("entry_1/instrument_1")
        instrument["detector_1/data"] = data.reshape(12, *data.shape[2:])
        instrument["detector_1/distance"] = 0.2
        instrument["detector_1/x_pixel_size"] = instrument["detector_1/y_pixel_size"] = 1e-4
        instrument["source_1/energy"] = energy * CHARGE
        if length is not None:
            instrument["source_1/wavelength"] = length * 1e-10
        file["entry_1/sample_1/geometry_1/translation"] = places
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
    return path


class TestAttributes(FormatContract):
    module = plain

    @pytest.fixture
    def sample(self, tmp_path):
        said = {"voltage_kV": 200.0, "scan_step_A": 2.5, "detector_pixel_mrad": 0.5, "defocus_nm": -300.0, "axes": "?"}
        path = written(tmp_path / "sample" / "a.h5", root=said, own={"semiangle_mrad": 21.4})
        known = {"energy": 200e3, "scan_step": 2.5, "q_pixel": 0.5e-3 / wavelength(200e3), "semiangle": 21.4}
        return Sample(path, TRUTH, known)


class TestCXI(FormatContract):
    module = plain

    @pytest.fixture
    def sample(self, tmp_path):
        path = cxi(tmp_path / "sample" / "a.cxi", length=wavelength(200e3))
        return Sample(path, TRUTH, {"energy": 200e3, "scan_step": (4.0, 3.0), "q_pixel": 0.5e-3 / wavelength(200e3)})


@pytest.mark.parametrize(
    ("said", "known"),
    [
        ({"energy_ev": 80e3}, Calibration(energy=80e3)),
        ({"Accelerating voltage (kV)": 80}, Calibration(energy=80e3)),
        ({"high_tension_V": np.array([80e3])}, Calibration(energy=80e3)),
        ({"voltage": "80 kV"}, Calibration(energy=80e3)),
        ({"voltage": 80.0, "voltage_units": "kV"}, Calibration(energy=80e3)),
        ({"beam_energy": np.float32(80), "beam_energy_unit": b"keV"}, Calibration(energy=80e3)),
        ({"step_size_nm": 0.2}, Calibration(scan_step=2.0)),
        ({"scan_step_A": [2.0, 3.0]}, Calibration(scan_step=(2.0, 3.0))),
        ({"q_pixel_invA": 0.02}, Calibration(q_pixel=0.02)),
        ({"dk [1/nm]": 0.2}, Calibration(q_pixel=0.02)),
        ({"q_pixel_A^-1": 0.02}, Calibration(q_pixel=0.02)),
        ({"mrad_per_pixel": 1.0, "voltage_kV": 300}, Calibration(300e3, None, 1e-3 / wavelength(300e3))),
        ({"semi_convergence_angle_mrad": 20}, Calibration(semiangle=20.0)),
        # what does not say its unit, is something else, or is not set
        ({"voltage": 80.0}, Calibration()),
        ({"voltage": 80.0, "units": "counts"}, Calibration()),
        ({"dk": 0.02, "energy": 8e4, "alpha": 20}, Calibration()),
        ({"convergence_angle_mrad": 20}, Calibration()),  # half of it or all
        ({"pixel_size_nm": 0.2, "recon_pixel_A": 0.2, "detector_pixel_um": 55}, Calibration()),
        ({"voltage_kV": 0, "scan_step_A": np.nan, "semiangle_mrad": "unknown", "q_pixel_invA": -1}, Calibration()),
        ({"scan_step_A": [2.0, 3.0, 4.0], "voltage_kV": h5py.Empty("f8")}, Calibration()),
        ({"rotation_deg": 30.0, "camera_length_m": 0.1, "defocus_nm": 12}, Calibration()),
    ],
)
@pytest.mark.parametrize("place", ["root", "own"])
def test_names_that_say_what_they_are(tmp_path, said, known, place):
    path = written(tmp_path / "a.h5", **{place: said})
    dataset = read(path)
    for quantity in ("energy", "scan_step", "q_pixel", "semiangle"):
        want = getattr(known, quantity)
        assert getattr(dataset.calibration, quantity) == (want if want is None else pytest.approx(want))
    with h5py.File(path, locking=False) as file:
        assert Dataset(file["data"]).calibration == dataset.calibration


def test_single_numbers_beside_the_data(tmp_path):
    path = written(tmp_path / "a.h5", voltage_kV=200.0, dk=np.array([[0.05]]), scan_step=2.0, semiangle=20.0, label="x")
    with h5py.File(path, "r+") as file:
        file["scan_step"].attrs["units"] = "nm"
    dataset = read(path)
    assert dataset.calibration == Calibration(200e3, 20.0)
    assert dataset.metadata["dk"] == "0.05 (of which unit, is not said)" and dataset.metadata["scan_step"] == "2.0 nm"
    assert dataset.metadata["label"] == "x"
    assert [str(one) for one in dataset.source.calibration] == [
        "energy from the file (voltage_kV)",
        "scan step from the file (scan_step)",
    ]


def test_groups_about_the_microscope(tmp_path):
    path = written(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.create_group("microscope").attrs["voltage"] = "300 kV"
        file["parameters/semiangle_mrad"] = 20.0
        file.create_group("elsewhere").attrs["scan_step_A"] = 1.0
    assert read(path).calibration == Calibration(300e3, semiangle=20.0)


def test_what_contradicts_itself_is_told(tmp_path):
    path = written(tmp_path / "a.h5", root={"voltage_kV": 200, "energy_ev": 80e3})
    with pytest.raises(CalibrationError, match=r"contradicts itself: energy is 80000 eV \(@energy_ev\) and 200 kV"):
        read(path)
    with pytest.raises(CalibrationError, match="contradicts itself"):  # name and unit
        read(written(tmp_path / "b.h5", root={"scan_step_A": 2.0, "scan_step_A_units": "nm"}))
    assert read(path, energy=80e3).calibration.energy == 80e3


def test_the_step_of_a_larger_scan(tmp_path):
    """Rows and columns that were left out: whether the step is that of what is left is not said, and not guessed."""
    path = written(tmp_path / "a.h5", root={"scan_step_A": 2.5}, scan_rows=np.arange(10, 16, 2), scan_cols=np.arange(4))
    with pytest.raises(CalibrationError, match=r"2\.5 A.*and 5 A.*scan_step_A times 2, the step of scan_rows"):
        read(path)
    assert read(path, scan_step=5.0).calibration.scan_step == 5.0
    whole = written(tmp_path / "b.h5", root={"scan_step_A": 2.5}, scan_rows=np.arange(3), scan_cols=np.arange(4) + 7)
    assert read(whole).calibration.scan_step == 2.5


def test_odd_names_are_no_trouble():
    for name in ("", "_", "kV", "__A", "\N{ANGSTROM SIGN}", "1/A", "in", "a" * 5000, "\x00_A"):
        assert named(name)[0] == ""
    assert named("step_\N{ANGSTROM SIGN}") == ("scan_step", "A")


# ------------------------------------------------------------------ NeXus


def nexus(path, default=True):
    with h5py.File(path, "w") as file:
        for name in ("first", "second"):
            group = file.create_group(f"entry/{name}")
            group.attrs.update({"NX_class": "NXdata", "signal": "counts"})
            group["counts"] = TRUTH + (name == "second")
        file["entry"].attrs["NX_class"] = "NXentry"
        source = file.create_group("entry/instrument/electron_source")
        source.attrs["NX_class"] = "NXsource"
        source["voltage"] = 300.0
        source["voltage"].attrs["units"] = "kV"
        if default:
            file.attrs["default"], file["entry"].attrs["default"] = "entry", "second"
    return path


def test_of_several_signals_the_default_is_taken(tmp_path):
    dataset = read(nexus(tmp_path / "a.nxs"))
    np.testing.assert_array_equal(dataset.load().data, TRUTH + 1)
    assert dataset.calibration == Calibration(300e3)
    with pytest.raises(FileFormatError, match="2 arrays that could be the data"):
        read(nexus(tmp_path / "b.nxs", default=False))
    with h5py.File(nexus(tmp_path / "c.nxs"), "r+") as file:
        file["entry"].attrs["default"] = "nowhere"
    with pytest.raises(FileFormatError, match="2 arrays that could be the data"):
        read(tmp_path / "c.nxs")


# ------------------------------------------------------------------ CXI


def test_energies_of_photons_are_none_of_electrons(tmp_path):
    at = "entry_1/instrument_1/source_1/energy"
    photons = read(cxi(tmp_path / "a.cxi", 12.4e3, length=12398.42 / 12.4e3))
    assert photons.calibration.energy is None and photons.calibration.q_pixel is None
    assert photons.metadata[at] == "12.4 keV, of photons, by its wavelength"
    unsaid = read(cxi(tmp_path / "b.cxi"))
    assert unsaid.calibration.energy is None and unsaid.metadata[at] == "200 keV, of what is not said"
    assert read(cxi(tmp_path / "c.cxi", np.nan, 0.0)).calibration.energy is None


def test_positions_that_are_no_raster_need_the_scan_shape(tmp_path):
    rng = np.random.default_rng(0)
    with pytest.raises(FileFormatError, match=r"pass scan_shape=\(3, 4\)"):
        read(cxi(tmp_path / "a.cxi", positions=rng.random((12, 3)) * 1e-9))
    y, x = np.meshgrid(np.arange(3) * 4e-10, np.arange(4) * 3e-10, indexing="ij")
    x[1] = x[1, ::-1]  # there and back
    with pytest.raises(FileFormatError, match=r"pass scan_shape=\(3, 4\)"):
        read(cxi(tmp_path / "b.cxi", positions=np.stack([x, y, 0 * x], -1).reshape(12, 3)))


def test_rasters():
    y, x = np.divmod(np.arange(24.0), 6)
    assert raster_shape(y, x) == (4, 6) and raster_shape(-y, 5 - x) == (4, 6)
    noise = np.random.default_rng(0).normal(0, 0.03, (2, 24))
    assert raster_shape(y + noise[0], x + noise[1]) == (4, 6)
    for other in ((x, y), (y[:-1], x[:-1]), (y, 0 * x), (0 * y, x), (y * np.nan, x), (y[:3], x[:3]), (y, np.sin(x))):
        assert raster_shape(*other) is None


# ------------------------------------------------------------------ fold_slice


def test_a_stack_called_dp_is_of_fold_slice(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["dp"] = TRUTH.reshape(12, 10, 6).swapaxes(1, 2)
    dataset = read(path, scan_shape=(3, 4))
    np.testing.assert_array_equal(dataset.load().data, TRUTH)
    assert "fold_slice" in dataset.metadata["axes"]
    np.testing.assert_array_equal(dataset.source.open().load().data, TRUTH)
    same = read(path, scan_shape=(3, 4), axes="Ry Rx Qy Qx")  # if it is not
    np.testing.assert_array_equal(same.load().data, TRUTH.swapaxes(2, 3))
    path = tmp_path / "b.hdf5"
    with h5py.File(path, "w") as file:  # with the scan's rows running fastest, as in MATLAB
        file["dp"] = TRUTH.transpose(1, 0, 3, 2).reshape(12, 6, 10)
    other = read(path, scan_shape=(3, 4), axes="Rx Ry Qx Qy")
    np.testing.assert_array_equal(other.load().data, TRUTH)


# ------------------------------------------------------------------ files of others


def test_the_cryo_set_says_its_geometry(shared):
    path = shared / "data" / "cryo-rotavirus" / "cryo_rotavirus_bin2_small.h5"
    if not path.exists():
        pytest.skip("no cryo set here")
    with pytest.raises(CalibrationError, match=r"31\.25 A \(@scan_step_A\) and 62\.5 A"):
        read(path)
    dataset = read(path, scan_step=62.5)
    known = dataset.calibration
    assert (known.energy, known.scan_step, known.semiangle) == (300e3, 62.5, pytest.approx(1.03))
    assert known.q_pixel == pytest.approx(1 / (128 * 4.65), rel=1e-4)  # of the object's pixel, which it states, too
    assert dataset.metadata["@defocus_nm"] == "-13500.0" and dataset.metadata["@scan_rotation_deg"] == "-126.0"


def test_a_hyperspy_file_of_a_camera(shared):
    dataset = read(shared / "data" / "formats" / "hspy" / "tvips_sped_subset_2x2x256x256.hspy")
    assert dataset.shape == (2, 2, 256, 256) and dataset.calibration == Calibration(None, 20.0, 0.01261)


def test_an_fpd_file(shared):
    path = shared / "data" / "formats" / "fpd-hdf5" / "fpd_file_test.hdf5"
    dataset = read(path)
    with h5py.File(path, locking=False) as file:
        np.testing.assert_array_equal(dataset.load().data, file["fpd_expt/fpd_data/data"][:, :, 0])
    assert dataset.calibration == Calibration()


def test_matlab_states_the_same_in_both_of_its_formats(shared):
    folder = shared / "data" / "formats" / "made" / "matlab"
    known = read(folder / "cbed_v73.mat").calibration
    assert known == Calibration(80e3, None, 0.05, 20)  # its step is not in the file
    assert read(folder / "cbed_v5.mat").calibration == known.replace(scan_step=1.5)


def test_numbers_without_units_are_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"], file["voltage"], file["alpha"] = TRUTH, 80.0, 20.0
    dataset = read(tmp_path / "a.h5")
    assert dataset.calibration == Calibration()
    assert dataset.metadata["voltage"] == "80.0 (of which unit, is not said)" and dataset.metadata["alpha"] == "20.0"


def test_photons_in_a_real_file(shared):
    path = shared / "data" / "p25-nearfield" / "PETRAIII_P25_Near_Field_Ptycho.cxi"
    with pytest.raises(FileFormatError, match="scan_shape="):
        read(path)
    with pytest.raises((CalibrationError, DataError)):  # its positions are no raster
        read(path, scan_shape=(10, 20))
    dataset = read(path, scan_shape=(10, 20), scan_step=1.0)
    assert dataset.calibration.energy is None
    assert dataset.metadata["entry_1/instrument_1/source_1/energy"].endswith("keV, of photons, by its wavelength")
