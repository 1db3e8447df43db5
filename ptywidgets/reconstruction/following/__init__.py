"""Data that are still being written: rows are taken in as they come, by what is shown and by the run."""
