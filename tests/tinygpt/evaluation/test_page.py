"""The page, the card, the curve while training: made of files of results alone."""

import json

import numpy as np
import pytest

from tests.tinygpt.evaluation.conftest import SPLIT
from tests.tinygpt.evaluation.test_multiple_choice import Told
from tests.tinygpt.evaluation.test_suites import Writes, hash_of, work_out
from tinygpt.errors import UserError
from tinygpt.evaluation.card import card, write_card
from tinygpt.evaluation.language_modelling import Passage
from tinygpt.evaluation.multiple_choice import ChoiceSuite, Way
from tinygpt.evaluation.page import memorised, render, write_page
from tinygpt.evaluation.questions import Question
from tinygpt.evaluation.results import Results, read
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites.generated import generated_suite
from tinygpt.evaluation.suites.text import TextSuite
from tinygpt.evaluation.tables import beside
from tinygpt.evaluation.templates import TEMPLATES
from tinygpt.evaluation.watch import SuiteCurve
from tinygpt.machine.energy import Meter
from tinygpt.runs.run import Run
from tinygpt.screens.report import SUITE_CURVE, write_report
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import load_model


def asked(liked=lambda context, answer: -20 * hash_of(context + answer)):
    questions = [
        Question(str(i), {"question": f"<b>{i}</b> & {i}?"}, (f"<i>{i}</i>", f"{i} {i}"), (i % 2,),
                 str(i)) for i in range(40)
    ]
    return evaluate(ChoiceSuite("odd", questions, Way(TEMPLATES["short"]), "1"), Told(liked))


def test_every_kind_has_its_table_and_its_worst_items(plain):
    text = evaluate(TextSuite([Passage(str(i), SPLIT) for i in range(25)]), plain)
    sums = evaluate(generated_suite("addition", "small"), Writes(lambda p: work_out(p)[:3]))
    page = render([text, asked(), sums])
    for words in ("bits per byte", "by chance", "exact, 3 digits", "The worst items", "log p"):
        assert words in page
    assert page.count("<section") == 3 and "http" not in page and "<script" not in page


def test_what_a_model_or_a_file_says_stays_text():
    page = render([asked()])
    assert "&lt;b&gt;" in page and "<b>1</b>" not in page and "<i>1</i>" not in page


def test_a_refusal_stands_on_the_page():
    page = render([asked(lambda context, answer: 0.0)])
    assert "has no accuracy here" in page and "by chance" not in page


def test_a_page_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(UserError, match="cannot write"):
        write_page([asked()], tmp_path / "no" / "page.html")


def named(results, name):
    return Results({**results.header, "model": name, "identity": name}, results.lines)


def test_models_that_were_asked_the_same_stand_side_by_side():
    first, other = named(asked(), "one"), named(asked(lambda c, a: -hash_of(a + c)), "two")
    found = beside([first, other, named(asked(lambda c, a: 0.0), "mute")])
    assert [one.header["model"] for one, _, _ in found] == ["one", "two", "mute"]
    assert not found[0][2] and "points" in found[1][2] and "no accuracy" in found[2][2]
    page = render([first, other])
    assert "against the first" in page and page.count("aria-label") > 12


def test_models_that_were_asked_otherwise_do_not():
    other = Results({**asked().header, "settings": {"shots": 2}}, asked().lines)
    assert beside([asked(), other]) == [] and beside([asked()]) == []
    assert "against the first" not in render([asked(), other])


def test_the_curve_of_memorisation_is_drawn():
    rows = [("goes on", 0.5, 0, 1), ("goes on, told 1 times", 0, 0, 0),
            ("goes on, told 8 times", 0.9, 0, 1)]
    assert "from 0 to 90" in memorised(rows)


def test_a_card_says_what_was_measured_and_no_more(run):
    opened = Run.open(run)
    assert "None. Make some" in card(opened, pytest.fail)
    evaluate(generated_suite("addition", "small"), Writes(work_out),
             run / "evaluations" / "addition.jsonl")
    text = write_card(opened, pytest.fail).read_text()
    assert "| exact | 100.0% |" in text and "40 steps of 4 rows" in text and "## Limits" in text
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 40, "event": "energy", "text": "7200 J"}) + "\n")
    assert "energy: 2.00 Wh" in card(opened, pytest.fail)


def test_a_suite_while_training_changes_no_bit_and_its_curve_is_drawn(tiny_config, tmp_path):
    said, config = [], tiny_config.replace("training", steps=20)
    for name, watchers in (("alone", []), ("asked", [SuiteCurve("text", said.append)])):
        Trainer(begin(config, tmp_path / name), watchers).run()
    alone, asked_too = (
        load_model(Run.open(tmp_path / name)).state_dict() for name in ("alone", "asked")
    )
    for key, value in alone.items():
        np.testing.assert_array_equal(value, asked_too[key])
    written = (tmp_path / "asked" / SUITE_CURVE).read_text().splitlines()
    lines = [json.loads(line) for line in written]
    assert [line["step"] for line in lines] == [10, 20] and not said
    assert lines[-1]["value"] < lines[0]["value"]
    assert "text: bits per byte" in write_report(Run.open(tmp_path / "asked")).read_text()
    with pytest.raises(UserError, match="no file of results"):
        read(tmp_path / "asked" / SUITE_CURVE, lambda text: None)


def test_energy_is_the_difference_of_a_counter_that_wraps(tmp_path):
    package = tmp_path / "intel-rapl:0"
    (tmp_path / "intel-rapl:0:0").mkdir()
    package.mkdir()
    assert Meter.find(tmp_path) is None
    (package / "max_energy_range_uj").write_text("999999999\n")
    (package / "energy_uj").write_text("999000000\n")
    meter = Meter.find(tmp_path)
    (package / "energy_uj").write_text("2000000\n")
    assert meter.joules() == pytest.approx(3.0)
    (package / "energy_uj").unlink()
    assert meter.joules() == pytest.approx(3.0)
