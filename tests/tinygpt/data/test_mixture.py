"""Mixtures: shares, epochs and caps hold, and a run goes on to the bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygpt.config import ConfigError, from_dict, load_config
from tinygpt.curation import curate
from tinygpt.data import open_dataset, prepare
from tinygpt.data.mixture import MixedLoader, Part, shares
from tinygpt.pretraining.objective import corpus_of, loader_of
from tinygpt.runs.metrics import read
from tinygpt.storage.reading import FormatError
from tinygpt.text import DataError
from tinygpt.text.mixture import Source, parse
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer

SMALL = ["model.n_layers=1", "model.d_model=16", "model.n_heads=2", "model.context=16",
         "training.batch_size=4", "training.sample_every=none", "training.eval_every=none"]


@pytest.mark.parametrize("entry, expected", [
    ("stories", Source("stories")),
    ("my corpus weight=2", Source("my corpus", 2.0)),
    ("a=b.txt epochs=4 cap=2_000", Source("a=b.txt", epochs=4.0, cap=2000.0)),
])
def test_entries_are_read(entry, expected):
    assert parse(entry) == expected


@pytest.mark.parametrize("entry", [
    "", "a weight=0", "a weight=-1", "a weight=x", "a weigth=2", "a cap=inf", "a weight=1 weight=2",
    "-",
])
def test_entries_with_a_fault_are_refused(entry):
    with pytest.raises(DataError, match="data.sources"):
        parse(entry)


def test_shares_are_the_formula():
    parts = [Part("a", 8000), Part("b", 1000, 2.0)]
    assert shares(parts, 1.0, [True, True]).tolist() == pytest.approx([0.8, 0.2])
    assert shares(parts, 3.0, [True, True]).tolist() == pytest.approx([0.5, 0.5])
    assert shares(parts, 1.0, [True, False]).tolist() == [1.0, 0.0]
    with pytest.raises(DataError, match="as often as its epochs allow"):
        shares(parts, 1.0, [False, False])


def loader(rng, epochs=None, temperature=1.0):
    parts = [Part("a", 600), Part("b", 300, 2.0, epochs), Part("c", 100)]
    return MixedLoader(np.arange(1000), parts, temperature, 32, 8, np.random.default_rng(rng))


@given(st.integers(0, 2**32), st.sampled_from([1.0, 2.0, 5.0]))
def test_no_window_crosses_from_one_part_into_another(seed, temperature):
    ids, targets = next(loader(seed, temperature=temperature))
    edges = [(0, 600), (600, 900), (900, 1000)]
    for first, last in zip(ids[:, 0], targets[:, -1], strict=True):
        assert any(start <= first and last < stop for start, stop in edges)


def test_windows_come_as_often_as_the_shares_say():
    drawn = loader(0)
    starts = np.concatenate([next(drawn).ids[:, 0] for _ in range(400)])
    counts = np.histogram(starts, [0, 600, 900, 1000])[0] / len(starts)
    expected = np.array([600, 600, 100]) / 1300
    # 12,800 draws: four standard deviations of a share
    assert (abs(counts - expected) < 4 * np.sqrt(expected * (1 - expected) / len(starts))).all()
    assert drawn.read.sum() == 400 * 32 * 8


def test_a_part_is_left_out_when_it_was_read():
    drawn = loader(1, epochs=2)
    for _ in range(40):
        next(drawn)
    assert 600 <= drawn.read[1] < 600 + 32 * 8
    later = np.concatenate([next(drawn).ids[:, 0] for _ in range(20)])
    assert not ((later >= 600) & (later < 900)).any()


def test_a_loader_goes_on_where_it_was():
    drawn, again = loader(2, epochs=3), loader(9, epochs=3)
    for _ in range(15):
        next(drawn)
    again.load_state_dict(json.loads(json.dumps(drawn.state_dict())))
    for _ in range(15):
        np.testing.assert_array_equal(next(drawn).ids, next(again).ids)
    with pytest.raises(FormatError):
        again.load_state_dict({**drawn.state_dict(), "read": [1]})


def test_a_part_without_a_window_is_refused():
    with pytest.raises(DataError, match="b has 8 tokens"):
        MixedLoader(np.arange(99), [Part("a", 91), Part("b", 8)], 1.0, 2, 8, None)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A text of one letter, one of another, and a curated corpus of two languages."""
    root = tmp_path_factory.mktemp("mixed")
    (root / "a.txt").write_text("a" * 4000)
    (root / "b.txt").write_text("b" * 2000)
    rng = np.random.default_rng(0)
    for name, syllables in (("xx", "ta ka na mo ri"), ("yy", "gl ost und emm irk")):
        (root / f"languages/{name}").mkdir(parents=True)
        (root / "in").mkdir(exist_ok=True)
        for number in range(60):
            words = ["".join(rng.choice(syllables.split(), 3)) for _ in range(90)]
            text = " ".join(words[:45]) + ".\n" + " ".join(words[45:]) + "."
            where = f"languages/{name}" if number < 40 else "in"
            (root / f"{where}/{name}{number}.txt").write_text(text)
    (root / "rules.toml").write_text(
        "gopher.stop_words.on = false\nc4.sentences.least = 1\ngopher.word_length.most = 99\n"
    )
    curate(root / "in", root / "curated", languages=root / "languages", rules=root / "rules.toml")
    return root


