"""A reconstruction on two worker processes: the same buttons, the same files."""

import gc
import pickle
import time
import weakref

import numpy as np
import pytest

from ptywidgets import Plan, Reconstruction, samples
from ptywidgets.engine import ConjugateGradient
from ptywidgets.engine.core.errors import ParameterError
from ptywidgets.widgets.run.status_text import progress_text

GRADIENTS = Plan(iterations=6, batch=32, algorithm=ConjugateGradient(), constraints=())


@pytest.fixture
def recon():
    return Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"), plan=GRADIENTS)


def relative(one, other):
    return np.linalg.norm(one - other) / np.linalg.norm(other)


def test_a_run_on_a_cluster_comes_to_the_same(recon, client):
    alone = recon.copy().run()
    shots = []
    recon.snapshots.subscribe(shots.append)
    recon.run(client=client)
    assert recon.status == "finished" and recon.iteration == 6
    assert relative(recon.object, alone.object) < 1e-4
    assert shots and "Worked on by a cluster: 2 workers" in recon.message
    assert recon.result.cluster.startswith("2 workers, dashboard http://127.0.0.1:")
    assert "on a cluster of 2 workers" in progress_text(recon)


def test_saved_on_a_cluster_and_resumed_without_one_or_on_another(recon, client, tmp_path):
    whole = recon.copy().run()
    recon.run(3, client=client)
    recon.save(tmp_path / "half.h5")
    known = samples.ducky("tiny")
    later = Reconstruction.load(tmp_path / "half.h5", dataset=known)
    assert later.client is None and later.iteration == 3
    assert relative(later.run(3).object, whole.object) < 1e-4
    again = Reconstruction.load(tmp_path / "half.h5", dataset=known)
    assert relative(again.run(3, client=client).object, whole.object) < 1e-4


def test_resumed_on_one_worker_instead_of_two(recon, client):
    from distributed import Client, LocalCluster

    whole = recon.copy().run()
    recon.run(3, client=client)
    with (
        LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0") as one,
        Client(one, set_as_default=False) as other,
    ):
        recon.run(3, client=other)
        assert recon.result.cluster.startswith("1 worker,")
    assert relative(recon.object, whole.object) < 1e-4
    assert len(recon.losses) == 6


def test_an_iteration_begun_elsewhere_begins_again(recon, client, monkeypatch):
    recon.update_plan(batch=8)
    whole = recon.copy().run()
    seen = recon._work.on_state

    def stop_in_the_middle(state):
        seen(state)
        if (state.iteration, state.batch) == (2, 5):
            recon.request_stop()

    monkeypatch.setattr(recon._work, "on_state", stop_in_the_middle)
    recon.start().wait()
    monkeypatch.undo()
    assert (recon.state.iteration, recon.state.batch) == (2, 5)
    recon.run(4, client=client)
    assert len(recon.losses) == 6
    assert relative(recon.object, whole.object) < 1e-4


def test_stop_and_pause_keep_a_state_that_goes_on(recon, client):
    recon.update_plan(iterations=500)
    recon.start(client=client)
    recon.pause()
    while recon.status == "running":
        recon.wait(0.05)
    assert recon.status == "paused"
    recon.resume()
    while recon.iteration < 2:
        recon.wait(0.05)
    recon.stop()
    assert recon.status == "stopped" and np.isfinite(recon.object).all()
    before = recon.iteration
    recon.run(1)
    assert recon.iteration == before + 1 and recon.result.cluster


def test_the_client_stays_until_it_is_taken_away_and_goes_into_no_copy(recon, client):
    recon.run(1, client=client)
    assert recon.client is client
    other = pickle.loads(pickle.dumps(recon))
    assert other.client is None and other.copy().client is None
    recon.client = None
    recon.run(1)
    assert recon.result.cluster == "" and recon.iteration == 2


def test_what_is_no_client_is_refused_when_it_is_set(recon):
    with pytest.raises(ParameterError, match=r"client is 'tcp://127\.0\.0\.1:1'; expected a distributed\.Client"):
        recon.client = "tcp://127.0.0.1:1"
    with pytest.raises(ParameterError, match=r"expected a distributed\.Client"):
        recon.run(client=3)
    assert recon.status == "ready"


def test_an_automatic_run_on_a_cluster_is_judged(client):
    recon = Reconstruction(samples.ducky("tiny"), defocus=samples.ducky_defocus("tiny"))
    recon.run(client=client)
    assert recon.status in ("finished", "doubtful") and recon.iteration > 4
    phase = recon.copy()
    assert np.corrcoef(phase.object_phase.ravel(), recon.object_phase.ravel())[0, 1] > 0.99


def test_one_that_nobody_has_any_more_ends_its_run(client):
    end = time.monotonic() + 90

    def begun():
        recon = Reconstruction(samples.ducky("tiny"), defocus=250, plan=GRADIENTS.replace(iterations=100000))
        recon.start(client=client)
        while not recon.losses and time.monotonic() < end:
            time.sleep(0.02)
        assert recon.losses
        return weakref.ref(recon)

    left = begun()
    while (gc.collect(), left())[1] is not None and time.monotonic() < end:
        time.sleep(0.02)
    assert left() is None


def test_a_run_that_waits_for_a_worker_says_so_and_stops(recon):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, processes=False, dashboard_address=None) as none,
        Client(none, set_as_default=False) as client,
    ):
        recon.start(client=client)
        end = time.monotonic() + 60
        while "No worker is there" not in recon.message and time.monotonic() < end:
            time.sleep(0.02)
        assert "No worker is there; waiting up to 300 s for one" in recon.message
        assert recon.stop().status in ("ready", "stopped") and not recon.losses
    recon.client = None
    assert recon.run(2).iteration == 2
