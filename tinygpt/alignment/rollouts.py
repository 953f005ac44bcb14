"""Answers of the policy itself, many at once, each token with its log-probability.

Every weight is read once for all answers that are still under way, and an answer that is over
leaves (kernels/numpy_ref/decode.py: `slots`). A prompt is read once, and its keys and values are
copied for the other answers to it.

**Exactly the distribution sampled.** A token is drawn from softmax(logits / T), all of it: no top-k
and no top-p, which would draw from another distribution than the one whose log-probability is
learned. The log-probability that is kept is of these logits, at this temperature.

Read next: reinforcement.py.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from minigrad import Tensor
from minigrad.nn import evaluating
from minigrad.ops.decode import NO_TOKEN, Network, decode_step
from minigrad.ops.reductions import logsumexp
from tinygpt.errors import UserError
from tinygpt.inference.network import network_of
from tinygpt.inference.sampling import Sampling, sample
from tinygpt.model import LanguageModel


class Drawn(NamedTuple):
    """An answer.

    ids: (T,) int64, the token that ends it too.  log_pi: (T,) float32, nats.
    ended: whether the policy ended it, and it was not cut off.
    """

    ids: np.ndarray
    log_pi: np.ndarray
    ended: bool


def draw_answers(
    model: LanguageModel, prompts: Sequence[np.ndarray], group: int, ends: Collection[int],
    most: int, temperature: float, rng: np.random.Generator,
) -> list[Drawn]:
    """`group` answers to each prompt, those to one prompt side by side.

    prompts: (T,) ids each.  ends: ids that end an answer.  most: tokens of an answer; none goes
    beyond the context.
    Raises UserError for a prompt that fills the context, or a model that the step does not know.
    """
    network = network_of(model)
    if network is None:
        raise UserError(
            "this policy holds something that a step of generation does not know. Train all of it, "
            "or a lora."
        )
    longest, context = max(map(len, prompts)), model.shape.context
    if longest >= context:
        raise UserError(
            f"a prompt is {longest} tokens long, the model's context {context}. Shorten it."
        )
    count = len(prompts) * group
    _, kv_heads, head = model.shape.heads
    size = model.shape.n_layers, count, min(longest + most, context), kv_heads, head
    keys, values = np.zeros(size, np.float32), np.zeros(size, np.float32)
    with evaluating(model):
        logits = _read(network, keys, values, prompts, group)
        return _go_on(network, keys, values, np.repeat(logits, group, axis=0),
                      prompts, group, ends, most, temperature, rng)


def _read(
    network: Network, keys: np.ndarray, values: np.ndarray, prompts: Sequence[np.ndarray],
    group: int,
) -> np.ndarray:
    """Read each prompt once, for all answers to it.  Returns logits (P, V) of what follows."""
    rows = [(p * group, at, ids[at], ids[at - 1] if at else NO_TOKEN)
            for p, ids in enumerate(prompts) for at in range(len(ids))]
    last = np.cumsum([len(ids) for ids in prompts]) - 1
    order = np.concatenate([last, np.setdiff1d(np.arange(len(rows)), last)])  # those scored first
    slots, positions, ids, before = np.array(rows, np.int64)[order].T.copy()
    logits = decode_step(
        ids, network, keys, values, positions, slots, len(prompts), before=before
    )
    for array in (keys, values):
        for p, prompt in enumerate(prompts):
            first = array[:, p * group : p * group + 1, : len(prompt)]
            array[:, p * group + 1 : (p + 1) * group, : len(prompt)] = first
    return logits


def _go_on(
    network: Network, keys: np.ndarray, values: np.ndarray, logits: np.ndarray,
    prompts: Sequence[np.ndarray], group: int, ends: Collection[int], most: int,
    temperature: float, rng: np.random.Generator,
) -> list[Drawn]:
    """Token after token of all answers that are under way."""
    stops, sampling = np.array(sorted(ends)), Sampling(temperature=temperature)
    lengths = np.repeat([len(ids) for ids in prompts], group)  # of prompts and answers so far
    before, places = lengths.copy(), keys.shape[2]
    ids = np.zeros((len(lengths), most), np.int64)
    log_pi = np.zeros((len(lengths), most), np.float32)
    ended, under_way = np.zeros(len(lengths), bool), np.arange(len(lengths))
    for at in range(most):
        token = sample(logits, sampling, rng)
        ids[under_way, at] = token
        log_pi[under_way, at] = log_probability(logits, token, temperature)
        lengths[under_way] += 1
        ended[under_way] = np.isin(token, stops)
        goes_on = ~ended[under_way] & (lengths[under_way] < places)
        under_way, token = under_way[goes_on], token[goes_on]
        if not len(under_way) or at == most - 1:
            break
        position = lengths[under_way] - 1
        previous = ids[under_way, at - 1] if at else np.repeat(
            [prompt[-1] for prompt in prompts], group)[under_way]
        logits = decode_step(
            token, network, keys, values, position, under_way, before=previous
        )
    counts = lengths - before
    return [Drawn(ids[i, :n], log_pi[i, :n], bool(ended[i])) for i, n in enumerate(counts)]


def log_probability(logits: np.ndarray, token: np.ndarray, temperature: float) -> np.ndarray:
    """(B,) float32 log softmax(logits / T) at each row's token."""
    x = logits if temperature == 1 else logits / np.float32(temperature)
    return x[np.arange(len(x)), token] - logsumexp(Tensor(x), -1).data
