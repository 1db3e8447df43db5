"""Changes of optics, plan and model by single names, and what of the settings follows when one is changed."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ptywidgets.engine.constraints import default_constraints
from ptywidgets.engine.core.errors import ParameterError, unknown_name
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.refinements import default_refinements
from ptywidgets.engine.solve.registry import algorithm_of
from ptywidgets.reconstruction.setting_hints import right_way

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


class Settings:
    """Optics, plan and model of a reconstruction."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon

    def begin(self) -> None:
        """Follow what is set from now on."""
        observe = self.recon.observe
        observe(self.follow_object_type, "object_type")
        observe(self.follow_config, "model")
        observe(self.follow_plan, "plan")
        observe(self.follow_schedule, ["schedule", "device", "hold", "find_unknown", "client"])
        observe(self.follow_model, ["model", "object_type"])

    def update_optics(self, /, **changes: Any) -> None:
        """Change fields of :attr:`optics`, or single aberrations by name: ``update_optics(defocus=500)``, in A."""
        recon = self.recon
        own = {k: v for k, v in changes.items() if k in {f.name for f in dataclasses.fields(Optics)}}
        rest = {k: v for k, v in changes.items() if k not in own}
        if rest:
            lens = recon.optics.replace(aberrations=own["aberrations"]) if "aberrations" in own else recon.optics
            own["aberrations"] = lens.aberrations.replace(**rest)
        recon.optics = recon.optics.replace(**own)

    def update_plan(self, /, **changes: Any) -> None:
        """Change fields of :attr:`plan`, or of its algorithm; a running reconstruction follows from its next batch."""
        recon, session = self.recon, self.recon._session
        own = {k: v for k, v in changes.items() if k in recon.plan.to_dict()}
        rest = {k: v for k, v in changes.items() if k not in own}
        if rest:
            algorithm = own.get("algorithm", recon.plan.algorithm)
            self._check_fields(algorithm, rest)
            own["algorithm"] = algorithm_of(algorithm).replace(**rest)
        plan, before = recon.plan.replace(**own), recon.plan
        if "iterations" in own:
            session.target = None
        recon.plan = plan
        if not session.active:
            return
        if recon.autosave is not None:
            try:
                recon._files.say_unsaveable()
            except ParameterError:
                recon.plan = before
                raise
        session.change_plan(recon.plan.replace(iterations=recon.target_iteration))

    def _check_fields(self, algorithm: Any, changes: dict[str, Any]) -> None:
        """Refuse what neither the plan nor its algorithm has, with where it belongs."""
        algorithm = algorithm_of(algorithm)
        fields = {f.name for f in dataclasses.fields(algorithm)}
        for name, value in changes.items():
            if name not in fields:
                way = right_way(name, value)
                if way and "update_plan" not in way:
                    raise ParameterError(f"a plan has no {name!r}; {way}")
                kind = f"parameter of Plan or {type(algorithm).__name__}"
                raise unknown_name(kind, name, [*self.recon.plan.to_dict(), *fields])

    # ---------------------------------------------------------------- following

    def follow_object_type(self, change: Any) -> None:
        """Another kind of object has other constraints, where they were the usual ones."""
        recon = self.recon
        if recon.plan.constraints == default_constraints(change["old"]):
            recon.plan = recon.plan.replace(constraints=default_constraints(change["new"]))

    def follow_config(self, change: Any) -> None:
        """What the model has to find is refined, and no longer when it has not: the rest of the plan stays."""
        recon = self.recon
        before, now = default_refinements(change["old"]), default_refinements(change["new"])
        if before != now:
            others = tuple(r for r in recon.plan.refinements if r not in before and type(r) not in map(type, now))
            recon.plan = recon.plan.replace(refinements=(*others, *now))

    def follow_plan(self, change: Any) -> None:
        """Whoever chooses batches or a rule has planned; how long and under which constraints is asked of both."""
        old, new = change["old"], change["new"]
        if (old.batch, old.algorithm) != (new.batch, new.algorithm):
            self.recon.schedule = "manual"

    def follow_schedule(self, change: Any) -> None:
        """During a run, say when it counts."""
        recon, name = self.recon, change["name"]
        if not recon._session.active:
            return
        if name in ("hold", "find_unknown"):
            recon.message = f"{name} counts for the next run that begins anew."
        else:
            what = {"schedule": "method", "client": "cluster"}.get(name, name)
            recon.message = f"The {what} changes with the next run: Stop, then Run."

    def follow_model(self, change: Any) -> None:
        """During a run, say when it counts."""
        session = self.recon._session
        if session.active and not session.preparing:
            goes_on = "Resume goes on with it" if session.status == "paused" else "Pause and Resume, or Stop and Run"
            self.recon.message = f"The model changes with the next run: {goes_on}."


__all__ = ["Settings"]
