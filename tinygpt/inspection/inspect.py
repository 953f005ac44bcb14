"""All that can be seen of one text in one model, as arrays with named axes.

    import tinygpt
    seen = tinygpt.inspect("my-run", "Once upon a time there was a girl.")
    seen.weights.at(layer=2, head=1)          # (query, key): where that head looked
    seen.lens(5)                              # what each layer would have said
    seen.account(position=-1)                 # who wrote the likeliest next token

The pages of `tinygpt serve` show the same numbers, made by the same functions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property

import numpy as np

from tinygpt.errors import UserError
from tinygpt.inspection import habits as habit
from tinygpt.inspection.account import Account, account
from tinygpt.inspection.lens import Lens, lens
from tinygpt.inspection.named import NamedArray
from tinygpt.inspection.surprise import losses
from tinygpt.inspection.watch import Head, Seen, watch
from tinygpt.model import LanguageModel
from tinygpt.model.transformer import Transformer
from tinygpt.tokenizer import Tokenizer


class Inspection:
    """One text in one model.

    ids: (T,).  tokens: the text of each; half a character shows as U+FFFD.
    silenced: heads that were switched off, (layer, head) each.
    """

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, ids: Sequence[int] | np.ndarray,
        silenced: Collection[Head] = (),
    ):
        self.seen: Seen = watch(model, ids, silenced)
        self.model, self.tokenizer, self.silenced = model, tokenizer, tuple(silenced)
        self.ids = self.seen.ids
        self.tokens = [tokenizer.decode([one]) for one in self.ids.tolist()]

    @property
    def scores(self) -> NamedArray:
        """(layer, head, query, key): before the softmax, -inf where a query does not look."""
        return self._maps[0]

    @property
    def weights(self) -> NamedArray:
        """(layer, head, query, key): what each query's values were weighed by; rows sum to 1."""
        return self._maps[1]

    @cached_property
    def _maps(self) -> tuple[NamedArray, NamedArray]:
        each = [layer.attention.maps() for layer in self.seen.layers]
        axes = ("layer", "head", "query", "key")
        scores, weights = (np.stack(both) for both in zip(*each, strict=True))
        return NamedArray(scores, axes), NamedArray(weights, axes)

    @cached_property
    def streams(self) -> NamedArray:
        """(row, position, channel): what entered the first layer, then what each layer left."""
        rows = [self.seen.start, *(layer.stream for layer in self.seen.layers)]
        if len({row.shape for row in rows}) > 1:
            raise UserError("this model's first stream has another width than the rest.")
        return NamedArray(np.stack(rows), ("row", "position", "channel"))

    @property
    def logits(self) -> NamedArray:
        """(position, token): the score of each token to come next, as the model serves it."""
        return NamedArray(self.seen.logits, ("position", "token"))

    @property
    def losses(self) -> NamedArray:
        """(position,): nats of surprise at each token, nan for the first."""
        self.model.check_writes()
        return NamedArray(losses(self.seen), ("position",))

    def lens(self, k: int = 10) -> Lens:
        """What each layer would have said: the k likeliest tokens of each row and position."""
        assert isinstance(self.model, Transformer)  # `watch` takes no other
        return lens(self.model, self.seen, k)

    def account(self, position: int = -1, token: int | None = None) -> Account:
        """Who wrote a token's logit at a position; token: None for the likeliest there.

        Raises UserError for a model whose logit is no sum.
        """
        position = range(len(self.ids))[position]
        wanted = int(self.seen.logits[position].argmax()) if token is None else token
        return account(self.model, self.seen, position, wanted)  # type: ignore[arg-type]

    def habits(self, seed: int = 0) -> NamedArray:
        """(habit, layer, head): how much each head does what habits.HABITS name, on random text."""
        return NamedArray(habit.habits(self.model, seed), ("habit", "layer", "head"))

    def without(self, *heads: Head) -> Inspection:
        """The same text with these heads switched off as well."""
        both = [*self.silenced, *(head for head in heads if head not in self.silenced)]
        return Inspection(self.model, self.tokenizer, self.ids, both)
