"""`tinygpt distill`: a teacher, a student, and one call out.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import click

from tinygpt.cli.finetuning import from_base
from tinygpt.cli.paths import ModelPlace, Place, one_text
from tinygpt.cli.training import settings, training_options, with_data


@click.command()
@click.argument("teacher", required=False, metavar="TEACHER", type=ModelPlace())
@click.option("--student", metavar="CONFIG|RUN",
              help="What learns: a TOML file or the name of a configuration (S, M, B, L) for new "
              "weights, or a model to go on with, as one that was pruned.  [S]")
@click.option("--data", multiple=True, callback=one_text,
              help="A text file or folder, or: stories, python.  [what the teacher learned from]")
@click.option("--by", type=click.Choice(["logits", "text"]), default="logits", show_default=True,
              help="What the teacher says of each token, or what it writes: then its vocabulary "
              "may be another.")
@click.option("--temperature", type=float, help="Of both, in the divergence.  [1]")
@click.option("--divergence", type=click.Choice(["forward", "reverse"]),
              help="KL from the teacher or from the student.  [forward]")
@click.option("--soft", type=float, help="The teacher's share of the loss; the text's is the rest."
              "  [0.9]")
@click.option("--hidden", type=float, help="Weight of its last vectors, by a projection.  [0]")
@click.option("--top", type=int, metavar="K", help="Ask the teacher once, and keep its K likeliest "
              "tokens of each place on disk.")
@click.option("--on-policy", type=float, metavar="SHARE", help="Of batches that the student "
              "writes.  [0]")
@click.option("--rounded", type=click.Choice(["int8", "int4", "nf4", "q4_1", "q8_0"]),
              help="Train through this rounding, for a `tinygpt quantize` that costs less.")
@click.option("--out", default="distilled", type=Place(), show_default=True,
              help="Folder of the run to make.")
@click.option("--plan", is_flag=True, help="Say what it will need, and end.")
@training_options
def distill(teacher, student, data, by, temperature, divergence, soft, hidden, top, on_policy,
            rounded, out, plan, overrides, go_on, **how):
    """Let a small model learn from a large one, or a pruned one from what it was.

    TEACHER is the --out folder of a `tinygpt train`, a GGUF or quantized file, or a Hugging Face
    folder. The student gets the teacher's tokenizer, unless it learns --by text.

    \b
    tinygpt distill big --student S --out small
    tinygpt compress big --method channels --share 0.3 --out thin
    tinygpt distill big --student thin --set training.steps=75 --out healed
    tinygpt distill big --student big --rounded int4 --out ready
    tinygpt distill SmolLM2.gguf --by text --student S --out told
    """
    given = {"by": by, "temperature": temperature, "divergence": divergence, "soft": soft,
             "hidden": hidden, "top": top, "on_policy": on_policy, "rounded": rounded}
    changes = [f"distillation.{k}={v}" for k, v in given.items() if v is not None]
    changes = settings((*changes, *overrides), how)

    def asked(busy=None):
        return _config(teacher, student, data, by, changes)

    if teacher is None and student is None and not go_on:
        raise click.UsageError(
            "who teaches? Give a TEACHER, as in: tinygpt distill big --student S --out small; or "
            "--resume to go on."
        )
    return from_base(out, asked, teacher or student, data, changes, how, go_on, plan)


def _config(teacher, student, data, by, changes):
    """The configuration of a new run."""
    from tinygpt.compression.teacher import run_of
    from tinygpt.config import from_dict, load_config, override, shipped

    new = student is None or student in shipped() or student.endswith((".toml", "-"))
    values = load_config(student or "S" if new else None).to_dict()
    encoder = values["model"]["assembly"] == "encoder"
    own = None if new else student
    if own is not None:
        del values["model"]  # the base's
        encoder = _assembly(own) == "encoder"
    run = next((run for place in (teacher, own) if place and (run := run_of(place))), None)
    if run is not None and hasattr(run.config, "data") and by == "logits":
        kept = run.config.to_dict()
        values |= {key: kept[key] for key in ("data", "tokenizer") if key in kept}
    values |= {"objective": "masked-distillation" if encoder else "distillation", "base": own}
    if encoder:
        values.setdefault("model", {"assembly": "encoder"})
    else:
        values.pop("masking", None)
    values["distillation"] = {"teacher": teacher}
    return with_data(from_dict(override(values, changes)), data)


def _assembly(path):
    from tinygpt.screens.console import warn
    from tinygpt.weights.open import open_model

    return open_model(path, warn)[0].shape.assembly
