"""Masks of the object: where it may be, in the frames that users see."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.constraints import FieldOfView, VacuumRegion
from ptywidgets.engine.constraints.masks import in_scan_frame
from ptywidgets.testing import example_problem
from ptywidgets.testing.contracts.constraints import disturbed, thick


@pytest.fixture(params=["complex", "potential"])
def case(request):
    return disturbed(thick(example_problem(request.param)))


def vacuum(problem):
    return 1 if problem.model.specimen.object_type == "complex" else 0


@pytest.mark.parametrize("edge", [0.0, 3.0])
def test_vacuum_outside_the_field_of_view(case, edge):
    problem, state = case
    after = FieldOfView(edge=edge).prepare(problem)(state).object
    field = problem.field_of_view()
    np.testing.assert_allclose(after[:, field], state.object[:, field], atol=1e-6)
    if not edge:
        np.testing.assert_allclose(after[:, ~field], vacuum(problem), atol=1e-6)
    share = (after - vacuum(problem)) / (state.object - vacuum(problem))
    assert (abs(share) < 1 + 1e-4).all() and (abs(share[:, 0, 0]) < 1e-6).all()


def test_the_edge_is_half_way_in_its_middle():
    problem = example_problem("potential")
    dy = problem.sampling[0]
    state = problem.start().replace(object=np.ones(problem.object_shape, np.float32))
    share = FieldOfView(margin=2 * dy, edge=8 * dy).prepare(problem)(state).object[0]
    column = problem.object_shape[2] // 2
    first = np.flatnonzero(problem.field_of_view()[:, column])[0]
    # The field's border is nearly straight there: pixels above it are about as far from it as they are many.
    np.testing.assert_allclose(share[[first - 2, first - 6], column], [1, 0.5], atol=0.1)
    assert np.count_nonzero(share > 1e-6) > np.count_nonzero(problem.field_of_view())


def test_a_region_of_the_picture_is_vacuum(case):
    problem, state = case
    region = VacuumRegion(top=2, left=3, height=6, width=4)
    after = region.prepare(problem)(state).object
    changed = (after != state.object).any(0)
    np.testing.assert_allclose(after[:, changed], vacuum(problem), atol=1e-6)
    area = changed.sum() * np.prod(problem.sampling)
    assert area == pytest.approx(6 * 4, rel=0.05)


@pytest.mark.parametrize("transpose", [False, True])
def test_scan_positions_are_where_the_scan_says(transpose):
    """The pixels nearest to scan positions have the coordinates (row, column) times the step."""
    from ptywidgets.engine.preprocess.measurement import scan_positions

    problem = example_problem("potential")
    measurement = replace(problem.measurement, transpose=transpose)
    step = measurement.calibration.scan_step
    positions = scan_positions(measurement.scan_shape, step, measurement.rotation, transpose)
    positions = positions + problem.initial_positions.mean(0)
    problem = replace(problem, measurement=measurement, initial_positions=positions)
    y, x = in_scan_frame(problem)
    nearest = np.rint(positions / np.array(problem.sampling)).astype(int)
    rows, columns = np.divmod(np.arange(problem.count), measurement.scan_shape[1])
    half = np.hypot(*problem.sampling) / 2
    assert np.hypot(y[tuple(nearest.T)] - rows * step, x[tuple(nearest.T)] - columns * step).max() <= half + 1e-6
