"""The course on a terminal: short, and a wrong answer is a "not yet".

Read first: ../course/grade.py, whose verdicts these are.
"""

from __future__ import annotations

from pathlib import Path

from tinygpt.course.exercise import Exercise
from tinygpt.course.exercises import exercises, number_of
from tinygpt.course.folder import Folder
from tinygpt.course.grade import Verdict
from tinygpt.machine.terminal import command
from tinygpt.screens.console import Screen, plain
from tinygpt.storage.paths import shown

WORDS = {  # of each stage: what it asks
    "answers": "answers", "runs": "it runs", "shapes": "shapes and dtypes",
    "properties": "properties",
    "gradient": "gradient", "joins": "at work", "accepts": "accepts the right",
    "hunts": "notices mistakes", "faster": "faster", "compiles": "it compiles",
    "values": "values", "edges": "stays inside its arrays",
}
PRAISE = ("Right.", "Yes, that is it.", "It holds.", "Just as the real one does it.")


def _marks(screen: Screen) -> tuple[str, str]:
    return ("+", "-") if plain(screen) else ("✓", "·")


def show_verdict(folder: Folder, exercise: Exercise, verdict: Verdict, first: bool) -> None:
    """What a check found, on one screen."""
    screen = Screen()
    good, open_ = _marks(screen)
    screen.say(f"\n{number_of(exercise)}  {exercise.title}", "bold")
    for stage in verdict.stages:
        green, says = stage["green"], stage["says"]
        name = WORDS.get(stage["stage"], stage["stage"])
        more = f"   {'; '.join(says)}" if green and says else ""
        screen.say(f"  {good if green else open_} {name:<18}{more}".rstrip(),
                   "green" if green else "yellow")
        if not green:
            _not_yet(screen, stage, verdict)
    if verdict.printed and not verdict.green:
        lines = verdict.printed.splitlines()
        screen.say("\n  Your file printed", "dim")
        for line in lines[-5:]:
            screen.say(f"    {line[:160]}", "dim")
    if verdict.green:
        praise = PRAISE[number_of(exercise) % len(PRAISE)]
        screen.say(f"\n  {praise}  ({verdict.seconds:.1f} s)", "bold green")
        _after(screen, folder, exercise, first)
    else:
        screen.say(f"\n  Not yet.  ({verdict.seconds:.1f} s)", "bold")
        screen.shell(command("learn", "hint"))
    screen.print()


def _not_yet(screen: Screen, stage: dict[str, object], verdict: Verdict) -> None:
    for line in stage["says"]:  # type: ignore[attr-defined]
        screen.say(f"      {line}")
    if stage.get("call"):
        screen.say("\n      Try it:", "dim")
        screen.copyable(f"      {stage['call']}")
    if verdict.mistake:
        screen.say(f"\n  It looks like this: {verdict.mistake}.", "bold cyan")
        screen.say(f"  {verdict.why}")


def _after(screen: Screen, folder: Folder, exercise: Exercise, first: bool) -> None:
    done = folder.passed()
    if first:
        screen.say(f"  {len(done)} of {len(exercises())} are yours.")
    following = next_of(done, number_of(exercise))
    if following is not None:
        screen.shell(command("learn", "start", following.name))


def next_of(done: set[str], number: int = 0) -> Exercise | None:
    """The first open exercise whose prerequisites are done; if there is none, the first open.

    number: of the exercise that she is at; those behind it come first.
    """
    order = (*exercises()[number:], *exercises()[:number])
    left = [one for one in order if one.name not in done]
    ready = [one for one in left if set(one.after) <= done]
    return next(iter([*ready, *left]), None)


def show_start(folder: Folder, exercise: Exercise, path: Path) -> None:
    """Where the file is, and what to do with it."""
    screen = Screen()
    screen.say(f"\n{number_of(exercise)}  {exercise.title}", "bold")
    screen.say(f"  {_about(exercise)}\n")
    open_ = [name for name in exercise.after if name not in folder.passed()]
    if open_:
        screen.say(f"  It builds on {', '.join(open_)}; begin there if it is too steep.\n", "dim")
    what = {"predict": "Write your answers into", "hunt": "Write your test into"}
    screen.say(f"  {what.get(exercise.kind, 'Write the function in')} {shown(path)}, then")
    screen.shell(command("learn", "check"))
    screen.print()


def _about(exercise: Exercise) -> str:
    kinds = {"write": "write a function", "hunt": "write a test that finds mistakes",
             "predict": "say it before you run it", "faster": "make it faster"}
    where = f", docs/{exercise.chapter}"
    return f"{kinds[exercise.kind]}, about {exercise.minutes} minutes{where}"


def show_list(folder: Folder) -> None:
    """A line for each exercise."""
    screen = Screen()
    good, open_ = _marks(screen)
    done, begun, chapter = folder.passed(), folder.state["exercises"], ""
    for number, one in enumerate(exercises(), 1):
        if one.chapter != chapter:
            chapter = one.chapter
            screen.say(f"\n{chapter.removesuffix('.md')}", "bold")
        mark = good if one.name in done else open_ if one.name in begun else " "
        kind = "" if one.kind == "write" else one.kind
        style = "green" if one.name in done else ""
        about = f"{one.minutes:>3} min  {kind:<8}{one.title}"
        screen.say(f" {mark} {number:>2}  {one.name:<22} {about}", style)
    screen.say(f"\n{len(done)} of {len(exercises())} are yours.\n")


def show_progress(folder: Folder) -> None:
    """How many of each chapter, the time they took by our estimate, and what is next."""
    screen = Screen()
    done = folder.passed()
    chapters: dict[str, list[Exercise]] = {}
    for one in exercises():
        chapters.setdefault(one.chapter.removesuffix(".md"), []).append(one)
    screen.print()
    full, empty = ("#", "-") if plain(screen) else ("■", "□")
    for chapter, ones in chapters.items():
        bar = "".join(full if one.name in done else empty for one in ones)
        screen.say(f"  {chapter:<14} {bar}")
    left = sum(one.minutes for one in exercises() if one.name not in done)
    screen.say(f"\n  {len(done)} of {len(exercises())} are yours, {left / 60:.0f} hours left.")
    following = next_of(done)
    if following is not None:
        screen.say(f"  Next: {following.title}.")
        screen.shell(command("learn", "start", following.name))
    screen.print()


def show_hint(exercise: Exercise, number: int) -> None:
    """One hint of those there are."""
    screen = Screen()
    screen.say(f"\n  Hint {number + 1} of {len(exercise.hints)}", "bold")
    screen.say(f"  {exercise.hints[number]}")
    if number + 1 == len(exercise.hints):
        screen.say("\n  That was the last. The real one, if you must:", "dim")
        screen.shell(command("learn", "show", exercise.name))
    screen.print()


def show_solution(exercise: Exercise, text: str) -> None:
    """The real thing, as it stands in the house."""
    screen = Screen()
    where = exercise.target or "The answers"
    screen.say(f"\n{where}\n", "bold")
    screen.say(text.rstrip())
    screen.print()


def show_reset(folder: Folder, exercise: Exercise, aside: Path | None) -> None:
    """Where the old file went."""
    screen = Screen()
    if aside is not None:
        screen.say(f"\n  Your file is now {shown(aside)}.")
    screen.say(f"  {shown(folder.file(exercise))} begins anew.\n")


def show_waiting() -> None:
    """That it looks again when the file is saved."""
    Screen().say("  (waiting for you to save; Ctrl-C ends)\n", "dim")
