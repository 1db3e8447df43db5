"""Parallax, or tilt-corrected bright field: tilted images aligned and summed, and the optics by their shifts."""
