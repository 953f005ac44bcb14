"""Gradients against finite differences: a check that knows whether it could have failed.

Read next: docs/gradients.md, then check.py.
"""

from minigrad.gradcheck.check import check_grads, check_vjp
from minigrad.gradcheck.report import GradientError, GradReport

__all__ = ["GradReport", "GradientError", "check_grads", "check_vjp"]
