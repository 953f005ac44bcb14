"""The commands that use a trained encoder: classify, embed.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import click

from tinygpt.cli.paths import Place


@click.command()
@click.argument("run", metavar="RUN|QUANTIZED", type=Place())
@click.argument("texts", metavar="TEXT...", nargs=-1, required=True)
def classify(run, texts):
    """Say which class each TEXT is of, and how sure the model is.

    RUN is the --out folder of a training with objective = "classification"; QUANTIZED is what
    `tinygpt quantize` made of it. A TEXT of - is read from standard input.
    """
    from tinygpt.finetuning.classification import open_classifier
    from tinygpt.screens.console import warn
    from tinygpt.text.reading import read_text

    judge = open_classifier(run, warn)
    for text in texts:
        (found,) = judge.classify([read_text(text) if text == "-" else text])
        click.echo("  ".join(f"{name} {share:.1%}" for name, share in found.items()))


@click.command()
@click.argument("run", metavar="RUN|QUANTIZED", type=Place())
@click.argument("file", metavar="FILE", type=Place(dir_okay=False, allow_dash=True))
@click.option("--out", type=Place(dir_okay=False), required=True,
              help="Where the vectors go: a NumPy file, (lines, width) float32.")
def embed(run, file, out):
    """Write a vector for each line of FILE that is not empty; products of two are cosines.

    RUN is the --out folder of a trained encoder (model.family = "bert"); QUANTIZED is what
    `tinygpt quantize` made of it.
    """
    import io

    import numpy as np

    from tinygpt.errors import UserError
    from tinygpt.inference.embedding import embed as embed_texts
    from tinygpt.screens.console import warn
    from tinygpt.storage.durable import replacing
    from tinygpt.text.files import DataError
    from tinygpt.text.reading import read_text
    from tinygpt.weights.open import open_model

    model, tokenizer = open_model(run, warn=warn)
    lines = [line for line in read_text(file).split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{file} has no line to embed. Give a file with a text on each line.")
    vectors = embed_texts(model, tokenizer, lines)
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    try:
        with replacing(out) as written:
            written.write(content.getvalue())
    except OSError as error:
        raise UserError(
            f"cannot write {out}: {error.strerror or error}. Choose another place or make room."
        ) from error
    click.echo(f"{out}: {len(vectors)} vectors of {vectors.shape[1]} numbers")
