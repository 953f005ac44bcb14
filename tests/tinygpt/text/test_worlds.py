"""A world file: what it tells is true, what it asks has one right answer, its faults are named."""

import json
import re
from collections import Counter

import pytest

from tinygpt.cli import main
from tinygpt.errors import UsageError, UserError
from tinygpt.evaluation.questions import read_questions
from tinygpt.evaluation.templates import asked, find_template
from tinygpt.text.files import DataError, find
from tinygpt.text.worlds import Telling, WorldError, find_world, read_world
from tinygpt.text.worlds.making import make

SPANISH = """
[words]
persona = ["Ana", "Luis", "Eva", "Iván", "Olga", "Raúl"]
ciudad = ["Lima", "Quito", "Cuzco"]
lugar = [
    { en = "en el mercado", a = "al mercado" }, { en = "en la plaza", a = "a la plaza" },
    { en = "en el río", a = "al río" }, { en = "en casa", a = "a casa" },
]
cosa = [
    { un = "un libro", el = "el libro", lo = "lo" }, { un = "una taza", el = "la taza", lo = "la" },
]
[story]
cast = { persona = 2, lugar = 3, cosa = 1 }
events = [3, 8]
begin = ["érase una vez.", "Un día {persona} habló con {persona2}."]
end = ["Fin."]
[[lasting]]
fact = "persona vive ciudad"
say = ["{persona} vive en {ciudad}.", "En {ciudad} vive {persona}."]
[[events]]
say = ["{persona} fue {lugar.a}."]
unless = ["persona está lugar"]
then = ["persona está lugar"]
[[events]]
say = ["{persona} encontró {cosa.un}."]
if = ["cosa tiene -"]
then = ["cosa tiene persona"]
[[events]]
say = ["{persona} le dio {cosa.el} a {persona2}."]
if = ["cosa tiene persona"]
then = ["cosa tiene persona2"]
[[events]]
say = ["{persona} perdió {cosa.el}."]
if = ["cosa tiene persona"]
then = ["cosa tiene -"]
[[questions]]
ask = "¿Dónde está {persona}?"
answers = [{ say = "Está {lugar.en}.", if = ["persona está lugar"] }]
[[questions]]
ask = "¿Quién tiene {cosa.el}?"
answers = [
    { say = "{persona} {cosa.lo} tiene.", if = ["cosa tiene persona"] },
]
[[questions]]
ask = "¿Dónde vive {persona}?"
answers = [{ say = "{persona} vive en {ciudad}.", if = ["persona vive ciudad"] }]
"""
SCENERY = "Érase una vez\\.|Fin\\.|Un día \\w+ habló con \\w+\\."
PERSON = r"(Ana|Luis|Eva|Iván|Olga|Raúl)"


def world_of(tmp_path, text=SPANISH):
    path = tmp_path / "mundo.toml"
    path.write_text(text, encoding="utf-8")
    return read_world(path)


@pytest.fixture
def telling(tmp_path):
    return Telling(world_of(tmp_path), seed=3)


def replayed(story):
    """(who is where, who has a thing), from the sentences alone."""
    where, holder = {}, {}
    for sentence in re.split(r"(?<=\.) ", story):
        if match := re.fullmatch(rf"{PERSON} fue (?:al|a la|a) (\w+)\.", sentence):
            assert where.get(match[1]) != match[2]
            where[match[1]] = match[2]
        elif match := re.fullmatch(rf"{PERSON} encontró una? (\w+)\.", sentence):
            assert match[2] not in holder
            holder[match[2]] = match[1]
        elif match := re.fullmatch(rf"{PERSON} le dio (?:el|la) (\w+) a {PERSON}\.", sentence):
            assert holder[match[2]] == match[1] != match[3]
            holder[match[2]] = match[3]
        elif match := re.fullmatch(rf"{PERSON} perdió (?:el|la) (\w+)\.", sentence):
            assert holder.pop(match[2]) == match[1]
        else:
            assert re.fullmatch(SCENERY, sentence)
    return where, holder


