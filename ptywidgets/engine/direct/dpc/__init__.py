"""Differential phase contrast, by the centre of mass of a pixelated or segmented detector."""
