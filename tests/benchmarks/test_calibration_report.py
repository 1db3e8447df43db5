"""The calibration of starts: what it writes can be taken up again, and what it reports is what it has seen."""

import importlib.util
import json
import sys

import pytest


@pytest.fixture(scope="module")
def calibration(repository):
    """The script as a module."""
    spec = importlib.util.spec_from_file_location("calibration", repository / "benchmarks" / "calibration.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(seed, *, off=0.5, asks="", **more):
    """A record as the script writes it, every number off by so many sigmas."""
    names = ("rotation", "defocus", "C12a", "C12b", "C21a", "C21b")
    judgement = {
        "found": dict.fromkeys(names, 1.0),
        "sigmas": dict.fromkeys(names, 2.0),
        "errors": dict.fromkeys(names, 2.0 * off),
        "transpose": True,
        "turned": False,
        "open_turn": False,
        "asks": asks,
    }
    told = {"kind": "film", "dose": 1e4, "vacuum": True, "step": 2.0, "jitter": 0.0, "source": 0.0, "spread": 0.0}
    stated = {"stated_step": 1.0, "stated_semiangle": 1.0, "seconds": 2.0, "cpu": 1.0}
    return {"seed": seed, **told, **stated, **more, "judgement": judgement}


def test_shares_and_what_is_wrong_and_sure(calibration):
    records = [record(n) for n in range(6)]
    records += [record(6, off=2), record(7, off=4, dose=None), record(8, off=9, asks="Which?")]
    records += [{**{k: v for k, v in record(9).items() if k not in ("judgement", "cpu")}, "failed": "DataError: no"}]
    summary = calibration.summarised(records)
    every = summary["groups"]["all"]
    assert (every["variants"], every["told"], every["wrong and sure"]) == (10, 8, 1)
    assert every["rotation"] == [6 / 8, 7 / 8]
    assert list(summary["wrong and sure"]) == ["7"] and list(summary["failed"]) == ["9"]
    words = calibration.in_words(summary)
    assert "wrong and sure: 1" in words and "seed 7, film, no noise: rotation" in words and "seed 9 FAILED" in words
    for one in records:
        line = calibration.in_a_line(one)
        assert ("WRONG AND SURE" in line) == (one["seed"] == 7)
        assert ("FAILED" in line) == (one["seed"] == 9)


def test_probabilities_of_the_first_alternative_are_held_against_what_is_true(calibration):
    truth = {"rotation": 175.0, "transpose": True, "defocus": 300.0}
    right = {"rotation": -179.0, "transpose": True, "defocus": 330.0, "misfit": 0.1, "probability": 0.9}
    wrong = [{**right, "rotation": 5.0}, {**right, "transpose": False}, {**right, "defocus": -300.0}]
    more = {"truth": truth, "energy": 80e3, "semiangle": 20.0}
    records = [record(n, **more, alternatives=[first]) for n, first in enumerate([right, *wrong])]
    assert [calibration.first_is_right(r) for r in records] == [True, False, False, False]
    words = calibration.in_words(calibration.summarised([*records, record(9)]))
    assert "probability of 0.8 to 0.95: 4, 90 % on average, right in 25 %" in words


def test_a_variant_is_tried_once_and_its_results_are_drawn(calibration, tmp_path, monkeypatch, capsys):
    results, picture, summary = (tmp_path / name for name in ("r.jsonl", "p.png", "s.json"))
    results.write_text('{"seed": 5, "ki')  # where it was stopped in the middle of a line
    arguments = ["calibration.py", str(results), "--seeds", "5", "6"]
    monkeypatch.setattr(sys, "argv", [*arguments, "--picture", str(picture), "--summary", str(summary)])
    calibration.main()
    assert "is cut off" in capsys.readouterr().out
    written = results.read_text()
    found = json.loads(written.splitlines()[-1])
    assert found["seed"] == 5 and found["judgement"]["found"] and picture.stat().st_size > 1e4
    assert json.loads(summary.read_text())["groups"]["all"]["variants"] == 1
    monkeypatch.setattr(calibration, "tried", lambda seed: pytest.fail(f"variant {seed} was tried again"))
    calibration.main()
    assert results.read_text() == written
    monkeypatch.setattr(sys, "argv", [str(a) for a in ("calibration.py", tmp_path / "none.jsonl", "--only-report")])
    with pytest.raises(SystemExit):
        calibration.main()
