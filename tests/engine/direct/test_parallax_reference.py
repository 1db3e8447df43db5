"""DPC and parallax on data with a known truth, and on light microscopy; what py4DSTEM reaches is the least."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from scipy.io import loadmat

from ptywidgets import read
from ptywidgets.engine.core.units import energy_of_wavelength
from ptywidgets.engine.direct import BrightField, bright_field, corrected, dpc, parallax

# The scoring tool reads its files without closing them, and its low-pass overflows far from the pass band.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:overflow encountered in exp:RuntimeWarning"),
]


def load(simulated, name):
    meta = json.loads((simulated / f"{name}_meta.json").read_text())
    return read(simulated / f"{name}.h5", energy=meta["energy_eV"], semiangle=meta["semiangle_mrad"]), meta


def correlation(shared, image, dataset, name):
    spec = importlib.util.spec_from_file_location("score", shared / "tools" / "score.py")
    module = importlib.util.module_from_spec(spec)
    pytest.importorskip("skimage", reason="the score needs scikit-image")
    pytest.importorskip("matplotlib", reason="the score needs matplotlib")
    spec.loader.exec_module(module)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in dataset.scan_shape], indexing="ij"), -1).reshape(-1, 2)
    pixels = grid * dataset.calibration.scan_step / np.array(image.sampling)
    result = module.score(image.phase.astype(float), pixels, image.sampling[0], name)
    assert result["sign"] == 1
    return result["corr"]


@pytest.mark.parametrize("name, theirs", [("small", 0.4815), ("small_dose1e4", 0.4293), ("full_counts", 0.4863)])
def test_dpc_scores_at_least_as_well(simulated, shared, name, theirs):
    dataset, _ = load(simulated, name)
    assert correlation(shared, dpc(dataset), dataset, name) >= theirs


@pytest.mark.parametrize("name, theirs", [("small", 0.561), ("small_dose1e4", 0.547)])
def test_parallax_scores_at_least_as_well(simulated, shared, name, theirs):
    dataset, meta = load(simulated, name)
    result = parallax(bright_field(dataset))
    assert result.rotation == pytest.approx(meta["rotation_deg"], abs=0.3)
    # What is focused is the middle of the specimen, half of its thickness behind the plane of the stated defocus.
    assert result.aberrations["defocus"] == pytest.approx(meta["defocus_A"] - meta["thickness_A"] / 2, rel=0.02)
    for method, least in (("wiener", 0.7), ("sign", theirs)):
        assert correlation(shared, corrected(result, method=method), dataset, name) >= least


def spiral(count):
    """Grid points (row, column) on an outward square spiral: +x, +y, -x, -x, -y, -y, ..."""
    points, turns = [(0, 0)], ((0, 1), (1, 0), (0, -1), (-1, 0))
    leg = 0
    while len(points) < count:
        for _ in range(leg // 2 + 1):
            points.append(tuple(np.add(points[-1], turns[leg % 4])))
        leg += 1
    return np.array(points[:count])


def test_blood_smear_in_light(shared):
    """By reciprocity: LEDs are tilts. The stated defocus, -55 um, was tuned by hand."""
    images = np.moveaxis(loadmat(shared / "data" / "bloodsmear" / "bloodsmear_red.mat")["imlow_HDR"], -1, 0) ** 2
    red = 6300.0  # A
    away = spiral(len(images)) * 4.0  # mm, LEDs at 90.88 mm
    sines = away / np.sqrt((away**2).sum(1) + 90.88**2)[:, None]
    lit = np.hypot(*sines.T) <= 0.1
    bright = BrightField(
        images=np.ascontiguousarray(images[lit], np.float32),
        tilts=sines[lit] / red,
        q_pixel=0.044 / red,
        scan_step=1.845e4,
        energy=energy_of_wavelength(red),
        radius=0.1 / red,
        rotation=0.0,
        transpose=False,
    )
    result = parallax(bright, order=1)
    assert abs(result.aberrations["C10"]) == pytest.approx(55e4, rel=0.1)
    assert result.rotation == pytest.approx(0, abs=2) and not result.transpose

    def sharpness(image):
        return np.mean([(g**2).mean() for g in np.gradient(image / image.mean())])

    assert sharpness(result.aligned) > 4 * sharpness(result.unaligned)
