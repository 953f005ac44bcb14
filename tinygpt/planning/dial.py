"""One dial, the time: everything else of a training is chosen for the least bits per byte.

    text = look_at(corpus)                         its size, and how tokenizers would cut it
    speed = speed_here(2.0)                        floating-point operations a second, by a trial
    choice = choose(text, 1800.0, speed)           tokenizer, size, batch, dropout, steps

Every tokenizer and every size of a short list is asked what it would come to in the time: the speed
says how many tokens pass, the laws (laws.py) how well the model does then. A small text stops
teaching before the time is over; then fewer steps are the best. What was set by hand stays, and the
rest is chosen round it.

The speed carries over from one size to another by counting operations, `work`, so that one trial
serves all; what was chosen is tried once more by itself (`within`), and while it trains the steps
follow the clock (../training/deadline.py).

Read first: laws.py.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.config import ConfigError, from_dict, override
from tinygpt.errors import UserError
from tinygpt.model.shape import ModelShape
from tinygpt.planning.laws import Case, bits_per_byte
from tinygpt.planning.probe import Measured, measure
from tinygpt.pretraining.config import PretrainingConfig
from tinygpt.pretraining.objective import Pretraining
from tinygpt.text import DataError
from tinygpt.text.corpus import Corpus
from tinygpt.tokenizer import train_bpe
from tinygpt.training.objective import Objective

SAMPLE = 2 << 20  # characters looked at, evenly over the text
CHUNK = 1 << 14  # of them side by side
FEW = 20  # documents: so many and more are dealt out whole, fewer are cut by position
HELD_OUT = 0.1
SHAKESPEARE = 3.1  # bits a byte that zlib makes of Shakespeare

VOCABULARIES = (512, 1024, 2048, 4096, 8192)  # of BPE, beside single characters
SHAPES = ((2, 64), (3, 96), (4, 128), (5, 160), (6, 192), (6, 256), (6, 320), (6, 384), (8, 512))
HEAD = 32  # channels of a head, at least
CONTEXTS = {"char": 256, "bpe": 128}  # tokens
DROPOUTS = (0.0, 0.1, 0.2, 0.3)
SHARES = (1.0, 0.8, 0.6, 0.45, 0.33, 0.25, 0.15)  # of the time that the steps may take
GAIN = 0.002  # a longer training must promise so much more than a shorter one

# One optimizer step costs, beside its tokens: what orthogonalises each matrix (ten operations a
# parameter and channel, as `bench shares` finds it), a pass over the tables and their moments (as
# long as a hundred operations a parameter), and what each layer takes to be called.
UPDATE, TABLES, CALLS = 10.0, 100.0, 2e8
MIN_STEPS = 20
MOST = 10**9  # steps of a training that only the clock ends
EVALUATIONS = 5  # on the way, besides the last
# What no size changes. ALiBi, since short trainings learn other positions too late (bench/LOG.md).
BEGINNING: dict[str, dict[str, Any]] = {"model": {"positions": "alibi"}, "training": {
    "optimizer": "muon", "lr": 1e-2, "min_lr": 1e-5, "weight_decay": 0.1, "warmup_steps": 20,
    "eval_tokens": 50_000,
}}


class Text(NamedTuple):
    """What is known of a text before anything is chosen.

    bytes: as UTF-8.  alphabet: different characters.  documents: how many.
    bytes_per_token: by vocabulary, that of characters under None; those that it has too little
    text for are missing.  scale: how hard it is to predict, against Shakespeare.
    """

    bytes: int
    alphabet: int
    documents: int
    bytes_per_token: dict[int | None, float]
    scale: float


class Choice(NamedTuple):
    """config: the training.  bits: a byte, as the laws expect.  whole: it takes all of the time."""

    config: PretrainingConfig
    bits: float
    whole: bool


def look_at(corpus: Corpus) -> Text:
    """Read a text once.  Raises DataError for one too short to hold anything out."""
    size = characters = documents = 0
    seen: set[str] = set()
    chunks: list[str] = []
    every, place = 1, 0  # of the chunks so many are kept: each, every second, every fourth ...
    for document in corpus:
        documents += 1
        for piece in document.pieces():
            size, characters = size + len(piece.encode()), characters + len(piece)
            seen.update(piece)
            for start in range(0, len(piece), CHUNK):
                if place % every == 0:
                    chunks.append(piece[start : start + CHUNK])
                place += 1
            while len(chunks) * CHUNK > SAMPLE and len(chunks) > 1:
                chunks, every = chunks[::2], 2 * every
    text = "".join(chunks)
    cut = int(len(text) * (1 - HELD_OUT))
    if cut < 2 or len(text) - cut < 2:
        raise DataError(f"{corpus.name} has {characters} characters, too few. Give more text.")
    found = _bytes_per_token(text[:cut], text[cut:])
    found[None] = size / characters
    plain = text.encode()
    packed = 8 * len(zlib.compress(plain, 9)) / len(plain)
    return Text(size, len(seen), documents, found, math.sqrt(packed / SHAKESPEARE))


def _bytes_per_token(learned: str, held_out: str) -> dict[int | None, float]:
    """What BPE of each size makes of text that it was not trained on."""
    found: dict[int | None, float] = {}
    for vocab in VOCABULARIES:
        tokenizer = train_bpe(learned, vocab)
        if tokenizer.vocab_size < vocab:  # it found no more pairs to merge
            break
        ids = tokenizer.encode_array(held_out, disallowed_special=())
        found[vocab] = len(held_out.encode()) / len(ids)
    return found


def heads_of(width: int) -> int:
    """As many heads as divide a width into HEAD channels or more."""
    return next(n for n in range(max(1, width // HEAD), 0, -1) if width % n == 0)


def work(shape: ModelShape, tokens: int) -> float:
    """Floating-point operations that a step of so many tokens takes as long as."""
    matrices = shape.parameters - shape.tables
    update = UPDATE * matrices * shape.d_model + TABLES * shape.tables
    return tokens * shape.flops_per_token + shape.n_layers * CALLS + update


def speed_here(seconds: float) -> float:
    """Operations a second as `work` counts them, by a trial of a middling model."""
    tried = from_dict(_settings(1024, {"source": "stories"}))
    shape = {"n_layers": 6, "d_model": 192, "n_heads": heads_of(192), "vocab_size": 1024}
    tried = tried.replace("model", **shape).replace("training", batch_size=16)
    measured = _measured(Pretraining(tried), seconds)
    step = measured.step_seconds(tried.training)[1]
    return work(tried.model, 16 * tried.model.context) / step


def _measured(objective: Objective, seconds: float) -> Measured:
    measured = measure(objective, seconds)
    if measured is None:
        raise UserError("the trial of a few steps did not survive: free some memory and try again.")
    return measured


def _settings(vocab: int | None, data: dict[str, Any]) -> dict[str, Any]:
    """What a training begins with, before its size is chosen.  vocab: None for characters."""
    kind: dict[str, Any] = {"kind": "char"}
    if vocab is not None:
        kind = {"kind": "bpe", "vocab_size": vocab}
    model = {"context": CONTEXTS[kind["kind"]], "n_heads": 1, **BEGINNING["model"]}
    return {
        "model": model, "tokenizer": kind, "training": dict(BEGINNING["training"]),
        "data": {"split": (1 - HELD_OUT, HELD_OUT, 0.0), **data},
    }


def choose(
    text: Text, seconds: float, speed: float, overrides: Sequence[str] = (), source: str = "stories"
) -> Choice:
    """The training that the laws expect most of.

    seconds: for training, the last evaluation included.  speed: operations a second.
    overrides: "section.key=value", which stay as they are.  source: the text's name or path.
    Raises ConfigError for settings of a model that does not go on with a text, and where there is
    no time.
    """
    if seconds <= 0:
        raise ConfigError("the time is over before anything is chosen. Give more --minutes.")
    best: Choice | None = None
    for config in _candidates(text, seconds, speed, overrides, source):
        found = _at_its_best(text, config, seconds, speed, overrides)
        if best is None or found.bits < best.bits:
            best = found
    assert best is not None  # there is always a candidate
    return best


def _candidates(
    text: Text, seconds: float, speed: float, overrides: Sequence[str], source: str
) -> Iterator[PretrainingConfig]:
    """Configurations of every tokenizer and size."""
    hand = override({}, overrides)
    model, tokenizer = hand.get("model", {}), hand.get("tokenizer", {})
    data = {"source": source, "by_position": text.documents < FEW}
    for vocab in sorted(text.bytes_per_token, key=lambda size: size or 0):
        if vocab is None and "vocab_size" in tokenizer and len(text.bytes_per_token) > 1:
            continue  # who says how many pieces asks for pieces
        values = _settings(vocab, data)
        if "family" in model:
            del values["model"]["positions"]  # the family's own
        if "n_heads" in model:
            values["model"]["d_model"] = model["n_heads"]  # divides; the width comes below
        config = from_dict(override(values, overrides))
        if not isinstance(config, PretrainingConfig):
            raise ConfigError(
                "--minutes chooses for models that go on with a text, and these settings are of "
                f"{config.objective}. Name a configuration, or leave --minutes out."
            )
        kind = config.tokenizer
        size = text.alphabet if kind.kind == "char" else kind.vocab_size
        if "context" not in model:  # what is held out must fill it
            held_out = HELD_OUT * text.bytes / text.bytes_per_token[vocab]
            config = config.replace(
                "model", context=max(8, min(config.model.context, int(held_out / 2)))
            )
        for layers, width in SHAPES:
            if "n_heads" in model:  # a width that they divide
                width = config.model.n_heads * max(1, round(width / config.model.n_heads))
            shape = {"n_layers": layers, "d_model": width, "vocab_size": size}
            shape = {name: value for name, value in shape.items() if name not in model}
            if "n_heads" not in model:
                shape["n_heads"] = heads_of(int(shape.get("d_model", config.model.d_model)))
            candidate = config.replace("model", **shape)
            if "batch_size" not in hand.get("training", {}):
                batch = _batch(candidate, seconds * speed)
                candidate = candidate.replace("training", batch_size=batch)
            yield candidate


def _batch(config: PretrainingConfig, operations: float) -> int:
    """Sequences in a step: more for a training that is longer, and at least four.

    900 tokens for half a million, and four times that for ten: B grows as D^0.46, near what was
    found for larger models (Bergsma et al. 2025).
    """
    shape = config.model
    tokens = operations / (work(shape, 10**6) / 1e6)
    return max(4, round(900 * (tokens / 5e5) ** 0.46 / shape.context))


def _at_its_best(
    text: Text, config: PretrainingConfig, seconds: float, speed: float, overrides: Sequence[str]
) -> Choice:
    """A candidate with the dropout and the steps that suit it."""
    hand, shape, recipe = override({}, overrides), config.model, config.training
    vocab = None if config.tokenizer.kind == "char" else config.tokenizer.vocab_size
    ratio = text.bytes_per_token.get(vocab) or _between(text, vocab or 0)
    once, held_out = ((1 - HELD_OUT) * text.bytes / ratio, HELD_OUT * text.bytes / ratio)
    left = seconds - held_out * work(shape, 10**6) / 1e6 / 3 / speed
    tokens = recipe.batch_size * recipe.accumulation * shape.context
    most = max(1, int(left * speed / work(shape, tokens)))
    fixed = "steps" in hand.get("training", {})
    lengths = [max(1, int(share * most)) for share in SHARES]
    dropouts = [shape.dropout] if "dropout" in hand.get("model", {}) else DROPOUTS
    found = (math.inf, 0, 0.0)  # bits, steps, dropout
    for steps in [min(recipe.steps, most)] if fixed else sorted(lengths):
        for dropout in dropouts:
            bits = bits_per_byte(Case(
                shape.parameters - shape.tables, shape.tables, shape.vocab_size, ratio, once,
                steps * tokens, dropout, text.scale,
            ))
            if bits < found[0] * (1 - GAIN):
                found = (bits, steps, dropout)
    bits, steps, dropout = found
    config = config.replace("model", dropout=dropout)
    config = config.replace("training", steps=recipe.steps if fixed else steps)
    return Choice(config, bits, steps == most and not fixed)


def _between(text: Text, vocab: int) -> float:
    """Bytes in a token of a vocabulary that was not tried: they grow with its logarithm."""
    tried = sorted(size for size in text.bytes_per_token if size)
    if not tried:
        return 1.0
    logs = [math.log(size) for size in tried]
    return float(np.interp(math.log(max(vocab, 2)), logs, [text.bytes_per_token[v] for v in tried]))


class Timed(NamedTuple):
    """objective: with its steps.  step: seconds of one.  last: seconds of the last evaluation."""

    objective: Objective
    step: float
    last: float


def within(
    objective: Objective, seconds: float, trial: float, by_hand: Collection[str] = ()
) -> Timed:
    """An objective with as many steps as a time allows, or as it has if that is fewer.

    seconds: for a trial, the steps and all evaluations.  trial: seconds to try the steps for.
    by_hand: settings of [training] to be left alone. The others see to it that evaluations, samples
        and checkpoints come some times on the way.
    Raises ConfigError where the time is too short for MIN_STEPS.
    """
    recipe = objective.config.training
    step = _measured(objective, trial).step_seconds(recipe)[1]
    one = objective.with_training(batch_size=1).example(np.random.default_rng(0)).tokens
    token = step / (recipe.batch_size * recipe.accumulation * one) / 3  # evaluated: a third
    held_out = objective.data_tokens()[1]
    last = token * held_out
    looks = EVALUATIONS * token * min(held_out, recipe.eval_tokens or held_out)
    left = seconds - trial - looks - last
    steps = int(left / step)
    if steps < MIN_STEPS:
        missing = math.ceil((MIN_STEPS * step - left) / 6) / 10  # minutes
        raise ConfigError(
            f"{max(steps, 0)} steps of {step:.2g} s fit into the time that is left, and "
            f"{MIN_STEPS} are the least. Give {missing:.1f} more "
            "--minutes, or choose a smaller model."
        )
    steps = min(steps, recipe.steps)
    some, half = math.ceil(steps / (EVALUATIONS + 1)), math.ceil(steps / 2)
    changes = {
        "steps": steps, "warmup_steps": min(recipe.warmup_steps, steps // 10), "eval_every": some,
        "sample_every": half, "checkpoint_every": half,
    }
    changes = {name: value for name, value in changes.items() if name not in by_hand}
    return Timed(objective.with_training(**changes), step, last)
