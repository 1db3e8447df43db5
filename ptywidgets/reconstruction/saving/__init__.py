"""Saving a reconstruction, finding its data again, and copies of it."""
