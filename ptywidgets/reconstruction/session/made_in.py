"""Where in a notebook a reconstruction was made, which says whether it stands in for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptywidgets.reconstruction.session import ending
from ptywidgets.reconstruction.session.hosts import Cell, current_cell, drop_results, until_run_again, variables

if TYPE_CHECKING:
    from ptywidgets.reconstruction.reconstruction import Reconstruction


class MadeIn:
    """The cell in which a reconstruction was made, and the variables of the notebook that it had when last looked."""

    def __init__(self, recon: Reconstruction) -> None:
        self.recon = recon
        self.cell: Cell | None = current_cell()
        self.names: frozenset[str] = frozenset()
        until_run_again(recon, drop_results)
        if self.cell is not None:
            for run in ending.RUNS:
                run._made_in.names = variables(run) or run._made_in.names

    def take_over(self) -> None:
        """A run begins: others that this reconstruction stands in for stop, or two would fight for the processor."""
        for other in [run for run in ending.RUNS if self.replaces(run)]:
            other.stop()
            other.message = "Stopped: its cell was run again, which has started the same data anew."
        self.names = variables(self.recon)

    def replaces(self, other: Reconstruction) -> bool:
        """Whether this one was made in the place of another, of the same data.

        That is so when the cell of a notebook in which the other was made has been run again, or when another cell has
        given its variable to this one. Reconstructions that one execution makes, those of scripts, threads and
        processes, and those that have a variable of their own run beside each other.
        """
        mine, theirs = self.cell, other._made_in.cell
        if mine is None or theirs is None or mine.execution == theirs.execution or not _same_data(self.recon, other):
            return False
        return mine.again(theirs) or (bool(other._made_in.names & variables(self.recon)) and not variables(other))


def _same_data(one: Reconstruction, other: Reconstruction) -> bool:
    mine, theirs = (r.dataset if r.views is None else r.views.datasets[0] for r in (one, other))
    if mine is None or theirs is None:
        return False
    return mine is theirs or (mine.path == theirs.path and mine.name == theirs.name and mine.shape == theirs.shape)


__all__ = ["MadeIn"]
