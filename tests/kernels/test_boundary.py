"""What reaches C and Numba: every array of every op, made wrong or inconvenient, on every backend.

CALLS has one right call of each op. Whatever a contract shares between its arrays is then broken in
one of them at a time, and each array is laid out in each way that NumPy knows.
"""

import numpy as np
import pytest
from judge import packed_weight
from test_decode import CONTEXT, caches, network

import kernels
from kernels import contracts, numpy_ref, packing
from kernels.contract import REMEMBERED, Contract
from kernels.packing import Packed


def f(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def ids(size, *shape):
    return np.random.default_rng(1).integers(0, size, shape)


def weight(scheme, n=20, k=72):
    return packed_weight(scheme, n, k)


def attention_arrays():
    q, k, v = f(2, 3, 4, 8), f(2, 5, 2, 8), f(2, 5, 2, 8) + 1
    first = ids(2, 2, 3)
    y, lse = numpy_ref.attention_forward(q, k, v, first=first)
    return {"dy": f(2, 3, 4, 8) - 1, "q": q, "k": k, "v": v, "y": y, "lse": lse, "first": first}


def decode_arrays():
    keys, values = caches(NETWORK, 2)
    return {"ids": ids(CONTEXT, 2), "positions": np.array([0, 3]), "keys": keys, "values": values}


ADAMW = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1, "step": 1}
MUON = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}
LISTS = ("adamw_update", "muon_update", "sum_of_squares")  # ops of lists of arrays
NETWORK = network("float32")
X, W = f(4, 6), f(9, 6)

