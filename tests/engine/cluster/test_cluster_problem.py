"""The same numbers on two worker processes as on one, whatever happens to a worker."""

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from ptywidgets import read, samples, write
from ptywidgets.engine import (
    LSQML,
    PIE,
    Aberrations,
    ConjugateGradient,
    GradientDescent,
    Optics,
    Plan,
    iterate,
    make_problem,
    prepare,
    reconstruct,
    single_slice,
)
from ptywidgets.engine.algorithms import raar
from ptywidgets.engine.cluster import check_client, cluster_problem, on_cluster
from ptywidgets.engine.core.errors import ClusterError, DataError, ParameterError
from ptywidgets.engine.core.stopping import WorkStopped, stopped_by
from ptywidgets.engine.metrics import compare_to_truth
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.refinements import RefineAffine, RefineModel, RefineOptics, RefinePositions
from ptywidgets.testing import ProblemContract, example_problem
from ptywidgets.testing.series import example_series

GRADIENTS = Plan(iterations=10, batch=32, algorithm=ConjugateGradient(), constraints=())


def made(dataset):
    optics = Optics.from_dataset(dataset, aberrations=Aberrations(defocus=0.95 * samples.ducky_defocus("tiny")))
    return make_problem(prepare(dataset, rotation=-15.0), optics, model=single_slice("potential"))


@pytest.fixture(scope="module")
def alone():
    return made(samples.ducky("tiny"))


@pytest.fixture(scope="module")
def together(alone, client):
    return on_cluster(alone, client)


def last(problem, plan, state=None):
    *_, state = iterate(problem, plan, state)
    return state


