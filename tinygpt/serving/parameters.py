"""What may be asked: every parameter of the API with its bounds, as JSON Schema.

One table is both the check and the description at /openapi.json. A name that is in no table is
refused, and so is one of REFUSED unless its value asks for nothing: what a client asked for and did
not get, silently, is worse than an error.

Read next: api.py.
"""

from __future__ import annotations

import re
from typing import Any

from tinygpt.serving.schemas import Schema, problem
from tinygpt.serving.security import Refusal
from tinygpt.storage.reading import FormatError, parse_json
from tinygpt.structured.regex import MOST_CHARACTERS

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean", "default": False}
ID: Schema = {"type": "integer", "minimum": 0}
IDS: Schema = {"type": "array", "items": ID, "minItems": 1,
               "description": "a list of token ids"}
TEXTS_OR_IDS: Schema = {"anyOf": [
    {"type": "string", "description": "a text", "minLength": 1},
    {"type": "array", "minItems": 1, "description": "a list of texts",
     "items": {"type": "string", "minLength": 1}},
    IDS,
    {"type": "array", "items": IDS, "minItems": 1, "description": "a list of lists of ids"},
]}
SEED: Schema = {"type": "integer", "minimum": -(2**63), "maximum": 2**64 - 1,
                "description": "the same request with the same seed gives the same answer; of n "
                               "answers each has the next seed"}
BIAS: Schema = {
    "type": "object", "default": {}, "description": "token id -> what is added",
    "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
}
# Names for the client's own use, which no answer could depend on.
LABELS: dict[str, Schema] = {
    "user": TEXT, "safety_identifier": TEXT, "prompt_cache_key": TEXT,
    "metadata": {"type": "object", "additionalProperties": TEXT},
}
MODEL: dict[str, Schema] = {"model": {**TEXT, "description": "a name of /v1/models"}}
DRAWING: dict[str, Schema] = {
    **MODEL, **LABELS,
    "n": {"type": "integer", "minimum": 1, "maximum": 128, "default": 1},
    "seed": SEED,
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 1},
    "top_p": {"type": "number", "minimum": 0, "maximum": 1},
    "top_k": {"type": "integer", "minimum": 1, "maximum": 2**31},
    "min_p": {"type": "number", "minimum": 0, "maximum": 1},
    "repetition_penalty": {"type": "number", "minimum": 0.01, "maximum": 100},
    "frequency_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "presence_penalty": {"type": "number", "minimum": -2, "maximum": 2},
    "logit_bias": BIAS,
    "stop": {"default": [], "anyOf": [
        {"type": "string", "description": "a text", "maxLength": 1000},
        {"type": "array", "maxItems": 64, "items": {**TEXT, "maxLength": 1000},
         "description": "a list of texts"}]},
    "response_format": {"type": "object", "required": ["type"], "default": {"type": "text"},
                        "properties": {"type": {"type": "string", "enum": [
                            "text", "json_object", "json_schema", "regex"]}},
                        "description": "what the answer is held to, also where it is cut"},
    "stream": SWITCH,
    "stream_options": {"type": "object", "additionalProperties": False,
                       "properties": {"include_usage": SWITCH}},
}
# A response_format of each type, of which more is needed.
FORMATS: dict[str, Schema] = {
    "text": {}, "json_object": {},
    "json_schema": {
        "type": "object", "required": ["json_schema"], "properties": {"json_schema": {
            "type": "object", "required": ["schema"], "additionalProperties": False,
            "properties": {"name": TEXT, "description": TEXT, "schema": {"type": "object"},
                           "strict": {"anyOf": [{"type": "boolean"}, {"type": "null"}]}},
        }},
    },
    "regex": {"type": "object", "required": ["pattern"],
              "properties": {"pattern": {**TEXT, "maxLength": MOST_CHARACTERS}}},
}
COUNT: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31}
COMPLETION: Schema = {
    "type": "object", "required": ["prompt"], "additionalProperties": False, "properties": {
        "prompt": TEXTS_OR_IDS, **DRAWING, "max_tokens": {**COUNT, "default": 16},
        "logprobs": {"type": "integer", "minimum": 0, "maximum": 20}, "echo": SWITCH,
    },
}
PART: Schema = {"type": "object", "required": ["type", "text"], "additionalProperties": False,
                "properties": {"type": {"type": "string", "enum": ["text"]}, "text": TEXT}}
