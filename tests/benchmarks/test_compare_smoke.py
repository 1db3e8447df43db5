"""The comparison with the peers works: ours alone, on tiny data, without limits of time."""

import doctest
import importlib.util
import json
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def load(repository):
    """Modules of benchmarks/ by name."""
    folder = str(repository / "benchmarks")
    before = set(sys.modules)

    def loaded(name):
        spec = importlib.util.spec_from_file_location(name, f"{folder}/{name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    path = sys.path[:]
    sys.path.insert(0, folder)
    yield loaded
    sys.path[:] = path
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(folder):
            del sys.modules[name]


@pytest.fixture(scope="module")
def results(load, tmp_path_factory):
    """What a short run finds, and the folder with what it wrote."""
    folder = tmp_path_factory.mktemp("docs")
    arguments = ["tiny", "--engines", "ptywidgets, complex", "--iterations", "3", "--docs", str(folder)]
    return load("compare").main(arguments), folder


def test_ours_is_measured_and_scored(results):
    record = results[0]["sets"]["tiny"]["engines"]["ptywidgets, complex"]
    assert len(record["seconds"]) == 3 and min(record["seconds"]) > 0
    assert record["peak_mb"] > 0 and "end" not in record
    correlations = [score[0] for score in record["scores"].values()]
    assert correlations == sorted(correlations) and correlations[-1] > 0.85


def test_tables_and_plot_are_written_and_made_again_from_what_was_kept(load, results):
    found, folder = results
    text = (folder / "peers.md").read_text()
    assert "| ptywidgets, complex |" in text and (folder / "images" / "peers.png").stat().st_size > 1000
    assert json.loads((folder / "peers.json").read_text())["sets"] == found["sets"]
    (folder / "peers.md").unlink()
    load("compare").main(["--tables", "--docs", str(folder)])
    assert (folder / "peers.md").read_text() == text


def test_what_an_engine_cannot_do_stands_in_the_table(load, results):
    found = json.loads(json.dumps(results[0]))
    record = found["sets"]["tiny"]["engines"]["ptywidgets, complex"]
    found["sets"]["tiny"]["engines"]["other"] = {**record, "seconds": [], "scores": {}, "end": "not built"}
    found["missing"] = {"third": "no Python"}
    load("compare_report").write_report(found, results[1])
    text = (results[1] / "peers.md").read_text()
    assert "| other | not built |" in text and "| third | no Python |" in text


def test_score_finds_what_was_hidden(load):
    module = load("score")
    assert doctest.testmod(module).failed == 0
    noise = np.random.default_rng(1).normal(size=(96, 96))
    truth = module.Truth(noise, np.random.default_rng(2).uniform(24, 64, (80, 2)), 1.0, 1.0)
    assert module.score(np.random.default_rng(3).normal(size=(96, 96)), truth.positions, truth).correlation < 0.2
    assert module.score(np.ones((96, 96), complex), truth.positions, truth).correlation == 0


def test_every_size_is_measured(load, capsys):
    seconds = load("scaling").main(["--scans", "4", "16", "--detectors", "32", "--iterations", "2"])
    assert list(seconds[32]) == [4, 16] and min(seconds[32].values()) > 0
    told = capsys.readouterr().out
    assert "| 16² | 32² | 256 |" in told and "as patterns to the power of" in told
