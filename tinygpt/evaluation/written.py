"""What a model writes, beside what is wanted: sums, answers, continuations, code.

    WrittenSuite("addition", tasks, {"exact": exact})       tasks: prompts with wanted texts

Every task is written greedily, or `attempts` times by chance for pass@k; what is written is scored
by functions of (written, wanted), and means stand in the table with their intervals, by group where
tasks have groups.

Read first: subject.py. Read next: suites/generated.py, metrics/.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.evaluation.intervals import (
    Interval,
    alone,
    chance,
    difference,
    in_clusters,
    mean,
    share,
)
from tinygpt.evaluation.metrics import pass_at_k
from tinygpt.evaluation.results import Pair, Row
from tinygpt.evaluation.subject import Subject, cut
from tinygpt.evaluation.suite import Suite
from tinygpt.inference.sampling import GREEDY, Sampling

AT_ONCE = 64  # tasks between two lines of progress
Metric = Callable[[str, Sequence[str]], float]


class Task(NamedTuple):
    """A prompt and what may follow it.

    stop: texts that end what is written.  chance: whoever guesses is right so often, 0 for never.
    group: tasks of one name stand in a row of the table.
    """

    name: str
    prompt: str
    wanted: tuple[str, ...]
    cluster: str
    max_tokens: int = 40
    stop: tuple[str, ...] = ("\n",)
    chance: float = 0.0
    group: str = ""


class WrittenSuite(Suite):
    """metrics: name -> function; those whose values are 0 or 1 are shares."""

    kind = "written"

    def __init__(
        self, name: str, tasks: Sequence[Task], metrics: Mapping[str, Metric], identity: str,
        notes: Sequence[str] = (), sampling: Sampling = GREEDY, seed: int = 0,
    ):
        self.tasks, self.metrics, self.sampling, self.seed = list(tasks), metrics, sampling, seed
        settings = {"tasks": identity, "temperature": sampling.temperature, "seed": seed}
        super().__init__(name, settings, notes)

    def __len__(self) -> int:
        return len(self.tasks)

    def lines(self, subject: Subject, done: Collection[str]) -> Iterator[dict[str, Any]]:
        left = [task for task in self.tasks if task.name not in done]
        for at in range(0, len(left), AT_ONCE):
            some = left[at : at + AT_ONCE]
            for task, written in zip(some, self._write(subject, some), strict=True):
                if isinstance(written, UserError):
                    yield {"item": task.name, "left_out": str(written)}
                else:
                    yield self.line(task, written)

    def _write(self, subject: Subject, tasks: Sequence[Task]) -> list[str | UserError]:
        """All together where that is possible, else one by one to see which is not."""
        longest = max(task.max_tokens for task in tasks)
        stop = [one for one in tasks[0].stop if all(one in task.stop for task in tasks)]

        def write(tasks: Sequence[Task]) -> list[str]:
            prompts = [task.prompt for task in tasks]
            found = subject.write(prompts, longest, stop, self.sampling, self.seed)
            return [cut(text, task.stop) for text, task in zip(found, tasks, strict=True)]

        try:
            return list[str | UserError](write(tasks))
        except UserError:
            found: list[str | UserError] = []
            for task in tasks:
                try:
                    found += write([task])
                except UserError as error:
                    found.append(error)
            return found

    def line(self, task: Task, written: str) -> dict[str, Any]:
        scores = {name: metric(written, task.wanted) for name, metric in self.metrics.items()}
        more = {"chance": task.chance} if task.chance else {}
        return {"item": task.name, "prompt": task.prompt[-400:], "written": written,
                "wanted": list(task.wanted), "scores": scores, "cluster": task.cluster,
                "group": task.group, **more}


def starts(written: str, wanted: Sequence[str]) -> float:
    """1 if the text begins with one of the wanted."""
    return float(any(written.strip().startswith(one.strip()) for one in wanted))


def exact(written: str, wanted: Sequence[str]) -> float:
    """1 if the text is one of the wanted, but for white space around it."""
    return float(written.strip() in [one.strip() for one in wanted])


# What lines say.


def rows(
    header: dict[str, Any], lines: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[Row]:
    """The mean of each score, and of each group's.  Raises UserError where nothing was asked."""
    counted = _counted(lines)
    names = list(counted[0]["scores"])
    groups = list(dict.fromkeys(line["group"] for line in counted if line.get("group")))
    found = []
    for name in names:
        found.append(Row(name, _mean(counted, name, rng), percent=_is_share(counted, name)))
        for group in groups if len(groups) > 1 else ():
            some = [line for line in counted if line["group"] == group]
            found.append(Row(f"{name}, {group}", _mean(some, name, rng),
                             percent=_is_share(some, name), note=f"{len(some)} items"))
    found += _by_attempts(counted, rng)
    ways = [line.get("chance", 0.0) for line in counted]
    if any(ways):
        low, high = chance(ways)
        guess = alone(float(np.mean(ways)))._replace(low=low, high=high)
        found.append(Row("by chance", guess, percent=True))
    return found


