"""What every file format must do."""

from __future__ import annotations

import os
import pickle
import shutil
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptywidgets.engine.core.errors import DataWarning, PtyError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.io import read
from ptywidgets.engine.io.formats.registry import format_of

DAMAGES = 60  # cut files, and as many with bytes changed


@dataclass(frozen=True)
class Sample:
    """A file of known content."""

    path: Path  # in a folder of its own with all files that belong to it
    truth: np.ndarray  # (Ry, Rx, Qy, Qx)
    calibration: Mapping[str, Any] = field(default_factory=dict)  # what the file states, in A, 1/A, eV, mrad
    arguments: Mapping[str, Any] = field(default_factory=dict)  # of read(), where the file does not say enough

    def read(self, path: Path | None = None) -> Dataset:
        """The file, or another one of its kind, opened."""
        return read(self.path if path is None else path, **self.arguments)


class FormatContract:
    """Give a class attribute `module`, of the format, and a fixture `sample`, a :class:`Sample`."""

    module: Any
    by_content = True  # whether it is told from all others without being named
    stays_on_disk = True  # whether patterns are read as they are asked for; else the file is read whole

    def test_it_is_told_from_all_others(self, sample: Sample) -> None:
        if self.by_content:
            assert format_of(sample.path) is self.module
        assert format_of(sample.path, self.module.KEY) is self.module

    def test_patterns_are_the_truth_however_they_are_read(self, sample: Sample) -> None:
        dataset = sample.read()
        truth = sample.truth
        assert dataset.shape == truth.shape and dataset.dtype.isnative
        np.testing.assert_array_equal(dataset.load().data, truth)
        for y, x in ((0, 0), (truth.shape[0] - 1, truth.shape[1] - 1), (truth.shape[0] // 2, 0)):
            np.testing.assert_array_equal(dataset.pattern(y, x), truth[y, x])
        blocks = np.concatenate([block for _, block in dataset.rows(chunk_bytes=1)])
        np.testing.assert_array_equal(blocks, truth)
        part = dataset.crop(
            scan=(0, 1, 0, truth.shape[1]), detector=(1, truth.shape[2], 0, truth.shape[3] - 1), cut_disk=True
        )
        np.testing.assert_array_equal(part.load().data, truth[:1, :, 1:, :-1])

    def test_what_the_file_states_is_found_and_nothing_else(self, sample: Sample) -> None:
        known = sample.read().calibration
        for name in ("energy", "scan_step", "q_pixel", "semiangle"):
            expected = sample.calibration.get(name)
            found = getattr(known, name)
            assert found == (None if expected is None else pytest.approx(expected, rel=1e-5)), name

    def test_what_is_given_wins(self, sample: Sample) -> None:
        given = {"energy": 123e3, "scan_step": 7.25, "q_pixel": 0.0625, "semiangle": 12.5}
        known = read(sample.path, **{**sample.arguments, **given}).calibration
        assert {name: getattr(known, name) for name in given} == given

    def test_patterns_stay_in_the_file(self, sample: Sample) -> None:
        dataset = sample.read()
        assert dataset.is_lazy == self.stays_on_disk
        assert any(file.resolve() == sample.path.resolve() for file in dataset.inputs)
        content = pickle.dumps(dataset)
        assert len(content) < max(20_000, sample.truth.nbytes // 4) or not self.stays_on_disk
        again = pickle.loads(content)  # of our own making
        np.testing.assert_array_equal(again.load().data, sample.truth)

    def test_the_working_folder_may_become_another(
        self, sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(sample.path.parent)
        dataset = sample.read(Path(sample.path.name))
        content = pickle.dumps(dataset)
        monkeypatch.chdir(tmp_path)
        np.testing.assert_array_equal(dataset.pattern(0, 0), sample.truth[0, 0])
        np.testing.assert_array_equal(pickle.loads(content).load().data, sample.truth)  # of our own making
        np.testing.assert_array_equal(dataset.source.open().pattern(0, 0), sample.truth[0, 0])

    def test_it_is_opened_again_from_what_is_saved_of_it(self, sample: Sample) -> None:
        dataset = sample.read().crop(scan=(0, 1, 0, sample.truth.shape[1]))
        np.testing.assert_array_equal(dataset.source.open().load().data, sample.truth[:1])

    def test_threads_do_not_disturb_each_other(self, sample: Sample) -> None:
        dataset, (ry, rx) = sample.read(), sample.truth.shape[:2]

        def agrees(number: int) -> bool:
            y, x = divmod(number % (ry * rx), rx)
            return bool((dataset.pattern(y, x) == sample.truth[y, x]).all())

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(agrees, range(8 * ry * rx)))

    def test_a_damaged_file_is_refused_in_words_or_read(self, sample: Sample, tmp_path: Path) -> None:
        folder = tmp_path / "damaged"
        shutil.copytree(sample.path.parent, folder)
        path = folder / sample.path.name
        if path.is_dir():
            pytest.skip("a folder; its files are damaged one by one elsewhere")
        whole = path.read_bytes()
        rng = np.random.default_rng(0)
        ends = np.unique(np.r_[0, 1, len(whole) - 1, rng.integers(0, min(len(whole), 2000), DAMAGES)])
        for end in ends:
            path.write_bytes(whole[: int(end)])
            self._use(sample, path)
        for _ in range(DAMAGES):
            changed = bytearray(whole)
            for at in rng.integers(0, min(len(whole), 1500), 3):
                changed[int(at)] = int(rng.choice([0, 1, 0x7F, 0xFF, int(rng.integers(256))]))
            path.write_bytes(bytes(changed))
            self._use(sample, path)

    def test_a_file_that_becomes_shorter_is_an_error_and_not_the_end(self, sample: Sample, tmp_path: Path) -> None:
        folder = tmp_path / "shorter"
        shutil.copytree(sample.path.parent, folder)
        path = folder / sample.path.name
        if path.is_dir():
            pytest.skip("a folder; its files become shorter one by one elsewhere")
        dataset = sample.read(path)
        for file in dataset.inputs:
            os.truncate(file, file.stat().st_size // 8)  # small files are half directory
        if not self.stays_on_disk:
            np.testing.assert_array_equal(dataset.load().data, sample.truth)
            return
        with pytest.raises(PtyError):
            dataset.load()

    @staticmethod
    def _use(sample: Sample, path: Path) -> None:
        """Open and read; only an error of ours may come of it, and no more memory than a file of that size asks."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)
            try:
                dataset = sample.read(path)
                if dataset.nbytes < 1e8:
                    dataset.load()
                dataset.pattern(0, 0)
            except PtyError as error:
                text = str(error)
                assert text and text.isprintable(), text


__all__ = ["FormatContract", "Sample"]
