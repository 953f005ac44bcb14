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
    spectrum = np.geomspace(1, 0.05, 12)  # in the range that five iterations lift
    found = orthogonalize((u * spectrum) @ vt, iterations=5)
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
