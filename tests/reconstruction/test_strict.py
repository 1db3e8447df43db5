"""Accepted means understood: attributes, arguments, names and numbers of a reconstruction."""

import importlib.util
import math
import pickle
from copy import copy, deepcopy
from dataclasses import dataclass, replace

import numpy as np
import pytest
import traitlets

import ptywidgets
import ptywidgets.engine.calibrate
import ptywidgets.reconstruction
from ptywidgets import Reconstruction, samples
from ptywidgets._renamed import RENAMED
from ptywidgets.engine import Aberrations, DataError, ModelConfig, ParameterError, Plan, PtyError, prepare, register
from ptywidgets.engine.core.errors import UnknownAttributeError
from ptywidgets.engine.solve.registry import unregister
from ptywidgets.reconstruction.strict_traits import SafeTraits


@pytest.fixture(scope="module")
def ducky():
    return samples.ducky("tiny")


@pytest.fixture
def recon(ducky):
    return Reconstruction(ducky, defocus=samples.ducky_defocus("tiny"))


# ------------------------------------------------------------------ attributes


@pytest.mark.parametrize(
    "name, value, way",
    [
        ("defocus", 500, "recon.update_optics(defocus=500)"),
        ("C12", 30.0, "recon.update_optics(C12=30.0)"),
        ("rolloff", 1, "recon.update_optics(rolloff=1)"),
        ("energy", 80e3, "recon.set_calibration(energy=80000.0)"),
        ("semiangle", 20, "recon.set_calibration(semiangle=20)"),
        ("scan_step", 0.4, "recon.set_calibration(scan_step=0.4)"),
        ("iterations", 10, "recon.update_plan(iterations=10)"),
        ("batch", 64, "recon.update_plan(batch=64)"),
        ("algorithm", "PIE", "recon.update_plan(algorithm='PIE')"),
        ("constraints", (), "recon.update_plan(constraints=())"),
        ("probe_step", 0.5, "recon.update_plan(probe_step=0.5)"),
        ("thickness", 200, "recon.model = recon.model.replace(thickness=200)"),
        ("modes", 3, "recon.model = recon.model.replace(modes=3)"),
        ("slices", 3, "recon.model = recon.model.replace(slices=3)"),
        ("rotation", -15, "recon.prepare(rotation=-15)"),
        ("transpose", True, "recon.prepare(transpose=True)"),
        ("origin", "plane", "recon.prepare(origin='plane')"),
        ("section", None, "recon.look = recon.look.replace(section=None)"),
        ("mask", np.ones((64, 64)), "recon.dataset = recon.dataset.with_mask(...)"),
        ("scan_mask", None, "recon.dataset = recon.dataset.with_scan_mask(None)"),
        ("probe", np.ones((64, 64)), "recon.begin_with(probe=...)"),
        ("object", np.ones((64, 64)), "recon.begin_with(object=...)"),
        ("vacuum", None, "recon.update_optics(vacuum=None)"),
        ("calibration", None, "recon.set_calibration("),
        ("tilts", [0], "Reconstruction(datasets, tilts=[0])"),
        ("defocs", 3, "did you mean 'defocus'"),
        ("thicknes", 3, "recon.model = recon.model.replace(thickness=3)"),
        ("plna", None, "did you mean 'plan'"),
        ("nonsense", 1, "it has autosave, client, dataset"),
        ("error", 0.1, "worked out"),
        ("losses", [], "worked out"),
        ("run", 10, "call it: run(...)"),
        ("stop", True, "call it: stop(...)"),
        ("step", 0.5, "recon.update_plan(step=0.5)"),
    ],
)
def test_what_would_mean_nothing_is_refused_with_the_right_way(recon, name, value, way):
    with pytest.raises(UnknownAttributeError) as told:
        setattr(recon, name, value)
    assert way in str(told.value)
    assert isinstance(told.value, (ParameterError, AttributeError))


