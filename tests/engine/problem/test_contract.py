"""One view, and several views of a volume, are problems alike."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.engine.solve.schedule import reconstruct
from ptywidgets.testing import ProblemContract, exact_problem, example_series


def counted(problem, seed=0):
    """One view with Poisson counts in the place of its patterns."""
    counts = np.random.default_rng(seed).poisson(problem.patterns.counts).astype(np.uint16)
    return replace(problem, patterns=replace(problem.patterns, counts=counts))


@cache
def one_view(kind):
    return counted(exact_problem(kind)[0])


@cache
def series():
    tilted = example_series(slices=2, modes=2)
    return replace(tilted, views=tuple(counted(view, number) for number, view in enumerate(tilted.views)))


class TestOneView(ProblemContract):
    @pytest.fixture(params=["complex", "potential"])
    def problem(self, request):
        return one_view(request.param)


class TestTiltSeries(ProblemContract):
    @pytest.fixture
    def problem(self):
        return series()


class TestViewByView(ProblemContract):
    """A series in which every algorithm goes from view to view, which conjugate gradients cannot."""

    @pytest.fixture
    def problem(self):
        return replace(series(), sequential=True)

    def test_the_schedule_works_on_it(self, problem):
        with pytest.raises(ParameterError, match="sequential=False"):
            list(reconstruct(problem, iterations=6))


def test_a_problem_tells_how_thick_its_slices_are():
    assert series().slice_thickness == (series().voxel[0],) * series().object_shape[0]
    assert series().views[0].slice_thickness == series().views[0].model.exit_wave.thickness
    assert one_view("potential").slice_thickness is None
