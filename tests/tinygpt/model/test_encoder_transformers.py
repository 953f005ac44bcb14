"""BERT and ALBERT against transformers' own classes, where a developer has them.

As test_transformers.py does for decoders: random weights, every setting off its default.
"""

import numpy as np
import pytest

from tinygpt.config import structure
from tinygpt.exchange.huggingface import read_config
from tinygpt.exchange.huggingface_names import SEGMENTS, convert, sources
from tinygpt.model.build import build
from tinygpt.model.encoder import NOT_ASKED, padded
from tinygpt.model.shape import ModelShape

torch = pytest.importorskip("torch", reason="an oracle that is not installed: torch")
transformers = pytest.importorskip(
    "transformers", reason="an oracle that is not installed: pip install transformers"
)

T, VOCABULARY = 13, 29
LENGTHS = np.array([13, 1, 8])
BERT = {
    "vocab_size": VOCABULARY, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 3,
    "num_attention_heads": 6, "max_position_embeddings": 16, "layer_norm_eps": 3e-3,
    "hidden_act": "gelu_new", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}
ALBERT = BERT | {
    "num_hidden_layers": 4, "num_hidden_groups": 2, "embedding_size": 10,
    "classifier_dropout_prob": 0.0,
}
CASES = {
    "bert": ("Bert", BERT),
    "bert, exact gelu": ("Bert", BERT | {"hidden_act": "gelu"}),
    "bert, relu": ("Bert", BERT | {"hidden_act": "relu"}),
    "albert": ("Albert", ALBERT),
    "albert, one block": ("Albert", ALBERT | {"num_hidden_groups": 1, "hidden_act": "silu"}),
}


def theirs(name):
    """Their model with weights that leave nothing near 0 or 1, where a mistake would hide."""
    kind, values = CASES[name]
    config = getattr(transformers, f"{kind}Config")(**values)
    model = transformers.AutoModelForMaskedLM.from_config(config, attn_implementation="eager")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        center = 1.0 if parameter.ndim == 1 else 0.0
        parameter.data = center + 0.3 * torch.randn(parameter.shape, generator=generator)
    return model.eval()


def ours(model):
    """Ours with their weights; every array of theirs finds its place."""
    family, shape = read_config(model.config.to_dict())
    copy = build(shape, None)
    names = [name for name, _ in copy.named_parameters()]
    arrays = {name: p.detach().numpy() for name, p in model.named_parameters()}
    segment = arrays.pop(SEGMENTS[family])[0]
    assert {s for name in names for s in sources(family, name)} == set(arrays)
    copy.load_state_dict(convert(family, names, arrays))
    copy.position_embedding.weight.data += segment
    return copy


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "padded"])
@pytest.mark.parametrize("name", CASES)
def test_logits_and_every_gradient(name, lengths):
    oracle = theirs(name)
    model = ours(oracle)
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(1, VOCABULARY, (2, 3, T))  # their 0 is padding and learns nothing
    real = np.arange(T) < (LENGTHS if lengths is not None else np.full(3, T))[:, None]
    targets = np.where(real & ((rng.random((3, T)) < 0.6) | (np.arange(T) == 0)), targets, -100)
    logits = oracle(torch.tensor(ids), attention_mask=torch.tensor(real.astype(np.int64))).logits
    torch.nn.functional.cross_entropy(
        logits.view(-1, VOCABULARY), torch.tensor(targets).view(-1), reduction="sum"
    ).backward()
    bounds = None if lengths is None else padded(lengths, T)
    found = model(ids, bounds=bounds).data
    np.testing.assert_allclose(found[real], logits.detach().numpy()[real], rtol=0, atol=2e-4)
    asked = np.where(targets == -100, NOT_ASKED, targets)
    (model.loss(ids, asked, bounds=bounds) * float((targets != -100).sum())).backward()
    gradients = {name: p.grad.numpy() for name, p in oracle.named_parameters()}
    right = convert(
        oracle.config.model_type, [name for name, _ in model.named_parameters()], gradients
    )
    for parameter, gradient in right.items():
        found = dict(model.named_parameters())[parameter].grad
        np.testing.assert_allclose(found, gradient, rtol=0, atol=2e-4, err_msg=parameter)
        assert np.abs(gradient).max() > 5e-3  # something to compare


@pytest.mark.parametrize("family", ["bert", "albert"])
def test_a_familys_row_is_what_their_defaults_say(family):
    row = structure(ModelShape, {"family": family}, "model.")
    _, said = read_config(transformers.AutoConfig.for_model(family).to_dict())
    for key in ("eps", "tied", "embedding_size", "n_blocks", "activation"):
        assert getattr(said, key) == getattr(row, key)
