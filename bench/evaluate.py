"""How long an evaluation takes, and whether lm-evaluation-harness says the same.

    python -m bench evaluate                    1,000 questions of four choices of 64 tokens, B
    python -m bench evaluate --items 100 --lm-eval      and lm-eval's own code on the same items

The first asks a model of config B's size (untrained: the time is the same) questions whose context
and choices have 64 tokens each, once as suites do and, for a tenth of them, with every choice read
from its beginning: what sharing the context saves. The second serves that model and lets lm-eval's
local-completions ask it (pip install "lm_eval[api]"); decisions and log probabilities are compared.

Read next: ../tinygpt/evaluation/multiple_choice.py.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing

TOKENS = 64
CHOICES = 4


def subject(path: str | None, context: int = 256, seed: int = 0) -> Any:
    """A model, or an untrained one of B's size with a vocabulary of 4,096.

    Nothing stands before its texts, as nothing does before lm-eval's.
    """
    from tinygpt.evaluation.subject import Local
    from tinygpt.model import ModelShape, build
    from tinygpt.text.stories import generate
    from tinygpt.tokenizer import train_bpe
    from tinygpt.weights.open import form_of, open_model

    if path is not None:
        return Local(*open_model(path), form_of(path), name=path, opening=())
    text = "".join(generate(600_000, np.random.default_rng(seed)))
    tokenizer = train_bpe(text, 4096)
    shape = ModelShape(vocab_size=tokenizer.vocab_size, n_layers=6, n_heads=8, d_model=256,
                       context=context)
    model = build(shape, np.random.default_rng(seed))
    return Local(model.eval(), tokenizer, name="B", opening=())


def questions(tokenizer: Any, count: int, tokens: int = TOKENS, seed: int = 1) -> list[Any]:
    """Questions of `tokens` tokens with as long choices, cut out of stories."""
    from tinygpt.evaluation.questions import Question
    from tinygpt.text.stories import generate

    rng = np.random.default_rng(seed)
    text = "".join(generate(1_500_000, np.random.default_rng([seed, 7]))).replace("\n", " ")
    ids, found = tokenizer.encode_array(text, disallowed_special=()), []

    def piece() -> str:
        at = int(rng.integers(len(ids) - tokens))
        return tokenizer.decode(ids[at : at + tokens]).strip()

    while len(found) < count:
        choices = [piece() for _ in range(CHOICES)]
        if len(set(choices)) == CHOICES:
            number = len(found)
            found.append(Question(f"q{number}", {"question": piece()}, tuple(choices),
                                  (number % CHOICES,), f"q{number}"))
    return found


def suite(asked: list[Any]) -> Any:
    from tinygpt.evaluation.multiple_choice import ChoiceSuite, Way
    from tinygpt.evaluation.templates import TEMPLATES

    return ChoiceSuite("speed", asked, Way(TEMPLATES["plain"]), "speed")


def unshared(model: Any, asked: list[Any]) -> None:
    """Every choice read with its context from the beginning, one after the other."""
    for one in asked:
        for choice in one.choices:
            list(model.surprise([f"{one.fields['question']} {choice}"]))
            list(model.surprise([f" {choice}"]))


@contextmanager
def serving(model: Any):
    """The address of a server of this model."""
    from tinygpt.serving.limits import Limits
    from tinygpt.serving.security import Gate
    from tinygpt.serving.served import Served
    from tinygpt.serving.server import Server

    ready, held = threading.Event(), {}

    async def run():
        served = Served("model", model.model, model.tokenizer, model.form)
        held["server"] = server = await Server.listen(
            {"model": served}, Gate(free={"/health"}), Limits(), "127.0.0.1", 0
        )
        held["loop"] = asyncio.get_running_loop()
        ready.set()
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{held['server'].port}"
    finally:
        held["loop"].call_soon_threadsafe(held["server"].stop)
        thread.join()


def harness(url: str, asked: list[Any], context: int) -> list[dict[str, Any]]:
    """lm-eval's samples on these questions: its own model and its own counting."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "questions.jsonl"
        data.write_text("".join(json.dumps({
            "question": one.fields["question"], "choices": list(one.choices),
            "answer": one.right[0],
        }) + "\n" for one in asked))
        task = {
            "task": "ours", "test_split": "test", "output_type": "multiple_choice",
            "doc_to_text": "{{question}}", "doc_to_choice": "{{choices}}",
            "doc_to_target": "{{answer}}", "target_delimiter": " ",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}, {"metric": "acc_bytes"}],
        }
        return samples(url, task, data, "test", context)


