"""Data that are larger than the memory: the same numbers as in memory, read from where they are."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, read, samples
from ptywidgets.engine import Aberrations, Dataset, Optics, Plan, iterate, make_problem, prepare, reconstruct
from ptywidgets.engine.algorithms import LSQML, PIE, ConjugateGradient, GradientDescent
from ptywidgets.engine.backends.gpu import GpuBackend
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.core import memory
from ptywidgets.engine.core.errors import DataError, ParameterError
from ptywidgets.engine.data.array_views import by_pattern
from ptywidgets.engine.data.streamed_counts import StreamedCounts
from ptywidgets.engine.io.arrays.scratch import ScratchScan
from ptywidgets.engine.preprocess import in_reach as module
from ptywidgets.engine.preprocess.in_reach import in_reach, where_counts_are
from ptywidgets.engine.refinements import RefinePositions
from ptywidgets.testing.series import example_series

SIZE = "tiny"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The duck as it lies in files: pattern by pattern, compressed in awkward chunks, and with the scan last."""
    folder, data = tmp_path_factory.mktemp("files"), np.asarray(samples.ducky(SIZE).data)
    np.save(folder / "plain.npy", data)
    np.save(folder / "fortran.npy", np.asfortranarray(data))
    with h5py.File(folder / "gzip.h5", "w") as file:
        file.create_dataset("data", data=data, chunks=(3, 4, 32, 16), compression="gzip")
    with h5py.File(folder / "contiguous.h5", "w") as file:
        file.create_dataset("data", data=data)
    return {path.stem: path for path in folder.iterdir()}


