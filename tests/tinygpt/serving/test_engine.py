"""Many answers at once are the answers that each would have had alone."""

import itertools
import json

import numpy as np
import pytest

from kernels import in_use
from tinygpt.compression.quantize import quantize_model
from tinygpt.config import structure
from tinygpt.errors import UserError
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.inference.scoring import log_probabilities
from tinygpt.model import ModelShape, build
from tinygpt.serving.asked import Asked
from tinygpt.serving.engine import Engine, scored
from tinygpt.structured import Constraint, FormError, Vocabulary, schema
from tinygpt.tokenizer import CharTokenizer

V, CONTEXT = 61, 48
TINY = {"vocab_size": V, "context": CONTEXT, "n_layers": 2, "n_heads": 4, "d_model": 32}
SHAPES = {
    "gpt": {},
    "llama": {"family": "llama", "n_kv_heads": 2},
    "window": {"positions": "alibi", "window": 9, "bias": "all"},
}
needs_c = pytest.mark.skipif(
    in_use()["ops"]["decode_step"] != "c",
    reason="NumPy's product of one row adds up in another order than that of many",
)


def model_of(name="llama", scheme=None):
    model = build(structure(ModelShape, {**TINY, **SHAPES[name]}, "model."),
                  np.random.default_rng(0))
    rng = np.random.default_rng(1)
    for parameter in model.parameters():  # nothing is 0 or 1, and attention far from uniform
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return quantize_model(model.eval(), scheme) if scheme else model.eval()


def requests(count, seed=0):
    """Requests of all kinds, some of which begin alike."""
    rng = np.random.default_rng(seed)
    system = rng.integers(0, V, 12).tolist()
    samplings = [GREEDY, Sampling(), Sampling(0.7, top_k=5), Sampling(1.3, top_p=0.8, min_p=0.02),
                 Sampling(repetition_penalty=1.3)]
    asked = []
    for number in range(count):
        own = rng.integers(0, V, rng.integers(1, 20)).tolist()
        asked.append(Asked(
            prompt=tuple((system if rng.random() < 0.5 else []) + own),
            max_tokens=int(rng.integers(1, 14)), sampling=samplings[number % len(samplings)],
            seed=number, stop=frozenset(rng.integers(0, V, 2).tolist()),
            logprobs=int(rng.integers(0, 4)) if rng.random() < 0.5 else None,
            bias={3: 2.0} if rng.random() < 0.2 else {},
        ))
    return asked


def run(engine, answers=()):
    while engine.step():
        assert engine.running <= 8
    return [(list(answer.drawn), answer.reason, answer.echoed) for answer in answers]


def alone(model, asked, kv="float32"):
    engine = Engine(model, slots=1, piece=1, reuse=False, kv=kv)
    return run(engine, [engine.add(asked)])[0]


@needs_c
@pytest.mark.parametrize(
    ("name", "scheme", "kv"),
    [("gpt", None, "float32"), ("llama", None, "float32"), ("window", None, "float32"),
     ("llama", "int8", "float32"), ("gpt", "int4", "float32"), ("llama", "nf4", "float32"),
     ("gpt", "int8", "int8"), ("window", None, "int8")],
)
def test_an_answer_does_not_depend_on_its_company(name, scheme, kv):
    """Nor on the size of pieces, nor on what was served before; log probabilities to the bit."""
    model, asked = model_of(name, scheme), requests(24)
    right = [alone(model, one, kv) for one in asked]
    for piece, beside, reuse in [(1, 1, True), (7, 3, True), (64, 16, True), (64, 16, False)]:
        engine = Engine(model, slots=4, piece=piece, beside=beside, reuse=reuse, kv=kv)
        answers = []
        for one in asked:  # they come while others are answered
            answers.append(engine.add(one))
            engine.step()
        assert run(engine, answers) == right
        assert any(answer.reused for answer in answers) == reuse


@pytest.mark.parametrize("name", SHAPES)
def test_it_writes_what_generate_writes(name):
    model = model_of(name)
    for asked in requests(5):
        engine = Engine(model, slots=2)
        (drawn, reason, _), = run(engine, [engine.add(asked)])
        if asked.bias:
            continue
        expected = list(generate(
            model, asked.prompt, max_tokens=asked.max_tokens, sampling=asked.sampling,
            stop=asked.stop, rng=np.random.default_rng(asked.seed),
        ))
        assert [one.token for one in drawn] == expected
        assert reason == ("length" if len(expected) == asked.max_tokens else "stop")


def test_an_answer_has_the_form_that_it_was_promised_also_where_it_is_cut():
    tokenizer = CharTokenizer.train('yesnomaybe"{}:,[]0123456789.tru flse')
    vocabulary, ends = Vocabulary(tokenizer, V), [V - 1]  # an id that no text has
    names = schema({"type": "object", "required": ["yes"], "properties": {
        "yes": {"type": "array", "items": {"type": "integer"}}, "no": {"type": "boolean"}}})
    model = model_of()
    engine, answers = Engine(model, slots=4), []
    for seed, tokens in enumerate([10, 11, 12, 20, 30]):
        form = Constraint(names, vocabulary, ends)
        asked = Asked((1, 2), tokens, seed=seed, stop=frozenset(ends), form=form)
        answers.append(engine.add(asked))
    for drawn, reason, _ in run(engine, answers):
        value = json.loads(tokenizer.decode([one.token for one in drawn]))
        assert isinstance(value["yes"], list) and set(value) <= {"yes", "no"}
        assert reason in ("stop", "length")
    with pytest.raises(FormError, match="shortest answer"):
        engine.add(Asked((1,), 9, form=Constraint(names, vocabulary, ends)))


