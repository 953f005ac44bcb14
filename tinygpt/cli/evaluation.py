"""`tinygpt evaluate` and `compare`: what a model can do, and how sure that is.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import click

from tinygpt.cli.paths import Place
from tinygpt.errors import UsageError

ADDRESS = ("http://", "https://")


def suite_options(command):
    """What is asked, and of what data."""
    for option in reversed((
        click.option("--suite", "suites", multiple=True, metavar="NAME",
                     help="What to ask; repeatable.  [text]"),
        click.option("--data", type=Place(allow_dash=True),
                     help="A text or items of your own for the suite."),
        click.option("--bytes", "limit", type=click.IntRange(1),
                     help="Of a text, look at about so many.  [400000]"),
        click.option("--template", metavar="NAME|FILE",
                     help="How questions with choices are put.  [by their format]"),
        click.option("--shots", type=click.IntRange(0), default=0, show_default=True,
                     help="Questions with their answers before each."),
        click.option("--attempts", type=click.IntRange(1), default=1, show_default=True,
                     help="At each function of `code`, for pass@k."),
        click.option("--size", type=click.Choice(["small", "medium", "large"]), default="medium",
                     show_default=True, help="Of a suite that is generated."),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True),
    )):
        command = option(command)
    return command


@click.command()
@click.argument("model", metavar="RUN|FILE|URL")
@suite_options
@click.option("--out", type=Place(dir_okay=False),
              help="File for the results.  [RUN/evaluations/SUITE[-DATA].jsonl]")
@click.option("--page", type=Place(dir_okay=False),
              help="HTML file for tables, intervals and the worst items.  [RUN/evaluation.html, "
                   "with what was found before]")
@click.option("--beside", multiple=True, type=Place(dir_okay=False), metavar="FILE",
              help="Results of another model, asked the same, to stand beside it; repeatable.")
@click.option("--resume", is_flag=True, help="Go on after the lines that are there.")
def evaluate(model, suites, out, page, beside, resume, **asked):
    """Say what a model can do, how sure that is, and what the data cannot tell.

    \b
    text        bits per byte on held-out text, beside xz and models that only count
    answers     --data FILE with {"prompt": ..., "answer": ...} on each line (or such columns of a
                .csv, .tsv or .parquet): exact match, F1, BLEU,
                chrF, chrF++, ROUGE-1, -2, -L and -Lsum
    addition, counting, copying, brackets
                made here, with four answers shown before each question
    closing     what the stories ask at their end: who has what, where things are
    code        functions of Python's library, gone on with and run
    questions   --data FILE with choices: ARC, HellaSwag, MMLU, TruthfulQA, Winogrande, CrowS-Pairs
                or your own, from .jsonl, .csv, .tsv or .parquet

    Results are a line of JSON for each item, kept beside a run or in --out; `tinygpt compare`
    reads two such files. Under mpirun each process asks its share of the items.
    """
    from pathlib import Path

    from tinygpt.distributed.start import join
    from tinygpt.evaluation.results import read
    from tinygpt.screens.console import Screen, warn

    if out is not None and len(suites) > 1:
        raise UsageError("--out is a file for one suite, and several were asked. Leave it out.")
    group = join()
    if group.rank > 0:
        for name in suites or ("text",):
            _asked(model, name, asked, group=group)
        group.close()
        return
    screen, found = Screen(), []
    others = [read(one, warn) for one in beside]
    for name in suites or ("text",):
        where = Path(out) if out is not None else _place(model, name, asked["data"])
        results = _asked(model, name, asked, where, resume, group=group)
        found.append(results)
        if where is not None:
            screen.copyable(f"Every item:  {where}")
        if page is not None:
            _write_page(screen, Path(page), [*found, *others])
        elif where is not None and out is None:
            page_of_run = where.parent.parent / "evaluation.html"
            _write_page(screen, page_of_run, [*_with_earlier(model, found), *others])
        _show(screen, results)
        _show_beside(screen, [results, *others])
    group.close()


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@suite_options
@click.option("--judge", metavar="RUN|FILE|URL",
              help="Say which written answers are better too, if it can tell right from wrong.")
@click.option("--again", nargs=2, multiple=True, metavar="A B",
              help="Both trained once more, from another seed; twice at least.")
def compare(a, b, suites, judge, again, **asked):
    """Say by how much B is better than A, how sure that is, and what could have been seen.

    A and B are files of results, or models, which are asked --suite first. Each item is counted for
    both at once: what is hard for both drops out.

    The interval is of these two models. Whether B's recipe is better is known of several
    trainings: with --again the interval is over trainings and items.
    """
    from tinygpt.evaluation import results as files
    from tinygpt.evaluation.tables import paired
    from tinygpt.evaluation.trainings import recipes
    from tinygpt.screens.console import Screen, warn

    if len(again) == 1:
        raise UsageError("two trainings of each say nothing of a third. Give --again A B twice.")
    if again and judge:
        raise UsageError("--judge is asked about two models. Leave --again out.")
    screen, source = Screen(), None if files.looks_like(a) else a
    for name in suites or ("text",):
        found = [
            [files.read(one, warn) if files.looks_like(one)
             else _asked(one, name, asked, source=source) for one in both]
            for both in ((a, b), *again)
        ]
        pairs = [paired(*both) for both in found]
        _show_pairs(screen, found[0], recipes(found, pairs) if again else pairs[0], len(found))
        if judge:
            _show_judged(screen, found[0], judge, asked["seed"])


@click.command()
@click.argument("model", metavar="RUN|FILE|URL")
@click.option("--data", type=Place(), required=True, help="Questions with choices.")
@click.option("--template", "templates", multiple=True, metavar="NAME|FILE",
              help="Repeatable.  [question, short, plain]")
@click.option("--shots", "shots", multiple=True, type=click.IntRange(0),
              help="Repeatable.  [0, 2, 5]")
@click.option("--orders", type=click.IntRange(1), default=3, show_default=True,
              help="Orders of the examples.")
def prompts(model, data, templates, shots, orders):
    """Say what a prompt is worth: templates x shots x orders of one set of questions."""
    from tinygpt.evaluation.prompts import spread, table
    from tinygpt.evaluation.questions import read_questions
    from tinygpt.evaluation.results import shown_interval
    from tinygpt.screens.console import Progress, Screen

    templates, shots = templates or ("question", "short", "plain"), shots or (0, 2, 5)
    with Progress() as busy:
        busy("opening")
        questions = read_questions(data).questions
        cells = list(table(_open(model), questions, templates, shots, orders, say=busy))
    rows = []
    for cell in cells:
        if cell.accuracy is None:
            rows.append((cell.template, str(cell.shots), str(cell.order + 1), "", cell.refused, ""))
            continue
        against = "" if cell is cells[0] else f"{100 * cell.against.interval.value:+.1f} points" + (
            "" if cell.against.seen else ", not seen")
        rows.append((cell.template, str(cell.shots), str(cell.order + 1),
                     *shown_interval(cell.accuracy, True), against))
    screen = Screen()
    titles = ["template", "shots", "order", "right", "95 %", "against the first"]
    screen.print(_table(titles, rows))
    screen.say(spread(cells))


@click.command()
@click.argument("run", metavar="RUN", type=Place())
def card(run):
    """Write a model card into RUN: data, recipe, cost, results, limits.

    It is made of the run's own files and of what `tinygpt evaluate` left there.
    """
    from tinygpt.evaluation.card import write_card
    from tinygpt.runs.run import Run
    from tinygpt.screens.console import warn

    click.echo(f"{write_card(Run.open(run), warn)}")


def _write_page(screen, path, results):
    from tinygpt.evaluation.page import write_page

    write_page(results, path)
    screen.copyable(f"As a page:   {path}")


def _with_earlier(model, found):
    """Results of a run, and after them what is in its folder about the same weights."""
    from tinygpt.evaluation.card import evaluations, of_weights
    from tinygpt.runs.run import Run
    from tinygpt.screens.console import warn

    kept = of_weights(evaluations(Run.open(model), warn), found[-1].header["identity"], warn)
    known = [one.header for one in found]
    return [*found, *(one for one in kept if one.header not in known)]


def _place(model, suite, data=None):
    """Where results of a run go, None for what is no run."""
    from pathlib import Path

    from tinygpt.storage.paths import expand

    if model.startswith(ADDRESS):
        return None
    path = Path(expand(model))
    name = suite if data is None else f"{suite}-{Path(data).stem.strip('-') or 'stdin'}"
    return path / "evaluations" / f"{name}.jsonl" if (path / "config.json").is_file() else None


def _open(model):
    from tinygpt.evaluation.remote import Remote
    from tinygpt.evaluation.subject import open_subject

    return Remote(model) if model.startswith(ADDRESS) else open_subject(model)


def _asked(model, name, asked, out=None, resume=False, source=None, group=None):
    """Results of a model.

    asked: of suite_options.  source: the model whose held-out text it is, if not its own.
    group: who asks together.
    """
    from tinygpt.evaluation.dealt import dealt
    from tinygpt.evaluation.suite import evaluate as ask
    from tinygpt.evaluation.suites import Asked, find_suite
    from tinygpt.evaluation.suites.text import TextSuite, check_unread
    from tinygpt.screens.console import Progress, warn

    known = source or model
    with Progress() as busy:
        busy("opening")
        subject = _open(model)
        suite = find_suite(name, Asked(None if known.startswith(ADDRESS) else known, **asked))
        if isinstance(suite, TextSuite) and asked["data"] is None and model != known:
            check_unread(suite.documents, known, model)
        return ask(dealt(suite, group), subject, out, resume=resume, progress=busy,
                   warn=lambda text: busy.aside(warn, text))


def _show(screen, results):
    from tinygpt.evaluation.results import shown_interval
    from tinygpt.evaluation.tables import rows, verdict
    from tinygpt.storage.paths import shown

    header = results.header
    screen.say(f"{shown(header['model'])} on {header['suite']}, {len(results.counted):,} items")
    cells = [
        (row.name, *shown_interval(row.found, row.percent), row.note) for row in rows(results)
    ]
    screen.print(_table(["", "", "95 %", ""], cells))
    for sentence in verdict(results):
        screen.say(sentence)


def _show_beside(screen, several):
    from tinygpt.evaluation.results import short_names, shown_interval
    from tinygpt.evaluation.tables import beside

    found, names = beside(several), short_names(several)
    if not found:
        if len(several) > 1:
            screen.say("Nothing that was given to stand beside it was asked the same.")
        return
    title = next((table[0].name for _, table, _ in found if table), "")
    cells = [
        (names[one.header["model"]], *shown_interval(table[0].found, table[0].percent))
        for one, table, _ in found if table
    ]
    screen.print(_table(["", title, "95 %"], cells))
    for one, _, said in found:
        if said:
            screen.say(f"{names[one.header['model']]}: {said}")


def _show_pairs(screen, both, pairs, trainings):
    from tinygpt.evaluation.results import shown_interval, told
    from tinygpt.storage.paths import shown

    names = [shown(one.header["model"]) for one in both]
    more = f", {trainings} trainings of each" * (trainings > 1)
    screen.say(f"A {names[0]}, B {names[1]} on {both[0].header['suite']}{more}")
    cells = []
    for pair in pairs:
        a, b = (" ".join(shown_interval(one, pair.percent)[:1]) for one in (pair.a, pair.b))
        low, high = (shown_interval(one, pair.percent)[1] for one in (pair.a, pair.b))
        cells.append((pair.name, a, low, b, high))
    screen.print(_table(["", "A", "95 %", "B", "95 %"], cells))
    for pair in pairs:
        screen.say(f"B, {pair.name}: "
                   + told(pair.change, pair.name, pair.lower_is_better, pair.percent))


def _show_judged(screen, both, judge, seed):
    from tinygpt.evaluation.judge import answered, judged, known_pairs, open_judge, preferred
    from tinygpt.screens.console import Progress

    pairs, asked = answered(*both)
    with Progress() as busy:
        busy("judging")
        judge, known = open_judge(judge), known_pairs(asked, seed)
        shown = judged(judge, known) if known else None
        found = preferred(judge, pairs) if shown and shown.trusted else None
    screen.say(f"The judge, on right answers beside other questions': {shown or 'nothing to show'}")
    if found:
        screen.say(f"Of {len(pairs)} pairs of answers {found}")


def _table(titles, rows):
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table
