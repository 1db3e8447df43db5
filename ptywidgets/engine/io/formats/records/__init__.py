"""Formats whose patterns are records of one length, read without any other package."""
