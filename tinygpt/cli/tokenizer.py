"""`tinygpt tokenizer ...`: train, encode, decode, inspect, compare, convert."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tinygpt.cli.paths import Place, Size
from tinygpt.errors import UsageError, UserError
from tinygpt.storage.paths import PathError, kind, shown

# Heavy modules are imported inside the functions, so that --help answers at once.


@click.group()
def tokenizer():
    """Train, use, look into and compare tokenizers.

    A TOKENIZER is a file that `train` wrote, a run's folder, a Hugging Face tokenizer.json, a
    SentencePiece .model or a tiktoken rank file.

    \b
    tinygpt tokenizer train my.txt --vocab-size 4096 --out my.json
    tinygpt tokenizer inspect my.json "How is this sentence cut?"
    tinygpt tokenizer compare my.json other.json --text my.txt
    """


@tokenizer.command()
@click.argument("texts", nargs=-1, required=True)
@click.option("--out", type=Place(dir_okay=False), default="tokenizer.json", show_default=True,
              help="File to write.")
@click.option("--vocab-size", default=4096, show_default=True,
              help="Ids in all: 256 bytes, merges or pieces, special tokens.")
@click.option("--pattern", default="cl100k", show_default=True,
              help="How text is cut into words: gpt2, cl100k, llama3, o200k, or a regex.")
@click.option("--kind", type=click.Choice(["bpe", "unigram", "char"]), default="bpe",
              show_default=True)
@click.option("--min-count", default=2, show_default=True, help="Rarer pairs are not merged.")
@click.option("--special", "specials", multiple=True, metavar="NAME",
              help="A special token, may be repeated [default: six for chat].")
@click.option("--max-memory", type=Size(), help="As in 1GB; beyond it, work on the disk.")
@click.option("--format", "form", default="tinygpt", show_default=True,
              type=click.Choice(["tinygpt", "huggingface", "tiktoken"]))
@click.option("--bytes", "raw", is_flag=True, help="Learn from any bytes, exactly as they are.")
def train(texts, out, vocab_size, pattern, kind, min_count, specials, max_memory, form, raw):
    """Train on TEXTS: files, folders, "stories", "python", "python+tests" or - (stdin).

    Folders give their .txt, .md and .py files. Files may be of any size. They are read as `tinygpt
    train` reads them (line ends become "\\n", UTF-16 is understood, what is no text is refused).
    """
    import time

    from tinygpt.screens.console import Progress, Screen
    from tinygpt.tokenizer import DEFAULT_SPECIAL_TOKENS, CharTokenizer, export, sources
    from tinygpt.tokenizer.counting import WordCounts
    from tinygpt.tokenizer.trainer import check_vocab_size, train_on_words
    from tinygpt.tokenizer.unigram_trainer import train_unigram_on_words

    started = time.perf_counter()
    files, notes = sources.find_all(texts)
    for note in notes:
        click.echo(note, err=True)
    if kind == "char":
        if raw:
            raise UsageError("a character tokenizer learns characters, not bytes. Drop --bytes.")
        if form != "tinygpt":
            raise UsageError(f"a character tokenizer cannot be saved as {form}. Drop --format.")
        with Progress() as busy:
            busy("reading")
            made = CharTokenizer.train(sources.characters(files))
        made.save(out)
        click.echo(f"{out}: {made.vocab_size} characters")
        return
    if kind == "unigram" and form != "tinygpt":
        raise UsageError(f"a Unigram tokenizer cannot be saved as {form} here. Drop --format.")
    special_tokens = tuple(dict.fromkeys(specials)) or DEFAULT_SPECIAL_TOKENS
    check_vocab_size(vocab_size, special_tokens)
    with WordCounts(pattern, max_memory) as words, Progress() as busy:
        n_bytes = sources.count(
            files, words, busy.counter("reading", sources.size(files)), raw
        )
        counted = time.perf_counter() - started
        if kind == "unigram":
            made = train_unigram_on_words(
                words, vocab_size, special_tokens,
                lambda left, wanted: busy("pruning", wanted, max(left, wanted)),
            )
            learned = f"{len(made.pieces)} pieces"
        else:
            made = train_on_words(
                words, vocab_size, special_tokens, min_count,
                lambda done, wanted: busy("merging", done, wanted),
            )
            learned = f"{len(made.merges)} merges"
        n_words, place = len(words), "on disk" if words.spilled else "in memory"
    if form == "tinygpt":
        made.save(out)
    else:
        export(made, out, form)
    seconds = time.perf_counter() - started
    screen = Screen()
    screen.say(f"{out}: {made.vocab_size} tokens, {learned}, {made.pattern}")
    screen.say(
        f"learned from {n_bytes / 1e6:.1f} MB, {n_words:,} distinct words {place}, "
        f"in {seconds:.1f} s ({counted:.1f} s of it counting)"
    )
    if made.vocab_size < vocab_size:
        rest = f"pair is left that occurs {min_count} times" if kind == "bpe" else "piece is left"
        screen.say(f"No {rest}: fewer tokens than asked for.")


@tokenizer.command()
@click.argument("path", metavar="TOKENIZER", type=Place())
@click.argument("source", default="-", metavar="[FILE]")
@click.option("--text", help="Encode this instead of a file.")
@click.option("--out", type=Place(dir_okay=False),
              help="Write the ids here as raw uint16 (uint32 above 65536 ids).")
@click.option("--special/--no-special", default=False, help="Recognise special tokens in the text.")
@click.option("--pieces", is_flag=True, help="Show the tokens instead of their ids.")
@click.option("--bytes", "raw", is_flag=True, help="Encode any bytes, exactly as they are.")
def encode(path, source, text, out, special, pieces, raw):
    """Turn text (FILE, --text or standard input) into ids."""
    from tinygpt.screens.console import Progress
    from tinygpt.text.files import one_file
    from tinygpt.tokenizer import CharTokenizer, sources
    from tinygpt.tokenizer.inspection import show
    from tinygpt.tokenizer.parallel import encode_many, encode_stream

    tok = _load(path)
    stream = sources.open_text(one_file(source), raw) if text is None else None
    if text is not None or special:
        data = stream.read() if text is None else text
        allowed, refused = ("all", "all") if special else ((), ())
        parts = iter([tok.encode_array(data, allowed, refused)])
    elif isinstance(tok, CharTokenizer):
        parts = encode_many(tok, [stream.read()])
    else:
        parts = encode_stream(tok, stream)
    if out:
        with Progress() as busy:
            busy("encoding the text")
            total = _write_ids(out, parts)
        click.echo(f"{out}: {total:,} tokens, {tok.dtype.name}", err=True)
        return
    for ids in parts:
        words = [repr(show(tok.decode_bytes([t])))[1:-1] for t in ids] if pieces else ids
        click.echo(" ".join(map(str, words)))


@tokenizer.command()
@click.argument("path", metavar="TOKENIZER", type=Place())
@click.argument("ids", nargs=-1)
@click.option("--file", "file", help="Raw ids, as `encode --out` wrote them.")
def decode(path, ids, file):
    """Turn IDS (or --file, or numbers from standard input) back into the very same bytes."""
    import numpy as np

    from tinygpt.text.files import one_file
    from tinygpt.text.reading import read_text
    from tinygpt.tokenizer import sources

    tok = _load(path)
    out = sys.stdout.buffer
    start = tok.prefix
    if file:
        stream = sources.open_text(one_file(file), raw=True)
        while data := stream.read(1 << 20):
            if len(data) % tok.dtype.itemsize:
                raise UserError(
                    f"{file} is no file of {tok.dtype.name} ids: its last one is cut off. Give "
                    "what `encode --out` wrote with this tokenizer."
                )
            ids = np.frombuffer(data, tok.dtype.newbyteorder("<"))
            out.write(tok.decode_bytes(ids).removeprefix(start))
            start = b""
    else:
        words = ids or read_text("-").split()
        out.write(tok.decode_bytes([_integer(word) for word in words]).removeprefix(start))
    out.flush()


@tokenizer.command()
@click.argument("path", metavar="TOKENIZER", type=Place())
@click.argument("sentence", required=False)
@click.option("--text", "file", help="Measure the compression of this file.")
@click.option("--longest", default=10, show_default=True, help="How many long tokens to list.")
def inspect(path, sentence, file, longest):
    """Show what a tokenizer learned, and how it cuts SENTENCE."""
    from tinygpt.screens.console import Progress, Screen
    from tinygpt.screens.tokenizer import say_cut, say_learned, say_measured
    from tinygpt.text.files import one_file

    tok = _load(path)
    console = Screen()
    say_learned(console, tok, longest)
    if file:
        with Progress() as busy:
            busy("encoding the text")
            found = _measured(tok, one_file(file))
        say_measured(console, found)
    if sentence is None and not file and sys.stdout.isatty():
        sentence = "The little dog wasn't lost; it knew 1234 ways home."
    if sentence is not None:
        say_cut(console, tok, sentence)


@tokenizer.command()
@click.argument("paths", nargs=-1, required=True, type=Place(),
                metavar="TOKENIZER TOKENIZER ...")
@click.option("--text", "file", required=True, help="The text to compare them on.")
@click.option("--train", "steps", type=click.IntRange(min=1), metavar="STEPS",
              help="Train a small model on each for so many steps; show its bits per byte.")
def compare(paths, file, steps):
    """Compression side by side: how one chooses a vocabulary, and its size.

    More bytes per token means that a model sees further and trains on fewer tokens; unused ids are
    rows of its embedding that learn nothing. What a model makes of it, --train tells: it learns
    from nine tenths of the text and is measured on the last, in bits for each byte of it.
    """
    from rich.table import Table
    from rich.text import Text

    from tinygpt.machine.terminal import visible
    from tinygpt.screens.console import Progress, Screen
    from tinygpt.text.files import one_file
    from tinygpt.text.reading import kept

    titles = ("tokenizer", "ids", "tokens", "bytes/token", "tokens/word", "unused", "%",
              *(["bits/byte"] if steps else []))
    rows = []
    with Progress() as busy:
        text = kept(one_file(file))
        for number, path in enumerate(paths):
            busy("encoding the text", number, len(paths))
            tok = _load(path)
            m = _measured(tok, text)
            bits = [f"{_bits_per_byte(tok, text, steps, busy):.3f}"] if steps else []
            rows.append((
                visible(path), f"{m.vocab_size:,}", f"{m.tokens:,}",
                f"{m.bytes_per_token:.3f}", f"{m.tokens_per_word:.3f}", f"{m.unused:,}",
                f"{100 * m.unused / m.vocab_size:.1f}", *bits,
            ))
    screen = Screen()
    if screen.width < 60:  # too narrow to stand side by side
        for row in rows:
            for title, value in zip(titles, row, strict=True):
                screen.say(f"{title:<12} {value}")
        return
    table = Table()
    for i, title in enumerate(titles):
        table.add_column(title, justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    screen.print(table)


@tokenizer.command()
@click.argument("path", metavar="TOKENIZER", type=Place())
@click.argument("out", type=Place(dir_okay=False))
@click.option("--format", "form", default="huggingface", show_default=True,
              type=click.Choice(["tinygpt", "huggingface", "tiktoken"]))
@click.option("--pattern", help="The pattern of a tiktoken file, which does not say (cl100k).")
def convert(path, out, form, pattern):
    """Write TOKENIZER to OUT in another program's format, or in ours."""
    from tinygpt.tokenizer import BPETokenizer, export

    tok = _load(path, pattern)
    if form == "tinygpt":
        tok.save(out)
    elif isinstance(tok, BPETokenizer):
        export(tok, out, form)
    else:
        raise UserError(
            f"{path} is a {type(tok).__name__}, and only byte-level BPE is written for other "
            "programs. Choose --format tinygpt."
        )
    click.echo(f"{out}: {tok.vocab_size} ids, {form}")
    if form == "tiktoken":
        click.echo(f"The file does not say: pattern {tok.pattern}, special {tok.special_tokens}")


