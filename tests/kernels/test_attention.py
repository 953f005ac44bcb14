"""Attention, every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import exact, floats, worst

from kernels import numpy_ref, threads

EPS = 2.0**-23
LENGTHS = (1, 2, 3, 5, 7, 9, 13, 15, 17, 33, 130)
HEAD_SIZES = (1, 4, 8, 20, 32, 64, 80)


def inputs(B, Tq, Tk, H, Hkv, D, scale=1.0):
    q, k = floats(1, B, Tq, H, D, scale=scale), floats(2, B, Tk, Hkv, D, scale=scale)
    return q, k, floats(3, B, Tk, Hkv, D)


def documents(*lengths):
    """(1, T) first keys of documents of these lengths, packed into one row."""
    return np.repeat(np.cumsum(lengths) - lengths, lengths)[None]


def check(fast, q, k, v, causal=True, scale=None, **sight):
    """Forward and backward within the bounds stated in c/attention.py.

    sight: first, last, bias, rotary.
    """
    bias = sight.get("bias")
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    groups = q.shape[2] // k.shape[2]
    k_all, v_all = (x.astype(float).repeat(groups, axis=2) for x in (k, v))
    scores = np.einsum("bihd,bjhd->bhij", np.abs(q), np.abs(k_all)) if "rotary" in sight else (
        np.einsum("bihd,bjhd->bhij", q, k_all))
    largest = np.abs(scores * factor).max(initial=0) + (0 if bias is None else np.abs(bias).max())
    bound = EPS * (1 + largest)

    y, lse = fast.attention_forward(q, k, v, causal, scale, **sight)
    y_ref, lse_ref = exact(numpy_ref.attention_forward, q, k, v, causal, scale, **sight)
    assert y.dtype == lse.dtype == np.float32
    seen = np.isfinite(lse_ref)
    assert np.array_equal(np.isneginf(lse), ~seen)
    largest = np.abs(lse_ref[seen]).max(initial=largest)
    assert np.abs(lse[seen] - lse_ref[seen]).max(initial=0) < 4 * EPS * (1 + largest)
    assert np.abs(y - y_ref).max() <= 2 * bound * np.abs(v).max()

    dy = floats(4, *y.shape)
    grads = fast.attention_backward(dy, q, k, v, y, lse, causal, scale, **sight)
    saved = (y_ref, lse_ref, causal, scale)
    references = exact(numpy_ref.attention_backward, dy, q, k, v, *saved, **sight)
    dp = np.abs(np.einsum("bihd,bjhd->bhij", dy, v_all)).max()
    terms = (dp * factor * np.abs(k).max(), dp * factor * np.abs(q).max(), np.abs(dy).max(), dp)
    for grad, reference, term in zip(grads, references, terms, strict=False):
        assert grad.shape == reference.shape
        size = max(np.abs(reference).max(), term)
        assert np.abs(grad - reference).max() <= 4 * bound * size
    assert len(grads) == len(references) == (3 if bias is None else 4)


@pytest.mark.parametrize("T", LENGTHS)
def test_agrees_at_every_length(fast, T):
    check(fast, *inputs(2, T, T, 3, 3, 32))


@pytest.mark.parametrize("D", HEAD_SIZES)
def test_agrees_at_every_head_size(fast, D):
    check(fast, *inputs(2, 37, 37, 2, 2, D))


@pytest.mark.parametrize("heads", [(4, 2), (6, 1), (9, 3)])
def test_grouped_heads_share_keys(fast, heads):
    check(fast, *inputs(2, 21, 29, *heads, 8))


@pytest.mark.parametrize("Tq", [1, 2, 4, 5, 20, 33])
@pytest.mark.parametrize("ahead", [1, 13, 100])
def test_last_query_sees_every_key_of_a_cache(fast, Tq, ahead):
    check(fast, *inputs(2, Tq, Tq + ahead, 4, 2, 20))


@pytest.mark.parametrize("shape", [(1, 1), (1, 65), (17, 17), (66, 130), (130, 66)])
def test_without_a_mask_every_query_sees_every_key(fast, shape):
    check(fast, *inputs(2, *shape, 2, 2, 20), causal=False)


@pytest.mark.parametrize("shape", [(2, 1), (40, 13), (130, 3), (5, 0)])
def test_query_that_sees_no_key_gets_zeros(fast, shape):
    q, k, v = inputs(2, *shape, 2, 2, 8)
    y, lse = fast.attention_forward(q, k, v)
    masked = shape[0] - shape[1]
    assert np.all(y[:, :masked] == 0)
    assert np.all(np.isneginf(lse[:, :, :masked]))
    if shape[1]:
        check(fast, q, k, v)
    else:
        assert np.all(fast.attention_backward(y, q, k, v, y, lse)[0] == 0)


@pytest.mark.parametrize("size", [1e-3, 10.0, 100.0])
def test_small_and_huge_logits(fast, size):
    """100 * 100 * sqrt(32): scores of 5e4, whose exponentials overflow any float."""
    check(fast, *inputs(1, 70, 70, 2, 2, 32, scale=size))


def test_scale_is_the_callers(fast):
    check(fast, *inputs(1, 19, 19, 2, 2, 8), scale=0.3)


def test_future_does_not_reach_the_past(fast):
    q, k, v = inputs(1, 100, 100, 2, 2, 32)
    before, _ = fast.attention_forward(q, k, v)
    k[:, 50:], v[:, 50:] = 1e4, -1e30
    after, _ = fast.attention_forward(q, k, v)
    assert np.array_equal(before[:, :50], after[:, :50])


def test_heads_of_a_packed_projection_are_read_and_written_in_place(fast):
    B, T, H, D = 2, 45, 3, 20
    packed = floats(5, B, T, 3, H, D)
    q, k, v = (packed[:, :, n] for n in range(3))
    y, lse = fast.attention_forward(q, k, v)
    copies = [np.ascontiguousarray(x) for x in (q, k, v)]
    y_copies, lse_copies = fast.attention_forward(*copies)
    assert np.array_equal(y, y_copies)
    assert np.array_equal(lse, lse_copies)
    dy, dpacked = floats(6, *y.shape), np.full_like(packed, np.nan)
    out = tuple(dpacked[:, :, n] for n in range(3))
    grads = fast.attention_backward(dy, q, k, v, y, lse, out=out)
    assert all(grad is target for grad, target in zip(grads, out, strict=True))
    expected = fast.attention_backward(dy, *copies, y, lse)
    for grad, same in zip(out, expected, strict=True):
        assert np.array_equal(grad, same)


def test_views_with_gaps_in_the_last_axis(fast):
    wide = floats(7, 3, 1, 11, 2, 16)
    q, k, v = (x[..., ::2] for x in wide)
    dwide = np.zeros_like(wide)
    y, lse = fast.attention_forward(q, k, v)
    dq, dk, dv = fast.attention_backward(y, q, k, v, y, lse, out=tuple(dwide[..., ::2]))
    expected = fast.attention_backward(y, *(np.ascontiguousarray(x) for x in (q, k, v)), y, lse)
    assert all(np.array_equal(a, b) for a, b in zip((dq, dk, dv), expected, strict=True))
    assert np.all(dwide[..., 1::2] == 0)


@pytest.mark.parametrize("first", [None, 250])
@pytest.mark.parametrize("B", [1, 12])
def test_threads_do_not_change_a_bit(fast, B, first):
    """One head of a long text is divided among threads too; its partial sums keep their order."""
    q, k, v = inputs(B, 600, 600, 2, 1, 8)
    first = first and documents(first, 600 - first).repeat(B, axis=0)
    dy, results, before = floats(8, *q.shape), [], threads.get_num_threads()
    try:
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            y, lse = fast.attention_forward(q, k, v, first=first)
            grads = fast.attention_backward(dy, q, k, v, y, lse, first=first)
            results.append(b"".join(a.tobytes() for a in (y, lse, *grads)))
    finally:
        threads.set_num_threads(before)
    assert len(set(results)) == 1


@pytest.mark.parametrize("heads", [(2, 1), (3, 3)])
def test_long_text_of_few_heads(fast, heads):
    """Few enough heads, and keys enough, for backward to divide the keys of a head."""
    check(fast, *inputs(1, 700, 781, *heads, 8))


def test_nan_is_not_hidden(fast):
    q, k, v = inputs(1, 40, 40, 1, 1, 8)
    q[0, 7] = np.nan
    y, _ = fast.attention_forward(q, k, v)
    assert np.all(np.isnan(y[0, 7]))
    assert not np.any(np.isnan(y[0, :7]))


def test_forward_of_one_backend_serves_backward_of_another(fast):
    q, k, v = inputs(2, 50, 50, 2, 2, 20)
    dy = floats(9, *q.shape)
    y, lse = fast.attention_forward(q, k, v)
    here = numpy_ref.attention_backward(dy, q, k, v, y, lse)
    there = fast.attention_backward(dy, q, k, v, *numpy_ref.attention_forward(q, k, v))
    for a, b in zip(here, there, strict=True):
        assert np.abs(a - b).max() < 1e-5


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 65), (3, 301), (7, 9), (15, 17), (601, 613)])
def test_first_keys_of_any_order(fast, shape, causal):
    q, k, v = inputs(2, *shape, 2, 1, 20)
    first = np.random.default_rng(0).integers(0, shape[1] + 1, (2, shape[0]))
    check(fast, q, k, v, causal, first=first)


@pytest.mark.parametrize("lengths", [(1, 2, 3), (7, 9, 15, 17), (31, 1, 33), (100, 48, 64, 311)])
def test_packed_documents_are_what_they_are_alone(fast, lengths):
    """The last row has keys enough for backward to divide them into ranges."""
    T, first = sum(lengths), documents(*lengths)
    q, k, v = inputs(1, T, T, 2, 1, 20)
    dy = floats(4, *q.shape)
    y, lse = fast.attention_forward(q, k, v, first=first)
    grads = fast.attention_backward(dy, q, k, v, y, lse, first=first)
    for start in np.unique(first):
        one = np.flatnonzero(first[0] == start)
        alone = [x[:, one] for x in (q, k, v)]
        y_alone, lse_alone = fast.attention_forward(*alone)
        grads_alone = fast.attention_backward(dy[:, one], *alone, y_alone, lse_alone)
        assert np.abs(lse[:, :, one] - lse_alone).max() < 2e-6
        for packed, own in zip((y, *grads), (y_alone, *grads_alone), strict=True):
            assert np.abs(packed[:, one] - own).max() < 4e-6


def test_padding_is_as_if_it_were_not_there(fast):
    T, pads = 70, np.array([0, 13, 69], np.int32)
    q, k, v = inputs(3, T, T, 2, 2, 20)
    dy, first = floats(4, *q.shape), np.broadcast_to(pads[:, None], (3, T))
    for b, pad in enumerate(pads):
        k[b, :pad], v[b, :pad] = 1e4, -1e30
    y, lse = fast.attention_forward(q, k, v, first=first)
    grads = fast.attention_backward(dy, q, k, v, y, lse, first=first)
    for b, pad in enumerate(pads):
        alone = [x[b : b + 1, pad:] for x in (q, k, v)]
        y_alone, lse_alone = fast.attention_forward(*alone)
        grads_alone = fast.attention_backward(dy[b : b + 1, pad:], *alone, y_alone, lse_alone)
        for padded, own in zip((y, *grads), (y_alone, *grads_alone), strict=True):
            assert not padded[b, :pad].any()
            assert np.abs(padded[b, pad:] - own[0]).max() < 4e-6


@pytest.mark.parametrize("T", [1, 3, 70, 300])
@pytest.mark.parametrize("causal", [True, False])
def test_query_whose_first_key_leaves_it_none_gets_zeros(fast, T, causal):
    q, k, v = inputs(2, T, T, 2, 1, 8)
    first = np.zeros((2, T), np.int64)
    first[0, T // 2], first[1] = T, T
    y, lse = fast.attention_forward(q, k, v, causal, None, first)
    dq, dk, dv = fast.attention_backward(floats(4, *q.shape), q, k, v, y, lse, causal, first=first)
    for none in ((0, T // 2), (1,)):
        assert not y[none].any() and not dq[none].any()
    assert np.all(np.isneginf(lse[0, :, T // 2])) and np.all(np.isneginf(lse[1]))
    assert not dk[1].any() and not dv[1].any()
    check(fast, q, k, v, causal, first=first)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("T", [1, 4, 130])
def test_the_keys_seen_can_be_counted(fast, T, causal):
    """Scores of 0 make e^lse the number of keys, and dv_j = sum_i dy_i / n_i over who sees j: off
    by one at any first key cannot hide."""
    _, k, v = inputs(2, T, T, 1, 1, 8)
    first = np.random.default_rng(T).integers(0, T + 1, (2, T))
    q, keys, queries = np.zeros_like(k), np.arange(T), np.arange(T)[:, None]
    sees = keys >= first[:, :, None]
    if causal:
        sees &= keys <= queries
    count = sees.sum(axis=-1)
    y, lse = fast.attention_forward(q, k, v, causal, None, first)
    assert np.abs(np.exp(lse[:, 0]) - count).max() < 1e-3
    dv = fast.attention_backward(np.ones_like(y), q, k, v, y, lse, causal, first=first)[2]
    expected = np.einsum("bij,bi->bj", sees, 1 / np.maximum(count, 1))
    assert worst(dv[:, :, 0, 0], expected) < 2e-6


def test_another_first_key_changes_its_own_query_alone(fast):
    q, k, v = inputs(1, 130, 130, 1, 1, 8)
    for start in (1, 8, 47, 48, 49, 64, 65, 128):
        first = np.full((1, 130), start)
        moved = first.copy()
        moved[0, 40] -= 1
        before, _ = fast.attention_forward(q, k, v, False, None, first)
        after, _ = fast.attention_forward(q, k, v, False, None, moved)
        assert np.flatnonzero((before != after).any(axis=(0, 2, 3))).tolist() == [40]


def test_blocks_before_every_first_key_are_not_read(fast):
    """192 is a multiple of every version's block of keys: what lies before it may be anything."""
    q, k, v = inputs(1, 100, 300, 2, 1, 8)
    k[:, :192] = v[:, :192] = np.nan
    first = np.full((1, 100), 195)
    y, lse = fast.attention_forward(q, k, v, first=first)
    grads = fast.attention_backward(floats(4, *q.shape), q, k, v, y, lse, first=first)
    assert all(np.isfinite(x).all() for x in (y, lse, *grads))
    assert not any(grad[:, :195].any() for grad in grads[1:])


