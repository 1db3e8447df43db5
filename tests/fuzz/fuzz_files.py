"""Whole files to be damaged: one of every layout that `read` knows, small, so that most bytes are structure."""

from __future__ import annotations

import dataclasses
import gzip
import json
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
import tifffile

from ptywidgets import Calibration, Dataset, ModelConfig, Reconstruction, samples, write
from ptywidgets.testing.record_files import blo_file, dm_file, mrc_file, tvips_files
from ptywidgets.testing.series import example_tilts

LARGEST = 120_000  # bytes of a file of the shared data that is worth damaging
# what is new each time: identifiers and times, so that a seed means the same damage tomorrow
_VARIES = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def make_files(folder: Path, shared: Path | None = None) -> list[Path]:
    """Write all of them; the name's part before the first dot says by which door a file is opened.

    Of data ``stack`` in the name says that they are 3 x 4 patterns in one row, ``series`` that they are several scans.

    Parameters
    ----------
    folder : Path
        Empty.
    shared : Path, optional
        Folder with files of other programs; those of HDF5 that are small are taken along.

    Returns
    -------
    list of Path
        ``data.*``, ``pattern.*`` and ``saved.*``; and ``beside.h5``, the data of the saved reconstructions, is not
        among them.
    """
    made = [*_written_by_us(folder), *_hdf5(folder), *_npy(folder), *_containers(folder), *_merlin(folder)]
    made += [*_empad(folder), *_records(folder), *_saved(folder)]
    for file in made:
        file.write_bytes(_VARIES.sub(lambda match: re.sub(rb"[0-9a-f]", b"0", match[0]), file.read_bytes()))
    if shared is not None:
        for file in sorted((shared / "data").rglob("*")):
            hdf5 = file.suffix.lower() in (".h5", ".hdf5", ".emd", ".hspy", ".nxs", ".cxi", ".mat")
            if hdf5 and file.stat().st_size <= LARGEST and h5py.is_hdf5(file):
                kind = "stack.shared" if file.suffix == ".cxi" else "shared"
                door = "pattern" if "vacuum" in file.name else "data"
                copy = folder / f"{door}.{kind}.{file.parent.name}.{file.name.replace(' ', '_')}"
                copy.write_bytes(file.read_bytes())
                made.append(copy)
    return made


def _counts(*shape: int, dtype: Any = np.uint16) -> np.ndarray:
    return np.random.default_rng(1).poisson(3.0, shape).astype(dtype)


def _written_by_us(folder: Path) -> list[Path]:
    calibration = Calibration(energy=80e3, scan_step=1.5, q_pixel=0.05, semiangle=20)
    dataset = Dataset(_counts(3, 4, 8, 8), calibration, vacuum=np.ones((8, 8)) + _counts(8, 8), name="ours")
    made = [Path(write(folder / "data.emd.h5", dataset))]
    masked = dataset.with_calibration(scan_step=(1.5, 1.2), q_pixel=(0.05, 0.04))
    masked = masked.with_mask(_counts(8, 8) < 7).with_scan_mask(_counts(3, 4) < 5, confirm=True)
    return [*made, Path(write(folder / "data.masked.h5", masked))]