def relative(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


@pytest.fixture(scope="module")
def small(client):
    return on_cluster(example_problem("potential"), client)


class TestContract(ProblemContract):
    @pytest.fixture
    def problem(self, small):
        return small


def test_conjugate_gradients_are_those_of_one_process(alone, together):
    one, two = last(alone, GRADIENTS), last(together, GRADIENTS)
    assert relative(two.object, one.object) < 1e-4
    assert relative(two.probe, one.probe) < 1e-4
    np.testing.assert_allclose(two.losses, one.losses, rtol=1e-5)


def test_gradient_descent_is_that_of_one_process(alone, together):
    plan = Plan(iterations=3, batch=48, algorithm=GradientDescent())
    one, two = last(alone, plan), last(together, plan)
    assert relative(two.object, one.object) < 1e-4


def test_the_automatic_schedule_comes_as_near_to_the_truth(alone, together):
    phase, positions = samples.ducky_truth("tiny")
    scores = []
    for problem in (alone, together):
        *_, state = reconstruct(problem)
        here = problem.at_window(state.probe.shape[-2:])
        found = compare_to_truth(
            state.object[0],
            state.positions,
            phase,
            positions,
            sampling=here.sampling[0],
            truth_sampling=alone.sampling[0],
        )
        scores.append(found.correlation)
    assert scores[0] > 0.9 and abs(scores[1] - scores[0]) < 0.003


def test_sweeps_lower_the_error_as_one_process_does(alone, together):
    plan = Plan(iterations=3, batch=16, algorithm=PIE(), constraints=())
    one, two = last(alone, plan), last(together, plan)
    assert two.losses[-1] < 0.8 * two.losses[0]
    assert two.losses[-1] < 1.2 * one.losses[-1]


def test_what_is_held_stays(alone, client):
    held = on_cluster(alone.with_initial(held=("probe",)), client)
    for algorithm in (PIE(), ConjugateGradient()):
        state = last(held, Plan(iterations=1, algorithm=algorithm, constraints=()))
        np.testing.assert_array_equal(state.probe, alone.initial_probe)
        assert np.abs(state.object).max() > 0


@pytest.mark.parametrize(
    "refinement", [RefinePositions(), RefineOptics(), RefineAffine()], ids=lambda one: type(one).__name__
)
def test_refinements_are_those_of_one_process(alone, together, refinement):
    plan = Plan(iterations=4, batch=72, algorithm=ConjugateGradient(hold_probe=True), constraints=())
    begun, batch = last(alone, plan), np.arange(0, alone.count, 2)
    middle = begun.positions.mean(0)  # as of a scan step that is 1 % off
    begun = begun.replace(positions=alone.inside(middle + 1.01 * (begun.positions - middle)))
    one, two = (problem.refined(refinement)(begun, batch) for problem in (alone, together))
    assert (one.positions != begun.positions).any() or (one.probe != begun.probe).any()
    # Steps in float32 sums: differences are small beside what has moved.
    moved = np.abs(one.positions - begun.positions).max()
    np.testing.assert_allclose(two.positions, one.positions, atol=1e-3 * moved + 1e-9)
    assert relative(two.probe, one.probe) < 1e-4 and relative(two.object, one.object) < 1e-4


def test_a_refinement_that_asks_few_positions_asks_the_client(client):
    dataset = samples.ducky("tiny")
    measurement = prepare(dataset, rotation=-15.0)
    model = ModelConfig(source_size=0.4).build("potential", measurement)
    problem = make_problem(measurement, Optics.from_dataset(dataset), model=model)
    state, batch = problem.start(), np.arange(problem.count)
    one, two = (p.refined(RefineModel(source_size=True))(state, batch) for p in (problem, on_cluster(problem, client)))
    name = "ensemble.source_size"
    assert one.parameters[name] == two.parameters[name] != model.ensemble.source_size


def test_curvature_of_few_positions_is_found_by_the_client(alone, together, monkeypatch):
    sent = together.hands.moved.copy()
    monkeypatch.setattr(cluster_problem, "FEW", 1e9)
    direction = cluster_problem.Direction(object=np.ones(alone.object_shape, np.float32))
    few = np.arange(0, alone.count, 7)
    state = last(alone, Plan(iterations=1))
    matrix = together.curvature(state, few, [direction])
    assert together.hands.moved == sent
    np.testing.assert_array_equal(matrix, alone.curvature(state, few, [direction]))
    monkeypatch.setattr(cluster_problem, "FEW", 0)
    np.testing.assert_allclose(together.curvature(state, few, [direction]), matrix, rtol=1e-5)
    assert together.hands.moved["results"] > sent["results"]


def test_a_state_is_sent_once(together):
    state, moved = together.start(), together.hands.moved
    together.value(state, np.arange(together.count))
    before = moved["state"]
    for batch in np.array_split(np.arange(together.count), 3):
        together.gradients(state, batch)
    assert moved["state"] == before
    together.gradients(state.replace(object=state.object.copy()), batch)
    assert moved["state"] > before


def test_workers_read_the_file_that_they_see(alone, client, tmp_path):
    write(tmp_path / "duck.h5", samples.ducky("tiny"))
    dataset = read(tmp_path / "duck.h5")
    crew = on_cluster(made(dataset), client, dataset)
    state = crew.start()
    assert crew.value(state, np.arange(crew.count)) == pytest.approx(alone.value(state, np.arange(crew.count)))
    assert crew.hands.moved["counts"] == 0
    assert crew.hands.moved["made"] == len(crew.hands.shards)


def test_counts_are_sent_to_workers_that_do_not_see_the_file(alone, client, tmp_path):
    write(tmp_path / "duck.h5", samples.ducky("tiny"))
    dataset = read(tmp_path / "duck.h5")
    crew = on_cluster(made(dataset), client, dataset)
    (tmp_path / "duck.h5").unlink()
    state = crew.start()
    assert crew.value(state, np.arange(crew.count)) == pytest.approx(alone.value(state, np.arange(crew.count)))
    assert crew.hands.moved["counts"] == alone.patterns.nbytes


def test_another_file_on_a_worker_is_refused(client, tmp_path):
    write(tmp_path / "duck.h5", samples.ducky("tiny"))
    dataset = read(tmp_path / "duck.h5")
    crew = on_cluster(made(dataset), client, dataset)
    other = samples.ducky("tiny")
    other.data[5, 5] += 1
    write(tmp_path / "duck.h5", other, overwrite=True)
    with pytest.raises(DataError, match="is another file on a worker"):
        crew.value(crew.start(), np.arange(crew.count))


def kill(client):
    pids = client.run(os.getpid)
    os.kill(sorted(pids.values())[0], signal.SIGKILL)


def both_are_there(client):
    end = time.monotonic() + 60
    while len(client.nthreads()) < 2 and time.monotonic() < end:
        time.sleep(0.1)
    client.wait_for_workers(2, timeout=60)


def test_a_worker_that_is_killed_changes_no_bit(together, client):
    both_are_there(client)
    whole = last(together, GRADIENTS)
    made_before = together.hands.moved["made"]
    run = iterate(together, GRADIENTS)
    for _ in range(3):
        next(run)
    timer = threading.Timer(0.05, kill, (client,))
    timer.start()
    *_, state = run
    timer.join()
    both_are_there(client)
    np.testing.assert_array_equal(state.object, whole.object)
    np.testing.assert_array_equal(state.probe, whole.probe)
    assert state.losses == whole.losses
    again = last(together, GRADIENTS)  # the worker that came in its place has a part of it
    np.testing.assert_array_equal(again.object, whole.object)
    assert together.hands.moved["made"] > made_before
    assert len(set(together.hands._at.values())) == 2


def test_without_a_way_to_the_workers_all_goes_through_the_scheduler(alone, client, monkeypatch):
    direct = on_cluster(alone, client)
    assert direct.hands.workers._direct(direct.hands.workers.threads)
    monkeypatch.setattr("ptywidgets.engine.cluster.client._reachable", lambda address: False)
    around = on_cluster(alone, client)
    assert not around.hands.workers._direct(around.hands.workers.threads)
    one, other = (last(problem, GRADIENTS.replace(iterations=2)) for problem in (direct, around))
    np.testing.assert_array_equal(one.object, other.object)


def test_a_way_that_breaks_is_not_taken_again(alone, client, monkeypatch):
    problem = on_cluster(alone, client)
    workers, sent = problem.hands.workers, []
    scatter = client.scatter

    def breaks(*arguments, direct, **options):
        sent.append(direct)
        if direct:
            raise OSError("no way")
        return scatter(*arguments, direct=direct, **options)

    monkeypatch.setattr(client, "scatter", breaks)
    state = problem.start()
    assert problem.value(state, np.arange(alone.count)) == pytest.approx(alone.value(state, np.arange(alone.count)))
    assert sent[0] and not sent[-1] and not any(workers._reached.values())


def test_what_will_never_be_done_is_taken_for_lost(together, client, monkeypatch):
    monkeypatch.setattr("ptywidgets.engine.cluster.client.IDLE", 0.2)
    workers = together.hands.workers
    workers.look(now=True)
    at = min(workers.threads)
    never = client.submit(int, 3, workers=["tcp://127.0.0.1:9"], pure=False)  # no such worker
    slow = client.submit(time.sleep, 1, workers=[at], pure=False)
    assert workers.results({"slow": (at, slow)}) == {"slow": None}
    assert workers.results({"never": (at, never)}) == {}


def test_work_stops_in_the_middle_of_a_batch(together):
    asked = threading.Event()
    run = iterate(together, GRADIENTS.replace(iterations=1000, batch=None))
    state = next(run)
    threading.Timer(0.2, asked.set).start()
    with pytest.raises(WorkStopped), stopped_by(asked.is_set):
        for state in run:  # noqa: B007  # the last one counts
            pass
    assert np.isfinite(state.object).all() and state.at_iteration_end
    after = last(together, GRADIENTS.replace(iterations=state.iteration + 1), state)
    assert after.losses[-1] < state.losses[0]


def test_without_workers_it_is_waited_for_one_and_then_told(alone):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address="127.0.0.1:0") as cluster,
        Client(cluster) as client,
    ):
        with pytest.raises(ClusterError, match=r"there is no worker, and none has come within 0\.2 s"):
            on_cluster(alone, client, patience=0.2)
        said = []
        workers = cluster_problem.Workers(client, 60.0)
        workers.say = said.append
        threading.Timer(0.3, cluster.scale, (1,)).start()
        workers.wait()
        assert len(workers) == 1
        assert said[0].startswith("No worker is there; waiting up to 60 s")
        assert said[1].startswith("Going on with 1 worker")
    with pytest.raises(ClusterError, match="the client is closed"):
        workers.look(now=True)


