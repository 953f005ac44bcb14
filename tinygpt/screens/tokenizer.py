"""What `tinygpt tokenizer inspect` shows: what was learned, and how a text and a sentence are cut.

The numbers are ../tokenizer/inspection.py's; here they become lines.
"""

from __future__ import annotations

from rich.text import Text
from rich.tree import Tree

from tinygpt.screens.console import Screen
from tinygpt.tokenizer import (
    BPETokenizer,
    CharTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    UnigramTokenizer,
)
from tinygpt.tokenizer.inspection import Compression, Derivation, cut, derive, longest_tokens, show
from tinygpt.tokenizer.pretokenize import how_cut

COLOURS = (
    "black on bright_cyan", "black on bright_yellow", "black on bright_green",
    "black on bright_magenta",
)


def say_learned(
    screen: Screen,
    tok: CharTokenizer | BPETokenizer | UnigramTokenizer | SentencePieceTokenizer,
    longest: int,
) -> None:
    """Numbers, special tokens, the `longest` longest tokens and as many that were learned first.

    Of a character tokenizer: its characters.
    """
    if isinstance(tok, CharTokenizer):
        characters = show(tok.decode_bytes(range(tok.vocab_size)))
        screen.say(f"{tok.vocab_size} characters: {characters}")
        return
    if isinstance(tok, SentencePieceTokenizer):
        bytes_too = "bytes for unknown characters" if tok.byte_fallback else "no bytes"
        screen.say(
            f"{tok.vocab_size} ids of SentencePiece's {tok.kind}, {bytes_too}, "
            f"{len(tok.special_tokens)} special tokens"
        )
        first, what = tok.most_likely(longest), "best"
    else:
        if isinstance(tok, BPETokenizer):
            learned, first, what = f"{len(tok.merges)} merges", tok.merged_ids[:longest], "earliest"
        else:
            best = list(tok.token_bytes)[256 : 256 + longest]
            learned, first, what = f"{len(tok.pieces)} pieces", best, "best"
        pattern = tok.pattern if len(tok.pattern) < 20 else "a pattern of its own"
        screen.say(
            f"{tok.vocab_size} ids: 256 bytes, {learned}, "
            f"{len(tok.special_tokens)} special tokens; cut by {pattern}"
        )
        screen.say(f"scanner   {how_cut(tok.pattern)}")
    names = "  ".join(f"{token} {name}" for name, token in tok.special_tokens.items())
    screen.say(f"special   {names or 'none'}")
    long = "  ".join(_tile(token, data) for token, data in longest_tokens(tok, longest))
    screen.say(f"longest   {long}")
    screen.say(f"{what:<9} {'  '.join(_tile(token, tok.token_bytes[token]) for token in first)}")


def say_measured(screen: Screen, found: Compression) -> None:
    """How a text was cut, in a line."""
    screen.say(
        f"on this text: {found.bytes_per_token:.3f} bytes/token, "
        f"{found.tokens_per_word:.3f} tokens/word, {found.unused:,} ids unused"
    )


def say_cut(screen: Screen, tok: Tokenizer, sentence: str) -> None:
    """The sentence with a colour for each token, then the merges of its two longest ones."""
    tokens = cut(tok, sentence)
    coloured = screen.is_terminal and not screen.no_color and screen.color_system
    line = Text()
    for i, (_, data) in enumerate(tokens):
        line.append(
            show(data) if coloured else f"[{show(data)}]", style=COLOURS[i % len(COLOURS)]
        )
    size = len(sentence.encode("utf-8", "surrogateescape"))
    screen.print(line)
    screen.print(" ".join(str(token) for token, _ in tokens), style="dim")
    rate = size / max(1, len(tokens))
    screen.print(f"{size} bytes, {len(tokens)} tokens: {rate:.2f} bytes/token")
    if not isinstance(tok, BPETokenizer):
        return
    special = set(tok.special_tokens.values())
    distinct = {token: data for token, data in tokens if token not in special}
    for token in sorted(distinct, key=lambda t: -len(distinct[t]))[:2]:
        tree = Tree(Text(_tile(token, distinct[token])))
        _grow(tree, derive(tok, token))
        screen.print(tree)


def _grow(tree: Tree, derivation: Derivation) -> None:
    for part in derivation.parts:
        _grow(tree.add(Text(_tile(part.token, part.bytes))), part)


def _tile(token: int, data: bytes) -> str:
    return f"{token} “{show(data)}”"
