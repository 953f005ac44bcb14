"""A budget of hours, and the size and the tokens that make the most of it here.

    hours = read_budget("48 hours")
    for choice in choices(3600 * hours, speed_here(2.0), law): ...
    for choice in choices(3600 * hours, speed_here(2.0), law, 4, read_link("1gbit")): ...

The time holds so many operations of this machine; a larger model sees fewer tokens of them. Each
shape of a short list is asked what the law (scaling.py) expects of it, and where its runs may end.
It speaks of the stories, letter by letter, of which new ones can be written for ever; for a text
that ends, `--minutes` knows the law (dial.py).

Read first: scaling.py, dial.py.
"""

from __future__ import annotations

import math
import re
import time
from typing import NamedTuple

from tinygpt.errors import UsageError
from tinygpt.machine.energy import PACKAGES, Meter
from tinygpt.model.shape import ModelShape
from tinygpt.planning.dial import BEGINNING, SHAPES, heads_of, work
from tinygpt.planning.ranks import LOCAL, Link, Step, divided
from tinygpt.planning.scaling import Law

HOURS = {"minute": 1 / 60, "hour": 1.0, "day": 24.0, "week": 168.0}
LONGEST = 24 * 366  # hours
CONTEXT, BATCH, LETTERS = 128, 8, 58  # as the law's runs had them
LARGER = ((8, 640), (10, 768), (12, 1024))  # than the dial's, for weeks
STORIES = 1 << 10  # million characters that are written at most: more passes over them, then
HELD_OUT = 0.1


class Choice(NamedTuple):
    """A shape, and what a budget makes of it.

    parameters: in blocks.  tokens: learned from.  loss: nats a token; low, high: nine of ten.
    gain: work of several machines, one's being 1.  way, exchange: how they divide a step, for
    `--set`.
    """

    layers: int
    width: int
    parameters: int
    steps: int
    tokens: int
    loss: float
    low: float
    high: float
    gain: float = 1.0
    way: str = ""
    exchange: str = ""


def read_budget(text: str, hourly: float | None = None) -> float:
    """Hours of "48 hours", "30 min", "2 days", "90m"; or of money, at `hourly` an hour.

    Raises UsageError.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)\.?\s*", text.lower())
    amount, unit = (float(found[1]), found[2]) if found else (0.0, "")
    name = next((name for name in HOURS if unit and _means(unit, name)), None)
    if hourly is not None and found and not unit:
        if not 0 < hourly < math.inf:
            raise UsageError(f"--hourly {hourly:g} is no price. Give what an hour costs, above 0.")
        hours = amount / hourly
    elif found and name and hourly is None:
        hours = amount * HOURS[name]
    else:
        raise UsageError(
            f"--budget {text!r} is no time. Give \"48 hours\", \"30 minutes\" or \"2 days\"; or an "
            "amount of money alone, as 12, with --hourly, what an hour of the machine costs."
        )
    if not 1 / 60 <= hours <= LONGEST:
        raise UsageError(f"--budget {text!r} is {hours:,.3g} hours. Give a minute to a year.")
    return hours


def _means(unit: str, name: str) -> bool:
    """min, mins, minutes; h, hr, hrs, hours; d, days: of the names that begin so."""
    return (f"{name}s".startswith(unit) or unit in ({"hr", "hrs"} if name == "hour" else
                                                   {"mins"} if name == "minute" else set()))


def choices(
    seconds: float, speed: float, law: Law, machines: int = 1, link: Link | None = None
) -> list[Choice]:
    """What each shape comes to in the time, the least loss first.

    speed: operations a second, as dial.speed_here measures it.  machines: so many as fast ones,
    `link` between them, which divide each step the quickest way that leaves it the same step.
    """
    found = []
    for layers, width in (*SHAPES, *LARGER):
        step = one = work(shape_of(layers, width), BATCH * CONTEXT) / speed
        parameters, how = 12 * layers * width**2, ("", "")
        if link is not None:
            alone = Step(parameters, BATCH, BATCH, one / BATCH, 0.0)
            same = [way for way in divided(alone, machines, link) if way[0] != LOCAL]
            name, setting, _, step = min(same, key=lambda way: way[3])
            how = name, setting
        steps = int(seconds / step)
        if steps < 1:
            continue
        tokens = steps * BATCH * CONTEXT
        ends = law.interval(parameters, tokens)
        loss = law.loss(parameters, tokens)
        found.append(
            Choice(layers, width, parameters, steps, tokens, loss, *ends, one / step, *how))
    return sorted(found, key=lambda choice: choice.loss)


def shape_of(layers: int, width: int) -> ModelShape:
    """As the law's runs were made."""
    return ModelShape(
        n_layers=layers, d_model=width, n_heads=heads_of(width), context=CONTEXT,
        vocab_size=LETTERS, **BEGINNING["model"],
    )


def settings(choice: Choice) -> list[str]:
    """"section.key=value" texts that make the training of a choice."""
    begin = {**BEGINNING["training"], "steps": choice.steps, "batch_size": BATCH}
    model = {**BEGINNING["model"], "n_layers": choice.layers, "d_model": choice.width,
             "n_heads": heads_of(choice.width), "context": CONTEXT, "dropout": 0.0}
    written = min(STORIES, math.ceil(choice.tokens / 1e6 / (1 - HELD_OUT)))
    sections = {"model": model, "tokenizer": {"kind": "char"},
                "data": {"stories_mb": written}, "training": begin}
    made = [f"{section}.{key}={value}" for section, values in sections.items()
            for key, value in values.items()]
    return [*made, choice.exchange] if choice.exchange else made


class Metered(NamedTuple):
    """speed: operations a second.  watts: of the processor meanwhile, None with `why`."""

    speed: float
    watts: float | None
    why: str


def speed_and_power(seconds: float) -> Metered:
    """A trial, and what the processor took during it where the machine tells."""
    from tinygpt.planning.dial import speed_here

    meter, start = Meter.find(), time.perf_counter()
    speed = speed_here(seconds)
    if meter is not None:
        return Metered(speed, meter.joules() / (time.perf_counter() - start), "")
    if not any(PACKAGES.glob("intel-rapl:*")):
        why = f"this machine does not tell: nothing counts it in {PACKAGES}"
    else:
        why = f"its counters in {PACKAGES} may be read by root alone"
    return Metered(speed, None, why)
