"""rules/: each measures one thing, checked by counting it another way."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tinygpt.curation.folders import prose
from tinygpt.curation.rules import RULES, c4, fineweb, gopher, repetition, settings
from tinygpt.curation.rules.view import View
from tinygpt.errors import UsageError

OURS = settings.load()


def test_every_rule_has_limits_and_a_sentence():
    assert set(OURS.limits) == set(RULES) - {"c4.braces"}
    assert all(rule.__doc__ for rule in RULES.values())


@pytest.mark.parametrize("seed", range(5))
def test_prose_passes_all(seed):
    view = View(prose(seed), frozenset({"the", "of"}))
    assert OURS.first_failed(settings.measure(view, OURS.limits)) is None


@pytest.mark.parametrize("text, rule", [
    ("word " * 49, "gopher.words"),
    ("a b " * 60, "gopher.word_length"),
    (f"{prose(1)} {'# ' * 20}", "gopher.hashes"),
    (prose(1).replace(".", "... ..."), "gopher.ellipses"),
    ("\n".join(f"- {line}" for line in prose(1).replace("\n", " ").split(". ")), "gopher.bullets"),
    (prose(1).replace(" ", " 12345 "), "gopher.letters"),
    (" ".join(f"unheard{i} wordless{i}." for i in range(60)), "gopher.stop_words"),
    ("\n".join([prose(1).replace("\n\n", " ")] * 3), "repetition.lines"),
    (prose(1) + " {".join("....."), "c4.braces"),
    (prose(1) + " Lorem ipsum.", "c4.lorem_ipsum"),
    (prose(1).replace(". ", " ").replace(".", ""), "c4.sentences"),
    (prose(1).replace(" ", "\n"), "fineweb.short_lines"),
])
def test_a_text_outside_the_limits_of(text, rule):
    view = View(text, frozenset({"the", "of"}))
    least, most = OURS.limits.get(rule, settings.Limits(0, 0))
    assert not least <= RULES[rule](view) <= most


LINES = ["- a", "* ", " – b.", "c...", "d …", "”", "-", "e!", "f", "", "..."]


@given(st.lists(st.sampled_from(LINES)))
def test_rules_of_lines_as_counted_line_by_line(lines):
    view = View("\n".join(lines))
    full = [line.strip() for line in lines if line.strip()]
    for rule, holds in (
        (gopher.bullets, lambda line: line.startswith(gopher.BULLETS)),
        (gopher.ellipsis_lines, lambda line: line.endswith(("...", "…"))),
        (fineweb.line_ends, lambda line: line.endswith(c4.ENDS)),
        (fineweb.short_lines, lambda line: len(line) <= fineweb.SHORT),
    ):
        assert rule(view) == sum(map(holds, full)) / max(1, len(full))


def naive_grams(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


@given(st.lists(st.sampled_from("ab bcd c dd e f".split()), max_size=40))
def test_repeated_n_grams_as_counted_word_by_word(words):
    view = View(" ".join(words))
    total = sum(map(len, words))
    for n in repetition.DUPLICATED:
        counts = Counter(naive_grams(words, n))
        inside = {
            i + k for i, gram in enumerate(naive_grams(words, n)) if counts[gram] > 1
            for k in range(n)
        }
        expected = sum(len(words[i]) for i in inside) / total if total else 0
        assert repetition.duplicated(n)(view) == pytest.approx(expected)
    for n in repetition.TOP:
        counts = Counter(naive_grams(words, n))
        most = max(counts.values(), default=0)
        longest = max(
            (sum(map(len, gram)) for gram, count in counts.items() if count == most), default=0
        )
        expected = min(1, most * longest / total) if most > 1 else 0
        assert repetition.top(n)(view) == pytest.approx(expected)


def test_a_script_without_spaces_is_not_judged_by_its_words():
    view = View("春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。" * 4, frozenset("的"))
    assert gopher.words(view) == 80
    assert math.isnan(gopher.word_length(view)) and math.isnan(gopher.stop_words(view))


def test_lines_go_as_c4_says():
    rules = c4.LineRules(terminal=True, words=3, phrases=("javascript",))
    lines = ["A good line here.", "No end", "Too short.", "Enable Javascript now.", "Not so..."]
    text = "\n".join([*lines, "A [3] b c d."])
    assert c4.keep_lines(text, rules) == ("A good line here.\nA  b c d.", 4)
    assert c4.keep_lines("x" * 1001 + " y\nfine", c4.LineRules()) == ("fine", 1)


@pytest.mark.parametrize("toml, wrong", [
    ("[gopher.word]\nleast = 3", "gopher.word, which is not known"),
    ("[gopher.words]\nleast = 'many'", "no int"),
    ("[gopher.words]\nleast = nan", "no int"),
    ("[near]\nremove = true", "no float"),
    ("[near", "is not valid TOML"),
    ("a = " + "[" * 9999, "is not valid TOML"),
    ("a = " + "9" * 9999, "is not valid TOML"),
])
def test_a_file_of_rules_with_a_fault_is_refused(tmp_path, toml, wrong):
    path = tmp_path / "rules.toml"
    path.write_text(toml)
    with pytest.raises(UsageError, match=wrong):
        settings.load(path)


def test_a_file_of_rules_is_laid_over_ours(tmp_path):
    path = tmp_path / "rules.toml"
    path.write_text("[gopher.words]\nleast = 3\n[c4.sentences]\non = false\n[c4.braces]\non = true")
    made = settings.load(path)
    assert made.limits["gopher.words"] == (3, 100_000)
    assert "c4.sentences" not in made.limits and "c4.braces" in made.limits