def test_first_keys_that_do_not_fit_are_named(fast):
    q, k, v = inputs(1, 4, 6, 1, 1, 8)
    with pytest.raises(TypeError, match="first must be integers, not float64"):
        fast.attention_forward(q, k, v, first=np.zeros((1, 4)))
    with pytest.raises(ValueError, match=r"first must have shape \(1, 4\), not \(1, 6\)"):
        fast.attention_forward(q, k, v, first=np.zeros((1, 6), int))
    y, lse = fast.attention_forward(q, k, v, first=np.array([[0, 1, 2, 6]]))
    for wrong in (-1, 7):
        with pytest.raises(ValueError, match=f"first key {wrong} is outside 0 to 6"):
            fast.attention_backward(y, q, k, v, y, lse, first=np.array([[0, 0, 0, wrong]]))


LAST = [(1, 1), (1, 65), (3, 301), (7, 9), (15, 17), (300, 313)]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", LAST)
def test_last_keys_of_any_order(fast, shape, causal):
    q, k, v = inputs(2, *shape, 2, 1, 20)
    rng = np.random.default_rng(0)
    first, last = (rng.integers(0, shape[1] + 1, (2, shape[0])) for _ in range(2))
    check(fast, q, k, v, causal, last=last)
    check(fast, q, k, v, causal, first=first, last=last)


