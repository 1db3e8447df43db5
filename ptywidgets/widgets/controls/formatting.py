"""Numbers, units, times and names as text for the screen."""

from __future__ import annotations

import re
from typing import Any

from ptywidgets.engine.preprocess import wrapped_angle

UNITS = {"A": "Å", "1/A": "Å⁻¹", "A2": "Å²", "A^2": "Å²", "e/A^2": "e⁻/Å²", "degrees": "°", "px": "px"}
# Signs of the engine's plain text, each where it cannot be part of a path
_PRINTED = {"+-": "±", "e/A^2": "e⁻/Å²", "1/A": "Å⁻¹", "A": "Å"}
_SIGNS = re.compile(
    r"\+-(?= ?\d)|(?<=\d )(?:e/A\^2|1/A|A)(?![\w/\\-]|\.\w)|(?<=\bin )A(?![\w/\\-]|\.\w)|(?<=\()(?:1/A|A)(?=\))"
)


def unit_text(unit: str) -> str:
    """A unit as it is shown: ``1/A`` is Å⁻¹."""
    return UNITS.get(unit, unit)


def typeset(text: str) -> str:
    """A sentence of the engine with typographic signs: ± for +-, Å for A where it is a unit; not within a path.

    Examples
    --------
    >>> typeset("defocus (A): 338 A (+- 4), dose 2e+03 e/A^2, pixel 0.02 1/A; the step is in A.")
    'defocus (Å): 338 Å (± 4), dose 2e+03 e⁻/Å², pixel 0.02 Å⁻¹; the step is in Å.'
    >>> typeset("/data/series 3 A/run 1 A.h5")
    '/data/series 3 A/run 1 A.h5'
    """
    return _SIGNS.sub(lambda found: _PRINTED[found[0]], text)


def number_text(value: Any) -> str:
    """A number in at most six digits; nothing for None.

    Examples
    --------
    >>> number_text(0.025), number_text(None), number_text(80000.0)
    ('0.025', '', '80000')
    """
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " x ".join(map(number_text, value))
    if isinstance(value, float) and value != 0 and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.5g}"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def count_text(value: float) -> str:
    """A count to three digits, in thousands where that is readable.

    Examples
    --------
    >>> count_text(400018.3), count_text(12.345), count_text(3.2e9)
    ('400 000', '12.3', '3.2e+09')
    """
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}".replace(",", " ") if 1e3 <= abs(rounded) < 1e8 else f"{rounded:g}"


def quantity_text(value: object, uncertainty: float | None = None, unit: str = "") -> str:
    """A value with its uncertainty and unit, as text.

    Examples
    --------
    >>> quantity_text(-15.0234, 0.0612, "degrees"), quantity_text(498.2, 3.1, "A"), quantity_text(True)
    ('−15.02 ± 0.06°', '498 ± 3 Å', 'yes')
    >>> quantity_text(0.02503), quantity_text(12.0, 0.0), quantity_text("plane"), quantity_text(None)
    ('0.02503', '12', 'plane', '')
    >>> quantity_text(4e5, unit="e/A^2"), quantity_text(4096, unit="px")
    ('400 000 e⁻/Å²', '4096 px')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if not isinstance(value, (int, float)):
        return str(value)
    message = f"{value:.4g}" if isinstance(value, float) else str(value)
    if "e+" in message:
        message = count_text(float(value))
    if uncertainty:
        # As many digits as the first one of the uncertainty, or two where that is a 1.
        lead = f"{abs(uncertainty):.1e}"
        places = max(0, -int(lead.split("e")[1]) + (lead[0] == "1"))
        message = f"{value:.{places}f} ± {uncertainty:.{places}f}" if places < 7 else f"{value:.3g} ± {uncertainty:.1g}"
    if not message.split(" ")[0].strip("-0."):  # no minus zero
        message = message.lstrip("-")
    message = message.replace("-", "−")
    text = unit_text(unit)
    return f"{message}{'' if text in ('°', '') else ' '}{text}"


def degrees_text(angle: float, digits: int = 1) -> str:
    """An angle in (-180, 180], with so many digits behind the point.

    Examples
    --------
    >>> degrees_text(-14.96), degrees_text(165.4, 0)
    ('−15.0°', '165°')
    >>> degrees_text(2038.8)
    '−121.2°'
    """
    return f"{wrapped_angle(angle):.{digits}f}°".replace("-", "−")


def spaced_name(name: str) -> str:
    """The name of a class with spaces between its words.

    Examples
    --------
    >>> spaced_name("VacuumBaseline")
    'Vacuum baseline'
    """
    return name[0] + "".join(f" {c.lower()}" if c.isupper() else c for c in name[1:])


def short_number(number: float) -> str:
    """A small number in three digits.

    Examples
    --------
    >>> short_number(0.00214), short_number(0.5)
    ('2.14e-3', '0.5')
    """
    return f"{number:.3g}" if number >= 0.01 else f"{number:.2e}".replace("e-0", "e-")


def duration_text(seconds: float) -> str:
    """A time in two digits, in a unit that fits.

    Examples
    --------
    >>> duration_text(0.0313), duration_text(0.312), duration_text(16.4), duration_text(200)
    ('31 ms', '0.31 s', '16 s', '3 min 20 s')
    """
    if seconds < 0.0995:
        return f"{1e3 * seconds:.2g} ms"
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


__all__ = [
    "UNITS",
    "count_text",
    "degrees_text",
    "duration_text",
    "number_text",
    "quantity_text",
    "short_number",
    "spaced_name",
    "typeset",
    "unit_text",
]
