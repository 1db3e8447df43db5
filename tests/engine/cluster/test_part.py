"""What shards say adds up to what the whole says, for every model; no worker is needed to see that."""

from dataclasses import replace

import numpy as np
import pytest

from ptywidgets.engine.cluster import part as tasks
from ptywidgets.engine.cluster.cluster_problem import _Total, _within
from ptywidgets.engine.cluster.shards import Box, cut, divided
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.problem.held_out import hold_out
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.problem.problem import make_problem
from ptywidgets.testing import example_problem

MODELS = {
    "potential": {},
    "complex": {},
    "slices": {"slices": 3, "thickness": 60.0},
    "modes": {"modes": 2, "source_size": 0.5},
    "diffuse": {"diffuse": "C", "background": True},
    "object modes": {"object_modes": 4},
    "blur": {"blur": 0.6},
}


@pytest.fixture(params=MODELS)
def problem(request):
    object_type = "complex" if request.param == "complex" else "potential"
    plain = example_problem(object_type)
    if not MODELS[request.param]:
        return plain
    model = ModelConfig(**MODELS[request.param])
    known = plain.measurement

    modes = np.concatenate([plain.initial_probe * np.float32(0.9**n) for n in range(model.modes)])
    return make_problem(known, None, model=model.build(object_type, known), probe=modes)


def state_of(problem):
    """One that is not empty, with a position between two pixels."""
    generator = np.random.default_rng(1)
    state = problem.start()
    obj = state.object + 0.1 * generator.normal(size=state.object.shape).astype(np.float32)
    return state.replace(object=obj.astype(state.object.dtype), positions=state.positions + 0.05)


def asked(problem, state, function, *arguments_of, together=None):
    """What a function says of three shards, with their rectangles; `arguments_of` are functions of a shard."""
    maps, others = divided(state.parameters, state.object.shape)
    corners = problem.geometry(state.positions).corners
    found = []
    for indices in cut(problem.initial_positions, 3):
        box = Box.around(corners[indices], problem.window)
        part = tasks.filled(tasks.blank(problem, indices), problem.patterns.counts[indices], 1)
        own_maps = {name: np.ascontiguousarray(box.of(value)) for name, value in maps.items()}
        own = tasks.Own(box, np.ascontiguousarray(box.of(state.object)), own_maps, state.positions[indices])
        more = tuple(one(indices, box) for one in arguments_of)
        (result,) = tasks.work([part], tasks.Common(state.probe, others), [own], function, [more], together)
        found.append((box, result))
    return found


def every(indices, box):
    return np.arange(len(indices))


@pytest.mark.parametrize("with_others", [False, True])
def test_gradients_add_up(problem, with_others):
    state = state_of(problem)
    whole = problem.gradients(state, np.arange(problem.count), with_others=with_others)
    total = _Total(state)
    for box, g in asked(
        problem, state, tasks.gradients, every, *(lambda *_: True, lambda *_: with_others), together=problem.count
    ):
        total.add(g, box)
    sums = total.gradients
    assert sums.loss == pytest.approx(whole.loss, rel=1e-5)
    pairs = {
        name: (getattr(sums, name), getattr(whole, name)) for name in ("object", "probe", "illumination", "coverage")
    }
    for kind in ("others", "weights"):
        mine, theirs = getattr(sums, kind), getattr(whole, kind)
        assert sorted(mine) == sorted(theirs)
        pairs |= {f"{kind} {name}": (mine[name], theirs[name]) for name in theirs}
    for name, (mine, theirs) in pairs.items():
        np.testing.assert_allclose(mine, theirs, atol=2e-5 * np.abs(theirs).max(), rtol=0, err_msg=name)


def test_values_and_curvatures_add_up(problem):
    state, generator = state_of(problem), np.random.default_rng(2)
    values = asked(problem, state, tasks.value, every, together=problem.count)
    assert sum(v for _, v in values) == pytest.approx(problem.value(state, np.arange(problem.count)), rel=1e-5)
    directions = [
        Direction(object=generator.normal(size=state.object.shape).astype(state.object.dtype)),
        Direction(probe=state.probe, positions=generator.normal(size=(problem.count, 2))),
    ]

    def theirs(indices, box):
        return [_within(d, box, indices) for d in directions]

    parts = asked(problem, state, tasks.curvature, every, theirs, together=problem.count)
    whole = problem.curvature(state, np.arange(problem.count), directions)
    np.testing.assert_allclose(sum(matrix for _, matrix in parts), whole, rtol=1e-4)


def test_held_out_counts_are_those_of_the_whole(problem):
    split = hold_out(problem)
    state = state_of(split)
    found = sum(v for _, v in asked(split, state, tasks.misfit, together=len(split.held_out.indices))) / len(
        split.held_out.indices
    )
    assert found == pytest.approx(split.misfit(state), rel=1e-5)
    values = asked(split, state, tasks.value, every, together=split.count)
    assert sum(v for _, v in values) == pytest.approx(split.value(state, np.arange(split.count)), rel=1e-5)


def test_a_shard_alone_sweeps_as_the_whole_does():
    from ptywidgets.engine.algorithms import PIE

    problem = example_problem("potential")
    state, indices = state_of(problem), np.arange(problem.count)
    box = Box((0, 0), problem.object_shape[-2:])
    part = tasks.filled(tasks.blank(problem, indices), problem.patterns.counts, 1)
    own = tasks.Own(box, state.object, {}, state.positions)
    (swept,) = tasks.work(
        [part], tasks.Common(state.probe, {}), [own], tasks.sweep, [(indices, PIE(decay=0.5), 3, 0, len(indices))]
    )
    after = PIE(decay=0.5).advance(problem, state.replace(iteration=3), indices)
    lit = swept.light > 0
    np.testing.assert_allclose(
        (swept.change[0][lit] / swept.light[lit]), (after.object - state.object)[0][lit], atol=1e-6
    )
    np.testing.assert_allclose(swept.probe / len(indices), after.probe - state.probe, atol=1e-4)
    assert swept.loss == pytest.approx(after.partial_loss)


def test_a_window_outside_of_the_rectangle_is_no_shard_s():
    problem = example_problem("potential")
    part = replace(tasks.blank(problem, np.arange(4)), box=Box((0, 0), problem.window))
    with pytest.raises(ValueError, match="outside its shard's part"):
        part.geometry(problem.initial_positions[:4])
