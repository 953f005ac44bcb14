"""The specification: what each kernel means, in NumPy, for any float dtype.

Every file holds one operation: its contract, the derivation of its backward, and nothing fast.
Finite differences in float64 certify these functions; these functions certify all others.
"""

from kernels.numpy_ref.adamw import adamw_update, sum_of_squares
from kernels.numpy_ref.adamw8bit import adamw8bit_update
from kernels.numpy_ref.attention import attention_backward, attention_forward
from kernels.numpy_ref.byte_ngrams import (
    byte_ngram_counts,
    byte_ngram_logits,
    byte_ngrams,
    byte_ngrams_known,
)
from kernels.numpy_ref.cross_entropy import cross_entropy_backward, cross_entropy_forward
from kernels.numpy_ref.decode import decode_step
from kernels.numpy_ref.dropout import dropout_backward, dropout_forward
from kernels.numpy_ref.embedding import embedding_backward, embedding_forward
from kernels.numpy_ref.gelu import gelu_backward, gelu_forward
from kernels.numpy_ref.layernorm import layernorm_backward, layernorm_forward
from kernels.numpy_ref.linear import (
    activate_backward,
    activate_forward,
    linear_backward,
    linear_forward,
)
from kernels.numpy_ref.linear_cross_entropy import (
    linear_cross_entropy_forward,
    linear_cross_entropy_gradients,
)
from kernels.numpy_ref.linear_log_probability import (
    linear_log_probability_backward,
    linear_log_probability_forward,
)
from kernels.numpy_ref.linear_packed import linear_packed_backward
from kernels.numpy_ref.matmul import matmul_backward, matmul_forward
from kernels.numpy_ref.matmul_int4 import linear_int4_forward
from kernels.numpy_ref.matmul_int8 import linear_int8_forward, matmul_int8, quantize_rows
from kernels.numpy_ref.matmul_nf4 import linear_nf4_forward
from kernels.numpy_ref.matmul_q4_1 import linear_q4_1_forward
from kernels.numpy_ref.matmul_q8_0 import linear_q8_0_forward
from kernels.numpy_ref.minhash import minhash_signature, shingle_hashes
from kernels.numpy_ref.muon import muon_update
from kernels.numpy_ref.rmsnorm import rmsnorm_backward, rmsnorm_forward
from kernels.numpy_ref.softmax import softmax_backward, softmax_forward
from kernels.numpy_ref.softmax_summary import softmax_summary
from kernels.numpy_ref.word_ngrams import repeated_ngrams, split_words
