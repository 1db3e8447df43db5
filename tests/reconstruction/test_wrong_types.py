"""What no argument of a reconstruction can mean is refused in words, wherever it is given."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

from ptywidgets import Reconstruction, samples, write
from ptywidgets.engine import PtyError
from ptywidgets.engine.calibrate import calibrate
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.preprocess import Preparation
from ptywidgets.reconstruction import TiltSeriesData
from ptywidgets.reconstruction.strict_traits import own_traits

MEANINGLESS = {
    "object": object(),
    "complex number": 5j,
    "list": [1, "a"],
    "dictionary": {"a": 1},
    "function": lambda *_: 1,
    "set": {5},
    "class": int,
}
# Where something of these means something after all.
UNDERSTOOD = {
    *(("calibrate", name, kind) for name in ("progress", "stop") for kind in ("function", "class")),
    ("Reconstruction", "hold", "set"),
}
# What keyword arguments that are not written out may be.
NAMED = {
    "open": ("energy", "scan_step", "q_pixel", "semiangle", "mask", "choose"),
    "set_calibration": ("energy", "scan_step", "q_pixel", "semiangle"),
    "prepare": tuple(Preparation.__dataclass_fields__),
    "update_optics": (*Optics.__dataclass_fields__, "defocus", "C12"),
    "update_plan": ("iterations", "batch", "algorithm", "constraints", "refinements", "seed", "loss"),
    "calibrate": tuple(inspect.signature(calibrate).parameters)[1:],
    "direct": ("aberrations", "share", "upsampling", "epsilon", "nobody"),
}
# What is asked for besides the argument that is wrong.
BESIDES = {
    ("set_calibration", "origin"): {"energy": 70e3},
    ("crop", "cut_disk"): {"detector": (20, 40, 20, 40)},
    ("crop_and_bin", "cut_disk"): {"detector": (20, 40, 20, 40)},
    ("orient", "rotation"): {"transpose": False},
    ("orient", "transpose"): {"rotation": -15.0},
    **{
        ("begin_with", name): {"probe": np.ones((64, 64))}
        for name in ("hold_probe", "hold_object", "sampling", "centred")
    },
    ("start", "block"): {"n": 1},
    **{("save", name): {"path": "r.h5"} for name in ("overwrite",)},
    ("check_save", "overwrite"): {"path": "r.h5"},
    ("export", "overwrite"): {"path": "r.tif"},
    ("load", "dataset"): {"path": "saved.h5"},
    **{("open", name): {"path": "data.h5"} for name in ("vacuum", "tilts", "defocus", *NAMED["open"])},
}


def arguments():
    """Every argument of every public method, those of the constructor, and every trait that can be set."""
    for name, method in inspect.getmembers(Reconstruction, callable):
        ours = str(getattr(method, "__module__", "")).startswith("ptywidgets.reconstruction")
        if name.startswith("_") or not ours or name in ("snapshots", "observe", "unobserve"):
            continue
        for one in inspect.signature(method).parameters.values():
            if one.name not in ("self", "kind", "recon"):
                several = NAMED[name] if one.kind is one.VAR_KEYWORD else (one.name,)
                yield from ((name, argument) for argument in several)
    yield from (("Reconstruction", name) for name in list(inspect.signature(Reconstruction.__init__).parameters)[1:])
    yield from (("trait", name) for name in own_traits(Reconstruction))


ARGUMENTS = sorted(set(arguments()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong")
    write(folder / "data.h5", samples.ducky("tiny"))
    Reconstruction.open(folder / "data.h5", defocus=250).run(1).save(folder / "saved.h5")
    return folder


@pytest.fixture(scope="module")
def ran():
    recon = Reconstruction(samples.ducky("tiny"), defocus=250)
    recon.prepare(rotation=-15.0, transpose=False)
    return recon.run(1)


def called(recon, method, /, **values):
    if method == "trait":
        ((name, value),) = values.items()
        setattr(recon, name, value)
    elif method == "Reconstruction":
        Reconstruction(**{"dataset": recon.dataset, **values})
    elif method == "open":
        Reconstruction.open(values.pop("path"), **values)
    else:
        getattr(recon, method)(**values)


def test_every_method_is_tried():
    assert {name for name, _ in ARGUMENTS} >= {
        "open",
        "load",
        "save",
        "crop",
        "bin",
        "set_calibration",
        "prepare",
        "run",
    }
    assert len(ARGUMENTS) > 100


@pytest.mark.parametrize(("method", "argument"), ARGUMENTS, ids=[".".join(pair) for pair in ARGUMENTS])
def test_what_means_nothing_is_refused(ran, folder, monkeypatch, method, argument):
    monkeypatch.chdir(folder)
    for kind, value in MEANINGLESS.items():
        if (method, argument, kind) in UNDERSTOOD or (
            method == "trait" and ("Reconstruction", argument, kind) in UNDERSTOOD
        ):
            continue
        recon = ran.copy()
        before = recon.dataset, recon.optics, recon.preparation, recon.plan, recon.measurement
        with pytest.raises(PtyError) as refused:
            called(recon, method, **{**BESIDES.get((method, argument), {}), argument: value})
        said = str(refused.value)
        assert re.search(
            r"expect|give|did you mean|pass |open|cannot be set|Reconstruction|known|looks for|no such file|leave out",
            said,
        ), said
        after = recon.dataset, recon.optics, recon.preparation, recon.plan, recon.measurement
        assert all(one is other for one, other in zip(before, after, strict=True)), (kind, said)


@pytest.mark.parametrize("value", [5, 2.5, None, True, (), [], float("nan")], ids=repr)
def test_what_is_no_path(ran, value):
    for call in (Reconstruction.load, Reconstruction.open, ran.save, ran.check_save, ran.remember_input):
        with pytest.raises(PtyError, match=r"path|data sets"):
            call(value)


def test_a_path_may_be_bytes(folder):
    assert Reconstruction.load(bytes(folder / "saved.h5")).iteration == 1
    assert Reconstruction.open(bytes(folder / "data.h5")).dataset.scan_shape == (12, 12)


def test_numbers_that_are_no_series(ran):
    for name in ("datasets", "tilts", "optics"):
        values = {"datasets": [ran.dataset], "tilts": [0.0], name: 5}
        with pytest.raises(PtyError, match=f"{name} is 5; expected one for each tilt, such as {name}="):
            TiltSeriesData(**values)
    with pytest.raises(PtyError, match="views is 5; expected a TiltSeriesData"):
        Reconstruction(views=5)
    with pytest.raises(PtyError, match=r"tilts is 5; expected one for each tilt, such as tilts=\[-60, 60\]"):
        Reconstruction(ran.dataset, tilts=5)


def test_words_that_say_what_was_expected(ran):
    recon = ran.copy()
    with pytest.raises(PtyError, match="a path is expected, got 5; give the name of a file"):
        Reconstruction.load(5)
    with pytest.raises(PtyError, match="is a Dataset, which is open already: Reconstruction"):
        Reconstruction.open(recon.dataset)
    with pytest.raises(
        PtyError, match='origin is 5; expected a word on where the numbers came from, such as "measured"'
    ):
        recon.set_calibration(origin=5, energy=70e3)
    with pytest.raises(PtyError, match="cut_disk is 5; expected True or False"):
        recon.crop(detector=(20, 40, 20, 40), cut_disk=5)
    with pytest.raises(PtyError, match="block is 5; expected True or False"):
        recon.start(1, block=5)
    with pytest.raises(PtyError, match=r"aberrations is 5; expected coefficients by name, in A, such as Aberrations\("):
        recon.update_optics(aberrations=5, defocus=3)
    with pytest.raises(PtyError, match="estimates has 1; expected Estimate objects"):
        recon.estimates = (1,)
