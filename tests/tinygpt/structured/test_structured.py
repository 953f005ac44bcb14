"""Whatever is drawn from what a form allows has the form, however soon it must end."""

import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygpt.structured import Automaton, Constraint, FormError, Vocabulary, regex, schema
from tinygpt.structured.automaton import FAR
from tinygpt.structured.grammar import Grammar, Rule, either, seq, text, utf8
from tinygpt.structured.schema import json_value
from tinygpt.tokenizer import CharTokenizer, train_bpe

TOKENIZER = train_bpe('He said {"name": 12, "a": [true, null]}, caf\u00e9 \u4f60\u597d. ' * 40, 330)
VOCABULARY = Vocabulary(TOKENIZER)
END = TOKENIZER.special_tokens["<|endoftext|>"]


def drawn(grammar, tokens, rng, vocabulary=VOCABULARY, tokenizer=TOKENIZER, ends=(END,)):
    """A text of the form, each token drawn evenly among those that fit; with what ended it."""
    form = Constraint(grammar, vocabulary, ends)
    form.check(tokens)
    state, ids = form.start, []
    for left in range(tokens, 0, -1):
        token = int(rng.choice(np.flatnonzero(form.allowed(state, left))))
        if token in ends:
            break
        ids.append(token)
        state = form.advance(state, token)
    assert form.whole(state)
    return tokenizer.decode_bytes(ids).decode()


@pytest.mark.parametrize(
    "pattern",
    [r"\d{3}-[a-f]+", r"(yes|no)( sir)?", r"[^a-z\d]{2,4}\u00e9?", r".*\.", r"^a(b|c)*$", r"",
     r"[\w-]+@[\w.]+", r"(?:a|b){2,}", r"\x41\.\[\]\t?", r"[]a]+", r"\S\W\D", r"[a\-z]{3}", "x|"],
)
def test_what_is_written_fits_the_pattern(pattern):
    rng = np.random.default_rng(0)
    for tokens in (6, 7, 40):
        for _ in range(5):
            written = drawn(regex(pattern), tokens, rng)
            assert re.fullmatch(pattern, written, re.ASCII), written


@pytest.mark.parametrize(
    ("pattern", "fit", "not_fit"),
    [(r"a.c", ["abc", "a\u4f60c"], ["a\nc", "ac", "abbc"]),
     (r"[^\x00-\x7f]", ["\u00e9", "\U0001f600"], ["a", ""]),
     (r"[\u07ff-\u0801]", ["\u07ff", "\u0800", "\u0801"], ["\u07fe", "\u0802"]),
     (r"(ab?)+", ["a", "aba"], ["b", "abb"]), (r"a{2}", ["aa"], ["a", "aaa"]),
     (r"\d+", ["0123456789"], ["\u0663"])],
)
def test_what_fits_and_what_does_not(pattern, fit, not_fit):
    automaton = Automaton(regex(pattern))
    for texts, right in ((fit, True), (not_fit, False)):
        for one in texts:
            state = automaton.start
            for byte in one.encode():
                state = int(automaton.row(state)[byte])
            assert (automaton.distance(state) == 0) == right, one


@given(st.tuples(st.integers(0, 0x10FFFF), st.integers(0, 0x10FFFF)).map(sorted),
       st.integers(0, 0x10FFFF))
def test_a_range_of_characters_is_theirs_in_utf8(ends, code):
    automaton = Automaton(Grammar({"start": either(utf8((tuple(ends),)), text("x"))}))
    for point in (code, *ends):
        if 0xD800 <= point < 0xE000 or point == ord("x"):
            continue
        state = automaton.start
        for byte in chr(point).encode():
            state = int(automaton.row(state)[byte])
        assert (automaton.distance(state) == 0) == (ends[0] <= point <= ends[1])


@pytest.mark.parametrize("tokens", [2, 3, 30, 150])
def test_json_is_json_also_where_it_is_cut(tokens):
    rng = np.random.default_rng(1)
    for _ in range(6):
        assert isinstance(json.loads(drawn(json_value(), tokens, rng)), dict)


