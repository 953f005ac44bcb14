"""`tinygpt curate`: a folder in, a corpus and its account out.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import contextlib

import click

from tinygpt.cli.paths import Place


@click.command()
@click.argument("folder", required=False)
@click.option("--out", default="corpus", type=Place(), show_default=True,
              help="Folder for the corpus and its account.")
@click.option("--rules", type=Place(dir_okay=False), metavar="FILE",
              help="A TOML file with limits other than ours.")
@click.option("--languages", type=Place(exists=True, file_okay=False), metavar="FOLDER",
              help="A folder of texts for each language, named as it is: en, yo ...")
@click.option("--quality", "examples", type=Place(exists=True, file_okay=False), metavar="FOLDER",
              help="Folders accept and reject (or accept alone) of examples.")
@click.option("--against", type=Place(exists=True, dir_okay=False), metavar="FILE",
              help="Evaluation items: documents that hold one are dropped.")
@click.option("--format", "form", type=click.Choice(["jsonl", "text", "parquet"]),
              default="jsonl", show_default=True, help="Form of the shards.")
@click.option("--workers", type=click.IntRange(1), metavar="N",
              help="Processes [default: the cores, at most 8].")
@click.option("--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler read.")
@click.option("--why", metavar="NAME", help="What became of a document, by its name or a part.")
@click.option("--sample", metavar="FATE",
              help="Twenty random documents: kept, or what a rule dropped (gopher.words).")
@click.option("--report", type=Place(dir_okay=False), metavar="FILE",
              help="An HTML page: the sums, each rule's values, what it took beside what was kept.")
def curate(
    folder, out, rules, languages, examples, against, form, workers, dask, why, sample, report
):
    """Make a corpus of FOLDER: read, cleaned, judged, without copies, split.

    Whatever can be read below FOLDER is; the rest is named. Every byte that goes is accounted for
    by the rule that took it. Said again after a kill, it goes on; `tinygpt train --data CORPUS`
    learns from it.

    \b
    tinygpt curate my-folder --out corpus
    tinygpt curate --out corpus --why notes/2019.html
    tinygpt curate --out corpus --sample gopher.words
    tinygpt curate --out corpus --report report.html
    """
    if why is not None or sample is not None:
        if folder is not None:
            raise click.UsageError("FOLDER is curated without --why and --sample. Drop it here.")
        _show(out, why, sample)
        return
    if folder is None and report is not None:
        _report(out, report)
        return
    if folder is None:
        raise click.UsageError("name the FOLDER to curate.")
    from minigrad import get_num_workers
    from tinygpt.curation.pipeline import curate as make
    from tinygpt.screens.console import Progress, Screen

    with contextlib.ExitStack() as stack:
        runner = None
        if dask:
            from tinygpt.curation.cluster import Cluster

            runner = stack.enter_context(Cluster(dask))
        balance = make(
            folder, out, rules=rules, languages=languages, examples=examples, against=against,
            form=form, workers=workers or min(8, get_num_workers()),
            runner=runner, progress=stack.enter_context(Progress()),
        )
    _say_balance(Screen(), out, balance)
    if report is not None:
        _report(out, report)


def _report(out, report) -> None:
    """Write the page of an account."""
    from pathlib import Path

    from tinygpt.screens.console import Screen
    from tinygpt.screens.curation import write_page

    write_page(Path(out), Path(report))
    Screen().say(f"What was kept and what was not: {report}")


def _say_balance(screen, out, balance) -> None:
    """The books, in lines that add up."""
    from tinygpt.curation.account import Account

    account = Account(out)
    fates = account.fates()
    files = account.rows("SELECT fate, COUNT(*) AS n FROM files GROUP BY fate ORDER BY n DESC")
    account.close()
    named = ", ".join(f"{row['n']:,} {row['fate']}" for row in files)
    screen.say(f"{'files':<28} {balance.files:>15,} bytes: {named}")
    screen.say(f"{'text of documents':<28} {balance.documents:>15,} bytes: {sum(fates.values()):,}")
    for rule, count in balance.removed.items():
        dropped = f" {fates[rule]:,} dropped" if rule in fates else ""
        screen.say(f"  {rule:<26} {-count:>15,}{dropped}")
    screen.say(f"{'kept':<28} {balance.kept:>15,} bytes: {fates.get('kept', 0):,} documents")
    screen.say(f"Learn from it: tinygpt train --data {out}")


def _show(out, why, sample) -> None:
    """Answer --why or --sample."""
    from tinygpt.curation.account import Account
    from tinygpt.screens.console import Screen

    screen, account = Screen(), Account(out)
    try:
        if why is not None:
            _say_why(screen, account, why)
        if sample is not None:
            _say_sample(screen, account, sample.removeprefix("dropped:"))
    finally:
        account.close()


def _say_why(screen, account, name) -> None:
    from tinygpt.errors import UsageError

    documents = account.why(name)
    files = account.rows(
        "SELECT * FROM files WHERE instr(name, ?) AND fate <> 'read' LIMIT 20", name
    )
    for file in files:
        screen.say(f"{file['name']}: {file['fate']}, {file['why']}")
    if not documents and not files:
        raise UsageError(f"no document's name holds {name!r}. `--sample kept` shows some names.")
    for document in documents:
        screen.say(f"{document['name']}: {document['fate']}", "bold")
        if len(documents) > 1:
            continue
        said = [f"{document['bytes']:,} bytes", document["encoding"]]
        said.append(f"language {document['language']}")
        said += [f"split {document['split']}"] if document["split"] else []
        screen.say(f"  {', '.join(said)}")
        if document["copy_of"] is not None:
            first = account.rows("SELECT name FROM documents WHERE id = ?", document["copy_of"])
            screen.say(f"  a copy of {first[0]['name']}")
        for row in document["removed"]:
            screen.say(f"  {row['rule']:<28} took {row['bytes']:,} bytes")
        for rule in document["rules"]:
            if rule["value"] is not None:
                screen.say(f"  {rule['name']:<28} {rule['value']:<10g} {_limits(rule)}")


def _limits(rule) -> str:
    least, most = rule["least"], rule["most"]
    inside = (least is None or rule["value"] >= least) and (most is None or rule["value"] <= most)
    parts = [f"at least {least:g}"] if least is not None else []
    parts += [f"at most {most:g}"] if most is not None else []
    return " and ".join(parts) + ("" if inside else "  <- outside")


def _say_sample(screen, account, fate) -> None:
    from tinygpt.errors import UsageError

    documents = account.sample(fate)
    if not documents:
        known = ", ".join(account.fates())
        raise UsageError(f"no document has the fate {fate!r}. There are: {known}.")
    for document in documents:
        screen.say(f"{document['name']} ({document['bytes']:,} bytes)", "bold")
        text = " ".join(document["excerpt"].split())
        screen.say(f"  {text[:300]}{' ...' if len(text) > 300 else ''}")
