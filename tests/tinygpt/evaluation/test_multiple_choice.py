"""Choices: every format, oracles, constants and guessers, the join, and what is refused."""

import csv
import json

import numpy as np
import pytest

from tests.tinygpt.evaluation.conftest import model_of
from tinygpt.errors import UsageError, UserError
from tinygpt.evaluation.intervals import chance
from tinygpt.evaluation.multiple_choice import ChoiceSuite, Way, calibration
from tinygpt.evaluation.questions import Question, read_questions
from tinygpt.evaluation.subject import Local, Scored, Subject, TooLong
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites.files import questions_suite
from tinygpt.evaluation.tables import paired, rows, verdict
from tinygpt.evaluation.templates import TEMPLATES
from tinygpt.inference.scoring import log_probabilities
from tinygpt.text import DataError

RNG = np.random.default_rng(3)
WORDS = "the cat sat on mat a dog ran and went home again to see what was there".split()


def words(count):
    return " ".join(RNG.choice(WORDS, count))


def choices(count):
    found = {}
    while len(found) < count:
        found[words(RNG.integers(2, 6))] = None
    return list(found)


def arc(i):
    four = choices(4)
    return {"id": f"arc {i}", "question": f"{words(5)} {i}?",
            "choices": {"text": four, "label": list("ABCD")}, "answerKey": "ABCD"[i % 4]}


def hellaswag(i):
    return {"ind": i, "activity_label": "Cats", "ctx_a": f"[header] {words(5)}", "ctx_b": words(3),
            "ctx": "", "endings": choices(4), "label": str(i % 4), "source_id": f"video {i // 2}"}


def mmlu(i):
    return {"question": words(6), "subject": "high_school_cats", "choices": choices(4),
            "answer": i % 4}


def truthful(i):
    five = choices(5)
    return {"question": words(5), "mc1_targets": {"choices": five, "labels": [1, 0, 0, 0, 0]},
            "mc2_targets": {"choices": five, "labels": [1, 1, 0, 0, 0]}}


def winogrande(i):
    a, b = choices(2)
    return {"qID": f"w{i}", "sentence": f"{words(3)} _ {words(4)}.", "option1": a, "option2": b,
            "answer": str(1 + i % 2)}


def own(i):
    return {"question": words(4), "choices": choices(3), "answer": i % 3, "cluster": f"c{i // 3}"}


