"""One module for each file format, and the HDF5 access that they share."""
