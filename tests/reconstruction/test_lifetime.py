"""Several reconstructions at once: which stop each other, sweeps in threads and processes, copies, pickling."""

import copy
import multiprocessing
import os
import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import traitlets
from patience import wait_for

from ptywidgets import Reconstruction, read, samples, write
from ptywidgets.engine import iterate
from ptywidgets.engine.core.errors import FileFormatError, ParameterError, PtyError
from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.reconstruction.session import made_in
from ptywidgets.reconstruction.session.hosts import Cell

DEFOCUS = samples.ducky_defocus("tiny")
SWEEP = [DEFOCUS - 40, DEFOCUS, DEFOCUS + 40]


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


def made(ducky, defocus=DEFOCUS):
    recon = Reconstruction(ducky, defocus=defocus)
    recon.prepare(rotation=-15.0, transpose=False)
    recon.update_plan(iterations=100000)
    return recon


def losses_of(recon, iterations=3):
    recon.run(iterations)
    return recon.losses, recon.object


def of_defocus(task):
    """For the pools: a module-level function, which a process that was spawned can find."""
    dataset, defocus = task
    return losses_of(made(dataset, defocus))


# ---------------------------------------------------------------- which stop each other


@pytest.fixture
def cell(monkeypatch):
    """A notebook in which the cell that runs, and the variables, are those of the test."""
    place = {"cell": None, "variables": {}}
    monkeypatch.setattr(made_in, "current_cell", lambda: place["cell"])
    monkeypatch.setattr(
        made_in, "variables", lambda value: frozenset(n for n, own in place["variables"].items() if own is value)
    )
    return place


def begun(ducky):
    recon = made(ducky)
    recon.update_plan(batch=8)  # planned: it does not end by itself
    recon.start()
    wait_for(lambda: recon.losses)
    return recon


def test_in_a_script_reconstructions_of_the_same_data_run_beside_each_other(ducky):
    one, other = begun(ducky), begun(ducky)
    other.stop().run(1)
    assert (one.status, other.status) == ("running", "finished")
    one.stop()


def test_a_cell_that_is_run_again_stops_its_first_run(cell, ducky):
    cell["cell"] = Cell("a", "1")
    first = begun(ducky)
    cell["cell"] = Cell("a", "2")
    second = begun(ducky)
    assert first.status == "stopped" and "run again" in first.message
    second.stop()


def test_only_the_same_data_count(cell, ducky):
    cell["cell"] = Cell("a", "1")
    first = begun(ducky)
    cell["cell"] = Cell("a", "2")
    second = begun(Dataset(np.asarray(ducky.data)[:10], ducky.calibration, vacuum=ducky.vacuum, name=ducky.name))
    assert first.status == "running"
    first.stop()
    second.stop()


def test_a_loop_in_one_cell_and_other_cells_stop_nobody(cell, ducky):
    cell["cell"] = Cell("a", "1")
    several = [begun(ducky) for _ in range(2)]
    cell["cell"] = Cell("b", "2")
    cell["variables"] = {"other": several[0]}
    several.append(begun(ducky))
    assert [recon.status for recon in several] == ["running"] * 3
    for recon in several:
        recon.stop()


def test_another_cell_that_takes_the_variable_over_stops_the_run_that_had_it(cell, ducky):
    cell["cell"] = Cell("a", "1")
    first = begun(ducky)
    cell["variables"]["recon"] = first
    cell["cell"] = Cell("b", "2")
    second = made(ducky)
    cell["variables"]["recon"] = second
    second.start()
    assert first.status == "stopped"
    second.stop()


# ---------------------------------------------------------------- sweeps


@pytest.fixture(scope="module")
def one_by_one(ducky):
    return [of_defocus((ducky, defocus)) for defocus in SWEEP]


def assert_same(results, expected):
    for (losses, field), (expected_losses, expected_field) in zip(results, expected, strict=True):
        assert losses == expected_losses
        assert np.array_equal(field, expected_field)


