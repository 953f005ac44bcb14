"""Our exports opened by transformers, where a developer has it: the same logits and ids."""

import numpy as np
import pytest

from tests.tinygpt.exchange.models import FAMILIES, made, tokenizer_of
from tinygpt.exchange.huggingface_folder import own_form, write_folder
from tinygpt.model import EncoderDecoder
from tinygpt.runs.chat_form import ChatForm

torch = pytest.importorskip("torch", reason="an oracle that is not installed: torch")
transformers = pytest.importorskip(
    "transformers", reason="an oracle that is not installed: pip install transformers"
)

CLASSES = {
    "bert": "AutoModelForMaskedLM", "albert": "AutoModelForMaskedLM", "t5": "AutoModelForSeq2SeqLM",
}


def opened(folder, name):
    """Their model of a folder, and what it says of the loading."""
    kind = getattr(transformers, CLASSES.get(name.split()[0], "AutoModelForCausalLM"))
    model, info = kind.from_pretrained(
        folder, output_loading_info=True, attn_implementation="eager"
    )
    assert not info["missing_keys"] and not info["unexpected_keys"] and not info["mismatched_keys"]
    return model.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_of_an_export(name, tmp_path):
    model = made(name)
    write_folder(tmp_path, model, tokenizer_of(model.shape.vocab_size))
    theirs = opened(tmp_path, name)
    ids = np.random.default_rng(1).integers(0, model.shape.vocab_size, (2, 13))
    with torch.no_grad():
        if isinstance(model, EncoderDecoder):
            right = theirs(input_ids=torch.tensor(ids), decoder_input_ids=torch.tensor(ids)).logits
            found = model(ids, np.array([13, 13]), ids).data
        else:
            right, found = theirs(torch.tensor(ids)).logits, model(ids).data
    np.testing.assert_allclose(found, right.numpy(), rtol=0, atol=2e-4)
    assert np.ptp(found) > 1  # something to compare
