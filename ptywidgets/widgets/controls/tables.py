"""HTML tables of quantities and findings; a verdict is a sign and a word, not a colour alone."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from ptywidgets.engine.optics.probe_report import Quantity
from ptywidgets.widgets.controls.formatting import typeset, unit_text

MARKS = {"good": ("✓", "good"), "warn": ("!", "look"), "bad": ("✗", "bad"), "": ("·", "")}
VERDICTS = {"good": "good", "warn": "fair", "bad": "bad"}


def verdict_mark(verdict: str) -> str:
    """A sign with its word, in HTML.

    Examples
    --------
    >>> verdict_mark("warn")
    '<span class="pty-mark pty-warn"><b aria-hidden="true">!</b> look</span>'
    """
    sign, word = MARKS[verdict]
    return f'<span class="pty-mark pty-{verdict or "note"}"><b aria-hidden="true">{sign}</b> {word}</span>'


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


def escaped_text(text: object) -> str:
    """Text escaped for HTML, with typographic signs."""
    return html.escape(typeset(str(text)))


def report_table(report: Iterable[Quantity]) -> str:
    """The numbers as a table in HTML: name, value with unit, a word and the advice.

    Examples
    --------
    >>> "60 % or more" in report_table([Quantity("overlap", 50, "%", "warn", "60 % or more is safer")])
    True
    """
    rows = []
    for quantity in report:
        value = html.escape(f"{quantity.value:.4g} {unit_text(quantity.unit)}")
        word = f'<span class="pty-{quantity.verdict}">{VERDICTS[quantity.verdict]}</span>' if quantity.verdict else ""
        advice = html.escape((": " if word else "") + quantity.advice) if quantity.advice else ""
        rows.append(f"<tr><td>{html.escape(quantity.name)}</td><td>{value}</td><td>{word}{advice}</td></tr>")
    return f"<table class='pty-figure' data-testid='pty-report'>{''.join(rows)}</table>"


__all__ = ["MARKS", "VERDICTS", "escaped_text", "report_table", "rows", "table", "verdict_mark"]
