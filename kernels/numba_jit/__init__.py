"""The kernels in Numba: nearly the C's speed for whoever has no compiler.

The same names, contracts and loops as c/, in Python. numpy_ref says what each operation means,
jit.py how these are compiled, cached and threaded.
"""

from kernels.numba_jit.adamw import adamw_update, sum_of_squares
from kernels.numba_jit.adamw8bit import adamw8bit_update
from kernels.numba_jit.attention import attention_backward, attention_forward
from kernels.numba_jit.byte_ngrams import (
    byte_ngram_counts,
    byte_ngram_logits,
    byte_ngrams,
    byte_ngrams_known,
)
from kernels.numba_jit.cross_entropy import cross_entropy_backward, cross_entropy_forward
from kernels.numba_jit.decode import decode_step
from kernels.numba_jit.dropout import dropout_backward, dropout_forward
from kernels.numba_jit.embedding import embedding_backward, embedding_forward
from kernels.numba_jit.gelu import gelu_backward, gelu_forward
from kernels.numba_jit.layernorm import layernorm_backward, layernorm_forward
from kernels.numba_jit.linear import (
    activate_backward,
    activate_forward,
    linear_backward,
    linear_forward,
)
from kernels.numba_jit.linear_cross_entropy import (
    linear_cross_entropy_forward,
    linear_cross_entropy_gradients,
)
from kernels.numba_jit.linear_log_probability import (
    linear_log_probability_backward,
    linear_log_probability_forward,
)
from kernels.numba_jit.linear_packed import linear_packed_backward
from kernels.numba_jit.matmul import matmul_backward, matmul_forward
from kernels.numba_jit.matmul_int4 import linear_int4_forward
from kernels.numba_jit.matmul_int8 import linear_int8_forward, matmul_int8, quantize_rows
from kernels.numba_jit.matmul_nf4 import linear_nf4_forward
from kernels.numba_jit.matmul_q4_1 import linear_q4_1_forward
from kernels.numba_jit.matmul_q8_0 import linear_q8_0_forward
from kernels.numba_jit.minhash import minhash_signature, shingle_hashes
from kernels.numba_jit.muon import muon_update
from kernels.numba_jit.rmsnorm import rmsnorm_backward, rmsnorm_forward
from kernels.numba_jit.softmax import softmax_backward, softmax_forward
from kernels.numba_jit.softmax_summary import softmax_summary
from kernels.numba_jit.word_ngrams import repeated_ngrams, split_words