@pytest.mark.parametrize("lengths", [(1, 2, 3), (31, 1, 33), (100, 48, 64, 111)])
def test_packed_documents_of_an_encoder_are_what_they_are_alone(fast, lengths):
    T, first = sum(lengths), documents(*lengths)
    last = first + np.repeat(lengths, lengths)
    q, k, v = inputs(1, T, T, 2, 1, 20)
    dy, sight = floats(4, *q.shape), {"causal": False, "first": first, "last": last}
    y, lse = fast.attention_forward(q, k, v, **sight)
    grads = fast.attention_backward(dy, q, k, v, y, lse, **sight)
    for start in np.unique(first):
        one = np.flatnonzero(first[0] == start)
        alone = [x[:, one] for x in (q, k, v)]
        y_alone, lse_alone = fast.attention_forward(*alone, causal=False)
        own = fast.attention_backward(dy[:, one], *alone, y_alone, lse_alone, causal=False)
        for packed, expected in zip((y, *grads), (y_alone, *own), strict=True):
            assert np.abs(packed[:, one] - expected).max() < 4e-6


def test_keys_after_every_last_key_are_not_read(fast):
    q, k, v = inputs(1, 100, 300, 2, 1, 8)
    k[:, 192:] = v[:, 192:] = np.nan  # a multiple of every version's block of keys
    last = np.full((1, 100), 190)
    y, lse = fast.attention_forward(q, k, v, causal=False, last=last)
    dy = floats(4, *q.shape)
    grads = fast.attention_backward(dy, q, k, v, y, lse, causal=False, last=last)
    assert all(np.isfinite(x).all() for x in (y, lse, *grads))
    assert not any(grad[:, 190:].any() for grad in grads[1:])


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", [*LAST, (1, 700), (70, 13), (601, 613)])
def test_biases_by_distance(fast, shape, causal):
    q, k, v = inputs(2, *shape, 4, 2, 20)
    bias = floats(5, 4, sum(shape) - 1)
    check(fast, q, k, v, causal, bias=bias)
    first = np.random.default_rng(0).integers(0, shape[1] + 1, (2, shape[0]))
    check(fast, q, k, v, causal, first=first, bias=bias)


