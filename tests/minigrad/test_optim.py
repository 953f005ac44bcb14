"""Optimizers: the rule, groups, exact resume, clipping, the schedule."""

import numpy as np
import pytest

from minigrad import Tensor, optim, tensor


def quadratic(seed=0, n=7):
    rng = np.random.default_rng(seed)
    return [Tensor(rng.standard_normal(s, dtype=np.float32), requires_grad=True)
            for s in ((n,), (3, n), (1,))]


def steps(params, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad()
        sum(((p * p).sum() for p in params), tensor(0.0)).backward()
        optimizer.step()


def test_adamw_follows_the_published_rule():
    p = tensor([0.5], requires_grad=True)
    optimizer = optim.AdamW([p], lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.2)
    w, m, v = 0.5, 0.0, 0.0
    for t in range(1, 6):
        p.grad = np.float32([0.3 * t])
        optimizer.step(grad_scale=0.5)
        g = 0.15 * t
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        update = (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-6)
        w = w - 0.1 * 0.2 * w - 0.1 * update
    np.testing.assert_allclose(p.data, [w], rtol=1e-5)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_the_published_rule(nesterov):
    p = tensor([0.5], requires_grad=True)
    optimizer = optim.SGD([p], lr=0.1, momentum=0.8, weight_decay=0.2, nesterov=nesterov)
    w, v = 0.5, 0.0
    for t in range(1, 6):
        p.grad = np.float32([0.3 * t])
        optimizer.step(grad_scale=0.5)
        g = 0.15 * t + 0.2 * w
        v = 0.8 * v + g
        w = w - 0.1 * (g + 0.8 * v if nesterov else v)
        np.testing.assert_array_equal(p.grad, np.float32([0.3 * t]))
    np.testing.assert_allclose(p.data, [w], rtol=1e-5)


def test_sgd_without_momentum_keeps_nothing():
    a = quadratic()
    optimizer = optim.SGD(a, lr=0.1)
    before = [p.data.copy() for p in a]
    steps(a, optimizer, 1)
    for p, w in zip(a, before, strict=True):
        np.testing.assert_allclose(p.data, w - 0.1 * 2 * w, rtol=1e-6)
    assert set(optimizer.state_dict()) == {"steps"}


def test_adam_adds_the_decay_to_the_gradient():
    p = tensor([0.5], requires_grad=True)
    optimizer = optim.Adam([p], lr=0.1, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.2)
    w, m, v = 0.5, 0.0, 0.0
    for t in range(1, 6):
        p.grad = np.float32([0.3 * t])
        optimizer.step(grad_scale=0.5)
        g = 0.15 * t + 0.2 * w
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g * g
        w = w - 0.1 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-6)
        np.testing.assert_array_equal(p.grad, np.float32([0.3 * t]))
    np.testing.assert_allclose(p.data, [w], rtol=1e-5)


@pytest.mark.parametrize("settings", [{"lr": -1}, {"momentum": 1.0}, {"nesterov": True}])
def test_sgd_refuses_settings_that_make_no_rule(settings):
    with pytest.raises(ValueError, match="SGD: "):
        optim.SGD(quadratic(), **settings)


def test_groups_keep_their_own_settings():
    a, b = tensor([1.0], requires_grad=True), tensor([1.0], requires_grad=True)
    optimizer = optim.AdamW([{"params": [a], "weight_decay": 0.5}, {"params": [b]}],
                            lr=0.1, weight_decay=0.0)
    a.grad = b.grad = np.zeros(1, np.float32)
    optimizer.step()
    np.testing.assert_allclose([a.item(), b.item()], [0.95, 1.0], rtol=1e-6)


def test_step_takes_a_rate_for_all_groups():
    a = tensor([1.0], requires_grad=True)
    optimizer = optim.AdamW([a], lr=0.1, weight_decay=1.0)
    a.grad = np.zeros(1, np.float32)
    optimizer.step(lr=0.5)
    assert a.item() == 0.5 and optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("lr", [None, 0.5])
