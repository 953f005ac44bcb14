"""What a teacher says: to each token when it is asked, once for all on disk, or in a text.

    asked        the teacher reads every batch as the student does: a forward pass a step
    KeptTeacher  it reads the text once, and k log-probabilities of each place stay on disk: k (4 +
                 2) bytes a token, whatever the vocabulary is
    write_text   it writes, and whoever reads the text needs to know nothing of the teacher

Read next: distillation.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minigrad.nn import evaluating
from tinygpt.alignment.rollouts import draw_answers
from tinygpt.compression.divergence import log_softmax
from tinygpt.data import BatchLoader
from tinygpt.data.batches import Batch, RandomRows
from tinygpt.data.shards import Tokens
from tinygpt.errors import UserError
from tinygpt.inference.prompt import knows
from tinygpt.model import LanguageModel
from tinygpt.runs.run import Run
from tinygpt.storage import safetensors
from tinygpt.storage.durable import DurableFile
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import FormatError
from tinygpt.text.files import is_run
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer
from tinygpt.training.objective import Say
from tinygpt.weights import open as weights

KEPT = "teacher.safetensors"  # in the run's folder
AT_ONCE = 16  # texts that are written side by side
LOGITS = 8_000_000  # of the teacher at once, while it is asked for all
BREAK = "\n\n"  # between texts that it writes


def run_of(path: str) -> Run | None:
    """The run that a teacher is, None for a file or another program's folder."""
    return Run.open(path) if is_run(Path(path)) and not weights.is_foreign(path) else None


def open_teacher(path: str, say: Say | None) -> tuple[LanguageModel, Tokenizer]:
    """(model, tokenizer), dropout off.  Errors as `weights.open_model`."""
    model, tokenizer = weights.open_model(path, say or (lambda text: None))
    return model.eval(), tokenizer


def check_same_tokens(teacher: Tokenizer, student: Tokenizer, path: str) -> None:
    """Raise UserError unless a teacher's log-probabilities are of the student's tokens."""
    if teacher.to_json() != student.to_json():
        raise UserError(
            f"the teacher {shown(path)} has another vocabulary than the student, so its "
            "probabilities are of other tokens. Let it teach by what it writes (--by text), or "
            "choose a student with its tokenizer."
        )


class Said(NamedTuple):
    """What a teacher said of B T places: ids, log_p (B T, k)."""

    ids: np.ndarray
    log_p: np.ndarray


class KeptTeacher:
    """The likeliest k tokens of each place of windows of a text, read from a run's folder.

    Raises UserError for a file that is damaged or of other windows.
    """

    def __init__(self, folder: Path, context: int, vocab_size: int):
        path = folder / KEPT
        try:
            arrays = safetensors.open_tensors(path).arrays
            self.starts, self.ids, self.log_p = (
                arrays[name] for name in ("starts", "ids", "log_p")
            )
            fits = self.ids.shape == self.log_p.shape and self.ids.ndim == 3
            if not fits or self.ids.shape[:2] != (len(self.starts), context):
                raise FormatError("holds windows of another shape than the model's")
            if int(self.ids.max(initial=0)) >= vocab_size:
                raise FormatError(f"names a token beyond the vocabulary of {vocab_size}")
        except (FormatError, KeyError, OSError) as error:
            raise UserError(
                f"{path}, what the teacher said, cannot be used: it {error}. Bring it back, or "
                "begin another run."
            ) from error

    def said(self, numbers: np.ndarray) -> Said:
        """Of windows by their numbers, (B,)."""
        k = self.ids.shape[2]
        return Said(
            self.ids[numbers].reshape(-1, k).astype(np.int64), self.log_p[numbers].reshape(-1, k)
        )


def keep_teacher(
    teacher: LanguageModel, tokens: Tokens, context: int, most: int, k: int, folder: Path,
    tell: Callable[[str], object] = lambda text: None,
) -> None:
    """Let a teacher read windows side by side, and write what it finds likeliest to `folder`.

    most: windows at most, spread evenly over the text.
    Bytes: 6 k a token, 8 for a vocabulary beyond 65,536.  Raises OSError.
    """
    size = teacher.shape.vocab_size
    k = min(k, size)
    count = (len(tokens) - 1) // context
    chosen = np.linspace(0, count - 1, min(count, most)).round().astype(np.int64)
    starts = chosen * context
    loader = BatchLoader(tokens, 1, context, np.random.default_rng(0))
    ids = np.empty((len(starts), context, k), np.uint16 if size <= 1 << 16 else np.uint32)
    log_p = np.empty((len(starts), context, k), np.float32)
    each = max(1, LOGITS // (context * size))
    tell(f"the teacher reads {len(starts) * context:,} tokens")
    with evaluating(teacher):
        for at in range(0, len(starts), each):
            said = log_softmax(teacher(loader.windows(starts[at : at + each]).ids).data)
            best = np.argpartition(-said, k - 1, axis=-1)[..., :k]
            ids[at : at + each] = best
            log_p[at : at + each] = np.take_along_axis(said, best, axis=-1)
    folder.mkdir(parents=True, exist_ok=True)
    with DurableFile(folder / KEPT) as file:
        safetensors.write(file, {"starts": starts, "ids": ids, "log_p": log_p})


def own_rows(
    windows: BatchLoader, model: LanguageModel, share: float, rng: np.random.Generator,
    make: Callable[[Batch, bool], Any],
) -> RandomRows[Any]:
    """Batches of which a share is written by the model that learns, as it is by then.

    A quarter of each such row is the text's; what follows is drawn at temperature 1.
    make: (batch, whether the model wrote it) -> what a loss is of.
    """
    given = max(1, windows.context // 4)

    def batch_of(starts: np.ndarray) -> Any:
        batch = windows.windows(starts)
        if not share or rng.random() >= share:
            return make(batch, False)
        drawn = draw_answers(
            model, list(batch.ids[:, :given]), 1, (), windows.context, 1.0, rng
        )
        rows = np.stack([
            np.concatenate([ids[:given], one.ids])
            for ids, one in zip(batch.ids, drawn, strict=True)
        ])
        return make(Batch(rows[:, :-1].copy(), rows[:, 1:].copy()), True)

    return RandomRows(windows.count, windows.batch_size, rng, batch_of)


def write_text(
    teacher: LanguageModel, tokenizer: Tokenizer, tokens: int, rng: np.random.Generator,
    tell: Callable[[str], object] = lambda text: None,
) -> str:
    """About so many tokens of a teacher's own texts, each as long as its context lets it.

    Each begins as a text of its corpus does: behind <|endoftext|>; where the tokenizer has none, at
    the start of a line; and where it has no lines, with its first token.
    """
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    line = tokenizer.encode_array("\n")[0] if knows(tokenizer, "\n") else 0
    opening = int(line) if end is None else end
    stops = () if end is None else (end,)
    texts: list[str] = []
    made = 0
    while made < tokens:
        tell(f"the teacher has written {made:,} of {tokens:,} tokens")
        drawn = draw_answers(
            teacher, [np.array([opening])], AT_ONCE, stops, min(1024, teacher.shape.context - 1),
            1.0, rng,
        )
        made += sum(len(one.ids) for one in drawn)
        texts += [tokenizer.decode(one.ids[: len(one.ids) - one.ended]) for one in drawn]
    return BREAK.join(text.strip("\n") for text in texts) + "\n"
