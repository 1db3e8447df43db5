"""The bright-field disk, measured: centre, radius, edge and ellipse, and the aperture that they show."""