def test_a_groups_scale_is_a_factor_on_the_rate_of_a_step(lr):
    a, b = tensor([1.0], requires_grad=True), tensor([1.0], requires_grad=True)
    groups = [{"params": [a], "lr_scale": 0.25}, {"params": [b]}]
    optimizer = optim.AdamW(groups, lr=0.5, weight_decay=1.0)
    a.grad = b.grad = np.zeros(1, np.float32)
    optimizer.step(lr=lr)
    assert (a.item(), b.item()) == (0.875, 0.5)


def test_muons_momentum_rises_in_a_line_and_stays():
    """Against the rule with each step's momentum given by hand, also from a saved state."""
    grads = np.random.default_rng(0).standard_normal((7, 3, 4)).astype(np.float32)
    warm, by_hand, resumed = (tensor(np.ones((3, 4), np.float32)) for _ in range(3))
    settings = {"others": [], "lr": 0.1, "momentum": 0.95, "warmup": (0.85, 4)}
    follow(warm, optim.Muon([warm], **settings), grads)
    hand = optim.Muon([by_hand], [], lr=0.1)
    for hand.momentum, grad in zip((0.85, 0.875, 0.9, 0.925, 0.95, 0.95, 0.95), grads, strict=True):
        follow(by_hand, hand, [grad])
    first, second = optim.Muon([resumed], **settings), optim.Muon([resumed], **settings)
    follow(resumed, first, grads[:3])
    second.load_state_dict({name: array.copy() for name, array in first.state_dict().items()})
    follow(resumed, second, grads[3:])
    np.testing.assert_allclose(warm.data, by_hand.data, rtol=1e-5)
    assert warm.data.tobytes() == resumed.data.tobytes()


def follow(param, optimizer, grads):
    for param.grad in grads:
        optimizer.step()


def test_parameters_without_gradient_stay():
    a, b = quadratic()[:2]
    before = b.data.copy()
    optimizer = optim.AdamW([a, b])
    a.grad = np.ones_like(a.data)
    optimizer.step()
    np.testing.assert_array_equal(b.data, before)


def test_state_dict_resumes_to_the_bit():
    straight, resumed = quadratic(), quadratic()
    whole = optim.AdamW(straight)
    steps(straight, whole, 10)
    half = optim.AdamW(resumed)
    steps(resumed, half, 4)
    saved = {name: array.copy() for name, array in half.state_dict().items()}
    again = optim.AdamW(resumed)
    again.load_state_dict(saved)
    steps(resumed, again, 6)
    assert all(a.data.tobytes() == b.data.tobytes() for a, b in zip(straight, resumed, strict=True))


def test_a_state_of_other_parameters_is_refused():
    state = optim.AdamW(quadratic(n=7)).state_dict()
    with pytest.raises(ValueError, match="do not fit this AdamW"):
        optim.AdamW(quadratic(n=8)).load_state_dict(state)


@pytest.mark.parametrize(
    "params, message",
    [
        ([], "no parameters"),
        ([{"params": quadratic(), "momentum": 1}], "unknown setting 'momentum'"),
    ],
)
def test_bad_groups_are_refused(params, message):
    with pytest.raises(ValueError, match=message):
        optim.AdamW(params)


def test_a_parameter_in_two_groups_is_refused():
    p = quadratic()
    with pytest.raises(ValueError, match="two groups"):
        optim.AdamW([{"params": p}, {"params": p[:1]}])


def test_clip_grad_norm_returns_norm_and_scale_and_writes_nothing():
    a, b = quadratic()[:2]
    a.grad, b.grad = np.full_like(a.data, 3.0), np.full_like(b.data, 4.0)
    norm, scale = optim.clip_grad_norm([a, b], 1.0)
    expected = np.sqrt(9 * a.size + 16 * b.size)
    np.testing.assert_allclose([norm, scale], [expected, 1 / expected])
    assert (a.grad == 3).all()
    assert optim.clip_grad_norm([a, b], 100.0)[1] == 1.0