def _hdf5(folder: Path) -> list[Path]:
    made = []

    def new(name: str, **options: Any) -> h5py.File:
        made.append(folder / name)
        return h5py.File(folder / name, "w", **options)

    with new("data.contiguous.h5") as file:
        found = file.create_dataset("scan/data", data=_counts(3, 4, 8, 8))
        found.attrs["units"] = "counts"
        found.attrs["title"] = np.bytes_(b"fixed length")
        found.attrs["list"] = np.arange(7.0)
        found.attrs["texts"] = ["one", "two", "three"]  # variable length, in a global heap
        file.attrs["author"] = "somebody"
        file["vacuum_probe"] = _counts(8, 8, dtype=np.float32) + 1
    with new("data.gzip.h5") as file:
        packed: tuple[dict[str, Any], ...] = ({"compression": "gzip"}, {"compression": "lzf"}, {"fletcher32": True})
        for number, options in enumerate(packed):
            group = file.create_group(f"g{number}")
            group.create_dataset(
                "data", data=_counts(3, 4, 8, 8) if number == 0 else _counts(9, 9), chunks=True, **options
            )
            group.attrs["many"] = np.arange(3)
    with new("data.chunks.h5") as file:
        file.create_dataset("data", data=_counts(5, 4, 8, 8), chunks=(1, 2, 4, 4), maxshape=(None, 4, 8, 8))
    with new("data.latest.h5", libver="latest") as file:  # superblock 3, heaps and trees of the second kind
        found = file.create_dataset("data", data=_counts(3, 4, 8, 8), chunks=(1, 1, 8, 8), compression="gzip")
        for number in range(12):
            found.attrs[f"attribute {number}"] = f"text {number}"
            file.create_group(f"group {number}")
    with new("data.userblock.h5", userblock_size=512) as file:
        found = file.create_dataset("matlab", data=_counts(3, 4, 8, 8, dtype=">i2"))
        found.attrs["MATLAB_class"] = np.bytes_("int16")
    with new("data.scales.h5") as file:  # EMD 0.1 and its like: dimension scales, references between objects
        group = file.create_group("experiment")
        group.attrs["emd_group_type"] = 1
        found = group.create_dataset("data", data=_counts(3, 4, 8, 8, dtype=np.float32))
        for axis, step in enumerate((1.5, 1.5, 0.05, 0.05)):
            scale = group.create_dataset(f"dim{axis + 1}", data=step * np.arange(found.shape[axis]))
            scale.attrs["units"] = ("A", "A", "A^-1", "A^-1")[axis]
            scale.make_scale(f"axis {axis}")
            found.dims[axis].attach_scale(scale)
        group.attrs["see"] = found.ref
        group.attrs["region"] = found.regionref[0, 0, :2, :2]
    with new("data.netcdf.h5") as file:  # the same by the names of the scales alone, detector first
        found = file.create_dataset("counts", data=_counts(8, 8, 3, 4, dtype=np.float32))
        for axis, (name, unit) in enumerate((("ky", "1/nm"), ("kx", "1/nm"), ("y", "nm"), ("x", "nm"))):
            scale = file.create_dataset(name, data=0.4 * np.arange(found.shape[axis]))
            scale.attrs["units"] = unit
            scale.make_scale(name)
            found.dims[axis].attach_scale(scale)
            found.dims[axis].label = name
    with new("data.abtem.h5") as file:
        file["array"] = _counts(3, 4, 8, 8, dtype=np.float32)
        file["sampling"] = np.array([1.5, 1.5, 2.0, 2.0])
        file["units"] = np.array(["Å", "Å", "mrad", "mrad"], h5py.string_dtype())
        file["energy"] = 80e3
    with new("data.hyperspy.h5") as file:
        group = file.create_group("Experiments/one")
        group["data"] = _counts(3, 4, 1, 8, 8)[:, :, 0]
        for axis in range(4):
            each = group.create_group(f"axis-{axis}")
            each.attrs.update({"scale": 0.5, "units": "nm" if axis < 2 else "1/nm", "size": 4, "name": "x"})
        group.create_group("metadata/General").attrs["title"] = "a title"
    with new("data.many.h5") as file:  # a tree of several nodes, a compound type, links of every kind
        for number in range(70):
            file.create_group(f"group {number}").attrs["n"] = number
        file["group 3/data"] = _counts(3, 4, 8, 8)
        file["table"] = np.zeros(4, dtype=[("a", "f4"), ("b", "S5"), ("c", "i2", (3,))])
        file["soft"] = h5py.SoftLink("/group 3/data")
        file["outside"] = h5py.ExternalLink("other.h5", "/data")
        file["words"] = np.array(["x", "yy"], h5py.string_dtype())
        file["ragged"] = np.array([np.arange(2), np.arange(3)], dtype=object).astype(h5py.vlen_dtype(np.int32))
    with new("data.virtual.h5") as file:
        file["real"] = _counts(3, 8, 8)
        layout = h5py.VirtualLayout((1, 3, 8, 8), np.uint16)
        layout[0] = h5py.VirtualSource(".", "real", shape=(3, 8, 8))
        file.create_virtual_dataset("data", layout)
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\2IM"
    for name, shape in {"data.matlab.mat": (4, 3, 8, 8), "data.stack.matlab.mat": (12, 8, 8)}.items():
        with new(name, userblock_size=512) as file:
            file["cbed"], file["vacuum"] = _counts(*shape), _counts(8, 8)
            for found in file.values():
                found.attrs["MATLAB_class"] = np.bytes_(b"uint16")
            references = file.create_group("#refs#")
            references["a"] = np.arange(3.0)
            file["cells"] = np.array([references["a"].ref] * 2, h5py.ref_dtype)
            file["cells"].attrs["MATLAB_class"] = np.bytes_(b"cell")
        data = made[-1].read_bytes()
        made[-1].write_bytes(head + data[len(head) :])
    with new("data.berkeley.h5") as file:  # Berkeley's EMD 0.2, patterns first
        file.attrs.update({"version_major": 0, "version_minor": 2})
        group = file.create_group("data/datacube")
        group.attrs["emd_group_type"] = 1
        group["data"] = _counts(8, 8, 3, 4)
        for axis, (name, unit) in enumerate(zip(("qy", "qx", "y", "x"), ("[n_m^-1]", "1/nm", "nm", "nm"), strict=True)):
            along = group.create_dataset(f"dim{axis + 1}", data=0.4 * np.arange((8, 8, 3, 4)[axis]))
            along.attrs.update({"name": np.bytes_(name.encode()), "units": unit})
        for part, name in (("microscope", "voltage"), ("user", "name"), ("comments", "text")):
            file.create_group(part).attrs[name] = "80 kV"
    with new("data.nexus.h5") as file:
        group = file.create_group("entry/data")
        group.attrs.update({"NX_class": "NXdata", "signal": "counts", "axes": ["y", "x", "ky", "kx"]})
        group["counts"] = _counts(3, 4, 8, 8, dtype=np.uint32)
        for name, unit, size in zip(("y", "x", "ky", "kx"), ("nm", "nm", "1/nm", "1/nm"), (3, 4, 8, 8), strict=True):
            group[name] = 0.4 * np.arange(size)
            group[name].attrs["units"] = unit
        mask = (_counts(8, 8) > 5).astype(np.uint32) << 1
        file["entry/instrument/detector/detectorSpecific/pixel_mask"] = mask
        file["entry/default"] = h5py.SoftLink("/entry/data")
    with new("data.stack.cxi") as file:
        file["cxi_version"] = 140
        file.create_dataset("entry_1/instrument_1/detector_1/data", data=_counts(12, 8, 8), chunks=(1, 8, 8))
        file["entry_1/instrument_1/detector_1/mask"] = (_counts(8, 8) > 5).astype(np.uint32) << 2
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_1/data")
        rows, columns = np.meshgrid(np.arange(3) * 4e-10, np.arange(4) * 3e-10, indexing="ij")
        positions = np.stack([columns, rows, 0 * rows], -1).reshape(12, 3)
        file["entry_1/sample_1/geometry_1/translation"] = positions
    with new("data.ptypy.ptyd") as file:
        rows, columns = np.divmod(np.arange(12), 4)
        for number, chunk in enumerate((slice(0, 5), slice(5, 12))):
            group = file.create_group(f"chunks/{number}")
            group.create_dataset("data", data=_counts(12, 8, 8)[chunk], chunks=(1, 8, 8), compression="gzip")
            group["indices"], group["weights"] = np.arange(12)[::-1][chunk], np.zeros(0)
            group["positions"] = np.stack([rows, columns], -1)[::-1][chunk] * 3e-10
        for name, value in {"energy": 80.0, "distance": 0.1, "psize": [2e-4, 2e-4], "label": np.bytes_("a")}.items():
            file[f"meta/{name}"] = value
    with new("data.stempy.h5") as file:
        group = file.create_group("electron_events")
        frames = group.create_dataset("frames", (12,), h5py.vlen_dtype(np.uint32))
        for number in range(12):
            frames[number] = np.flatnonzero(_counts(12, 64)[number] > 3)
        group["scan_positions"] = np.arange(12)[::-1]
        for found, (ny, nx) in ((frames, (8, 8)), (group["scan_positions"], (3, 4))):
            found.attrs["Ny"], found.attrs["Nx"] = ny, nx
    with new("data.named.h5") as file:
        file["data"] = _counts(3, 4, 8, 8)
        file["data"].attrs.update({"scan_step_A": [2.0, 3.0], "semiangle": "20 mrad", "voltage": 80, "dk_invA": 0.05})
        file.attrs.update({"voltage_kV": 80.0, "voltage_units": "kV", "defocus_nm": 12})
        file["alpha"], file["label"], file["scan_rows"] = np.array([[20.0]]), "text", np.arange(3)
        source = file.create_group("entry/source")
        source.attrs["NX_class"] = "NXsource"
        source["voltage"] = 80e3
        source["voltage"].attrs["units"] = "V"
    with new("data.series.h5") as file:
        file.create_dataset("data", data=_counts(2, 3, 4, 8, 8), chunks=(1, 3, 4, 8, 8), compression="gzip")
        for axis, unit in enumerate(("s", "nm", "nm", "1/nm", "1/nm")):
            file[f"dim{axis}"] = 0.4 * np.arange(2)
            file[f"dim{axis}"].attrs["units"] = unit
    with new("pattern.plain.h5") as file:
        file["vacuum"] = _counts(8, 8, dtype=np.float32) + 1
        file["vacuum"].attrs["units"] = "counts"
    with new("pattern.probe.h5") as file:
        group = file.create_group("root/probe")
        group.attrs["python_class"] = "Probe"
        group["data"] = _counts(2, 8, 8, dtype=np.float64) + 1
    with new("pattern.mask.h5") as file:
        file.create_dataset("mask", data=_counts(8, 8) > 1, chunks=(4, 4), compression="gzip")
    with new("pattern.wave.h5") as file:  # a probe to begin with
        beam = np.hypot(*np.mgrid[-10:10, -10:10]) < 4
        file["probe"] = (beam * (1 + _counts(2, 20, 20)) * np.exp(0.1j * _counts(20, 20))).astype(np.complex64)
        file["mask"] = np.ones((20, 20), bool)
    return made


