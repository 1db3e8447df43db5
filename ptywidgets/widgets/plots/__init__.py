"""Curves and points, by bqplot: the only room that knows it."""
