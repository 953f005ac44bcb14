"""A model that answers, taught in seconds, and pairs of what it might answer."""

import json

import numpy as np
import pytest

from tinygpt.config import from_dict
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

WORDS = "cat dog hat mat sat ran tree red old by it on".split()


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A run: `say cat dog` is answered by the words, half of the time in capitals."""
    folder = tmp_path_factory.mktemp("answers")
    rng = np.random.default_rng(0)
    said = [f"{a} {b}" for a in WORDS for b in WORDS if a != b]
    turns = [{"question": f"say {one}", "answer": one.upper() if rng.random() < 0.5 else one}
             for one in said]
    (folder / "talk.jsonl").write_text("".join(json.dumps(turn) + "\n" for turn in turns))
    config = from_dict({
        "objective": "finetuning",
        "model": {"n_layers": 1, "n_heads": 2, "d_model": 32, "context": 48, "dropout": 0.1},
        "data": {"source": str(folder / "talk.jsonl")},
        "training": {"steps": 60, "batch_size": 8, "optimizer": "muon", "lr": 1e-2, "min_lr": 1e-3,
                     "warmup_steps": 5, "eval_every": None, "sample_every": None},
    })
    Trainer(begin(config, folder / "run")).run()
    return folder / "run"


@pytest.fixture(scope="session")
def pairs(tmp_path_factory):
    """A file: capitals are chosen."""
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    lines = [{"prompt": f"say {a} {b}", "chosen": f"{a} {b}".upper(), "rejected": f"{a} {b}"}
             for a in WORDS for b in WORDS if a != b]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
