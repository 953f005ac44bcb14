"""The book as a book: one order, one sitting a chapter, no word before its time."""

import importlib.util
import re
from pathlib import Path

import click
import pytest

from tinygpt.cli import cli, main
from tinygpt.course.exercises import exercises

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
CONTENTS = (DOCS / "README.md").read_text(encoding="utf-8")
CHAPTERS = re.findall(r"^\d+\. \[.+?\]\(([\w-]+)\.md\)", CONTENTS, flags=re.MULTILINE)
WORDS_A_MINUTE, SECONDS_A_LINE, MOST = 180, 10, 25  # minutes


def text_of(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


def prose_of(text: str) -> str:
    """Without blocks of code, indented ones and those within a line."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`]*`", "", text)


def minutes(text: str) -> float:
    """What reading takes: of prose by its words, of code by its lines."""
    words = len(re.findall(r"\b\w[\w'’]*", re.sub(r"\]\([^)]*\)", "]", prose_of(text))))
    lines = len(re.findall(r"^(?:>>>|\.\.\.) ", text, flags=re.MULTILINE))
    return words / WORDS_A_MINUTE + lines * SECONDS_A_LINE / 60


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def headings(page: str) -> list[str]:
    text = re.sub(r"^```.*?^```", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)


def glossary() -> dict[str, str]:
    """Term -> the chapter that explains it."""
    entries = text_of("glossary").split("\n## ")[1:]
    return {e.split("\n")[0]: re.findall(r"\]\(([\w-]+)\.md\)", e)[-1] for e in entries}


def unlinked(page: str, before: set[str]) -> list[str]:
    """Terms of later chapters that a page uses and leads to nowhere.  before: chapters read."""
    text = text_of(page).partition("\nNext: ")[0]
    links = set(re.findall(r"\]\(([\w.#-]+)\)", text))
    words = re.sub(r"\]\([^)]*\)", "]", prose_of(text))
    return [
        term for term, chapter in glossary().items()
        if chapter not in before and chapter != page
        and re.search(rf"(?<![\w-]){re.escape(term)}s?(?![\w-])", words, flags=re.IGNORECASE)
        and not links & {f"glossary.md#{slug(term)}", f"{chapter}.md"}
    ]


def test_every_page_has_its_place_in_the_contents():
    listed = {*re.findall(r"\]\(([\w-]+)\.md\)", CONTENTS), "README"}
    assert listed == {path.stem for path in DOCS.glob("*.md")}
    assert len(CHAPTERS) == len(set(CHAPTERS)) <= 40


def test_each_chapter_leads_to_the_next():
    for chapter, following in zip(CHAPTERS, CHAPTERS[1:], strict=False):
        links = re.findall(r"^Next: \[.+\]\(([\w-]+)\.md\)\.$", text_of(chapter), flags=re.M)
        assert links == [following], chapter


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_is_one_sitting(chapter):
    assert 3 < minutes(text_of(chapter)) <= MOST


def test_the_clock_counts_words_and_lines():
    page = "word " * 180 + "\n```python\n>>> 1\n... 2\n1\n```\n" + "\n    tinygpt learn\n`code`"
    assert minutes(page) == pytest.approx(1 + 2 / 6)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_ends_with_code_questions_and_exercises(chapter):
    parts = re.split(r"^## ", text_of(chapter), flags=re.MULTILINE)[-3:]
    code, questions, exercises = parts
    assert code.startswith("Read the code\n")
    assert questions.startswith("Questions\n")
    assert questions.count("<details><summary>Answers</summary>\n\n") == 1
    asked, answered = questions.split("<details>")
    count = len(re.findall(r"^\d\. ", asked, flags=re.MULTILINE))
    assert 2 <= count <= 3
    assert all(re.search(rf"(?:^|\s){n}\. ", answered) for n in range(1, count + 1))
    assert exercises.startswith("Exercises\n") and "tinygpt learn start " in exercises


@pytest.mark.parametrize("chapter", sorted({*CHAPTERS, *(one.chapter[:-3] for one in exercises())}))
def test_a_chapter_lists_its_exercises_and_all_of_them(chapter):
    own = [one.name for one in exercises() if one.chapter == f"{chapter}.md"]
    listed = re.findall(r"^ {4}tinygpt learn start ([\w-]+)$", text_of(chapter), flags=re.MULTILINE)
    assert sorted(listed) == sorted(own)
    spoken_of = set(re.findall(r"tinygpt learn start ([\w-]+)", text_of(chapter)))
    assert spoken_of <= {one.name for one in exercises()}


@pytest.mark.parametrize("page", sorted(path.stem for path in DOCS.glob("*.md")))
def test_every_link_leads_to_a_file_and_to_a_heading_in_it(page):
    for target, anchor in re.findall(r"\]\(([^):#]*)(#[^)]*)?\)", prose_of(text_of(page))):
        assert not target or (DOCS / target).exists(), target
        if anchor:
            there = target.removesuffix(".md") or page
            assert anchor[1:] in map(slug, headings(there)), target + anchor


def test_no_term_is_used_before_its_chapter_without_a_link():
    found = {
        chapter: unlinked(chapter, set(CHAPTERS[:number]))
        for number, chapter in enumerate(CHAPTERS)
    }
    assert not any(found.values()), {page: terms for page, terms in found.items() if terms}


def test_the_search_for_early_terms_finds_one(monkeypatch):
    monkeypatch.setitem(globals(), "text_of", {
        "glossary": "# G\n\n## roofline\n\nA limit. [It](matmul.md)\n",
        "early": "The roofline, and `code`.", "linked": "The [roofline](glossary.md#roofline).",
    }.__getitem__)
    assert unlinked("early", set()) == ["roofline"]
    assert unlinked("early", {"matmul"}) == [] == unlinked("linked", set())


def test_each_term_is_explained_in_a_chapter_that_says_it():
    for term, chapter in glossary().items():
        assert chapter in CHAPTERS, term
        assert term.lower() in re.sub(r"\s+", " ", text_of(chapter)).lower(), term


def test_the_figures_are_what_their_script_draws():
    path = DOCS / "figures" / "draw.py"
    spec = importlib.util.spec_from_file_location("draw", path)
    draw = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(draw)
    drawn = {f"{name}.svg": str(figure()) for name, figure in draw.FIGURES.items()}
    kept = {p.name: p.read_text(encoding="utf-8") for p in path.parent.glob("*.svg")}
    assert drawn == kept
    shown = "".join(map(text_of, CHAPTERS))
    assert not [name for name in kept if f"figures/{name}" not in shown]


def shown_commands() -> list[tuple[str, list[str]]]:
    """(page, words behind `tinygpt`) of each command in a block or in backquotes."""
    found = []
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"^(?: {4})?(tinygpt [a-z].*)$|`(tinygpt [a-z][^`\n]*)`", text, re.M)
        found += [
            (page.name, re.sub(r"\s+#.*", "", line).split()[1:]) for line in map("".join, shown)
        ]
    return found


def test_every_command_that_a_page_shows_exists_with_its_options():
    context = click.Context(cli)
    for page, shown in shown_commands():
        words = shown
        command = cli.get_command(context, words[0])
        assert command is not None, (page, shown)
        while isinstance(command, click.Group) and len(words) > 1:
            words = words[1:]
            command = command.get_command(context, words[0]) or command
        known = {name for parameter in command.params for name in parameter.opts}
        asked = {word.partition("=")[0].rstrip(".,;:") for word in words if word[:2] == "--"}
        assert asked <= known | {"--help"}, (page, shown)


def test_every_line_of_the_course_that_a_page_shows_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = {tuple(words) for _, words in shown_commands() if words[0] == "learn"}
    assert len(lines) >= len(exercises())
    names = {"NAME": "tanh"}
    learn(["learn", "start", "tanh"])
    for line in sorted(lines):
        told = [names.get(word, word) for word in line]
        code = learn(told + ["--yes"] * (told[1:2] == ["show"]))
        # `check` of what is not written yet, and `start` of what is begun already, answer 1.
        assert code == 0 or (code == 1 and told[1] in ("check", "start")), line
        assert "Traceback" not in capsys.readouterr().err


def learn(words: list[str]) -> int:
    """The exit code of `tinygpt` with these words."""
    with pytest.raises(SystemExit) as stop:
        main(words)
    return int(stop.value.code or 0)
