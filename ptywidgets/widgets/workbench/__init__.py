"""All stages in one place."""