# op -> (contract, arrays in its order, settings)
CALLS = {
    "matmul_forward": (contracts.matmul_forward, {"a": f(2, 5, 3), "b": f(2, 3, 4)}, {}),
    "matmul_backward": (
        contracts.matmul_backward, {"dc": f(2, 5, 4), "a": f(2, 5, 3), "b": f(2, 3, 4)}, {}
    ),
    "linear_forward": (
        contracts.linear_forward,
        {"x": f(2, 3, 8), "weight": f(5, 8), "bias": f(5), "residual": f(2, 3, 5)},
        {"activation": "gelu"},
    ),
    "linear_backward": (
        contracts.linear_backward,
        {"dy": f(2, 3, 5), "x": f(2, 3, 8), "weight": f(5, 8), "bias": f(5)},
        {"activation": "silu"},
    ),
    "attention_forward": (
        contracts.attention_forward,
        {name: attention_arrays()[name] for name in ("q", "k", "v", "first")}, {},
    ),
    "attention_backward": (contracts.attention_backward, attention_arrays(), {}),
    "softmax_forward": (contracts.softmax_forward, {"x": f(3, 7)}, {}),
    "softmax_backward": (contracts.softmax_backward, {"dy": f(3, 7), "y": f(3, 7) + 1}, {}),
    "softmax_summary": (
        contracts.softmax_summary, {"logits": f(4, 9), "ids": ids(9, 4)}, {"k": 3}
    ),
    "layernorm_forward": (
        contracts.layernorm_forward,
        {"x": f(2, 3, 7), "weight": f(7), "bias": f(7) + 1, "residual": f(2, 3, 7) + 1}, {},
    ),
    "layernorm_backward": (
        contracts.layernorm_backward,
        {"dy": f(2, 3, 7), "s": f(2, 3, 7) + 1, "weight": f(7), "mean": f(6), "rstd": abs(f(6)),
         "ds": f(2, 3, 7) - 1}, {},
    ),
    "rmsnorm_forward": (
        contracts.rmsnorm_forward,
        {"x": f(2, 3, 7), "weight": f(7), "residual": f(2, 3, 7) + 1}, {},
    ),
    "rmsnorm_backward": (
        contracts.rmsnorm_backward,
        {"dy": f(2, 3, 7), "s": f(2, 3, 7) + 1, "weight": f(7), "rstd": abs(f(6)),
         "ds": f(2, 3, 7) - 1}, {},
    ),
    "activate_forward": (
        contracts.activate_forward, {"x": f(3, 8)}, {"activation": "swiglu"}
    ),
    "activate_backward": (
        contracts.activate_backward, {"da": f(3, 4), "x": f(3, 8)}, {"activation": "swiglu"}
    ),
    "gelu_forward": (contracts.gelu_forward, {"x": f(3, 7)}, {}),
    "gelu_backward": (contracts.gelu_backward, {"dy": f(3, 7), "x": f(3, 7) + 1}, {}),
    "cross_entropy_forward": (
        contracts.cross_entropy_forward, {"logits": f(4, 9), "targets": ids(9, 4)}, {}
    ),
    "cross_entropy_backward": (
        contracts.cross_entropy_backward,
        {"logits": f(4, 9), "targets": ids(9, 4), "lse": f(4) + 3}, {"dloss": 1.0},
    ),
    "linear_cross_entropy_forward": (
        contracts.linear_cross_entropy,
        {"x": X, "weight": W, "targets": ids(9, 4), "weights": f(4)}, {},
    ),
    "linear_cross_entropy_gradients": (
        contracts.linear_cross_entropy,
        {"x": X, "weight": W, "targets": ids(9, 4), "weights": f(4)}, {},
    ),
    "linear_log_probability_forward": (
        contracts.linear_log_probability, {"x": X, "weight": W, "targets": ids(9, 4)}, {}
    ),
    "linear_log_probability_backward": (
        contracts.linear_log_probability,
        {"x": X, "weight": W, "targets": ids(9, 4), "dy": f(4)}, {},
    ),
    "embedding_forward": (contracts.embedding_forward, {"weight": W, "ids": ids(9, 2, 3)}, {}),
    "embedding_backward": (
        contracts.embedding_backward, {"dy": f(2, 3, 6), "ids": ids(9, 2, 3)}, {"num_embeddings": 9}
    ),
    "dropout_forward": (contracts.dropout, {"x": f(3, 7)}, {"p": 0.5, "key": 7}),
    "adamw_update": (
        contracts.adamw,
        {"param": f(3, 4), "grad": f(3, 4) + 1, "m": f(3, 4) - 1, "v": abs(f(3, 4))}, ADAMW,
    ),
    "adamw8bit_update": (
        contracts.adamw8bit,
        {"param": f(300), "grad": f(300) + 1, "m": np.ones(300, np.int8), "m_scale": abs(f(2)),
         "v": np.ones(300, np.uint8), "v_scale": abs(f(2)) + 1}, ADAMW,
    ),
    "muon_update": (
        contracts.muon, {"param": f(3, 4), "grad": f(3, 4) + 1, "momentum": f(3, 4) - 1}, MUON,
    ),
    "sum_of_squares": (contracts.sum_of_squares, {"x": f(3, 4)}, {}),
    "quantize_rows": (contracts.quantize_rows, {"x": f(3, 7)}, {}),
    "matmul_int8": (
        contracts.matmul_int8, {"x": ids(100, 3, 72).astype(np.int8)}, {"weight": weight("int8")}
    ),
    **{
        f"linear_{scheme}_forward": (
            contracts.linear_packed[scheme],
            {"x": f(3, 72), "bias": f(20), "residual": f(3, 20)}, {"weight": weight(scheme)},
        )
        for scheme in packing.SCHEMES
    },
    "linear_packed_backward": (
        contracts.linear_packed_backward, {"dy": f(3, 20)}, {"weight": weight("int4")}
    ),
    "decode_step": (contracts.decode_step, decode_arrays(), {"network": NETWORK}),
}
# Sizes that settings or other sizes fix.
SIZED = {"adamw8bit_update": {"blocks"}, "decode_step": {"L", "Hkv", "D"}, "matmul_int8": {"K"}}
SIZED |= {f"linear_{scheme}_forward": {"K", "N"} for scheme in packing.SCHEMES}
SIZED |= {"linear_packed_backward": {"N"}}


@pytest.fixture(params=["numpy", "numba", "c"])
def module(request):
    if request.param != "numpy":
        pytest.importorskip({"numba": "numba", "c": "kernels.c"}[request.param])
    return kernels.load(request.param)


def call(module, op, arrays):
    """The op's results as a list, and the arrays that it wrote."""
    settings = CALLS[op][2]
    if op in LISTS:
        results = getattr(module, op)(*([array] for array in arrays.values()), **settings)
    else:
        results = getattr(module, op)(**arrays, **settings)
    results = results if isinstance(results, tuple) else (results,)
    changed = [arrays[name] for name in written(op)]
    return [np.array(x) for x in (*results, *changed) if x is not None]


def copies(op):
    return {name: array.copy() for name, array in CALLS[op][1].items()}


def written(op):
    contract, arrays, _ = CALLS[op]
    return [p.name for p in contract.parameters if "written" in p.words and p.name in arrays]


