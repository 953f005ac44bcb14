"""The walk: order, accumulation, who owns which gradient, freeing, errors."""

import gc
import weakref

import numpy as np
import pytest

from minigrad import Tensor, enable_grad, is_grad_enabled, no_grad, tensor
from minigrad.engine import leaves_told, unbroadcast


def leaf(shape=(3,), seed=0):
    data = np.random.default_rng(seed).standard_normal(shape)
    return Tensor(data, requires_grad=True)


def test_a_chain_of_100_000_operations_walks_without_recursion():
    x = tensor([1.0], requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + x
    y.backward()
    assert x.grad.item() == 100_001


def test_a_deep_graph_that_is_never_walked_can_be_freed():
    x = tensor([1.0], requires_grad=True)
    y = x
    for _ in range(150_000):
        y = y * 1.0
    del y
    gc.collect()
    assert x.grad is None


def test_gradients_of_several_uses_add_up():
    x = leaf()
    y = x * x
    (y * y + 3 * y).sum().backward()
    np.testing.assert_allclose(x.grad, 4 * x.data**3 + 6 * x.data)


def test_a_second_backward_accumulates_into_grad_in_place():
    x = leaf()
    (2 * x).sum().backward()
    first = x.grad
    (3 * x).sum().backward()
    assert x.grad is first
    np.testing.assert_array_equal(x.grad, np.full(3, 5.0))


def test_leaves_that_share_one_gradient_do_not_share_its_memory():
    a, b = leaf(), leaf(seed=1)
    gradient = np.ones(3)
    (a + b).backward(gradient)
    assert not np.shares_memory(a.grad, b.grad)
    assert not np.shares_memory(a.grad, gradient)
    assert not np.shares_memory(b.grad, gradient)


def test_one_array_returned_for_two_leaves_is_copied():
    a, b = leaf(), leaf(seed=1)
    shared = np.ones(3)
    Tensor(a.data + b.data, (a, b), lambda dy: (shared, shared)).sum().backward()
    assert not np.shares_memory(a.grad, b.grad)


def test_accumulating_does_not_write_to_a_gradient_that_passes_through():
    # s gets dy (passed on by both additions) and then more; a's own gradient must stay dy.
    a, b = leaf(), leaf(seed=1)
    s = a * 1.0
    y = s + b
    (y + s * 2).sum().backward()
    np.testing.assert_array_equal(a.grad, np.full(3, 3.0))
    np.testing.assert_array_equal(b.grad, np.ones(3))


def test_the_gradient_handed_in_is_never_written():
    x = leaf()
    y = x * 1.0
    gradient = np.ones(3)
    (y + y + y).backward(gradient)
    np.testing.assert_array_equal(gradient, np.ones(3))
    np.testing.assert_array_equal(x.grad, np.full(3, 3.0))


def test_closures_receive_contiguous_gradients():
    seen = []
    x = leaf((2, 3))

    def backward(dy):
        seen.append(dy.flags.c_contiguous)
        return (dy,)

    Tensor(x.data * 1.0, (x,), backward).T.sum().backward()
    assert seen == [True]


def test_activations_are_freed_while_the_walk_goes_on():
    class Array(np.ndarray):  # np.ndarray itself takes no weak reference
        pass

    x = leaf()
    alive = []
    refs = []

    def step(t, k):
        saved = np.ones(3).view(Array)
        refs.append(weakref.ref(saved))

        def backward(dy):
            alive.append(sum(ref() is not None for ref in refs))
            return (dy * np.asarray(saved),)

        return Tensor(t.data + k, (t,), backward)

    y = x
    for k in range(5):
        y = step(y, k)
    y.sum().backward()
    assert alive == [5, 4, 3, 2, 1]


def test_data_that_no_closure_saved_is_freed_during_forward():
    x = leaf()
    middle = x * 1.0
    ref = weakref.ref(middle)
    y = middle + 1.0
    del middle
    assert ref() is None  # the tape refers to the operation, not to the tensor
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.ones(3))


def test_several_outputs_get_none_where_unused():
    x = leaf()
    got = []

    def backward(dy, dz):
        got.append((dy is None, dz is None))
        return (dz,)

    _, z = Tensor.multi((x.data * 1, x.data * 2), (x,), backward)
    z.sum().backward()
    assert got == [(True, False)]


def test_an_output_used_after_the_other_was_summed_counts_both():
    x = leaf((2, 4))
    first, second = x.split(2, axis=1)
    (first * second).sum().backward()
    np.testing.assert_allclose(x.grad, np.roll(x.data, 2, axis=1))


def test_backward_on_a_vector_without_gradient_says_what_to_do():
    with pytest.raises(RuntimeError, match=r"shape \(3,\) is not a scalar.*sum\(\)"):
        (leaf() * 2).backward()


def test_backward_with_a_gradient_of_another_shape_names_both():
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        (leaf() * 2).backward(np.ones(2))


