"""A run: the worker thread, its commands, its times and its snapshots; the host, and the end of the process."""
