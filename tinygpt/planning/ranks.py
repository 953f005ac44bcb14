"""What several machines make of a training: time and bytes a step, by each way to divide it.

    link = read_link("1gbit")
    for way in ways(plan, ranks=4, link): ...
    for name, settings, sent, seconds in divided(step, ranks=4, link): ...

A step's sequences are divided among the ranks, so that it stays the same step. Each rank works
through its own share; what it then waits for is the sum of gradients. In data parallel that leaves
in buckets during the backward pass and costs only what sticks out of it, and the handling of those
bytes that travel beside it, which takes the same processor's time. (What travels while a rank waits
is handled by a processor that has nothing else to do.) ZeRO-1 sends the second half, the new
weights, after its update; local steps send everything, but seldom.

How many bytes travel is ../distributed/traffic.py's. The time of a share comes from the plan's
trial on this machine: the others are taken to be as fast.

Read first: plan.py. Read next: ../screens/ranks.py, which prints it.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from tinygpt.distributed import traffic
from tinygpt.errors import UsageError
from tinygpt.planning.plan import FLOAT, MARGIN, Memory, Plan, estimate

MB = 2**20
LOCAL = "local steps"
NAMES = {"100mbit": 100e6, "1gbit": 1e9, "10gbit": 10e9}  # bits a second, nominal
MOST = 1024  # ranks
BACKWARD = 2 / 3  # of a pass, during which gradients leave
BUCKET = 1 << 20  # bytes: the last one leaves when nothing is left to hide it
LATENCY = 2e-4  # seconds of a message between two machines over a switch, both ways
# Seconds of a processor, on Zen 3: for a byte sent and one received, by TCP in packets of 1,500
# bytes (`bench link`; a network card that cuts packets by itself takes less), and for a value that
# is made int8, with what rounding leaves over, and back.
HANDLING, CODES = 8e-9, 5e-9
EVERY = 30  # local steps between two meetings, where the settings do not say
# Another way must take at most so much of a simpler one's time to be advised; and local steps,
# which are another training and need more tokens for the same loss, so much.
SIMPLER, OTHERWISE = 0.95, 0.7


class Link(NamedTuple):
    """rate: payload, bytes a second each way.  words: what it is."""

    rate: float
    words: str


class Way(NamedTuple):
    """One way to divide a training.

    name, settings: for `--set`.  traffic: bytes that a rank sends a step, in the mean.
    seconds: of a step.  efficiency: of `ranks` machines, one by itself being 1.
    memory: bytes of a rank.
    """

    name: str
    settings: str
    traffic: float
    seconds: float
    efficiency: float
    memory: int


class Step(NamedTuple):
    """A step on one machine.

    size: parameters.  sequences: of a step, of which at_once go in one pass.
    passes, update: seconds of one sequence's pass, and of the optimizer.
    every: local steps between two meetings.
    """

    size: int
    sequences: int
    at_once: int
    passes: float
    update: float
    every: int = EVERY


def read_link(text: str) -> Link:
    """A link by its nominal rate, or by what `python -m bench link` measured, in Mbit/s.

    A nominal rate carries a share of payload, the rest being headers (traffic.on_the_wire).
    Raises UsageError.
    """
    name = text.strip().lower()
    if name in NAMES:
        return Link(NAMES[name] / 8 / traffic.on_the_wire(1.0), f"{name}, nominal")
    if re.fullmatch(r"\d+(\.\d+)?(e\d+)?", name) and 0 < float(name) < 1e7:
        return Link(float(name) * 1e6 / 8, f"{float(name):g} Mbit/s, as measured")
    raise UsageError(
        f"--link {text!r} is no link. Give one of {', '.join(NAMES)}, or a number: the Mbit/s "
        "that `python -m bench link` measures (its mbit)."
    )


def check_ranks(ranks: int, sequences: int) -> None:
    """Raises UsageError for a number of machines that a step cannot be divided among."""
    if ranks < 2:
        raise UsageError(f"--ranks {ranks}: that is one machine. Give 2 or more, or leave it out.")
    most = min(sequences, MOST)
    if ranks > most:
        raise UsageError(
            f"--ranks {ranks}: a step of {sequences} sequences divides among {most} at most. Give "
            f"--ranks {most} or fewer, or a larger batch: --set training.batch_size={ranks}."
        )


def ways(plan: Plan, ranks: int, link: Link) -> list[Way]:
    """Every way, in the order of how much it changes.  plan: with a trial's times."""
    trial, recipe, size = plan.trial, plan.config.training, plan.objective.parameters
    assert trial is not None  # the caller has seen it
    sequences = recipe.batch_size * recipe.accumulation
    step = Step(size, sequences, recipe.batch_size, trial.pass_seconds[1] / trial.batch_size,
                trial.update_seconds, recipe.local_steps or EVERY)
    memory = _memory(plan, math.ceil(sequences / ranks))
    more = {"int8": size * FLOAT, "ZeRO-1": -memory.moments * (1 - 1 / ranks),
            LOCAL: 2 * size * FLOAT}
    one = step.sequences * step.passes + step.update
    return [
        Way(name, settings, sent, seconds, one / (ranks * seconds),
            int(memory.total + more.get(name, 0)))
        for name, settings, sent, seconds in divided(step, ranks, link)
    ]


