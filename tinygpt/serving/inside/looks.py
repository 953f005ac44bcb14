"""The numbers behind each screen: what `inspection` found, in the form that a browser reads.

A large array is {"shape": [...], "f32": base64} (little-endian float32) or {"shape", "u8"} (weights
of 0 to 1 as 0 to 255, for pictures). Each answer names under "by" the functions that made it;
source.py shows them.

Read next: passes.py, models.py.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from tinygpt.errors import UserError
from tinygpt.inference.prompt import knows, marks, opening
from tinygpt.inference.sampling import Sampling, probabilities
from tinygpt.inspection import Seen, matrices, vectors, watch, watch_pair
from tinygpt.inspection import habits as habit
from tinygpt.inspection.account import account, check_sums
from tinygpt.inspection.lens import lens
from tinygpt.inspection.surprise import candidates, losses
from tinygpt.inspection.watch import AttentionSeen
from tinygpt.model import Encoder, EncoderDecoder, LanguageModel
from tinygpt.serving.served import Served
from tinygpt.serving.shapes import as_base64
from tinygpt.tokenizer import MASK, BPETokenizer, Tokenizer
from tinygpt.tokenizer.inspection import derivations, show

Asked = dict[str, Any]
Look = Callable[[LanguageModel, Served, Asked], dict[str, Any]]
EXAMPLE = "Once upon a time there was a girl named Anna. Anna had a red ball."
MOST_TOKENS = 4096  # drawn of a table of vectors: those that come first


def packed(array: np.ndarray) -> dict[str, Any]:
    """An array as little-endian float32."""
    return {"shape": list(array.shape), "f32": as_base64(array)}


def shades(array: np.ndarray) -> dict[str, Any]:
    """An array of 0 to 1 as 256 shades."""
    data = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8).tobytes()
    return {"shape": list(array.shape), "u8": base64.b64encode(data).decode()}


def about(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """What there is to look at."""
    shape, tokenizer = model.shape, served.tokenizer
    try:
        check_sums(model)
        no_account = None
    except UserError as error:
        no_account = str(error)
    return {
        "assembly": shape.assembly, "layers": shape.n_layers, "heads": shape.n_heads,
        "width": shape.d_model, "context": shape.context - model.before,
        "vocab_size": shape.vocab_size, "positions": shape.positions,
        "parameters": model.count_parameters() or shape.parameters, "no_account": no_account,
        "masked": isinstance(model, Encoder) and MASK in tokenizer.special_tokens,
        "merges": len(tokenizer.merges) if isinstance(tokenizer, BPETokenizer) else None,
        "example": example(served, shape.context - model.before),
    }


def example(served: Served, room: int) -> str:
    """As much of EXAMPLE as a model can read: its context may be short, its alphabet another."""
    text = EXAMPLE
    if not knows(served.tokenizer, text):
        text = "".join(one for one in text if knows(served.tokenizer, one))
    while text and len(served.ids_of(text)) > room:
        text = text[:-1]
    return text or opening(served.tokenizer)


def tokens(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """A text as its tokens, and how each came to be."""
    tokenizer, ids = served.tokenizer, served.ids_of(asked["text"])
    trees = {}
    if isinstance(tokenizer, BPETokenizer):
        special = set(tokenizer.special_tokens.values())
        trees = {token: _tree(one) for token, one in
                 derivations(tokenizer, {*ids} - special).items()}
    return {
        "tokens": [_token(tokenizer, one) for one in ids], "trees": trees,
        "context": model.shape.context - model.before,
        "by": ["tinygpt.tokenizer.inspection:derivations"],
    }


def merges(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """The text in the vocabulary that training had reached at some size."""
    tokenizer = served.tokenizer
    if not isinstance(tokenizer, BPETokenizer):
        raise UserError(
            "this tokenizer has no merges to replay: it is no byte-level BPE. Look at its tokens."
        )
    most = 256 + len(tokenizer.merges)
    size = max(256, min(asked.get("size", most), most))
    small = BPETokenizer(
        tokenizer.merges[: size - 256], tokenizer.pattern, byte_ids=tokenizer.byte_ids,
        merged_ids=tokenizer.merged_ids[: size - 256],
    )
    ids = small.encode(asked["text"], disallowed_special=())
    return {
        "tokens": [_token(small, one) for one in ids],
        "size": size, "least": 256, "most": most, "by": ["tinygpt.tokenizer.bpe:merge"],
    }


def next_token(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """At each position: how surprising its token was, and what may come next."""
    if isinstance(model, Encoder):
        model.check_writes()
    seen, tokenizer = _seen(model, served, asked), served.tokenizer
    found = candidates(seen.logits, sampling_of(asked), asked["k"])
    return {
        "tokens": [_token(tokenizer, one) for one in seen.ids.tolist()],
        "losses": [None if np.isnan(x) else float(x) for x in losses(seen)],
        "candidates": _candidates(tokenizer, found.tokens),
        "before": found.before.tolist(), "after": found.after.tolist(),
        "by": ["tinygpt.inspection.surprise:losses", "tinygpt.inspection.surprise:candidates",
               "tinygpt.inference.sampling:probabilities"],
    }


def drawn(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """What one token of an answer was drawn from, and the number that fell on it.

    A conversation's answer of `ids`, of which the first `begun` were given and the others drawn by
    a generator of `seed`: a number from 0 to 1 for each. Probabilities laid side by side, in the
    order of ids, cover 0 to 1; the token is the one whose share the number falls into.
    """
    model.check_writes()
    at, ids = asked["at"], asked["ids"]
    _check_position(at, len(ids) + 1)
    for token in ids:
        _check_token(model, token)
    prompt = served.ids_of_messages(asked["messages"])
    text = [*prompt, *ids]
    seen = served.passes.of((None, (), tuple(text), ()), lambda: watch(model, text))
    logits = seen.logits[len(prompt) + at - 1][None]
    sampling, tokenizer = sampling_of(asked), served.tokenizer
    found = candidates(logits, sampling, asked["k"])
    answer = {
        "candidates": _candidates(tokenizer, found.tokens)[0], "before": found.before[0].tolist(),
        "after": found.after[0].tolist(), "number": None,
        "ends": [token in served.ends for token in found.tokens[0].tolist()],
        "by": ["tinygpt.inspection.surprise:candidates",
               "tinygpt.inference.sampling:probabilities"],
    }
    if at < asked["begun"] or sampling.temperature == 0:
        return answer
    rng = np.random.default_rng(asked["seed"] & (2**64 - 1))
    answer["number"] = float(rng.random(at - asked["begun"] + 1)[-1])
    if at < len(ids):
        edges = np.cumsum(probabilities(logits, sampling)[0])
        answer["share"] = [float(edges[ids[at] - 1]) if ids[at] else 0.0, float(edges[ids[at]])]
    return answer


def hidden_token(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """What an encoder puts in the place of one token of a text that it does not see."""
    tokenizer = served.tokenizer
    if not isinstance(model, Encoder) or MASK not in tokenizer.special_tokens:
        raise UserError("this model fills no gaps: it is no encoder that learned so. Look at what "
                        "it expects next.")
    ids = np.array(served.ids_of(asked["text"]), np.int64)
    _check_position(asked["position"], len(ids))
    ids[asked["position"]] = tokenizer.special_tokens[MASK]
    found = candidates(watch(model, ids).logits[asked["position"]][None], k=10)
    return {
        "candidates": _candidates(tokenizer, found.tokens)[0], "before": found.before[0].tolist(),
        "by": ["tinygpt.inspection.surprise:candidates"],
    }


def attention(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """Every head's map, in shades."""
    seen = _seen(model, served, asked)
    each = [one.maps()[1] for one in _attentions(seen, asked["half"])]
    read, written = (seen.source or seen).ids, seen.ids
    queries = read if asked["half"] == "source" else written
    keys = written if asked["half"] == "self" else read
    tokenizer = served.tokenizer
    return {
        "queries": [_token(tokenizer, one) for one in queries.tolist()],
        "keys": [_token(tokenizer, one) for one in keys.tolist()],
        "maps": shades(np.stack(each)), "by": ["kernels.numpy_ref.attention:attention_weights"],
    }


