"""Pages become sentences, sentences questions; a model that learned some is judged and told of."""

import pytest
from click.testing import CliRunner

from bench import handbook
from bench.__main__ import main
from bench.handbook_text import conversations, questions, sentences

PAGE = """<html><h2 class="title"><a id="x"></a>7.1. What is a
<em>package</em>?</h2><p>Short one. A package that is kept in the <code class="l">/var/cache</code>
folder, e.g. by a program, can be installed.</p><p>it goes on low, and so is no whole sentence of
the page.</p><pre>no paragraph at all, whatever it has of words and points in it.</pre></html>
"""
WHOLE = "A package that is kept in the /var/cache folder, e.g. by a program, can be installed."


def test_whole_sentences_are_found_under_their_headings():
    said = sentences(PAGE)
    assert [one.heading for one in said] == ["What is a package?"]
    assert said[0].text == WHOLE and said[0].terms == ("/var/cache",)


def test_a_sentence_gives_a_question_by_each_rule():
    missing, goes_on, heading = (
        [m.content for m in one.messages] for one in questions(sentences(PAGE)[0])
    )
    assert "____ folder" in missing[0] and missing[1] == "/var/cache"
    assert f"{goes_on[0].split('here: ')[1][1:-6]} {goes_on[1]}" == WHOLE
    assert heading[1] == "What is a package?" and "A package that is kept" in heading[0]


def test_as_many_as_asked_and_the_same_for_a_seed():
    two = conversations([PAGE], 2, seed=1)
    assert two == conversations([PAGE], 2, seed=1) and len(set(two)) == 2
    with pytest.raises(ValueError, match="9 questions of pages that give 3"):
        conversations([PAGE], 9, seed=1)


def test_what_was_measured_is_said():
    judged = {"held_out": 4.0, "other": 2.0, "answers": [["Q?", "no", "yes"]]}
    text = handbook.said({
        "method": "lora", "trained": 1000, "steps": 3, "seconds": 9.0, "cpu": 8.0, "peak_mb": 70.0,
        "before": judged, "after": {**judged, "held_out": 3.0, "other": 2.5},
    })
    assert "25.0% less" in text and "(+0.500)" in text and "truth:  'yes'" in text


def test_without_a_model_it_says_which(monkeypatch, tmp_path):
    monkeypatch.delenv("TINYGPT_SMOLLM2", raising=False)
    done = CliRunner().invoke(main, ["handbook", str(tmp_path)])
    assert done.exit_code == 1 and "TINYGPT_SMOLLM2 names no file" in done.output