def divided(step: Step, ranks: int, link: Link) -> list[tuple[str, str, float, float]]:
    """(name, settings, bytes that a rank sends, seconds) of a step, by every way."""
    size, share = step.size, math.ceil(step.sequences / ranks)
    last = step.passes * min(share, step.at_once)  # the pass whose backward hides
    work = share * step.passes

    def costs(sent: float, coded: bool) -> tuple[float, float]:
        """(seconds on the link, seconds of a processor) of a whole sum."""
        buckets = math.ceil(FLOAT * size / BUCKET)
        return sent / link.rate + 2 * buckets * LATENCY, sent * HANDLING + coded * size * CODES

    def waited(wire: float, busy: float, hidden: float) -> float:
        """Seconds that a sum adds to a step, `hidden` of them on the link beside other work."""
        return wire - hidden + busy * hidden / wire

    found = []
    for coded in (False, True):
        sent = (traffic.data_parallel_int8 if coded else traffic.data_parallel)(size, ranks)
        wire, busy = costs(sent, coded)
        tail = wire * min(1.0, BUCKET / (FLOAT * size))
        hidden = min(wire - tail, BACKWARD * last)
        seconds = work + step.update + waited(wire, busy, hidden)
        name, setting = ("int8", "training.exchange=int8") if coded else ("data parallel", "")
        found.append((name, setting, sent, seconds))
    sent = traffic.zero1(size, ranks)
    wire, busy = costs(sent, False)
    hidden = min(wire / 2, BACKWARD * last)
    seconds = work + step.update / ranks + waited(wire, busy, hidden)
    found.append(("ZeRO-1", "training.zero=true", sent, seconds))
    wire, busy = costs(traffic.data_parallel(size, ranks), False)
    seconds = work + step.update + waited(wire, busy, 0.0) / step.every
    sent = traffic.local_steps(size, ranks, step.every)
    found.append((LOCAL, f"training.local_steps={step.every}", sent, seconds))
    return found


def best(found: list[Way], room: float = math.inf) -> Way:
    """The fastest that fits `room` bytes, simpler ones first where it hardly matters.

    ZeRO-1 is for memory: of what sends the same bytes it is taken where the other does not fit.
    """
    fitting = [way for way in found if way.memory <= room] or [min(found, key=lambda w: w.memory)]
    chosen = fitting[0]
    for way in fitting[1:]:
        less = OTHERWISE if way.name == LOCAL else SIMPLER
        if way.seconds < less * chosen.seconds:
            chosen = way
    return chosen


def advice(plan: Plan, ranks: int, link: Link) -> str:
    """What to do, in a sentence."""
    found = ways(plan, ranks, link)
    room = MARGIN * plan.limit.size if plan.limit is not None else math.inf
    way = best(found, room)
    gain = ranks * way.efficiency
    if way.memory > room:
        return ("None of these fits the memory of a machine like this one: the least is "
                f"{way.memory / MB:,.0f} MB, and {room / MB:,.0f} MB may be taken.")
    if gain < 1.15:
        return (f"Stay with one machine: {ranks} over this link do {gain:.2f} times its work at "
                f"best ({way.name}). A faster cable or a larger model changes that.")
    how = f" with --set {way.settings}" if way.settings else ", as it is"
    return (f"Take {way.name}{how}: {ranks} machines do {gain:.1f} times the work of one "
            f"(efficiency {way.efficiency:.2f}).")


def _memory(plan: Plan, share: int) -> Memory:
    """Of a rank with so many sequences of a step: the plan's, its activations cut down."""
    recipe = plan.config.training
    if share >= recipe.batch_size:
        return plan.memory
    smaller = plan.objective.with_training(batch_size=share, accumulation=1)
    fewer = estimate(smaller, plan.memory.runtime).activations
    whole = estimate(plan.objective, plan.memory.runtime).activations
    activations = int(plan.memory.activations * fewer / max(whole, 1))
    return Memory(plan.memory.weights, plan.memory.gradients, plan.memory.moments, activations,
                  plan.memory.runtime)
