"""No operation and no kernel without its tests."""

import kernels
from minigrad import ops
from minigrad.testing import REGISTRY
from tests.oracles import ORACLES

# Kernels that no gradient goes through: the optimizer's, and those of inference.
# They are compared with the reference in tests/kernels.
WITHOUT_GRADIENT = {
    "adamw_update", "adamw8bit_update", "muon_update", "sum_of_squares", "quantize_rows",
    "matmul_int8", "decode_step", "softmax_summary", "shingle_hashes", "minhash_signature",
    "split_words", "repeated_ngrams",
    "byte_ngrams", "byte_ngram_counts", "byte_ngram_logits", "byte_ngrams_known",
}
# Kernels of ops.linear_packed, whose weight is no array and fits no sampler: its gradients are
# certified in tests/minigrad/test_quantized_gradients.py, the activations in
# tests/kernels/test_activate.py.
OF_PACKED_WEIGHTS = {
    "activate_forward", "activate_backward",
    "linear_int8_forward", "linear_int4_forward", "linear_nf4_forward",
    "linear_q4_1_forward", "linear_q8_0_forward", "linear_packed_backward",
}


def functions():
    return {name: value for name, value in vars(ops).items() if getattr(value, "__module__", "")
            .startswith("minigrad.ops") and not name.startswith("_")}


def test_every_operation_with_a_gradient_is_registered_with_a_domain_and_an_oracle():
    constant = {n for n, f in functions().items() if f.__module__ == "minigrad.ops.constant"}
    assert constant < set(ops.__all__)
    assert set(REGISTRY) == set(ops.__all__) - constant
    assert set(ORACLES) == set(REGISTRY)
    assert all(op.domain for op in REGISTRY.values())


def test_every_public_function_of_minigrad_ops_is_exported_or_an_alias():
    assert set(functions()) == set(ops.__all__) | set(ops.names.ALIASES)
    assert not set(ops.__all__) & set(ops.names.ALIASES)


def test_every_kernel_with_a_gradient_belongs_to_an_operation():
    claimed = {name for op in REGISTRY.values() for name in op.kernels}
    assert claimed <= set(kernels.OPS)
    assert set(kernels.OPS) - claimed == WITHOUT_GRADIENT | OF_PACKED_WEIGHTS


def test_a_kernels_forward_and_backward_belong_to_the_same_operation():
    for op in REGISTRY.values():
        halves = {name.rsplit("_", 1)[0] for name in op.kernels}
        assert len(op.kernels) == 2 * len(halves)
