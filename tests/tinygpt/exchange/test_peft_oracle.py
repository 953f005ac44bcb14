"""Our adapters opened by PEFT and PEFT's by us, where a developer has it: logits, and ten steps."""

import warnings

import numpy as np
import pytest

from minigrad.optim import AdamW
from tests.tinygpt.adapters.test_methods import moved
from tests.tinygpt.exchange.models import made, tokenizer_of
from tinygpt.exchange.huggingface_folder import write_folder
from tinygpt.exchange.peft import read_adapter, write_adapter

torch = pytest.importorskip("torch", reason="an oracle that is not installed: torch")
transformers = pytest.importorskip(
    "transformers", reason="an oracle that is not installed: pip install transformers"
)
with warnings.catch_warnings():  # of what they import
    warnings.simplefilter("ignore")
    peft = pytest.importorskip("peft", reason="an oracle that is not installed: pip install peft")

pytestmark = pytest.mark.filterwarnings("ignore")
IDS = np.random.default_rng(4).integers(0, 300, (2, 9))
LLAMA = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
GPT2 = ["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"]


def base_of(family, tmp_path):
    """(our base, theirs with the same weights)."""
    ours = made(family)
    write_folder(tmp_path / "base", ours, tokenizer_of(ours.shape.vocab_size))
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", attn_implementation="eager"
    )
    return ours, theirs.eval()


def config_of(name, family, **settings):
    """PEFT's configuration of a method."""
    every = GPT2 if family == "gpt2" else LLAMA
    if name == "ia3":
        down = ["mlp.c_proj"] if family == "gpt2" else ["down_proj"]
        keys = ["c_attn"] if family == "gpt2" else ["k_proj", "v_proj"]
        return peft.IA3Config(
            task_type="CAUSAL_LM", target_modules=keys + down, feedforward_modules=down,
            fan_in_fan_out=family == "gpt2",
        )
    if name in ("prefix", "prompt"):
        kind = peft.PrefixTuningConfig if name == "prefix" else peft.PromptTuningConfig
        return kind(task_type="CAUSAL_LM", num_virtual_tokens=4)
    return peft.LoraConfig(
        task_type="CAUSAL_LM", r=4, lora_alpha=6, target_modules=every,
        use_rslora=name == "rslora", use_dora=name == "dora", fan_in_fan_out=family == "gpt2",
        **settings,
    )


def logits_of(theirs, ids=IDS):
    with torch.no_grad():
        return theirs(input_ids=torch.tensor(ids)).logits[:, -ids.shape[1] :].numpy()


@pytest.mark.parametrize("name", ["lora", "rslora", "dora", "ia3", "prefix", "prompt"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_ours_in_peft(name, family, tmp_path):
    rslora = {"rslora": True, "alpha": 6.0} if name == "rslora" else {}
    model, before, _ = moved("lora" if rslora else name, family, **rslora)
    write_adapter(model, tmp_path / "adapter")
    theirs = peft.PeftModel.from_pretrained(base_of(family, tmp_path)[1], tmp_path / "adapter")
    found = model(IDS).data
    np.testing.assert_allclose(logits_of(theirs.eval()), found, rtol=0, atol=2e-4)
    assert np.ptp(found) > 1


@pytest.mark.parametrize("name", ["lora", "rslora", "dora", "ia3", "prefix", "prompt", "ranks"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen2"])
def test_peft_s_in_ours(name, family, tmp_path):
    ours, theirs = base_of(family, tmp_path)
    patterns = {}
    if name == "ranks":
        one = "c_attn" if family == "gpt2" else "k_proj"
        patterns = {"rank_pattern": {one: 6}, "alpha_pattern": {one: 20}}
    adapted = peft.get_peft_model(theirs, config_of(name, family, **patterns)).eval()
    torch.manual_seed(0)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            parameter.data += 0.2 * torch.randn_like(parameter)
    adapted.save_pretrained(tmp_path / "adapter")
    read_adapter(tmp_path / "adapter", ours)
    right = logits_of(adapted)
    np.testing.assert_allclose(ours(IDS).data, right, rtol=0, atol=2e-4)


@pytest.mark.parametrize("name", ["lora", "rslora", "dora", "ia3", "prefix", "prompt"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_ten_steps_from_one_start(name, family, tmp_path):
    ours, theirs = base_of(family, tmp_path)
    torch.manual_seed(0)
    adapted = peft.get_peft_model(theirs, config_of(name, family))
    adapted.save_pretrained(tmp_path / "adapter")
    read_adapter(tmp_path / "adapter", ours)
    trained = [p for p in ours.parameters() if p.requires_grad]
    optimizer = AdamW(trained, lr=1e-2, betas=(0.9, 0.99), weight_decay=0.0)
    oracle = torch.optim.AdamW(
        [p for p in adapted.parameters() if p.requires_grad], lr=1e-2, betas=(0.9, 0.99),
        weight_decay=0.0,
    )
    rng, losses = np.random.default_rng(0), []
    for _ in range(10):
        ids = rng.integers(0, 300, (2, 10))
        logits = adapted(input_ids=torch.tensor(ids[:, :-1])).logits[:, -9:]
        wanted = torch.nn.functional.cross_entropy(
            logits.reshape(-1, 300), torch.tensor(ids[:, 1:]).reshape(-1)
        )
        found = ours.loss(ids[:, :-1], ids[:, 1:])
        losses.append((found.item(), wanted.item()))
        oracle.zero_grad()
        wanted.backward()
        oracle.step()
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
    losses = np.array(losses)
    np.testing.assert_allclose(losses[:, 0], losses[:, 1], rtol=0, atol=1e-4)
