"""Contracts: test classes for whoever adds an algorithm, backend, constraint, loss, model, problem or refinement."""
