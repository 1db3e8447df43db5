"""A dataset and what is done with it as text: one line of facts, and lines of Python."""

from __future__ import annotations

from ptywidgets.engine.data.dataset import Dataset
from ptywidgets.engine.data.dataset_checks import in_bytes
from ptywidgets.engine.data.virtual import Detector
from ptywidgets.widgets.controls.formatting import count_text


def dataset_summary(dataset: Dataset, mean_counts: float | None = None) -> str:
    """Name, shape, type and size; counts of a pattern and dose, where they are known.

    Examples
    --------
    >>> import numpy as np
    >>> dataset_summary(Dataset(np.ones((2, 3, 4, 4), np.uint8), name="ones").with_calibration(scan_step=2), 1600.0)
    'ones · scan 2 × 3, detector 4 × 4 (rows × columns) · uint8 · 96 B · 1 600 counts per pattern · 400 e⁻/Å²'
    """
    (ry, rx), (qy, qx) = dataset.scan_shape, dataset.detector_shape
    parts = [
        dataset.name,
        f"scan {ry} × {rx}, detector {qy} × {qx} (rows × columns)",
        str(dataset.dtype),
        in_bytes(dataset.nbytes),
    ]
    if mean_counts is not None:
        parts.append(f"{count_text(mean_counts)} counts per pattern")
        if dataset.calibration.scan_step is not None:
            parts.append(f"{count_text(dataset.calibration.dose(mean_counts))} e⁻/Å²")
    return " · ".join(filter(None, parts))


def browser_code(
    dataset: Dataset | None,
    position: tuple[int, int],
    region: tuple[int, int, int, int] | None,
    detector: Detector | None,
) -> str:
    """Python lines that make the pattern and the virtual image of a browser."""
    lines = ["import ptywidgets"]
    lines += ["from ptywidgets.engine.data.virtual import VirtualImager, annulus_mask, disk_mask, rectangle_mask", ""]
    if dataset is not None and dataset.path is not None:
        lines.append(f"dataset = {dataset.source.code}")
    chosen = f"mean_pattern({region})" if region is not None else f"pattern({position[0]}, {position[1]})"
    lines.append(f"pattern = dataset.{chosen}")
    if detector is not None:
        lines += ["shape = dataset.detector_shape", f"mask = {detector.code}"]
        lines.append("virtual_image = VirtualImager(dataset).image(mask)")
    return "\n".join(lines)


__all__ = ["browser_code", "dataset_summary"]
