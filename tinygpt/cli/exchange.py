"""`tinygpt import`, and what `tinygpt export --to` does: models of other programs, in and out.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from tinygpt.cli.paths import ModelPlace, Place


@click.command("import")
@click.argument("model", metavar="PATH", type=ModelPlace())
@click.option("--out", required=True, type=Place(), help="Folder of the run to make.")
def import_(model, out):
    """Make a run of a model that another program trained.

    PATH is a folder of Hugging Face's kind (config.json, safetensors, tokenizer.json) or a GGUF
    file. `generate`, `chat` and `quantize` open either directly, too; nothing in it is executed.
    """
    from tinygpt.machine.terminal import command
    from tinygpt.pretraining.adopt import adopt
    from tinygpt.screens.console import Screen, warn
    from tinygpt.weights.open import form_of, open_model

    opened, tokenizer = open_model(model, warn, whole=True)
    run = adopt(opened, tokenizer, form_of(model), Path(out))
    shape, screen = opened.shape, Screen()
    screen.say(
        f"{out}: {shape.family}, {shape.parameters / 1e6:.1f} million parameters, {shape.n_layers} "
        f"layers, context {shape.context} tokens, {tokenizer.vocab_size} token ids"
    )
    screen.shell(command("generate", run.path), "Let it write: ")


def export_model(run, to, out, kind):
    """Write a model for other programs: to is "hf", "gguf" or "peft", out a folder or a file.

    kind: of the matrices in a GGUF file.
    """
    if to == "peft":
        _export_adapter(run, Path(out))
        return
    from tinygpt.config import find_objective
    from tinygpt.exchange.gguf_models import write_gguf
    from tinygpt.exchange.huggingface_folder import own_form, write_folder
    from tinygpt.screens.console import warn
    from tinygpt.weights.open import form_of, objective_of, open_model

    model, tokenizer = open_model(run, warn=warn, whole=Path(run).is_dir())
    taught = find_objective(objective_of(run)).teaches_roles
    form = form_of(run) or own_form(tokenizer, taught)
    if to == "gguf":
        for note in write_gguf(out, model, tokenizer, kind, form):
            warn(note)
        click.echo(f"{out}: {Path(out).stat().st_size / 1e6:.1f} MB, for llama.cpp to open")
        return
    size = write_folder(Path(out), model, tokenizer, form)
    click.echo(f"{out}: {size / 1e6:.1f} MB of weights, for transformers to open")


def _export_adapter(run, out):
    """Write what a run learned beside its base, as PEFT does, with how it is spoken to."""
    from tinygpt.exchange.peft import write_adapter
    from tinygpt.runs.run import Run
    from tinygpt.screens.console import warn
    from tinygpt.storage.paths import shown
    from tinygpt.weights.open import check_adapter, form_of, load_model

    opened = Run.open(run)
    check_adapter(opened)
    write_adapter(load_model(opened, warn=warn), out, opened.config.base, form_of(run))
    size = sum(file.stat().st_size for file in out.iterdir())
    click.echo(f"{shown(out)}: {size / 1e6:.2f} MB, for PEFT to put beside {opened.config.base}")
