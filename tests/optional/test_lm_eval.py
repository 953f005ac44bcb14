"""lm-evaluation-harness's own code on the same questions, through our server.

    pip install "lm_eval[api]"
    python -m pytest tests/optional/test_lm_eval.py
"""

import pytest

from bench.evaluate import compare, harness, questions, serving, suite
from tests.tinygpt.evaluation.conftest import model_of
from tinygpt.evaluation.subject import Local
from tinygpt.evaluation.suite import evaluate
from tinygpt.text.stories import generate
from tinygpt.tokenizer import train_bpe

pytest.importorskip("lm_eval", reason="the oracle is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_decisions_are_the_same_and_log_probabilities_near(monkeypatch):
    import numpy as np

    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    tokenizer = train_bpe("".join(generate(100_000, np.random.default_rng(0))), 600)
    model = Local(model_of(tokenizer, context=64), tokenizer, opening=())
    asked = questions(tokenizer, 20, tokens=12)
    with serving(model) as url:
        found = compare(evaluate(suite(asked), model).lines, harness(url, asked, 64))
    assert found["distance"] < 1e-4
    assert found["differ"] == {"acc": 0, "acc_norm": 0, "acc_bytes": 0}
