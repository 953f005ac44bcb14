"""Ctrl-C at any line of a forward pass: nothing is half taken in, and what follows is right."""

import itertools
import sys
from contextlib import contextmanager

import numpy as np
import pytest

from minigrad.nn import evaluating
from tinygpt.inference import chat, decoder
from tinygpt.inference.chat import Conversation
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.sampling import GREEDY
from tinygpt.model import GPT, ModelShape, cache, gpt
from tinygpt.tokenizer import CharTokenizer

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ "
WATCHED = {module.__file__ for module in (chat, decoder, cache, gpt)}


@contextmanager
def interrupted(line):
    """KeyboardInterrupt before the line-th line run in the watched files, as a signal raises it.

    Yields a list that is empty if there were fewer lines.
    """
    left, came = iter(range(line)), []

    def trace(frame, event, _):
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line" and next(left, None) is None:
            came.append(f"{frame.f_code.co_filename}:{frame.f_lineno}")
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield came
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)


def make_model(context, positions="learned"):
    shape = ModelShape(
        vocab_size=len(LETTERS), context=context, n_layers=2, n_heads=2, d_model=32,
        positions=positions,
    )
    model = GPT(shape, np.random.default_rng(0))
    for parameter in model.parameters():  # larger than at the start: attention is far from uniform
        parameter.data *= 8 if parameter.data.ndim == 2 else 1
    return model.eval()


def logits_after(model, ids):
    with evaluating(model):
        return model(np.array([ids])).data[:, -1]


@pytest.mark.parametrize(("held", "fed"), [(0, 5), (5, 4), (5, None), (11, None), (12, None)])
def test_an_interrupted_decoder_has_taken_in_all_or_nothing(held, fed):
    """fed: tokens of the pass that is cut short, None for a step; at 12 it forgets the first 6."""
    model, ids = make_model(12), np.random.default_rng(1).integers(0, 27, 20).tolist()
    end = held + (fed or 1)
    after = 7 if held == 12 else end

    def go_on(tried):
        return tried.feed(np.array([ids[held:end]])) if fed else tried.step(np.array([ids[held]]))

    for line in itertools.count():
        tried = Decoder(model)
        if held:
            tried.feed(np.array([ids[:held]]))
        with interrupted(line) as came:
            go_on(tried)
        if not came:
            break
        assert tried.length in (held, after), came
        if tried.length == held:
            go_on(tried)
        follows = tried.step(np.array([ids[end]]))
        seen = ids[end - min(after, 6) : end + 1] if after == 12 else ids[end - after : end + 1]
        np.testing.assert_allclose(follows, logits_after(model, seen), atol=2e-3, err_msg=str(came))
    assert line > 10  # lines there were


@pytest.mark.parametrize(("held", "fed"), [(9, 6), (12, None), (30, None), (30, 5), (12, 12)])
@pytest.mark.parametrize("network", [True, False], ids=["kernel", "forward"])
def test_an_interrupt_while_the_context_slides_loses_nothing(held, fed, network):
    """fed: as above.  What follows is what follows without an interrupt."""
    model, ids = make_model(12, "rope"), np.random.default_rng(3).integers(0, 27, 60)
    end = held + (fed or 1)

    def begin():
        tried = Decoder(model)
        tried._network = tried._network if network else None
        for at in range(0, held, 6):
            tried.feed(ids[None, at : min(at + 6, held)])
        return tried

    def go_on(tried):
        return tried.feed(ids[None, held:end]) if fed else tried.step(ids[held : held + 1])

    undisturbed = begin()
    right = [go_on(undisturbed), undisturbed.step(ids[end : end + 1])]
    for line in itertools.count():
        tried = begin()
        with interrupted(line) as came:
            go_on(tried)
        if not came:
            break
        assert tried.cache.length in (held, end), came
        if tried.cache.length == held:
            np.testing.assert_allclose(go_on(tried), right[0], atol=1e-4, err_msg=str(came))
        follows = tried.step(ids[end : end + 1])
        np.testing.assert_allclose(follows, right[1], atol=1e-4, err_msg=str(came))
    assert line > 10


@pytest.mark.parametrize("said", ["MORE", "M"])
def test_a_conversation_goes_on_rightly_after_ctrl_c(said):
    model = make_model(64)
    for line in itertools.count():
        talk = Conversation(model, CharTokenizer(LETTERS), sampling=GREEDY, max_tokens=2, stop=())
        first = "".join(talk.say("HELLO"))
        with interrupted(line) as came:
            "".join(talk.say(said))
        if not came:
            break
        assert talk.text.startswith("HELLO" + first)
        text = talk.text + "AND"
        fresh = Conversation(model, CharTokenizer(LETTERS), sampling=GREEDY, max_tokens=2, stop=())
        assert "".join(talk.say("AND")) == "".join(fresh.say(text)), came
    assert line > 10


def test_a_model_used_by_hand_can_repeat_a_pass_that_was_cut_short():
    model, ids = make_model(12), np.random.default_rng(2).integers(0, 27, (1, 9))
    for line in itertools.count():
        memory = model.make_cache()
        with evaluating(model):
            model.hidden(ids[:, :4], memory)
            with interrupted(line) as came:
                model.hidden(ids[:, 4:8], memory)
            if not came:
                break
            assert memory.length in (4, 8)
            if memory.length == 4:
                model.hidden(ids[:, 4:8], memory)
            logits = model(ids[:, 8:], memory).data[:, -1]
            np.testing.assert_allclose(logits, logits_after(model, ids[0]), atol=2e-3)
    assert line > 10
