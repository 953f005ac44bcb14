"""Writing in place between forward and backward: noticed where it matters, and nowhere else."""

import gc

import numpy as np
import pytest

from minigrad import Tensor, nn, no_grad, ops, optim, recompute, tensor, writes

REFUSED = "written to in place after forward read it"


def leaf(shape=(2, 3), seed=0):
    data = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
    return Tensor(data, requires_grad=True)


def zero(x):
    x[...] = 0


def halve(x):
    with no_grad():
        x *= 0.5


def step(x):
    x.grad = np.ones_like(x.data)
    optim.SGD([x.requires_grad_()], lr=0.1).step()


def write_a_view(x):
    with no_grad():
        x.reshape(-1)[0] = 9.0


def write_detached(x):
    x.detach()[0] = 9.0


@pytest.mark.parametrize("write", [zero, halve, step, write_a_view, write_detached])
@pytest.mark.parametrize(
    "forward",
    [lambda x, c: x * c, lambda x, c: x / c, lambda x, c: ops.maximum(x, c),
     lambda x, c: x @ c.T, lambda x, c: ops.linear(x, c), lambda x, c: (x * c).exp(),
     lambda x, c: ops.mul(x, c.T.T), lambda x, c: ops.einsum("ij,ij->i", x, c),
     lambda x, c: ops.layernorm(x, c[0])],
    ids=["mul", "div", "maximum", "matmul", "linear", "exp", "view", "einsum", "layernorm"],
)
def test_a_saved_array_that_was_overwritten_is_refused(forward, write):
    x, c = leaf(), tensor(leaf(seed=1).data)
    y = forward(x, c).sum()
    write(c)
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


def test_the_error_names_the_operation_and_what_to_do():
    x, c = leaf(), tensor(np.ones(3, np.float32))
    y = (x * c).sum()
    c[:] = 0
    with pytest.raises(RuntimeError, match=r"backward of mul: .*\(3,\).*x\.clone\(\)"):
        y.backward()


@pytest.mark.parametrize(
    "make", [optim.SGD, optim.Adam, optim.AdamW, lambda p: optim.Muon(p, [], lr=0.1)],
    ids=["SGD", "Adam", "AdamW", "Muon"],
)
def test_an_optimizers_step_between_forward_and_backward_is_refused(make):
    layer = nn.Linear(3, 2, bias=False, rng=0)
    optimizer, x = make([layer.weight]), leaf()
    first, second = layer(x).sum(), (layer(x) ** 2).sum()
    first.backward()
    optimizer.step()
    with pytest.raises(RuntimeError, match=REFUSED):
        second.backward()


def test_loading_weights_between_forward_and_backward_is_refused():
    layer = nn.Linear(3, 2, rng=0)
    y = layer(leaf()).sum()
    layer.load_state_dict({k: v * 2 for k, v in layer.state_dict().items()})
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


def test_what_saves_nothing_of_it_is_not_disturbed():
    x, c = leaf(), tensor(np.ones((2, 3), np.float32))
    y = (x + c - c).reshape(6).sum() + x[0].sum() + ops.concatenate([x, c]).sum()
    c[:] = 5
    y.backward()
    np.testing.assert_array_equal(x.grad, np.float32([[3, 3, 3], [2, 2, 2]]))


def test_a_write_before_forward_or_after_backward_does_not_matter():
    x, c = leaf(), tensor(np.ones((2, 3), np.float32))
    for value in (2.0, 3.0):
        c[:] = value
        x.grad = None
        (x * c).sum().backward()
        np.testing.assert_array_equal(x.grad, c.data)


def test_a_write_to_a_copy_or_to_a_neighbour_does_not_matter():
    x, c = leaf(), tensor(np.ones((2, 3), np.float32))
    y = (x * c.clone()).sum()
    c[:] = 0
    tensor(c)[:] = 1
    y.backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3), np.float32))


@pytest.mark.parametrize("write", [zero, halve])
def test_a_layer_that_is_computed_again_wants_its_weights_unchanged(write):
    x, w = leaf(), leaf(seed=1)
    y = recompute(lambda x: (x + w) * (x + w), x).sum()
    with no_grad():
        write(w)
    with pytest.raises(RuntimeError, match=REFUSED):
        y.backward()


def test_marks_go_with_their_arrays():
    before = len(writes._marks)
    for _ in range(100):
        tensor([1.0, 2.0])[0] = 5.0
    gc.collect()
    assert len(writes._marks) <= before + 1


def test_a_training_loop_with_writes_everywhere_else_runs():
    layer = nn.Linear(3, 1, rng=0)
    optimizer, average = optim.SGD(layer.parameters(), lr=0.1), tensor(np.zeros((1, 3)))
    for _ in range(3):
        optimizer.zero_grad()
        (layer(leaf()) ** 2).mean().backward()
        optimizer.step()
        average *= 0.9
        average += layer.weight.detach().double() * 0.1
    assert average.data.any()


@pytest.mark.parametrize(
    "call",
    [lambda x, i: x[i], lambda x, i: x[i, i], lambda x, i: x[Tensor(i)],
     lambda x, i: ops.embedding(x, i), lambda x, i: ops.cross_entropy(x, i),
     lambda x, i: ops.linear_log_probability(x, x, i),
     lambda x, i: ops.where(i[:, None] == 0, x, 0.0),
     lambda x, i: x.masked_fill(i[:, None] == 0, 0.0),
     lambda x, i: x.gather(0, np.stack([i, i], 1))],
)
def test_an_index_changed_before_backward_changes_nothing(call):
    def gradient(change):
        x, index = leaf((3, 3)), np.array([0, 2, 1])
        y = (call(x, index) ** 2).sum()
        if change:
            index[:] = 0
        y.backward()
        return x.grad

    np.testing.assert_array_equal(gradient(True), gradient(False))


def test_a_mask_changed_before_backward_changes_nothing():
    for call in (lambda x, m: ops.where(m, x, 0.0), lambda x, m: x[m]):
        x, mask = leaf(), np.ones((2, 3), bool)
        y = call(x, mask).sum()
        mask[:] = False
        y.backward()
        np.testing.assert_array_equal(x.grad, np.ones((2, 3), np.float32))


def test_plain_data_is_really_written_in_place():
    a = b = tensor([1.0, 2.0])
    a += 1
    a *= 2
    assert a is b and b.tolist() == [4.0, 6.0]


def test_what_requires_grad_makes_a_graph_of_plain_data():
    total, x = tensor(0.0), leaf()
    kept = total
    total += x.sum()
    assert total is not kept and kept.item() == 0
    total.backward()
    np.testing.assert_array_equal(x.grad, np.ones((2, 3), np.float32))


@pytest.mark.parametrize("value", [lambda x: x[0], lambda x: [x[0, 0], x[0, 1], x[0, 2]]])
def test_a_write_that_would_lose_a_gradient_is_refused(value):
    x, buffer = leaf(), tensor(np.zeros((2, 3), np.float32))
    with pytest.raises(TypeError, match=r"lose its gradient.*stack\(\)"):
        buffer[0] = value(x)
    with no_grad():
        buffer[0] = x[0]
    np.testing.assert_array_equal(buffer.data[0], x.data[0])