@pytest.fixture()
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for a quarter of the counts."""
    monkeypatch.setattr(module, "fits_in_memory", lambda nbytes: nbytes <= 144 * 64 * 64 * 2 / 4)


def opened(path: Path) -> Dataset:
    known = samples.ducky(SIZE).calibration
    names = ("energy", "scan_step", "q_pixel", "semiangle")
    return read(path).with_calibration(**{name: getattr(known, name) for name in names})


@pytest.mark.parametrize(
    ("name", "plain"), [("plain", True), ("contiguous", True), ("gzip", False), ("fortran", False)]
)
def test_files_of_patterns_stay_where_they_are_and_others_are_written_once(
    files: dict[str, Path], little: None, name: str, plain: bool
):
    dataset = opened(files[name])
    assert by_pattern(dataset.data) == plain
    words: list[str] = []
    near = in_reach(dataset, words.append)
    assert (near is dataset) == plain and bool(words) != plain
    assert in_reach(dataset).data is near.data  # not again
    assert in_reach(dataset.with_mask(np.arange(4096).reshape(64, 64) > 0)).data is near.data
    place = "their file" if plain else "a scratch file"
    assert place in where_counts_are(near)
    np.testing.assert_array_equal(near.data[3, 2:5], samples.ducky(SIZE).data[3, 2:5])


def test_a_scratch_file_goes_with_the_data(files: dict[str, Path], little: None):
    dataset = opened(files["gzip"])
    near = in_reach(dataset)
    assert near.data in list(module._SCRATCH.values())
    gone = weakref.ref(near.data)
    del near
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("name", ["plain", "gzip"])
@pytest.mark.parametrize("masked", [False, True])
def test_every_method_gives_the_same_bit_for_bit(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, name: str, masked: bool
):
    scan_mask = np.ones((12, 12), bool)
    scan_mask[3, 4] = scan_mask[10, 2:5] = False

    def problem() -> Any:
        dataset = opened(files[name])
        measurement = prepare(dataset.with_scan_mask(scan_mask) if masked else dataset, rotation=-15)
        lens = Aberrations(defocus=samples.ducky_defocus(SIZE))
        return make_problem(measurement, Optics.from_dataset(dataset, aberrations=lens))

    whole = problem()
    monkeypatch.setattr(module, "fits_in_memory", lambda _: False)
    streamed = problem()
    assert isinstance(whole.patterns.counts, np.ndarray) and isinstance(streamed.patterns.counts, StreamedCounts)
    streamed.patterns.counts.piece = 20
    plans = [
        Plan(iterations=2, algorithm=algorithm, batch=batch)
        for algorithm in (PIE(), GradientDescent(), ConjugateGradient(), LSQML())
        for batch in (30, None)
    ]
    plans.append(Plan(iterations=2, batch=40, loss="poisson"))
    plans.append(Plan(iterations=2, batch=40, refinements=(RefinePositions(),)))
    for plan in plans:
        one, other = [[*iterate(p, plan)][-1] for p in (whole, streamed)]
        np.testing.assert_array_equal(one.object, other.object, err_msg=str(plan))
        np.testing.assert_array_equal(one.positions, other.positions)
        assert one.losses == other.losses
    one, other = [[*reconstruct(p, iterations=6)][-1] for p in (whole, streamed)]
    np.testing.assert_array_equal(one.object, other.object)
    assert one.misfits == other.misfits


def test_a_start_is_found_as_in_memory(files: dict[str, Path], monkeypatch: pytest.MonkeyPatch):
    one = calibrate(opened(files["gzip"]))
    monkeypatch.setattr(module, "fits_in_memory", lambda _: False)
    words: list[str] = []
    other = calibrate(opened(files["gzip"]), progress=words.append)
    assert one.optics.aberrations == other.optics.aberrations
    assert one.measurement.rotation == other.measurement.rotation
    assert any("scratch file" in sentence for sentence in words)


def test_a_reconstruction_says_where_the_counts_are_and_what_it_holds(files: dict[str, Path], little: None):
    recon = Reconstruction(opened(files["gzip"]), defocus=samples.ducky_defocus(SIZE))
    recon.prepare(rotation=-15)
    assert "read from a scratch file while they are worked on" in recon.message
    assert isinstance(recon.measurement.patterns.counts, StreamedCounts)
    recon.measurement.patterns.counts.piece = 10
    assert recon.memory == 4 * 10 * 64 * 64 * 2 < recon.measurement.patterns.nbytes
    recon.run(3)
    again = recon.copy().run(1)
    assert again.iteration == 4 and isinstance(again.measurement.patterns.counts, StreamedCounts)


def test_what_changes_the_counts_is_written_again(files: dict[str, Path], little: None):
    dataset = opened(files["gzip"])
    binned = dataset.bin(detector=2)
    near = in_reach(binned)
    if isinstance(near.data, ScratchScan):
        np.testing.assert_array_equal(near.data[1, 1], binned.pattern(1, 1))
    else:
        np.testing.assert_array_equal(near.data, binned.load().data)


def test_the_limit_may_be_stated_in_words(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "_machine", lambda: 1e15)
    monkeypatch.setattr(memory, "_container", lambda *_: None)
    used = 4e12 - _free(monkeypatch, "4 TB")
    assert 1e7 < used < 1e11
    assert abs(_free(monkeypatch, "4000000 MB") - _free(monkeypatch, "4t")) < 5e8
    assert _free(monkeypatch, "1000") == 0
    for wrong in ("much", "-3 GB", "0", "3 apples"):
        monkeypatch.setenv(memory.VARIABLE, wrong)
        with pytest.raises(ParameterError, match="PTYWIDGETS_MEMORY"):
            memory.available_memory()


def _free(monkeypatch: pytest.MonkeyPatch, words: str) -> float:
    monkeypatch.setenv(memory.VARIABLE, words)
    free = memory.available_memory()
    assert free is not None
    return free


def test_who_is_told_has_to_be_a_function(files: dict[str, Path]):
    with pytest.raises(ParameterError, match="progress is 1; expected a function of one text"):
        prepare(opened(files["plain"]), progress=1)


def test_no_room_anywhere_is_said(files: dict[str, Path], little: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ptywidgets.engine.io.arrays.scratch.SPARE", 10**18)
    with pytest.raises(DataError, match="PTYWIDGETS_SCRATCH"):
        prepare(opened(files["gzip"]), rotation=-15)


def test_a_device_gets_what_it_works_on(files: dict[str, Path], little: None):
    dataset = opened(files["plain"]).with_mask(np.arange(4096).reshape(64, 64) % 7 > 0)
    patterns = prepare(dataset, rotation=-15).patterns
    device = GpuBackend(np, np.add.at, lambda: 1 << 26)
    there = patterns.on(device)
    few = np.array([3, 40, 41])
    np.testing.assert_allclose(device.amplitudes(there, few, np.float32), patterns.amplitudes(few), rtol=1e-6)
    assert isinstance(there.on_host(device).counts, StreamedCounts)


def test_tilts_are_read_ahead_each_in_its_own_order(monkeypatch: pytest.MonkeyPatch):
    series = example_series()
    streamed = replace(
        series,
        views=tuple(
            replace(
                view, patterns=replace(view.patterns, counts=StreamedCounts(counts[None], piece=5 * counts[0].nbytes))
            )
            for view in series.views
            for counts in [np.asarray(view.patterns.counts)]
        ),
    )
    for plan in (
        Plan(iterations=2, algorithm=PIE(), batch=7),
        Plan(iterations=2, algorithm=ConjugateGradient(), batch=9),
    ):
        one, other = [[*iterate(p, plan)][-1] for p in (series, streamed)]
        np.testing.assert_array_equal(one.object, other.object)
