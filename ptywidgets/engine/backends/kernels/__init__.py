"""The CPU's inner loops, compiled by numba or composed of numpy calls, with the same results."""
