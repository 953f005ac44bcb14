"""A text and a model small enough that a whole training takes a fraction of a second."""

import numpy as np
import pytest

from tinygpt.config import from_dict

WORDS = "the a cat dog sat ran on under mat tree and then it saw an old red hat by night".split()


@pytest.fixture(scope="session")
def tiny_text(tmp_path_factory):
    """The path of about 40,000 characters of word salad."""
    rng = np.random.default_rng(0)
    lines = [" ".join(rng.choice(WORDS, rng.integers(3, 9))) + ".\n" for _ in range(1600)]
    path = tmp_path_factory.mktemp("text") / "tiny.txt"
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture
def tiny_config(tiny_text):
    """A config of a 2-layer model with dropout, 40 steps on tiny_text."""
    return from_dict(
        {
            "model": {"n_layers": 2, "n_heads": 2, "d_model": 16, "context": 16, "dropout": 0.1},
            "data": {"source": str(tiny_text), "split": [0.9, 0.1, 0.0], "by_position": True},
            "training": {
                "steps": 40, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
                "eval_every": 10, "eval_tokens": 500, "checkpoint_every": 7, "sample_every": None,
            },
        }
    )


@pytest.fixture
def folder(tmp_path):
    """Twenty small documents in a folder, with files that are not texts between them."""
    root = tmp_path / "texts"
    (root / "deep").mkdir(parents=True)
    for number in range(20):
        name = f"deep/{number:02d}.md" if number % 2 else f"{number:02d}.txt"
        (root / name).write_text(f"document {number} says hello " * 5)
    (root / "picture.png").write_bytes(b"\x89PNG")
    return root
