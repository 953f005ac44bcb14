"""minigrad/optim/muon.py: matrices move by orthogonal steps, everything else by AdamW."""

import numpy as np
import pytest

from minigrad import Tensor
from minigrad.optim import AdamW, Muon, orthogonalize

RNG = np.random.default_rng(0)


def tensor(*shape):
    t = Tensor(RNG.standard_normal(shape, dtype=np.float32), requires_grad=True)
    t.grad = RNG.standard_normal(shape, dtype=np.float32)
    return t


@pytest.mark.parametrize("shape", [(16, 16), (8, 40), (40, 8), (1, 7), (128, 384)])
def test_orthogonalize_brings_singular_values_near_one(shape):
    singular = np.linalg.svd(orthogonalize(tensor(*shape).data), compute_uv=False)
    assert 0.5 < singular.min() and singular.max() < 1.3


def test_orthogonalize_keeps_the_singular_directions():
    u, _, vt = np.linalg.svd(RNG.standard_normal((12, 30)), full_matrices=False)
    spectrum = np.geomspace(1, 0.05, 12)  # in the range that four iterations lift
    found = orthogonalize((u * spectrum) @ vt, iterations=4)
    off_diagonal = u.T @ found @ vt.T
    np.fill_diagonal(off_diagonal, 0)
    assert np.abs(off_diagonal).max() < 1e-8


def test_a_zero_gradient_moves_nothing():
    matrix = tensor(4, 6)
    matrix.grad[...] = 0
    before = matrix.data.copy()
    Muon([matrix], [], lr=0.1).step()
    np.testing.assert_array_equal(matrix.data, before)


@pytest.mark.parametrize("shape", [(64, 64), (256, 64), (64, 256)])
def test_the_step_has_the_size_of_an_adamw_step(shape):
    # Liu et al. 2025: AdamW's update has a root mean square of 0.2 to 0.4 of the learning rate.
    matrix = tensor(*shape)
    before = matrix.data.copy()
    Muon([matrix], [], lr=0.01).step()
    rms = np.sqrt(np.mean((matrix.data - before) ** 2)) / 0.01
    assert 0.13 < rms < 0.26