def configured(folder, *sources, **data):
    named = [f"{folder}/{source}" for source in sources]
    values = {"data": {"sources": named, **data}, "training": {}}
    return from_dict(values)


def test_a_curated_corpus_is_a_part_for_each_language(folder):
    corpus = corpus_of(configured(folder, "a.txt cap=500", "curated weight=3"))
    assert corpus.parts == (
        f"{folder}/a.txt", f"{folder}/curated (xx)", f"{folder}/curated (yy)",
    )
    documents = list(corpus)
    assert documents[0].text == "a" * 500
    assert {(one.part, one.language) for one in documents} == {(0, None), (1, "xx"), (2, "yy")}
    assert [one.part for one in documents] == sorted(one.part for one in documents)


def test_the_text_of_a_mixture_has_a_fingerprint_of_its_own(folder):
    prints = {
        corpus_of(configured(folder, *sources)).fingerprint
        for sources in (("a.txt", "b.txt"), ("b.txt", "a.txt"), ("a.txt cap=9", "b.txt"))
    }
    assert len(prints) == 3
    one, other = (corpus_of(configured(folder, f"a.txt weight={w}")) for w in (1, 2))
    assert one.fingerprint == other.fingerprint  # the same text, drawn otherwise


def test_a_run_on_a_mixture_goes_on_to_the_bit(folder, tmp_path):
    config = load_config("S", [
        *SMALL, f"data.sources={folder}/a.txt weight=0.5, {folder}/b.txt epochs=0.2",
        "data.temperature=2", "training.steps=12",
    ])
    Trainer(begin(config, tmp_path / "whole")).run()
    dataset = open_dataset(tmp_path / "whole/tokens")
    assert [tokens for _, tokens in dataset.manifest["parts"]] == [3602, 1802]  # 0.9, and "\n\n"
    assert dataset.manifest["characters"]["validation"] == 600  # each part is split for itself
    session = begin(config, tmp_path / "halves")
    Trainer(session, stops=[lambda: "here" if session.state.step >= 5 else None]).run()
    Trainer(resume(tmp_path / "halves")).run()
    losses = [
        [line["loss"] for line in read(tmp_path / name / "metrics.jsonl") if "loss" in line]
        for name in ("whole", "halves")
    ]
    assert len(losses[0]) == 12 and losses[0] == losses[1]


def test_both_kinds_of_source_are_refused_together(folder):
    with pytest.raises(ConfigError, match="both set"):
        from_dict({"data": {"source": "python", "sources": ["stories"]}})
    with pytest.raises(ConfigError, match="twice"):
        from_dict({"data": {"sources": ["stories", "stories weight=2"]}})
    with pytest.raises(ConfigError, match="data.temperature"):
        from_dict({"data": {"temperature": 0}})


def test_weights_reach_the_loader(folder, tmp_path):
    config = configured(folder, "a.txt", "b.txt weight=4 epochs=2")
    dataset = prepare(corpus_of(config), "char", tmp_path / "tokens")
    made = loader_of(config, dataset, np.random.default_rng(0))
    assert [(part.weight, part.epochs) for part in made.parts] == [(1.0, None), (4.0, 2.0)]