@pytest.mark.parametrize(
    "old", ["find_start", "start_decisions", "start_from", "start_image", "started_from", "mailbox", "composition"]
)
def test_an_old_name_is_told_the_present_one(recon, old):
    told = rf"{old} is called {RENAMED[old]} now\."
    with pytest.raises(UnknownAttributeError, match=told):
        getattr(recon, old)
    with pytest.raises(UnknownAttributeError, match=told):
        setattr(recon, old, None)
    with pytest.raises(ParameterError, match=told):
        Reconstruction(**{old: None})
    assert hasattr(recon, RENAMED[old]) and not hasattr(recon, old)


@pytest.mark.parametrize(
    "home", [ptywidgets, ptywidgets.engine, ptywidgets.engine.calibrate, ptywidgets.reconstruction]
)
def test_an_old_name_of_a_module_is_told_the_present_one(home):
    for old in ("find_start", "Composition", "Look"):
        with pytest.raises(AttributeError, match=f"no attribute '{old}'; {old} is called {RENAMED[old]} now"):
            getattr(home, old)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = home.nonsense


@pytest.mark.parametrize(
    "home", ["ptywidgets", "ptywidgets.engine", "ptywidgets.engine.calibrate", "ptywidgets.reconstruction"]
)
def test_who_imports_an_old_name_is_told_the_present_one(home):
    """Python's own words were "cannot import name", and no more."""
    for old in ("Composition", "find_start"):
        words = f"cannot import name '{old}' from '{home}'; {old} is called {RENAMED[old]} now"
        with pytest.raises(ImportError, match=words):
            exec(f"from {home} import {old}")
        with pytest.raises(ImportError, match=words):
            __import__(home, fromlist=["Plan", old])
    module = importlib.import_module(home)
    assert not any(hasattr(module, old) for old in RENAMED) and getattr(module, "Composition", None) is None
    assert not any(importlib.util.find_spec(f"{home}.{old}") for old in RENAMED if old.isidentifier())
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from {home} import nonsense")
    exec(f"from {home} import *")  # and what there is


def test_auto_is_told_to_be_the_schedule(recon):
    for do in (lambda: recon.auto, lambda: setattr(recon, "auto", False), lambda: Reconstruction(auto=False)):
        with pytest.raises(ParameterError, match=r'auto is called schedule \("automatic" or "manual"'):
            do()
    with pytest.raises(ParameterError, match="'automatic', 'manual'"):
        recon.schedule = True
    recon.schedule = "Manual"
    assert recon.schedule == "manual"


def test_what_is_missing_for_another_reason_is_told_as_python_does(recon):
    with pytest.raises(AttributeError, match="'Reconstruction' object has no attribute 'nonsense'"):
        _ = recon.nonsense


def test_the_right_ways_work(recon):
    recon.update_optics(defocus=500, rolloff=1)
    recon.update_optics(C12=30.0)
    assert recon.optics.aberrations["defocus"] == 500 and recon.optics.aberrations["C12"] == 30
    assert recon.optics.rolloff == 1
    recon.update_optics(aberrations={"C30": 1e4}, defocus=5)
    assert dict(recon.optics.aberrations) == {"C10": -5.0, "C30": 1e4}
    recon.set_calibration(energy=60e3)
    recon.update_plan(iterations=10, algorithm="PIE", probe_step=0.25)
    assert recon.calibration.energy == 60e3
    assert recon.plan.iterations == 10 and recon.plan.algorithm.probe_step == 0.25
    with pytest.raises(ParameterError, match="did you mean 'defocus'"):
        recon.update_optics(defocs=3)


def test_traits_private_names_and_methods_can_be_set_as_ever(recon):
    recon.plan = Plan(iterations=3)
    recon.schedule = "automatic"
    recon._mine = 1
    recon.run = lambda n=None: "patched"
    assert recon.run() == "patched"


def test_a_subclass_sets_what_it_likes_while_it_is_made_and_keeps_it():
    class Mine(SafeTraits):
        number = traitlets.Int(3)

        def __init__(self, **values):
            super().__init__(**values)
            self.own = 1

    mine = Mine(number=4)
    mine.own, mine.number = 2, 5
    with pytest.raises(UnknownAttributeError, match="did you mean 'number'"):
        mine.numbre = 3
    with pytest.raises(ParameterError, match="int"):
        mine.number = "three"


def test_the_iteration_is_counted_and_not_set(recon):
    recon.run(2)
    with pytest.raises(ParameterError, match=r"run\(50\) or update_plan\(iterations=50\)"):
        recon.iteration = 50
    assert recon.iteration == 2


