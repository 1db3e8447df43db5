"""A volume from a tilt series, jointly by ptychography, and by filtered back-projection of single-slice phases.

    python benchmarks/tomography.py                 # 30 tilts about one axis, -87 to 87 degrees
    python benchmarks/tomography.py --wedge 60      # 21 tilts, -60 to 60 degrees
    python benchmarks/tomography.py --picture tomography.png

A ball of gold of 2.6 nm, simulated by multislice with 20 slices of a potential that is built from the turned atoms for
each tilt, on a grid twice as fine as the reconstruction's; Poisson noise. Volumes are compared by Fourier shell
correlation with the true potential, its thermal motion averaged, band-limited at the voxel. docs/tomography.md.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np

from ptywidgets.engine import Aberrations, Calibration, Optics, Plan, iterate, prepare
from ptywidgets.engine.algorithms import PIE, ConjugateGradient
from ptywidgets.engine.constraints import Positivity, ProbeCentre, VolumeSupport
from ptywidgets.engine.core.units import interaction
from ptywidgets.engine.io.atomic import PICTURE, atomic_file
from ptywidgets.engine.metrics import Ring, fsc
from ptywidgets.engine.simulate import Atoms, gold_particle, scattering_factor, simulate_dataset
from ptywidgets.engine.tomography import TiltSeries, filtered_back_projection, make_series

CELL = 40.0  # A
DIAMETER = 26.0  # A
ENERGY = 80e3
OPTICS = Optics(semiangle=25, aberrations=Aberrations(defocus=120))
CALIBRATION = Calibration(energy=ENERGY, scan_step=2.2, q_pixel=1 / 19.2, semiangle=25)
SCAN, DETECTOR = (13, 13), (48, 48)
SLICES = 8
DOSE = 4000.0  # electrons per A^2 in each tilt
COMPARED = 32.0  # A, side of the cube in which volumes are compared
SWEEPS, ITERATIONS = 4, 16
VOLT_ANGSTROM = 47.87764  # h^2 / (2 pi m e) in V A^2


@dataclass(frozen=True)
class Case:
    """What is measured, and what is true."""

    atoms: Atoms
    tilts: np.ndarray
    measurements: list

    def series(self, slices: int) -> TiltSeries:
        return make_series(self.measurements, self.tilts, OPTICS, depth=CELL, slices=slices)


def simulated(tilts: np.ndarray, seed: int = 1, dose: float = DOSE) -> Case:
    """Counts of each tilt."""
    atoms = gold_particle(DIAMETER, CELL)
    measurements = []
    for angle, own in zip(tilts, np.random.default_rng(seed).spawn(len(tilts)), strict=True):
        done = simulate_dataset(
            atoms.rotated(angle, "x"), CALIBRATION, OPTICS, scan=SCAN, detector=DETECTOR, dose=dose, generator=own
        )
        measurement = prepare(done.dataset, rotation=0.0, transpose=False, origin="constant")
        # A turned particle is no longer centred in its scan, so the mean deflection is none of descan.
        measurements.append(replace(measurement, shifts=np.zeros_like(measurement.shifts)))
    return Case(atoms, tilts, measurements)


def true_volume(atoms: Atoms, series: TiltSeries) -> np.ndarray:
    """The potential of atoms at no tilt, in rad per voxel, thermal motion averaged, up to the voxel's frequency."""
    sides = [2 * np.pi * np.fft.fftfreq(n, d) for n, d in zip(series.object_shape, series.voxel, strict=True)]
    places = atoms.positions - np.array(atoms.cell) / 2 + series.projections[0].middle
    z, y, x = (np.exp(-1j * np.outer(places[:, axis], side)) for axis, side in enumerate(sides))
    spectrum = ((z[:, :, None] * y[:, None, :]).reshape(len(atoms), -1).T @ x).reshape(series.object_shape)
    k = np.sqrt(sum(k**2 for k in np.meshgrid(*sides, indexing="ij", sparse=True))) / (2 * np.pi)
    form = scattering_factor(int(atoms.numbers[0]), k) * np.exp(-atoms.b_factors[0] * k**2 / 4)
    form *= (k < 0.5 / max(series.voxel)) * VOLT_ANGSTROM * interaction(ENERGY) / np.prod(series.sampling)
    return np.fft.ifftn(spectrum * form).real.astype(np.float32)


def middle(volume: np.ndarray, series: TiltSeries, side: float = COMPARED) -> np.ndarray:
    """The cube about the point that rotations leave alone."""
    lows = [round((m - side / 2) / step) for m, step in zip(series.projections[0].middle, series.voxel, strict=True)]
    return volume[tuple(slice(low, low + round(side / d)) for low, d in zip(lows, series.voxel, strict=True))]


def back_projected(case: Case) -> np.ndarray:
    """Each tilt by itself, as if it were thin, and then filtered back-projection."""
    series = case.series(1)
    phases = []
    for view in series.views:
        plan = Plan(iterations=ITERATIONS, batch=None, algorithm=ConjugateGradient(), constraints=(ProbeCentre(),))
        *_, state = iterate(view, plan)
        phases.append(state.object[0])
    return filtered_back_projection(phases, series.projections)