def head(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """One head's map and the scores that it came from, in full precision."""
    seen = _seen(model, served, asked)
    layers = _attentions(seen, asked["half"])
    if asked["layer"] >= len(layers) or asked["head"] >= model.shape.n_heads:
        raise UserError(
            f"there is no head {asked['head']} in layer {asked['layer']}: this model has "
            f"{len(layers)} layers of {model.shape.n_heads} heads, counted from 0. Choose another."
        )
    one = layers[asked["layer"]]
    scores, weights = (part[asked["head"]] for part in one.maps())
    masked = np.isneginf(scores)
    return {
        "scores": packed(np.where(masked, 0, scores)), "masked": shades(masked),
        "weights": packed(weights), "divisor": float(np.sqrt(one.heads[2])),
        "by": ["kernels.numpy_ref.attention:attention_weights"],
    }


def habits(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """What each head does as a rule."""
    found = habit.habits(model)
    return {"habits": list(habit.HABITS), "scores": found.tolist(), "names": habit.names(found),
            "by": ["tinygpt.inspection.habits:scores", "tinygpt.inspection.habits:places"]}


def layers(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """What each layer, or those of some rows, would have said at each position."""
    seen, tokenizer = _seen(model, served, asked), served.tokenizer
    count = len(seen.layers) + 1
    rows = asked.get("rows", list(range(count)))
    if max(rows) >= count:
        raise UserError(f"there is no row {max(rows)}: there are {count}, counted from 0. Choose "
                        "one of them.")
    found = lens(model, seen, asked["k"], rows)  # type: ignore[arg-type]
    return {
        "rows": rows,
        "tokens": [_token(tokenizer, one) for one in seen.ids.tolist()],
        "likeliest": found.tokens.tolist(), "probabilities": found.probabilities.tolist(),
        "entropy": found.entropy.tolist(), "rank": found.rank.tolist(),
        "texts": {one: _text(tokenizer, one) for one in np.unique(found.tokens).tolist()},
        "by": ["tinygpt.inspection.lens:lens", "tinygpt.inspection.lens:lens_logits"],
    }


def sums(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """Who wrote one logit."""
    check_sums(model)
    seen = _seen(model, served, asked)
    _check_position(asked["position"], len(seen.ids))
    token = asked.get("token", int(seen.logits[asked["position"]].argmax()))
    _check_token(model, token)
    found = account(model, seen, asked["position"], token)  # type: ignore[arg-type]
    return {
        "token": _token(served.tokenizer, token), "logit": found.logit, "start": found.start,
        "heads": found.heads.tolist(), "rest": found.rest.tolist(), "mlps": found.mlps.tolist(),
        "norm": found.norm, "rounding": found.rounding,
        "by": ["tinygpt.inspection.account:account", "tinygpt.inspection.account:frozen_norm"],
    }


def embeddings(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """A table of vectors as a map; of positions also who resembles whom."""
    tokenizer = served.tokenizer
    if asked["of"] == "positions":
        if model.shape.positions != "learned":
            raise UserError(
                f'this model has no table of positions (positions = "{model.shape.positions}"). '
                "Look at its tokens."
            )
        rows = _table(getattr(model, "position_embedding", None))
        places, shares = vectors.principal_map(rows)
        alike = {"similarity": packed(vectors.similarity(rows))}
        names = [str(i) for i in range(len(rows))]
    else:
        rows = _table(model.token_embedding)[:MOST_TOKENS]  # type: ignore[attr-defined]
        places, shares = vectors.principal_map(rows)
        alike, names = {}, [_text(tokenizer, i) for i in range(len(rows))]
    return {"places": packed(places), "shares": shares.tolist(), "names": names, **alike,
            "by": ["tinygpt.inspection.vectors:principal_map"]}


def neighbours(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """The tokens whose vectors point where one's does."""
    tokenizer = served.tokenizer
    _check_token(model, asked["token"])
    rows = _table(model.token_embedding)  # type: ignore[attr-defined]
    ids, cosines = vectors.nearest(rows, asked["token"])
    return {"token": _token(tokenizer, asked["token"]),
            "near": [_token(tokenizer, one) for one in ids.tolist()], "cosines": cosines.tolist(),
            "by": ["tinygpt.inspection.vectors:nearest"]}


def matrix(model: LanguageModel, served: Served, asked: Asked) -> dict[str, Any]:
    """A weight matrix from outside; without a name, which there are."""
    names = matrices.matrix_names(model)
    if "name" not in asked:
        return {"names": names, "by": ["tinygpt.inspection.matrices:matrix_names"]}
    found = matrices.look_at(matrices.matrix_of(model, asked["name"]))
    return {
        "names": names, "shape": list(found.shape), "counts": found.counts.tolist(),
        "edges": found.edges.tolist(), "singular": found.singular.tolist(),
        "effective": found.effective, "errors": found.errors, "rows": found.rows,
        "by": ["tinygpt.inspection.matrices:look_at", "tinygpt.inspection.matrices:rounding_error"],
    }


LOOKS: dict[str, Look] = {
    "model": about, "tokens": tokens, "merges": merges, "next": next_token,
    "drawn": drawn, "hidden": hidden_token, "attention": attention, "head": head, "habits": habits,
    "lens": layers, "account": sums, "embeddings": embeddings, "neighbours": neighbours,
    "matrix": matrix,
}


def sampling_of(asked: Asked) -> Sampling:
    """How a token would be drawn.  top_p 0 keeps the likeliest alone, as in the API."""
    top_p = asked.get("top_p")
    return Sampling(
        temperature=asked["temperature"], top_k=asked.get("top_k"),
        top_p=None if top_p is None else top_p or 1e-9,
    )


def _seen(model: LanguageModel, served: Served, asked: Asked) -> Seen:
    ids = served.ids_of(asked["text"])
    off = tuple((layer, head) for layer, head in asked.get("silenced", ()))
    written: list[int] = []
    if isinstance(model, EncoderDecoder):
        text = asked.get("written") or ""
        written = [marks(served.tokenizer)[1],
                   *served.tokenizer.encode(text, disallowed_special=())]

    def make() -> Seen:
        if isinstance(model, EncoderDecoder):
            return watch_pair(model, ids, written, off)
        return watch(model, ids, off)

    return served.passes.of((asked.get("step"), off, tuple(ids), tuple(written)), make)


def _attentions(seen: Seen, half: str) -> list[AttentionSeen]:
    """The attention of each layer: of the text to itself, of a source to itself, or across."""
    where = seen.source if half == "source" else seen
    if where is None or (half == "cross" and seen.source is None):
        raise UserError("this model reads no source, so nothing looks across. Look at the text's "
                        "attention to itself.")
    if half == "cross":
        return [layer.cross for layer in where.layers if layer.cross is not None]
    return [layer.attention for layer in where.layers]


def _table(embedding: Any) -> np.ndarray:
    """All rows of a table of vectors, floats or rounded.  Raises UserError for none."""
    rows = None if embedding is None else matrices.values_of(embedding)
    if rows is None:
        raise UserError("this model has no such table of vectors. Look at its weights.")
    return rows


@lru_cache(1 << 17)
def _text(tokenizer: Tokenizer, token: int) -> str:
    """Kept: a row of the lens names some hundreds, of which most stand in other rows too."""
    return show(tokenizer.decode_bytes([token]))


def _token(tokenizer: Tokenizer, token: int) -> dict[str, Any]:
    data = tokenizer.decode_bytes([token])
    return {"id": token, "text": _text(tokenizer, token), "bytes": data.hex()}


def _candidates(tokenizer: Tokenizer, found: np.ndarray) -> list[list[dict[str, Any]]]:
    return [[_token(tokenizer, one) for one in row] for row in found.tolist()]


def _tree(found: Any) -> dict[str, Any]:
    return {"id": found.token, "text": show(found.bytes), "parts": [_tree(p) for p in found.parts]}


def _check_position(position: int, length: int) -> None:
    if position >= length:
        raise UserError(f"there is no position {position}: the text has {length} tokens, counted "
                        "from 0. Choose one of them.")


def _check_token(model: LanguageModel, token: int) -> None:
    if token >= model.shape.vocab_size:
        raise UserError(f"there is no token {token}: the model knows 0 to "
                        f"{model.shape.vocab_size - 1}. Choose one of them.")
