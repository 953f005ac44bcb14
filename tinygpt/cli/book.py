"""`tinygpt book`: the chapters of docs/ as a web site in a folder, or as notebooks."""

from __future__ import annotations

from pathlib import Path

import click

from tinygpt.book import notebook, site


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Folder for the site.  [default: book, unless --notebooks is given]")
@click.option("--notebooks", type=click.Path(path_type=Path, file_okay=False), default=None,
              help="Folder for a notebook of each chapter (to run: pip install jupyterlab).")
def book(out, notebooks):
    """The book as a web site that needs no internet, or as notebooks.

    \b
    tinygpt book --out site          then open site/index.html
    tinygpt book --notebooks nb      then: jupyter lab nb

    `tinygpt serve RUN` shows the same pages at /learn.
    """
    if notebooks is not None:
        click.echo(f"{notebook.write(notebooks)} notebooks are in {notebooks}.")
    if out is not None or notebooks is None:
        out = out or Path("book")
        click.echo(f"{site.write(out)} pages are in {out}. Open {out / 'index.html'}.")
