"""Text to ids and back: characters, or byte-level BPE trained on your own text.

    from tinygpt.tokenizer import train_bpe, load
    tokenizer = train_bpe(open("my.txt").read(), vocab_size=4096)
    ids = tokenizer.encode("Once upon a time")

Read in this order: naive.py (all of BPE in forty lines), pretokenize.py, trainer.py, bpe.py; then
syntax.py and automaton.py for how a pattern becomes a table.
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
from tinygpt.tokenizer.trainer import train_bpe

__all__ = [
    "CHAT_TOKENS",
    "DEFAULT_SPECIAL_TOKENS",
    "END_OF_TEXT",
    "MASK",
    "BPETokenizer",
    "CharTokenizer",
    "StreamingDecoder",
    "Tokenizer",
    "TokenizerError",
    "export",
    "from_json",
    "load",
    "train_bpe",
    "what_runs",
]
