"""Noise shows no specimen, however bright or uneven its mean is; atoms do, down to few counts and of any unit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Optics, make_problem, prepare, single_slice
from ptywidgets.engine.checks.doubts import NOTHING, doubts_of
from ptywidgets.engine.checks.start_check import first_sweeps
from ptywidgets.engine.metrics.structure import shows_specimen
from ptywidgets.engine.solve.plan import Plan


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("tiny")


def problem_of(dataset, defocus=250.0):
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=defocus))
    return make_problem(prepare(dataset, rotation=-15.0, transpose=False), optics, model=single_slice("potential"))


def noise(duck, kind):
    random = np.random.default_rng(7)
    mean = np.asarray(duck.data, float).mean((0, 1))
    if kind == "gaussian":
        data = (mean + random.standard_normal(duck.shape)).clip(0).astype(np.float32)
    else:
        data = random.poisson(0.1 * mean if kind == "faint" else mean, duck.shape)
        data = (0.013 * data).astype(np.float32) if kind == "scaled" else data.astype(np.uint16)
    return replace(duck, data=data)


@pytest.mark.parametrize("kind", ["bright", "faint", "scaled", "gaussian"])
def test_noise_shows_no_specimen(duck, kind):
    problem = problem_of(noise(duck, kind))
    assert shows_specimen(problem) is False
    state, training = first_sweeps(problem)
    assert shows_specimen(training, state) is False
    found = doubts_of(problem, problem.start(), Plan())
    assert [finding.name for finding in found][:1] == [NOTHING] and "no specimen" in found[0].sentence


@pytest.mark.parametrize("dose", [300.0, 1e4])
@pytest.mark.parametrize("unit", [1, 0.013])
def test_atoms_do(dose, unit):
    duck = samples.ducky("small", dose=dose)
    data = np.asarray(duck.data) if unit == 1 else (unit * np.asarray(duck.data)).astype(np.float32)
    assert shows_specimen(problem_of(replace(duck, data=data), 350.0)) is True


def test_what_only_a_reconstruction_tells_is_no_reason_to_doubt():
    """A third of an electron in a pixel of three patterns: no pattern differs from others, and half of the counts still
    predicts the other half."""
    problem = problem_of(samples.ducky("small", dose=30.0), 350.0)
    assert shows_specimen(problem) is False
    assert doubts_of(problem, problem.start(), Plan()) == ()


def test_of_a_few_patterns_nothing_is_said(duck):
    few = problem_of(replace(duck, data=np.asarray(duck.data)[:2, :3]))
    assert shows_specimen(few) is None
