"""Choosing a file: the folders of the kernel's machine, uploads, what a file is before it is opened."""
