"""Mutation testing: change one thing in the code and see whether a test fails.

operators.py makes the mutants of a file, runner.py lets the tests judge them, modules.toml says
which tests judge which file and which survivors are equivalent to the original, with the reason.
"""

from bench.mutants.runner import command

__all__ = ["command"]
