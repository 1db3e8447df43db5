"""The numbers that decide an experiment, as a table."""

from __future__ import annotations

import html
from collections.abc import Iterable

from ptywidgets.engine.probe_report import Quantity
from ptywidgets.widgets.controls import unit_text

VERDICTS = {"good": "good", "warn": "fair", "bad": "bad"}


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


__all__ = ["report_table"]