MAKERS = {"ARC": arc, "HellaSwag": hellaswag, "MMLU": mmlu, "TruthfulQA": truthful,
          "Winogrande": winogrande, "own": own}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A file of 60 questions in each format."""
    folder = tmp_path_factory.mktemp("questions")
    for name, make in MAKERS.items():
        text = "".join(json.dumps(make(i)) + "\n" for i in range(60))
        (folder / f"{name}.jsonl").write_text(text)
    return folder


class Told(Subject):
    """Likes what `likes` says: text of context and answer -> nats."""

    name = "told"

    def __init__(self, likes):
        self.likes = likes

    def surprise(self, texts):
        raise NotImplementedError

    def scores(self, context, answers):
        return [Scored(self.likes(context, one), max(1, len(one.split())), False)
                for one in answers]

    def write(self, prompts, max_tokens, stop=(), sampling=None, seed=0):
        raise NotImplementedError


def numbers(results):
    return {row.name: row.found for row in rows(results)}


@pytest.mark.parametrize("name", MAKERS)
def test_every_format_is_known_by_its_fields(files, name):
    read = read_questions(files / f"{name}.jsonl")
    assert read.form == name
    assert len(read.questions) == 60 * (2 if name == "TruthfulQA" else 1)
    assert all(len(one.right) == 1 or one.mass for one in read.questions)


@pytest.mark.parametrize("name", MAKERS)
def test_an_oracle_has_all_right_and_a_random_model_what_chance_gives(files, plain, name):
    suite = questions_suite(files / f"{name}.jsonl")
    good = set()
    for one in suite.questions:
        for i in one.right:
            letters = suite.way.template.letters
            text = one.choices[i] if not letters else "ABCD"[i]
            ask = one.fields["question"]
            good.add((ask.partition("_")[0] + one.choices[i] if one.gap else ask, text))
    oracle = Told(lambda context, answer: (
        0.0 if any(ask in context and (context.endswith(text) or answer.strip() == text)
                   for ask, text in good if ask in context) else -40.0
    ) if context else -20.0 - len(answer) / 7)
    if name != "TruthfulQA":  # its two kinds of right answers are one oracle's below
        assert numbers(evaluate(suite, oracle))["right, by byte"].value == 1.0
    results = evaluate(suite, plain)
    found = numbers(results)
    by_chance, result = found["by chance"], found[f"right, by {suite.way.score}"]
    assert by_chance.covers(result.value)
    if name == "TruthfulQA":
        assert 0.3 < found["probability on right answers (mc2)"].value < 0.5


def test_the_order_of_choices_changes_nothing(files, plain, tmp_path):
    turned = tmp_path / "turned.jsonl"
    lines = [json.loads(line) for line in (files / "own.jsonl").read_text().splitlines()]
    for one in lines:
        one["choices"], one["answer"] = one["choices"][::-1], 2 - one["answer"]
    turned.write_text("".join(json.dumps(one) + "\n" for one in lines))
    a = evaluate(questions_suite(files / "own.jsonl"), plain)
    b = evaluate(questions_suite(turned), plain)
    for one, other in zip(a.lines, b.lines, strict=True):
        assert one["choices"] == other["choices"][::-1]
    assert numbers(a) == numbers(b)


@pytest.mark.parametrize(
    ("constant", "score"),
    [(lambda context, answer: 0.0, "byte"), (lambda context, answer: -3.0, "sum"),
     (lambda context, answer: -2.0 * max(1, len(answer.split())), "token"),
     (lambda context, answer: -float(len(answer)) - sum(map(ord, answer)) / 999, "pmi")],
)
def test_a_model_that_says_the_same_whatever_is_asked_is_refused(files, constant, score):
    results = evaluate(questions_suite(files / "ARC.jsonl"), Told(constant))
    with pytest.raises(UserError, match=f"told has no accuracy here: .* tie by {score}"):
        rows(results)


def test_a_model_of_zeros_is_refused(files, plain):
    model = model_of(plain.tokenizer, context=48, louder=0.0)
    results = evaluate(questions_suite(files / "ARC.jsonl"), Local(model, plain.tokenizer))
    with pytest.raises(UserError, match="has no accuracy here"):
        rows(results)


def test_scores_are_those_of_one_pass_over_the_whole(plain):
    context, answers = "the cat sat on", [" the mat", " a dog ran home", " x"]
    for answer, found in zip(answers, plain.scores(context, answers), strict=True):
        head = len(plain.tokenizer.encode(context))
        ids = np.array([*plain.opening, *plain.tokenizer.encode(context + answer)])
        log_p = log_probabilities(plain.model, ids[None, :-1])
        nats = log_p[np.arange(len(ids) - 1), ids[1:]][head:]
        assert found.nats == pytest.approx(float(nats.sum()), abs=1e-4)
        assert found.tokens == len(nats)
        likeliest = log_p[head:].argmax(axis=-1)
        assert found.greedy == bool((likeliest == ids[1 + head :]).all())


def test_a_token_across_the_join_belongs_to_all_answers():
    """ "ab" is one token: after "a", the answer "b" alone has no token of its own."""
    from tinygpt.tokenizer import train_bpe

    tokenizer = train_bpe("ab " * 300 + "ac", 256 + 6 + 2)
    subject = Local(model_of(tokenizer), tokenizer)
    assert tokenizer.encode("xab")[-1:] == tokenizer.encode("ab")
    joined, apart = subject.scores("xa", ["b", "c"])
    assert joined.tokens == 1 and apart.tokens == 2  # "ab"; "a", "c"
    ids = [*subject.opening, *tokenizer.encode("x")]
    log_p = log_probabilities(subject.model, np.array([ids]))[-1]
    assert joined.nats == pytest.approx(log_p[tokenizer.encode("ab")[0]], abs=1e-5)


def test_spaces_at_the_end_of_a_context_go_to_its_answers(plain):
    from tinygpt.evaluation.multiple_choice import score

    (a,) = score(plain, "", [("the cat ", "sat")])
    (b,) = plain.scores("the cat", [" sat"])
    assert a == b


def test_what_was_read_before_changes_no_score(plain):
    fresh = Local(plain.model, plain.tokenizer)
    first = plain.scores("the cat sat", [" on", " the mat"])
    plain.scores("the cat ran home and the dog", [" on"])
    again = plain.scores("the cat sat", [" on", " the mat"])
    alone = fresh.scores("the cat sat", [" on", " the mat"])
    for one, two, three in zip(first, again, alone, strict=True):
        assert one.nats == pytest.approx(two.nats, abs=1e-5)
        assert one.nats == pytest.approx(three.nats, abs=1e-5)


def test_a_context_that_is_too_long_loses_its_beginning_and_an_answer_is_left_out(plain, tmp_path):
    long = " ".join(WORDS * 10)
    with pytest.raises(TooLong, match="the model's context 48"):
        plain.scores("a", [" " + long])
    (found,) = plain.scores(long, [" mat"])
    assert found.cut > 0
    path = tmp_path / "long.jsonl"
    rows_ = [{"question": long, "choices": ["mat", "dog"], "answer": 0},
             {"question": "a", "choices": ["mat", long], "answer": 0}]
    path.write_text("\n".join(map(json.dumps, rows_)) + "\n")
    results = evaluate(questions_suite(path), plain)
    assert "cut" in results.lines[0] and "left_out" in results.lines[1]
    said = " ".join(verdict(results))
    assert "lost their beginning" in said and "1 of 2 left out" in said


@pytest.mark.parametrize(
    ("record", "words"),
    [({"question": "a", "choices": ["b"], "answer": 0}, "has 1 choice, and two are the least"),
     ({"question": "a", "choices": ["b", "c"], "answer": [0, 1]}, "has 2 right answers"),
     ({"question": "a", "choices": ["b", "c"], "answer": []}, "has no right answer"),
     ({"question": "a", "choices": ["b", "b"], "answer": 0}, "has the choice 'b' twice"),
     ({"question": "a", "choices": ["b", ""], "answer": 0}, "has an empty choice"),
     ({"question": "a", "choices": ["b", "c"], "answer": 5}, "names the answer 6 of 2 choices"),
     ({"question": "a", "choices": ["b", "c"], "answer": "x"}, "which is no choice"),
     ({"question": "a", "choices": ["b", 3], "answer": 0}, "has an empty choice"),
     ({"text": "a"}, 'has no "question"'),
     ({"sentence": "no gap", "option1": "a", "option2": "b", "answer": "1"}, "has not one _"),
     ({"sentence": "a _", "option1": "a", "option2": "b", "answer": "3"}, "has no right answer"),
     ({"question": "a", "choices": 7, "answerKey": "A"}, "is no ARC question")],
)
def test_a_wrong_record_is_left_out_with_its_line(record, words, tmp_path, plain):
    path = tmp_path / "some.jsonl"
    good = json.dumps({"question": "the cat", "choices": ["sat", "ran"], "answer": 1})
    path.write_text(f"{good}\n{json.dumps(record)}\n{good}\n")
    results = evaluate(questions_suite(path), plain)
    assert len(results.counted) == 2
    assert "line 2 of " in results.lines[1]["left_out"]
    assert words in results.lines[1]["left_out"]


def test_a_file_that_ends_in_mid_line_is_asked_up_to_there(tmp_path):
    path = tmp_path / "cut.jsonl"
    good = json.dumps({"question": "the cat", "choices": ["sat", "ran"], "answer": 1})
    path.write_text(f"{good}\n{good[:30]}")
    *_, last = read_questions(path).questions
    assert "line 2 of " in last.why and "ends in mid-line" in last.why


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [("empty.jsonl", "", "it is empty"), ("what.txt", "x", "no file of questions"),
     ("bad.jsonl", '{"question": "a", "choices": ["b"], "answer": 0}', "line 1 .* 1 choice"),
     ("bad.json", "[{]", "is not JSON")],
)
def test_a_file_without_a_question_says_so(name, content, words, tmp_path):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=words):
        read_questions(tmp_path / name)


def test_a_template_with_an_empty_field_is_named(tmp_path, plain):
    path, template = tmp_path / "some.jsonl", tmp_path / "template.json"
    path.write_text(json.dumps({"question": "a", "choices": ["b", "c"], "answer": 0}) + "\n")
    template.write_text('{"ask": "{hint} {question}"}')
    results = evaluate(questions_suite(path, str(template)), plain)
    assert "field {hint} is missing (there are: question)" in results.lines[0]["left_out"]
    with pytest.raises(UsageError, match="there is no template 'nice'"):
        questions_suite(path, "nice")
    template.write_text('{"aks": "{question}"}')
    with pytest.raises(UserError, match="has no ask"):
        questions_suite(path, str(template))


def test_tables_are_read_with_and_without_a_head_line(tmp_path):
    path = tmp_path / "mmlu.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([["2 + 2?", "3", "4", "5", "6", "B"], ["short", "1"]])
    read = read_questions(path)
    assert read.form == "MMLU" and read.questions[0].right == (1,)
    assert "has 2 cells, not 6" in read.questions[1].why
    pairs = tmp_path / "crows.csv"
    with open(pairs, "w", newline="") as file:
        csv.writer(file).writerows([
            ["", "sent_more", "sent_less", "stereo_antistereo", "bias_type"],
            ["0", "the cat ran", "the dog ran", "stereo", "animals"],
        ])
    assert read_questions(pairs).form == "CrowS-Pairs"


def test_winobias_is_two_files_of_one_set(tmp_path):
    pro, anti = (tmp_path / f"{one}_stereotyped_type1.txt.dev" for one in ("pro", "anti"))
    pro.write_text("1 [The smith] met the nurse because [he] was late.\n2 The same.\n")
    anti.write_text("1 [The smith] met the nurse because [she] was late.\n2 The same.\n")
    read = read_questions(pro)
    assert read.questions[0].choices == ("The smith met the nurse because he was late.",
                                         "The smith met the nurse because she was late.")
    assert "line 2 of " in read.questions[1].why
    anti.write_text("1 one\n")
    with pytest.raises(DataError, match="not of one set"):
        read_questions(pro)


def test_questions_that_were_learned_are_counted(files):
    first = json.loads((files / "own.jsonl").read_text().splitlines()[0])
    known = f"{first['question']} {first['choices'][first['answer']]}"
    suite = questions_suite(files / "own.jsonl", learned=["and then " + known + " again"])
    assert len(known.split()) >= 6
    assert "1 of 60 questions stand in the training text" in " ".join(suite.notes)
    assert questions_suite(files / "own.jsonl", learned=["nothing of that"]).notes == []


def test_shots_are_drawn_once_and_not_asked(files, plain):
    suite = questions_suite(files / "own.jsonl", "short", shots=2, seed=5)
    same = questions_suite(files / "own.jsonl", "short", shots=2, seed=5)
    other = questions_suite(files / "own.jsonl", "short", shots=2, seed=6)
    assert suite.questions == same.questions != other.questions
    assert len(suite) in range(54, 58)  # with the others of their clusters
    with pytest.raises(UserError, match="leave none to ask"):
        questions_suite(files / "own.jsonl", shots=100)


def test_two_models_are_compared_item_by_item(files, plain):
    suite = questions_suite(files / "own.jsonl")
    other = Local(model_of(plain.tokenizer, context=48, seed=9), plain.tokenizer)
    a, b = evaluate(suite, plain), evaluate(suite, other)
    pair = paired(a, b)[0]
    assert pair.change.interval.value == pytest.approx(pair.b.value - pair.a.value)
    assert pair.change.interval.clusters == 20
    assert not paired(a, a)[0].change.seen


def test_where_probability_is_shared_it_is_what_is_compared(plain):
    asked = [Question(str(i), {"question": f"{i}?"}, ("a", "b"), (0,), str(i), mass=True)
             for i in range(9)]
    suite = ChoiceSuite("shared", asked, Way(TEMPLATES["short"]), "1")
    a = evaluate(suite, plain)
    b = evaluate(suite, Local(model_of(plain.tokenizer, context=48, seed=9), plain.tokenizer))
    (pair,) = paired(a, b)
    assert "mc2" in pair.name and pair.a.value == pytest.approx(rows(a)[0].found.value)
    assert pair.change.interval.value == pytest.approx(pair.b.value - pair.a.value)


def test_a_model_as_sure_as_it_is_right_lies_on_the_diagonal():
    rng = np.random.default_rng(0)
    lines = []
    for i in range(4000):
        p = rng.uniform(0.5, 1.0)
        answers = [{"answer": t, "nats": float(np.log(q)), "tokens": 1, "bytes": 1, "alone": -1.0}
                   for t, q in (("a", p), ("b", 1 - p))]
        lines.append({"item": str(i), "right": [int(rng.random() > p)], "choices": answers})
    found = calibration(lines)
    assert [count for _, _, count in found] == [400] * 10
    for sure, good, count in found:
        assert abs(sure - good) < 3 / np.sqrt(count)
    assert len(calibration(lines[:16])) == 1  # too few for a curve


def test_chance_is_what_guessers_reach():
    rng = np.random.default_rng(0)
    low, high = chance([1 / 4] * 50 + [1 / 2] * 50)
    guessed = (rng.random((2000, 50)) < 0.25).sum(1) + (rng.random((2000, 50)) < 0.5).sum(1)
    assert 0.93 < np.mean((guessed >= 100 * low) & (guessed <= 100 * high)) < 0.98