def samples(
    url: str, task: dict[str, Any], data: Path, split: str, context: int
) -> list[dict[str, Any]]:
    """What lm-eval found of each line of a local file, in order.

    task: as in its YAML files; "include" names one of its own.  split: which of the task's the
    file is.
    """
    import lm_eval

    local = {"dataset_path": "json", "dataset_name": None,
             "dataset_kwargs": {"data_files": {split: str(data)}}}
    if "include" in task:
        task = {**task, "include": str(Path(lm_eval.__file__).parent / "tasks" / task["include"])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "task.yaml"
        path.write_text(json.dumps({**task, **local}))  # JSON is YAML
        found = lm_eval.simple_evaluate(
            model="local-completions", tasks=[str(path)],
            model_args={"base_url": f"{url}/v1/completions", "model": "model",
                        "tokenizer_backend": "auto", "max_length": context, "num_concurrent": 1},
            log_samples=True, bootstrap_iters=0,
        )
    return sorted(found["samples"][task["task"]], key=lambda one: one["doc_id"])


def compare(lines: list[dict[str, Any]], samples: list[dict[str, Any]]) -> dict[str, Any]:
    """The largest distance of log probabilities, and decisions that differ, by score."""
    from tinygpt.evaluation.multiple_choice import right

    distance, differ = 0.0, dict.fromkeys(("acc", "acc_norm", "acc_bytes"), 0)
    ours = {"acc": "sum", "acc_norm": "character", "acc_bytes": "byte"}
    for line, sample in zip(lines, samples, strict=True):
        distance = max(distance, apart(line, sample))
        for name, score in ours.items():
            if name in sample:
                differ[name] += right(line, score) != float(sample[name])
            else:
                differ.pop(name, None)
    return {"items": len(lines), "distance": distance, "differ": differ}


def apart(line: dict[str, Any], sample: dict[str, Any]) -> float:
    """The largest distance of two log probabilities of one item."""
    theirs = [float(one[0][0] if isinstance(one[0], list | tuple) else one[0])
              for one in sample["resps"]]
    nats = [one["nats"] for one in line["choices"]]
    return max(abs(a - b) for a, b in zip(nats, theirs, strict=True))


@click.command()
@click.option("--items", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--model", "path", help="A run or a file instead of B's size, untrained.")
@click.option("--lm-eval", "by_harness", is_flag=True, help="Compare with lm-eval's own code.")
@click.option("--threads", type=click.IntRange(1), default=2, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def command(items, path, by_harness, threads, as_json):
    """Questions with choices: their time, and lm-eval's opinion of them."""
    import kernels
    from tinygpt.evaluation.suite import evaluate

    kernels.set_num_threads(threads)
    model = subject(path)
    asked = questions(model.tokenizer, items, 24 if by_harness else TOKENS)
    start = time.perf_counter()
    results = evaluate(suite(asked), model)
    found: dict[str, Any] = {"items": items, "seconds": time.perf_counter() - start}
    if by_harness:
        with serving(model) as url:
            found |= compare(results.lines, harness(url, asked, model.context))
    else:
        start = time.perf_counter()
        unshared(model, asked[: max(1, items // 10)])
        found["unshared"] = (time.perf_counter() - start) * items / max(1, items // 10)
    if as_json:
        click.echo(json.dumps({**found, "commit": timing.commit()}))
        return
    click.echo(timing.headline())
    click.echo("  ".join(f"{name} {value:.1f}" if isinstance(value, float) and value > 1
                         else f"{name} {value}" for name, value in found.items()))


if __name__ == "__main__":
    command()