def test_what_does_not_run_on_a_cluster_is_refused(together, client):
    for algorithm in (LSQML(), raar()):
        with pytest.raises(ParameterError, match="does not run on a cluster; choose ConjugateGradient"):
            next(iterate(together, Plan(algorithm=algorithm)))
    with pytest.raises(ParameterError, match="a series of tilts does not run on a cluster"):
        on_cluster(example_series((0.0, 30.0)), client)
    with pytest.raises(ParameterError, match=r"stays on \"cpu\""):
        together.to("gpu")
    for wrong in (None, 3, "tcp://127.0.0.1:1"):
        with pytest.raises(ParameterError, match=r"expected a distributed\.Client"):
            on_cluster(together, wrong)


def test_a_problem_on_a_cluster_goes_to_another_one_or_to_none(together, client):
    again = on_cluster(together, client, shards=3)
    assert len(again.hands.shards) == 3 and again.hands is not together.hands
    plain = again.alone()
    assert type(plain) is not type(again) and plain.patterns.counts is together.patterns.counts


def test_the_missing_package_is_told_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ParameterError, match=r'install it: pip install "ptywidgets\[cluster\]"'):
        check_client(object())


def test_the_package_is_imported_for_nobody_who_has_no_client():
    code = (
        "import sys, ptywidgets, ptywidgets.engine.cluster\n"
        "from ptywidgets import Reconstruction\n"
        "Reconstruction()\n"
        "assert not {'distributed', 'dask'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
