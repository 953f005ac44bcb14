"""What every op takes, a line each; contract.py says how to read them and what they do.

What the arrays mean is in the op's file in numpy_ref/, which these lines abridge.
"""

from kernels.contract import Contract
from kernels.packing import SCHEMES

matmul_forward = Contract("matmul", "a (*, M, K) matrix, b (*, K, N) matrix")
matmul_backward = Contract("matmul", "dc (*, M, N) matrix, a (*, M, K) matrix, b (*, K, N) matrix")

linear_forward = Contract(
    "linear", "x (..., in), weight (out, in), bias (out) optional, residual (..., out) optional"
)
linear_backward = Contract(
    "linear", "dy (..., out), x (..., in) optional, weight (out, in), bias (out) optional"
)
linear_gated_forward = Contract(  # x holds two halves of `in`
    "linear", "x (..., halves), weight (out, in), bias (out) optional, residual (..., out) optional"
)
linear_gated_backward = Contract(
    "linear", "dy (..., out), x (..., halves) optional, weight (out, in), bias (out) optional"
)
activate_forward = Contract("activate", "x (..., C)")
activate_backward = Contract("activate", "da (..., n), x (..., C)")

attention_forward = Contract(
    "attention",
    "q (B, Tq, H, D) rows, k (B, Tk, Hkv, D) rows, v (B, Tk, Hkv, D) rows, "
    "first (B, Tq) int optional, last (B, Tq) int optional, bias (H, distances) optional, "
    "cos (positions, R) optional, sin (positions, R) optional",
)
attention_backward = Contract(
    "attention",
    "dy (B, Tq, H, D), q (B, Tq, H, D) rows, k (B, Tk, Hkv, D) rows, v (B, Tk, Hkv, D) rows, "
    "y (B, Tq, H, D), lse (B, H, Tq), first (B, Tq) int optional, last (B, Tq) int optional, "
    "bias (H, distances) optional, cos (positions, R) optional, sin (positions, R) optional",
)
attention_gradients = Contract(
    "attention",
    "q (B, Tq, H, D) rows, k (B, Tk, Hkv, D) rows, dq (B, Tq, H, D) rows written, "
    "dk (B, Tk, Hkv, D) rows written, dv (B, Tk, Hkv, D) rows written",
)

softmax_forward = Contract("softmax", "x (..., V)")
softmax_backward = Contract("softmax", "dy (..., V), y (..., V)")
softmax_summary = Contract("softmax_summary", "logits (R, V), ids (R) int")

layernorm_forward = Contract(
    "layernorm", "x (..., C), weight (C), bias (C) optional, residual (..., C) optional"
)
layernorm_backward = Contract(
    "layernorm", "dy (..., C), s (..., C), weight (C), mean (R), rstd (R), ds (..., C) optional"
)

rmsnorm_forward = Contract("rmsnorm", "x (..., C), weight (C), residual (..., C) optional")
rmsnorm_backward = Contract(
    "rmsnorm", "dy (..., C), s (..., C), weight (C), rstd (R), ds (..., C) optional"
)

gelu_forward = Contract("gelu", "x (...)")
gelu_backward = Contract("gelu", "dy (...), x (...)")

cross_entropy_forward = Contract("cross_entropy", "logits (R, V), targets (R) int")
cross_entropy_backward = Contract("cross_entropy", "logits (R, V), targets (R) int, lse (R)")

linear_cross_entropy = Contract(
    "linear_cross_entropy", "x (R, C), weight (V, C), targets (R) int, weights (R) optional"
)
linear_log_probability = Contract(
    "linear_log_probability", "x (R, C), weight (V, C), targets (R) int, dy (R) optional"
)

embedding_forward = Contract("embedding", "weight (V, C), ids (...) int")
embedding_backward = Contract("embedding", "dy (..., C), ids (...) int")

dropout = Contract("dropout", "x (...)")

adamw = Contract("adamw", "param (...) written, grad (...), m (...) written, v (...) written")
adamw8bit = Contract(
    "adamw8bit",
    "param (...) written, grad (...), m (R) int8 written, m_scale (blocks) written, "
    "v (R) uint8 written, v_scale (blocks) written",
)
muon = Contract("muon", "param (M, N) written, grad (M, N), momentum (M, N) written")
sum_of_squares = Contract("sum_of_squares", "x (...)")

# K and N are the packed weight's.
quantize_rows = Contract("quantize_rows", "x (..., K)")
matmul_int8 = Contract("matmul_int8", "x (..., K) int8")
linear_packed = {
    scheme: Contract(
        f"linear_{scheme}", "x (..., K), bias (N) optional, residual (..., N) optional"
    )
    for scheme in SCHEMES
}
linear_packed_backward = Contract("linear_packed", "dy (..., N)")

decode_step = Contract(
    "decode_step",
    "ids (B) int, positions (B) int, keys (L, S, places, Hkv, D) written, "
    "values (L, S, places, Hkv, D) written, slots (B) int optional, before (B) int optional",
)
decode_step_int8 = Contract(
    "decode_step",
    "ids (B) int, positions (B) int, keys (L, S, places, Hkv, D + 4) int8 written, "
    "values (L, S, places, Hkv, D + 4) int8 written, slots (B) int optional, "
    "before (B) int optional",
)
