"""tinygpt from Python, for those who write ten lines.

    import tinygpt
    tinygpt.train("S", "my-run", ["data.source=my.txt"])
    run = tinygpt.open("my-run")
    for text in run.generate("Once"):
        print(text, end="", flush=True)
    print(run.loss("Once upon a time"))
    print(tinygpt.inspect(run, "Once upon a time").weights.at(layer=0, head=1))

Read next: what it calls, training/trainer.py and inference/generate.py. docs/library.md shows more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from tinygpt.config import Config, load_config
from tinygpt.errors import UserError
from tinygpt.inference.embedding import embed
from tinygpt.inference.generate import stream_text
from tinygpt.inference.prompt import opening
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.inference.scoring import mean_loss
from tinygpt.inference.translate import translate
from tinygpt.inspection.inspect import Inspection
from tinygpt.model import EncoderDecoder, LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.screens.report import HtmlReport
from tinygpt.tokenizer import Tokenizer
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Outcome, Trainer
from tinygpt.training.watch import Watcher
from tinygpt.weights.open import form_of, open_model

DEFAULT = Sampling(temperature=0.8, top_p=0.95)  # as `tinygpt generate` draws


class Opened:
    """A trained model and its tokenizer, ready to write and to judge text."""

    def __init__(
        self, model: LanguageModel, tokenizer: Tokenizer, form: ChatForm | None = None
    ):
        self.model, self.tokenizer, self.form = model, tokenizer, form

    def generate(
        self,
        prompt: str | None = None,
        max_tokens: int = 200,
        *,
        stop: str | Sequence[str] = (),
        seed: int = 0,
        sampling: Sampling = DEFAULT,
        **changes: float | None,
    ) -> Iterator[str]:
        """Go on from a prompt; yields pieces of text.  An encoder-decoder translates it.

        prompt: None begins as a text does.  stop: texts that end it.
        changes: of `sampling`, as temperature=0 or top_k=40.
        Raises UserError for an empty prompt or one with characters that the model cannot know.
        """
        return stream_text(
            self.model, self.tokenizer,
            opening(self.tokenizer) if prompt is None else prompt, max_tokens=max_tokens, stop=stop,
            sampling=dataclasses.replace(sampling, **changes),  # type: ignore[arg-type]
            rng=np.random.default_rng(seed), form=self.form,
        )

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """An encoder's vector for each text: (N, C) float32 of length 1, so that products are
        cosines.  Read is as much as the context holds.

        Raises UserError for a model that is no encoder or a character that it cannot know.
        """
        return embed(self.model, self.tokenizer, [texts] if isinstance(texts, str) else texts)

    def translate(
        self, texts: str | Sequence[str], sampling: Sampling = GREEDY, seed: int = 0
    ) -> list[str]:
        """What an encoder-decoder makes of each text.

        Raises UserError for a model that goes on with a text, and for texts that it cannot know.
        """
        if not isinstance(self.model, EncoderDecoder):
            raise UserError(
                "this model goes on with a text and turns none into another. Use generate, or "
                'train one with objective = "seq2seq".'
            )
        texts = [texts] if isinstance(texts, str) else texts
        rng = np.random.default_rng(seed)
        return translate(self.model, self.tokenizer, texts, sampling=sampling, rng=rng)

    def loss(self, text: str) -> float:
        """Mean surprise at each token of a text but the first, in nats.

        Raises UserError for a text of fewer than two tokens, or a model that writes none.
        """
        return mean_loss(self.model, self.tokenizer.encode_array(text, disallowed_special=()))


def open(path: str | Path) -> Opened:
    """The folder of a run or of Hugging Face, or a quantized file.

    Raises UserError if it is none of them.
    """
    return Opened(*open_model(path), form_of(path))


def inspect(opened: Opened | str | Path, text: str) -> Inspection:
    """Look inside a model while it reads a text (inspection/inspect.py).

    opened: of `open`, or what that takes.
    Raises UserError for a text that is empty, longer than the context or of unknown characters, and
    for an encoder-decoder, which reads two.
    """
    model = opened if isinstance(opened, Opened) else open(opened)
    ids = model.tokenizer.encode(text, disallowed_special=())
    return Inspection(model.model, model.tokenizer, ids)


def train(
    config: Config | str | Path,
    out: str | Path,
    overrides: Sequence[str] = (),
    watchers: Sequence[Watcher] = (),
) -> Outcome:
    """Train a new run to its end, and say how it went.

    config: a Config, the name of one that ships, or a TOML file.  out: the run's folder.
    overrides: "section.key=value" texts, as --set takes them.
    watchers: told what happens (training/watch.py); screens.live.make_view() is the screen.
    Raises UserError as `tinygpt train` would end.
    """
    if isinstance(config, Config) and overrides:
        raise UserError("overrides change a configuration by name; use config.replace instead.")
    chosen = config if isinstance(config, Config) else load_config(config, overrides)
    return Trainer(begin(chosen, out), [*watchers, HtmlReport()]).run()
