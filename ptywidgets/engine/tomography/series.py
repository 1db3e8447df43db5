"""A volume seen from many tilts: a problem whose object is the volume, and whose views are ordinary problems.

    I_vj(k) = what the model of view v makes of the slices A_v V

A_v is the projection of a tilt, so that whatever a view may be (thin or multislice, of several modes, partly coherent,
with a background) a series may be as well. Algorithms that work on sums of gradients see the series as one problem,
with the volume's gradient sum_v A_v^T G_v. Those that work on windows go from view to view: they change the slices of
one, and the change is spread back over the volume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from ptywidgets.engine.algorithms.conjugate import ConjugateGradient
from ptywidgets.engine.algorithms.gradient import GradientDescent
from ptywidgets.engine.constraints.combine import acts_on, unwrapped
from ptywidgets.engine.core.errors import ParameterError, look_up
from ptywidgets.engine.core.protocols import Algorithm, Array, Backend, Constraint, Loss, Refinement, SeriesRefinement
from ptywidgets.engine.core.state import State
from ptywidgets.engine.data.patterns import Patterns
from ptywidgets.engine.losses.losses import get_loss
from ptywidgets.engine.models.composed import Model
from ptywidgets.engine.models.curvature import Direction
from ptywidgets.engine.models.gradients import Gradients
from ptywidgets.engine.preprocess.measurement import Measurement
from ptywidgets.engine.problem.batches import batches_of, shuffled
from ptywidgets.engine.problem.held_out import LEAST, HeldOut, hold_out
from ptywidgets.engine.problem.problem import Problem
from ptywidgets.engine.tomography import sums
from ptywidgets.engine.tomography.parts import found_projection, of_view, own_part, put_back
from ptywidgets.engine.tomography.projection import Projection

if TYPE_CHECKING:
    from ptywidgets.engine.solve.plan import Plan

ORDERINGS = ("shuffled", "serpentine")
COLLECTIVE = (GradientDescent, ConjugateGradient)  # work on the sum of all views' gradients


@dataclass(frozen=True, eq=False)
class TiltSeries:
    """Views of one volume, made by :func:`make_series`.

    It is a :class:`~ptywidgets.engine.core.protocols.ReconstructionProblem`, as a :class:`Problem` is.

    The state's `object` is the volume (Z, Y, X) in rad per voxel, `probe` holds M modes of each view one after the
    other (T M, Ny, Nx), `positions` those of all views (J, 2). What algorithms, refinements and models keep of a single
    view has the view's number before its name, as in "3 tds_strength".

    Parameters
    ----------
    views : tuple of Problem
        One for each tilt, on one grid, of potential objects and of equally many modes.
    projections : tuple of Projection
        One for each view.
    initial_object : ndarray (Z, Y, X)
    sequential : bool
        Whether every algorithm goes from view to view. By default gradient descent and conjugate gradients take all
        views together, and the others, which work on windows of slices, go from view to view.
    ordering : {"shuffled", "serpentine"} or tuple of int
        Of the views where it goes from one to the next: at random, up and down, or as told.
    """

    views: tuple[Problem, ...]
    projections: tuple[Projection, ...]
    initial_object: np.ndarray
    sequential: bool = False
    ordering: str | tuple[int, ...] = "shuffled"
    held: tuple[str, ...] = ()  # "probe", "object": what stays as it is at the start
    _found: dict[int, Projection] = field(default_factory=dict, init=False, repr=False)  # the latest of each view

    def __post_init__(self) -> None:
        if isinstance(self.ordering, str):
            object.__setattr__(self, "ordering", look_up("ordering", self.ordering, ORDERINGS))
        elif sorted(self.ordering) != list(range(len(self.views))):
            raise ParameterError(
                f"the ordering is {tuple(self.ordering)}; expected each of the {len(self.views)} views once, from 0."
            )
        if not self.views or len(self.views) != len(self.projections):
            raise ParameterError(f"{len(self.views)} views but {len(self.projections)} projections; give one for each.")
        for number, (view, projection) in enumerate(zip(self.views, self.projections, strict=True)):
            expected = (projection.slices, *projection.shape[1:])
            if view.object_shape != expected or projection.shape != self.initial_object.shape:
                raise ParameterError(
                    f"view {number} has an object {view.object_shape} and its projection makes {expected} of "
                    f"{projection.shape}, the volume being {self.initial_object.shape}; make_series fits them."
                )
            if view.model.specimen.object_type != "potential":
                raise ParameterError(
                    f"view {number} has a {view.model.specimen.object_type} object; phases add up along a beam and "
                    'transmissions do not: expected single_slice("potential") or another model of potentials.'
                )
            shape, expected = view.initial_probe.shape, self.views[0].initial_probe.shape
            if shape != expected:
                raise ParameterError(
                    f"view {number} has a probe {shape} but view 0 {expected}; give all views the same window and as "
                    "many modes."
                )

    # ------------------------------------------------------------------------------ what a problem tells

    @property
    def backend(self) -> Backend:
        return self.views[0].backend

    @property
    def model(self) -> Model:
        """That of the first view."""
        return self.views[0].model

    @property
    def loss(self) -> Loss:
        return self.views[0].loss

    @property
    def measurement(self) -> Measurement:
        """That of the first view."""
        return self.views[0].measurement

    @property
    def patterns(self) -> Patterns:
        """Those of the first view."""
        return self.views[0].patterns

    @property
    def sampling(self) -> tuple[float, float]:
        """Size of a voxel (row, column) in A."""
        return self.views[0].sampling

    @property
    def voxel(self) -> tuple[float, float, float]:
        """Size of a voxel (z, y, x) in A."""
        return self.projections[0].voxel

    @property
    def window(self) -> tuple[int, int]:
        return self.views[0].window

    vacuum = 0.0  # what the volume is where there is nothing

    @property
    def empty(self) -> bool:
        """Whether it begins with nothing at all."""
        return not self.initial_object.any()

    @property
    def slice_thickness(self) -> tuple[float, ...]:
        """Of each layer of voxels, in A: a volume has its own depth, whatever slices its views have."""
        return (self.voxel[0],) * self.object_shape[0]

    @property
    def held_out(self) -> tuple[HeldOut, ...] | None:
        """What was held out of each view; None unless it is of all of them."""
        parts = [view.held_out for view in self.views]
        known = tuple(part for part in parts if part is not None)
        return known if len(known) == len(parts) else None

    @property
    def object_shape(self) -> tuple[int, ...]:
        """(Z, Y, X)."""
        return self.initial_object.shape

    @property
    def count(self) -> int:
        """Number of positions J of all views."""
        return int(self._ends[-1])

    @cached_property
    def mean_intensity(self) -> float:
        """Mean counts of a pattern."""
        return sum(view.mean_intensity * view.count for view in self.views) / self.count

    @cached_property
    def curvature_bound(self) -> float:
        """That of the stiffest view."""
        return max(view.curvature_bound for view in self.views)

    @property
    def initial_probe(self) -> np.ndarray:
        """(T M, Ny, Nx)."""
        return np.concatenate([view.initial_probe for view in self.views])

    @property
    def scan_middle(self) -> np.ndarray:
        """(2,) A: the middle of the positions of all tilts."""
        first = self.initial_positions
        return (first.max(0) + first.min(0)) / 2

    @property
    def initial_positions(self) -> np.ndarray:
        """(J, 2) A."""
        return np.concatenate([view.initial_positions for view in self.views])

    @cached_property
    def _ends(self) -> np.ndarray:
        """First position of each view, and the number of all."""
        return np.cumsum([0, *(view.count for view in self.views)])

    @property
    def modes(self) -> int:
        """M of each view."""
        return len(self.views[0].initial_probe)

    def illumination(self) -> np.ndarray:
        """Intensity (Y, X) that the initial probes put on the image, all views together."""
        return np.sum([view.illumination() for view in self.views], axis=0)

    def field_of_view(self) -> np.ndarray:
        """Mask (Y, X) of the pixels that any view lights well."""
        return np.any([view.field_of_view() for view in self.views], axis=0)

    # ------------------------------------------------------------------------------ other series

    def to(self, device: str) -> TiltSeries:
        """The same series on another device, "cpu" or "gpu"."""
        moved = [view.to(device) for view in self.views]
        return replace(self, views=tuple(replace(view, backend=moved[0].backend) for view in moved))

    def with_volume(self, volume: np.ndarray) -> TiltSeries:
        """The same series, beginning with a volume (Z, Y, X) in rad per voxel."""
        return replace(self, initial_object=np.asarray(volume, np.float32))

    def with_loss(self, loss: str | Loss) -> TiltSeries:
        """The same series with another loss."""
        return replace(self, views=tuple(replace(view, loss=get_loss(loss)) for view in self.views))

    @property
    def scalable(self) -> bool:
        """A volume has one grid."""
        return False

    def with_held_out(self, *, seed: int = 0) -> TiltSeries:
        """The series without some of the counts, as :func:`ptywidgets.engine.problem.held_out.hold_out` of each
        view."""
        least = -(-LEAST // len(self.views))
        views = tuple(hold_out(view, seed=seed + number, least=least) for number, view in enumerate(self.views))
        split = replace(self, views=views)
        return self if split.held_out is None else split

    def with_initial(
        self, *, obj: np.ndarray | None = None, probe: np.ndarray | None = None, held: tuple[str, ...] | None = None
    ) -> TiltSeries:
        """The same series with another volume or other probes (T M, Ny, Nx) to begin with, or with another one held."""
        probes = [None if probe is None else probe[self.parts(number)[0]] for number in range(len(self.views))]
        return replace(
            self,
            views=tuple(v.with_initial(probe=own, held=held) for v, own in zip(self.views, probes, strict=True)),
            initial_object=self.initial_object if obj is None else obj,
            held=self.held if held is None else held,
        )

    def at_window(self, window: tuple[int, int]) -> TiltSeries:
        """The series itself: a volume has one grid.

        Raises
        ------
        ParameterError
            For another window than the views'.
        """
        if tuple(window) != self.window:
            raise ParameterError(
                f"a tilt series works on its whole window of {self.window} pixels and {tuple(window)} were asked for; "
                "crop the patterns before make_series for larger voxels."
            )
        return self

    def resample_state(self, state: State) -> State:
        """The state itself, which has the one grid that there is."""
        self.at_window(tuple(state.probe.shape[-2:]))
        first = {"probe": self.initial_probe, "object": self.initial_object}
        return (
            state.replace(**{name: self.backend.to_device(first[name]) for name in self.held}) if self.held else state
        )

    # ------------------------------------------------------------------------------ states

    def start(self) -> State:
        """The state before the first iteration."""
        parameters: dict[str, Any] = {}
        for number, view in enumerate(self.views):
            first = view.model.first_parameters(view.object_shape, view.window)
            parameters |= {f"{number} {name}": value for name, value in first.items()}
        state = State(
            self.initial_object,
            self.initial_probe,
            self.initial_positions,
            parameters=parameters,
            sampling=self.sampling,
            slice_thickness=self.slice_thickness,
        )
        return self.on_device(state)

    def on_device(self, state: State) -> State:
        """A state, from wherever it was, on this series' device."""
        return self.views[0].on_device(state)

    def view(self, state: State, number: int) -> State:
        """The state of one view: its slices A V, its probe, its positions, what it has found by itself."""
        return of_view(self, state, number)

    def own_part(self, state: State, number: int) -> State:
        """What of a state belongs to one view alone, with the whole volume as its object."""
        return own_part(self, state, number)

    def model_at(self, state: State) -> Model:
        """The first view's model, with what it has found of its parameters."""
        return self.views[0].model_at(own_part(self, state, 0))

    def projection(self, state: State, number: int) -> Projection:
        """A view's projection, with the tilt that a state has found for it."""
        return found_projection(self.projections[number], state.parameters.get(f"{number} tilt"), self._found, number)

    def project(self, volume: Array, number: int, state: State | None = None) -> Array:
        """Slices (S, Y, X) of a volume in one view, on the device; as tilted as a state says, where one is given."""
        return self.on_host(self.projections[number] if state is None else self.projection(state, number), volume)

    def gradients(self, state: State, batch: Any, *, with_probe: bool = True, with_others: bool = False) -> Gradients:
        """Loss and gradients over a batch of position indices of any views; :func:`sums.gradients`."""
        found = sums.gradients(self, state, batch, with_probe=with_probe, with_others=with_others)
        return replace(found, object=found.object * 0) if "object" in self.held else found

    def curvature(self, state: State, batch: Any, directions: Sequence[Direction]) -> np.ndarray:
        """Matrix (K, K) of the loss's second derivatives along directions; :func:`sums.curvature`."""
        return sums.curvature(self, state, batch, directions)

    def misfit(self, state: State) -> float:
        """Mean of the misfits of all views' held-out counts, per pattern; NaN where none are held out."""
        if self.held_out is None:
            return np.nan
        return float(np.mean([view.misfit(self.view(state, number)) for number, view in enumerate(self.views)]))

    def intensities(self, state: State, batch: Any) -> np.ndarray:
        """Modelled patterns (B, Ny, Nx), corner-centred, in the order of the views."""
        return np.concatenate(
            [self.views[number].intensities(self.view(state, number), places) for number, places in self.split(batch)]
        )

    # ------------------------------------------------------------------------------ the loop

    def goes_by_view(self, algorithm: Algorithm) -> bool:
        """Whether an algorithm goes from view to view."""
        return self.sequential or not isinstance(algorithm, COLLECTIVE)

    def advance(self, algorithm: Algorithm, state: State, batch: Any) -> State:
        """The state after an algorithm's work on a batch: on all views together, or on one after the other."""
        if isinstance(algorithm, COLLECTIVE) and not self.goes_by_view(algorithm):
            return algorithm.advance(self, state, batch)
        if isinstance(algorithm, ConjugateGradient):
            raise ParameterError(
                "conjugate gradients remember how the whole volume moved and cannot go from view to view; "
                "make the series with sequential=False, or take PIE, LSQML or GradientDescent."
            )
        kept = {name: array for name, array in state.memory.items() if name[0].isdigit()}  # of views
        state = state.replace(memory=kept)
        for number, places in self.split(batch):
            before = self.view(state, number)
            after = algorithm.advance(self.views[number], before, places)
            state = put_back(self, state, number, before, after)
        return state

    def order(self, state: State, plan: Plan, generator: np.random.Generator) -> np.ndarray:
        """The order (J,) of positions: view by view, but for gradient descent on all views together."""
        if isinstance(plan.algorithm, GradientDescent) and not self.sequential:
            return shuffled(state.positions, plan.batch, generator)
        parts = []
        for number in self._views_in_order(state, generator):
            part = self.parts(number)[1]
            parts.append(part.start + shuffled(state.positions[part], plan.batch, generator))
        return np.concatenate(parts)

    def batches(self, order: np.ndarray, size: int | None, plan: Plan | None = None) -> list[np.ndarray]:
        """An order, cut into batches; where it goes view by view, each batch is of one view.

        Counts that stay on disk are read ahead in it from now on.
        """
        numbers = self._numbers(order)
        runs = np.split(order, np.flatnonzero(np.diff(numbers)) + 1)
        batches = (
            batches_of(order, size)
            if len(runs) != len(self.views)
            else [batch for run in runs for batch in batches_of(run, size)]
        )
        for number, view in enumerate(self.views):
            first, end = self._ends[number], self._ends[number + 1]
            own = [batch[(batch >= first) & (batch < end)] - first for batch in batches]
            view.patterns.read_ahead([part for part in own if len(part)])
        return batches

    def constrained(self, constraint: Constraint) -> Callable[[State], State]:
        """What applies a constraint: to the volume, or to each view's own probe and positions."""
        if acts_on(constraint) == "object":
            return constraint.prepare(self)
        applied = [constraint.prepare(view) for view in self.views]

        def apply(state: State) -> State:
            for number, one in enumerate(applied):
                before = self.view(state, number)
                state = put_back(self, state, number, before, one(before).replace(object=before.object))
            return state

        return apply

    def refined(self, refinement: Refinement) -> Callable[[State, Any], State]:
        """What refines each view that a batch has seen, by itself; tilts are the series' own.

        Raises
        ------
        ParameterError
            For thickness and tilt of the slices, which are those of the projections.
        """
        if _is_of_tilts(refinement):
            return refinement.prepare(self)
        inner = unwrapped(refinement)
        if getattr(inner, "thickness", "no") != "no" or getattr(inner, "tilt", False):
            raise ParameterError(
                f"{type(inner).__name__} is to refine thickness or tilt of the slices; in a tilt series the volume "
                "makes them: leave both out, and refine what else there is."
            )
        refine = [refinement.prepare(view) for view in self.views]

        def apply(state: State, batch: Any) -> State:
            for number, places in self.split(batch):
                before = self.view(state, number)
                state = put_back(self, state, number, before, refine[number](before, places))
            return state

        return apply

    def split(self, batch: Any) -> list[tuple[int, np.ndarray]]:
        """A batch's views, in the order in which they come, each with its own position indices."""
        batch = np.asarray(batch)
        numbers = self._numbers(batch)
        return [(int(n), batch[numbers == n] - self._ends[n]) for n in dict.fromkeys(numbers.tolist())]

    # ------------------------------------------------------------------------------ helpers

    def _numbers(self, positions: Any) -> np.ndarray:
        """Which view each position is of."""
        return np.searchsorted(self._ends, np.asarray(positions), side="right") - 1

    def parts(self, number: int) -> tuple[slice, slice]:
        """A view's modes and positions among those of all."""
        return (
            slice(number * self.modes, (number + 1) * self.modes),
            slice(int(self._ends[number]), int(self._ends[number + 1])),
        )

    def on_host(self, function: Callable[[np.ndarray], np.ndarray], array: Array) -> Array:
        """A projection's work, which is done in host memory."""
        return self.backend.to_device(function(self.backend.to_numpy(array)))

    def _views_in_order(self, state: State, generator: np.random.Generator) -> list[int]:
        count = len(self.views)
        if not isinstance(self.ordering, str):
            return list(self.ordering)
        if self.ordering == "shuffled":
            return generator.permutation(count).tolist()
        return list(range(count))[:: 1 if state.iteration % 2 == 0 else -1]


def _is_of_tilts(refinement: Refinement | SeriesRefinement) -> TypeGuard[SeriesRefinement]:
    """Whether a refinement is one of the whole series."""
    return acts_on(refinement) == "tilts"
