"""A coarse reconstruction of a part of the data, which makes the optics finer and knows a specimen's thickness."""
