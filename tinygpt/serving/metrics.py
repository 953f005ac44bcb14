"""What the server counts, in the text that Prometheus reads at /metrics.

Names have no colons (those are for rules that sum up), units are seconds and tokens, and no label
holds anything that a client wrote: a label's values are kept for ever.

Read next: server.py.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable

FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
GAPS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class Metric:
    """One name with its help: a counter by labels, or a gauge that is read when asked for."""

    def __init__(self, name: str, help_: str, label: str = "",
                 gauge: Callable[[], float] | None = None):
        self.name, self.help, self.label, self._gauge = name, help_, label, gauge
        self._values: dict[str, float] = {} if label else {"": 0.0}

    def add(self, by: float = 1.0, of: str = "") -> None:
        self._values[of] = self._values.get(of, 0.0) + by

    def lines(self) -> list[str]:
        kind = "counter" if self._gauge is None else "gauge"
        values = self._values if self._gauge is None else {"": self._gauge()}
        return [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} {kind}", *(
            f'{self.name}{{{self.label}="{of}"}} {value:g}' if of else f"{self.name} {value:.17g}"
            for of, value in list(values.items())
        )]


class Histogram:
    """How often a time fell under each of some bounds."""

    def __init__(self, name: str, help_: str, bounds: tuple[float, ...]):
        self.name, self.help, self._bounds = name, help_, bounds
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def lines(self) -> list[str]:
        found, total = [f"# HELP {self.name} {self.help}", f"# TYPE {self.name} histogram"], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), list(self._counts), strict=True):
            total += count
            found.append(f'{self.name}_bucket{{le="{bound}"}} {total}')
        return [*found, f"{self.name}_sum {self._sum:.9g}", f"{self.name}_count {total}"]


class Metrics:
    """All of them; a gauge is added by whoever knows its value."""

    def __init__(self) -> None:
        self.requests = Metric("tinygpt_requests_total", "Requests answered, by status.", "status")
        self.prompt = Metric("tinygpt_prompt_tokens_total", "Tokens of prompts.")
        self.reused = Metric("tinygpt_prompt_tokens_cached_total", "Of those, in the cache.")
        self.drawn = Metric("tinygpt_generated_tokens_total", "Tokens drawn.")
        self.first = Histogram(
            "tinygpt_time_to_first_token_seconds", "From the request to its first token.", FIRST
        )
        self.gaps = Histogram(
            "tinygpt_time_between_tokens_seconds", "Between two tokens of an answer.", GAPS
        )
        self._all: list[Metric | Histogram] = [
            self.requests, self.prompt, self.reused, self.drawn, self.first, self.gaps,
        ]

    def gauge(self, name: str, help_: str, value: Callable[[], float]) -> None:
        self._all.append(Metric(name, help_, gauge=value))

    def text(self) -> str:
        return "\n".join(line for one in self._all for line in one.lines()) + "\n"
