"""How atoms scatter electrons: scattering factors of every element, and the phase that they shift a wave by."""
