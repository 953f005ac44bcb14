"""`tinygpt finetune`: options in, calls out.

Imports stand inside the functions, so that `--help` is quick; but for the list of methods.
"""

from __future__ import annotations

import click

from tinygpt.adapters.config import METHODS
from tinygpt.cli.paths import ModelPlace, Place, one_text
from tinygpt.cli.planning import show_plan
from tinygpt.cli.training import as_fitted, carry_out, settings, training_options, with_data

ADAPTED = ("training.lr=1e-3", "training.min_lr=1e-4")  # the few that train want larger steps
EPOCHS = 3.0  # unless training.steps or data.epochs is set


@click.command()
@click.argument("base", required=False, metavar="BASE", type=ModelPlace())
@click.option("--data", multiple=True, callback=one_text, metavar="FILE",
              help="Conversations: .jsonl, .json, .csv, .tsv, .txt, a folder of texts, or: "
              "addition, world, couplets.")
@click.option("--method", type=click.Choice(METHODS), default="full", show_default=True,
              help="What is trained: every weight, or an adapter beside a base that stays.")
@click.option("--rank", type=int, help="Of lora, dora and qlora.  [8]")
@click.option("--out", default="finetuned", type=Place(), show_default=True,
              help="Folder of the run to make.")
@click.option("--template", metavar="NAME|FILE",
              help="tinygpt, chatml, llama3, plain, or a file of Jinja.  [the base's own]")
@click.option("--epochs", type=float, help=f"How often each conversation is learned.  [{EPOCHS:g}]")
@click.option("--show", type=click.IntRange(1), metavar="N",
              help="Print N samples as the model reads them, and end.")
@click.option("--plan", is_flag=True, help="Say what it will need, and end.")
@training_options
def finetune(base, data, method, out, rank, template, epochs, show, plan, overrides, go_on, **how):
    """Teach a model to answer, from a file of conversations.

    BASE is the --out folder of a `tinygpt train`, a GGUF or quantized file, or a Hugging Face
    folder. The answers are learned, each with the token that ends it; the questions are only read.

    \\b
    tinygpt finetune run --data chat.jsonl --show 3
    tinygpt finetune run --data chat.jsonl --out answers
    tinygpt chat answers
    """
    given = {"data.template": template, "data.epochs": epochs, "method.rank": rank}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    changes = settings((*changes, *overrides), how)

    def asked(busy=None):
        return _config(base, data, method, changes)

    if base is None and not go_on:
        raise click.UsageError(
            "which model is to be taught? Give a BASE, as in: tinygpt finetune run --data "
            "chat.jsonl; or --resume to go on."
        )
    if show and not go_on:
        return _show(asked(), show)
    return from_base(out, asked, base, data, changes, how, go_on, plan)


def from_base(out, asked, base, data, changes, how, go_on, plan) -> int:
    """Begin, plan or resume a training that starts from a model.

    asked: makes the configuration of a new run.  base: None where a resumed run keeps its own.
    """
    def changed(own):
        if base is None:
            from tinygpt.config import from_dict, override

            return with_source(from_dict(override(own.to_dict(), changes)), data)
        return as_fitted(own, asked())

    if go_on:
        return carry_out(out, asked, changed, how)
    if plan:
        return show_plan(asked(), out, how["fit"])
    return carry_out(out, asked, None, how)


def _config(base, data, method, changes):
    """The configuration of a new run."""
    from tinygpt.config import from_dict, override

    values = {"objective": "finetuning", "base": base, "method": {"name": method}}
    if method != "full":
        changes = (*ADAPTED, *changes)
    keys = {change.partition("=")[0].strip() for change in changes}
    if not keys & {"training.steps", "data.epochs"}:
        changes = (f"data.epochs={EPOCHS}", *changes)
    return with_source(from_dict(override(values, changes)), data)


def with_source(config, data):
    """A configuration with the data given: a file, or one of the tasks by name."""
    from tinygpt.text.tasks import TASKS

    return with_data(config, data, tuple(TASKS))


def _show(config, count):
    """Print the first samples as ids, what is learned marked."""
    import tempfile
    from pathlib import Path

    from tinygpt.config import find_objective
    from tinygpt.screens.console import Progress, Screen
    from tinygpt.screens.samples import show_samples

    with tempfile.TemporaryDirectory() as folder, Progress() as busy:
        busy("reading the conversations")
        objective = find_objective(config.objective).prepare(config, Path(folder), busy)
    show_samples(Screen(), objective, count)


@click.command()
@click.argument("run", type=ModelPlace())
@click.option("--out", required=True, type=Place(), help="Folder of the run to make.")
def merge(run, out):
    """Make one model of a base and what was learned beside it.

    RUN is the --out folder of a `tinygpt finetune` by an adapter. The new run needs no base.
    """
    from pathlib import Path

    from tinygpt.machine.terminal import command
    from tinygpt.pretraining.adopt import adopt
    from tinygpt.runs.run import Run
    from tinygpt.screens.console import Screen, warn
    from tinygpt.weights.open import check_adapter, form_of, open_model

    check_adapter(Run.open(run))
    model, tokenizer = open_model(run, warn, whole=True)
    made = adopt(model, tokenizer, form_of(run), Path(out))
    Screen().shell(command("chat", made.path), "Talk to it: ")
