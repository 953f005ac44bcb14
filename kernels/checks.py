"""What a contract cannot know from shapes: memory that is shared, and values.

**Aliasing.** Inputs may share memory as they like: nobody writes them. What an op writes in place
must share none with anything else that it is given (`apart`), and what it fills must have a place
for each element (`filled`).

**Values.** Ids below the size of their table, probabilities, steps from 1 on, halves that are even:
each a function that raises a ValueError or TypeError naming the op, alike on every backend.

Read next: contract.py (shapes and dtypes).
"""

from __future__ import annotations

import operator
from functools import lru_cache
from itertools import combinations, product, starmap
from typing import Any

import numpy as np

ACTIVATIONS = ("gelu", "relu2", "silu", "relu", "gelu_erf")  # of linear; C numbers them from 1
GATED = {"swiglu": "silu", "geglu": "gelu"}  # act(first half) times the second half

_INT64 = np.dtype(np.int64)


def int64(array: np.ndarray) -> np.ndarray:
    """Integers as compiled code reads them: int64, C-contiguous, aligned; itself if it is that."""
    if array.dtype == _INT64 and array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.array(array, np.int64, order="C")


def apart(op: str, written: dict[str, Any], read: dict[str, Any]) -> None:
    """Raise ValueError if an array that is written shares memory with any other."""
    # Slices of one packed gradient: whether that lies apart from what is read is one question.
    wholes = [x.base if isinstance(x.base, np.ndarray) else x for x in written.values()]
    distinct = {id(whole): whole for whole in wholes}.values()
    quick = [*combinations(written.values(), 2), *product(distinct, read.values())]
    if not any(starmap(np.shares_memory, quick)):
        return
    for (name, a), (other, b) in [
        *combinations(written.items(), 2), *product(written.items(), read.items())
    ]:
        if np.shares_memory(a, b):
            raise ValueError(
                f"{op}: {name} is written and shares memory with {other}; give it a copy"
            )


def lists_apart(op: str, written: dict[str, Any], read: dict[str, Any]) -> None:
    """Raise ValueError if an array of the written lists shares memory with any other.

    All are C-contiguous: intervals of memory, looked at from the lowest address on.
    """
    named = [(f"{name}[{i}]", x, name in read) for name, arrays in (written | read).items()
             for i, x in enumerate(arrays)]
    begins = [(x.__array_interface__["data"][0], *each) for each in named if (x := each[1]).size]
    furthest, furthest_written = (0, ""), (0, "")  # where what came before ends, and its name
    for begin, name, x, reader in sorted(begins, key=lambda each: each[0]):
        end, other = furthest_written if reader else furthest
        if begin < end:
            raise ValueError(
                f"{op}: {name} shares memory with {other}, and the step writes there; give each "
                "parameter and its state memory of its own, once"
            )
        mine = (begin + x.nbytes, name)
        furthest = max(furthest, mine)
        furthest_written = furthest_written if reader else max(furthest_written, mine)


@lru_cache(maxsize=1024)
def own_places(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    """Whether no two elements of a view lie in one place: each axis steps over the inner ones.

    As every slice of an array does; as_strided can make views that do not.
    """
    reach = itemsize
    for step, size in sorted((abs(step), n) for step, n in zip(strides, shape, strict=True)):
        if size > 1:
            if step < reach:
                return False
            reach += step * (size - 1)
    return True


def filled(op: str, **arrays) -> None:
    """Raise ValueError unless each of the views can be filled: writeable, no place in it twice."""
    for name, array in arrays.items():
        if array is None or not array.size:
            continue
        if not array.flags.writeable:
            raise ValueError(f"{op}: {name} {array.shape} is to be filled but is read-only")
        if not own_places(array.shape, array.strides, array.itemsize):
            raise ValueError(f"{op}: {name} {array.shape} shows one place of memory twice")


def leading(a: np.ndarray, b: np.ndarray) -> tuple[int, ...]:
    """What the leading axes of matmul's a and b broadcast to.  Raises ValueError."""
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"matmul: leading sizes do not broadcast: a {a.shape}, b {b.shape}"
        ) from None


