"""What a run has to remember besides weights and optimizer: where it is and what it has seen.

Everything that decides the next step is here or in the batches' own `state_dict`, so a run that is
stopped, killed and resumed goes through the same numbers as one that never stopped.

Read next: loop.py, then checkpoint.py.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygpt.storage.reading import COUNT, NUMBER, RANDOM_STATE, check, optional

STATE = {
    **dict.fromkeys(
        ("step", "tokens", "low_step", "skipped", "skipped_in_a_row", "rollbacks"), COUNT
    ),
    **dict.fromkeys(("seconds", "lr_scale", "lr_ceiling"), NUMBER),
    "losses": [NUMBER], "norms": [NUMBER], "low": optional(NUMBER),
    "best_loss": optional(NUMBER), "best_step": optional(COUNT), "rng": RANDOM_STATE,
}


@dataclass
class TrainState:
    """The place of a run. One object, changed by the loop and saved as JSON.

    step: optimizer steps behind us (skipped ones count: their data is used up).
    tokens: tokens seen.  seconds: spent in the loop, over all sessions.
    lr_scale: factor on the schedule's rate, lowered by each rollback.  lr_ceiling: what it climbs
        back to while steps are good.
    losses, norms: the last accepted ones, by which a spike is recognised (trouble.py).
    low, low_step: lowest mean of recent losses so far, and when that was.
    skipped: steps thrown away; skipped_in_a_row ends with the next good step.
    rollbacks: returns to a checkpoint because of trouble.
    best_loss, best_step: lowest loss on the validation split, nats per token.
    rng: the stream that initialised the model and draws its dropout.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    lr_scale: float = 1.0
    lr_ceiling: float = 1.0
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    low: float | None = None
    low_step: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    rollbacks: int = 0
    best_loss: float | None = None
    best_step: int | None = None
    rng: np.random.Generator = field(default_factory=np.random.default_rng)

    def forget_usual(self) -> None:
        """Start anew in learning what losses are usual, because the recipe has changed."""
        self.losses, self.norms, self.low, self.low_step = [], [], None, self.step

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; floats keep every bit there (repr round-trips)."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["losses"], values["norms"] = list(self.losses), list(self.norms)
        values["rng"] = self.rng.bit_generator.state
        return values

    def load_dict(self, values: dict[str, Any]) -> None:
        """Take over saved values, in place: model and loop keep their references.

        Raises FormatError for a value that is missing or of another kind.
        """
        check(values, STATE)
        for f in dataclasses.fields(self):
            if f.name != "rng":
                setattr(self, f.name, values[f.name])
        self.rng.bit_generator.state = values["rng"]
