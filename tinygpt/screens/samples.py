"""Samples of a fine-tuning as the model reads them: text and ids, what is learned in brackets.

    line 1 of chat.jsonl: 9 tokens, 4 learned
      <|user|>What?<|end|><|assistant|>[A cat.<|end|>]
      259 87 1034 63 261 260 [65 1203 46 261]

On a terminal it is coloured as well.

Read next: ../finetuning/rendering.py.
"""

from __future__ import annotations

import itertools

import numpy as np
from rich.text import Text

from tinygpt.finetuning.objective import Finetuning
from tinygpt.machine.terminal import visible
from tinygpt.screens.console import Screen

LEARNED, READ = "bold green", "dim"


def show_samples(screen: Screen, objective: Finetuning, count: int) -> None:
    """Print the first samples that are learned from, and what they are of."""
    tokenizer = objective.taught.tokenizer
    pairs = zip(objective.data.train[:count], objective.samples, strict=False)
    for conversation, sample in pairs:
        learned = int(sample.learned.sum())
        screen.say(
            f"{conversation.where or 'made'}: {len(sample.ids)} tokens, {learned} learned"
        )
        text, ids = Text("  "), Text("  ")
        for wanted, group in itertools.groupby(range(len(sample.ids)), sample.learned.__getitem__):
            part = sample.ids[list(group)]
            _add(text, tokenizer.decode(part), bool(wanted))
            _add(ids, " ".join(map(str, part.tolist())), bool(wanted))
            ids.append(" ")
        screen.print(text)
        screen.print(ids)
    lengths = np.array([len(sample.ids) for sample in objective.samples])
    screen.say(
        f"{len(lengths):,} conversations, {lengths.min()} to {lengths.max()} tokens long, "
        f"{np.median(lengths):.0f} in the middle. [In brackets] is learned."
    )


def _add(line: Text, part: str, wanted: bool) -> None:
    shown = visible(part)
    line.append(f"[{shown}]" if wanted else shown, style=LEARNED if wanted else READ)
