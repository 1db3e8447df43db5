"""HDF5: how it is read and written safely, and the formats that are made of it."""
