"""Programs that write text with the same GPT: tinygpt, PyTorch eager, CTranslate2, llama.cpp.

Each class has `decode(count)` -> seconds a token for one text, greedily, after a prompt of 16
tokens, `prefill(count)` -> seconds to the first token after a prompt of `count`, and `describe()`.
Weights are random, but for llama.cpp's, which are its file's: speed does not depend on them.
bench/generate.py drives them, each in a process of its own, in turn.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

PROMPT = 16
SHAPE = ("vocab_size", "context", "n_layers", "n_heads", "d_model")


class Ours:
    """tinygpt: the decoder that `tinygpt generate` uses, sampling included."""

    def __init__(self, spec: dict[str, Any]):
        from minigrad import set_num_threads
        from minigrad.nn import QuantizedEmbedding
        from tinygpt.compression.quantize import quantize_model
        from tinygpt.config import structure
        from tinygpt.inference.decoder import Decoder
        from tinygpt.inference.sampling import GREEDY, sample
        from tinygpt.model import ModelShape, build

        set_num_threads(spec["threads"])
        values = {key: spec[key] for key in SHAPE} | spec.get("settings", {})
        shape = structure(ModelShape, values, "model.")
        model = build(shape, np.random.default_rng(0)).eval()
        if spec["dtype"] != "fp32":
            if "table" in spec:
                table = QuantizedEmbedding.from_embedding(model.token_embedding, spec["table"])
                model.token_embedding = table
            quantize_model(model, spec["dtype"])
        self.model, self.decoder = model, Decoder(model)
        self.draw = lambda logits: sample(logits, GREEDY, None)  # type: ignore[arg-type]

    def decode(self, count: int) -> float:
        token = self._start(PROMPT)
        start = time.perf_counter()
        for _ in range(count):
            token = self.draw(self.decoder.step(token))
        return (time.perf_counter() - start) / count

    def prefill(self, count: int) -> float:
        start = time.perf_counter()
        self._start(count)
        return time.perf_counter() - start

    def one_by_one(self, count: int) -> float:
        """Seconds to the first token when the prompt is fed token by token."""
        self.decoder.clear()
        start = time.perf_counter()
        for _ in range(count):
            self.draw(self.decoder.step(np.ones(1, dtype=np.int64)))
        return time.perf_counter() - start

    def weight_bytes(self) -> int:
        """Bytes of weights that a step reads: of a table it takes one row."""
        from tinygpt.inference.network import network_of

        network = network_of(self.model)
        assert network is not None  # it would decode by its forward
        parts = [vars(layer).values() for layer in network.layers]
        arrays = [network.output, *(part for each in parts for part in each if part is not None)]
        return sum(array.nbytes for array in arrays)

    def _start(self, count: int) -> np.ndarray:
        self.decoder.clear()
        return self.draw(self.decoder.feed(np.ones((1, count), dtype=np.int64)))

    def describe(self) -> str:
        from minigrad import report

        return f"tinygpt ({report()['isa'] or report()['backend']})"


class Torch:
    """PyTorch eager with a preallocated KV cache, written in place; greedy."""

    def __init__(self, spec: dict[str, Any]):
        import torch

        from bench.peers.torch_gpt import GPT

        torch.set_num_threads(spec["threads"])
        torch.manual_seed(0)
        if spec["dtype"] != "fp32":
            raise SystemExit("the torch peer is measured in fp32")
        self.torch, self.heads = torch, spec["n_heads"]
        self.model = GPT(*(spec[k] for k in SHAPE)).eval()
        head = spec["d_model"] // spec["n_heads"]
        shape = (spec["n_layers"], 2, 1, spec["n_heads"], spec["context"], head)
        self.cache = torch.zeros(shape)

    def _forward(self, ids, position: int):
        F, m = self.torch.nn.functional, self.model
        T = ids.shape[1]
        end = position + T
        x = m.token_embedding(ids) + m.position_embedding(m.positions[position:end])
        for block, (keys, values) in zip(m.blocks, self.cache, strict=True):
            C = x.shape[2]
            heads = block.qkv(block.norm1(x)).view(1, T, 3, self.heads, C // self.heads)
            q, k, v = heads.permute(2, 0, 3, 1, 4)
            keys[:, :, position:end], values[:, :, position:end] = k, v
            y = F.scaled_dot_product_attention(
                q, keys[:, :, :end], values[:, :, :end], is_causal=T > 1
            )
            x = x + block.projection(y.transpose(1, 2).reshape(1, T, C))
            x = x + block.down(F.gelu(block.up(block.norm2(x)), approximate="tanh"))
        return F.linear(m.norm(x[:, -1]), m.token_embedding.weight).argmax(-1, keepdim=True)

    def decode(self, count: int) -> float:
        with self.torch.inference_mode():
            token = self._forward(self.torch.ones((1, PROMPT), dtype=self.torch.long), 0)
            start = time.perf_counter()
            for position in range(PROMPT, PROMPT + count):
                token = self._forward(token, position)
            token.item()
            return (time.perf_counter() - start) / count

    def prefill(self, count: int) -> float:
        with self.torch.inference_mode():
            start = time.perf_counter()
            self._forward(self.torch.ones((1, count), dtype=self.torch.long), 0).item()
            return time.perf_counter() - start

    def describe(self) -> str:
        return f"PyTorch {self.torch.__version__} eager"


class _Whole:
    """A peer that is asked for whole texts: what a token costs is the difference of two."""

    def _write(self, prompt: int, count: int) -> float:
        """Seconds for `count` tokens after a prompt of so many."""
        raise NotImplementedError

    def decode(self, count: int) -> float:
        return (self._write(PROMPT, count + 1) - self._write(PROMPT, 1)) / count

    def prefill(self, count: int) -> float:
        return self._write(count, 1)


class CTranslate2(_Whole):
    """CTranslate2's Generator, greedy; the time of the prompt is taken off."""

    def __init__(self, spec: dict[str, Any]):
        import tempfile

        import ctranslate2

        self.version = ctranslate2.__version__
        kind = {"fp32": "float32", "int8": "int8"}.get(spec["dtype"])
        if kind is None:
            raise SystemExit("the ctranslate2 peer is measured in fp32 and int8")
        with tempfile.TemporaryDirectory() as folder:
            _ctranslate2_model(spec).save(folder)
            self.generator = ctranslate2.Generator(
                folder, device="cpu", compute_type=kind, intra_threads=spec["threads"],
                inter_threads=1,
            )

    def _write(self, prompt: int, count: int) -> float:
        start = time.perf_counter()
        self.generator.generate_batch(
            [["t1"] * prompt], max_length=count, min_length=count, sampling_topk=1, beam_size=1,
            include_prompt_in_result=False, end_token="</s>",
        )
        return time.perf_counter() - start

    def describe(self) -> str:
        return f"CTranslate2 {self.version}"


