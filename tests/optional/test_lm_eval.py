"""lm-evaluation-harness's own code on the same questions, through our server.

    pip install "lm_eval[api]" rouge-score sacrebleu
    python -m pytest -m slow tests/optional/test_lm_eval.py
"""

import json

import numpy as np
import pytest

from bench.evaluate import apart, compare, harness, questions, samples, serving, suite
from tests.tinygpt.evaluation.conftest import model_of
from tinygpt.evaluation.multiple_choice import mass, right, split
from tinygpt.evaluation.subject import Local
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites.files import questions_suite
from tinygpt.text.stories import generate
from tinygpt.tokenizer import train_bpe

pytest.importorskip("lm_eval", reason="the oracle is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

TEXT = "".join(generate(100_000, np.random.default_rng(0)))
TOKENIZER = train_bpe(TEXT, 600)
NEAR = 1e-4  # nats


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")


def test_decisions_are_the_same_and_log_probabilities_near():
    model = Local(model_of(TOKENIZER, context=64), TOKENIZER, opening=())
    asked = questions(TOKENIZER, 20, tokens=12)
    with serving(model) as url:
        found = compare(evaluate(suite(asked), model).lines, harness(url, asked, 64))
    assert found["distance"] < NEAR
    assert found["differ"] == {"acc": 0, "acc_norm": 0, "acc_bytes": 0}


@pytest.fixture
def truthful(tmp_path):
    """30 items in TruthfulQA's format, two to five answers each, the true ones among the false."""
    rng = np.random.default_rng(5)
    told = [one for one in TEXT.replace("\n", " ").split(". ") if 10 < len(one) < 60]
    lines = []
    for i in range(30):
        question, *answers = (f"{told[j]}." for j in rng.choice(len(told), 3 + i % 4, False))
        labels = [1] + rng.integers(0, 2, len(answers) - 2).tolist() + [0]
        lines.append({
            "question": question,
            "mc1_targets": {"choices": answers, "labels": [1] + [0] * (len(answers) - 1)},
            "mc2_targets": {"choices": answers, "labels": labels},
        })
    path = tmp_path / "truthful.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_truthfulqa_is_the_harness_own(truthful, tmp_path):
    """Both of its tasks, mc1 and mc2, under the harness's own prompt of six examples."""
    context = 1024
    model = Local(model_of(TOKENIZER, context=context, louder=2.0), TOKENIZER, opening=())
    with serving(model) as url:
        mc1, mc2 = (
            samples(url, {"task": name, "include": f"truthfulqa/{name}.yaml"}, truthful,
                    "validation", context)
            for name in ("truthfulqa_mc1", "truthfulqa_mc2")
        )
    prompt = mc1[0]["arguments"][0][0]
    ending = f"Q: {mc1[0]['doc']['question']}\nA:"
    template = tmp_path / "template.json"
    template.write_text(json.dumps({
        "ask": "Q: {question}\nA:", "before": prompt.removesuffix(ending)}))
    assert prompt.endswith(ending)
    single, shared = split(evaluate(questions_suite(truthful, str(template)), model).lines)
    assert len(single) == len(shared) == len(mc1) == len(mc2) == 30
    for line, sample in zip(single, mc1, strict=True):
        assert apart(line, sample) < NEAR
        assert right(line, "sum") == sample["acc"]
    for line, sample in zip(shared, mc2, strict=True):
        assert apart(line, sample) < NEAR
        assert mass(line) == pytest.approx(sample["acc"], abs=NEAR)
    assert 0 < sum(one["acc"] for one in mc1) < 30
