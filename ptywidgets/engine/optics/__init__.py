"""The probe-forming optics: aberrations, chi, probe, probe modes, and the numbers that decide an experiment."""
