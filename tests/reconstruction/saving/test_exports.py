"""Results for other programs, read back by readers that nobody here has written."""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from ptywidgets import ModelConfig, Reconstruction, samples, write
from ptywidgets.engine.core.errors import FileFormatError, FileInTheWay, ParameterError
from ptywidgets.engine.io.images.png import bar_length, grey_with_scale_bar
from ptywidgets.engine.io.images.tiff import tiff


@pytest.fixture(scope="module")
def recon(tmp_path_factory):
    file = write(tmp_path_factory.mktemp("data") / "duck.h5", samples.ducky("tiny"))
    recon = Reconstruction.open(file, defocus=250)
    recon.object_type = "complex"
    return recon.run(2)


def test_a_folder_with_everything(recon, tmp_path):
    files = recon.export(tmp_path / "duck")
    names = [file.rsplit("/", 1)[-1] for file in files]
    assert names == ["phase.tif", "phase.hspy", "phase.png", "amplitude.tif", "probe.tif", "settings.json"]
    settings = json.loads((tmp_path / "duck" / "settings.json").read_text())
    assert settings["calibration"]["energy"] == 80e3 and settings["iterations"] == 2
    assert settings["plan"]["is"] == "Plan" and len(settings["errors"]) == 2
    before = {file: Path(file).read_bytes() for file in files}
    with pytest.raises(FileInTheWay, match=r"holds phase\.tif.*overwrite"):
        recon.export(tmp_path / "duck")
    assert recon.export(tmp_path / "duck", overwrite=True) == files
    assert Path(files[0]).read_bytes() == before[files[0]]


def test_tiff_has_numbers_and_sizes(recon, tmp_path):
    tifffile = pytest.importorskip("tifffile")
    recon.export(tmp_path / "phase.tif")
    with tifffile.TiffFile(tmp_path / "phase.tif") as file:
        np.testing.assert_array_equal(file.asarray(), recon.object_phase.astype(np.float32))
        assert file.is_imagej and file.imagej_metadata["unit"] == "nm"
        per_nm = file.pages[0].tags["XResolution"].value
    pixel = json.loads((tmp_path / recon.export(tmp_path / "s.json")[0]).read_text())["pixel_A"]
    assert per_nm[0] / per_nm[1] == pytest.approx(10 / pixel, rel=1e-5)


def test_slices_become_a_stack(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    recon = Reconstruction(samples.ducky("tiny"), defocus=250, model=ModelConfig(slices=3, thickness=60)).run(1)
    recon.export(tmp_path / "phase.tif")
    with tifffile.TiffFile(tmp_path / "phase.tif") as file:
        assert len(file.pages) == 3 and file.imagej_metadata["spacing"] == pytest.approx(2.0)
        np.testing.assert_array_equal(file.asarray(), recon.slices.astype(np.float32))


def test_hyperspy_reads_it(recon, tmp_path):
    reader = pytest.importorskip("rsciio.hspy")
    recon.export(tmp_path / "phase.hspy")
    (signal,) = reader.file_reader(str(tmp_path / "phase.hspy"))
    np.testing.assert_array_equal(signal["data"], recon.object_phase.astype(np.float32))
    assert [(axis["name"], axis["units"], axis["navigate"]) for axis in signal["axes"]] == [
        ("y", "nm", False),
        ("x", "nm", False),
    ]
    assert 0 < signal["axes"][0]["scale"] < 0.1


def test_what_cannot_be_exported_is_told(recon, tmp_path):
    with pytest.raises(ParameterError, match="no result to export yet"):
        Reconstruction(samples.ducky("tiny")).export(tmp_path / "a.tif")
    with pytest.raises(ParameterError, match=r"ends with \.docx; expected one of \.tif"):
        recon.export(tmp_path / "a.docx")
    with pytest.raises(FileFormatError, match="make the one above it first"):
        recon.export(tmp_path / "no" / "folder")
    with pytest.raises(FileFormatError, match="no folder"):
        recon.export(tmp_path / "no" / "a.tif")
    with pytest.raises(FileFormatError, match="never written over"):
        (tmp_path / "link.tif").symlink_to(recon.dataset.path)
        recon.export(tmp_path / "link.tif", overwrite=True)
    for name in ("", " ", "a\0.tif", "l" * 300 + ".tif", "l" * 300):
        with pytest.raises(FileFormatError):
            recon.export(name)
    (tmp_path / "mine.tif").write_bytes(b"mine")
    with pytest.raises(FileInTheWay):
        recon.export(tmp_path / "mine.tif")
    assert (tmp_path / "mine.tif").read_bytes() == b"mine"


def test_the_bar_is_as_long_as_it_says():
    image = np.zeros((300, 400))
    rgb = grey_with_scale_bar(image, (0.5, 0.25))
    assert rgb.shape == (600, 400, 3)  # square pixels of 0.25 A
    width = 400 * 0.25
    bar = bar_length(width)
    bright = (rgb == 255).all(2)
    longest = max(int(row.sum()) for row in bright)
    assert longest == round(bar / 0.25)
    assert not (grey_with_scale_bar(image, None) == 255).any()
    values = np.random.default_rng(0).random((40, 30))
    values[3, 4] = np.nan
    assert grey_with_scale_bar(values, None).shape == (520, 390, 3)


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (2, 5, 7)])
def test_a_tiff_is_whole(shape):
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    content = tiff(image, None)
    at, pages = struct.unpack_from("<I", content, 4)[0], []
    while at:
        count = struct.unpack_from("<H", content, at)[0]
        tags = {e[0]: e for e in (struct.unpack_from("<HHII", content, at + 2 + 12 * n) for n in range(count))}
        first, size = tags[273][3], tags[279][3]
        pages.append(np.frombuffer(content[first : first + size], "<f4").reshape(tags[257][3], tags[256][3]))
        at = struct.unpack_from("<I", content, at + 2 + 12 * count)[0]
    np.testing.assert_array_equal(np.squeeze(np.stack(pages)), np.squeeze(image))


