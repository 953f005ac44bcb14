"""Smaller models: quantization, and what it costs."""