def test_a_bias_reaches_the_scores_of_its_distance_alone(fast):
    """Scores of 0 but for one distance: e^lse counts the keys, and whom the bias weighs."""
    T, distance = 130, 37
    _, k, v = inputs(1, T, T, 2, 2, 8)
    bias = np.zeros((2, 2 * T - 1), np.float32)
    bias[1, T - 1 + distance] = np.log(11)  # keys 37 before their query, in head 1
    _, lse = fast.attention_forward(np.zeros_like(k), k, v, True, bias=bias)
    count = np.arange(T) + 1.0
    assert np.abs(np.exp(lse[0, 0]) - count).max() < 1e-3
    assert np.abs(np.exp(lse[0, 1]) - count - 10 * (np.arange(T) >= distance)).max() < 1e-3


def test_threads_do_not_change_a_bias_gradient(fast):
    q, k, v = inputs(2, 600, 600, 2, 1, 8)
    bias, before, results = floats(5, 2, 1199), threads.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            y, lse = fast.attention_forward(q, k, v, bias=bias)
            results.append(fast.attention_backward(q, q, k, v, y, lse, bias=bias)[3].tobytes())
    finally:
        threads.set_num_threads(before)
    assert len(set(results)) == 1


def angles(positions, pairs, base=100.0):
    turns = np.arange(positions)[:, None] * base ** -(np.arange(pairs) / pairs)
    return np.cos(turns).astype(np.float32), np.sin(turns).astype(np.float32)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("shape", [(1, 1), (1, 65), (3, 301), (15, 17), (130, 130), (601, 613)])
