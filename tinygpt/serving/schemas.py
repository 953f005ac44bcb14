"""What a JSON value must be like: the part of JSON Schema in which our own API is written.

    problem({"n": 0}, {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})
        ("n", "is 0, and must be at least 1")

A table of such schemas (parameters.py) is what requests are held against and what /openapi.json
shows, so that the description cannot be another than the check.

Read next: parameters.py.
"""

from __future__ import annotations

from typing import Any

from tinygpt.storage.reading import brief

Schema = dict[str, Any]
TYPES: dict[str, Any] = {
    "string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list,
    "object": dict, "null": type(None),
}


def problem(value: Any, schema: Schema, where: str = "") -> tuple[str, str] | None:
    """(place, what is wrong there) of the first fault, None for a value that fits."""
    if "anyOf" in schema:
        return _any_of(value, schema, where)
    kind = schema.get("type")
    if kind and not _is(value, kind):
        article = "an" if kind[0] in "aio" else "a"
        return where, f"is {brief(value)}, and must be {article} {kind}"
    if "enum" in schema and not any(type(value) is type(e) and value == e for e in schema["enum"]):
        return where, f"is {brief(value)}, and must be {' or '.join(map(brief, schema['enum']))}"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _bounds(value, schema, where)
    if isinstance(value, (str, list)):
        return _sizes(value, schema, where)
    if isinstance(value, dict):
        return _members(value, schema, where)
    return None


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, float) and kind == "integer":  # 1.0 is one, says JSON Schema
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def _any_of(value: Any, schema: Schema, where: str) -> tuple[str, str] | None:
    """Fits one of several; what is wrong is said of the one that came furthest."""
    found = [problem(value, one, where) for one in schema["anyOf"]]
    if None in found:
        return None
    deepest = max(found, key=lambda fault: len(fault[0]) if fault else 0)
    if deepest and deepest[0] != where:
        return deepest
    same = [one for one in schema["anyOf"] if "type" not in one or _is(value, one["type"])]
    if same:
        return problem(value, same[0], where)
    kinds = dict.fromkeys(one.get("description", one.get("type", "")) for one in schema["anyOf"])
    return where, f"is {brief(value)}, and must be {' or '.join(kinds)}"


def _bounds(value: float, schema: Schema, where: str) -> tuple[str, str] | None:
    low, high = schema.get("minimum", -1e38), schema.get("maximum", 1e38)
    above = schema.get("exclusiveMinimum", -1e39)
    if not low <= value <= high or value <= above:  # so is an infinity, which JSON calls 1e400
        rule = f"above {above}" if "exclusiveMinimum" in schema else f"at least {low}"
        rule += f" and at most {high}" if "maximum" in schema else ""
        return where, f"is {brief(value)}, and must be {rule}"
    return None


def _sizes(value: str | list[Any], schema: Schema, where: str) -> tuple[str, str] | None:
    words = ("characters", "Length") if isinstance(value, str) else ("entries", "Items")
    low, high = schema.get(f"min{words[1]}", 0), schema.get(f"max{words[1]}")
    if len(value) < low or (high is not None and len(value) > high):
        rule = f"at least {low}" if high is None else f"{low} to {high}"
        return where, f"has {len(value)} {words[0]}, and must have {rule}"
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            if fault := problem(item, schema["items"], f"{where}[{i}]"):
                return fault
    return None


def _members(value: dict[str, Any], schema: Schema, where: str) -> tuple[str, str] | None:
    for name in schema.get("required", ()):
        if name not in value:
            return _inside(where, name), "is missing"
    known, more = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        inside = _inside(where, name)
        if name not in known and more is False:
            return inside, "is not known here"
        rule = known.get(name, more if isinstance(more, dict) else {})
        if fault := problem(item, rule, inside):
            return fault
    return None


def _inside(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