def _npy(folder: Path) -> list[Path]:
    made = []
    stored = {
        "c": _counts(3, 4, 8, 8),
        "fortran": np.asfortranarray(_counts(3, 4, 8, 8, dtype=np.float32)),
        "big": _counts(3, 4, 8, 8, dtype=">f8"),
        "bool": _counts(3, 4, 8, 8) > 2,
        "series": _counts(2, 3, 4, 8, 8, dtype=np.uint8),
        "stack": _counts(12, 8, 8, dtype=np.uint8),
    }
    for version in ((1, 0), (2, 0), (3, 0)):
        for name, array in stored.items():
            made.append(folder / f"data.v{version[0]}.{name}.npy")
            with made[-1].open("wb") as file:
                np.lib.format.write_array(file, array, version=version)
    for name, array in {"pattern.npy": _counts(8, 8), "pattern.mask.npy": _counts(8, 8) > 2}.items():
        made.append(folder / name)
        np.save(made[-1], array)
    return made


def _merlin(folder: Path) -> list[Path]:
    made = []
    for name, kind, depth in (("data.merlin.mib", "U08", 6), ("data.stack.merlin.mib", "R64", 12)):
        frames = _counts(12, 8, 8, dtype=np.uint8 if kind == "U08" else ">u2")
        made.append(folder / name)
        with made[-1].open("wb") as file:
            for number, frame in enumerate(frames):  # rows of four, with a pause after each
                time = f"10:00:00.{number * 1_000_000 + number // 4 * 7_000_000:09d}"
                header = f"MQ1,{number + 1:06d},00384,01,0008,0008,{kind},   1x1,01,2024-07-02 {time[:-3]},0.001,0,0,0,"
                header += f"4.0E+1,5.11E+2,0,0,0,0,0,0,3RX,{'023,' * 27}MQ1A,2024-07-02T{time}Z,1000000ns,{depth},"
                file.write(header.encode().ljust(384, b"\0") + frame.tobytes())
    return made


