"""Learning from running text: its next tokens (objective.py), or hidden ones (masked.py)."""
