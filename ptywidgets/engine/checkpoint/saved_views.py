"""The views of a saved tilt series: which data each was made from, and how they were tilted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import h5py
import numpy as np

from ptywidgets.engine.checkpoint.fingerprint import fingerprint
from ptywidgets.engine.checkpoint.plain import from_plain, to_plain
from ptywidgets.engine.checkpoint.saved_data import SavedData, read_data, write_data
from ptywidgets.engine.data.dataset import Calibration, Dataset
from ptywidgets.engine.io.formats.hdf5.emd_write import write_array, write_metadata
from ptywidgets.engine.optics.probe import Optics
from ptywidgets.engine.tomography.tilt import Tilt

GROUP = "tilt_series"
VACUUM = "vacuum of the optics of tilt "  # then its number, where every tilt has optics of its own
OLD_VACUUM = "vacuum of tilt "  # in files of older versions, and by now that of the data


@dataclass(frozen=True)
class SavedView:
    """One view of a saved tilt series."""

    tilt: Tilt
    calibration: Calibration
    name: str = ""
    path: str = ""
    fingerprint: str = ""
    optics: Optics | None = None  # where each view has its own
    data: SavedData | None = None  # None in files of older versions

    @classmethod
    def of(cls, dataset: Dataset, tilt: Tilt, optics: Optics | None = None) -> SavedView:
        """What there is to remember of a data set."""
        path = "" if dataset.path is None else str(dataset.path.absolute())
        return cls(tilt, dataset.calibration, dataset.name, path, fingerprint(dataset), optics, SavedData.of(dataset))


def write_views(root: h5py.Group, views: Sequence[SavedView]) -> None:
    """One table of tilts (T, 3), in degrees about x, y and z, and texts for each view."""
    told = [
        "" if view.data is None else write_data(root, view.data, f"tilt {number}") for number, view in enumerate(views)
    ]
    write_metadata(
        root,
        GROUP,
        {
            "sources": told,
            "tilts_degrees": np.array([(view.tilt.x, view.tilt.y, view.tilt.z) for view in views]),
            "names": [view.name for view in views],
            "paths": [view.path for view in views],
            "fingerprints": [view.fingerprint for view in views],
            "calibrations": [json.dumps(to_plain(view.calibration)) for view in views],
            "optics": [json.dumps(to_plain(view.optics)) for view in views],
            "vacuum_of_optics": VACUUM,
        },
    )
    for number, view in enumerate(views):
        if view.optics is not None and view.optics.vacuum is not None:
            write_array(root, f"{VACUUM}{number}", view.optics.vacuum, unit="intensity")


def read_views(root: h5py.Group) -> tuple[SavedView, ...]:
    """What :func:`write_views` wrote; nothing where there is one view."""
    group = root["metadatabundle"].get(GROUP)
    if group is None:
        return ()
    tilts = group["tilts_degrees"][...]
    told = {
        name: [group[name][str(n)][()].decode() for n in range(len(tilts))]
        for name in ("names", "paths", "fingerprints", "calibrations", "optics")
    }
    sources = group.get("sources")  # not in files of older versions
    vacuum = VACUUM if "vacuum_of_optics" in group else OLD_VACUUM
    views = []
    for number, angles in enumerate(tilts):
        optics = from_plain(json.loads(told["optics"][number]))
        if optics is not None and f"{vacuum}{number}" in root:
            optics = optics.replace(vacuum=root[f"{vacuum}{number}"]["data"][...])
        source = "" if sources is None else sources[str(number)][()].decode()
        views.append(
            SavedView(
                Tilt(*map(float, angles)),
                from_plain(json.loads(told["calibrations"][number])),
                told["names"][number],
                told["paths"][number],
                told["fingerprints"][number],
                optics,
                read_data(root, source, f"tilt {number}") if source else None,
            )
        )
    return tuple(views)


__all__ = ["SavedView", "read_views", "write_views"]
