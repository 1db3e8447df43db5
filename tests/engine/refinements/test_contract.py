"""Every refinement keeps the contract, on a model of slices with all that can be refined."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.models import (
    Background,
    Diffuse,
    Multislice,
    NearField,
    ObjectModes,
    PartialCoherence,
    PointSpread,
)
from ptywidgets.engine.refinements import (
    REFINEMENTS,
    RefineDiffuse,
    RefineModel,
    RefineObjectModes,
    RefineOptics,
    RefineTilts,
)
from ptywidgets.testing import RefinementContract, example_problem
from ptywidgets.testing.exact import with_patterns
from ptywidgets.testing.series import blobs, example_series

START = example_problem("potential")
PLACE = {"wavelength": START.measurement.calibration.wavelength, "extent": tuple(64 * s for s in START.sampling)}
EVERY = np.arange(64)
TURNED = (0.4, -0.3, 0.2, -0.5, 0.3)  # degrees
CHOSEN = (
    REFINEMENTS["RefineAffine"](),
    REFINEMENTS["RefinePositions"](),
    RefineOptics("defocus"),
    RefineModel(thickness="common", tilt=True, source_size=True, blur=True, sample=64),
)


class TestRefinements(RefinementContract):
    parts = {  # noqa: RUF012
        "exit_wave": Multislice((20.0, 20.0), **PLACE),
        "ensemble": PartialCoherence(0.3, 0.0, **PLACE, order=2),
        "response": PointSpread(0.5),
    }

    @pytest.fixture(params=CHOSEN, ids=lambda r: type(r).__name__)
    def refinement(self, request):
        return request.param


class TestNearField(RefinementContract):
    """Of a detector in an image plane."""

    parts = {"detector": NearField(800.0, **PLACE)}  # noqa: RUF012

    @pytest.fixture
    def refinement(self):
        return RefineModel(distance=True, sample=64)


class TestDiffuse(RefinementContract):
    """On a model that has something to add."""

    parts = {"diffuse": Diffuse(("C",), 0.5, PLACE["extent"]), "background": Background()}  # noqa: RUF012

    @pytest.fixture(params=[RefineDiffuse(), RefineDiffuse(b_factor=False, acceleration=1.0)], ids=repr)
    def refinement(self, request):
        return request.param


class TestObjectModes(RefinementContract):
    """On patterns of atoms that are displaced further than the states are that the run begins with."""

    parts = {"object_modes": ObjectModes(4, 0.3)}  # noqa: RUF012

    def cases(self):
        cases = []
        for problem, state in super().cases():
            displaced = RefineObjectModes(first=0, step=1e-6)
            first = displaced.prepare(problem)(state, EVERY)
            wide = np.full_like(state.parameters["displacement"], 0.6)
            far = displaced.prepare(problem)(
                state.replace(parameters={**state.parameters, "displacement": wide}), EVERY
            )
            cases.append((with_patterns(problem, problem.intensities(far, EVERY)), first))
        return cases

    @pytest.fixture(params=[{}, {"map_from": 0}, {"free_from": 0}], ids=repr)
    def refinement(self, request):
        return RefineObjectModes(first=0, **request.param)


class TestTilts(RefinementContract):
    """On a series whose tilts are not quite those that it was told."""

    @pytest.fixture(params=[RefineTilts(), RefineTilts(axes="xyz", hold=0)], ids=repr)
    def refinement(self, request):
        return request.param

    def cases(self):
        series = example_series((-40.0, -10.0, 0.0, 25.0, 50.0), slices=2)
        turned = [replace(p.tilt, x=p.tilt.x + step) for p, step in zip(series.projections, TURNED, strict=True)]
        made = [replace(p, tilt=tilt) for p, tilt in zip(series.projections, turned, strict=True)]
        series = replace(series, projections=tuple(made))
        state = series.start().replace(object=blobs(series.object_shape))
        return [(series.with_loss(loss), state) for loss in ("anscombe", "amplitude")]


def test_every_refinement_is_tried():
    apart = {"RefineDiffuse", "RefineObjectModes", "RefineTilts"}
    assert {type(refinement).__name__ for refinement in CHOSEN} | apart == set(REFINEMENTS)