class LlamaCpp(_Whole):
    """llama.cpp's server in this process, greedy, on SmolLM2's file; without a cache of prompts."""

    def __init__(self, spec: dict[str, Any]):
        import os

        import xllamacpp

        path = os.environ.get("TINYGPT_SMOLLM2")
        if not path or spec["dtype"] != "q4_1":
            raise SystemExit("llama.cpp is measured in q4_1, on the file of TINYGPT_SMOLLM2")
        settings = xllamacpp.CommonParams()
        settings.model.path, settings.n_ctx, settings.n_parallel = path, spec["context"], 1
        settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = spec["threads"]
        settings.warmup = settings.fit_params = False
        settings.verbosity = -1
        self.server, self.version = xllamacpp.Server(settings), xllamacpp.__version__

    def _write(self, prompt: int, count: int) -> float:
        start = time.perf_counter()
        self.server.handle_completions({
            "prompt": list(range(1000, 1000 + prompt)), "n_predict": count, "temperature": 0.0,
            "ignore_eos": True, "cache_prompt": False,
        })
        return time.perf_counter() - start

    def describe(self) -> str:
        return f"llama.cpp (xllamacpp {self.version})"


def _ctranslate2_model(spec: dict[str, Any]):
    """GPT-2's architecture in CTranslate2's terms, with random weights."""
    from ctranslate2.specs import common_spec, transformer_spec

    rng = np.random.default_rng(0)
    V, T, L, H, C = (spec[k] for k in SHAPE)

    def draw(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32) * np.float32(0.02)

    def norm(layer) -> None:
        layer.gamma, layer.beta = np.ones(C, np.float32), np.zeros(C, np.float32)

    model = transformer_spec.TransformerDecoderModelSpec.from_config(
        L, H, pre_norm=True, activation=common_spec.Activation.GELUTanh
    )
    decoder = model.decoder
    decoder.scale_embeddings = False
    decoder.embeddings.weight = draw(V, C)
    decoder.position_encodings.encodings = draw(T, C)
    decoder.projection.weight = decoder.embeddings.weight
    norm(decoder.layer_norm)
    for layer in decoder.layer:
        norm(layer.self_attention.layer_norm)
        norm(layer.ffn.layer_norm)
        layer.self_attention.linear[0].weight = draw(3 * C, C)
        layer.self_attention.linear[1].weight = draw(C, C)
        layer.ffn.linear_0.weight = draw(4 * C, C)
        layer.ffn.linear_1.weight = draw(C, 4 * C)
    model.register_vocabulary(["<unk>", "<s>", "</s>", *(f"t{i}" for i in range(V - 3))])
    model.shape.unk_token, model.shape.bos_token, model.shape.eos_token = "<unk>", "<s>", "</s>"
    model.validate()
    return model