def test_other_parameters_follow_adamw_to_the_bit():
    matrix, ours, theirs = tensor(4, 4), tensor(9), tensor(9)
    theirs.data[...], theirs.grad[...] = ours.data, ours.grad
    muon = Muon([matrix], [{"params": [ours], "weight_decay": 0.1}], lr=0.01, betas=(0.9, 0.99))
    adamw = AdamW([theirs], lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
    for _ in range(3):
        muon.step(grad_scale=0.5)
        adamw.step(grad_scale=0.5)
    np.testing.assert_array_equal(ours.data, theirs.data)


def test_the_state_resumes_to_the_bit():
    straight, resumed = tensor(6, 5), tensor(6, 5)
    resumed.data[...], resumed.grad[...] = straight.data, straight.grad
    first, second = Muon([straight], [], lr=0.1), Muon([resumed], [], lr=0.1)
    first.step()
    second.step()
    third = Muon([resumed], [], lr=0.1)
    third.load_state_dict({k: v.copy() for k, v in second.state_dict().items()})
    first.step()
    third.step()
    np.testing.assert_array_equal(straight.data, resumed.data)


def plain_muon(weight, grads, lr, momentum, decay, scale):
    """The published rule in float64, with an exact U V^T in place of the rounds."""
    gathered = np.zeros_like(weight)
    for grad in grads:
        gathered = momentum * gathered + scale * grad
        u, _, vt = np.linalg.svd(momentum * gathered + scale * grad, full_matrices=False)
        size = 0.2 * np.sqrt(max(weight.shape))
        weight = weight * (1 - lr * decay) - lr * size * (u @ vt)
    return weight


@pytest.mark.parametrize("shape", [(6, 6), (5, 9), (9, 5)])
def test_momentum_nesterov_and_decay_follow_the_rule(shape):
    """The rounds only come near U V^T; a rule without momentum or decay ends further off."""
    rng = np.random.default_rng(7)
    weight = rng.standard_normal(shape)
    grads = [3.0**i * rng.standard_normal(shape) for i in (0, 2, 1)]  # sizes that momentum weighs
    ours = Tensor(weight.astype(np.float32), requires_grad=True)
    muon = Muon([ours], [], lr=0.2, momentum=0.8, weight_decay=0.5, iterations=12)
    for grad in grads:
        ours.grad = grad.astype(np.float32)
        muon.step(grad_scale=0.5)
    exact = plain_muon(weight, grads, 0.2, 0.8, 0.5, 0.5)
    others = [plain_muon(weight, grads, 0.2, *without, 0.5) for without in ((0.0, 0.5), (0.8, 0.0))]
    off = np.abs(ours.data - exact).max()
    assert off < 0.15
    assert all(np.abs(other - exact).max() > 2 * off for other in others)


def test_momentum_is_kept_as_the_rule_says():
    matrix, rng = tensor(4, 6), np.random.default_rng(3)
    muon = Muon([matrix], [], lr=0.1, momentum=0.75)
    first, second = rng.standard_normal((2, 4, 6)).astype(np.float32)
    for grad in (first, second):
        matrix.grad = grad
        muon.step(grad_scale=0.5)
    np.testing.assert_allclose(
        muon.state[0]["momentum"], 0.75 * 0.5 * first + 0.5 * second, rtol=1e-6
    )


def test_the_look_ahead_counts_the_new_gradient_twice():
    """Nesterov: momentum g + (momentum m + g), here seen by a gradient that turns around."""
    matrix = tensor(5, 5)
    muon = Muon([matrix], [], lr=1.0, momentum=0.5)
    one, other = np.diag(np.arange(1, 6.0)), np.diag([-5.0, 1, 1, 1, 1])
    before = matrix.data.copy()
    for grad in (one, other):
        matrix.grad = grad.astype(np.float32)
        before = matrix.data.copy()
        muon.step()
    # m = 0.5 one + other; ahead = 0.5 m + other = 0.25 one + 1.5 other: -7.25, then positive
    assert (np.sign(np.diag(before - matrix.data)) == [-1, 1, 1, 1, 1]).all()
    ahead = 0.25 * one + 1.5 * other
    expected = 0.2 * np.sqrt(5) * orthogonalize(ahead)
    np.testing.assert_allclose(before - matrix.data, expected, atol=1e-5)


def test_matrices_of_all_sizes_move_in_one_step():
    """Those of one smaller side are whitened together, and each size gets its turn."""
    sizes = [(4, 6), (6, 4), (3, 9), (9, 9), (3, 3)]
    matrices = [tensor(*size) for size in sizes]
    alone = [Tensor(m.data.copy(), requires_grad=True) for m in matrices]
    for one, m in zip(alone, matrices, strict=True):
        one.grad = m.grad.copy()
        Muon([one], [], lr=0.1).step()
    Muon(matrices, [], lr=0.1).step()
    for one, m in zip(alone, matrices, strict=True):
        np.testing.assert_allclose(m.data, one.data, atol=1e-6)


def test_the_defaults_are_the_documented_ones():
    muon = Muon([tensor(2, 2)], [{"params": [tensor(3)]}])
    matrices, others = muon.param_groups
    assert (muon.momentum, len(muon.rounds)) == (0.9, 4)
    assert (matrices["lr"], matrices["betas"], matrices["eps"]) == (1e-2, (0.9, 0.99), 1e-8)
    assert matrices["weight_decay"] == others["weight_decay"] == 0.0
    spread = np.diag(np.geomspace(1, 1e-3, 6))
    four = orthogonalize(spread, iterations=4)
    np.testing.assert_array_equal(orthogonalize(spread), four)
    assert np.abs(orthogonalize(spread, iterations=5) - four).max() > 0.01