def _load(path, pattern=None):
    from tinygpt.runs.run import Run
    from tinygpt.tokenizer import load

    folder = Path(path)
    there = kind(folder)
    if not there:
        raise PathError(
            f"there is no tokenizer {shown(folder)}. Give the path of a file that `tinygpt "
            "tokenizer train` wrote."
        )
    if (folder / "config.json").is_file() and (folder / "checkpoints").is_dir():
        return Run.open(folder).tokenizer
    if there == "folder":
        path = next(iter(sorted(folder.rglob("tokenizer.json"))), None)
        if path is None:
            raise UserError(f"no tokenizer.json in the folder {folder}. Give a tokenizer's file.")
    return load(path, pattern)


# --- small parts --------------------------------------------------------------------------------


def _write_ids(out: str, parts) -> int:
    from tinygpt.storage.durable import replacing

    total = 0
    try:
        with replacing(Path(out)) as file:
            for ids in parts:
                file.write(ids.astype(ids.dtype.newbyteorder("<")).tobytes())
                total += len(ids)
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror}. Choose another place.") from None
    return total


def _integer(word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise UserError(f"{word!r} is not an id. Give numbers, as `encode` prints them.") from None


def _measured(tok, file):
    """How a tokenizer does on a text.  Raises UserError for an empty one."""
    from tinygpt.tokenizer import sources
    from tinygpt.tokenizer.inspection import measure
    from tinygpt.tokenizer.parallel import parts

    m = measure(tok, parts(tok, sources.open_text(file)))
    if not m.tokens:
        raise UserError(f"{file.label} is empty: too little text to measure. Give some.")
    return m


def _bits_per_byte(tok, file, steps: int, busy) -> float:
    from tinygpt.diagnosis.tokenizers import bits_per_byte
    from tinygpt.text.reading import pieces

    text = "".join(pieces(file))
    return bits_per_byte(tok, text, steps, lambda step: busy("training a model", step, steps))
