"""AdamW with 8-bit moments follows AdamW, and resumes to the bit."""

import numpy as np
import pytest

from minigrad import optim
from minigrad.nn.module import Parameter
from minigrad.optim import adamw8bit


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


@pytest.mark.parametrize("name", ["signed", "positive"])
def test_the_mean_over_steps_of_what_is_kept_is_the_value(name):
    rng = np.random.default_rng(1)
    values = (rng.standard_normal(2000) * np.exp(rng.standard_normal(2000))).astype(np.float32)
    values = values if name == "signed" else values**2
    encode = getattr(adamw8bit, f"_encode_{name}")
    decode = getattr(adamw8bit, f"_decode_{name}")
    total = np.zeros(2000)
    for step in range(400):
        dither = np.mod(adamw8bit._PHI[:2000] + np.float32(step * 2**0.5 % 1), np.float32(1))
        total += decode(*encode(values, dither))
    error = np.abs(total / 400 - values) / np.abs(values)
    assert np.median(error) < 0.005


def test_a_second_moment_above_zero_never_becomes_zero():
    values = np.array([1.0] + [1e-30] * 9, np.float32)
    codes, scale = adamw8bit._encode_positive(values, adamw8bit._PHI[:10])
    assert (codes >= 1).all()
    assert (adamw8bit._decode_positive(codes, scale) > 0).all()


def test_zeros_stay_zeros():
    codes, scale = adamw8bit._encode_signed(np.zeros(300, np.float32), adamw8bit._PHI[:300])
    assert not codes.any() and not scale.any()


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
