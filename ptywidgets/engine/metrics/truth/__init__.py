"""A result beside a known truth: what the data cannot tell is taken off before they are compared."""
