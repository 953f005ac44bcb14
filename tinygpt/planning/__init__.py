"""Before a training: what it will need of memory, time and disk."""