def test_a_sweep_in_threads_gives_what_one_after_the_other_gives(ducky, one_by_one):
    with ThreadPoolExecutor(3) as pool:
        assert_same(pool.map(of_defocus, [(ducky, defocus) for defocus in SWEEP]), one_by_one)


def test_a_sweep_of_runs_that_are_all_started_first_gives_the_same(ducky, one_by_one):
    several = [made(ducky, defocus).start(3) for defocus in SWEEP]
    for recon in several:
        recon.wait(60)
    assert_same([(recon.losses, recon.object) for recon in several], one_by_one)


METHODS = [method for method in ("fork", "spawn") if method in multiprocessing.get_all_start_methods()]


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", METHODS)
def test_a_sweep_in_processes_gives_the_same(ducky, one_by_one, method):
    busy = begun(ducky)  # its thread is at work at the time of the fork
    try:
        with ProcessPoolExecutor(2 if method == "fork" else 1, multiprocessing.get_context(method)) as pool:
            results = list(pool.map(of_defocus, [(ducky, defocus) for defocus in SWEEP]))
    finally:
        busy.stop()
    assert_same(results, one_by_one)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_child_knows_that_the_run_is_not_there(ducky):
    recon = begun(ducky)
    child = os.fork()
    if not child:  # in the child: an exit status, and nothing of pytest's
        status = 1
        try:
            known = recon.wait(5).status, recon._session.active
            status = 0 if known == ("stopped", False) and recon.run(1).losses else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert recon.status == "running"
    recon.stop()


# ---------------------------------------------------------------- copies


WAYS = {
    "copy()": lambda recon: recon.copy(),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "pickle": lambda recon: pickle.loads(pickle.dumps(recon)),
}


@pytest.fixture(params=list(WAYS))
def way(request):
    return WAYS[request.param]


def test_a_copy_goes_on_as_the_original_does_and_by_itself(ducky, way):
    recon = made(ducky).run(2)
    other = way(recon)
    assert (other.status, other.iteration, other.losses) == ("finished", 2, recon.losses)
    assert np.array_equal(other.object_phase, recon.object_phase)
    other.run(2)
    assert recon.iteration == 2
    recon.run(2)
    assert other.losses == recon.losses and np.array_equal(other.object, recon.object)


def test_a_copy_shares_the_counts(ducky):
    recon = made(ducky).run(1)
    other = recon.copy()
    assert other.dataset is recon.dataset and other.measurement is recon.measurement
    assert np.shares_memory(other.problem.patterns.counts, recon.problem.patterns.counts)


def test_a_copy_of_a_running_one_is_idle_and_goes_on_from_a_whole_state(ducky, way):
    recon = begun(ducky)
    try:
        other = way(recon)
        assert other.status == "stopped" and recon.status == "running"
        assert len(other.losses) == other.iteration > 0
        wait_for(lambda: len(recon.losses) > len(other.losses) + 1)
        assert recon.losses[: len(other.losses)] == other.losses
        count = len(other.losses) + 1
        other.run(1)
        assert other.losses == recon.losses[:count]  # bit for bit, wherever in an iteration it was taken
    finally:
        recon.stop()


def test_a_copy_takes_settings_but_not_watchers_nor_autosave(ducky, way, tmp_path):
    recon = made(ducky)
    recon.update_plan(iterations=7, batch=9)
    recon.autosave, heard = tmp_path / "auto.h5", []
    recon.observe(heard.append, "plan")
    other = way(recon)
    assert (other.plan, other.schedule, other.autosave) == (recon.plan, "manual", None)
    assert other.optics.aberrations == recon.optics.aberrations
    other.update_plan(iterations=8)
    assert not heard and recon.plan.iterations == 7
    other.update_plan(batch=4)
    assert other.message == recon.message and other.status == "ready"


def test_an_empty_one_and_one_with_a_changed_model_can_be_copied(ducky, way):
    assert way(Reconstruction()).status == "empty"
    recon = made(ducky).run(1)
    recon.model = recon.model.replace(modes=2)
    other = way(recon)
    assert other.model.modes == 2 and other.run(1).losses == recon.run(1).losses


