"""Trained weights, wherever they are: the folder of a run, a quantized file."""