def derived(ask, story):
    """The answer to a question about a story."""
    where, holder = replayed(story)
    if match := re.fullmatch(rf"¿Dónde está {PERSON}\?", ask):
        return f"Está en {'el ' if where[match[1]] in ('mercado', 'río') else ''}"\
               f"{'la ' if where[match[1]] == 'plaza' else ''}{where[match[1]]}."
    match = re.fullmatch(r"¿Quién tiene (?:el|la) (\w+)\?", ask)
    return f"{holder[match[1]]} {'lo' if match[1] == 'libro' else 'la'} tiene."


def test_answers_about_unread_stories_follow_from_their_sentences(telling):
    kinds = set()
    for question in telling.reading(100):
        story, ask = question.ask.split("\n")
        assert question.answer == derived(ask, story)
        assert question.answer not in question.others and 1 <= len(question.others) <= 3
        kinds.add(ask.split()[0])
    assert kinds == {"¿Dónde", "¿Quién"}


def test_answers_in_the_text_follow_from_its_sentences(telling):
    asked_there = 0
    for paragraph in telling.text(60_000):
        story, *questions = paragraph.split("\n")
        for line in questions:
            ask, answer = re.fullmatch(r"(.*\?) (.*)", line).groups()
            assert answer == derived(ask, story)
            asked_there += 1
    assert asked_there > 100


def test_a_lasting_fact_is_told_and_never_another(telling):
    lives = {}
    for paragraph in telling.text(30_000):
        match = re.fullmatch(rf"{PERSON} vive en (\w+)\.|En (\w+) vive {PERSON}\.", paragraph)
        if match:
            who, city = match[1] or match[4], match[2] or match[3]
            assert lives.setdefault(who, city) == city
    assert len(lives) == 6 and list(Counter(lives.values()).values()) == [2, 2, 2]
    for question in telling.facts():
        who = re.search(PERSON, question.ask)[0]
        assert question.answer == f"{who} vive en {lives[who]}."
        assert lives[who] not in "".join(question.others)


def test_the_smallest_text_tells_every_lasting_fact(telling):
    text = "\n\n".join(telling.text(1))
    assert all(any(f"{line}\n" in f"{text}\n" for line in lines) for lines in telling.statements)


def test_what_is_asked_of_a_learner_stands_nowhere_in_the_text(telling):
    text = "".join(telling.text(100_000))
    facts, reading = telling.facts(), telling.reading(50)
    assert len(facts) == 4 and len(reading) == 50
    assert not any(one.ask in text for one in facts)
    assert not any(one.ask.split("\n")[0] in text for one in reading)


def test_a_seed_is_a_text_and_another_is_another(tmp_path):
    world = world_of(tmp_path)
    first, again, other = (Telling(world, seed) for seed in (3, 3, 4))
    assert list(first.text(5000)) == list(again.text(5000)) != list(other.text(5000))
    assert first.reading(20) == again.reading(20)
    assert first.facts() == again.facts() != other.facts()


def test_a_language_without_spaces_gets_none(tmp_path):
    world = world_of(tmp_path, """
        [words]
        "ひと" = ["花子", "太郎", "次郎"]
        "ところ" = ["駅", "学校", "海", "山"]
        [story]
        between = ""
        cast = { "ひと" = 2, "ところ" = 3 }
        [[events]]
        say = ["{ひと}は{ところ}に行きました。"]
        unless = ["ひと いる ところ"]
        then = ["ひと いる ところ"]
        [[questions]]
        ask = "{ひと}はどこですか。"
        answers = [{ say = "{ところ}です。", if = ["ひと いる ところ"] }]
    """)
    made = make(world, tmp_path / "out", 2000, 10)
    assert made.facts == 0 and not (tmp_path / "out" / "facts.jsonl").exists()
    assert " " not in (tmp_path / "out" / "text.txt").read_text(encoding="utf-8")
    question = read_questions(tmp_path / "out" / "reading.jsonl").questions[0]
    template = find_template(str(tmp_path / "out" / "template.json"))
    (context, answer), *_ = asked(template, question)
    assert context.endswith("どこですか。") and answer.endswith("です。") and answer[0] != " "


