"""`tinygpt models`: what lies around here and in the user's folder, in full, or gone.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

from pathlib import Path

import click

from tinygpt.cli.paths import ModelPlace


@click.group(invoke_without_command=True)
@click.pass_context
def models(context):
    """List the models in this folder and in your own (TINYGPT_MODELS, or ~/.tinygpt/models).

    Those of your own folder are known everywhere by their name: tinygpt chat NAME.
    """
    if context.invoked_subcommand is None:
        from tinygpt.screens.models import show_models
        from tinygpt.weights.shelf import models as models_of
        from tinygpt.weights.shelf import user_folder

        show_models({folder: models_of(folder) for folder in (Path("."), user_folder())})


def _look(path):
    """The model at a path.  Raises UsageError where none is."""
    from tinygpt.errors import UsageError
    from tinygpt.storage.paths import kind, shown
    from tinygpt.weights.shelf import look

    model = look(Path(path)) if kind(path) else None
    if model is None:
        raise UsageError(f"{shown(path)} is no model. `tinygpt models` lists those there are.")
    return model


@models.command()
@click.argument("model", type=ModelPlace())
def info(model):
    """Every key of a model's file, and every tensor with its type and shape."""
    from tinygpt.screens.models import show_details
    from tinygpt.weights.shelf import details

    found = _look(model)
    show_details(found, *details(found))


@models.command()
@click.argument("model", type=ModelPlace())
@click.option("--yes", is_flag=True, help="Do not ask.")
def rm(model, yes):
    """Delete a model from the disk, a run with everything in it."""
    from tinygpt.weights.shelf import remove

    found = _look(model)
    if not yes:
        click.confirm(f"Delete {found.path} ({found.size / 1e6:.1f} MB)?", abort=True)
    remove(found)
    click.echo(f"{found.path} is deleted")