def _empad(folder: Path) -> list[Path]:
    made = [folder / name for name in ("data.empad.xml", "data.empad.json", "data.empad.scan_x2_y1.raw")]
    made[0].write_text(
        '<root name="a"><timestamp timestamp="0" isoformat="2026-03-25T16:47:52"/><software_version>1.2.2'
        '</software_version><raw_file filename="scan_x3_y1.raw"/><scan_parameters mode="acquire"><scan_size>0.5'
        "</scan_size><scan_resolution_y>1</scan_resolution_y><scan_resolution_x>3</scan_resolution_x></scan_parameters>"
        "<iom_measurements><full_scan_field_of_view><scale_factor>0.72</scale_factor><x>6.48e-9</x><y>6.48e-9</y>"
        "</full_scan_field_of_view><nominal_camera_length>0.369</nominal_camera_length><high_voltage>300000.0"
        "</high_voltage></iom_measurements></root>"
    )
    made[1].write_text(
        '{"file_type": "empad_metadata", "version": "2.0", "raw_filename": "scan_x3_y1.raw", "voltage": 200000.0, '
        '"conv_angle": 17.9, "camera_length": 0.4575, "diff_step": 0.78, "scan_rotation": 1.5, "scan_shape": [3, 1], '
        '"scan_step": [9.7e-11, 9.7e-11], "exposure_time": 0.001, "adu": 375.0, "det_flips": [true, false, false]}'
    )
    for path, patterns in ((made[2], 2), (folder / "scan_x3_y1.raw", 3)):
        path.write_bytes(_counts(patterns, 130, 128, dtype="<f4").tobytes())
    return made


