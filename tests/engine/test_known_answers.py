"""Answers that others have published: a forward model to its last digits, and reconstructions of X-ray data."""

import bz2
import io
from dataclasses import replace

import h5py
import numpy as np

from ptywidgets.engine import PIE, ConjugateGradient, Plan, get_backend, iterate, make_problem
from ptywidgets.engine.models import NearField, single_slice
from ptywidgets.engine.models.composed import Geometry
from ptywidgets.engine.models.parts.exit_wave import fresnel
from ptywidgets.engine.preprocess import measurement_of

EPIE = PIE(object_step=1.0, probe_step=1.0, regularization=1.0)


def error(problem, state):
    """sum (sqrt I - A)^2 / sum A^2 over what was measured."""
    modelled = np.sqrt(problem.intensities(state, np.arange(problem.count)))
    measured = problem.measurement.amplitudes
    seen = measured >= 0
    return ((modelled - measured)[seen] ** 2).sum(dtype=float) / (measured[seen] ** 2).sum(dtype=float)


def after(problem, iterations, batch, algorithm, state=None):
    *_, state = iterate(problem, Plan(iterations=iterations, batch=batch, algorithm=algorithm, constraints=()), state)
    return state


def test_two_incoherent_modes(shared):
    """Windows of 16 x 16 pixels in the middle of 32 x 32, at whole positions; patterns to 1e-6 in the square root."""
    known = np.load(shared / "data" / "tike-known-answers" / "forward_two_modes.npz")
    middle = ((0, 0), (8, 8), (8, 8))
    probe = np.fft.ifftshift(np.pad(known["probe"][0, 0].astype(complex), middle), axes=(-2, -1))
    obj = np.pad(known["psi"].astype(complex), middle)
    centres = known["scan"].astype(float) + 8 + 8  # of the window, in the padded object
    geometry = Geometry.from_pixels(centres, (32, 32), None)
    patterns = single_slice().intensities(get_backend(), obj, probe, geometry, np.arange(169))
    np.testing.assert_allclose(np.sqrt(patterns), np.sqrt(known["data"]), atol=1e-6)


def siemens_star(shared):
    with bz2.open(shared / "data" / "siemens-star" / "siemens-star-small.npz.bz2") as file:
        stored = np.load(io.BytesIO(file.read()))
    measurement = measurement_of(stored["data"][0], stored["scan"][0], sampling=1.0)
    probe = stored["probe"].reshape(128, 128)
    probe = probe * np.sqrt(measurement.mean_intensity / (abs(probe) ** 2).sum())
    return make_problem(measurement, probe=np.fft.ifftshift(probe), object_padding=2)


def test_a_siemens_star_in_the_far_field(shared):
    """A plain ePIE is known to be at 0.0183 after 6 iterations."""
    problem = siemens_star(shared)
    state = after(problem, 3, 16, EPIE)
    assert error(problem, state) < 0.0183


def test_a_siemens_star_in_the_near_field(shared):
    """Known is 4.1e-3 after 120 iterations; after these few we are at 4.5e-3, and the star is there.

    With positions rounded to pixels it is 5.2e-3.
    """
    with h5py.File(shared / "data" / "p25-nearfield" / "PETRAIII_P25_Near_Field_Ptycho.cxi") as file:
        detector = file["entry_1/instrument_1/detector_1"]
        counts, mask = detector["data"][()], detector["mask"][()] == 0
        wavelength = 1e10 * float(file["entry_1/instrument_1/source_1/wavelength"][()])
        x, y, _ = file["entry_1/sample_1/geometry_1/translation"][()].T.astype(float)
    smaller = 3.65e-3 / (3.65e-3 + 1.12)  # the beam comes from 3.65 mm before the specimen, 1.12 m before the detector
    sampling, distance = 1e10 * 55e-6 * smaller, 1e10 * 1.12 * smaller
    positions = 1e10 * np.stack([y, x], axis=1)
    measurement = measurement_of(counts, positions, sampling, mask=mask)
    extent = (100 * sampling, 100 * sampling)
    mean = np.where(mask, counts.mean(0), np.median(counts))
    spectrum = np.fft.fft2(np.sqrt(mean)) * fresnel((100, 100), extent, wavelength, -distance)
    model = replace(single_slice(), detector=NearField(distance, wavelength, extent))
    probe = np.fft.ifftshift(np.fft.ifft2(spectrum))
    problem = make_problem(measurement, probe=probe, model=model, object_padding=2 * sampling)
    state = after(problem, 20, None, ConjugateGradient(), after(problem, 8, 8, EPIE))
    assert error(problem, state) < 4.6e-3
