"""lm-evaluation-harness as a judge, with nothing but our address: pip install "lm_eval[api]"."""

import numpy as np
import pytest

from tests.tinygpt.serving.conftest import CONTEXT, make_served
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import GREEDY
from tinygpt.inference.scoring import log_probabilities

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # it imports for seconds
SERVED = make_served()
WORDS = ("The cat", " sat on", " the mat.", " A dog", " saw it,", " and ran", " naïve 日本", " 🙂")


@pytest.fixture(scope="module")
def items():
    """40 questions, each with an answer."""
    rng = np.random.default_rng(0)
    def text(n):
        return "".join(rng.choice(WORDS, n))

    found = [(text(rng.integers(1, 6)), text(rng.integers(1, 4))) for _ in range(30)]
    for context, _ in found[:10]:  # answers that are the likeliest
        ids = SERVED.tokenizer.encode(context)
        ids = generate(SERVED.model, ids, max_tokens=2, sampling=GREEDY)
        found.append((context, SERVED.tokenizer.decode(ids)))
    return found


def score(context, answer):
    """(log probability, whether it is the likeliest) of an answer, by the model in this process."""
    encode = SERVED.tokenizer.encode
    ids, known = encode(context + answer), len(encode(context))
    rows = log_probabilities(SERVED.model, np.array([ids]))[known - 1 : -1]
    tokens = ids[known:]
    return rows[np.arange(len(tokens)), tokens].sum(), (rows.argmax(-1) == tokens).all()


@pytest.mark.parametrize(("batch", "concurrent"), [(1, 1), (8, 1), (1, 8)])
def test_every_score_is_the_models_own(room, items, batch, concurrent):
    pytest.importorskip("lm_eval")
    from lm_eval.api.instance import Instance
    from lm_eval.models.openai_completions import LocalCompletionsAPI

    harness = LocalCompletionsAPI(
        base_url=f"{room.url}/v1/completions", model="tiny", tokenizer_backend="auto",
        max_length=CONTEXT, batch_size=batch, num_concurrent=concurrent,
    )
    assert harness.tokenizer_backend == "remote"
    asked = [Instance("loglikelihood", {}, item, i) for i, item in enumerate(items)]
    found = harness.loglikelihood(asked)
    for (logprob, greedy), item in zip(found, items, strict=True):
        expected, likeliest = score(*item)
        assert logprob == pytest.approx(expected, abs=1e-4) and greedy == likeliest
    text = "".join(WORDS) * 4
    rolled = harness.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (text,), 0)])
    assert -6 * len(SERVED.tokenizer.encode(text)) < rolled[0] < 0
    until = Instance("generate_until", {}, ("The cat", {"until": ["a"], "max_gen_toks": 8}), 0)
    assert "a" not in harness.generate_until([until])[0]
