"""What may be asked of a screen: its parameters as JSON Schema, held against every request.

Read next: looks.py.
"""

from __future__ import annotations

from tinygpt.serving.parameters import MODEL, SEED, TEXT
from tinygpt.serving.schemas import Schema

PLACE: Schema = {"type": "integer", "minimum": 0, "maximum": 2**31}
HEAD: Schema = {"type": "array", "items": PLACE, "minItems": 2, "maxItems": 2,
                "description": "a layer and a head"}
WHOM: dict[str, Schema] = {
    **MODEL, "step": {**PLACE, "description": "of a checkpoint; the last where it is left out"},
}
READ: dict[str, Schema] = {**WHOM, "text": TEXT}
OFF: dict[str, Schema] = {
    "silenced": {"type": "array", "items": HEAD, "maxItems": 4096, "default": []},
}
# Of an encoder-decoder: which attention, and what is written about the text.
WHERE: dict[str, Schema] = {
    "half": {"type": "string", "enum": ["self", "source", "cross"], "default": "self"},
    "written": TEXT,
}


# How a token is drawn.
DRAWN: dict[str, Schema] = {
    "k": {**PLACE, "minimum": 1, "maximum": 50, "default": 10},
    "temperature": {"type": "number", "minimum": 0, "maximum": 2, "default": 1},
    "top_k": {**PLACE, "minimum": 1}, "top_p": {"type": "number", "minimum": 0, "maximum": 1},
}
SAID: Schema = {
    "type": "object", "required": ["role", "content"], "additionalProperties": False,
    "properties": {"role": {"type": "string", "enum": ["system", "user", "assistant"]},
                   "content": TEXT},
}


def _asked(*required: str, **properties: Schema) -> Schema:
    """required: the names that must be there."""
    return {"type": "object", "required": list(required), "additionalProperties": False,
            "properties": properties}


ASKED: dict[str, Schema] = {
    "model": _asked(**WHOM),
    "tokens": _asked("text", **READ),
    "merges": _asked("text", **READ, size=PLACE),
    "next": _asked("text", **READ, **OFF, **DRAWN, written=TEXT),
    "drawn": _asked(
        "messages", "ids", "at", "seed", **MODEL, **DRAWN, seed=SEED, at=PLACE,
        begun={**PLACE, "default": 0, "description": "how many of the ids were not drawn"},
        messages={"type": "array", "items": SAID, "minItems": 1},
        ids={"type": "array", "items": PLACE},
    ),
    "hidden": _asked("text", "position", **READ, position=PLACE),
    "attention": _asked("text", **READ, **OFF, **WHERE),
    "head": _asked("text", "layer", "head", **READ, **OFF, **WHERE, layer=PLACE, head=PLACE),
    "habits": _asked(**WHOM),
    "lens": _asked("text", **READ, **OFF, k=DRAWN["k"], written=TEXT, rows={
        "type": "array", "items": PLACE, "minItems": 1, "maxItems": 64,
        "description": "those that are wanted, in this order; all where it is left out",
    }),
    "account": _asked("text", "position", **READ, **OFF, position=PLACE, token=PLACE),
    "embeddings": _asked(**WHOM, of={"type": "string", "enum": ["tokens", "positions"],
                                     "default": "tokens"}),
    "neighbours": _asked("token", **WHOM, token=PLACE),
    "matrix": _asked(**WHOM, name=TEXT),
}
