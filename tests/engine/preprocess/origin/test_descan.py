"""Descan: origins from the disk's edge, surfaces chosen by what they predict."""

import numpy as np
import pytest

from ptywidgets import samples
from ptywidgets.engine import Aberrations, DataError, Dataset, Optics, ParameterError, make_probe, read
from ptywidgets.engine.io import read_pattern
from ptywidgets.engine.preprocess import centre_of_mass, centred_mean, disk_origins, fit_descan, measure_disk
from ptywidgets.engine.simulate import diffraction_patterns, poisson_counts

SCAN = (14, 16)


def wander(name, scan=SCAN):
    """Descan (2, Ry, Rx) px of some kind."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in scan], indexing="ij")
    return {
        "constant": np.stack([0 * y, 0 * x]),
        "plane": np.stack([5 * y - 2 * x, -x - 3 * y]),
        "parabola": np.stack([4 * y + x + 2.5 * y * y, 2 * x - 1.5 * x * y + x * x]),
        "smooth": np.stack([2 * np.sin(2.5 * x) * np.cos(2 * y), 3 * y + 1.5 * np.cos(3 * x)]),
    }[name]


def recorded(shifts, dose=3e4, seed=0):
    """The duck, tiny, with that descan: a specimen that deflects the beam as well."""
    phase, positions = samples.ducky_truth("tiny")
    chosen = np.random.default_rng(seed).integers(0, len(positions), SCAN[0] * SCAN[1])
    sampling = 1 / (64 * 0.05)
    optics = Optics(semiangle=19.75, rolloff=0.5, aberrations=Aberrations(defocus=250))
    probe = make_probe(optics, (64, 64), (sampling, sampling), 80e3, dose)
    pixels = positions[chosen] / sampling
    patterns = diffraction_patterns(phase, probe, pixels, shifts.reshape(2, -1).T)
    counts = poisson_counts(patterns, np.random.default_rng(seed + 1))
    vacuum = np.fft.fftshift(np.abs(np.fft.fft2(probe, norm="ortho")) ** 2)
    return Dataset(counts.reshape(*SCAN, 64, 64), vacuum=vacuum)


@pytest.mark.parametrize("name", ["plane", "parabola", "smooth"])
@pytest.mark.parametrize("jitter", [0.0, 0.7])
def test_origins_follow_descan_and_jitter(name, jitter):
    surface = wander(name)
    shifts = surface + np.random.default_rng(4).normal(0, jitter, surface.shape)
    dataset = recorded(shifts)
    disk = measure_disk(dataset.vacuum)
    origins = disk_origins(dataset, disk)
    assert np.sqrt(np.mean((origins - shifts - 32) ** 2)) < 0.1
    fit = fit_descan(origins)
    assert fit.model in ((name, "cubic") if name == "smooth" and jitter else (name,))
    assert np.sqrt(np.mean((fit.origin - surface - 32) ** 2)) < 0.05 + 0.5 * jitter
    assert fit.residual == pytest.approx(np.hypot(1, 1) * jitter, rel=0.3, abs=0.1)
    assert name == "smooth" or name in fit.sentence


def test_the_edge_tells_more_than_the_centre_of_mass():
    shifts = wander("plane")
    dataset = recorded(shifts, dose=1500)
    origins = disk_origins(dataset, measure_disk(dataset.vacuum))
    by_edge, by_mass = (np.std(found - shifts - 32) for found in (origins, centre_of_mass(dataset)))
    assert by_edge < 0.8 * by_mass


@pytest.mark.parametrize("dose", [400, 40])
def test_few_counts(dose):
    shifts = wander("plane")
    dataset = recorded(shifts, dose)
    fit = fit_descan(disk_origins(dataset, measure_disk(dataset.vacuum)), "plane")
    assert np.sqrt(np.mean((fit.origin - shifts - 32) ** 2)) < (0.1 if dose == 400 else 0.3)


@pytest.mark.parametrize("block", [2, 3, 20])
def test_blocks_of_positions(block):
    shifts = wander("plane")
    dataset = recorded(shifts)
    origins = disk_origins(dataset, measure_disk(dataset.vacuum), block)
    assert origins.shape == shifts.shape
    if block < 20:
        assert np.abs(origins - shifts - 32).max() < 0.6
    else:
        assert np.ptp(origins.reshape(2, -1), axis=1).max() < 1e-9  # one block: one origin


@pytest.mark.parametrize("offset", [0.0, 0.25, 0.4])
def test_bare_disks_anywhere_on_the_detector(offset):
    y, x = np.mgrid[:48, :60]
    centres = np.array([[(12.0, 12.0), (23.3, 40.0)], [(35.0 + offset, 11.5), (24.0, 48.0 - offset)]])
    rho = np.hypot(y - centres[..., 0, None, None], x - centres[..., 1, None, None])
    dataset = Dataset(1000 / (1 + np.exp(3 * (rho - 9.6))))
    disk = measure_disk(dataset.pattern(0, 0))
    np.testing.assert_allclose(np.moveaxis(disk_origins(dataset, disk), 0, -1), centres, atol=0.05)


def test_centred_mean_has_a_sharp_edge():
    dataset = recorded(wander("parabola"))
    disk = measure_disk(dataset.vacuum)
    smeared, repaired = dataset.mean_pattern(), centred_mean(dataset, disk_origins(dataset, disk))
    assert measure_disk(repaired).radius == pytest.approx(disk.radius, abs=0.1)
    assert measure_disk(repaired).edge_width < 1.6 < 0.5 * measure_disk(smeared).edge_width


def test_broken_patterns_are_refused():
    data = np.ones((2, 2, 32, 32))
    data[0, 1, 3, 3] = np.nan
    with pytest.raises(DataError, match="NaN"):
        disk_origins(Dataset(data), measure_disk(samples.ducky("tiny").vacuum))


@pytest.mark.parametrize("name", ["constant", "plane", "parabola", "smooth"])
@pytest.mark.parametrize("scan", [(12, 12), (24, 30)])
def test_surfaces_are_chosen_by_the_data(name, scan):
    generator = np.random.default_rng(6)
    surface = wander(name, scan) + 30
    measured = surface + generator.normal(0, 0.15, surface.shape)
    measured[:, generator.random(scan) < 0.04] += 6  # heavy particles
    measured[:, 3, 4] = np.nan
    fit = fit_descan(measured)
    assert fit.model == name
    assert np.sqrt(np.mean((fit.origin - surface) ** 2)) < 0.12
    assert fit.residual == pytest.approx(0.15 * np.sqrt(2), rel=0.25)
    assert next(iter(fit.errors)) == "constant" and min(fit.errors.values()) < 0.5


def test_what_the_specimen_does_slowly_is_left_to_it():
    y, x = np.mgrid[-1:1:20j, -1:1:20j]
    small = 0.04 * np.stack([np.sin(2 * y), np.cos(3 * x)])
    assert fit_descan(small + 16).model == "constant"


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (2, 2), (3, 5)])
def test_small_scans(shape):
    fit = fit_descan(np.full((2, *shape), 5.0))
    assert fit.model == "constant" and fit.span == 0
    np.testing.assert_allclose(fit.origin, 5)


def test_wrong_arguments():
    with pytest.raises(ParameterError, match="did you mean 'plane'"):
        fit_descan(np.zeros((2, 4, 4)), "plain")
    with pytest.raises(DataError, match="expected"):
        fit_descan(np.zeros((4, 4)))
    with pytest.raises(DataError, match="finite"):
        fit_descan(np.full((2, 4, 4), np.nan))


def test_the_tutorials_descan(full_case):
    dataset, vacuum = full_case
    fit = fit_descan(centre_of_mass(dataset))
    y, x = np.mgrid[:41, :41] - 20.0
    true = 100 + 0.2 * np.stack([x - 2 * y, -x - 3 * y])
    assert fit.model == "plane" and np.abs(fit.origin - true).max() < 0.01
    mean = measure_disk(centred_mean(dataset, fit.origin))
    assert mean.radius == pytest.approx(measure_disk(vacuum).radius, abs=0.03)
    part = Dataset(dataset.data[::8])
    origins = disk_origins(part, measure_disk(vacuum))
    assert np.sqrt(np.mean((origins - true[:, ::8]) ** 2)) < 0.03


@pytest.fixture
def full_case(shared):
    folder = shared / "data" / "simulated"
    return read(folder / "full_counts.h5").load(), read_pattern(folder / "full_counts_vacuum-probe.h5")
