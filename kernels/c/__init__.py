"""The kernels in C, compiled once for each instruction set.

To add an op, say `norm`:
  0. ../contracts.py   a line that says what it takes, for every backend
  1. kernels.h   its signature under its file's name: both cffi and the compiler read it
  2. norm.c      formula and passes in the header comment; includes kernels.h, parallel.h, simd.h,
                 rows.h for what is done along a row;
                 static functions begin with the op's name (all .c files are one translation unit);
                 no #if, no intrinsics, no malloc: buffers come from Python
                 (library.scratch for what is needed during the call only)
  3. norm.py     (x,), sizes = contracts.norm_forward.ready(x), allocate with memory.empty, call
                 library.lib.norm_forward(pointer(x), ...)
  4. here        import its functions; kernels/__init__.py takes from this module what it finds
  5. tests/kernels/test_norm.py   every fast version (fixture `fast`) against numpy_ref

build.py finds new .c files itself: `python setup.py -q build_ext --inplace`.
Read next: softmax.py and softmax.c (the smallest whole example), simd.h, then matmul.c.
"""

from kernels.c.adamw import adamw_update, sum_of_squares
from kernels.c.adamw8bit import adamw8bit_update
from kernels.c.attention import attention_backward, attention_forward
from kernels.c.byte_ngrams import (
    byte_ngram_counts,
    byte_ngram_logits,
    byte_ngrams,
    byte_ngrams_known,
)
from kernels.c.cross_entropy import cross_entropy_backward, cross_entropy_forward
from kernels.c.decode import decode_step
from kernels.c.dropout import dropout_backward, dropout_forward
from kernels.c.embedding import embedding_backward, embedding_forward
from kernels.c.gelu import gelu_backward, gelu_forward
from kernels.c.layernorm import layernorm_backward, layernorm_forward
from kernels.c.library import available_isas, current_isa, use_isa
from kernels.c.linear import (
    activate_backward,
    activate_forward,
    linear_backward,
    linear_forward,
)
from kernels.c.linear_cross_entropy import (
    linear_cross_entropy_forward,
    linear_cross_entropy_gradients,
)
from kernels.c.linear_log_probability import (
    linear_log_probability_backward,
    linear_log_probability_forward,
)
from kernels.c.linear_packed import linear_packed_backward
from kernels.c.matmul import matmul_backward, matmul_forward
from kernels.c.matmul_int4 import linear_int4_forward
from kernels.c.matmul_int8 import linear_int8_forward, matmul_int8, quantize_rows
from kernels.c.matmul_nf4 import linear_nf4_forward
from kernels.c.matmul_q4_1 import linear_q4_1_forward
from kernels.c.matmul_q8_0 import linear_q8_0_forward
from kernels.c.minhash import minhash_signature, shingle_hashes
from kernels.c.muon import muon_update
from kernels.c.rmsnorm import rmsnorm_backward, rmsnorm_forward
from kernels.c.softmax import softmax_backward, softmax_forward
from kernels.c.softmax_summary import softmax_summary
from kernels.c.word_ngrams import repeated_ngrams, split_words
