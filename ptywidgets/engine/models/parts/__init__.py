"""Parts of a model: specimen, exit wave, ensemble, detector, what adds to the waves; each with its exact adjoint."""
