"""Text to ids and back: characters, byte-level BPE or Unigram trained on your own text.

    from tinygpt.tokenizer import train_bpe, load
    tokenizer = train_bpe(open("my.txt").read(), vocab_size=4096)
    ids = tokenizer.encode("Once upon a time")

Read in this order: naive.py (all of BPE in forty lines), pretokenize.py, trainer.py, bpe.py; then
syntax.py and automaton.py for how a pattern becomes a table. Unigram: naive_unigram.py, lattice.py,
unigram_trainer.py, unigram.py. SentencePiece's models: normalizer.py, sentencepiece.py.
"""

from tinygpt.tokenizer.base import (
    CHAT_TOKENS,
    DEFAULT_SPECIAL_TOKENS,
    END_OF_TEXT,
    MASK,
    StreamingDecoder,
    Tokenizer,
)
from tinygpt.tokenizer.bpe import BPETokenizer
from tinygpt.tokenizer.char import CharTokenizer
from tinygpt.tokenizer.compiled import what_runs
from tinygpt.tokenizer.files import TokenizerError
from tinygpt.tokenizer.formats import export, from_json, load
from tinygpt.tokenizer.sentencepiece import SentencePieceTokenizer
from tinygpt.tokenizer.trainer import train_bpe
from tinygpt.tokenizer.unigram import UnigramTokenizer
from tinygpt.tokenizer.unigram_trainer import TRAINERS, train_unigram

__all__ = [
    "CHAT_TOKENS",
    "DEFAULT_SPECIAL_TOKENS",
    "END_OF_TEXT",
    "MASK",
    "TRAINERS",
    "BPETokenizer",
    "CharTokenizer",
    "SentencePieceTokenizer",
    "StreamingDecoder",
    "Tokenizer",
    "TokenizerError",
    "UnigramTokenizer",
    "export",
    "from_json",
    "load",
    "train_bpe",
    "train_unigram",
    "what_runs",
]