def places(op, word=None):
    """(name, parameter) of each array of an op, of those with a word if one is given."""
    contract, arrays, _ = CALLS[op]
    by_name = {p.name: p for p in contract.parameters}
    return [(n, by_name[n]) for n in arrays if word is None or word in by_name[n].words]


def grown(array, axis):
    return np.concatenate([array, array.take([0], axis)], axis)


def test_every_op_has_a_call_here():
    elsewhere = {
        "dropout_backward", "shingle_hashes", "minhash_signature",  # test_minhash.py
        "split_words", "repeated_ngrams", "byte_ngrams", "byte_ngram_counts",  # test_ngrams.py
        "byte_ngram_logits", "byte_ngrams_known",
    }
    assert set(CALLS) | elsewhere == set(kernels.OPS)


@pytest.mark.parametrize("op", CALLS)
def test_a_size_that_does_not_fit_is_refused(module, op):
    contract = CALLS[op][0]
    used = [axis for p in contract.parameters for axis in {*p.axes}]
    used += ["..."] * ("R" in used) + ["R"] * ("..." in used)
    for name, parameter in places(op):
        fixed = [axis for axis in parameter.axes if axis not in ("...", "*")]
        for axis in range(-len(fixed), 0):
            if used.count(fixed[axis]) > 1 or fixed[axis] in SIZED.get(op, ()):
                arrays = copies(op)
                arrays[name] = grown(arrays[name], axis)
                with pytest.raises((ValueError, IndexError)):
                    call(module, op, arrays)
        if "..." in parameter.axes and used.count("...") > 1:
            arrays = copies(op)
            arrays[name] = grown(arrays[name], 0)
            with pytest.raises(ValueError):
                call(module, op, arrays)
        if fixed:
            arrays = copies(op)
            arrays[name] = arrays[name].reshape(-1)[0]  # no axes at all
            with pytest.raises((ValueError, IndexError)):
                call(module, op, arrays)


@pytest.mark.parametrize("op", CALLS)
def test_another_dtype_in_one_array_is_refused(module, op):
    for name, parameter in places(op):
        array = CALLS[op][1][name]
        is_float = array.dtype == np.float32
        alone = sum(a.dtype == np.float32 for a in CALLS[op][1].values()) == 1
        wrong = [np.int64, bool, "S4"] + [np.float64, np.float16] * (is_float and not alone)
        if not is_float:
            wrong = [np.float32] + [np.int16] * ("int" not in parameter.words)
        for dtype in wrong:
            arrays = copies(op)
            arrays[name] = array.astype(dtype)
            with pytest.raises(TypeError):
                call(module, op, arrays)
        arrays = copies(op)
        arrays[name] = array.tolist()
        with pytest.raises(TypeError, match=f"{name} must be an array, not list"):
            call(module, op, arrays)


@pytest.mark.parametrize("op", CALLS)
def test_compiled_kernels_compute_in_float32_only(module, op):
    floats = [name for name, array in CALLS[op][1].items() if array.dtype == np.float32]
    if module is numpy_ref or not floats:
        return
    if op.startswith("matmul") and module.__name__ == "kernels.numba_jit":
        return  # the reference itself
    for dtype in (np.float16, np.float64, np.dtype(np.float32).newbyteorder()):
        arrays = copies(op)
        arrays |= {name: arrays[name].astype(dtype) for name in floats}
        with pytest.raises(TypeError, match="float32"):
            call(module, op, arrays)


def field(array):
    """As the float field of records with a tag of two bytes: strides that are no multiple."""
    records = np.zeros(array.shape, [("tag", np.int16), ("value", array.dtype)])
    records["value"] = array
    return records["value"]


def misaligned(array):
    view = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


def gaps(array):
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide[..., ::2] = array
    return wide[..., ::2]


def reversed_axes(array):
    backwards = (slice(None, None, -1),) * array.ndim
    return array[backwards].copy()[backwards]


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


LAYOUTS = [field, misaligned, gaps, reversed_axes, np.asfortranarray]


@pytest.mark.parametrize("op", CALLS)
def test_how_an_input_lies_in_memory_changes_no_bit(module, op):
    expected = call(module, op, copies(op))
    layouts = LAYOUTS if module.__name__ == "kernels.numba_jit" else [*LAYOUTS, read_only]
    for name, parameter in places(op):
        if "written" in parameter.words:
            continue
        for layout in layouts:
            arrays = copies(op)
            arrays[name] = layout(arrays[name])
            for found, right in zip(call(module, op, arrays), expected, strict=True):
                if module is numpy_ref or "matmul" in op:  # BLAS adds in another order
                    np.testing.assert_allclose(found, right, rtol=2e-5, atol=2e-6)
                else:
                    np.testing.assert_array_equal(found, right, err_msg=f"{name} {layout}")


