"""Formats that hold arrays: numpy's own, MATLAB's, TIFF, zarr."""
