"""Models small enough to be looked at whole, trained and untrained."""

import numpy as np
import pytest

from tinygpt.evaluation.subject import Local
from tinygpt.model import ModelShape, build
from tinygpt.tokenizer import CharTokenizer, train_bpe
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

# Letters, accents, Devanagari, emoji of several code points: most tokens hold parts of characters.
SPLIT = "naïve café नमस्ते दुनिया 👩‍👩‍👧 日本語 ß…\n" * 12
TOKENIZERS = {
    "byte": train_bpe(SPLIT, 256 + 6),
    "char": CharTokenizer("".join(sorted(set(SPLIT)))),
    "bpe": train_bpe(SPLIT, 256 + 6 + 60),
}


def model_of(tokenizer, context=32, seed=1, louder=3.0, **shape):
    """An untrained model whose opinions are `louder` than a new one's."""
    model = build(
        ModelShape(vocab_size=tokenizer.vocab_size, n_layers=2, n_heads=2, d_model=16,
                   context=context, **shape),
        np.random.default_rng(seed),
    )
    for parameter in model.parameters():
        parameter.data *= louder
    return model.eval()


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


@pytest.fixture(scope="session")
def plain():
    """A subject with a BPE of English, context 48."""
    text = "the cat sat on the mat. a dog ran = 4 and = 44 went home. " * 50
    tokenizer = train_bpe(text, 256 + 6 + 40)
    return Local(model_of(tokenizer, context=48), tokenizer, name="random")


@pytest.fixture
def run(tiny_config, tmp_path):
    """The folder of a run of 40 steps, with a checkpoint every 7."""
    Trainer(begin(tiny_config, tmp_path / "run")).run()
    return tmp_path / "run"