def test_backward_twice_says_that_the_graph_is_freed():
    y = (leaf() * 2).sum()
    y.backward()
    with pytest.raises(RuntimeError, match="already walked.*run forward again"):
        y.backward()


def test_backward_through_a_freed_part_fails_too():
    trunk = leaf() * 2
    trunk.sum().backward()
    with pytest.raises(RuntimeError, match="already walked"):
        (trunk * 3).sum().backward()


def test_backward_without_anything_that_requires_grad_says_why():
    with pytest.raises(RuntimeError, match="requires no grad"):
        tensor([1.0]).sum().backward()


def test_a_closure_with_too_few_gradients_is_reported():
    x = leaf()
    with pytest.raises(RuntimeError, match="returned 1 gradients for 2 parents"):
        Tensor(x.data, (x, x), lambda dy: (dy,)).sum().backward()


def test_a_gradient_of_the_wrong_dtype_is_reported():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    with pytest.raises(TypeError, match="float32 tensor was given a gradient of dtype float64"):
        Tensor(x.data, (x,), lambda dy: (dy.astype(np.float64),)).sum().backward()


def test_a_gradient_that_cannot_be_unbroadcast_is_reported():
    with pytest.raises(ValueError, match=r"\(3, 2\).*\(3,\)"):
        unbroadcast(np.ones((3, 2)), (3,))


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1), (1, 3), (2, 3), (1, 1, 1)])
def test_unbroadcast_is_the_adjoint_of_broadcasting(shape):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal(shape), rng.standard_normal((4, 2, 3))
    y = np.broadcast_to(x, (4, 2, 3))
    assert np.isclose((y * dy).sum(), (x * unbroadcast(dy, shape)).sum())
    assert unbroadcast(dy, shape).shape == shape


def test_in_place_on_a_leaf_is_an_error_and_works_under_no_grad():
    w = tensor([1.0, 2.0], requires_grad=True)
    same = w
    with pytest.raises(RuntimeError, match="in-place add on a leaf"):
        w += 1.0
    with pytest.raises(RuntimeError, match="in-place write"):
        w[0] = 1.0
    with no_grad():
        w -= 0.5
        w[0] = 7.0
    assert same is w
    np.testing.assert_array_equal(w.data, np.float32([7.0, 1.5]))


def test_in_place_operators_elsewhere_make_a_new_tensor():
    x = leaf()
    y = before = x * 2
    y += 1
    assert y is not before
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(3, 2.0))


def test_no_grad_records_nothing_and_restores_after_an_error():
    x = leaf()
    with pytest.raises(KeyError), no_grad():
        assert not (x * 2).requires_grad
        with enable_grad():
            assert (x * 2).requires_grad
        raise KeyError
    assert is_grad_enabled()
    assert not no_grad()(lambda: x * 2)().requires_grad


def test_a_decorated_generator_records_nothing_and_leaves_its_consumer_alone():
    x = leaf()

    @no_grad()
    def doubled(n):
        got = []
        try:
            for _ in range(n):
                got.append((yield x * 2))
        finally:
            got.append(is_grad_enabled())
        return got

    generator = doubled(2)
    assert not next(generator).requires_grad and is_grad_enabled()
    assert not generator.send("a").requires_grad and (x * 2).requires_grad
    with pytest.raises(StopIteration) as stop:
        generator.send("b")
    assert stop.value.value == ["a", "b", False]
    thrown = doubled(2)
    next(thrown)
    with pytest.raises(KeyError):
        thrown.throw(KeyError())
    closed = doubled(2)
    next(closed)
    closed.close()
    assert [y.requires_grad for y in doubled(3)] == [False] * 3
    assert is_grad_enabled()


def test_a_decorated_coroutine_is_refused():
    with pytest.raises(TypeError, match="coroutine wait: .*with block"):

        @no_grad()
        async def wait():
            pass


def test_retain_graph_is_refused():
    with pytest.raises(RuntimeError, match="run forward again"):
        leaf().sum().backward(retain_graph=True)


def test_detach_cuts_the_graph_and_shares_the_array():
    x = leaf()
    d = (x * 2).detach()
    assert d.is_leaf and not d.requires_grad
    (x * d).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * x.data)


def test_threads_have_their_own_grad_mode():
    import threading

    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_a_leaf_is_told_of_once_its_gradient_is_whole():
    """x is used three times, first and last; y once in between; c is no leaf that learns."""
    x, y, c = leaf(), leaf(seed=1), Tensor(np.ones(3))
    told = []
    with leaves_told(lambda t: told.append((t, t.grad.copy()))):
        ((x * c).exp() * y + x * x).sum().backward()
    assert [t for t, _ in told] == [y, x]
    for t, grad in told:
        np.testing.assert_array_equal(t.grad, grad)
    x.grad = None
    (x * x).sum().backward()  # nobody listens any more
    assert len(told) == 2
