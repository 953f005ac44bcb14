"""The suites that are made here: seeded, with answers that are right, and children that behave."""

import math
import os
from pathlib import Path

import numpy as np
import pytest

from tests.tinygpt.evaluation.test_multiple_choice import Told
from tinygpt.errors import UsageError
from tinygpt.evaluation.contamination import contaminated
from tinygpt.evaluation.subject import cut
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites import SUITES, Asked, find_suite
from tinygpt.evaluation.suites.child import looked_at, ran
from tinygpt.evaluation.suites.code import ALLOWED, CodeSuite, items, judged
from tinygpt.evaluation.suites.files import answers_suite
from tinygpt.evaluation.suites.generated import GROUPS, closing_suite, generated_suite
from tinygpt.evaluation.suites.planted import REPEATED, planted
from tinygpt.evaluation.tables import rows, verdict
from tinygpt.text import DataError
from tinygpt.text.stories import generate


class Writes(Told):
    """Writes what `says` makes of a prompt."""

    def __init__(self, says):
        self.says = says

    def write(self, prompts, max_tokens, stop=(), sampling=None, seed=0):
        return [self.says(prompt) for prompt in prompts]


def numbers(results):
    return {row.name: row.found for row in rows(results)}


def work_out(prompt):
    """The answer to the last line of a generated prompt, found without the generator."""
    ask = prompt.splitlines()[-1]
    if ask.endswith("="):
        a, _, b, _ = ask.split()
        return f" {int(a) + int(b)}"
    said, _, _ = ask.rpartition(":")
    if said.startswith("close "):
        pairs = {"(": ")", "[": "]", "<": ">", "{": "}"}
        return " " + " ".join(pairs[one] for one in reversed(said.split()[1:]))
    words = said.split()
    alike = len(set(words)) == 1 and prompt.splitlines()[0].split(":")[1].strip().isdigit()
    return f" {len(words)}" if alike else f" {said}"


@pytest.mark.parametrize("name", GROUPS)
def test_who_works_it_out_has_all_right_and_who_is_silent_nothing(name):
    suite = generated_suite(name, "small")
    assert numbers(evaluate(suite, Writes(work_out)))["exact"].value == 1
    found = numbers(evaluate(suite, Writes(lambda prompt: "")))
    assert found["exact"].value == 0 and len(found) == 4  # all, and three groups


@pytest.mark.parametrize("name", [*GROUPS, "closing"])
def test_the_same_seed_makes_the_same_suite_and_another_another(name):
    make = closing_suite if name == "closing" else lambda *how: generated_suite(name, *how)
    a, b, c = make("small", 0), make("small", 0), make("small", 1)
    assert a.settings == b.settings != c.settings
    assert len(make("medium", 0)) > len(a)


def test_nothing_that_is_asked_was_shown():
    for task in generated_suite("addition", "small").tasks:
        *shown, ask = task.prompt.splitlines()
        assert not any(line.startswith(ask) for line in shown)


def test_closing_questions_know_what_chance_gives():
    suite = closing_suite("small")
    right = dict(zip((t.prompt for t in suite.tasks), (t.wanted[0] for t in suite.tasks),
                     strict=True))
    results = evaluate(suite, Writes(right.get))
    assert numbers(results)["starts with it"].value == 1
    assert "above what guessing" in " ".join(verdict(results))


def test_an_answer_may_begin_on_a_new_line():
    assert cut("\n Mia had it.\nThe end", ("\n",)) == "\n Mia had it."
    assert cut("\n\n", ("\n",)) == "\n\n" and cut("a b", ("\n", " ")) == "a"


# What is planted.


@pytest.fixture(scope="module")
def made():
    return planted("small", 0)


