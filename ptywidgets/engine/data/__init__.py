"""The data set: lazy patterns, their calibration, masks and source; detectors and virtual images."""
