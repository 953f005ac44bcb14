"""AdamW with 8-bit moments follows AdamW, and resumes to the bit.

The coding itself: tests/kernels/test_adamw8bit.py.
"""

import numpy as np
import pytest

from minigrad import optim
from minigrad.nn.module import Parameter


def descend(kind, steps, size=9000, seed=0):
    """Minimise a badly scaled noisy quadratic.  Returns (distance to the minimum, optimizer)."""
    rng = np.random.default_rng(seed)
    goal = rng.standard_normal(size).astype(np.float32)
    curvature = np.exp(rng.uniform(-3, 3, size)).astype(np.float32)
    weight = Parameter(np.zeros(size, np.float32))
    optimizer = kind([weight], lr=0.02, weight_decay=0.0)
    for step in range(steps):
        noise = rng.standard_normal(size).astype(np.float32)
        weight.grad = curvature * (weight.data - goal + 0.3 * noise)
        optimizer.step(lr=0.02 * (1 - step / steps))
    return float(np.abs(weight.data - goal).mean()), optimizer


def test_it_reaches_the_minimum_as_adamw_does():
    exact, _ = descend(optim.AdamW, 400)
    eight, optimizer = descend(optim.AdamW8bit, 400)
    assert eight == pytest.approx(exact, rel=0.05)
    state = sum(array.nbytes for array in optimizer.state[0].values())
    assert state == 2 * 9000 + 2 * 4 * 36


def test_a_saved_state_goes_on_to_the_bit():
    rng = np.random.default_rng(2)
    grads = rng.standard_normal((6, 5000)).astype(np.float32)

    def run(first, last, weight, optimizer):
        for grad in grads[first:last]:
            weight.grad = grad.copy()
            optimizer.step()

    straight = Parameter(np.ones(5000, np.float32))
    run(0, 6, straight, optim.AdamW8bit([straight]))
    stopped = Parameter(np.ones(5000, np.float32))
    before = optim.AdamW8bit([stopped])
    run(0, 3, stopped, before)
    resumed = Parameter(stopped.data.copy())
    after = optim.AdamW8bit([resumed])
    after.load_state_dict({k: v.copy() for k, v in before.state_dict().items()})
    run(3, 6, resumed, after)
    np.testing.assert_array_equal(resumed.data, straight.data)


@pytest.mark.parametrize("size", [1, 4095])
def test_a_small_parameter_follows_adamw_to_the_bit(size):
    rng = np.random.default_rng(4)
    start, grads = rng.standard_normal(size), rng.standard_normal((3, size))
    ends = []
    for kind in (optim.AdamW, optim.AdamW8bit):
        small, large = Parameter(start.astype(np.float32)), Parameter(np.ones(5000, np.float32))
        optimizer = kind([large, small], lr=0.1)
        for grad in grads.astype(np.float32):
            small.grad, large.grad = grad, np.ones(5000, np.float32)
            optimizer.step()
        ends.append(small.data)
    np.testing.assert_array_equal(*ends)


def test_from_4096_values_on_moments_are_bytes():
    optimizer = optim.AdamW8bit([Parameter(np.ones(n, np.float32)) for n in (4095, 4096, 4097)])
    kinds = [state["m"].dtype for state in optimizer.state]
    assert kinds == [np.float32, np.int8, np.int8]
    assert [len(state["m_scale"]) for state in optimizer.state[1:]] == [16, 17]