MESSAGE: Schema = {
    "type": "object", "required": ["role", "content"], "additionalProperties": False,
    "properties": {
        "role": {"type": "string", "enum": ["system", "developer", "user", "assistant"]},
        "content": {"anyOf": [{**TEXT, "description": "a text"}, {
            "type": "array", "items": PART, "minItems": 1, "description": "a list of text parts",
        }]},
    },
}
CHAT: Schema = {
    "type": "object", "required": ["messages"], "additionalProperties": False, "properties": {
        "messages": {"type": "array", "items": MESSAGE, "minItems": 1}, **DRAWING,
        "max_tokens": {**COUNT, "minimum": 1}, "max_completion_tokens": {**COUNT, "minimum": 1},
        "logprobs": SWITCH, "top_logprobs": {"type": "integer", "minimum": 0, "maximum": 20},
        "begin": {**IDS, "description": "ids that the answer begins with, and goes on from: what "
                                        "if this token had been drawn?"},
    },
}
EMBEDDINGS: Schema = {
    "type": "object", "required": ["input"], "additionalProperties": False, "properties": {
        "input": TEXTS_OR_IDS, **MODEL, **LABELS,
        "encoding_format": {"type": "string", "enum": ["float", "base64"], "default": "float"},
    },
}
TOKENIZE: Schema = {
    "type": "object", "required": ["prompt"], "additionalProperties": False, "properties": {
        "prompt": TEXT, **MODEL, "add_special_tokens": {**SWITCH, "default": True},
    },
}
DETOKENIZE: Schema = {
    "type": "object", "required": ["tokens"], "additionalProperties": False, "properties": {
        "tokens": {**IDS, "minItems": 0}, **MODEL,
    },
}
# Asked of other servers and not done here, with the values that ask for nothing.
REFUSED: dict[str, tuple[Any, ...]] = {
    "best_of": (1,), "suffix": ("",), "tools": ([],), "tool_choice": ("none", "auto"),
    "functions": ([],), "function_call": ("none", "auto"), "parallel_tool_calls": (False, True),
    "modalities": (["text"],), "audio": (),
    "prediction": (), "reasoning_effort": ("none",), "verbosity": (), "web_search_options": (),
    "store": (False,), "service_tier": ("auto", "default"), "dimensions": (),
}
# What is asked for by one parameter only where another is true.
NEEDS = {"stream_options": "stream", "top_logprobs": "logprobs"}
IN_A_MESSAGE = ("refusal", "annotations", "audio", "tool_calls", "function_call", "name")


def read(body: bytes | bytearray, schema: Schema) -> dict[str, Any]:
    """A request's parameters, with the defaults of those that are not given.

    A null of what is known here is as good as nothing.  Raises Refusal, which names the parameter.
    """
    try:
        values = parse_json(bytes(body))
    except FormatError as error:
        raise Refusal(400, f"the body {error}. Send one JSON object.", "invalid_json") from error
    if not isinstance(values, dict):
        raise Refusal(400, "the body is no JSON object. Send one.", "invalid_json")
    _check_characters(values)
    known = {*schema["properties"], *REFUSED}
    given = {name: v for name, v in values.items() if v is not None or name not in known}
    for name in set(given) & (set(REFUSED) - set(schema["properties"])):
        if not any(type(given[name]) is type(v) and given[name] == v for v in REFUSED[name]):
            raise Refusal(
                400, f"{name} is not done by this server. Leave it out.", "unsupported_parameter",
                name,
            )
        del given[name]
    if isinstance(given.get("messages"), list):
        given["messages"] = [_plain(message) for message in given["messages"]]
    if fault := problem(given, schema):
        raise wrong(*fault)
    form = given.get("response_format", {"type": "text"})
    if fault := problem(form, FORMATS[form["type"]], "response_format"):
        raise wrong(*fault)
    defaults = {n: s["default"] for n, s in schema["properties"].items() if "default" in s}
    return {**defaults, **{name: _whole(value) for name, value in given.items()}}


def _whole(value: Any) -> Any:
    """1.0 as the whole number that it is, also in lists."""
    if isinstance(value, list):
        return [_whole(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def wrong(param: str, what: str, code: str = "invalid_value") -> Refusal:
    """What is wrong with a parameter."""
    return Refusal(400, f"{param} {what}.", code, param)


def _plain(message: Any) -> Any:
    """A message without what an answer of ours has besides, which comes back in a conversation."""
    if not isinstance(message, dict):
        return message
    return {k: v for k, v in message.items() if not (k in IN_A_MESSAGE and not v)}


def _check_characters(value: Any) -> None:
    """Refuse half of a pair that stands for one character: it is none, and has no bytes."""
    lists = [value]
    while lists:
        one = lists.pop()
        if isinstance(one, dict):
            lists += [*one, *one.values()]
        elif isinstance(one, list):
            lists += one
        elif isinstance(one, str) and _HALF.search(one):
            raise Refusal(400, "a text holds half a character (a lone surrogate). Send it whole, "
                          "in UTF-8.", "invalid_json")


_HALF = re.compile("[\ud800-\udfff]")
