"""tinygpt.serving.schemas: what is wrong with a value, and where."""

import pytest

from tinygpt.serving.schemas import problem

TEXT, COUNT = {"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 3}
ENTRY = {"type": "object", "required": ["a"], "additionalProperties": False,
         "properties": {"a": TEXT, "b": {"type": "array", "items": COUNT, "minItems": 1}}}


@pytest.mark.parametrize(("value", "schema"), [
    ("x", TEXT), (1, COUNT), (3, COUNT), (1.5, {"type": "number"}), (2, {"type": "number"}),
    (2.0, COUNT), (True, {"type": "boolean"}), (None, {"type": "null"}),
    ({"a": "x", "b": [1, 2]}, ENTRY),
    ({"x": 1}, {"type": "object", "additionalProperties": COUNT}), ("b", {"enum": ["a", "b"]}),
    (["x"], {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}), (5, {}),
])
def test_what_fits(value, schema):
    assert problem(value, schema) is None


@pytest.mark.parametrize(("value", "schema", "where", "what"), [
    (1, TEXT, "", "is 1, and must be a string"),
    (True, COUNT, "", "is true, and must be an integer"),
    (1.5, COUNT, "", "is 1.5, and must be an integer"),
    (4, COUNT, "", "is 4, and must be at least 1 and at most 3"),
    (float("inf"), {"type": "number"}, "", "is Infinity, and must be"),
    (float("nan"), {"type": "number", "minimum": 0}, "", "is NaN, and must be at least 0"),
    (0, {"type": "number", "exclusiveMinimum": 0}, "", "is 0, and must be above 0"),
    (True, {"enum": [1]}, "", "is true, and must be 1"),
    ({}, ENTRY, "a", "is missing"),
    ({"a": "x", "c": 1}, ENTRY, "c", "is not known here"),
    ({"a": "x", "b": []}, ENTRY, "b", "has 0 entries, and must have at least 1"),
    ({"a": "x", "b": [1, 9]}, ENTRY, "b[1]", "is 9, and must be at least 1"),
    ({"x": "y"}, {"type": "object", "additionalProperties": COUNT}, "x", "is 'y', and must be"),
    ("xx", {"type": "string", "maxLength": 1}, "", "has 2 characters, and must have 0 to 1"),
    (5, {"anyOf": [TEXT, {"type": "array"}]}, "", "is 5, and must be string or array"),
    ([[1], [9]], {"anyOf": [TEXT, {"type": "array", "items": {"type": "array", "items": COUNT}}]},
     "[1][0]", "is 9"),
])
def test_what_does_not(value, schema, where, what):
    place, wrong = problem(value, schema)
    assert place == where and wrong.startswith(what)
