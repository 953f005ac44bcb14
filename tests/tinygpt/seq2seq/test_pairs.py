"""Pairs of texts: read, split, padded, handed out."""

import itertools
import json

import numpy as np
import pytest

from tinygpt.seq2seq.pairs import (
    PADDING,
    EncodedPairs,
    Pair,
    PairLoader,
    Pairs,
    load_pairs,
    split_pairs,
)
from tinygpt.storage.reading import FormatError
from tinygpt.text import DataError
from tinygpt.tokenizer import END_OF_TEXT, CharTokenizer

TOKENIZER = CharTokenizer("abc", (END_OF_TEXT,))
END = 3
WORDS = ["".join(w) for n in (1, 2, 5) for w in itertools.product("abc", repeat=n)]
PAIRS = [Pair(word, word[::-1] * 2) for word in WORDS]


def test_a_table_and_lines_of_json_are_the_same_pairs(tmp_path):
    table, lines = tmp_path / "a.tsv", tmp_path / "a.JSONL"
    table.write_text("eins\tone\r\nzwei\ttwo\n\neins\tone\n", encoding="utf-8-sig")
    rows = [{"target": "one", "source": "eins"}, {"source": "zwei", "target": "two"}]
    lines.write_text("\n".join(map(json.dumps, rows)))
    right = [Pair("eins", "one"), Pair("zwei", "two")]
    assert load_pairs(str(table), 0, 0) == load_pairs(str(lines), 0, 0) == right


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.tsv", "a\tb\nc", r"line 2 has 1 parts between tabs"),
        ("a.tsv", "a\tb\tc", r"line 1 has 3 parts"),
        ("a.tsv", "a\t", r"line 1 has 2 parts"),
        ("a.jsonl", '{"source": "a"}', r"line 1 .*target"),
        ("a.jsonl", '{"source": "a", "target": ""}', r"line 1 has an empty text"),
        ("a.jsonl", "nonsense", r"line 1 is not JSON"),
        ("a.csv", "a,b", r'come from "numbers", a \.tsv or a \.jsonl file'),
    ],
)
def test_what_is_no_pair_is_named(name, text, said, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        load_pairs(str(tmp_path / name), 0, 0)


def test_what_is_held_out_is_learned_in_neither_direction():
    found = split_pairs(PAIRS, 0.2, seed=1).both_ways()
    assert len(found.held_out) == 2 * round(0.2 * len(PAIRS))
    assert not {*found.train} & {*found.held_out}
    assert {*found.train, *found.held_out} == {*PAIRS, *(Pair(t, s) for s, t in PAIRS)}
    assert all(Pair(t, s) in found.train for s, t in found.train)


def test_a_split_that_leaves_nothing_is_refused():
    with pytest.raises(DataError, match="1 pairs, 1 of them held out"):
        split_pairs(PAIRS[:1], 0.9, seed=0)


def test_pairs_come_back_from_a_runs_file():
    odd = Pairs([Pair("a\u2028\tb", 'c"\n')], [Pair("\u00e9", "\\")])
    assert Pairs.from_text(odd.to_text()) == odd


def test_a_batch_is_padded_shifted_and_counted():
    batch = EncodedPairs([Pair("abc", "c"), Pair("b", "ba")], TOKENIZER, 8).batch([0, 1])
    assert batch.source.tolist() == [[0, 1, 2, END], [1, END, 0, 0]]
    assert batch.lengths.tolist() == [4, 2]
    assert batch.ids.tolist() == [[END, 2, END], [END, 1, 0]]
    assert batch.targets.tolist() == [[2, END, PADDING], [1, 0, END]]
    assert (batch.weight, batch.tokens) == (5, 11)


def test_a_text_longer_than_the_context_is_named():
    with pytest.raises(DataError, match="'ccc' has 4 tokens with its end, and model.context is 3"):
        EncodedPairs([Pair("ab", "ccc")], TOKENIZER, 3)


def test_batches_are_of_similar_length_and_every_pair_is_drawn():
    encoded = EncodedPairs(PAIRS, TOKENIZER, 16)
    loader = PairLoader(encoded, 8, np.random.default_rng(0))
    seen, padded, cells = set(), 0, 0
    for batch in itertools.islice(loader, 300):
        seen |= {tuple(row[:n]) for row, n in zip(batch.source, batch.lengths, strict=True)}
        padded += batch.source.size + batch.targets.size - batch.tokens
        cells += batch.source.size + batch.targets.size
    assert len(seen) == len(PAIRS)
    assert padded < 0.05 * cells


def test_a_loader_goes_on_where_another_stood():
    encoded = EncodedPairs(PAIRS, TOKENIZER, 16)
    one = PairLoader(encoded, 4, np.random.default_rng(0))
    for _ in range(21):  # in the midst of a pool
        next(one)
    other = PairLoader(encoded, 4, np.random.default_rng(5))
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    for _ in range(40):
        for a, b in zip(next(one), next(other), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(FormatError, match="beyond the"):
        other.load_state_dict({**one.state_dict(), "waiting": [[len(PAIRS)]]})