@pytest.mark.parametrize("value", ["finished", "empty", "nonsense", None])
def test_the_status_is_told_and_not_set(recon, value):
    """A run that went on could be called finished, and widgets showed it so."""
    heard = []
    recon.observe(lambda change: heard.append(change["new"]), "status")
    recon.run(1)
    for held in (False, True):
        with pytest.raises(
            ParameterError, match=r"status of a Reconstruction cannot be set; .* recon\.start\(\), recon"
        ):
            if held:
                with recon.hold_trait_notifications():
                    recon.status = value
            else:
                recon.status = value
    with pytest.raises(traitlets.TraitError):  # as traitlets' own read-only traits
        recon.status = value
    assert recon.status == "finished" and heard == ["running", "finished"]
    recon.reset()
    assert recon.status == "ready" == heard[-1]


@pytest.mark.parametrize(
    "name, value, words",
    [
        ("plan", "PIE", "expected a Plan"),
        ("dataset", "file.h5", "expected a Dataset"),
        ("device", "cuda", "unknown device 'cuda'"),
        ("device", 0, "device"),
        ("object_type", "real", "unknown object type 'real'"),
        ("object_type", 3, "expected one of 'complex', 'potential'"),
        ("autosave", True, "expected the path"),
        ("autosave", "", "expected the path"),
        ("status", "Running", "status"),
    ],
)
def test_values_of_the_wrong_kind_are_our_own_errors(recon, name, value, words):
    with pytest.raises(PtyError, match=words):
        setattr(recon, name, value)


def test_names_do_not_mind_case(recon):
    recon.object_type = "Complex"
    recon.device = "CPU"
    assert (recon.object_type, recon.device) == ("complex", "cpu")
    assert recon.direct("DPC").method == "dpc"


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"iterations": 4}, "recon.update_plan(iterations=4)"),
        ({"energy": 80e3}, "recon.set_calibration(energy=80000.0)"),
        ({"probe": 1}, "recon.begin_with(probe=1)"),
        ({"defocs": 4}, "did you mean 'defocus'"),
        ({"measurement": None}, "unknown argument of Reconstruction 'measurement'"),
    ],
)
def test_unknown_arguments_are_refused_with_the_right_way(ducky, arguments, words):
    with pytest.raises(ParameterError) as told:
        Reconstruction(ducky, **arguments)
    assert words in str(told.value)


@pytest.mark.parametrize(
    "data, words", [("file.h5", r"Reconstruction\.open\('file\.h5'\)"), (np.ones((2, 2, 4, 4)), r"Dataset\(array, ")]
)
def test_what_is_no_data_set_is_refused_with_the_way_to_one(data, words):
    with pytest.raises(ParameterError, match=words):
        Reconstruction(data)


def test_aberrations_never_change_in_place_and_can_be_copied():
    one = Aberrations(defocus=500)
    with pytest.raises(UnknownAttributeError, match=r"replace\(defocus=300\)"):
        one.defocus = 300
    assert copy(one) == deepcopy(one) == pickle.loads(pickle.dumps(one)) == one
    for value in ("3", True):
        with pytest.raises(ParameterError, match="expected a finite number"):
            Aberrations(C12=value)


def test_unknown_options_are_refused_with_the_nearest(recon):
    with pytest.raises(ParameterError, match="did you mean 'rotation'"):
        recon.calibrate(rotatoin=-15)
    with pytest.raises(ParameterError, match="did you mean 'iterations'"):
        recon.direct("dpc", iteratoins=3)
    with pytest.raises(ParameterError, match="did you mean 'rotation'"):
        recon.prepare(rotatoin=-15)


# ------------------------------------------------------------------ numbers

NO_COUNTS = [0, -3, 2.5, "3", True, math.nan, math.inf, [3], 1j, None]


@pytest.mark.parametrize("n", NO_COUNTS[:-1], ids=repr)
@pytest.mark.parametrize("command", ["run", "start"])
def test_a_run_of_no_iterations_is_refused_before_it_begins(recon, command, n):
    with pytest.raises(ParameterError, match="expected a whole number of at least 1 iterations"):
        getattr(recon, command)(n)
    assert recon.status == "ready" and recon.iteration == 0


