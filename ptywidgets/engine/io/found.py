"""What a reader of one format hands over."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ptywidgets.engine.io.claims import Claim


@dataclass(frozen=True)
class Found:
    """Patterns and what the file states about them, before the user's own values are put on top."""

    data: Any  # (Ry, Rx, Qy, Qx), lazy; (T, Ry, Rx, Qy, Qx) of a series
    claims: list[Claim] = field(default_factory=list)
    vacuum: np.ndarray | None = None  # (Qy, Qx)
    metadata: dict[str, str] = field(default_factory=dict)
    at: str = ""  # path inside the file
    vacuum_at: str = ""  # of the vacuum pattern, inside the file
