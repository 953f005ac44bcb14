"""tinygpt from Python: train, open, write, measure."""

import math
import subprocess
import sys

import numpy as np
import pytest

import tinygpt
from tinygpt.errors import UserError


@pytest.fixture
def run(tiny_config, tmp_path):
    outcome = tinygpt.train(tiny_config, tmp_path / "run")
    assert outcome.step == 40 and outcome.saved
    return tinygpt.open(tmp_path / "run")


def test_a_trained_run_writes_the_same_for_the_same_seed(run):
    texts = ["".join(run.generate("the ", 20, seed=seed)) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 20


def test_settings_of_sampling_are_named_in_the_call(run):
    greedy = ["".join(run.generate("the ", 12, temperature=0, seed=seed)) for seed in (0, 1)]
    assert greedy[0] == greedy[1]
    with pytest.raises(TypeError):
        run.generate("the ", temprature=0)


def test_the_loss_of_a_text_is_the_mean_surprise_at_each_token_but_the_first(run):
    text = "the cat sat on the mat."
    ids = run.tokenizer.encode_array(text)[:12].astype(np.int64)
    x, y = ids[None, :-1], ids[None, 1:]
    logits = run.model(x).data[0].astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -log_p[np.arange(len(y[0])), y[0]].mean()
    assert run.loss(run.tokenizer.decode(ids)) == pytest.approx(expected, rel=1e-5)
    assert run.loss(text * 20) < math.log(run.tokenizer.vocab_size)
    with pytest.raises(UserError, match="too little text to measure"):
        run.loss("t")


def test_overrides_belong_to_a_configuration_by_name(tiny_config, tmp_path):
    with pytest.raises(UserError, match=r"config\.replace"):
        tinygpt.train(tiny_config, tmp_path / "run", ["training.steps=3"])


def test_importing_tinygpt_imports_nothing_heavy():
    code = "import sys, tinygpt; print('numpy' in sys.modules, hasattr(tinygpt, 'nothing'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
