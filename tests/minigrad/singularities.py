"""Right derivatives beside poles, kinks and edges of a domain, at random, by the million.

`python -m bench checkers --draw 1000000` draws them; test_gradcheck_derivatives.py the first few
hundred.
"""

from __future__ import annotations

import numpy as np

from tests.minigrad.derivatives import Derivative, power, simple, unary

# Where a derivative blows up: f, f', where, and from which side a distance d is taken.
POLES = {
    "1/x": (lambda x: 1 / x, lambda x: -1 / x**2, 0.0, (-1, 1)),
    "1/x^2": (lambda x: 1 / x**2, lambda x: -2 / x**3, 0.0, (-1, 1)),
    "1/(1-x)": (lambda x: 1 / (1 - x), lambda x: 1 / (1 - x) ** 2, 1.0, (-1, 1)),
    "1/(3-x)^2": (lambda x: 1 / (3 - x) ** 2, lambda x: 2 / (3 - x) ** 3, 3.0, (-1, 1)),
    "log x": (np.log, lambda x: 1 / x, 0.0, (1,)),
    "log(1-x)": (lambda x: np.log(1 - x), lambda x: -1 / (1 - x), 1.0, (-1,)),
    "log(x-7)": (lambda x: np.log(x - 7), lambda x: 1 / (x - 7), 7.0, (1,)),
    "log1p": (np.log1p, lambda x: 1 / (1 + x), -1.0, (1,)),
    "sqrt x": (np.sqrt, lambda x: 0.5 / np.sqrt(x), 0.0, (1,)),
    "sqrt(1-x)": (lambda x: np.sqrt(1 - x), lambda x: -0.5 / np.sqrt(1 - x), 1.0, (-1,)),
    "x^0.3": (lambda x: x**0.3, lambda x: 0.3 * x**-0.7, 0.0, (1,)),
    "x^-1.7": (lambda x: x**-1.7, lambda x: -1.7 * x**-2.7, 0.0, (1,)),
    "|x|^1.5": (power, lambda x: 1.5 * np.sign(x) * np.abs(x) ** 0.5, 0.0, (-1, 1)),
    "cbrt": (np.cbrt, lambda x: 1 / (3 * np.cbrt(x) ** 2), 0.0, (-1, 1)),
    "arcsin": (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), 1.0, (-1,)),
    "arccos": (np.arccos, lambda x: -1 / np.sqrt((1 - x) * (1 + x)), -1.0, (1,)),
    "arctanh": (np.arctanh, lambda x: 1 / ((1 - x) * (1 + x)), 1.0, (-1,)),
    "arccosh": (np.arccosh, lambda x: 1 / np.sqrt((x - 1) * (x + 1)), 1.0, (1,)),
    "tan": (np.tan, lambda x: 1 / np.cos(x) ** 2, np.pi / 2, (-1, 1)),
    "x log x": (lambda x: x * np.log(x), lambda x: np.log(x) + 1, 0.0, (1,)),
    "logit": (lambda x: np.log(x / (1 - x)), lambda x: 1 / (x * (1 - x)), 0.0, (1,)),
    "abs": (np.abs, np.sign, 0.0, (-1, 1)),
    "relu": (lambda x: np.maximum(x, 0), lambda x: (x > 0) * 1.0, 0.0, (-1, 1)),
    "hinge at 2": (lambda x: np.maximum(2 - x, 0), lambda x: -1.0 * (x < 2), 2.0, (-1, 1)),
    "1/sin": (lambda x: 1 / np.sin(x), lambda x: -np.cos(x) / np.sin(x) ** 2, 0.0, (-1, 1)),
    "x/|x|^0.9": (
        lambda x: x * np.abs(x) ** -0.9, lambda x: 0.1 * np.abs(x) ** -0.9, 0.0, (-1, 1)
    ),
    "arctan(1/x)": (lambda x: np.arctan(1 / x), lambda x: -1 / (1 + x * x), 0.0, (-1, 1)),
    "exp(-1/x)": (lambda x: np.exp(-1 / x), lambda x: np.exp(-1 / x) / x**2, 0.0, (1,)),
}


def near_singularity(rng: np.random.Generator) -> Derivative:
    """A right derivative at one to five points, each at a distance of 1e-12 to 1 from the pole."""
    name = str(rng.choice(list(POLES)))
    f, slope, place, sides = POLES[name]
    nearest = 2.0 if name == "exp(-1/x)" else 12.0 if place else 30.0
    distance = 10.0 ** -rng.uniform(0.3, nearest, int(rng.integers(1, 6)))
    x = place + rng.choice(sides, distance.shape) * distance
    if rng.random() < 0.3:  # summed up: the outputs are one number, as in a loss
        return Derivative(
            f"sum of {name}", True,
            simple(lambda x: f(x).sum(), lambda dy, x: (dy * slope(x),)), (x,),
        )
    if rng.random() < 0.2:
        a = rng.standard_normal(x.shape) * 10.0 ** rng.uniform(-6, 6)
        return Derivative(
            f"a * {name}", True,
            simple(lambda a, x: a * f(x), lambda dy, a, x: (dy * f(x), dy * a * slope(x))), (a, x),
        )
    return Derivative(name, True, unary(f, slope), (x,))
