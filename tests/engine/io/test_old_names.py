"""Files that say things in the words of older versions load, and go on as if they said them in today's."""

import h5py
import numpy as np
import pytest

from ptywidgets import Reconstruction, samples
from ptywidgets.engine import ConjugateGradient, Dataset
from ptywidgets.engine.checkpoint import checkpoint, load_checkpoint
from ptywidgets.engine.checkpoint.checkpoint import PARAMETER, ROOT
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.refinements import RefineDiffuse, RefineModel

PARAMETERS = {"tds_strength": "strength", "exit_wave.tilt": "passage.tilt"}  # today: before
CLASSES = {'"ModelConfig"': '"Composition"'}
FIELDS = {'"lower_bound"': '"lowest"', '"tds_strength"': '"strength"'}


@pytest.fixture(scope="module")
def recon():
    whole = samples.ducky("tiny")
    data = Dataset(whole.data[:4, :4], whole.calibration).bin(detector=2)
    recon = Reconstruction(
        data,
        defocus=samples.ducky_defocus("tiny"),
        object_type="potential",
        model=ModelConfig(slices=2, thickness=40, diffuse="C", background=True),
    )
    recon.prepare(rotation=-15.0, transpose=False)
    recon.initialize_from(recon.direct("dpc"))
    recon.update_plan(
        batch=None,
        constraints=(),
        algorithm=ConjugateGradient(lower_bound=-0.5),
        refinements=(RefineDiffuse(b_factor=False), RefineModel(tilt=True)),
    )
    return recon.run(2)


def in_old_words(path):
    """A file as it was written before its parameters and fields had today's names."""
    with h5py.File(path, "r+") as file:
        root = file[ROOT]
        for now, before in PARAMETERS.items():
            root.move(PARAMETER + now, PARAMETER + before)
        del root["metadatabundle/reconstruction/slice_thickness_A"]  # of which older files say nothing
        texts, provenance = root["metadatabundle/descriptions"], root["metadatabundle/provenance"]
        say(texts, "plan", FIELDS)
        say(texts, "model", CLASSES)
        texts.move("model", "composition")
        provenance.move("initialized_from", "started_from")
        say(provenance, "schedule", {"manual": "planned"})
    return path


def say(texts, name, words):
    """Write one description anew, each of the words by another one."""
    text, attributes = texts[name][()].decode(), dict(texts[name].attrs)
    assert all(now in text for now in words)
    for now, before in words.items():
        text = text.replace(now, before)
    del texts[name]
    texts[name] = text.encode()
    texts[name].attrs.update(attributes)


def test_an_old_file_goes_on_bit_for_bit(recon, tmp_path):
    new, old = recon.save(tmp_path / "new.h5"), in_old_words(recon.save(tmp_path / "old.h5"))
    assert load_checkpoint(old).plan == recon.plan
    for path in (new, old):
        state = load_checkpoint(path).state
        assert state.slice_thickness == recon.state.slice_thickness == (20.0, 20.0)
        assert state.sampling == recon.state.sampling == recon.problem.sampling
    assert load_checkpoint(old).model == recon.model
    assert Reconstruction.load(old, dataset=recon.dataset).initialized_from == recon.initialized_from != "empty"
    assert Reconstruction.load(old, dataset=recon.dataset).schedule == recon.schedule == "manual"
    one, other = (Reconstruction.load(path, dataset=recon.dataset).run(2) for path in (new, old))
    assert set(one.state.parameters) == set(other.state.parameters) >= set(PARAMETERS)
    assert one.losses == other.losses and one.iteration == recon.iteration + 2
    np.testing.assert_array_equal(one.state.object, other.state.object)
    np.testing.assert_array_equal(one.state.probe, other.state.probe)
    for name, value in one.state.parameters.items():
        np.testing.assert_array_equal(value, other.state.parameters[name])


def test_what_is_saved_says_it_in_new_words(recon, tmp_path):
    with h5py.File(recon.save(tmp_path / "a.h5"), "r") as file:
        assert not {PARAMETER + before for before in PARAMETERS.values()} & set(file[ROOT])
        assert '"lowest"' not in file[ROOT]["metadatabundle/descriptions/plan"][()].decode()


def test_parameters_of_single_views_are_translated():
    assert checkpoint._present("3 passage.tilt") == "3 exit_wave.tilt"
    assert checkpoint._present("12 strength") == "12 tds_strength"
    assert checkpoint._present("2 tilt") == "2 tilt" and checkpoint._present("b_factor") == "b_factor"


def test_old_fields_inside_other_descriptions_are_translated():
    plain = to_plain((RefineDiffuse(tds_strength=False), ConjugateGradient(lower_bound=0.5)))
    plain[0]["strength"] = plain[0].pop("tds_strength")
    plain[1]["lowest"] = plain[1].pop("lower_bound")
    assert from_plain(plain) == (RefineDiffuse(tds_strength=False), ConjugateGradient(lower_bound=0.5))
