"""The stage of the probe: aperture, aberrations, and the numbers that decide an experiment."""
