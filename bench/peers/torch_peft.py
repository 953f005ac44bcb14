"""The steps of `python -m bench peft` by torch, transformers and peft, eager."""

from __future__ import annotations

from typing import Any

import numpy as np
import peft
import torch
import transformers

from bench.peft import shape_of

EVERY = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class Theirs:
    """Steps of one method, full or lora, on random tokens."""

    def __init__(self, spec: dict[str, Any]):
        import kernels

        torch.set_num_threads(kernels.get_num_threads())
        torch.manual_seed(0)
        values = shape_of(spec)
        config = transformers.AutoConfig.for_model(values.pop("model_type"), **values)
        self.vocabulary, self.tokens = config.vocab_size, spec["context"]
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
        if spec["method"] == "lora":
            model = peft.get_peft_model(model, peft.LoraConfig(
                task_type="CAUSAL_LM", r=spec["rank"], lora_alpha=16, target_modules=EVERY
            ))
        self.model = model.train()
        self.learned = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, lr=1e-4, fused=True)

    def batch(self, rng: np.random.Generator) -> torch.Tensor:
        """(1, T + 1) random ids."""
        return torch.tensor(rng.integers(0, self.vocabulary, (1, self.tokens + 1)))

    def step(self, ids: torch.Tensor) -> float:
        """One step; returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        logits = self.model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(
            logits.view(-1, self.vocabulary), ids[:, 1:].reshape(-1)
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.learned, 1.0)
        self.optimizer.step()
        return loss.item()
