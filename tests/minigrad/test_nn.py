"""Modules: the tree, state, surgery, and what each layer adds to its op."""

import weakref

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, nn, no_grad, ops


def rng(seed=0):
    return np.random.default_rng(seed)


class Tied(nn.Module):
    def __init__(self):
        self.embedding = nn.Embedding(5, 4, rng=rng())
        self.layers = nn.ModuleList([nn.Linear(4, 4, rng=rng()), nn.LayerNorm(4)])
        self.head = nn.Linear(4, 5, bias=False, rng=rng())
        self.head.weight = self.embedding.weight
        self.scale = Tensor(np.ones(1, np.float32))  # a buffer


NAMES = ["embedding.weight", "layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias"]


def test_parameters_come_in_order_and_tied_ones_once():
    assert [name for name, _ in Tied().named_parameters()] == NAMES


def test_state_dict_holds_buffers_too():
    assert set(Tied().state_dict()) == {*NAMES, "scale"}


def test_load_state_dict_copies_in_place():
    a, b = Tied(), Tied()
    b.embedding.weight.data[...] = 3
    array = a.embedding.weight.data
    a.load_state_dict(b.state_dict())
    assert a.embedding.weight.data is array and (array == 3).all()
    assert not np.shares_memory(array, b.embedding.weight.data)


def test_load_state_dict_lists_missing_extra_and_misshaped_and_changes_nothing():
    module = Tied()
    before = module.embedding.weight.data.copy()
    state = {name: array * 0 for name, array in module.state_dict().items()}
    del state["layers.0.bias"]
    state["layers.9.bias"] = np.zeros(3)
    state["layers.1.weight"] = np.zeros(7, np.float32)
    with pytest.raises(ValueError) as error:
        module.load_state_dict(state)
    for text in ("missing: layers.0.bias", "extra: layers.9.bias", "layers.1.weight is (4,) here"):
        assert text in str(error.value)
    np.testing.assert_array_equal(module.embedding.weight.data, before)


def test_train_and_eval_reach_every_module():
    module = Tied().eval()
    assert not any(m.training for m in module.modules())
    assert all(m.training for m in module.train().modules())


def test_replace_modules_replaces_what_matches():
    module = Tied()
    count = nn.replace_modules(
        module,
        lambda name, m: isinstance(m, nn.Linear) and name.startswith("layers"),
        lambda linear: nn.Sequential(linear),
    )
    assert count == 1
    assert isinstance(module.layers[0], nn.Sequential)
    assert [name for name, _ in module.named_parameters()][1] == "layers.0.0.weight"


def test_replace_modules_that_matches_nothing_is_an_error():
    with pytest.raises(ValueError, match="nothing matched in Tied; it holds .*Embedding"):
        nn.replace_modules(Tied(), lambda name, m: False, lambda m: m)


def test_dropout_is_off_in_eval_and_scales_in_training():
    dropout = nn.Dropout(0.25, rng())
    x = Tensor(np.ones(10_000, np.float32))
    y = dropout(x).data
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    assert not np.array_equal(dropout(x).data, y)
    assert dropout.eval()(x) is x


def test_dropout_needs_a_generator():
    with pytest.raises(ValueError, match="needs rng"):
        nn.Dropout(0.5)


@pytest.mark.parametrize("kv_heads", [None, 2, 1])
def test_attention_with_a_cache_equals_attention_without(kv_heads):
    class Cache:
        k = v = None

        def append(self, k, v):
            self.k = k if self.k is None else np.concatenate([self.k, k], axis=1)
            self.v = v if self.v is None else np.concatenate([self.v, v], axis=1)
            return self.k, self.v

    layer = nn.SelfAttention(16, 4, kv_heads, rng=rng())
    x = Tensor(rng(1).standard_normal((2, 7, 16), dtype=np.float32))
    cache = Cache()
    with no_grad():
        whole = layer(x).data
        parts = [layer(x[:, i:j], cache).data for i, j in ((0, 3), (3, 4), (4, 7))]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    with pytest.raises(RuntimeError, match="under no_grad"):
        layer(x, cache)


def test_attention_width_must_be_divisible_by_heads():
    with pytest.raises(ValueError, match="5 heads must divide the width 16"):
        nn.SelfAttention(16, 5, rng=rng())


def test_add_norm_without_residual_passes_x_on():
    x = Tensor(rng().standard_normal((2, 8), dtype=np.float32))
    for norm in (nn.LayerNorm(8), nn.RMSNorm(8)):
        y, s = norm.add_norm(x, None)
        assert s is x
        np.testing.assert_array_equal(y.data, norm(x).data)


@pytest.mark.parametrize("make", [nn.LayerNorm, nn.RMSNorm])
@pytest.mark.parametrize("with_residual", [False, True])
def test_a_norms_output_is_freed_and_made_again_to_the_bit(make, with_residual):
    norm, linear = make(6), nn.Linear(6, 3, rng=rng())
    norm.weight.data[...] = rng(1).standard_normal(6)
    x = rng(2).standard_normal((4, 6), dtype=np.float32)

    def gradients(forget):
        a = Tensor(x, requires_grad=True)
        y, stream = norm.add_norm(a, Tensor(x[::-1].copy()) if with_residual else None)
        values, alive = y.data.copy(), weakref.ref(y.data)
        if forget:
            y.remake = None
        else:
            assert np.array_equal(y.remake(), values)
        z = linear(y) * linear(y)
        del y
        assert (alive() is None) == (not forget)
        (z.sum() + stream.sum()).backward()
        return [a.grad, *(p.grad.copy() for p in (norm.weight, linear.weight))]

    made_again = gradients(forget=False)
    for module in (norm, linear):
        module.zero_grad()
    for a, b in zip(made_again, gradients(forget=True), strict=True):
        assert np.array_equal(a, b)


