"""Colour maps by name: the same stops as ``js/lib/colormaps.ts``, so that a PNG has the colours of the screen.

Equally spaced stops of six hexadecimal digits, interpolated to 256 entries. The sequential and diverging stops and
``turbo`` are samples of the maps of those names in matplotlib (all but ``turbo`` perceptually uniform). ``phase`` is a
cyclic wheel of nearly constant lightness (OKLCH with C = 0.12, L = 0.74 - 0.05 cos h): phase 0 is orange, +-pi is blue,
and the small slope of L from the red to the green side tells the two apart for readers who do not see red and green.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from ptywidgets.engine.core.errors import look_up

STOPS: dict[str, str] = {
    "gray": ("000000ffffff"),
    "magma": (
        "0000040303120a0822130d341e11492a115c38106c45107754137d6018806d1d81792282882781942c80a1307eae347b"
        "bd3977ca3e72d6456ce24d66ec5860f3655cf8745cfb835ffd9467fea36ffeb27afec185fed194fde0a1fceeb0fcfdbf"
    ),
    "inferno": (
        "0000040403120b0724150b37230c4c310a5c3e09664c0c6b5a116e67166e741a6e801f6c8f24699b2964a82e5fb43359"
        "c13a50cc4248d74b3fe05536e9612bef6e21f57b17f8890cfb9906fca80dfbb81df9c72ff5d949f2e865f3f586fcffa4"
    ),
    "viridis": (
        "440154470d6048186a482374472e7c4538824241863e4a893a548c365d8d32658e2e6d8e2b758e287d8e25848e228c8d"
        "1f948c1e9c8920a38625ab822eb37c3aba7648c16e58c7656ccd5a7fd34e93d741a8db34c0df25d5e21aeae51afde725"
    ),
    "cividis": (
        "00224e00285b002e6a0533711c396f293f6e33446d3c4a6c45506c4d556c555b6d5c616e6467706b6d72727274787877"
        "807f78888578908b78979177a09875a89e73b0a571b9ab6dc2b369cbb965d3c05fdcc859e6d051efd748f8df3cfee838"
    ),
    "RdBu": (
        "0530610e41791752901f63a82b73b33681ba408fc1569fc971b0d38ac0dba0cce2b3d6e8cae1eed8e9f1e4eef4f0f4f6"
        "f8f2effae9dffce0d0fcd5bff9c2a7f6b191f19e7de8896cdd7059d35a4ac84440bd2d35ae172a960f277f082367001f"
    ),
    "turbo": (
        "30123b392a734040a24456c7476ee64682f84196ff35abf825c0e71ad2d218e0bd22ebaa3cf58e59fb7379fe5996fe44"
        "affa37c3f134d7e535e7d739f5c53afcb336fe9e2ffc8725f66c19ed5510e2430ad43305c12302ac1701950d017a0403"
    ),
    "phase": (
        "49c8ec58c2f369baf879b2fa89a9f897a1f3a498ecb090e2ba89d6c383c8cb7fb9d27ca9d77a99db7b89dd7d7ade816b"
        "dd875eda8e52d6964acfa046c6a948bbb250aebb5d9fc36c8fc97d7dce906ad2a257d3b448d3c53ed1d43fcee149c8ec"
    ),
}
CYCLIC = frozenset({"phase"})
DIVERGING = frozenset({"RdBu"})


@cache
def table(name: str) -> np.ndarray:
    """256 colours of a map, ``(256, 3)`` uint8, read-only; a cyclic map does not repeat its first colour at the end.

    Examples
    --------
    >>> table("gray")[[0, 128, 255]].tolist()
    [[0, 0, 0], [128, 128, 128], [255, 255, 255]]
    """
    check(name)
    stops = np.frombuffer(bytes.fromhex(STOPS[name]), np.uint8).reshape(-1, 3).astype(float)
    place = np.arange(256) / (256 if name in CYCLIC else 255) * (len(stops) - 1)
    below = np.minimum(place.astype(int), len(stops) - 2)
    fraction = (place - below)[:, None]
    colours = np.floor(stops[below] * (1 - fraction) + stops[below + 1] * fraction + 0.5).astype(np.uint8)
    colours.flags.writeable = False
    return colours


def check(name: str) -> str:
    """The name itself where there is such a map; else an error that names the nearest."""
    return look_up("colour map", name, STOPS)
