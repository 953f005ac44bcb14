"""`python -m bench COMMAND`: the measurements behind every claim of speed.

Run it in a checkout after `pip install -e ".[bench]"`: that builds the C in place and brings the
peers.

A command is a module of this package with a click command in a variable named `command`; it is
imported when it is called, so that adding a benchmark is adding a file and one line here.

Read next: timing.py (how we measure), train.py (the one that matters most).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from tinygpt.cli.lazy import LazyGroup

COMMANDS = {
    "train": "Training steps, ours and PyTorch's: tokens/s, MFU, memory, time to the first step.",
    "profile": "Where a training step of ours goes, op by op.",
    "shares": "Where a training step of ours goes, phase by phase, by optimizer.",
    "matmul": "Matrix products on GPT shapes against NumPy's and PyTorch's.",
    "attention": "Attention, forward and backward, against scaled_dot_product_attention.",
    "ops": "Elementwise and norm kernels against the copy bandwidth.",
    "grads": "Every gradient against finite differences and PyTorch.",
    "checkers": "Right and wrong derivatives against our checker and the public ones.",
    "foreign": "The test suites of micrograd, MiniTorch, autograd and tinygrad, against minigrad.",
    "tokenizer": "Training and encoding against tokenizers and tiktoken.",
    "generate": "Tokens per second of generation.",
    "draft": "What guessing tokens gives, by good and by wrong guesses.",
    "serve": "A server as its clients see it: streams, first tokens, gaps.",
    "serve-identity": "Whether an answer depends on its company: requests served in many ways.",
    "serve-abuse": "Slow, broken and rude clients by the thousand, and what the others notice.",
    "serve-peer": "Our server and llama.cpp's on the same file, one and eight at once.",
    "serve-load": "Mixed load for minutes, and what has grown.",
    "ranks": "A step of several processes: its time, and the bytes that it sends.",
    "ranks-kill": "Ranks killed at random: whether training ends with the right bytes.",
    "link": "The line between ranks: latency, and bytes a second.",
    "namespaces": "Ranks on one machine with cables of a known rate between them (root).",
    "look": "The screens of /look: the server's time, a hover's, and what a training notices.",
    "smollm2": "A real model from its GGUF against llama.cpp: loss, greedy text, ids, opening.",
    "hostile": "Curation among 500 files made to harm; with --kills N killed and gone on with.",
    "curate": "Speed and memory of `tinygpt curate`; with --proof what a model gains by it.",
    "languages": "Language identification, taught by one Debian package, examined on another.",
    "handbook": "SmolLM2 learns chapters of the Debian FAQ: loss before and after, memory, time.",
    "mutants": "Changes one line of the code and sees whether a test fails.",
    "golden": "Whether two checkouts leave the same bytes.",
    "sanitizers": "Every C kernel under ASan, UBSan and TSan, on drawn calls.",
    "emulate": "Kernels for machines that are not here: ARM and s390x under qemu, AVX-VNNI in C.",
    "families": "Every switch of the model's shape at equal budgets: loss, parameters, time.",
    "peft": "Methods of fine-tuning: parameters, memory, time, beside torch + peft.",
    "compress": "Every way to make a model smaller: bytes, speed, quality, one chart.",
    "distill": "What a teacher is worth: its student beside the same student of the text alone.",
    "encoder": "An encoder's tasks: text into classes, stories of one plot.",
    "numbers": "An encoder-decoder's task: numbers by name and by digits, exact or not.",
    "tasks": "Tasks learned from conversations: held-out answers right and ended, or not.",
    "evaluate": "Evaluation: 1,000 questions of four choices, and lm-eval on the same items.",
    "judge": "A judge of answers, trained here: agreement with the truth, in both orders.",
    "planted": "What was planted in a text, and what evaluations find of it.",
    "align": "Every algorithm of alignment on every task whose answer is known.",
    "align-rewards": "Reward models beside what is possible, and over-optimisation, drawn.",
    "cluster": "The cluster on paper: fitted to short trainings, asked about long ones.",
    "dial": "What `train --minutes` chooses by, fitted; beside choices made by hand.",
    "scaling": "Loss by size and length: our runs, the fit, and each run left out.",
    "race": "Wall time to a validation loss: the rows of LEADERBOARD.md.",
    "ladder": "One op from naive Python to C, rung by rung.",
    "environment": "This machine: CPU, caches, versions, sgemm and copy rates.",
}
TABLE = {name: (f"bench.{name.replace('-', '_')}:command", line) for name, line in COMMANDS.items()}


def without_c() -> str | None:
    """One line on what "auto" runs, why, and what mends it; None where the C kernels answer.

    `python -m bench` in a checkout imports the checkout's own kernels/: the extension that
    `pip install .` put into site-packages is not used. A backend or instruction set asked for by
    name is met or an error, so that there is nothing to say.
    """
    import kernels

    asked = [os.environ.get(key) or "auto" for key in ("KERNELS_BACKEND", "KERNELS_ISA")]
    if asked != ["auto", "auto"]:
        return None
    try:
        kernels.load("c")
        return None
    except RuntimeError as error:
        reason = error.__cause__
    runs = " + ".join(sorted(set(kernels.in_use()["ops"].values())))
    return (
        f'bench: these figures are not C\'s: backend "auto" chose {runs}, for in '
        f"{Path(kernels.__file__).parent} {reason}. With gcc, `pip install -e .` mends it"
    )


@click.group(cls=LazyGroup, table=TABLE)
def main():
    """Measure. Every comparison is interleaved, A B A B, and quoted as a median of ratios."""
    if warning := without_c():
        click.echo(warning, err=True)


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m bench"))
