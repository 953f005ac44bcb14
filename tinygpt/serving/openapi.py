"""The API's description at /openapi.json, made of the tables that requests are held against.

Read next: parameters.py.
"""

from __future__ import annotations

from typing import Any

from tinygpt.serving import parameters
from tinygpt.serving.schemas import Schema

ERROR: Schema = {
    "type": "object", "required": ["error"], "properties": {"error": {
        "type": "object", "required": ["message", "type", "param", "code"], "properties": {
            "message": {"type": "string"}, "type": {"type": "string"},
            "param": {"type": ["string", "null"]}, "code": {"type": ["string", "null"]},
        },
    }},
}
POSTED: dict[str, tuple[str, Schema]] = {
    "/v1/completions": ("Go on with a text.", parameters.COMPLETION),
    "/v1/chat/completions": ("Answer in a conversation.", parameters.CHAT),
    "/v1/embeddings": ("Texts as vectors of length 1.", parameters.EMBEDDINGS),
    "/tokenize": ("A text's token ids.", parameters.TOKENIZE),
    "/detokenize": ("The text of token ids.", parameters.DETOKENIZE),
}
GOT = {
    "/v1/models": "The models that are served.",
    "/tokenizer_info": "What the tokenizer's special tokens are called.",
    "/openapi.json": "This description.",
    "/health": "Whether the server lives; needs no key.",
}


def description(version: str, key: bool, ids: int) -> dict[str, Any]:
    """The whole of it.  key: whether a key is needed.  ids: how many all served models know."""
    paths: dict[str, Any] = {
        path: {"post": _operation(words, _bounded(schema, ids - 1))}
        for path, (words, schema) in POSTED.items()
    }
    paths |= {path: {"get": _operation(words)} for path, words in GOT.items()}
    paths["/metrics"] = {"get": _operation("Counts and times for Prometheus.", kind="text/plain")}
    paths["/health"]["get"]["security"] = []
    found: dict[str, Any] = {
        "openapi": "3.1.0", "info": {"title": "tinygpt", "version": version}, "paths": paths,
        "components": {"schemas": {"Error": ERROR}},
    }
    if key:
        found["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"key": []}]
    return found


def _operation(
    summary: str, body: Schema | None = None, kind: str = "application/json"
) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {"schema": {}}}
    if body is not None and "stream" in body["properties"]:
        content["text/event-stream"] = {}
    wrong = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    found: dict[str, Any] = {"summary": summary, "responses": {
        "200": {"description": "done", "content": content},
        "default": {"description": "why not", "content": wrong},
    }}
    if body is not None:
        found["requestBody"] = {
            "required": True, "content": {"application/json": {"schema": _described(body)}},
        }
    return found


def _described(body: Schema) -> Schema:
    """A table as its readers need it: what may be left out may be null as well, and what belongs to
    each type of response_format stands with it."""
    properties = {
        name: one if name in body["required"] else {"anyOf": [one, {"type": "null"}]}
        for name, one in body["properties"].items()
    }
    if "response_format" in properties:
        properties["response_format"] = {"anyOf": [{"type": "null"}, *(
            {"type": "object", "required": ["type", *more.get("required", ())],
             "properties": {"type": {"const": kind}, **more.get("properties", {})}}
            for kind, more in parameters.FORMATS.items()
        )]}
    needs = [
        {"anyOf": [{"properties": {name: {"type": "null"}}},
                   {"required": [switch], "properties": {switch: {"const": True}}}]}
        for name, switch in parameters.NEEDS.items() if name in properties
    ]
    return {**body, "properties": properties, **({"allOf": needs} if needs else {})}


def _bounded(schema: Any, most: int) -> Any:
    """A table in which the largest token id is said."""
    if schema is parameters.ID:
        return {**parameters.ID, "maximum": most}
    if schema is parameters.BIAS:
        return {**parameters.BIAS, "propertyNames": {"pattern": f"^({up_to(most)})$"}}
    if isinstance(schema, dict):
        return {name: _bounded(one, most) for name, one in schema.items()}
    return [_bounded(one, most) for one in schema] if isinstance(schema, list) else schema


def up_to(most: int) -> str:
    """A regular expression of the whole numbers to `most`, as they are written."""
    digits = str(most)
    shorter = [f"[1-9][0-9]{{{count}}}" for count in range(len(digits) - 1)]
    equal = []  # as `most` up to some digit, which is smaller
    for place, digit in enumerate(digits):
        least = 1 if place == 0 else 0
        if int(digit) > least:
            rest = len(digits) - place - 1
            equal.append(f"{digits[:place]}[{least}-{int(digit) - 1}][0-9]{{{rest}}}")
    return "|".join([*(["0"] if most else []), *shorter, *equal, digits])