@pytest.mark.parametrize("op", CALLS)
def test_a_repeated_input_is_read_as_if_it_were_whole(module, op):
    for name, parameter in places(op):
        array = CALLS[op][1][name]
        if "written" in parameter.words or array.ndim < 2:
            continue
        repeated = np.broadcast_to(array[:1], array.shape)
        arrays, whole = copies(op) | {name: repeated}, copies(op) | {name: repeated.copy()}
        for found, right in zip(call(module, op, arrays), call(module, op, whole), strict=True):
            np.testing.assert_allclose(found, right, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("op", [op for op in CALLS if written(op)])
def test_what_cannot_be_written_in_place_is_refused_and_left_alone(module, op):
    for name in written(op):
        for layout in (read_only, gaps, field, misaligned, as_bytes):
            arrays = copies(op)
            if layout is misaligned and arrays[name].itemsize == 1:
                continue
            arrays[name] = layout(arrays[name])
            with pytest.raises(ValueError, match=f"{name} .* is written in place"):
                call(module, op, arrays)
            for other, before in CALLS[op][1].items():
                np.testing.assert_array_equal(arrays[other], before)


def as_bytes(array):
    """Over an immutable buffer."""
    return np.frombuffer(array.tobytes(), array.dtype).reshape(array.shape)


@pytest.mark.parametrize("op", [op for op in CALLS if written(op)])
def test_what_is_written_shares_no_memory(module, op):
    names = CALLS[op][1]
    for name in written(op):
        for other in names:
            if other == name or names[other].nbytes < names[name].nbytes:
                continue
            if names[other].dtype != names[name].dtype:
                continue
            arrays = copies(op)
            arrays[name] = arrays[other].reshape(-1)[: names[name].size].reshape(names[name].shape)
            with pytest.raises(ValueError, match="shares memory"):
                call(module, op, arrays)
    if op in LISTS:
        one, two = copies(op), copies(op)
        memory = f(20)
        one["param"], two["param"] = memory[:12].reshape(3, 4), memory[8:].reshape(3, 4)
        lists = [[a, b] for a, b in zip(one.values(), two.values(), strict=True)]
        with pytest.raises(ValueError, match=r"params\[1\] shares memory with params\[0\]"):
            getattr(module, op)(*lists, **CALLS[op][2])


def test_two_parameters_may_have_one_gradient(module):
    """As those of a + b have."""
    one, two, grad = copies("adamw_update"), copies("adamw_update"), f(3, 4)
    for grads in ([grad, grad], [grad.copy(), grad.copy()]):
        params, ms, vs = ([x[name].copy() for x in (one, two)] for name in ("param", "m", "v"))
        module.adamw_update(params, grads, ms, vs, **ADAMW)
    np.testing.assert_array_equal(params[0], params[1])


def emptied(op, axis):
    """The op's arrays with that axis of size 0 wherever it stands."""
    arrays = copies(op)
    for name, parameter in places(op):
        if axis == "...":
            if parameter.axes[:1] in (("...",), ("R",)):
                arrays[name] = arrays[name][:0]
            continue
        for i, other in enumerate(reversed(parameter.axes)):
            if other == axis:
                arrays[name] = arrays[name].swapaxes(0, -1 - i)[:0].swapaxes(0, -1 - i).copy()
    return arrays


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:Mean of empty", "ignore:divide by zero")
@pytest.mark.parametrize("op", CALLS)
def test_a_size_of_zero_means_on_every_backend_what_it_means_in_numpy(module, op):
    axes = {axis for p in CALLS[op][0].parameters for axis in p.axes}
    axes -= {"*", "R"} if "..." in axes else {"*"}
    for axis in sorted(axes - SIZED.get(op, set())):
        try:
            expected = call(numpy_ref, op, emptied(op, axis))
        except (ValueError, IndexError) as error:
            with pytest.raises(type(error)):
                call(module, op, emptied(op, axis))
            continue
        for found, right in zip(call(module, op, emptied(op, axis)), expected, strict=True):
            assert found.shape == right.shape
            if "norm" not in op:  # of no numbers there is no mean
                np.testing.assert_allclose(found, right, rtol=2e-5, atol=2e-6, err_msg=axis)


@pytest.mark.parametrize("op", CALLS)
def test_inputs_may_share_memory(module, op):
    """x with itself as residual, dy with y: nobody writes them."""
    reads = [name for name, p in places(op) if "written" not in p.words]
    for name in reads:
        for other in reads:
            a, b = CALLS[op][1][name], CALLS[op][1][other]
            if name < other and a.shape == b.shape and a.dtype == b.dtype:
                shared, apart = copies(op), copies(op)
                shared[other], apart[other] = shared[name], apart[name].copy()
                pairs = zip(call(module, op, shared), call(module, op, apart), strict=True)
                for found, right in pairs:
                    np.testing.assert_array_equal(found, right)


def gradients_of_attention(module, out=None):
    arrays = attention_arrays()
    return module.attention_backward(**arrays, out=out)


def test_attention_fills_views_of_one_gradient(module):
    packed = np.zeros((2, 3, 16, 8), np.float32)
    q, k, v = packed[:, :, :4], packed[:, :, 4:6], packed[:, :, 6:8]
    arrays = attention_arrays() | {"k": f(2, 3, 2, 8), "v": f(2, 3, 2, 8)}
    arrays["first"][:] = 0
    wanted = module.attention_backward(**arrays)
    module.attention_backward(**arrays, out=(q, k, v))
    for found, right in zip((q, k, v), wanted, strict=True):
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("layout", [gaps, field, misaligned, reversed_axes])
def test_attention_fills_any_view(module, layout):
    wanted = gradients_of_attention(module)
    out = tuple(layout(np.zeros_like(grad)) for grad in wanted)
    gradients_of_attention(module, out)
    for found, right in zip(out, wanted, strict=True):
        np.testing.assert_array_equal(found, right)


def test_attention_refuses_targets_that_cannot_be_filled(module):
    def out(**changed):
        shapes = {"dq": (2, 3, 4, 8), "dk": (2, 5, 2, 8), "dv": (2, 5, 2, 8)}
        return tuple((({n: np.zeros(s, np.float32) for n, s in shapes.items()}) | changed).values())

    one = np.zeros((2, 5, 2, 8), np.float32)
    twice = np.lib.stride_tricks.as_strided(np.zeros(32, np.float32), one.shape, (0, 0, 32, 4))
    for wrong, message in [
        (out(dk=read_only(one)), "read-only"),
        (out(dk=twice), "twice"),
        (out(dk=one, dv=one), "dk is written and shares memory with dv"),
        (out(dk=one[:, :4]), "dk must have shape"),
        (out()[:2], "out must be"),
    ]:
        with pytest.raises(ValueError, match=message):
            gradients_of_attention(module, wrong)
    with pytest.raises(TypeError, match="dk is float64"):
        gradients_of_attention(module, out(dk=one.astype(np.float64)))
    arrays = attention_arrays()
    with pytest.raises(ValueError, match="dq is written and shares memory with q"):
        module.attention_backward(**arrays, out=out(dq=arrays["q"]))


@pytest.mark.parametrize("key", [-1, 2**64])
def test_a_dropout_key_has_64_bits(module, key):
    with pytest.raises(ValueError, match=f"{key}; take key"):
        module.dropout_forward(f(3), 0.5, key)
    with pytest.raises(TypeError):
        module.dropout_forward(f(3), 0.5, 1.5)
    last, first = (module.dropout_forward(f(99), 0.5, key) for key in (np.uint64(2**64 - 1), 0))
    assert (last != first).any()


def test_the_first_step_is_one(module):
    for op in ("adamw_update", "adamw8bit_update"):
        with pytest.raises(ValueError, match="step 0 must be at least 1"):
            arrays = copies(op)
            if op == "adamw_update":
                arrays = {name + "s": [array] for name, array in arrays.items()}
            getattr(module, op)(**arrays, **ADAMW | {"step": 0})


def test_ids_outside_the_table_are_refused_by_backward_too(module):
    for wrong in (2, -1, 10**6):
        with pytest.raises(IndexError, match=f"id {wrong} is outside the table of 2 rows"):
            module.embedding_backward(f(3, 4), np.array([0, 1, wrong]), 2)


def test_ids_of_any_integer_dtype_and_layout_are_taken(module):
    wanted = module.embedding_forward(W, np.array([1, 8, 3]))
    for dtype in (np.int8, np.uint8, np.int16, np.uint64, ">i4"):
        found = module.embedding_forward(W, field(np.array([1, 8, 3], dtype)))
        np.testing.assert_array_equal(found, wanted)


def test_layers_and_inputs_without_rows(module):
    for scheme in packing.SCHEMES:
        forward = getattr(module, f"linear_{scheme}_forward")
        for n, k, rows in [(0, 72, 3), (20, 0, 3), (20, 72, 0), (0, 0, 0)]:
            y = forward(f(2, rows, k), weight(scheme, n, k), f(n))
            np.testing.assert_array_equal(y, np.broadcast_to(f(n), y.shape))
            assert y.shape == (2, rows, n)
            dx = module.linear_packed_backward(y, weight(scheme, n, k))
            assert dx.shape == (2, rows, k) and (n or not dx.any())


@pytest.mark.parametrize("scheme", packing.SCHEMES)
def test_packed_by_hand_must_fit_its_shape(scheme):
    right = weight(scheme)
    parts = {"scheme": scheme, "shape": (20, 72), "codes": right.codes, "scale": right.scale}
    parts |= {"offset": right.offset}
    Packed(**parts)
    wrong = [
        {"shape": (21, 72)}, {"shape": (33, 72)}, {"shape": (20, 10**6)}, {"shape": (20,)},
        {"shape": (-20, 72)}, {"codes": right.codes[:1]}, {"codes": right.codes[:, :-1]},
        {"codes": right.codes.reshape(-1)}, {"scale": right.scale[:-1]}, {"scheme": "int3"},
        {"codes": right.codes.astype(np.int16)}, {"scale": right.scale.astype(np.float64)},
        {"codes": right.codes.tolist()},
    ]
    if scheme == "int8":
        wrong += [{"offset": None}, {"offset": right.offset[:20]},
                  {"offset": right.offset.astype(np.int64)}]
    for change in wrong:
        if change == {"shape": (21, 72)} and scheme != "int8":
            continue  # 21 rows take the same two panels
        with pytest.raises((ValueError, TypeError), match="Packed: "):
            Packed(**parts | change)


@pytest.mark.parametrize("part", ["codes", "scale", "offset"])
@pytest.mark.parametrize("layout", [gaps, field])
def test_packed_arrays_must_lie_whole(part, layout):
    """They are kept and mapped from files: a copy of one would be a second model in memory."""
    right = weight("int8")
    parts = {"codes": right.codes, "scale": right.scale, "offset": right.offset}
    with pytest.raises(ValueError, match=f"Packed: {part} must be contiguous"):
        Packed("int8", right.shape, **parts | {part: layout(parts[part])})


def test_a_matrix_that_is_not_packed_is_refused(module):
    for scheme in packing.SCHEMES:
        with pytest.raises(TypeError, match="the weight must be Packed, not ndarray"):
            getattr(module, f"linear_{scheme}_forward")(f(3, 72), f(20, 72))
    with pytest.raises(TypeError, match="the weight must be Packed, not ndarray"):
        module.linear_packed_backward(f(3, 20), f(20, 72))


def test_caches_made_read_only_between_two_steps_are_refused(module):
    keys, values = caches(NETWORK, 1)
    at = np.array([0])
    module.decode_step(at, NETWORK, keys, values, at)
    values.flags.writeable = False
    before = values.copy()
    with pytest.raises(ValueError, match="values .* is written in place"):
        module.decode_step(at, NETWORK, keys, values, at)
    np.testing.assert_array_equal(values, before)


def test_positions_end_with_the_cache(module):
    keys, values = caches(NETWORK, 1)
    for wrong in (-1, CONTEXT, 2**40):
        with pytest.raises(ValueError, match=f"position {wrong} is outside"):
            module.decode_step(np.array([0]), NETWORK, keys, values, np.array([wrong]))


def test_a_contract_forgets_what_it_cannot_hold():
    contract = Contract("op", "x (..., V)")
    for n in range(REMEMBERED + 2):
        assert contract.check(np.empty((2, 3, n), np.float32)) == (6, n)
    assert len(contract._right) <= REMEMBERED


def test_adamw_on_a_read_only_map_of_a_file(module, tmp_path):
    """A model opened for generating, trained by mistake."""
    np.save(tmp_path / "w.npy", f(1000))
    param = np.load(tmp_path / "w.npy", mmap_mode="r")
    with pytest.raises(ValueError, match="param .* is written in place"):
        module.adamw_update([param], [f(1000)], [f(1000)], [abs(f(1000))], **ADAMW)
    assert module.sum_of_squares([param]) == pytest.approx(float((f(1000) ** 2).sum()), rel=1e-6)