@pytest.mark.parametrize("pairs", [1, 4, 10])
def test_rotated_by_position(fast, shape, causal, pairs):
    q, k, v = inputs(2, *shape, 4, 2, 20)
    check(fast, q, k, v, causal, rotary=angles(shape[1] + 3, pairs))


def test_rotated_scores_depend_on_distance_alone(fast):
    """The same query and key at every position: each query sees the same row of scores."""
    q, k, v = inputs(1, 1, 1, 2, 2, 20)
    q, k, v = (np.repeat(x, 90, axis=1) for x in (q, k, v))
    first = np.maximum(np.arange(90) - 8, 0)[None]  # a window of nine keys
    _, lse = fast.attention_forward(q, k, v, first=first, rotary=angles(90, 10))
    assert np.abs(lse[0, :, 8:] - lse[0, :, 8:9]).max() < 2e-5
    still = fast.attention_forward(q, k, v, first=first)[1]
    assert np.abs(lse - still)[0, :, 8:].min() > 1e-3


def test_everything_at_once(fast):
    q, k, v = inputs(2, 150, 150, 6, 2, 20)
    rng = np.random.default_rng(3)
    first, last = rng.integers(0, 100, (2, 150)), rng.integers(50, 151, (2, 150))
    sight = {"first": first, "last": last, "bias": floats(5, 6, 299), "rotary": angles(150, 8)}
    check(fast, q, k, v, False, 0.3, **sight)


