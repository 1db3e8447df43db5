"""Tables in words: decisions and findings with a mark that is a sign and a word, not a colour alone."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from ptywidgets.engine.prepare import wrapped_angle
from ptywidgets.widgets.boxes import typeset, unit_text
from ptywidgets.widgets.number_box import whole

MARKS = {"good": ("✓", "good"), "warn": ("!", "look"), "bad": ("✗", "bad"), "": ("·", "")}


def mark(verdict: str) -> str:
    """A sign with its word, in HTML.

    Examples
    --------
    >>> mark("warn")
    '<span class="pty-mark pty-warn"><b aria-hidden="true">!</b> look</span>'
    """
    sign, word = MARKS[verdict]
    return f'<span class="pty-mark pty-{verdict or "note"}"><b aria-hidden="true">{sign}</b> {word}</span>'


def measured(value: object, uncertainty: float | None = None, unit: str = "") -> str:
    """A value with its uncertainty and unit, as text.

    Examples
    --------
    >>> measured(-15.0234, 0.0612, "degrees"), measured(498.2, 3.1, "A"), measured(True)
    ('−15.02 ± 0.06°', '498 ± 3 Å', 'yes')
    >>> measured(0.02503), measured(12.0, 0.0), measured("plane"), measured(None), measured(4096, unit="px")
    ('0.02503', '12', 'plane', '', '4096 px')
    >>> measured(4e5, unit="e/A^2")
    '400 000 e⁻/Å²'
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return ""
    if not isinstance(value, (int, float)):
        return str(value)
    words = f"{value:.4g}" if isinstance(value, float) else str(value)
    if "e+" in words:
        words = whole(float(value))
    if uncertainty:
        # As many digits as the first one of the uncertainty, or two where that is a 1.
        lead = f"{abs(uncertainty):.1e}"
        places = max(0, -int(lead.split("e")[1]) + (lead[0] == "1"))
        words = f"{value:.{places}f} ± {uncertainty:.{places}f}" if places < 7 else f"{value:.3g} ± {uncertainty:.1g}"
    if not words.split(" ")[0].strip("-0."):  # no minus zero
        words = words.lstrip("-")
    words = words.replace("-", "−")
    text = unit_text(unit)
    return f"{words}{'' if text in ('°', '') else ' '}{text}"


def degrees(angle: float, digits: int = 1) -> str:
    """An angle in (-180, 180], with so many digits behind the point.

    Examples
    --------
    >>> degrees(-14.96), degrees(165.4, 0)
    ('−15.0°', '165°')
    >>> degrees(2038.8)
    '−121.2°'
    """
    return f"{wrapped_angle(angle):.{digits}f}°".replace("-", "−")


def table(rows: Iterable[Sequence[str]], testid: str, heads: Sequence[str] = ()) -> str:
    """Rows of cells that are HTML already."""
    head = f"<tr>{''.join(f'<th>{h}</th>' for h in heads)}</tr>" if heads else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table class='pty-figure' data-testid='{testid}'>{head}{body}</table>"


def rows(entries: Iterable[Sequence[str]], testid: str) -> str:
    """Rows of cells that are HTML already; the last cell goes below the others where the page is narrow."""
    lines = ["".join(f"<span>{cell}</span>" for cell in entry) for entry in entries]
    body = "".join(f"<div class='pty-row'>{line}</div>" for line in lines)
    return f"<div class='pty-rows' data-testid='{testid}'>{body}</div>"


def text(words: object) -> str:
    """Words as HTML, whatever they hold, with the signs of print."""
    return html.escape(typeset(str(words)))


__all__ = ["MARKS", "degrees", "mark", "measured", "rows", "table", "text"]
