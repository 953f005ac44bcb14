"""How far a policy is from its reference, estimated from what the policy wrote.

KL(pi || ref) = E_pi[x],  x = log pi(y) - log ref(y), is a sum over all answers there could be. From
samples y of pi there are three estimates, whose names are Schulman's (2020):

    k1 = x                     unbiased; single ones are often negative
    k2 = x^2 / 2               biased, and never negative
    k3 = exp(-x) - 1 + x       unbiased, never negative: E_pi[exp(-x)] = E_pi[ref / pi] = 1

As *values* k1 and k3 are right. As *losses* another one is, for the gradient of a mean of samples
does not know that they would be drawn from another policy after the step. With s = grad log pi(y):

    wanted    grad E_pi[x] = E_pi[x s] + E_pi[s] = E_pi[x s]                  (E_pi[s] = 0)
    k1        E_pi[grad x] = E_pi[s] = 0                                      nothing
    k2        E_pi[x grad x] = E_pi[x s]                                      what is wanted
    k3        E_pi[(1 - exp(-x)) s] = -E_pi[(ref / pi) s] = -E_ref[s]         grad KL(ref || pi)

k3's is the gradient of the *other* divergence, KL(ref || pi). Both are alike near the reference,
where exp(-x) = 1 - x + ..., and differ by E_pi[(x^2/2 - ...) s] further away.

In a *reward* (detached) the estimate meets s in the policy gradient, and there k1 is right:
E_pi[(r - beta x) s] is the gradient of E_pi[r] - beta KL.

Of a text each token has an x of its own, given those before it, and the answer's x is their sum. A
loss of k2 token by token leaves out that an early token decides which later ones are met.

Read next: reinforce.py.
"""

from __future__ import annotations

from minigrad import Tensor, ops


def k1(x: Tensor) -> Tensor:
    """x: log pi - log ref of what pi wrote, any shape.  Returns the same shape."""
    return x


def k2(x: Tensor) -> Tensor:
    """As k1."""
    return ops.square(x) * 0.5


def k3(x: Tensor) -> Tensor:
    """As k1; exp(-x) - 1 without losing the digits of a small x."""
    return ops.expm1(-x) + x


ESTIMATORS = {"k1": k1, "k2": k2, "k3": k3}
