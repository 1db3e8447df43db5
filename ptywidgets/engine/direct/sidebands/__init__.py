"""The double-overlap regions: single sideband (SSB), optimum bright field (OBF), Wigner deconvolution (WDD)."""
