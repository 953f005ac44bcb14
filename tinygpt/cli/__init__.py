"""The command line: a table of subcommands, each imported only when it is called.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 130 interrupted (after saving).
"""

from __future__ import annotations

import importlib
import os
import sys

import click

from tinygpt.cli.lazy import LazyGroup
from tinygpt.errors import UsageError, UserError
from tinygpt.machine.terminal import command

# name: (module:function, help). The helps stand here so that --help imports no command.
COMMANDS = {
    "quickstart": ("tinygpt.cli.quickstart:quickstart", "Train a GPT in two minutes and read it."),
    "train": ("tinygpt.cli.training:train", "Train a GPT on stories, python or your own text."),
    "finetune": ("tinygpt.cli.finetuning:finetune", "Teach a model to answer."),
    "align": ("tinygpt.cli.alignment:align", "Teach a model what people prefer or a rule rewards."),
    "feedback": ("tinygpt.cli.feedback:feedback", "Let people compare two answers at a time."),
    "merge": ("tinygpt.cli.finetuning:merge", "One model of a base and an adapter."),
    "generate": ("tinygpt.cli.inference:generate", "Let a trained model go on from a prompt."),
    "chat": ("tinygpt.cli.chat:chat", "Talk with a trained model."),
    "serve": ("tinygpt.cli.serving:serve", "OpenAI's API and a chat page for trained models."),
    "classify": ("tinygpt.cli.encoder:classify", "Say which class texts are of."),
    "embed": ("tinygpt.cli.encoder:embed", "Texts as vectors, by a trained encoder."),
    "curate": ("tinygpt.cli.curation:curate", "Make a clean corpus of any folder of documents."),
    "world": ("tinygpt.cli.world:world", "Stories and questions in the words of any language."),
    "tokenizer": ("tinygpt.cli.tokenizer:tokenizer", "Train, use, look into, compare tokenizers."),
    "plan": ("tinygpt.cli.planning:plan", "Time and memory of a run before it starts."),
    "diagnose": ("tinygpt.cli.training:diagnose", "What is wrong with a trained model."),
    "evaluate": ("tinygpt.cli.evaluation:evaluate", "What a model can do, and how sure that is."),
    "compare": ("tinygpt.cli.evaluation:compare", "Two models on the same items."),
    "prompts": ("tinygpt.cli.evaluation:prompts", "What a prompt is worth, measured."),
    "card": ("tinygpt.cli.evaluation:card", "A model card of a run and its evaluations."),
    "export": ("tinygpt.cli.training:export", "A run's report, CSV, or its model for others."),
    "import": ("tinygpt.cli.exchange:import_", "A run of a model that others trained."),
    "models": ("tinygpt.cli.models:models", "Models that lie around: list, look into, delete."),
    "quantize": ("tinygpt.cli.inference:quantize", "Make a model smaller: int8, int4, nf4."),
    "book": ("tinygpt.cli.book:book", "The book: a web site without internet, or notebooks."),
    "learn": ("tinygpt.cli.learn:learn", "Exercises on this very code, and which mistake it is."),
    "distill": ("tinygpt.cli.distillation:distill", "A small model learns from a large one."),
    "compress": ("tinygpt.cli.compression:compress", "Prune, shrink, round by what is read."),
    "doctor": ("tinygpt.cli.doctor:doctor", "This machine: what runs here, how fast, and why."),
}
ENVIRONMENT = ("TINYGPT_THREADS", "OMP_NUM_THREADS", "KERNELS_BACKEND", "KERNELS_ISA")


@click.group(cls=LazyGroup, table=COMMANDS)
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="tinygpt")
def cli(debug):
    """A language model end to end, on this machine alone: no GPU, no download.

    \b
    New here?
      tinygpt quickstart
    On your own text:
      tinygpt train S --data my.txt
    Read what it says:
      tinygpt generate run

    TINYGPT_THREADS sets the number of threads; KERNELS_BACKEND (numpy, numba, c) and KERNELS_ISA
    (generic, avx2, avxvnni, avx512; on ARM neon, dotprod) force what `tinygpt doctor` would
    otherwise choose.
    """
    if debug:
        os.environ["TINYGPT_DEBUG"] = "1"
    if any(os.environ.get(name) for name in ENVIRONMENT):
        _check_environment()


def _check_environment() -> None:
    """Raise UserError where a variable asks for what is not to be had here: before any work."""
    try:
        kernels = importlib.import_module("kernels")
        kernels.use()
        kernels.get_num_threads()
    except (ValueError, RuntimeError) as error:
        raise UsageError(str(error)) from error


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `tinygpt` and `python -m tinygpt`; ends the process."""
    for stream in (sys.stdout, sys.stderr):  # a character that a terminal lacks is no reason to end
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        sys.exit(cli.main(arguments, prog_name=command(), standalone_mode=False) or 0)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output left, as in `tinygpt ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except Exception as error:
        if os.environ.get("TINYGPT_DEBUG"):
            raise
        if isinstance(error, OSError) and error.filename is not None:
            place, why = error.filename, error.strerror
            _complain(f"tinygpt: {place}: {why}. Choose another place, or mend this one.")
            sys.exit(1)
        _complain(f"tinygpt: {error or type(error).__name__}")
        if not isinstance(error, UserError):
            _complain(f"Run `{command('--debug')} ...` to see where that came from.")
        sys.exit(getattr(error, "exit_code", 1))


def _complain(text: str) -> None:
    """A sentence on standard error, on a terminal broken between words."""
    from tinygpt.screens.console import Screen

    Screen(stderr=True).say(text)