SCHEMAS = {
    "flat": {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"},
                                              "c": {"type": ["string", "null"], "maxLength": 3}},
             "required": ["b"], "additionalProperties": False},
    "nested": {"type": "object", "required": ["list", "kind"], "properties": {
        "list": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "number"}},
        "kind": {"enum": ["x", 'quo"te', 3, None, {"deep": [1]}]}, "fixed": {"const": "\u00e9"}}},
    "itself": {"$ref": "#/$defs/tree", "$defs": {"tree": {
        "type": "object", "required": ["name", "below"], "properties": {
            "name": {"type": "string", "pattern": '^[A-Z"\\\\]{1,3}$'},
            "below": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}}},
    "either": {"anyOf": [{"type": "string", "minLength": 2}, {"type": "array", "maxItems": 0}]},
    "somewhere": {"type": "string", "pattern": "\\d"},
    "named": {"type": "object", "required": ["only"], "title": "T", "description": "D"},
}


def valid(value, wanted, root=None):
    """A judge of its own for the schemas above."""
    root = wanted if root is None else root
    if "$ref" in wanted:
        return valid(value, root["$defs"][wanted["$ref"].rsplit("/")[-1]], root)
    if "anyOf" in wanted:
        return any(valid(value, one, root) for one in wanted["anyOf"])
    if "enum" in wanted or "const" in wanted:
        return value in wanted.get("enum", [wanted.get("const")])
    kinds = {"object": dict, "array": list, "string": str, "number": (int, float),
             "integer": int, "boolean": bool, "null": type(None)}
    types = wanted["type"] if isinstance(wanted["type"], list) else [wanted["type"]]
    if not any(isinstance(value, kinds[one]) for one in types):
        return False
    if isinstance(value, str):
        fits = re.search(wanted.get("pattern", ""), value)
        return bool(fits) and wanted.get("minLength", 0) <= len(value) <= wanted.get("maxLength",
                                                                                     10**9)
    if isinstance(value, list):
        return wanted.get("minItems", 0) <= len(value) <= wanted.get("maxItems", 10**9) and all(
            valid(one, wanted.get("items", {"type": list(kinds)}), root) for one in value
        )
    if isinstance(value, dict):
        properties = wanted.get("properties", {})
        return set(wanted.get("required", [])) <= set(value) and all(
            key not in properties or valid(one, properties[key], root)
            for key, one in value.items()
        ) and (bool(properties) <= (set(value) <= set(properties)))
    return True


@pytest.mark.parametrize("name", SCHEMAS)
def test_what_is_written_is_valid_by_the_schema(name):
    rng, grammar = np.random.default_rng(2), schema(SCHEMAS[name])
    for tokens in (45, 60, 200):
        for _ in range(4):
            value = json.loads(drawn(grammar, tokens, rng))
            assert valid(value, SCHEMAS[name]), value


def test_every_choice_of_optional_properties_can_be_written():
    grammar, rng = schema(SCHEMAS["flat"]), np.random.default_rng(3)
    seen = {tuple(json.loads(drawn(grammar, 60, rng))) for _ in range(60)}
    assert seen == {("b",), ("a", "b"), ("b", "c"), ("a", "b", "c")}


def test_the_shortest_answer_is_as_long_as_it_says():
    """Whole by its last token where that is all there is, and refused where it is less."""
    grammar = schema(SCHEMAS["nested"])
    form = Constraint(grammar, VOCABULARY, [END])
    least = form.automaton.distance(form.start)
    written = {drawn(grammar, least, np.random.default_rng(seed)) for seed in range(8)}
    assert all(valid(json.loads(one), SCHEMAS["nested"]) for one in written)
    with pytest.raises(FormError, match=f"takes {least} tokens"):
        form.check(least - 1)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [("(?=a)", r"only \(\?:"), ("(?i)a", r"only \(\?:"), (r"\ba", r"\\b"), (r"(a)\1", r"\\1"),
     ("a*?", "repetition of a repetition"), ("a**", "repetition"), ("[a", "not closed"),
     ("(a", "not closed"), ("a)", "closes nothing"), ("a{3,2}", "ends before"),
     ("a{x}", "numbers"), ("*a", "nothing to stand for"), ("a^b", "nothing to stand for"),
     ("a$b", "nothing to stand for"), ("[z-a]", "later one"), (r"\xg0", "hexadecimal"),
     ("\\", "not known"), ("a{1001}", "1,001 times"), (r"[\d-z]{2", "numbers"),
     ("[]", "not closed"), (r"[^\x00-\U0010ffff]", r"\\U"), ("a" * 1001, "1,001 characters"),
     ("(" * 70, "more than 64 groups")],
)
def test_patterns_outside_the_subset_are_refused(pattern, says):
    with pytest.raises(FormError, match=says):
        regex(pattern)


