"""The loop: plan, iteration, automatic schedule, what is given to begin with, the registry of bricks by name."""
