"""Forms are kept while they are small, and a hostile one is refused by its name."""

import numpy as np
import pytest

from tinygpt.serving.forms import KEPT, Forms
from tinygpt.structured import automaton
from tinygpt.tokenizer import CharTokenizer

TOKENIZER = CharTokenizer.train('abc{}[]":,0123456789truefalsn ')
JSON = {"type": "json_object"}


def forms():
    return Forms(TOKENIZER, TOKENIZER.vocab_size + 1, {TOKENIZER.vocab_size})


def test_a_form_is_made_once_and_the_oldest_is_forgotten():
    kept = forms()
    first = kept.of(JSON)
    assert kept.of(dict(JSON)) is first and kept.of({"type": "text"}) is None
    for number in range(KEPT):
        kept.of({"type": "regex", "pattern": f"a{{{number}}}"})
    assert kept.of(JSON) is not first


def test_a_form_that_met_too_many_states_begins_anew(monkeypatch):
    """JSON nests in ever new ways: whoever is at it goes on, and the next one has room."""
    kept = forms()
    first = kept.of(JSON)
    monkeypatch.setattr(automaton, "MOST_BYTES", 4 * first.automaton._bytes)
    state = first.start
    for sign in '{"a":' + "[" * 40:
        if first.automaton.crowded:
            break
        assert kept.of(JSON) is first
        state = first.advance(state, TOKENIZER.encode(sign)[0])
    assert first.automaton.crowded
    second = kept.of(JSON)
    assert second is not first and not second.automaton.crowded
    assert np.array_equal(second.allowed(second.start, 50), first.allowed(first.start, 50))


def test_a_form_that_only_writing_finds_too_large_is_the_clients_fault(room, monkeypatch):
    """Not the server's, whose 500 would have it asked again."""
    monkeypatch.setattr(automaton, "MOST_BYTES", 50_000)
    form = {"type": "regex", "pattern": "[ab]*a([ab]|a|b){30}"}
    asked = {"prompt": "The", "max_tokens": 50, "response_format": form}
    refused = room.post("/v1/completions", 400, **asked)["error"]
    assert refused["param"] == "response_format" and "too many ways" in refused["message"]
    room.post("/v1/completions", prompt="The", max_tokens=2)


@pytest.mark.parametrize(("form", "says"), [
    ({"type": "regex", "pattern": "((((a{100}){100}){100}){100})"}, "100,000 parts"),
    ({"type": "regex", "pattern": "(" * 900}, "64 groups"),
    ({"type": "regex", "pattern": "a" * 1001}, "and must have 0 to 1000"),
    ({"type": "json_schema", "json_schema": {"schema": {
        "$ref": "#/$defs/a0",
        "$defs": {f"a{i}": {"items": {"$ref": f"#/$defs/a{i + 1}"}} for i in range(99)}}}},
     "64 deep"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_hostile_form_is_refused(room, form, says):
    refused = room.post("/v1/completions", 400, prompt="The", response_format=form)["error"]
    assert refused["param"].startswith("response_format") and says in refused["message"]