def _records(folder: Path) -> list[Path]:
    """Formats of cameras whose patterns are records; without files beside them, which the damaged copy would lack."""
    counts, bytes_ = _counts(3, 4, 8, 8), _counts(3, 4, 8, 8, dtype=np.uint8)
    stack = counts.reshape(12, 8, 8)
    scan, detector = [(0.15, "nm")] * 2, [(0.5, "1/nm")] * 2
    tags: dict[str, Any] = {
        "Meta Data": {"Data Order Swapped": 1, "Format": "Diffraction image"},
        "Microscope Info": {"Voltage": 80e3, "STEM Camera Length": 95.0, "Stage": (0.1, 0.2)},
        "4D STEM Tags": {"Scan shape X": 4, "Scan shape Y": 3},
    }
    old = {**tags, "Meta Data": {"Data Order Swapped": 0}}
    stream = tvips_files(folder, stack, [12], name="data.stack.tvips")[0]
    return [
        dm_file(folder / "data.dm.dm4", counts, [*scan, *detector], tags, extra=[counts[0, 0]]),
        dm_file(folder / "data.dm.old.dm3", counts.transpose(2, 3, 0, 1), [*detector, *scan], old, 3, ">"),
        dm_file(folder / "data.stack.dm.dm4", stack, [(1.0, ""), *detector], tags),
        dm_file(folder / "pattern.dm.dm4", counts[0, 0], detector, tags),
        blo_file(folder / "data.blockfile.blo", bytes_, (0.15, 0.15), 80_000),
        stream.rename(folder / "data.stack.tvips.tvips"),
        mrc_file(folder / "data.stack.mrc.mrc", stack, extended=32),
        mrc_file(folder / "data.stack.mrc.old.mrc", stack, ">", marked=False),
    ]


def _containers(folder: Path) -> list[Path]:
    made = []
    data, stack, vacuum = _counts(3, 4, 8, 8), _counts(12, 8, 8), _counts(8, 8, dtype=np.float32) + 1

    def new(name: str) -> Path:
        made.append(folder / name)
        return made[-1]

    np.savez(new("data.npz.stored.npz"), data=data, vacuum=vacuum, energy_keV=80.0)
    np.savez_compressed(new("data.npz.packed.npz"), data=data, other=np.arange(3))
    np.savez(new("data.npz.fortran.npz"), data=np.asfortranarray(data))
    np.savez(new("data.npz.stack.npz"), data=stack)
    np.savez(new("pattern.npz"), vacuum=vacuum, other=vacuum)
    said = [{"type": "4D", "content.types": ["CameraX", "CameraY", "ScanX", "ScanY"], "electron_gun.voltage": 80000}]
    text, version = np.array(json.dumps(said)), np.array(7)
    np.savez_compressed(new("data.rosettasciio.npz"), data=data, file_format_version=version, meta_data_json=text)
    made[-1] = made[-1].rename(folder / "data.rosettasciio.prz")
    for packed in (False, True):
        path = new(f"data.matlab.{'packed' if packed else 'plain'}.mat")
        scipy.io.savemat(path, {"cbed": data, "voltage": 80.0, "note": "text"}, do_compression=packed)
        path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(116) + path.read_bytes()[116:])  # without the time
    tifffile.imwrite(new("data.series.tiff.tif"), np.stack([data, data]), photometric="minisblack", metadata={})
    tifffile.imwrite(new("data.tiff.plain.tif"), data, photometric="minisblack", metadata={})
    tifffile.imwrite(new("data.tiff.big.tif"), data, photometric="minisblack", bigtiff=True, byteorder=">")
    tifffile.imwrite(new("data.tiff.imagej.tif"), data, imagej=True)
    tifffile.imwrite(new("data.tiff.packed.tif"), data, photometric="minisblack", compression="zlib")
    tifffile.imwrite(
        new("data.tiff.tiles.tif"), data.repeat(2, -1).repeat(2, -2), photometric="minisblack", tile=(16, 16)
    )
    tifffile.imwrite(new("data.tiff.stack.tif"), stack, photometric="minisblack", metadata=None, rowsperstrip=3)
    tifffile.imwrite(new("pattern.tif"), vacuum, photometric="minisblack", metadata=None)
    for number in (2, 3):
        with zipfile.ZipFile(new(f"data.zarr.v{number}.zip"), "w") as file:
            for name, content in _zarr(data, number).items():
                file.writestr(zipfile.ZipInfo(name), content)  # of 1980
    return made


