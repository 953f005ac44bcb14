"""One machine for every stage of learning.

Read in this order: objective.py, loop.py, trainer.py.
"""
