"""classifier.py, language.py, quality.py, decontaminate.py: learned from folders, unsure aloud."""

import numpy as np
import pytest

from tests.tinygpt.curation.folders import prose
from tinygpt.curation import Account, classifier, curate, decontaminate, quality
from tinygpt.curation.language import examples_of
from tinygpt.errors import UserError

LETTERS = {  # made-up languages: syllables of their own
    "aa": "ta ka na ma sa ra ti ki ni mi".split(), "bb": "ø pr gl ond ust ech om ir ä st".split(),
    "cc": "да не ко во ри ла ст пре ют ых".split(),
}
STRANGE = "zh qu xo wyk jj ffe ulb".split()


def speech(syllables, seed, words=60):
    rng = np.random.default_rng(seed)
    said = ["".join(rng.choice(syllables, rng.integers(2, 5))) for _ in range(words)]
    rows = [" ".join(said[i : i + 12]).capitalize() + "." for i in range(0, words, 12)]
    return " ".join(rows)


@pytest.fixture(scope="module")
def taught():
    return classifier.train({
        name: [speech(own, seed) for seed in range(60)] for name, own in LETTERS.items()
    })


def test_each_language_is_known_and_another_is_refused(taught):
    for name, own in LETTERS.items():
        said = [taught(speech(own, seed)) for seed in range(1000, 1030)]
        assert np.mean([language == name for language, _ in said]) >= 0.9
    refused = [taught(speech(STRANGE, seed))[0] for seed in range(30)]
    assert np.mean([language is None for language in refused]) >= 0.9
    assert taught("") == (None, 0.0) and taught("12 34")[0] is None


def test_a_long_text_is_judged_by_all_its_parts(taught):
    licence = speech(LETTERS["bb"], 5, words=400)
    text = licence + " ".join(speech(LETTERS["aa"], seed, 400) for seed in range(9))
    assert len(licence) > classifier.LOOKED_AT
    assert taught(text)[0] == "aa"


def test_a_saved_one_says_the_same(taught, tmp_path):
    taught.save(tmp_path / "m")
    again = classifier.load(tmp_path / "m")
    text = speech(LETTERS["bb"], 5)
    assert again(text)[0] == taught(text)[0]
    assert again(text)[1] == pytest.approx(taught(text)[1], abs=2e-3)
    (tmp_path / "bad").write_bytes((tmp_path / "m").read_bytes()[:99])
    with pytest.raises(UserError, match="no classifier of ours"):
        classifier.load(tmp_path / "bad")


def test_one_class_is_refused():
    with pytest.raises(UserError, match="two classes"):
        classifier.train({"one": ["a text"]})


def area(good, bad):
    """The probability that a good one scores above a bad one (AUC)."""
    return float(np.mean([[g > b for b in bad] for g in good]))


def test_quality_tells_kinds_of_damage_that_it_was_not_taught(tmp_path, monkeypatch):
    (tmp_path / "accept").mkdir()
    for seed in range(40):
        (tmp_path / f"accept/{seed}.txt").write_text(prose(seed))
    for unseen in ("misspelt", "torn"):
        with monkeypatch.context() as patch:
            patch.delitem(quality.CORRUPTIONS, unseen)
            model = quality.train(tmp_path)
        damage, rng = getattr(quality, unseen), np.random.default_rng(0)
        texts = [prose(seed, 4) for seed in range(500, 540)]
        place = model.classes.index("accept")
        scores = [
            model.probabilities([classifier.prepared(t) for t in some])[:, place]
            for some in (texts, [damage(t, rng) for t in texts])
        ]
        assert area(*scores) >= 0.95


def test_a_corpus_by_language_quality_and_items(tmp_path):
    for name, own in LETTERS.items():
        (tmp_path / f"languages/{name}").mkdir(parents=True)
        for seed in range(40):
            path = tmp_path / f"languages/{name}/{seed}.txt"
            path.write_text(speech(own, seed), encoding="utf-8")
    (tmp_path / "in").mkdir()
    for name, own in {**LETTERS, "strange": STRANGE}.items():
        for seed in range(200, 206):
            text = speech(own, seed, 96)
            (tmp_path / f"in/{name} {seed}.txt").write_text(text, encoding="utf-8")
    item = " ".join((tmp_path / "in/aa 203.txt").read_text().split()[20:36]).upper()
    (tmp_path / "items.jsonl").write_text(f'{{"question": "{item}", "choices": ["a"]}}\n')
    (tmp_path / "rules.toml").write_text(
        '[language]\nonly = ["aa", "bb"]\n[gopher.stop_words]\non = false\n'
    )
    curate(
        tmp_path / "in", tmp_path / "out", rules=tmp_path / "rules.toml",
        languages=tmp_path / "languages", against=tmp_path / "items.jsonl",
    )
    account = Account(tmp_path / "out")
    rows = account.rows("SELECT name, fate, language FROM documents")
    account.close()
    fates = {row["name"]: row["fate"] for row in rows}
    assert fates["aa 203.txt"] == "decontamination"
    assert list(fates.values()).count("kept") >= 9
    assert all(fates[f"{name} {s}.txt"] == "language.only" for name in ("cc", "strange")
               for s in range(200, 206))


def test_items_are_found_and_nothing_else():
    items = decontaminate.Items([prose(seed) for seed in range(20)], 13)
    held = [f"{prose(100 + s)} {prose(s)[:200].upper()} {prose(200 + s)}" for s in range(20)]
    assert all(map(items.touch, held))
    assert not any(items.touch(prose(300 + seed)) for seed in range(60))
    short = decontaminate.Items(["Where was the spoon now?"], 13)
    assert short.touch("and asked: where was the spoon, now!") and not short.touch("where was it")


def test_a_language_of_links_alone_is_named_with_what_is_not_read(tmp_path):
    for name in ("en", "fr"):
        (tmp_path / "languages" / name).mkdir(parents=True)
    (tmp_path / "languages" / "en" / "a.txt").write_text("It was a good day. " * 20)
    (tmp_path / "texts").mkdir()
    (tmp_path / "languages" / "fr" / "docs").symlink_to(tmp_path / "texts")
    with pytest.raises(UserError, match=r"without texts: fr \(docs: a link to a folder\)"):
        examples_of(tmp_path / "languages")
