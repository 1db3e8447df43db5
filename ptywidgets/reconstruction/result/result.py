"""What a reconstruction has come to: plain attributes, derived from its state when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ptywidgets.engine.cluster import ClusterProblem
from ptywidgets.engine.core.state import State
from ptywidgets.engine.models.parts.learned_shape import LEARNED, knots
from ptywidgets.engine.optics.modes import occupations, orthogonalise
from ptywidgets.engine.optics.probe import make_probe
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.solve.given import fitted_probe
from ptywidgets.engine.tomography import TiltSeries
from ptywidgets.reconstruction.result.display_settings import ACROSS, DisplaySettings, Line
from ptywidgets.reconstruction.result.scan_frame import (
    depth_section,
    position_corrections,
    shown_map,
    shown_transmission,
    thicknesses,
)
from ptywidgets.reconstruction.result.snapshot import Snapshot, one_view, take_snapshot

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


class Result:
    """What a reconstruction has come to; ``recon.result``.

    Of a tilt series, object, slices and sections are those of the volume, and probe, modes, positions and the maps that
    a model finds are those of one tilt, ``look.view``. The engine's :attr:`state` has them all.
    """

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.state: State | None = None  # the engine's latest; its arrays live on the device
        self.whole: Any = None  # Problem or TiltSeries: the problem at the window of the data
        self._coarse: tuple[Any, Any] | None = None  # a problem, and the same at the window of the state

    def take(self, problem: Any, state: State | None) -> None:
        """Another problem and a state of it."""
        self.whole, self.state = problem, state

    def forget(self) -> None:
        """Begin from nothing."""
        self.whole = self.state = self._coarse = None

    @property
    def problem(self) -> Problem | TiltSeries | None:
        """The engine's problem, at the window of the present state; None before the first run."""
        present = self.present
        return self.whole if present is None else present[0]

    @property
    def present(self) -> tuple[Any, State] | None:
        """The latest state with the problem that it belongs to, on a coarse grid a coarse one; or None."""
        whole, state = self.whole, self.state
        if whole is None or state is None:
            return None
        window = tuple(state.probe.shape[-2:])
        if window == whole.window:
            return whole, state
        coarse = self._coarse
        if coarse is None or coarse[0] is not whole or coarse[1].window != window:
            coarse = self._coarse = (whole, whole.at_window(window))
        return coarse[1], state

    @property
    def seen(self) -> tuple[Problem, State] | None:
        """The same of the one view that is looked at."""
        recon = self.recon
        present = self.present
        return None if present is None else one_view(*present, recon.look.view)

    @property
    def made_with(self) -> str:
        """What it was made with that is not set any more, in words: "other data (ducky tiny)", or "other optics".

        Empty where it is of what is set, and where there is none; otherwise the next run begins anew.
        """
        recon = self.recon
        of = recon._maker.made_of
        return of.differs(recon) if of is not None and self.state is not None and recon._inputs.stale else ""

    @property
    def cluster(self) -> str:
        """Who the latest run was worked on by, "2 workers, dashboard http://..."; empty if that was this process."""
        whole = self.whole
        return repr(whole.hands) if isinstance(whole, ClusterProblem) else ""

    @property
    def volume(self) -> np.ndarray | None:
        """(Z, Y, X) float32, rad per voxel, detector frame: what a tilt series has found; None where there is none."""
        present = self.present
        if present is None or not isinstance(present[0], TiltSeries):
            return None
        return np.asarray(present[0].backend.to_numpy(present[1].object))

    @property
    def voxel(self) -> tuple[float, float, float] | None:
        """Size of a voxel (z, y, x) in A; None where there is no volume."""
        problem = self.problem
        return problem.voxel if isinstance(problem, TiltSeries) else None

    @property
    def object(self) -> np.ndarray | None:
        """(Y, X) complex64 transmission or float32 phase in rad, detector frame; (S, Y, X) for several slices.

        Of a tilt series :attr:`volume`.
        """
        present = self.present
        if present is None:
            return None
        obj = present[0].backend.to_numpy(present[1].object)
        return obj[0] if len(obj) == 1 and self.voxel is None else obj

    @property
    def object_phase(self) -> np.ndarray | None:
        """(H, W) rad, in the scan frame, cropped to the scan, at the object's own pixel.

        Of a tilt series the projection of the volume along the beam at no tilt.
        """
        present = self.present
        return None if present is None else shown_transmission(*present)[0]

    @property
    def object_amplitude(self) -> np.ndarray | None:
        """(H, W), as :attr:`object_phase`."""
        present = self.present
        return None if present is None else shown_transmission(*present)[1]

    @property
    def slices(self) -> np.ndarray | None:
        """(S, H, W) rad: the phase of every slice, the beam's entrance first, as :attr:`object_phase`.

        Of a tilt series the layers of the volume.
        """
        present = self.present
        if present is None:
            return None
        return np.array([shown_transmission(*present, slice=s)[0] for s in range(len(present[1].object))])

    @property
    def depths(self) -> np.ndarray | None:
        """(S + 1,) A: where slices begin and the last one ends; 0 for a model that knows no thickness."""
        present = self.present
        return None if present is None else np.r_[0.0, np.cumsum(thicknesses(present[1]))]

    def section(self, line: Line = ACROSS) -> tuple[np.ndarray, tuple[float, float]] | None:
        """A cut through all slices along a line of :attr:`object_phase`.

        Parameters
        ----------
        line : (float, float, float, float)
            Row and column of its ends, as parts of the image's height and width.

        Returns
        -------
        section : ndarray (S, W)
            rad.
        sampling : (float, float)
            A, in depth and along the line.
        """
        present = self.present
        return None if present is None else depth_section(*present, DisplaySettings(section=line).section or ACROSS)

    @property
    def modes(self) -> np.ndarray | None:
        """(M, Ny, Nx) complex64, corner-centred: the probe's modes at right angles, the brightest first."""
        probe = self.probe
        return None if probe is None else orthogonalise(probe if probe.ndim == 3 else probe[None])

    @property
    def occupations(self) -> np.ndarray | None:
        """(M,): share of each of :attr:`modes` in the counts."""
        modes = self.modes
        return None if modes is None else occupations(modes)

    @property
    def tds_strength(self) -> np.ndarray | None:
        """(C, H, W): share of the electrons that each element scatters diffusely, as :attr:`object_phase`; or None."""
        present = self.seen
        if present is None or "tds_strength" not in present[1].parameters:
            return None
        return np.array([shown_map(present[0], channel) for channel in present[1].parameters["tds_strength"]])

    @property
    def b_factors(self) -> dict[str, float] | None:
        """Debye-Waller factor B = 8 pi^2 u^2 of each element that scatters diffusely, A^2; or None."""
        present = self.seen
        diffuse = None if present is None else present[0].model.diffuse
        if present is None or diffuse is None or "b_factor" not in present[1].parameters:
            return None
        found = np.ravel(present[0].backend.to_numpy(present[1].parameters["b_factor"]))
        return {e: b for e, b in zip(diffuse.elements, found.tolist(), strict=True) if e != LEARNED}

    @property
    def diffuse_profile(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Radii (K,) in 1/A and learned shapes (L, K) of diffuse scattering: the share of a scattered electron in each
        1/A^2 of the detector; or None."""
        present = self.seen
        diffuse = None if present is None else present[0].model_at(present[1]).diffuse
        if present is None or diffuse is None or LEARNED not in diffuse.elements:
            return None
        return knots(diffuse.aperture, diffuse.reach).copy(), diffuse.weights(present[0].backend.to_numpy)

    @property
    def displacement(self) -> np.ndarray | None:
        """(H, W) A: root mean square of how far atoms move along one axis, as :attr:`object_phase`, of object modes;
        or None."""
        present = self.seen
        if present is None or "displacement" not in present[1].parameters:
            return None
        return shown_map(present[0], present[1].parameters["displacement"][None])

    @property
    def background(self) -> np.ndarray | None:
        """(Ny, Nx) counts that all patterns have in common, zero in the middle; or None."""
        present = self.seen
        if present is None or "background" not in present[1].parameters:
            return None
        return np.fft.fftshift(present[0].backend.to_numpy(present[1].parameters["background"]))

    @property
    def probe(self) -> np.ndarray | None:
        """(Ny, Nx) complex64, corner-centred: the present probe, or before the first run the one that would be used.

        (M, Ny, Nx) for several modes.
        """
        recon = self.recon
        present = self.seen
        if present is not None:
            probe = present[0].backend.to_numpy(present[1].probe)
            return probe[0] if len(probe) == 1 else probe
        if recon.dataset is None or recon.calibration is None or recon.calibration.missing:
            return None
        shape = recon.dataset.detector_shape
        sampling = recon.calibration.sampling(shape)
        if recon.given is not None and recon.given.probe is not None:
            known = recon.given.probe
            probe = fitted_probe(known, recon.given.probe_sampling, shape, sampling, len(known), 1.0)
            return probe[0] if len(probe) == 1 else probe
        return make_probe(recon.optics, shape, sampling, recon.calibration.require("energy"))

    @property
    def probe_fourier(self) -> np.ndarray | None:
        """(Ny, Nx) complex64, zero frequency in the corner."""
        probe = self.probe
        return None if probe is None else np.fft.fft2(probe, norm="ortho").astype(np.complex64)

    @property
    def positions(self) -> np.ndarray | None:
        """(J, 2) A, from object pixel [0, 0], detector frame."""
        present = self.seen
        return None if present is None else present[1].positions

    @property
    def position_corrections(self) -> np.ndarray | None:
        """(Ry, Rx, 2) A: how far each position has been moved along rows and columns, scan frame; None if none has.

        NaN where a position is left out.
        """
        present = self.seen
        moved = None if present is None else position_corrections(*present)
        return None if moved is None else np.stack([moved.real, moved.imag], axis=-1)

    @property
    def sampling(self) -> tuple[float, float] | None:
        """Object pixel (row, column) in A; in a coarse stage of the automatic schedule larger than the data's."""
        recon = self.recon
        problem = self.problem
        if problem is not None:
            return problem.sampling
        return None if recon.measurement is None else recon.measurement.sampling

    @property
    def losses(self) -> list[float]:
        """Normalised error of every finished iteration, measured before each update."""
        return [] if self.state is None else list(self.state.losses)

    @property
    def error(self) -> float | None:
        """The last of :attr:`losses`."""
        return self.losses[-1] if self.losses else None

    @property
    def memory(self) -> int:
        """Bytes of counts, object and probe that this reconstruction holds in memory."""
        of_tilts = self.recon._inputs.tilts.prepared.values()
        several = {id(one): one for one in (self.recon.measurement, *of_tilts) if one is not None}
        total = sum(one.patterns.held_bytes for one in several.values())
        if self.state is not None:
            total += self.state.object.nbytes + self.state.probe.nbytes
        return int(total)

    def snapshot(self) -> Snapshot | None:
        """Small arrays of the present state, ready to be shown; None before the first run."""
        recon = self.recon
        present = self.present
        if present is None:
            return None
        return take_snapshot(*present, recon.status, recon.target_iteration, recon.seconds_per_iteration, recon.look)
