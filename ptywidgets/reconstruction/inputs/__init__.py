"""What a reconstruction is made from: data, tilts, measurement, optics, and what is found before a run."""
