"""Orientation and optics from the spectra of the bright field: linear, as long as the phase is weak."""
