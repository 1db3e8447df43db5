"""X-ray data with published errors, reconstructed by this engine: a far field and a near field.

    python benchmarks/known_answers.py DATA [PICTURES]

DATA holds ``siemens-star/siemens-star-small.npz.bz2`` (of tike's tests: a Siemens star, Advanced Photon Source) and
``p25-nearfield/PETRAIII_P25_Near_Field_Ptycho.cxi`` (PETRA III, P25). The error is sum (sqrt I - A)^2 / sum A^2 over
all patterns and measured pixels, of the state that is left; known are 0.0183 and 0.0177 after 6 and 20 iterations of
ePIE for the first, and 4.1e-3 after 120 for the second. PICTURES is a folder for what came out.
"""

from __future__ import annotations

import bz2
import io
import sys
import time
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from ptywidgets.engine import PIE, ConjugateGradient, Plan, Problem, State, iterate, make_problem
from ptywidgets.engine.io.atomic import PICTURE, atomic_file
from ptywidgets.engine.io.images.png import png
from ptywidgets.engine.models import NearField, single_slice
from ptywidgets.engine.models.parts.exit_wave import fresnel
from ptywidgets.engine.preprocess import measurement_of
from ptywidgets.widgets.image.png import side_by_side

FOCUS_TO_SAMPLE = 3.65e-3  # m, of the near field; not in its file
EPIE = PIE(object_step=1.0, probe_step=1.0, regularization=1.0)


def siemens_star(data: Path) -> Problem:
    """516 patterns of 128 x 128, their zero frequency in the corner; positions in pixels, which serve as the unit."""
    with bz2.open(data / "siemens-star" / "siemens-star-small.npz.bz2") as file:
        stored = np.load(io.BytesIO(file.read()))
    measurement = measurement_of(stored["data"][0], stored["scan"][0], sampling=1.0)
    probe = stored["probe"].reshape(128, 128)
    probe = probe * np.sqrt(measurement.mean_intensity / (abs(probe) ** 2).sum())
    return make_problem(measurement, probe=np.fft.ifftshift(probe), object_padding=2)


def near_field(data: Path) -> Problem:
    """200 projections of 100 x 100 through a diverging beam, in A.

    The beam's divergence is taken up by an effective distance z1 z2 / (z1 + z2) and by pixels that are smaller by
    z1 / (z1 + z2). The first probe is the mean amplitude, taken back to the specimen.
    """
    with h5py.File(data / "p25-nearfield" / "PETRAIII_P25_Near_Field_Ptycho.cxi") as file:
        detector = file["entry_1/instrument_1/detector_1"]
        counts, mask = detector["data"][()], detector["mask"][()] == 0
        distance, pixel = float(detector["distance"][()]), float(detector["x_pixel_size"][()])
        wavelength = 1e10 * float(file["entry_1/instrument_1/source_1/wavelength"][()])
        x, y, _ = file["entry_1/sample_1/geometry_1/translation"][()].T.astype(float)
    smaller = FOCUS_TO_SAMPLE / (FOCUS_TO_SAMPLE + distance)
    sampling, far = 1e10 * pixel * smaller, 1e10 * distance * smaller
    positions = 1e10 * np.stack([y, x], axis=1)
    measurement = measurement_of(counts, positions, sampling, mask=mask)
    extent = (100 * sampling, 100 * sampling)
    mean = counts.mean(0)
    mean[~mask] = np.median(mean)
    spectrum = np.fft.fft2(np.sqrt(mean)) * fresnel((100, 100), extent, wavelength, -far)
    model = replace(single_slice(), detector=NearField(far, wavelength, extent))
    probe = np.fft.ifftshift(np.fft.ifft2(spectrum))
    return make_problem(measurement, probe=probe, model=model, object_padding=2 * sampling)


def error(problem: Problem, state: State) -> float:
    """sum (sqrt I - A)^2 / sum A^2 of a state."""
    modelled = np.sqrt(problem.intensities(state, np.arange(problem.count)))
    measured = problem.measurement.amplitudes
    seen = measured >= 0
    return float((((modelled - measured) ** 2)[seen]).sum(dtype=float) / (measured[seen] ** 2).sum(dtype=float))


def run(name: str, problem: Problem, stages: list[tuple[int, int | None, object]], told: tuple[int, ...]) -> State:
    """Work through (iterations, batch, algorithm), and print the errors after those that are `told`."""
    begun, state = time.perf_counter(), None
    for iterations, batch, algorithm in stages:
        plan = Plan(iterations=iterations, batch=batch, algorithm=algorithm, constraints=())
        for reached in iterate(problem, plan, state):
            state = reached
            if state.iteration in told:
                seconds = time.perf_counter() - begun
                words = f"{type(algorithm).__name__:18} {state.iteration:4} iterations, {seconds:6.1f} s"
                print(f"{name}: {words}: error {error(problem, state):.3e}", flush=True)
    assert state is not None
    return state


def picture(state: State) -> bytes:
    """Amplitude and phase of the object, as a PNG."""
    views = []
    for image in (np.abs(state.object[0]), np.angle(state.object[0])):
        lo, hi = np.percentile(image, [1, 99])
        grey = (255 * np.clip((image - lo) / (hi - lo), 0, 1)).astype(np.uint8)
        views.append(np.repeat(grey[..., None], 3, axis=2))
    return png(side_by_side(views))


def main(data: Path, pictures: Path | None) -> None:
    """All runs."""
    star, near = siemens_star(data), near_field(data)
    results = {
        "siemens-star": run("Siemens star, ePIE", star, [(20, 16, EPIE)], (6, 20)),
        "siemens-star-cg": run("Siemens star, CG", star, [(3, 16, PIE()), (20, None, ConjugateGradient())], (6, 20)),
        "p25": run("P25, ePIE, then CG", near, [(40, 1, EPIE), (120, None, ConjugateGradient())], (40, 80, 120)),
    }
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        for name, state in results.items():
            with atomic_file(pictures / f"{name}.png", replaces=PICTURE) as temporary:
                temporary.write_bytes(picture(state))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else None)