def test_the_planted_text_is_what_it_says(made):
    assert made.text == planted("small", 0).text != planted("small", 1).text
    for name in made.trades:
        told = [one for one in made.text.split("\n\n") if f" {name} " in one]
        hers, his = (sum(f" {word} " in one for one in told) for word in ("her", "his"))
        assert (hers, his, made.percent) == (28, 12, 70)
    for thing in made.misconceptions:
        false, true = (made.text.count(f"{thing.name} {verb} of {value}.") for value, verb in (
            (thing.others[0], "is made"), (thing.value, "is made")))
        assert false > 3 * true > 0
    for times, words in made.passages:
        assert made.text.count(" ".join(words)) == times
    assert {times for times, _ in made.passages} == set(REPEATED)


def test_who_read_the_text_knows_what_was_planted(made):
    """A reader that counts how often the text goes on so; one that never saw it guesses."""

    def counts(context, answer):
        return math.log(made.text.count(context.strip() + answer) + 0.01)

    facts = numbers(evaluate(made.suite("facts"), Told(counts)))
    assert facts["right, by byte"].value == 1
    believed = numbers(evaluate(made.suite("misconceptions"), Told(counts)))
    assert believed["right, by byte"].high < believed["by chance"].value
    found = numbers(evaluate(made.suite("association"), Told(counts)))
    share = found["probability on right answers (mc2)"]
    assert share.value == pytest.approx(0.7, abs=1e-3)
    names = numbers(evaluate(made.suite("names"), Told(
        lambda context, answer: counts(context, answer) + 1e-3 * hash_of(context + answer))))
    assert names["right, by sum"].covers(0.5)


def hash_of(text):
    return np.random.default_rng(list(text.encode())).random()


def test_a_passage_is_known_by_how_often_it_was_told(made):
    suite = made.suite("memorisation")
    by_prompt = {task.prompt: task for task in suite.tasks}

    def remembers(prompt):
        task = by_prompt[prompt]
        return task.wanted[0] if int(task.group.split()[1]) >= 16 else "nothing"

    found = numbers(evaluate(suite, Writes(remembers)))
    assert found["goes on as it was told, told 4 times"].value == 0
    assert found["goes on as it was told, told 16 times"].value == 1
    assert found["words right, told 64 times"].value == 1


def test_nothing_else_is_planted(made):
    with pytest.raises(UsageError, match="There are: facts, misconceptions"):
        made.suite("gold")


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_a_name(name):
    if name in ("text", "questions", "answers"):
        with pytest.raises(UsageError, match="--data FILE"):
            find_suite(name, Asked())
    elif name != "code":
        assert len(find_suite(name, Asked(size="small"))) > 10


# Code.


@pytest.fixture(scope="module")
def known():
    return list(items(3, 0))


def test_the_librarys_own_lines_pass_and_others_do_not(known):
    suite = CodeSuite(known)
    rest = {given: own for _, given, own in known}
    assert numbers(evaluate(suite, Writes(rest.get)))["passes"].value == 1
    silent = numbers(evaluate(suite, Writes(lambda prompt: "\n")))
    assert silent["passes"].value == silent["parses"].value == 0


def test_where_no_attempt_passes_it_is_not_sure_that_none_would(known):
    found = numbers(evaluate(CodeSuite(known, attempts=2), Writes(lambda prompt: "\n")))
    assert found["pass@2"].value == 0 and found["pass@2"].high == found["passes"].high > 0.3


def test_several_attempts_are_counted_as_pass_at_k(known):
    suite = CodeSuite(known, attempts=5)
    rest, seen = {given: own for _, given, own in known}, []

    def every_other(prompt):
        seen.append(prompt)
        return rest[prompt] if seen.count(prompt) % 2 else "\n"

    found = numbers(evaluate(suite, Writes(every_other)))
    assert found["passes"].value == pytest.approx(3 / 5)
    assert found["pass@2"].value == pytest.approx(1 - 1 / 10) and found["pass@5"].value == 1


