"""A run in words: its status, its settings, times and numbers."""

from __future__ import annotations

import re

from ptywidgets.engine.composition import Composition
from ptywidgets.engine.dataset_checks import in_bytes
from ptywidgets.engine.doubts import doubtful
from ptywidgets.engine.errors import PtyError
from ptywidgets.engine.plan import AUTOMATIC
from ptywidgets.reconstruction import Reconstruction, Views
from ptywidgets.widgets.boxes import typeset


def iterations_done(recon: Reconstruction) -> int:
    """The newest known number of finished iterations; the trait may be a tenth of a second behind."""
    return max(recon.iteration, len(recon.losses))


def status_words(recon: Reconstruction) -> str:
    """Where a run stands: ``running, iteration 12 of 64, 0.31 s each, 16 s left, error 2.1e-3, memory 300 MB``.

    Examples
    --------
    >>> status_words(Reconstruction())
    'no data yet'
    """
    status, done, planned = recon.status, iterations_done(recon), recon.target_iteration
    if status == "empty":
        return "no data yet"
    most = "at most " if recon.auto else ""
    if status == "ready":
        return f"ready, {most}{planned} iterations planned"
    if status == "running" and recon.state is None:
        return "running, preparing the data"
    if recon.state is None:
        return status
    ended = status in ("finished", "doubtful")
    parts = [ending(recon), f"iteration {done} of {'' if ended else most}{planned}"]
    pace = recon.seconds_per_iteration
    if pace is not None and status in ("running", "paused"):
        left = f"{duration(max(0, planned - done) * pace)} left"
        parts += [f"{duration(pace)} each", *([] if recon.auto else [left])]
    if recon.error is not None:
        parts.append(f"error {short(recon.error)}")
    return ", ".join([*parts, f"memory {in_bytes(recon.memory)}"])


def ending(recon: Reconstruction) -> str:
    """The status as it is shown: what has ended and is doubted is told from what is not.

    Examples
    --------
    >>> ending(Reconstruction())
    'empty'
    """
    if recon.status == "doubtful":
        return "doubtful result"
    return "finished, with doubts" if recon.status == "finished" and recon.doubts else recon.status


def run_message(recon: Reconstruction) -> str:
    """What the reconstruction says, where something has to be given in the words of widgets.

    Examples
    --------
    >>> run_message(Reconstruction())
    ''
    """
    error = recon.exception
    told = error.told("widget") if recon.status == "error" and isinstance(error, PtyError) else recon.message
    if recon.doubts:
        told = told.replace(doubtful(recon.doubts), doubtful(recon.doubts, "widget"))
    return typeset(told)


def message_kind(recon: Reconstruction) -> str:
    """How that, and the status, are to be taken: "bad", "warn" or "note".

    Examples
    --------
    >>> message_kind(Reconstruction())
    'note'
    """
    return "bad" if recon.status == "error" else "warn" if recon.doubts or recon.status == "doubtful" else "note"


def plan_words(recon: Reconstruction) -> str:
    """The settings in one line.

    Examples
    --------
    >>> plan_words(Reconstruction())
    'automatic, at most 64 iterations, potential object; positivity, probe centre'
    >>> plan_words(Reconstruction(auto=False))
    '64 iterations, batches of 512, step 0.5, potential object; positivity, probe centre'
    """
    plan = recon.plan
    batch = "all patterns at once" if plan.batch is None else f"batches of {plan.batch}"
    step = f", step {plan.algorithm.step:g}" if hasattr(plan.algorithm, "step") else ""
    constraints = ", ".join(in_words(type(c).__name__).lower() for c in plan.constraints) or "no constraints"
    how = f"automatic, at most {plan.iterations} iterations"
    if not recon.auto:
        how = f"{plan.iterations} iterations, {batch}{step}"
    if plan.loss != AUTOMATIC:
        how += f", {plan.loss} loss"
    refined = ", ".join(in_words(type(r).__name__).lower() for r in plan.refinements)
    acting = f"{constraints}; {refined}" if refined else constraints
    begun = "" if recon.given is None else f"; begins with the {recon.given.words}"
    return f"{how}, {recon.object_type} object{model_words(recon.composition, recon.views)}; {acting}{begun}"