@pytest.mark.parametrize("n", [np.int64(2), np.uint8(2), np.array(2), 2.0], ids=repr)
def test_numbers_of_numpy_count(recon, n):
    assert recon.run(n).iteration == 2


@pytest.mark.parametrize(
    "name, value", [("iterations", 0), *((name, v) for name in ("iterations", "seed") for v in NO_COUNTS[1:])], ids=repr
)
def test_a_plan_of_no_number_is_refused(recon, name, value):
    with pytest.raises(ParameterError, match=f"{name} is .*; expected a whole number"):
        Plan(**{name: value})
    with pytest.raises(ParameterError):
        recon.update_plan(**{name: value})


@pytest.mark.parametrize("value", NO_COUNTS[:-1], ids=repr)
def test_a_batch_of_no_number_is_refused(value):
    with pytest.raises(ParameterError, match="batch is"):
        Plan(batch=value)


@pytest.mark.parametrize("timeout", [-1, "3", True, math.nan, [1]], ids=repr)
@pytest.mark.parametrize("command", ["wait", "stop"])
def test_waiting_for_no_time_is_refused(recon, command, timeout):
    with pytest.raises(ParameterError, match="expected a number of at least 0 s"):
        getattr(recon, command)(timeout=timeout)
    getattr(recon, command)(timeout=None)
    getattr(recon, command)(timeout=math.inf)


def test_a_model_config_checks_its_numbers():
    for values in ({"slices": 2.5}, {"slices": "2"}, {"modes": True}, {"background": "no"}, {"diffuse": 3}):
        with pytest.raises(ParameterError):
            ModelConfig(**values)
    assert ModelConfig(background=np.bool_(True)).background is True


# ------------------------------------------------------------------ measurements


def test_a_measurement_of_143_positions_for_144_patterns_is_refused(recon):
    whole = recon.prepare()
    with pytest.raises(DataError, match="144 patterns but 143 positions"):
        recon.measurement = replace(whole, positions=whole.positions[:-1])
    assert recon.measurement is whole


def test_a_measurement_of_other_data_is_refused(recon, ducky):
    whole = recon.prepare()
    with pytest.raises(DataError, match="its calibration is"):
        recon.measurement = replace(whole, calibration=whole.calibration.replace(energy=60e3))
    part = replace(ducky, data=np.asarray(ducky.data)[:6])
    with pytest.raises(DataError, match=r"its scan is \(6, 12\), that of the data \(12, 12\)"):
        recon.measurement = prepare(part, rotation=-15)
    assert recon.measurement is whole


# ------------------------------------------------------------------ what cannot be saved


@dataclass(frozen=True)
class Quiet:
    """Does nothing."""

    share: float = 0.5

    def prepare(self, problem):
        return lambda state: state


def test_what_cannot_be_saved_is_said_before_the_work_is_done(recon, tmp_path, caplog):
    recon.update_plan(constraints=[Quiet()])
    assert not recon.can_save() and "put @register" in recon.message
    told = []
    recon.observe(lambda change: told.append((change["new"], recon.iteration)), "message")
    recon.message = ""
    recon.run(1)
    recon.run(1)
    assert [text for text in caplog.messages if "Quiet cannot be saved" in text] == caplog.messages[:1]  # said once
    assert any("Quiet cannot be saved" in text and iteration == 0 for text, iteration in told)
    recon.autosave = tmp_path / "run.h5"
    with pytest.raises(ParameterError, match="autosave is on"):
        recon.run(1)
    assert recon.iteration == 2
    with pytest.raises(ParameterError, match="Quiet cannot be saved"):
        recon.save(tmp_path / "run.h5")
    assert not list(tmp_path.iterdir())


def test_a_registered_one_goes_through_a_file(recon, ducky, tmp_path):
    register(Quiet)
    try:
        recon.update_plan(constraints=[Quiet(np.float32(0.25))])
        assert recon.can_save()
        recon.run(1).save(tmp_path / "run.h5")
        assert Reconstruction.load(tmp_path / "run.h5", ducky).plan == recon.plan
    finally:
        unregister(Quiet)
