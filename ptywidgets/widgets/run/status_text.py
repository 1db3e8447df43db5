"""A run as text: its status, settings, stage and messages."""

from __future__ import annotations

import re

from ptywidgets.engine.checks.doubts import doubtful
from ptywidgets.engine.core.errors import PtyError
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.problem.model_config import ModelConfig
from ptywidgets.engine.solve.plan import AUTOMATIC
from ptywidgets.reconstruction import Reconstruction, TiltSeriesData
from ptywidgets.widgets.controls.formatting import duration_text, short_number, spaced_name, typeset


def iterations_done(recon: Reconstruction) -> int:
    """The newest known number of finished iterations; the trait may be a tenth of a second behind."""
    return max(recon.iteration, len(recon.losses))


def progress_text(recon: Reconstruction) -> str:
    """The progress of a run: ``running, iteration 12 of 64, 0.31 s each, 16 s left, error 2.1e-3, memory 300 MB``.

    Examples
    --------
    >>> progress_text(Reconstruction())
    'no data yet'
    """
    status, done, planned = recon.status, iterations_done(recon), recon.target_iteration
    if status == "empty":
        return "no data yet"
    automatic = recon.schedule == "automatic"
    most = "at most " if automatic else ""
    if status == "ready":
        return f"ready, {most}{planned} iterations planned"
    if status == "running" and recon.state is None:
        return "running, preparing the data"
    if recon.state is None:
        return status
    ended = status in ("finished", "doubtful")
    parts = [status_label(recon), f"iteration {done} of {'' if ended else most}{planned}"]
    pace = recon.seconds_per_iteration
    if pace is not None and status in ("running", "paused"):
        left = f"{duration_text(max(0, planned - done) * pace)} left"
        parts += [f"{duration_text(pace)} each", *([] if automatic else [left])]
    if recon.error is not None:
        parts.append(f"error {short_number(recon.error)}")
    if recon.result.made_with:
        parts.append(f"made with {recon.result.made_with}")
    if recon.result.cluster:
        parts.append(f"on a cluster of {recon.result.cluster}")
    return ", ".join([*parts, f"memory {in_bytes(recon.memory)}"])


def status_label(recon: Reconstruction) -> str:
    """The status as it is shown: what has ended and is doubted differs from what is not.

    Examples
    --------
    >>> status_label(Reconstruction())
    'empty'
    """
    if recon.status == "doubtful":
        return "doubtful result"
    return "finished, with doubts" if recon.status == "finished" and recon.doubts else recon.status


def run_message(recon: Reconstruction) -> str:
    """The message of the reconstruction, with the names of widgets' fields where something has to be given.

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
    """The severity of that message and of the status: "bad", "warn" or "note".

    Examples
    --------
    >>> message_kind(Reconstruction())
    'note'
    """
    return "bad" if recon.status == "error" else "warn" if recon.doubts or recon.status == "doubtful" else "note"


def plan_text(recon: Reconstruction) -> str:
    """The settings in one line.

    Examples
    --------
    >>> plan_text(Reconstruction())
    'automatic, at most 64 iterations, potential object; positivity, probe centre'
    >>> plan_text(Reconstruction(schedule="manual"))
    '64 iterations, batches of 512, step 0.5, potential object; positivity, probe centre'
    """
    plan = recon.plan
    batch = "all patterns at once" if plan.batch is None else f"batches of {plan.batch}"
    step = f", step {plan.algorithm.step:g}" if hasattr(plan.algorithm, "step") else ""
    constraints = ", ".join(spaced_name(type(c).__name__).lower() for c in plan.constraints) or "no constraints"
    how = f"automatic, at most {plan.iterations} iterations"
    if recon.schedule == "manual":
        how = f"{plan.iterations} iterations, {batch}{step}"
    if plan.loss != AUTOMATIC:
        how += f", {plan.loss} loss"
    refined = ", ".join(spaced_name(type(r).__name__).lower() for r in plan.refinements)
    acting = f"{constraints}; {refined}" if refined else constraints
    begun = "" if recon.given is None else f"; starts with the {recon.given.words}"
    return f"{how}, {recon.object_type} object{model_text(recon.model, recon.views)}; {acting}{begun}"


def model_text(config: ModelConfig, views: TiltSeriesData | None = None) -> str:
    """What a model has beyond a thin specimen and one mode, to follow "object"; nothing for those.

    Of a tilt series, `views`, the volume is told.

    Examples
    --------
    >>> model_text(ModelConfig(slices=3, thickness=60, modes=2, diffuse="Mo, S"))
    ' in 3 slices of 20 Å, 2 probe modes, diffuse scattering of Mo, S'
    >>> model_text(ModelConfig())
    ''
    """
    c = config
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


def stage_text(recon: Reconstruction) -> str:
    """What the automatic schedule does at present, and why; nothing for a plan.

    Examples
    --------
    >>> stage_text(Reconstruction())
    ''
    """
    stage, status = recon.stage, recon.status
    if stage is None or status == "ready":
        return ""
    where = f"Stage {recon.stages.index(stage) + 1} of {len(recon.stages)}, {stage.name}"
    size = " × ".join(map(str, stage.window))
    if status in ("finished", "doubtful"):
        return (
            f"{where}: converged." if stage.until_settled and recon.iteration < recon.plan.iterations else where + "."
        )
    return f"{where} on {size} pixels: {stage.why}."


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


__all__ = [
    "default_path",
    "iterations_done",
    "message_kind",
    "model_text",
    "plan_text",
    "progress_text",
    "run_message",
    "stage_text",
    "status_label",
]
