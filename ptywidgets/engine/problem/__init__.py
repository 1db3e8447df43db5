"""What is solved for: patterns, model and first state, and how these change grid or model."""
