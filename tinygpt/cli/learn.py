"""`tinygpt learn`: exercises cut from the code of this house, and what is wrong with an answer.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinygpt.cli.lazy import LazyGroup
from tinygpt.cli.paths import Place

# name: (module:function, help), as of the command line itself.
COMMANDS = {
    "list": ("tinygpt.cli.learn:list_", "All exercises, in their order, and which you have."),
    "start": ("tinygpt.cli.learn:start", "Write an exercise's file into your folder."),
    "check": ("tinygpt.cli.learn:check", "Is it right? If not: what kind of mistake is it?"),
    "hint": ("tinygpt.cli.learn:hint", "A hint; each call says a little more."),
    "show": ("tinygpt.cli.learn:show", "The real function."),
    "reset": ("tinygpt.cli.learn:reset", "Begin anew; your file is moved aside."),
    "progress": ("tinygpt.cli.learn:progress", "How far you are, and what comes next."),
}


@click.group(cls=LazyGroup, table=COMMANDS)
@click.option("--folder", type=Place(file_okay=False), default="learn", show_default=True,
              envvar="TINYGPT_LEARN", help="Your folder of exercises.")
@click.pass_context
def learn(context, folder):
    """Read it, break it, write it yourself, and be told which mistake you made.

    \b
      tinygpt learn start shapes
      tinygpt learn check

    A NAME is an exercise's name or its number; without one it is the exercise that you were at.
    """
    context.obj = Path(folder)


def _folder(context):
    from tinygpt.course.folder import Folder

    return Folder(context.obj)


def _chosen(folder, name):
    """The exercise of a name, or the one that she was at.  Raises UsageError."""
    from tinygpt.course.exercises import find
    from tinygpt.errors import UsageError
    from tinygpt.machine.terminal import command

    if name is None and not folder.state["current"]:
        raise UsageError(
            f"no exercise is begun in {folder.path}. Begin with `{command('learn', 'start')}`."
        )
    return find(name or folder.state["current"])


@click.command("list")
@click.pass_context
def list_(context):
    """All exercises, in their order: minutes, kind, and which you have."""
    from tinygpt.screens.course import show_list

    show_list(_folder(context))


@click.command()
@click.argument("name", required=False)
@click.pass_context
def start(context, name):
    """Write an exercise's file into your folder; without NAME, of the next one."""
    from tinygpt.course.exercises import exercises, find
    from tinygpt.screens.course import show_start

    folder = _folder(context)
    begun = folder.state["exercises"]
    following = next((one for one in exercises() if one.name not in begun), exercises()[0])
    exercise = find(name) if name else following
    show_start(folder, exercise, folder.start(exercise))


@click.command()
@click.argument("name", required=False)
@click.option("--watch", is_flag=True, help="Check again whenever the file is saved; Ctrl-C ends.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=6.0, show_default=True,
              help="Of the processor's time, that it may take; more for a slow machine.")
@click.pass_context
def check(context, name, watch, seconds):
    """Grade an exercise.  Ends with 0 where it is right, 1 where it is not yet."""
    from tinygpt.course.grade import grade
    from tinygpt.errors import UserError
    from tinygpt.machine.terminal import command
    from tinygpt.screens.console import Progress
    from tinygpt.screens.course import show_verdict, show_waiting
    from tinygpt.storage.paths import kind, shown

    folder = _folder(context)
    exercise = _chosen(folder, name)
    path = folder.file(exercise)

    def once() -> bool:
        if kind(path) != "file":
            raise UserError(
                f"there is no {shown(path)}. Begin with "
                f"`{command('learn', 'start', exercise.name)}`."
            )
        with Progress() as busy:
            busy("looking at it")
            verdict = grade(exercise, path, seconds=seconds)
        show_verdict(folder, exercise, verdict, folder.tried(exercise, verdict.green))
        return verdict.green

    green = once()
    if watch:
        from tinygpt.course.watching import changes

        show_waiting()
        for _ in changes(path):
            once()
            show_waiting()
    sys.exit(0 if green else 1)


@click.command()
@click.argument("name", required=False)
@click.pass_context
def hint(context, name):
    """A hint; each call says a little more."""
    from tinygpt.screens.course import show_hint

    folder = _folder(context)
    exercise = _chosen(folder, name)
    show_hint(exercise, folder.hint(exercise))


@click.command()
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def show(context, name, yes):
    """The real function, after a question: it is yours only if you write it."""
    from tinygpt.course.folder import solution
    from tinygpt.screens.course import show_solution

    folder = _folder(context)
    exercise = _chosen(folder, name)
    if not yes and exercise.name not in folder.passed():
        click.confirm("Seeing it takes the exercise away from you. Show it?", abort=True)
    folder.show(exercise)
    show_solution(exercise, solution(exercise))


@click.command()
@click.argument("name", required=False)
@click.pass_context
def reset(context, name):
    """Begin an exercise anew; your file is moved aside, not deleted."""
    from tinygpt.screens.course import show_reset

    folder = _folder(context)
    exercise = _chosen(folder, name)
    show_reset(folder, exercise, folder.reset(exercise))


@click.command()
@click.pass_context
def progress(context):
    """How far you are, and what comes next."""
    from tinygpt.screens.course import show_progress

    show_progress(_folder(context))