@pytest.mark.parametrize(
    ("wanted", "says"),
    [({"type": "integer", "minimum": 3}, "'minimum'"), ({"oneOf": []}, "'oneOf'"),
     ({"type": "string", "format": "date"}, "'format'"), ({"type": "text"}, "'text'"),
     ({"type": []}, r"\[\]"), ({"type": ["string", []]}, "not known"), ({"enum": []}, "enum"),
     ({"anyOf": {}}, "anyOf"), ({"$ref": "#/$defs/no"}, "leads nowhere"),
     ({"$ref": "http://x"}, "leads nowhere"), ({"type": "array", "minItems": -1}, "-1"),
     ({"type": "array", "minItems": 3, "maxItems": 2}, "below"), (3, "no schema"),
     ({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}, "not closed"),
     ({"type": "object", "properties": []}, "properties"),
     ({"type": "string", "pattern": "a", "maxLength": 3}, "'pattern'"),
     ({"type": "string", "maxLength": 5000}, "5,000"), ({"const": float("nan")}, "no JSON"),
     ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "begins with itself"),
     ({"enum": ["a"], "minLength": 3}, "'minLength'")],
)
def test_schemas_outside_the_subset_are_refused_by_name(wanted, says):
    with pytest.raises(FormError, match=says):
        Automaton(schema(wanted))


def test_a_vocabulary_of_characters_writes_what_it_can_spell():
    tokenizer = CharTokenizer.train('yesno maybe"{}:,')
    vocabulary = Vocabulary(tokenizer)
    ends = list(tokenizer.special_tokens.values())
    form = Constraint(regex("yes|si|maybe"), vocabulary, ends)
    state = form.start
    assert {tokenizer.decode([i]) for i in np.flatnonzero(form.allowed(state, 9))} <= set("ym")
    with pytest.raises(FormError, match="no text of this form can be written"):
        Constraint(regex("[0-9]+"), vocabulary, ends)


def test_a_rule_that_nothing_fits_is_said():
    with pytest.raises(FormError, match="no text"):
        Automaton(Grammar({"start": seq(text("("), Rule("start"))}))
    assert Automaton(regex("a|[^\\x00-\\uffff]")).distance(0) == FAR


def nested(depth):
    wanted = {"type": "null"}
    for _ in range(depth - 1):
        wanted = {"type": "array", "items": wanted}
    return wanted


def test_a_form_is_refused_before_it_takes_time():
    """Short ones that stand for milliards of places, or of nothing, and schemas without a floor."""
    for pattern in ("((((a{100}){100}){100}){100})", "((((){1000}){1000}){1000}){1000}"):
        with pytest.raises(FormError, match="more than 100,000 parts"):
            Automaton(regex(pattern))
    long = {"type": "string", "pattern": "^[a-z]{900}$"}
    lists = {"type": "object", "properties": {f"p{i}": long for i in range(200)}}
    with pytest.raises(FormError, match="more than 100,000 parts"):
        Automaton(schema(lists))
    Automaton(schema(nested(64)))
    chain = {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(90)} | {"a90": {"type": "null"}}
    for deep in (nested(65), {"$ref": "#/$defs/a0", "$defs": chain}):
        with pytest.raises(FormError, match="more than 64 deep"):
            schema(deep)


def test_a_form_ends_that_can_be_gone_through_in_too_many_ways(monkeypatch):
    """As many states as there are subsets: found out while it is written, and said."""
    monkeypatch.setattr("tinygpt.structured.automaton.MOST_BYTES", 2 << 20)
    automaton, rng = Automaton(regex("[ab]*a([ab]|b|a){50}")), np.random.default_rng(0)
    state = automaton.start
    with pytest.raises(FormError, match="too many ways"):
        for _ in range(100_000):
            state = int(automaton.row(state)[rng.choice([97, 98])])
    assert automaton.crowded


def test_many_rules_are_measured_at_once():
    """Each is known when the next one is; and what returns to nothing leaves no place behind."""
    rules = {f"r{i}": seq(text("a"), Rule(f"r{i + 1}")) for i in range(2000)}
    automaton = Automaton(Grammar({"start": Rule("r0"), **rules, "r2000": text("b")}))
    state = automaton.start
    assert automaton.distance(state) == 2001
    for _ in range(2000):
        state = int(automaton.row(state)[ord("a")])
    assert automaton.distance(state) == 1 and not automaton.crowded