def test_a_prompt_is_scored_where_that_is_asked_for():
    model, prompt = model_of(), tuple(np.random.default_rng(5).integers(0, V, 20).tolist())
    right = log_probabilities(model, np.array([prompt]))
    for most, piece in itertools.product((0, 1), (1, 6, 64)):
        engine = Engine(model, slots=2, piece=piece)
        engine.add(Asked(prompt, 3, GREEDY))  # whose keys are not taken over: all is to be scored
        answer = engine.add(Asked(prompt, most, GREEDY, logprobs=2, echo=True))
        ((drawn, reason, echoed),) = run(engine, [answer])
        assert reason == "length" and len(drawn) == most and answer.reused == 0
        assert [one.token for one in echoed] == list(prompt)
        assert echoed[0].logprob is None and echoed[0].top == ()
        for at, one in enumerate(echoed[1:]):
            assert one.logprob == pytest.approx(right[at, one.token], abs=1e-4)
            assert [i for i, _ in one.top] == np.argsort(-right[at])[:2].tolist()
        for one in drawn:  # greedy: the same floats, so that == finds it
            assert one.logprob == max(p for _, p in one.top)


def test_a_text_ends_with_the_context():
    model = model_of()
    engine = Engine(model, slots=2)
    long = engine.add(Asked((1,) * (CONTEXT - 3), 100, GREEDY))
    full = engine.add(Asked((1,) * CONTEXT, 0, GREEDY, echo=True, logprobs=0))
    (drawn, reason, _), (none, _, echoed) = run(engine, [long, full])
    assert len(drawn) == 3 and reason == "length"
    assert none == [] and len(echoed) == CONTEXT
    short = Engine(model, slots=2, context=10)
    assert len(run(short, [short.add(Asked((1, 2), 100, GREEDY))])[0][0]) == 8


def test_who_goes_leaves_a_place():
    engine = Engine(model_of(), slots=1)
    first, second, third = (engine.add(Asked((i,), 40, GREEDY)) for i in range(3))
    engine.step()
    assert (engine.running, engine.waiting) == (1, 2)
    first.cancelled = second.cancelled = True
    engine.step()
    assert (first.reason, second.reason) == ("cancelled", "cancelled")
    assert (engine.running, engine.waiting) == (1, 0) and len(third.drawn) == 1
    run(engine)
    assert third.reason == "length" and len(third.drawn) == 40 and not engine.step()


def test_a_long_prompt_does_not_stop_those_who_write():
    engine = Engine(model_of(), slots=2, beside=4)
    writer = engine.add(Asked((1,), 40, GREEDY))
    engine.step()
    engine.add(Asked((2,) * 40, 1, GREEDY))
    for step in range(2, 12):
        engine.step()
        assert len(writer.drawn) == step


def test_who_came_first_is_read_first():
    engine = Engine(model_of(), slots=3, piece=8)
    answers = [engine.add(Asked((i,) * 8, 3, GREEDY)) for i in range(3)]
    engine.step()
    assert [len(answer.drawn) for answer in answers] == [1, 0, 0]


@pytest.mark.parametrize(
    ("asked", "says"),
    [(Asked((), 1), "empty"), (Asked((1,) * CONTEXT, 1), f"{CONTEXT} tokens long"),
     (Asked((1,) * (CONTEXT + 1), 0), "context"), (Asked((V,), 1), f"token {V}"),
     (Asked((1, -1), 1), "token -1"), (Asked((1,), 1, bias={V: 1.0}), f"token {V}")],
)
def test_what_cannot_be_answered_is_refused(asked, says):
    with pytest.raises(UserError, match=says):
        Engine(model_of(), slots=1).add(asked)


def test_a_damaged_model_fails_the_request_and_not_the_server():
    model = model_of()
    model.output.weight.data[7] = np.nan
    engine = Engine(model, slots=1)
    answer = engine.add(Asked((1,), 5))
    run(engine)
    assert answer.reason == "failed" and "damaged" in str(answer.error)


def test_models_that_read_otherwise_are_refused():
    for values in ({"family": "bert"}, {"family": "t5"}):
        model = build(structure(ModelShape, {**TINY, **values}, "model."), None)
        with pytest.raises(UserError):
            Engine(model)


def test_the_likeliest_are_ordered_by_their_id_where_they_tie():
    logits = np.array([0.0, 2.0, 1.0, 2.0, 1.0, -np.inf], np.float32)
    one = scored(logits, 3, 3)
    assert [i for i, _ in one.top] == [1, 3, 2] and one.logprob == one.top[0][1]
    assert len(scored(logits, 3, 20).top) == 6 and scored(logits, 3, 0).top == ()
    assert np.exp([p for _, p in scored(logits, 0, 6).top]).sum() == pytest.approx(1)
    assert scored(logits, 3, None).logprob is None