def jointly(series: TiltSeries) -> np.ndarray:
    """PIE from view to view for a first volume, then conjugate gradients on all views."""
    step = 0.5 if series.model.exit_wave.slices == 1 else 2.0  # slices share a step
    constraints = (Positivity(), VolumeSupport(radius=DIAMETER / 2 + 4, edge=4), ProbeCentre())
    stages = (
        Plan(iterations=SWEEPS, batch=64, algorithm=PIE(object_step=step, decay=0.5), constraints=constraints),
        Plan(iterations=ITERATIONS, batch=None, algorithm=ConjugateGradient(lower_bound=0.0), constraints=constraints),
    )
    state = series.start()
    for plan in stages:
        *_, state = iterate(series, plan, state)
    return series.backend.to_numpy(state.object)


def told(name: str, ring: Ring, seconds: float) -> str:
    ends = " ".join(f"{ring.mean(low, low + 0.25):.2f}" for low in (0.25, 0.5, 0.75, 1.0))
    least = ring.correlation[ring.frequency > 0.1].min()
    return f"{name:34} {ring.resolution(0.5):6.2f} A  {ends}  {least:6.2f}  {seconds:6.1f} s"


def draw(path: str, volumes: dict[str, np.ndarray], rings: dict[str, Ring], step: float, title: str) -> None:
    """Two cuts of each volume, and the shell correlations."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, len(volumes) + 1, figsize=(3.1 * (len(volumes) + 1), 6.2), layout="constrained")
    top = np.quantile(volumes["truth"], 0.998)
    for column, (name, volume) in zip(axes.T, volumes.items(), strict=False):
        z, _, x = (n // 2 for n in volume.shape)
        size = (0, volume.shape[2] * step, volume.shape[1] * step, 0)
        for axis, image, labels in zip(column, (volume[z], volume[:, :, x]), (("x", "y"), ("y", "z")), strict=True):
            axis.imshow(image, cmap="gray", vmin=0, vmax=top, extent=size)
            axis.set(xlabel=f"{labels[0]} (Å)", ylabel=f"{labels[1]} (Å)")
        column[0].set_title(name)
    for axis in axes[:, -1]:
        axis.remove()
    plot = figure.add_subplot(axes[0, 0].get_gridspec()[:, -1])
    for name, ring in rings.items():
        plot.plot(ring.frequency, ring.correlation, label=name)
    plot.axhline(0.5, color="gray", lw=0.8)
    plot.set(xlabel="frequency (1/Å)", ylabel="Fourier shell correlation with the truth", ylim=(0, 1.02))
    plot.legend(loc="lower left")
    figure.suptitle(title)
    with atomic_file(path, replaces=PICTURE) as temporary:
        figure.savefig(temporary, dpi=80, format="png")


def main() -> None:
    """Print where each volume stops agreeing with the truth."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--wedge", type=float, help="largest tilt in degrees; by default all around")
    parser.add_argument("--dose", type=float, default=DOSE, help="electrons per A^2 in each tilt")
    parser.add_argument("--picture", help="where to write a picture")
    options = parser.parse_args()
    tilts = np.arange(-87, 88, 6.0) if options.wedge is None else np.arange(-options.wedge, options.wedge + 1, 6.0)
    start = time.perf_counter()
    case = simulated(tilts, dose=options.dose)
    series = case.series(SLICES)
    counts = f"{series.mean_intensity:.0f} counts a pattern"
    sizes = (
        f"{series.count} patterns of {DETECTOR[0]} x {DETECTOR[1]}, {' x '.join(map(str, series.object_shape))} voxels"
    )
    print(f"{len(tilts)} tilts, {sizes}, {counts}; simulated in {time.perf_counter() - start:.0f} s")
    truth = middle(true_volume(case.atoms, series), series)
    print(f"{'':34} {'FSC 0.5':>8}  mean FSC in 0.25 .. 1.25 1/A; least")
    volumes, rings = {"truth": truth}, {}
    methods = {
        "back-projection": lambda: back_projected(case),
        "joint, thin": lambda: jointly(case.series(1)),
        f"joint, {SLICES} slices": lambda: jointly(series),
    }
    for name, method in methods.items():
        start = time.perf_counter()
        volumes[name] = middle(method(), series)
        seconds = time.perf_counter() - start
        rings[name] = fsc(volumes[name], truth, series.voxel)
        print(told(name, rings[name], seconds), flush=True)
        if name == "back-projection":  # what the others know beside the data
            print(told("  made positive", fsc(volumes[name].clip(0), truth, series.voxel), seconds), flush=True)
    if options.picture:
        reach = "all around" if options.wedge is None else f"up to ±{options.wedge:g}°"
        draw(options.picture, volumes, rings, series.sampling[0], f"{len(tilts)} tilts {reach}, {counts}")


if __name__ == "__main__":
    main()
