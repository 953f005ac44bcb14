"""`python -m bench COMMAND`: the measurements behind every claim of speed.

A command is a module of this package with a click command in a variable named `command`; it is
imported when it is called, so that adding a benchmark is adding a file and one line here.

Read next: timing.py (how we measure), train.py (the one that matters most).
"""

from __future__ import annotations

import importlib
import sys

import click

COMMANDS = {
    "train": "Training steps, ours and PyTorch's: tokens/s, MFU, memory, time to the first step.",
    "profile": "Where a training step of ours goes, op by op.",
    "matmul": "Matrix products on GPT shapes against NumPy's and PyTorch's.",
    "attention": "Attention, forward and backward, against scaled_dot_product_attention.",
    "ops": "Elementwise and norm kernels against the copy bandwidth.",
    "grads": "Every gradient against finite differences and PyTorch.",
    "tokenizer": "Training and encoding against tokenizers and tiktoken.",
    "generate": "Tokens per second of generation.",
    "race": "Wall time to a validation loss: the rows of LEADERBOARD.md.",
    "ladder": "One op from naive Python to C, rung by rung.",
    "environment": "This machine: CPU, caches, versions, sgemm and copy rates.",
}


class LazyGroup(click.Group):
    """Imports bench/<name>.py when the command <name> is asked for."""

    def list_commands(self, ctx):
        return list(COMMANDS)

    def get_command(self, ctx, name):
        if name not in COMMANDS:
            return None
        try:
            return importlib.import_module(f"bench.{name}").command
        except ModuleNotFoundError as error:
            if error.name == f"bench.{name}":
                raise click.ClickException(f"{name} is not written yet") from error
            raise

    def format_commands(self, ctx, formatter):
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main():
    """Measure. Every comparison is interleaved, A B A B, and quoted as a median of ratios."""


if __name__ == "__main__":
    sys.exit(main(prog_name="python -m bench"))
