"""What a reconstruction has come to: arrays derived from its state, and the snapshots that are shown."""
