"""Detector pixels and frames that do not count: found, left out, repaired."""
