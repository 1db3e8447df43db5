"""The doctor: each check speaks up where there is trouble, and is content where there is none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from ptywidgets import samples
from ptywidgets.engine import Aberrations, Calibration, Dataset, Optics, make_probe, prepare, read
from ptywidgets.engine.checks import doctor
from ptywidgets.engine.simulate.single_slice import diffraction_patterns, poisson_counts

OPTICS = Optics(semiangle=20, aberrations=Aberrations(defocus=250))


@pytest.fixture(scope="module")
def duck():
    return samples.ducky("tiny")


@pytest.fixture(scope="module")
def prepared(duck):
    return prepare(duck)


@pytest.fixture(scope="module")
def healthy(duck):
    return {finding.name: finding.verdict for finding in doctor.examine(duck, None, OPTICS)}


def look(dataset, name, measurement=None, optics=None):
    """The finding of one check; None where it could not be made."""
    return {finding.name: finding for finding in doctor.examine(dataset, measurement, optics)}.get(name)


def changed(dataset, change):
    return replace(dataset, data=change(dataset.data.astype(float)))


def spoil(data, where, value):
    data[where] = value
    return data


def test_a_healthy_start_is_called_good(duck):
    measurement = prepare(duck, rotation=-15.0, transpose=False)
    findings = doctor.examine(duck, measurement, OPTICS.replace(vacuum=duck.vacuum))
    assert {f.name for f in findings if f.verdict != "good"} <= {"not checked"}
    assert len(findings) >= len(doctor.CHECKS) - 1
    for finding in findings:
        assert finding.verdict in ("good", "warn", "bad") and finding.sentence.endswith(".")
        assert finding.verdict == "good" or finding.remedy


SICK = {
    "NaN": ("counts", "warn", lambda d: changed(d, lambda a: spoil(a, (1, 2, 3, 4), np.nan))),
    "negative": ("counts", "warn", lambda d: changed(d, lambda a: spoil(a, (1, 2, 3, 4), -7))),
    "negative everywhere": ("counts", "bad", lambda d: changed(d, lambda a: a - 7)),
    "empty": ("counts", "warn", lambda d: changed(d, lambda a: spoil(a, (4, 5), 0))),
    "empty half": ("counts", "bad", lambda d: changed(d, lambda a: spoil(a, slice(6), 0))),
    "lost frame": ("scan positions", "warn", lambda d: changed(d, lambda a: spoil(a, (4, 5), np.nan))),
    "repeated": ("scan positions", "warn", lambda d: replace(d, data=spoil(d.data.copy(), (4, 5), d.data[4, 4]))),
    "flyback": (
        "scan positions",
        "warn",
        lambda d: replace(d, data=spoil(d.data.copy(), np.s_[:, 0], d.data[:, 0] // 2)),
    ),
    "gap": ("detector pixels", "warn", lambda d: replace(d, data=spoil(d.data.copy(), np.s_[:, :, 5:7], 65535))),
    "hot vacuum": ("vacuum pattern", "warn", lambda d: d.with_vacuum(spoil(d.vacuum.copy(), (5, 9), 1e7))),
    "hot": ("detector pixels", "warn", lambda d: changed(d, lambda a: spoil(a, (..., 5, 9), 1e5))),
    "dead": ("detector pixels", "warn", lambda d: replace(d, data=spoil(d.data.copy(), (..., 32, 33), 0))),
    "saturated": ("detector pixels", "bad", lambda d: replace(d, data=np.minimum(d.data, 400))),
    "no energy": ("calibration", "bad", lambda d: d.with_calibration(energy=None)),
    "no aperture": ("calibration", "bad", lambda d: d.with_vacuum(None).with_calibration(semiangle=None)),
    "scaled": ("dose", "warn", lambda d: changed(d, lambda a: a / a.sum((2, 3)).mean())),
    "few counts": ("dose", "warn", lambda d: samples.ducky("tiny", dose=50)),
    "other semi-angle": ("disk and semi-angle", "bad", lambda d: d.with_calibration(semiangle=25)),
    "other pixel": ("disk and semi-angle", "bad", lambda d: d.with_calibration(q_pixel=0.04)),
    "other vacuum": (
        "vacuum pattern",
        "bad",
        lambda d: d.with_vacuum(np.kron(d.vacuum[16:48, 16:48], np.ones((2, 2)))),
    ),
    "cut": ("detector reach", "bad", lambda d: Dataset(d.data[:, :, 24:, 20:44], d.calibration)),
    "bright field only": ("detector reach", "warn", lambda d: Dataset(d.data[:, :, 21:44, 21:44], d.calibration)),
}


@pytest.mark.parametrize("name, verdict, make", SICK.values(), ids=SICK)
def test_trouble_in_the_data_is_found(duck, healthy, name, verdict, make):
    finding = look(make(duck), name)
    assert finding.verdict == verdict and finding.remedy
    assert healthy[name] == "good"


def test_an_ellipse_is_found(duck):
    y, x = np.mgrid[:64, :64] - 32.0
    oval = 1e4 / (1 + np.exp(2 * (np.hypot(y * 1.05, x / 1.05) - 9.2)))
    finding = look(duck.with_vacuum(oval), "disk and semi-angle")
    assert finding.verdict == "warn" and "ellipse" in finding.sentence


EXPERIMENTS = {
    "steps too large": ("overlap", "bad", {"scan_step": 9.0}, {}),
    "steps rather large": ("overlap", "warn", {"scan_step": 5.0}, {}),
    "probe too large": ("probe box", "bad", {}, {"defocus": 1200}),
    "grid that shows": ("scan grid", "warn", {"scan_step": 5.0}, {}),
    "no defocus": ("defocus", "warn", {}, {"defocus": 0}),
}


@pytest.mark.parametrize("name, verdict, calibration, aberrations", EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_trouble_in_the_experiment_is_found(duck, healthy, name, verdict, calibration, aberrations):
    optics = OPTICS.replace(aberrations=Aberrations(**{"defocus": 250, **aberrations}))
    finding = look(duck.with_calibration(**calibration), name, None, optics)
    assert finding.verdict == verdict and finding.remedy
    assert healthy[name] == "good"


def test_positions_off_the_grid_have_no_period(duck, prepared):
    jitter = np.random.default_rng(0).normal(0, 0.2, prepared.positions.shape)
    off = replace(prepared, positions=prepared.positions + jitter)
    coarse = duck.with_calibration(scan_step=5.0)
    assert look(coarse, "scan grid", prepared, OPTICS).verdict == "warn"
    assert look(coarse, "scan grid", off, OPTICS).verdict == "good"


def test_bent_descan_is_found(duck, prepared):
    y, x = np.meshgrid(*[np.linspace(-1, 1, 12)] * 2, indexing="ij")
    bent = np.stack([1.5 * y * y + x * x, 0.5 * x * y])
    left = replace(prepared, com_measured=prepared.com_measured + 0.5 * bent)
    assert look(duck, "descan", left).verdict == "warn"
    assert look(duck, "descan", replace(left, com_measured=left.com_measured + 2 * bent)).verdict == "bad"
    assert look(duck, "descan", prepared).verdict == "good"
    rolled = duck.data.copy()
    for place in np.ndindex(12, 12):
        rolled[place] = np.roll(rolled[place], np.rint(3 * bent[(slice(None), *place)]).astype(int), (0, 1))
    assert look(replace(duck, data=rolled), "descan").verdict != "good"
    assert look(duck, "descan").verdict == "good"


def test_doubts_about_the_rotation_are_told(duck, prepared):
    fit = prepared.rotation_fit

    def asked(name, **changes):
        return look(duck, name, replace(prepared, rotation_fit=replace(fit, **changes)), OPTICS)

    clear = {"uncertainty": 0.2, "solenoidal_share": 0.05, "other_share": 0.3, "flip_resolved": True}
    assert asked("rotation", **clear).verdict == "good"
    assert asked("rotation", **{**clear, "uncertainty": 2.0}).verdict == "warn"
    vague = {**clear, "uncertainty": 2.0}
    assert "toss-up" in asked("rotation", **{**vague, "other_share": 0.06}).sentence
    assert asked("rotation", **{**vague, "solenoidal_share": 0.45}).verdict == "bad"
    told = {**clear, "solenoidal_share": 0.45, "other_share": 0.45}  # by a search: the curl has nothing to say
    assert asked("rotation", **told).verdict == "good"
    assert asked("180-degree ambiguity", **clear).verdict == "good"
    assert asked("defocus", **clear).verdict == "good"
    assert asked("180-degree ambiguity", **{**clear, "flip_resolved": False}).verdict == "warn"
    assert asked("defocus", **{**clear, "flip_resolved": False}).verdict == "warn"
    wrong = prepare(duck, rotation=-30.0, transpose=False)
    wrong = replace(wrong, rotation_fit=replace(fit, **clear))
    finding = look(duck, "rotation", wrong)
    assert finding.verdict == "warn" and "-30.00" in finding.sentence
    assert look(duck, "180-degree ambiguity", wrong).verdict == "good"  # given by hand


def test_dark_atoms_are_found(duck, prepared):
    y, x = np.mgrid[-3:3:12j, -3:3:12j]
    atom = np.exp(-4 * (y**2 + x**2))
    field = np.stack(np.gradient(atom))
    bright = replace(prepared, com_measured=field, origin=0 * field, rotation=0.0, transpose=False)
    assert look(duck, "sign of the phase", bright).verdict == "good"
    assert look(duck, "sign of the phase", replace(bright, com_measured=-field)).verdict == "warn"
    assert look(duck, "sign of the phase", replace(bright, rotation=180.0)).verdict == "warn"


@pytest.mark.parametrize(
    "data",
    [
        np.zeros((3, 3, 8, 8)),
        np.full((4, 4, 16, 16), np.nan),
        np.random.default_rng(0).random((1, 5, 32, 32)),
        np.ones((1, 1, 1, 1), bool),
        np.ones((2, 2, 3, 70), np.uint8),
    ],
    ids=["zero", "NaN", "noise", "one pixel", "flat"],
)
def test_hopeless_data_are_looked_at_without_an_error(data):
    findings = doctor.examine(Dataset(data))
    assert findings[0].verdict == "bad" and findings[-1].name == "not checked"
    assert "not prepared" in findings[-1].sentence


def test_nothing_is_wrong_with_data_like_the_tutorials(shared):
    folder = shared / "data" / "simulated"
    dataset = read(folder / "full_counts.h5", energy=80e3, semiangle=20)
    dataset = dataset.with_vacuum(folder / "full_counts_vacuum-probe.h5").load()
    measurement = prepare(dataset)
    optics = Optics(semiangle=20, vacuum=dataset.vacuum, aberrations=Aberrations(defocus=500))
    findings = doctor.examine(dataset, measurement, optics)
    assert all(finding.verdict != "bad" for finding in findings)


def test_masked_pixels_are_not_examined():
    data = np.asarray(samples.ducky("tiny").data).astype(np.float32)
    # no gaps, which are seen for what they are: not in most patterns, not one and the same number, no mark
    data[:, ::3, 30, 30], data[..., 5, 5], data[..., 33, 20] = np.nan, [-1, -2] * 6, 1e6
    whole = replace(samples.ducky("tiny"), data=data)
    mask = np.ones((64, 64), bool)
    mask[30, 30] = mask[5, 5] = mask[33, 20] = False
    before = {finding.name: finding.verdict for finding in doctor.examine(whole)}
    found = {finding.name: finding for finding in doctor.examine(whole.with_mask(mask))}
    assert before["counts"] == "bad" and before["detector pixels"] == "warn"
    assert found["counts"].verdict == found["detector pixels"].verdict == found["disk and semi-angle"].verdict == "good"
    assert "The mask leaves out 3." in found["detector pixels"].sentence


@pytest.mark.parametrize("dose", [1e4, None], ids=["counts", "no noise"])
def test_a_step_in_nm_is_found(dose):
    small = samples.ducky("small", dose=dose)
    assert look(small, "scan step", None, OPTICS).verdict == "good"
    finding = look(small.with_calibration(scan_step=0.2), "scan step", None, OPTICS)
    assert finding.verdict == "bad" and "Did you mean 2 A?" in finding.remedy


@pytest.mark.parametrize("kind", ["counts", "no noise", "scaled"])
@pytest.mark.parametrize("defocus", [0.0, 120.0])
def test_fine_steps_are_no_error(kind, defocus):
    """Steps far below the finest detail, of noisy and of clean data, are what they are."""
    generator = np.random.default_rng(1)
    sampling, side = 0.25, 48
    phase = np.zeros((80, 80), np.float32)
    phase[tuple(generator.integers(0, 80, (2, 150)))] = 4.0
    phase = ndimage.gaussian_filter(phase, 1.2)
    optics = Optics(semiangle=20, aberrations=Aberrations(defocus=defocus))
    counts = 1.0 if kind == "no noise" else 3000.0
    probe = make_probe(optics, (side, side), (sampling, sampling), 80e3, counts)
    y, x = np.indices((24, 24)).reshape(2, -1)
    patterns = diffraction_patterns(phase, probe, np.stack([y, x], 1) + side // 2 + 2.0)
    if kind != "no noise":
        patterns = poisson_counts(patterns, generator)
    if kind == "scaled":
        patterns = patterns.astype(np.float32) * np.float32(0.0137)
    calibration = Calibration(energy=80e3, scan_step=sampling, q_pixel=1 / (side * sampling), semiangle=20)
    dataset = Dataset(patterns.reshape(24, 24, side, side), calibration)
    finding = look(dataset, "scan step", None, optics)
    assert finding.verdict == "good" and "no faster" in finding.sentence


def test_a_defocus_that_nobody_has_given_is_not_judged(duck):
    for optics in (None, Optics.from_dataset(duck)):
        found = {finding.name: finding for finding in doctor.examine(duck, optics=optics)}
        assert not {"defocus", "overlap", "scan grid"} & found.keys()
        assert "nobody has said what the defocus is" in found["not checked"].sentence
    found = {
        finding.name
        for finding in doctor.examine(duck, optics=Optics.from_dataset(duck, aberrations=Aberrations(defocus=0)))
    }
    assert {"defocus", "overlap", "scan grid"} <= found


def test_atoms_are_bright_with_the_right_lens_and_dark_with_its_twin(duck):
    for turn, sign, verdict in ((0.0, 1, "good"), (180.0, -1, "warn")):
        measurement = prepare(duck, rotation=-15.0 + turn, transpose=False)
        optics = OPTICS.replace(vacuum=duck.vacuum, aberrations=Aberrations(defocus=250 * sign))
        finding = look(duck, "sign of the phase", measurement, optics)
        assert (finding.verdict, finding.value) == (verdict, sign)
        assert ("dark" in finding.sentence) == (sign < 0)


def test_with_half_of_it_wrong_nobody_knows(duck):
    """Turned, but with the defocus that it had: neither atoms nor their negative."""
    measurement = prepare(duck, rotation=165.0, transpose=False)
    assert look(duck, "sign of the phase", measurement, OPTICS.replace(vacuum=duck.vacuum)) is None


def _set(simulated, name):
    """A simulated set, prepared as it was made, with its lens."""
    known = json.loads((simulated / f"{name}_meta.json").read_text())
    dataset = read(simulated / f"{name}.h5", energy=known["energy_eV"], semiangle=known["semiangle_mrad"]).load()
    dataset = dataset.with_vacuum(simulated / f"{name}_vacuum-probe.h5")
    aberrations = Aberrations(**(known.get("aberrations") or {"defocus": known["defocus_A"]}))
    return dataset, known, aberrations


@pytest.mark.parametrize("name", ["crystal_a", "crystal_b", "crystal_c", "small", "small_dose1e4", "full_counts"])
def test_lattices_that_the_scan_undersamples_come_out_bright_as_the_duck_does(simulated, name):
    """Through a probe wider than the atoms are apart the integrated centre of mass may be of either sign."""
    dataset, known, aberrations = _set(simulated, name)
    measurement = prepare(dataset, rotation=known["rotation_deg"], transpose=known["transpose"])
    finding = look(dataset, "sign of the phase", measurement, Optics.from_dataset(dataset, aberrations=aberrations))
    assert (finding.verdict, finding.value) == ("good", 1)
    without = look(dataset, "sign of the phase", measurement)
    assert without is None or without.value >= 0