def test_sequential_takes_functions():
    model = nn.Sequential(nn.Linear(3, 4, rng=0), ops.relu, nn.Linear(4, 2, rng=1))
    first, _, last = model
    x = Tensor(rng().standard_normal((5, 3), dtype=np.float32))
    np.testing.assert_array_equal(model(x).data, last(ops.relu(first(x))).data)
    assert len(model) == 3 and set(model.state_dict()) == {
        "0.weight", "0.bias", "2.weight", "2.bias"}


@pytest.mark.parametrize(
    "make, message",
    [(lambda: nn.Sequential([nn.ReLU()]), r"a list is no module; write Sequential\(\*modules\)"),
     (lambda: nn.Sequential(nn.ReLU), r"make a module: ReLU\(\)"),
     (lambda: nn.Sequential(nn.ReLU(), None), "None is no module"),
     (lambda: nn.ModuleList([nn.ReLU(), None]), "None is no module"),
     (lambda: nn.ModuleList([ops.relu]), "is no module"),
     (lambda: nn.ModuleList([nn.ReLU()]).append(3), "3 is no module"),
     (lambda: nn.ModuleDict({"a": ops.relu}), "is no module"),
     (lambda: nn.ModuleList([nn.ReLU()]).__setitem__(0, None), "None is no module")],
)
def test_a_container_refuses_what_is_no_module(make, message):
    with pytest.raises(TypeError, match=message):
        make()


def test_lists_and_dicts_of_modules():
    layers = nn.ModuleList([nn.ReLU()]).append(nn.Tanh()).extend([nn.Sigmoid()])
    layers[-1] = nn.Linear(2, 2, rng=0)
    assert [type(m).__name__ for m in layers] == ["ReLU", "Tanh", "Linear"]
    assert len(layers[1:]) == 2 and "2.weight" in layers.state_dict()
    named = nn.ModuleDict({"up": nn.Linear(2, 3, rng=0)})
    named["act"] = nn.ReLU()
    assert named.keys() == ["up", "act"] and "act" in named and len(named.values()) == 2
    assert list(named.state_dict()) == ["up.weight", "up.bias"]
    for name in ("forward", "a.b", ""):
        with pytest.raises(KeyError):
            named[name] = nn.ReLU()


def test_a_seed_or_a_generator_makes_weights():
    a, b = nn.Linear(3, 2, rng=7), nn.Linear(3, 2, rng=rng(7))
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
    mlp = nn.MLP(4, hidden=4, rng=0)
    assert (mlp.up.weight.data != mlp.down.weight.data).any()  # parts draw numbers of their own
    attention = nn.SelfAttention(4, 2, rng=0)
    assert (attention.qkv.weight.data[:4] != attention.proj.weight.data).any()
    assert not nn.Linear(3, 2, rng=None).weight.data.any()


def test_a_parameter_of_a_tensor_has_its_values():
    p = nn.Parameter(minigrad.zeros(3))
    assert isinstance(p, nn.Parameter) and p.requires_grad and p.is_leaf


def test_buffers_children_and_apply():
    module, seen = Tied(), []
    module.register_buffer("more", Tensor(np.zeros(2, np.float32)))
    assert [name for name, _ in module.named_buffers()] == ["scale", "more"]
    assert len(list(module.buffers())) == 2 and len(list(module.children())) == 3
    module.apply(lambda m: seen.append(type(m).__name__))
    assert seen == [type(m).__name__ for m in module.modules()]


def test_losses_as_modules():
    logits = Tensor(rng().standard_normal((3, 4), dtype=np.float32))
    targets = np.array([1, -100, 2])
    kept = ops.cross_entropy(logits[np.array([0, 2])], targets[[0, 2]])
    np.testing.assert_allclose(nn.CrossEntropyLoss()(logits, targets).data, kept.data, rtol=1e-6)
    with pytest.raises(ValueError, match="one shape"):
        nn.MSELoss()(logits, logits[0])
    with pytest.raises(ValueError, match="tanh"):
        nn.GELU(approximate="none")


def test_same_seed_same_weights():
    a, b = (nn.MLP(8, rng=rng(3)).state_dict() for _ in range(2))
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_repr_shows_the_tree():
    assert "(0): Linear(weight (4, 4), bias (4,))" in repr(Tied())


@pytest.mark.parametrize("shape", [(64, 128), (1, 4), (7, 5), (2, 1)])
def test_sinusoids_make_near_positions_alike(shape):
    table = nn.init.sinusoids(shape, amplitude=0.5).data
    assert table.shape == shape and table.dtype == np.float32
    assert np.abs(table).max() <= 0.5
    distance = np.linalg.norm(table - table[0], axis=1)
    half = len(table) // 2
    assert (distance[1:2] < distance[half:].mean() + 1e-6).all()  # a neighbour is nearer than most
    assert len(np.unique(table, axis=0)) == len(table)  # and no two are the same
