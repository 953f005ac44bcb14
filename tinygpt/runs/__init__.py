"""The folder of a run: configuration, checkpoints, metrics; it opens again to the bit."""