def model_words(composition: Composition, views: Views | None = None) -> str:
    """What a model has beyond a thin specimen and one mode, to follow "object"; nothing for those.

    Of a tilt series, `views`, the volume is told.

    Examples
    --------
    >>> model_words(Composition(slices=3, thickness=60, modes=2, diffuse="Mo, S"))
    ' in 3 slices of 20 Å, 2 probe modes, diffuse scattering of Mo, S'
    >>> model_words(Composition())
    ''
    """
    c = composition
    parts = [
        (views, f" of {c.thickness:.3g} Å in {views}"),
        (c.slices > 1, f"{'' if views else ' in '}{c.slices} slices of {c.thickness / c.slices:.3g} Å"),
        (c.modes > 1, f"{c.modes} probe modes"),
        (c.source_size, f"source of {c.source_size:.3g} Å"),
        (c.focal_spread, f"focal spread of {c.focal_spread:.3g} Å"),
        (c.diffuse, f"diffuse scattering of {c.diffuse}"),
        (c.object_modes > 1, f"{c.object_modes} object modes"),
        (c.background, "background"),
        (c.blur, f"point spread of {c.blur:.3g} px"),
    ]
    told = [text for there, text in parts if there]
    return "" if not told else ", ".join(told) if c.slices > 1 or views else ", " + ", ".join(told)


def stage_words(recon: Reconstruction) -> str:
    """What the automatic schedule does at present, and why; nothing for a plan.

    Examples
    --------
    >>> stage_words(Reconstruction())
    ''
    """
    stage, status = recon.stage, recon.status
    if stage is None or status == "ready":
        return ""
    where = f"Stage {recon.stages.index(stage) + 1} of {len(recon.stages)}, {stage.name}"
    size = " × ".join(map(str, stage.window))
    if status in ("finished", "doubtful"):
        return f"{where}: settled." if stage.until_settled and recon.iteration < recon.plan.iterations else where + "."
    return f"{where} on {size} pixels: {stage.why}."


def in_words(name: str) -> str:
    """The name of a class as words.

    Examples
    --------
    >>> in_words("VacuumBaseline")
    'Vacuum baseline'
    """
    return name[0] + "".join(f" {c.lower()}" if c.isupper() else c for c in name[1:])


def default_path(recon: Reconstruction) -> str:
    """A file name after the name of the data; of a tilt series that of the first.

    Examples
    --------
    >>> default_path(Reconstruction())
    'data_reconstruction.h5'
    """
    name = "" if recon.dataset is None else recon.dataset.name
    if recon.views is not None:
        name = f"{recon.views.datasets[0].name}_series"
    safe = re.sub(r"[^\w.-]+", "_", name).strip("._")
    return f"{safe or 'data'}_reconstruction.h5"


def short(number: float) -> str:
    """A small number in three digits.

    Examples
    --------
    >>> short(0.00214), short(0.5)
    ('2.14e-3', '0.5')
    """
    return f"{number:.3g}" if number >= 0.01 else f"{number:.2e}".replace("e-0", "e-")


def duration(seconds: float) -> str:
    """A time in two digits, in a unit that fits.

    Examples
    --------
    >>> duration(0.0313), duration(0.312), duration(16.4), duration(200)
    ('31 ms', '0.31 s', '16 s', '3 min 20 s')
    """
    if seconds < 0.0995:
        return f"{1e3 * seconds:.2g} ms"
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


__all__ = [
    "default_path",
    "duration",
    "ending",
    "in_words",
    "iterations_done",
    "message_kind",
    "plan_words",
    "run_message",
    "short",
    "stage_words",
    "status_words",
]
