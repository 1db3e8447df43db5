"""Orientation and optics by short reconstructions of a block of the scan, wherever in their range they are."""
