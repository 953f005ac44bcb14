"""`tinygpt world`: text and questions of a world that a file describes.

Imports stand inside the function, so that `--help` is quick.
"""

from __future__ import annotations

import click

from tinygpt.cli.paths import Place, Size


@click.command()
@click.argument("file", type=Place(allow_dash=True))
@click.option("--out", default="world", type=Place(file_okay=False), show_default=True,
              help="Folder to make.")
@click.option("--size", type=Size(), default="2MB", show_default=True, help="Of the text.")
@click.option("--questions", type=click.IntRange(1), default=500, show_default=True,
              help="About stories that the text does not have.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
def world(file, out, size, questions, seed):
    """Tell stories of the world in FILE, in the words of any language, and ask about them.

    FILE is TOML: words, what can happen, what can be asked (tinygpt/text/worlds/swahili.toml is
    one, and "swahili" names it). The right answers are known, because the stories' state is.

    \b
    tinygpt world swahili --out hadithi
    tinygpt train quickstart --data hadithi --out run
    tinygpt evaluate run --suite questions --data hadithi/facts.jsonl \\
        --template hadithi/template.json
    """
    from tinygpt.machine.terminal import command
    from tinygpt.screens.console import Progress, Screen
    from tinygpt.text.worlds import find_world
    from tinygpt.text.worlds.making import make

    with Progress() as busy:
        made = make(find_world(file), out, size, questions, seed, busy)
    screen = Screen()
    screen.say(f"{out}/text.txt: {made.text:,} bytes, {made.statements:,} lasting facts in them")
    screen.copyable(f"Learn it: {command('train', 'quickstart', '--data', out, '--out', 'run')}")
    for name, count, about in (
        ("facts", made.facts, "what the text tells and never asks"),
        ("reading", made.reading, "stories that it does not have"),
    ):
        if count:
            screen.say(f"{out}/{name}.jsonl: {count:,} questions about {about}")
            screen.copyable("Ask them: " + command(
                "evaluate", "run", "--suite", "questions", "--data", f"{out}/{name}.jsonl",
                "--template", f"{out}/template.json"))
