"""Top floor: anywidget, ipywidgets and bqplot; no mathematics."""