def test_a_result_is_exported_with_what_it_was_made_with(tmp_path):
    recon = Reconstruction(samples.ducky("tiny"), defocus=250).run(1)
    before = json.loads(Path(recon.export(tmp_path / "a.json")[0]).read_text())
    assert before["made_with"] == "" and before["estimates"]
    recon.dataset = samples.ducky("small")
    after = json.loads(Path(recon.export(tmp_path / "b.json")[0]).read_text())
    assert after["made_with"].startswith("other data") and after["made"]["data_name"] == "ducky tiny"
    for name in ("made", "calibration", "rotation_deg", "optics", "data", "pixel_A", "errors"):
        if name == "made":
            assert after[name]["data_fingerprint"] == before[name]["data_fingerprint"]
        else:
            assert after[name] == before[name], name
    recon = Reconstruction(samples.ducky("tiny"), defocus=250).run(1)
    recon.set_calibration(scan_step=3.0)
    settings = json.loads(Path(recon.export(tmp_path / "c.json")[0]).read_text())
    assert settings["calibration"]["scan_step"] == 1.5 and settings["made_with"]


def test_xarray_has_what_the_result_has(recon):
    found = recon.to_xarray()
    np.testing.assert_array_equal(found.phase, recon.object_phase.astype(np.float32))
    assert found.phase.dims == ("y", "x") and found.y.attrs["units"] == "angstrom"
    pixel = float(found.y[1] - found.y[0])
    assert pixel == pytest.approx(recon.sampling[0], rel=1e-6)
    np.testing.assert_array_equal(found.probe, np.fft.fftshift(recon.modes, axes=(-2, -1)))
    assert float(found.row[found.sizes["row"] // 2]) == 0
    np.testing.assert_allclose(found.error, recon.losses)
    assert json.loads(found.attrs["settings"])["iterations"] == recon.iteration
    with pytest.raises(ParameterError, match="no result yet"):
        Reconstruction(samples.ducky("tiny")).to_xarray()


def test_xarray_that_is_missing_is_named(recon, monkeypatch):
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ParameterError, match="pip install xarray"):
        recon.to_xarray()


def test_zarr_is_read_by_zarr_and_by_xarray(tmp_path):
    xarray, zarr = pytest.importorskip("xarray"), pytest.importorskip("zarr")
    recon = Reconstruction(
        samples.ducky("tiny"), defocus=250, object_type="complex", model=ModelConfig(slices=2, thickness=20.0)
    ).run(1)
    assert recon.export(tmp_path / "duck.zarr.zip") == [str(tmp_path / "duck.zarr.zip")]
    with pytest.raises(FileInTheWay):
        recon.export(tmp_path / "duck.zarr.zip")
    recon.export(tmp_path / "duck.zarr.zip", overwrite=True)
    store = zarr.storage.ZipStore(tmp_path / "duck.zarr.zip", mode="r")
    group = zarr.open_group(store, mode="r")
    np.testing.assert_array_equal(group["slices"][...], recon.slices.astype(np.float32))
    assert group["probe"].attrs["_ARRAY_DIMENSIONS"] == ["mode", "row", "column"]
    there, direct = xarray.open_zarr(store, consolidated=False).load(), recon.to_xarray()
    xarray.testing.assert_equal(there, direct)
    assert set(there.data_vars) == {"phase", "amplitude", "slices", "probe", "error"}
    store.close()
