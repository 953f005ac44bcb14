"""What a model can do, how sure that is, and what the data cannot tell.

Read in this order: intervals.py, language_modelling.py.
"""