def test_biases_and_tables_that_do_not_fit_are_named(fast):
    q, k, v = inputs(1, 4, 6, 2, 1, 8)
    with pytest.raises(ValueError, match="bias has 8 distances, 4 queries and 6 keys have 9"):
        fast.attention_forward(q, k, v, bias=floats(1, 2, 8))
    with pytest.raises(ValueError, match=r"rotary tables \(5, 4\) .* 6 positions"):
        fast.attention_forward(q, k, v, rotary=angles(5, 4))
    with pytest.raises(ValueError, match=r"2 R <= 8"):
        fast.attention_forward(q, k, v, rotary=angles(6, 5))
    with pytest.raises(ValueError, match="4 queries have no positions among 3 keys"):
        fast.attention_forward(q, k[:, :3], v[:, :3], rotary=angles(6, 4))
    with pytest.raises(ValueError, match="last key 7 is outside 0 to 6"):
        fast.attention_forward(q, k, v, last=np.array([[0, 1, 2, 7]]))


def test_shapes_that_do_not_fit_are_named(fast):
    q, k, v = inputs(1, 4, 4, 3, 2, 8)
    with pytest.raises(ValueError, match="2 key heads do not divide 3 heads"):
        fast.attention_forward(q, k, v)
    with pytest.raises(ValueError, match=r"\(1, 4, 2, 8\).*\(1, 5, 2, 8\)"):
        fast.attention_forward(q[:, :, :2], k, np.zeros((1, 5, 2, 8), np.float32))
    with pytest.raises(TypeError, match="int64"):
        fast.attention_forward(q.astype(np.int64), k, v)


def test_scratch_grows_with_the_length_and_not_with_its_square(isa):
    from kernels.c import attention, library

    def floats_lent(T, backward):
        q, k, v = inputs(1, T, T, 1, 1, 64)
        shape, sight = attention._shape(q, k, v, True, None), attention._Sight(*[None] * 5)
        return library.lib.attention_scratch(shape, sight.struct, backward)

    assert floats_lent(4096, 0) == floats_lent(256, 0)
    assert floats_lent(8192, 1) < 2.1 * floats_lent(4096, 1)