def gradient_of_product(dc: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """Raise ValueError unless dc's leading axes are those of a b."""
    if dc.shape[:-2] != leading(a, b):
        raise ValueError(f"matmul: dc {dc.shape} is no gradient of a {a.shape} b {b.shape}")


def activation(name: str | None) -> None:
    """Raise ValueError unless None or a known activation."""
    if name not in (None, *ACTIVATIONS, *GATED):
        choices = ", ".join((*ACTIVATIONS, *GATED))
        raise ValueError(f"linear: unknown activation {name!r}; choose {choices} or None")


def halves(gated: bool, x: np.ndarray | None, inside: int) -> None:
    """Raise ValueError unless a row of a gated x is twice what the weight takes."""
    if gated and x is not None and x.shape[-1] != 2 * inside:
        raise ValueError(
            f"linear: x {x.shape} must have rows of {2 * inside}, a gate of {inside} and as much "
            "to pass it"
        )


def even(gated: bool, x: np.ndarray) -> None:
    """Raise ValueError unless a row of a gated x has two halves."""
    if gated and x.shape[-1] % 2:
        raise ValueError(f"activate: x {x.shape} must have rows of two halves, one gates the other")


def same_rows(gated: bool, da: np.ndarray, x: np.ndarray) -> None:
    """Raise ValueError unless da is a gradient of an activation of x."""
    if x.shape[-1] != da.shape[-1] << gated:
        raise ValueError(f"activate: da {da.shape} is no gradient of an activation of x {x.shape}")


def input_for(wants, x, activation: str | None) -> None:
    """Raise ValueError if linear's backward wants what only x can give and x is None."""
    if x is None and (wants[1] or (wants[0] and activation is not None)):
        raise ValueError("linear: dweight and the derivative of an activation need x, not None")


def heads(op: str, H: int, Hkv: int, D: int) -> None:
    """Raise ValueError unless the key heads divide the heads and a head has coordinates."""
    if min(H, Hkv) < 1 or H % Hkv:
        raise ValueError(f"{op}: {Hkv} key heads do not divide {H} heads")
    if D < 1:
        raise ValueError(f"{op}: a head must have at least 1 coordinate, not {D}")


def attention(sizes, first: np.ndarray | None, last: np.ndarray | None) -> None:
    """What the contracts of attention cannot say: heads, keys that exist, distances, positions.

    sizes: (B, Tq, H, D, Tk, Hkv, distances, positions, R) as those contracts name them.
    """
    _, Tq, H, D, Tk, Hkv, distances, positions, R = sizes
    heads("attention", H, Hkv, D)
    _keys("first", first, Tk)
    _keys("last", last, Tk)
    if distances is not None and distances != max(Tq + Tk - 1, 0):
        raise ValueError(
            f"attention: bias has {distances} distances, {Tq} queries and {Tk} keys have "
            f"{Tq + Tk - 1}"
        )
    if positions is None:
        return
    if positions < Tk or 2 * R > D:
        raise ValueError(
            f"attention: rotary tables ({positions}, {R}) must be (positions, R), for {Tk} "
            f"positions and 2 R <= {D}"
        )
    if Tq > Tk:
        raise ValueError(
            f"attention: {Tq} queries have no positions among {Tk} keys; rotary needs at least as "
            "many keys"
        )


def _keys(name: str, keys: np.ndarray | None, Tk: int) -> None:
    """Raise ValueError naming the first key outside 0 to Tk."""
    if keys is None:
        return
    outside = (keys < 0) | (keys > Tk)
    if outside.any():
        wrong = int(keys[outside].flat[0])
        raise ValueError(f"attention: {name} key {wrong} is outside 0 to {Tk}, the keys")


def ids(op: str, ids: np.ndarray, size: int, ignore_index: int | None = None) -> None:
    """Raise IndexError naming the first id outside [0, size)."""
    outside = (ids < 0) | (ids >= size)
    if ignore_index is not None:
        outside &= ids != ignore_index
    if outside.any():
        wrong = int(ids[outside].flat[0])
        raise IndexError(f"{op}: id {wrong} is outside the table of {size} rows (0 to {size - 1})")


def smoothing(label_smoothing: float) -> None:
    """Raise ValueError unless 0 <= label_smoothing < 1."""
    if not 0.0 <= label_smoothing < 1.0:
        raise ValueError(f"label_smoothing must be in [0, 1), not {label_smoothing}")


def top(k: int, size: int) -> None:
    """Raise ValueError unless k of `size` scores can be told: 1 <= k <= size."""
    if not 1 <= operator.index(k) <= size:
        raise ValueError(f"softmax_summary: k must be from 1 to {size}, not {k}")


def softcap(cap: float | None) -> None:
    """Raise ValueError unless None or above 0 and finite."""
    if cap is not None and not 0.0 < cap < float("inf"):
        raise ValueError(f"softcap must be above 0 and finite, or None, not {cap}")


def dropout(p: float, key: int) -> int:
    """The key as a Python integer.  Raises ValueError unless 0 <= p < 1 and key has 64 bits."""
    if not 0.0 <= p < 1.0:
        raise ValueError(f"dropout: the probability must be in [0, 1), not {p}")
    key = operator.index(key)
    if not 0 <= key < 2**64:
        raise ValueError(f"dropout: the key must be in [0, 2^64), not {key}; take key % 2**64")
    return key


def step(op: str, number: int) -> None:
    """Raise ValueError unless it can be the number of a step, the first being 1."""
    if number < 1:
        raise ValueError(f"{op}: step {number} must be at least 1, the first step")


def packed(op: str, weight, scheme: str | None = None) -> None:
    """Raise TypeError unless weight is Packed, ValueError unless it is of the scheme (if given)."""
    given = getattr(weight, "scheme", None)
    if given is None:
        raise TypeError(f"{op}: the weight must be Packed, not {type(weight).__name__}")
    if scheme not in (None, given):
        raise ValueError(f"{op}: the weight is packed as {given}, not {scheme}")


def shingles(text: np.ndarray, n: int) -> None:
    """Raise TypeError unless text is bytes, ValueError unless it is a row and n at least 1."""
    _row("shingles", np.uint8, text=text)
    if operator.index(n) < 1:
        raise ValueError(f"shingles: n must be at least 1 word, not {n}")


def minhash(hashes: np.ndarray, factors: np.ndarray, offsets: np.ndarray) -> None:
    """Raise TypeError unless all are uint64, ValueError unless rows, one offset for each factor."""
    _row("minhash", np.uint64, hashes=hashes, factors=factors, offsets=offsets)
    if factors.shape != offsets.shape:
        raise ValueError(f"minhash: factors {factors.shape} and offsets {offsets.shape} differ")


def words(text: np.ndarray, kinds: np.ndarray) -> None:
    """Raise TypeError unless text is uint32 and kinds uint8, ValueError unless both are rows."""
    _row("words", np.uint32, text=text)
    _row("words", np.uint8, kinds=kinds)


def ngrams(words: np.ndarray, lengths: np.ndarray, most: int) -> None:
    """Raise TypeError for other dtypes, ValueError unless rows of a length and most at least 2."""
    _row("ngrams", np.uint64, words=words)
    _row("ngrams", np.int64, lengths=lengths)
    if words.shape != lengths.shape:
        raise ValueError(f"ngrams: words {words.shape} and lengths {lengths.shape} differ")
    if operator.index(most) < 2:
        raise ValueError(f"ngrams: most must be at least 2 words, not {most}")
    if len(words) >= 2**29:
        raise ValueError(f"ngrams: {len(words)} words are too many; cut the text (2^29 are)")


def byte_ngrams(text: np.ndarray, n: int, buckets: int = 1) -> None:
    """Raise TypeError unless text is bytes, ValueError for another shape, n or buckets."""
    _row("byte_ngrams", np.uint8, text=text)
    if operator.index(n) < 1:
        raise ValueError(f"byte_ngrams: n must be at least 1 byte, not {n}")
    if not 1 <= operator.index(buckets) <= 2**31 or buckets & (buckets - 1):
        raise ValueError(f"byte_ngrams: buckets must be a power of two up to 2^31, not {buckets}")


def byte_ngram_logits(text: np.ndarray, most: int, weight: np.ndarray, bias: np.ndarray) -> None:
    """Raise TypeError for other dtypes, ValueError unless a row of weight for each bucket fits."""
    if not isinstance(weight, np.ndarray) or weight.dtype != np.float32:
        given = getattr(weight, "dtype", type(weight).__name__)
        raise TypeError(f"byte_ngram_logits: weight must be an array of float32, not {given}")
    _row("byte_ngram_logits", np.float32, bias=bias)
    if weight.ndim != 2 or weight.shape[1:] != bias.shape:
        raise ValueError(
            f"byte_ngram_logits: weight must be (buckets, {len(bias)}), as bias is, not "
            f"{weight.shape}"
        )
    byte_ngrams(text, most, len(weight))


def byte_ngrams_known(text: np.ndarray, n: int, known: np.ndarray) -> None:
    """Raise TypeError for other dtypes, ValueError for other shapes, n or a number of buckets."""
    _row("byte_ngrams_known", np.bool_, known=known)
    byte_ngrams(text, n, len(known))


def in_a_row(array: np.ndarray) -> np.ndarray:
    """An array as compiled code reads it, C-contiguous and aligned; itself if it is that."""
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    return np.require(array, requirements=("C", "A"))  # which takes microseconds to say as much


def _row(op: str, dtype: type, **arrays: np.ndarray) -> None:
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype != dtype:
            given = getattr(array, "dtype", type(array).__name__)
            raise TypeError(f"{op}: {name} must be an array of {dtype.__name__}, not {given}")
        if array.ndim != 1:
            raise ValueError(f"{op}: {name} must have shape (n,), not {array.shape}")