def test_a_series_can_be_copied(ducky, way):
    recon = Reconstruction([ducky, ducky], tilts=[0.0, 4.0], defocus=DEFOCUS)
    recon.model = recon.model.replace(slices=2, thickness=20.0)
    recon.object_type = "potential"
    recon.prepare(rotation=-15.0, transpose=False)
    recon.run(1)
    other = way(recon)
    assert len(other.views) == 2 and np.array_equal(other.volume, recon.volume)
    assert other.run(1).losses == recon.run(1).losses


class Named(Reconstruction):
    """As somebody may make one: with an argument that has no default, attributes, and a trait that is watched."""

    count = traitlets.Int(0)

    def __init__(self, name, /, **values):
        super().__init__(**values)
        self.name, self.made = name, [name]

    @traitlets.observe("count")
    def _count(self, change):
        self.made = [*self.made, change["new"]]


def test_a_subclass_that_asks_for_an_argument_can_be_copied(ducky, way):
    recon = Named("duck", dataset=ducky, defocus=DEFOCUS).run(1)
    other = way(recon)
    assert type(other) is Named and (other.name, other.made) == ("duck", ["duck"])
    other.count, other.name = 3, "copy"
    assert other.made == ["duck", 3] and recon.made == ["duck"] and recon.name == "duck"
    with pytest.raises(ParameterError, match="has no 'nmae' to set"):
        other.nmae = "sealed, as any"
    assert other.run(1).losses == recon.run(1).losses


def test_what_a_file_does_not_tell_a_subclass_is_said(ducky, tmp_path):
    saved, data = Named("duck", dataset=ducky, defocus=DEFOCUS).run(1).save(tmp_path / "r.h5"), tmp_path / "d.h5"
    write(data, ducky)
    for make in (lambda: Named.load(saved, ducky), lambda: Named.open(data)):
        with pytest.raises(
            ParameterError, match="Named cannot be made from a file: its __init__ has to take the arguments"
        ):
            make()
    assert Reconstruction.load(saved, ducky).iteration == 1


@pytest.mark.parametrize("kind", ["h5", "npy", "stack.npy"])
def test_data_on_disk_stay_there(ducky, tmp_path, monkeypatch, kind):
    counts = np.asarray(ducky.data)
    path, known = tmp_path / f"counts.{kind}", {}
    if kind == "h5":
        with h5py.File(path, "w") as file:
            file["data"] = counts
    elif kind == "npy":
        np.save(path, counts)
    else:
        np.save(path, counts.reshape(-1, *counts.shape[2:]))
        known["scan_shape"] = counts.shape[:2]
    monkeypatch.chdir(tmp_path)
    data = read(path.name, **known)
    pickled = pickle.dumps(data)
    assert len(pickled) < 5000 < data.nbytes
    monkeypatch.chdir("/")  # a process elsewhere
    again = pickle.loads(pickled)
    assert again.is_lazy and np.array_equal(again.data, counts)
    assert np.array_equal(again.pattern(3, 4), data.pattern(3, 4))
    for bad in (counts[:-1].copy(), counts[..., :-1].copy()):
        if kind == "h5":
            path.unlink()
            with h5py.File(path, "w") as file:
                file["data"] = bad
        else:
            os.replace(np.save(tmp_path / "new.npy", bad) or tmp_path / "new.npy", path)
        with pytest.raises(FileFormatError, match="replaced"):
            pickle.loads(pickled)
    path.unlink()
    with pytest.raises(PtyError):
        pickle.loads(pickled)


def test_problems_states_and_plans_are_values(ducky):
    recon = made(ducky).run(1)
    for one in (recon.problem, recon.state, recon.plan, recon.stages, recon.measurement, recon.optics):
        assert type(copy.deepcopy(one)) is type(pickle.loads(pickle.dumps(one))) is type(one)
    problem, state, plan = pickle.loads(
        pickle.dumps((recon.result.whole, recon.state, recon.plan.replace(iterations=3)))
    )
    expected = list(iterate(recon.result.whole, recon.plan.replace(iterations=3), recon.state))[-1]
    assert list(iterate(problem, plan, state))[-1].losses == expected.losses