def test_schedule_warms_up_and_comes_down():
    rate = optim.warmup_cosine(lr=1.0, min_lr=0.1, warmup_steps=9, steps=109)
    np.testing.assert_allclose([rate(0), rate(4), rate(9)], [0.1, 0.5, 1.0])
    np.testing.assert_allclose([rate(59), rate(109), rate(10_000)], [0.55, 0.1, 0.1])
    assert all(rate(i) > rate(i + 1) for i in range(9, 108))


def test_schedule_refuses_a_minimum_above_the_rate():
    with pytest.raises(ValueError, match="min_lr <= lr"):
        optim.warmup_cosine(1e-4, 1e-3, 10, 100)


@pytest.mark.parametrize("steps", [1, 5])
def test_schedule_without_a_warmup_begins_at_the_rate(steps):
    rate = optim.warmup_cosine(lr=1.0, min_lr=1.0, warmup_steps=0, steps=steps)
    assert [rate(i) for i in range(steps + 1)] == [1.0] * (steps + 1)
    assert optim.warmup_cosine(1.0, 0.25, 0, 1)(0) == 1.0
    halfway = optim.warmup_cosine(1.0, 0.0, 0, 2)
    np.testing.assert_allclose([halfway(0), halfway(1), halfway(2)], [1.0, 0.5, 0.0])


def test_schedule_ends_its_warmup_on_the_rate_and_its_cosine_on_the_minimum():
    rate = optim.warmup_cosine(lr=8.0, min_lr=2.0, warmup_steps=3, steps=7)
    low, high = 5 - 3 * np.sqrt(0.5), 5 + 3 * np.sqrt(0.5)
    np.testing.assert_allclose([rate(i) for i in range(9)], [2, 4, 6, 8, high, 5, low, 2, 2])
    all_warmup = optim.warmup_cosine(8.0, 2.0, 3, 3)
    np.testing.assert_allclose([all_warmup(i) for i in range(4)], [2, 4, 6, 2])
    for wrong in ((-1, 5), (0, 0)):
        with pytest.raises(ValueError, match=f"got {wrong[0]}, {wrong[1]}"):
            optim.warmup_cosine(1.0, 0.1, *wrong)


@pytest.mark.parametrize(
    "settings",
    [{"lr": -0.1}, {"betas": (-0.1, 0.9)}, {"betas": (1.0, 0.9)}, {"betas": (0.9, 1.0)},
     {"betas": (0.9, 1.5)}],
)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="must be >= 0 and betas"):
        optim.AdamW(quadratic(), **settings)


def test_a_rate_and_betas_of_zero_are_allowed():
    p = tensor([1.0, -2.0], requires_grad=True)
    p.grad = np.float32([0.5, -4.0])
    optim.AdamW([p], lr=0.0).step()
    assert p.data.tolist() == [1.0, -2.0]
    optim.AdamW([p], lr=0.25, betas=(0.0, 0.0), weight_decay=0.0).step()  # by the sign alone
    np.testing.assert_allclose(p.data, [0.75, -1.75], rtol=1e-6)


def test_the_defaults_are_the_documented_ones():
    defaults = optim.AdamW(quadratic()).param_groups[0]
    assert {k: v for k, v in defaults.items() if k != "params"} == {
        "lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01,
    }
    p = tensor([1.0], requires_grad=True)
    p.grad = np.float32([1e-8])  # eps is as large: half a step, and grad_scale is 1 unless told
    optim.AdamW([p], lr=0.5, weight_decay=0.0).step()
    np.testing.assert_allclose(p.data, [0.75], rtol=1e-5)


def test_a_norm_at_the_limit_is_not_scaled():
    assert optim.clip_scale(2.0, 2.0) == optim.clip_scale(2.0, None) == 1.0
    assert optim.clip_scale(4.0, 1.0) == 0.25
    assert optim.clip_scale(0.0, 0.0) == 1.0  # and not 0 / 0