def _zarr(data: np.ndarray, version: int) -> dict[str, bytes]:
    """Files of a store of one array in one chunk."""
    grid: dict[str, Any] = {"shape": data.shape, "fill_value": 0, "zarr_format": version}
    said = {"units": ["nm", "nm", "1/nm", "1/nm"], "sampling": [0.4, 0.4, 0.5, 0.5]}
    packed = zlib.compress(data.tobytes())
    if version == 2:
        kind = {"dtype": data.dtype.str, "chunks": data.shape, "order": "C", "filters": None}
        packing = {"id": "zlib", "level": 1}
        array = {".zarray": {**grid, **kind, "compressor": packing}, ".zattrs": said}
        return {**{name: json.dumps(value).encode() for name, value in array.items()}, "0.0.0.0": packed}
    steps = [
        {"name": "bytes", "configuration": {"endian": "little"}},
        {"name": "gzip", "configuration": {"level": 1}},
    ]
    chunks = {"name": "regular", "configuration": {"chunk_shape": data.shape}}
    keys = {"name": "default", "configuration": {"separator": "/"}}
    node = {"node_type": "array", "data_type": data.dtype.name, "chunk_grid": chunks, "chunk_key_encoding": keys}
    text = json.dumps({**grid, **node, "codecs": steps, "attributes": said})
    return {"zarr.json": text.encode(), "c/0/0/0/0": gzip.compress(data.tobytes(), mtime=0)}


def _saved(folder: Path) -> list[Path]:
    duck = samples.ducky("tiny")
    few = Dataset(duck.data[:4, :4, 22:42, 22:42], duck.calibration)
    write(folder / "beside.h5", few)
    made = []
    for name, config in {
        "plain": ModelConfig(),
        "composed": ModelConfig(slices=2, thickness=10, modes=2, background=True),
    }.items():
        recon = Reconstruction(few, defocus=100, model=config)
        recon.prepare(rotation=0.0, transpose=False)
        recon.run(2)
        made.append(Path(recon.save(folder / f"saved.{name}.h5")))
    # with masks, a part of the data, where they came from, and a probe and an object to begin with
    named = dataclasses.replace(few, path=Path("/nowhere/data.h5"))
    named = (
        named.with_mask(_counts(20, 20) < 8).with_scan_mask(np.arange(16).reshape(4, 4) != 9).crop(scan=(0, 4, 0, 3))
    )
    recon = Reconstruction(named, defocus=100)
    recon.prepare(rotation=0.0, transpose=False)
    first = recon.run(1)
    recon = Reconstruction(named, defocus=100).begin_with(probe=first.probe, object=first.object, hold_probe=True)
    recon.prepare(rotation=0.0, transpose=False)
    recon.run(1)
    made.append(Path(recon.save(folder / "saved.given.h5")))
    recon = Reconstruction(example_tilts()[:2], tilts=[-20, 30], defocus=60, model=ModelConfig(slices=2, thickness=8))
    recon.prepare(rotation=0.0, transpose=False)
    recon.run(1)
    made.append(Path(recon.save(folder / "saved.volume.h5")))
    return made
