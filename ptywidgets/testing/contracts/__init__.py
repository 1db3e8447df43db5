"""Contracts: test classes for whoever adds an algorithm, backend, constraint, loss, model or refinement."""
