"""Closing widgets: ipywidgets keeps whatever is left open for good, with all that its callbacks know."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import ipywidgets


def close_all(widget: ipywidgets.Widget, close: Callable[[], object] | None = None) -> None:
    """Close a widget with everything in it: children, marks, axes and scales of a figure, layouts and styles.

    `close` closes the widget alone.
    """
    parts = parts_of(widget)
    dress = [part for part in parts if isinstance(part, (ipywidgets.Layout, ipywidgets.Style))]
    for part in parts:
        if part not in dress and part.comm is not None:
            close_all(part)
    (close or widget.close)()
    for part in dress:  # what shows the widget looks at these to the end
        part.close()


def parts_of(widget: ipywidgets.Widget) -> list[ipywidgets.Widget]:
    """The widgets that are values of a widget's traits, of ours also of attributes, alone or in a collection."""
    ours = type(widget).__module__.startswith("ptywidgets.")
    values = [*widget._trait_values.values(), *(vars(widget).values() if ours else ())]
    parts: list[ipywidgets.Widget] = []
    for value in values:
        several = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
        parts += [part for part in several if isinstance(part, ipywidgets.Widget)]
    return parts


def replace_children(box: ipywidgets.Box, children: Iterable[ipywidgets.Widget]) -> None:
    """Let a box hold these, and close those that it held and holds no longer."""
    old, box.children = box.children, tuple(children)
    for child in old:
        if child not in box.children:
            close_all(child)


__all__ = ["close_all", "parts_of", "replace_children"]