def _by_attempts(lines: Sequence[dict[str, Any]], rng: np.random.Generator) -> list[Row]:
    """pass@k of tasks that were written several times, by their first score."""
    name = next(iter(lines[0]["scores"]))
    if ", attempt " not in lines[0]["item"] or not _is_share(lines, name):
        return []
    right, all_of = in_clusters(
        [line["scores"][name] for line in lines], [line["cluster"] for line in lines]
    )
    found = []
    for k in (2, 5, 10, 50):
        if k <= all_of.min():
            each = [pass_at_k(int(n), int(c), k) for n, c in zip(all_of, right, strict=True)]
            found.append(Row(f"pass@{k}", _mean_of(each, None, rng), percent=True))
    return found


def verdict(
    header: dict[str, Any], lines: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[str]:
    counted = _counted(lines)
    ways = [line.get("chance", 0.0) for line in counted]
    if not any(ways):
        return []
    name = next(iter(counted[0]["scores"]))
    found = float(np.mean([line["scores"][name] for line in counted]))
    low, high = chance(ways)
    where = "above" if found > high else "below" if found < low else "within"
    return [f"{found:.1%} is {where} what guessing among what could be answered gives, {low:.1%} "
            f"to {high:.1%}."]


def paired(
    a: Sequence[dict[str, Any]], b: Sequence[dict[str, Any]], rng: np.random.Generator
) -> list[Pair]:
    clusters = [line["cluster"] for line in a]
    pairs = []
    for name in a[0]["scores"]:
        known = [[line["scores"].get(name, 0.0) for line in lines] for lines in (a, b)]
        (x, counts), (y, _) = (in_clusters(one, clusters) for one in known)
        pairs.append(Pair(name, _mean(a, name, rng), _mean(b, name, rng),
                          difference(x, y, counts, rng), (x, y), counts,
                          percent=_is_share([*a, *b], name)))
    return pairs


def _counted(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    counted = [line for line in lines if "left_out" not in line]
    if not counted:
        reason = lines[0]["left_out"] if lines else "there was none."
        raise UserError(f"no task could be asked: {reason}")
    return counted


def _mean(lines: Sequence[dict[str, Any]], name: str, rng: np.random.Generator) -> Interval:
    values = [line["scores"][name] for line in lines]
    return _mean_of(values, [line["cluster"] for line in lines], rng)


def _mean_of(
    values: Sequence[float], clusters: Sequence[str] | None, rng: np.random.Generator
) -> Interval:
    """Of values that all are 0 or 1 drawing again may say nothing, and `share` knows what to do."""
    return (share if set(values) <= {0, 1} else mean)(values, clusters, rng)


def _is_share(lines: Sequence[dict[str, Any]], name: str) -> bool:
    return all(line["scores"][name] in (0, 1) for line in lines)