def test_the_folder_is_one_text_and_questions_that_evaluation_reads(tmp_path):
    out = tmp_path / "out"
    made = make(world_of(tmp_path), out, 20_000, 30)
    assert [file.name for file in find(out).files] == ["text.txt"]
    assert made.text == (out / "text.txt").stat().st_size >= 20_000
    text = (out / "text.txt").read_text(encoding="utf-8")
    template = find_template(str(out / "template.json"))
    for name, count in (("facts", made.facts), ("reading", 30)):
        lines = (out / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        read = read_questions(out / f"{name}.jsonl")
        assert read.form == "own" and len(read.questions) == len(lines) == count
        assert len({one.right for one in read.questions}) > 1  # not always the first
        assert len({json.loads(line)["id"] for line in lines}) == count
    where = next(one for one in read.questions if "Dónde" in one.fields["question"])
    context, answer = asked(template, where)[where.right[0]]
    ask = re.sub(PERSON, PERSON, context.split("\n")[-1].replace("?", r"\?"))
    assert re.search(f"\n{ask}{answer[:5]}", text)  # as the text puts it


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    with pytest.raises(UsageError, match="not empty"):
        make(world_of(tmp_path), tmp_path, 1000, 1)


GOES, WHERE, GIVES = "fue {lugar.a}", '"persona está lugar"]\nthen', '["cosa tiene persona2"]'
FAULTS = [  # (what stands in the world, what stands there instead, what is said of it)
    (GOES, "fue {lugr.a}", r"events\[0\].say\[0\] .*did you mean lugar"),
    (GOES, "fue {lugar.de}", r"events\[0\].say\[0\] .*there are {lugar.en}, {lugar.a}"),
    (GOES, "fue {lugar}", r"events\[0\].say\[0\] that asks for {lugar}"),
    (GOES, "fue {0.a}", r"events\[0\].say\[0\] .*{kind}"),
    (GOES, "fue {lugar.__class__}", r"events\[0\].say\[0\] that asks"),
    (GOES, "fue {lugar.a} con {persona2} y {persona3}", r"events\[0\].* more of 'persona' than"),
    ('{ en = "en casa", a = "a casa" }', '{ en = "en casa" }', r"words.lugar\[3\] .*form 'a'"),
    ('"Lima"', '"Quito"', r"words.ciudad\[1\] .*'Quito' once more"),
    ('"Lima"', "3", r"words.ciudad\[0\] that is 3"),
    ('"Lima"', '" "', r"words.ciudad\[0\] that is ' '"),
    ('"Lima"', '"{Lima}"', r"words.ciudad\[0\] .*braces"),
    ("ciudad = [", "ciudad2 = [", "words.ciudad2 that is no name"),
    ('["Lima", "Quito", "Cuzco"]', "[]", "words.ciudad that is empty"),
    ("persona = 2, l", "persona = 9, l", "story.cast.persona that is 9"),
    ("persona = 2, l", "person = 2, l", "story.cast.person .*did you mean persona"),
    ("[3, 8]", "[8, 3]", "story.events"),
    ("[3, 8]", "[3]", "story.events that has 1 entries, not 2"),
    ("events = [3, 8]", "event = [3, 8]", r"story.event, .*known \(did you mean events"),
    (WHERE, '"persona está"]\nthen', r"events\[0\].unless\[0\] .*three words"),
    (WHERE, '"- está lugar"]\nthen', r"events\[0\].unless\[0\] .*nothing"),
    (WHERE, '"persona está cosa"]\nthen', "unless that speaks of cosa"),
    (GIVES, '["cosa tiene persona9"]', "then that speaks of persona9"),
    ('"persona vive ciudad"\n', '"persona vive -"\n', r"lasting\[0\].fact .*two kinds"),
    ("En {ciudad} vive {persona}.", "En {ciudad} vive Ana.", r"lasting\[0\].say\[1\]"),
    ('if = ["persona está lugar"] }', "if = [] }", r"questions\[0\].answers\[0\].if that is empty"),
    ("Está {lugar.en}.", "Está.", r"questions\[0\].answers .*no answer could be wrong"),
    ("[[events]]", "[events]", "not valid TOML"),
    ("[words]", "words = 3\n[word]", "has words that is 3"),
    ('["{persona} fue {lugar.a}."]', "[]", r"events\[0\].say that is empty"),
    ('say = ["{persona} fue', 'says = ["{persona} fue', r"events\[0\] that has no say"),
]


@pytest.mark.parametrize("old, new, wrong", FAULTS)
def test_a_world_with_a_fault_names_the_key(tmp_path, old, new, wrong):
    assert old in SPANISH
    text = SPANISH.replace(old, new, 1)
    with pytest.raises(WorldError, match=wrong) as found:
        world_of(tmp_path, text)
    assert "mundo.toml" in str(found.value) and found.value.exit_code == 2


def test_more_ways_than_can_be_tried_are_refused(tmp_path):
    people = ", ".join(f'"P{i}"' for i in range(200))
    with pytest.raises(WorldError, match=r"events\[0\].* in 40,000 ways"):
        world_of(tmp_path, f"""
            [words]
            p = [{people}]
            [[events]]
            say = ["{{p}} saw {{p2}}."]
            if = ["p3 saw p"]
            then = ["p saw p2"]
        """)


def test_what_is_lasting_cannot_be_changed(tmp_path):
    with pytest.raises(WorldError, match=r"events\[2\].then\[0\] that changes 'vive'"):
        world_of(tmp_path, SPANISH.replace(
            'a {persona2}."]', 'a {persona2} de {ciudad}."]').replace(
            'then = ["cosa tiene persona2"]', 'then = ["persona vive ciudad"]'))


def test_a_world_in_which_nothing_can_happen_says_so(tmp_path):
    world = world_of(tmp_path, """
        words.p = ["Ana", "Eva"]
        [[events]]
        say = ["{p} ríe."]
        if = ["p ve p2"]
    """)
    with pytest.raises(UserError, match="none came to 3 events"):
        list(Telling(world).text(1000))


def test_a_world_that_is_too_small_says_how_many_stories_it_has(tmp_path, monkeypatch):
    monkeypatch.setattr("tinygpt.text.worlds.telling.PATIENCE", 30)
    world = world_of(tmp_path, """
        words.p = ["Ana", "Eva"]
        words.l = ["aquí", "allí"]
        story.events = [3, 3]
        [[events]]
        say = ["{p} fue {l}."]
        then = ["p en l"]
        [[questions]]
        ask = "{p}?"
        answers = [{ say = "{l}.", if = ["p en l"] }]
    """)
    with pytest.raises(UserError, match=r"only \d+ such stories with a question, and 5000"):
        Telling(world).reading(5000)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00\x01\x80")
    with pytest.raises(DataError, match="bad.toml"):
        read_world(tmp_path / "bad.toml")


def test_the_world_that_ships_is_told_and_a_file_of_its_name_goes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    telling = Telling(find_world("swahili"))
    assert len(telling.statements) == 72 and len(telling.facts()) == 48
    assert len(telling.reading(20)) == 20
    (tmp_path / "swahili").write_text("words.p = ['Eva']\n[[events]]\nsay = ['{p}.']\n")
    assert list(find_world("swahili").words) == ["p"]


def test_the_command_makes_a_folder_and_says_what_to_do_with_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mundo.toml").write_text(SPANISH, encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["world", "mundo.toml", "--out", "out", "--size", "20KB", "--questions", "10"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "10 questions about stories" in said and "--template out/template.json" in said
    with pytest.raises(SystemExit) as stop:
        main(["world", "mundo.tml"])
    assert stop.value.code == 2
    assert "no file 'mundo.tml'" in capsys.readouterr().err