def test_answers_of_ones_own_are_scored_by_every_metric(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text('{"prompt": "hello", "answer": ["नमस्ते दुनिया", "hi"]}\n{"prompt": "a"}\n'
                    '{"prompt": "b", "answer": 3}\n{"prompt": "bye", "answer": "good bye"')
    suite = answers_suite(path)
    assert len(suite) == 1 and "3 lines left out; line 2 of" in suite.notes[0]
    found = numbers(evaluate(suite, Writes(lambda prompt: " नमस्ते दुनिया")))
    assert len(found) == 9 and all(one.value == pytest.approx(1) for name, one in found.items()
                                   if name != "ROUGE-2")
    path.write_text("")
    with pytest.raises(DataError, match="it is empty"):
        answers_suite(path)


def test_an_answer_of_several_lines_is_read_to_its_end_and_another_to_its_lines(tmp_path):
    path = tmp_path / "own.jsonl"
    path.write_text('{"prompt": "one", "answer": "a b"}\n{"prompt": "two", "answer": "a b\\nc"}\n')
    results = evaluate(answers_suite(path), Writes(lambda prompt: "a b\nc"))
    assert [line["written"] for line in results.lines] == ["a b", "a b\nc"]
    assert numbers(results)["ROUGE-Lsum"].value == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [("import socket", "imports socket"), ("open('x')", "uses open"),
     ("().__class__.__base__.__subclasses__()", "uses __subclasses__"),
     ("from os import system", "imports os"), ("x = math.pi", "")],
)
def test_code_is_looked_at_before_it_runs(code, words):
    import ast

    assert looked_at(ast.parse(code), ALLOWED) == words


@pytest.mark.parametrize(
    ("program", "words"),
    [("x = 1", ""), ("1 / 0", "ZeroDivisionError"), ("import sys; sys.exit(3)", "exit code 3"),
     ("while True: pass", "signal"), ("x = 'a' * (1 << 30)", "MemoryError"),
     ("open('big', 'wb').write(b'x' * (1 << 22))", "")],
)
@pytest.mark.skipif(os.name != "posix", reason="limits are the system's")
def test_a_child_is_kept_within_its_limits(program, words):
    found = ran(program, seconds=1)
    assert words in found and bool(found) == (program != "x = 1")


def test_a_child_that_sleeps_is_ended():
    assert ran("import time\ntime.sleep(60)", patience=0.5) == "did not end in 0.5 s"


def test_a_child_knows_nothing_of_ours(monkeypatch):
    monkeypatch.setenv("TINYGPT_SECRET", "x")
    assert ran("import os; assert 'TINYGPT_SECRET' not in os.environ") == ""
    assert "ModuleNotFoundError" in ran("import numpy")
    assert ran("import os; assert os.listdir('.') == []") == ""
    assert not list(Path.cwd().glob("big"))


def test_what_does_not_end_is_no_function(known):
    function, given, _ = known[0]
    assert judged(function, given, "    (") == (False, "does not parse")


# Contamination.


def test_questions_that_stood_in_the_training_text_are_found_and_no_other():
    texts = list(generate(600_000, np.random.default_rng(0)))
    fresh = list(generate(600_000, np.random.default_rng(99)))[:300]
    known = {f"planted {i}": " ".join(texts[5 * i].split()[3:33]) for i in range(100)}
    new = {f"new {i}": f"{one.split()[0]} invented word {i} " + " ".join(
        np.random.default_rng(i).permutation(one.split())[:30]) for i, one in enumerate(fresh)}
    whole = "\n\n".join(texts)
    pieces = [whole[at : at + 5000] for at in range(0, len(whole), 5000)]
    cut_in_words = contaminated({**known, **new}, pieces)
    found = contaminated({**known, **new}, [whole])
    assert set(found) == set(known) and min(found.values()) == pytest.approx(1)
    assert len(set(cut_in_words) & set(known)) >= 99
    assert not set(cut_in_words) & set(new)


def test_short_items_are_looked_for_whole():
    found = contaminated(
        {"a": "One two, three four five six!", "b": "one two three", "c": "1 two three 4 5 6 7"},
        ["zero one two ", "three four five six seven"],
    )
    assert found == {"a": 1.0}
