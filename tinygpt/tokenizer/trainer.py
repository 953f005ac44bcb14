"""Learning the merges: byte pair encoding's training in five named stages.

    1. count      how often does each distinct pre-token occur?         (counting.py)
    2. spell      each distinct pre-token as a list of byte ids, once
    3. index      how often each pair occurs, and in which words
    4. queue      a heap of pairs; counts in it may be stale, and are checked when popped
    5. merge      take the best pair, rewrite only the words that hold it, adjust their pairs

The naive trainer recounts the whole text for each merge; here one merge costs what it changes.
Ties: the highest count, then the smaller pair of ids; byte ids follow GPT-2's order (BYTE_IDS in
bpe.py). These are Hugging Face's rules too, so the merges are the same, one for one.

`learn_merges` below is the page to read. c/train.c is the same in C, some thirty times faster, and
does the work where there is a compiler.

Can two merges spell the same token, "ab" + "c" and "a" + "bc"? No. A merge never crosses a boundary
that is still there, so the letters between two boundaries that both survive are merged as if they
stood alone: the same letters in the same order, hence in only one way. That is why a list of tokens
in the order learned (tiktoken's files) says as much as a list of merges (Hugging Face's).
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from tinygpt.tokenizer import compiled
from tinygpt.tokenizer.base import DEFAULT_SPECIAL_TOKENS, Text
from tinygpt.tokenizer.bpe import BYTE_IDS, BPETokenizer
from tinygpt.tokenizer.counting import WordCounts
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.vocabulary import check_specials

Pair = tuple[int, int]
Progress = Callable[[int, int], None]  # (merges made, merges wanted)

_MERGES_AT_ONCE = 256  # between two reports of progress; C holds off Ctrl-C for so long


def train_bpe(
    texts: Text | Iterable[Text],
    vocab_size: int,
    pattern: str = "cl100k",
    special_tokens: Iterable[str] = DEFAULT_SPECIAL_TOKENS,
    min_count: int = 2,
    progress: Progress | None = None,
    max_memory: int | None = None,
) -> BPETokenizer:
    """Train a byte-level BPE tokenizer.

    texts: one text or several documents, str or bytes; no pre-token crosses two of them.
    vocab_size: ids in all: 256 bytes, the merges, the special tokens (which come last).
    pattern: "gpt2", "cl100k", "llama3", "o200k" or a regular expression (see pretokenize.py).
    min_count: a pair seen less often is not merged; training then ends with fewer merges.
    max_memory: bytes the process may hold; beyond that it works on disk, with the same result.
    Raises TokenizerError for a vocabulary or a limit too small, or an empty text.
    """
    special_tokens = tuple(dict.fromkeys(special_tokens))
    check_vocab_size(vocab_size, special_tokens)
    with WordCounts(pattern, max_memory) as words:
        for text in [texts] if isinstance(texts, (str, bytes)) else texts:
            words.add(text)
        return train_on_words(words, vocab_size, special_tokens, min_count, progress)


def train_on_words(
    words: WordCounts,
    vocab_size: int,
    special_tokens: Iterable[str] = DEFAULT_SPECIAL_TOKENS,
    min_count: int = 2,
    progress: Progress | None = None,
) -> BPETokenizer:
    """`train_bpe` for text that has been counted already.  Arguments and errors as there."""
    special_tokens = tuple(dict.fromkeys(special_tokens))
    n_merges = check_vocab_size(vocab_size, special_tokens)
    if not words:
        raise TokenizerError("there is no text to train a tokenizer on. Give a text that has some.")
    if min_count < 1:
        raise TokenizerError(f"min_count = {min_count} must be at least 1: a pair has to occur.")
    if compiled.available():
        merges = _learn_merges_compiled(words, n_merges, min_count, progress)
    else:
        merges = learn_merges(dict(words.items()), n_merges, min_count, progress)
    first = 256 + len(merges)
    specials = {name: first + i for i, name in enumerate(special_tokens)}
    return BPETokenizer(merges, words.pattern, specials)


def _learn_merges_compiled(
    words: WordCounts, n_merges: int, min_count: int, progress: Progress | None
) -> list[Pair]:
    trainer = words.trainer()
    merges: list[Pair] = []
    while len(merges) < n_merges:
        wanted = min(_MERGES_AT_ONCE, n_merges - len(merges))
        more = trainer.run(wanted, min_count)
        merges += map(tuple, more.tolist())
        if progress:
            progress(len(merges), n_merges)
        if len(more) < wanted:
            break
    return merges


def check_vocab_size(vocab_size: int, special_tokens: tuple[str, ...]) -> int:
    """How many merges fit.

    Raises TokenizerError when not even the bytes do, or for a special token that no text can hold.
    """
    check_specials({name: 256 + i for i, name in enumerate(special_tokens)}, {})
    n_merges = vocab_size - 256 - len(special_tokens)
    if n_merges < 0:
        raise TokenizerError(
            f"a vocabulary of {vocab_size} is too small: 256 bytes and {len(special_tokens)} "
            f"special tokens need {256 + len(special_tokens)}. Ask for more."
        )
    return n_merges


def learn_merges(
    words: Mapping[bytes, int], n_merges: int, min_count: int = 2, progress: Progress | None = None
) -> list[Pair]:
    """Stages 2 to 5.  Returns at most `n_merges` pairs of ids in the order learned."""
    spelled = [[BYTE_IDS[byte] for byte in word] for word in words]
    frequency = list(words.values())

    counts: dict[Pair, int] = defaultdict(int)
    where: dict[Pair, set[int]] = defaultdict(set)
    for index, word in enumerate(spelled):
        for pair in zip(word, word[1:], strict=False):
            counts[pair] += frequency[index]
            where[pair].add(index)

    queue = [(-count, pair) for pair, count in counts.items()]
    heapq.heapify(queue)

    merges: list[Pair] = []
    while queue and len(merges) < n_merges:
        stale, pair = heapq.heappop(queue)
        count = counts[pair]
        if count != -stale:  # other merges took some of its occurrences: queue it again
            if count >= min_count:
                heapq.heappush(queue, (-count, pair))
            continue
        if count < min_count:
            break
        new = 256 + len(merges)
        merges.append(pair)
        born = set()
        for index in where.pop(pair):
            word = spelled[index]
            spelled[index], changes = merge_word(word, pair, new)
            for changed, change in changes:
                counts[changed] += change * frequency[index]
                if change > 0:
                    where[changed].add(index)
                    born.add(changed)
        for fresh in born:
            if counts[fresh] >= min_count:
                heapq.heappush(queue, (-counts[fresh], fresh))
        if progress and len(merges) % _MERGES_AT_ONCE == 0:
            progress(len(merges), n_merges)
    return merges


def merge_word(word: list[int], pair: Pair, new: int) -> tuple[list[int], list[tuple[Pair, int]]]:
    """Replace `pair` by `new` in one word; also say which pairs came (+1) and went (-1).

    >>> merge_word([5, 1, 2, 7], (1, 2), 300)
    ([5, 300, 7], [((5, 1), -1), ((5, 300), 1), ((2, 7), -1), ((300, 7), 1)])
    """
    left, right = pair
    out: list[int] = []
    changes: list[tuple[Pair, int]] = []
    position, n = 0, len(word)
    while position < n:
        token = word[position]
        if token != left or position + 1 == n or word[position + 1] != right:
            out.append(token)
            position += 1
            continue
        if out:
            changes += [((out[-1], left), -1), ((out[-1], new), 1)]
        if position + 2 < n:
            after = word[position + 2]
            changes += [((right, after), -1), ((new, after), 1)]
        out.append(new)
        position += 2
    return out, changes
