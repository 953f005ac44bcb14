"""Which token may come next, so that the answer has a form, however long it may be.

A token fits where all its bytes do. To ask that of fifty thousand tokens one by one would take
longer than the model does; but they share beginnings. So the vocabulary is a tree of bytes, walked
level by level for all tokens at once, and what was found for a state is kept: within a string the
state is the same after every letter.

**Also at its end.** An answer has so many tokens and no more, and half of a JSON object is none.
Each state knows the bytes to the nearest end (automaton.py), and each byte that is needed is a
token. A token after which more bytes are missing than tokens are left does not fit.

Read next: ../serving/engine.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection

import numpy as np

from tinygpt.structured.automaton import Automaton
from tinygpt.structured.grammar import FormError, Grammar
from tinygpt.tokenizer import Tokenizer, TokenizerError

KEPT = 64  # states of which it is known where each token leads: 8 bytes a token


class Vocabulary:
    """The tokens of a tokenizer as a tree of bytes.

    size: rows of the model's output, at least the tokenizer's.
    Special tokens and those that stand for nothing are left out: they never fit.
    """

    def __init__(self, tokenizer: Tokenizer, size: int | None = None):
        special = set(tokenizer.special_tokens.values())
        self.size = max(size or 0, tokenizer.vocab_size)
        spelled = {}
        for token in range(tokenizer.vocab_size):
            try:
                spelled[token] = b"" if token in special else tokenizer.decode_bytes([token])
            except TokenizerError:  # an id that nobody has
                continue
        nodes: dict[bytes, int] = {b"": 0}  # a beginning -> its number
        by_length = sorted((text, token) for token, text in spelled.items() if text)
        depth: list[list[tuple[int, int, int]]] = []  # of each level (node, its parent, byte)
        for text, _ in by_length:
            for end in range(1, len(text) + 1):
                beginning = text[:end]
                if beginning not in nodes:
                    nodes[beginning] = len(nodes)
                    if len(depth) < end:
                        depth.append([])
                    depth[end - 1].append((nodes[beginning], nodes[text[: end - 1]], text[end - 1]))
        self.levels = [np.array(level).T for level in depth]
        self.nodes = len(nodes)
        self.tokens = np.array([token for _, token in by_length], np.int64)
        self.ends = np.array([nodes[text] for text, _ in by_length], np.int64)
        self.singles = {text[0] for text, _ in by_length if len(text) == 1}

    def walk(self, automaton: Automaton, state: int) -> np.ndarray:
        """(size,) int32: the state after each token, 0 where it does not fit."""
        at = np.zeros(self.nodes, np.int32)
        at[0] = state
        for node, parent, byte in self.levels:
            alive = np.flatnonzero(at[parent])
            if not len(alive):
                break
            states, which = np.unique(at[parent[alive]], return_inverse=True)
            rows = np.stack([automaton.row(int(one)) for one in states])
            at[node[alive]] = rows[which, byte[alive]]
        after = np.zeros(self.size, np.int32)
        after[self.tokens] = at[self.ends]
        return after


class Constraint:
    """A form that an answer is held to.

    ends: ids that end an answer.
    Raises FormError where nothing of that form can be written in this vocabulary.
    """

    start = Automaton.start

    def __init__(self, grammar: Grammar, vocabulary: Vocabulary, ends: Collection[int]):
        self.vocabulary, self.ends = vocabulary, sorted(ends)
        self.automaton = Automaton(grammar, vocabulary.singles)
        self._seen: OrderedDict[int, tuple[np.ndarray, np.ndarray]] = OrderedDict()

    def check(self, tokens: int) -> None:
        """Raise FormError if nothing of the form is so short."""
        least = self.automaton.distance(self.start)
        if least > tokens:
            raise FormError(
                f"the shortest answer of this form takes {least} tokens, and {tokens} are "
                "allowed. Allow more."
            )

    def allowed(self, state: int, left: int) -> np.ndarray:
        """(size,) bool: the tokens that fit, when so many may be written, this one included."""
        fits = self._look(state)[1] < left
        if self.automaton.distance(state) == 0:
            fits[self.ends] = True
        return fits

    def whole(self, state: int) -> bool:
        """Whether what was written may end here."""
        return self.automaton.distance(state) == 0

    def advance(self, state: int, token: int) -> int:
        """The state after a token that fits."""
        return int(self._look(state)[0][token])

    def _look(self, state: int) -> tuple[np.ndarray, np.ndarray]:
        """(size,) int32 twice: the state after each token, and how far from an end that is."""
        if state not in self._seen:
            after = self.vocabulary.walk(self.automaton, state)
            self._seen[state] = after, self.automaton.distances(after)
            if len(self._seen) > KEPT:
                self._seen.popitem(last=False)
        self._seen.move_to_end(state)
        return self._seen[state]


