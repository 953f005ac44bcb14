"""How a model that was taught to answer is spoken to: a file beside its tokenizer.

A model of another program brings a chat template, tokens that open a text and tokens that end an
answer. A run that was imported keeps them in chat.json; one that was trained here has none, for its
tokenizer says it all.

Read next: ../inference/templates.py, which makes a prompt of it.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from tinygpt.errors import UserError
from tinygpt.storage.durable import replace_file
from tinygpt.storage.reading import FormatError, Kind, check, one_of, read_json

FILE = "chat.json"
OWN_TEMPLATE = (  # of a model that was taught to answer here (../inference/chat.py), for others
    "{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
_TEXT = Kind("text or null", lambda value: value is None or type(value) is str)
_FORM = {
    "template": _TEXT, "bos": _TEXT, "eos": _TEXT, "ends": [Kind("text", lambda v: type(v) is str)],
    "opens": one_of(True, False),
}


@dataclass(frozen=True)
class ChatForm:
    """What a model brings besides its weights and its vocabulary.

    template: Jinja text that makes a prompt of messages, None for a model that was taught none.
    bos, eos: the names of the special tokens that open a text and end it, None for none.
    ends: names of the special tokens that end an answer.
    opens: whether `bos` stands before every text, a prompt without a template's too.
    """

    template: str | None = None
    bos: str | None = None
    eos: str | None = None
    ends: tuple[str, ...] = ()
    opens: bool = False

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"

    @classmethod
    def from_values(cls, values: object) -> ChatForm:
        """The form of a parsed to_json.  Raises FormatError."""
        known = check(values, _FORM)
        return cls(**{**known, "ends": tuple(known["ends"])})

    def leave(self, folder: Path) -> None:
        """Write it into a run's folder.  Raises OSError."""
        replace_file(folder / FILE, self.to_json())


def chat_form(folder: Path) -> ChatForm | None:
    """What a run's folder has of it, None for nothing.  Raises UserError for a damaged file."""
    if not (folder / FILE).exists():
        return None
    try:
        return ChatForm.from_values(read_json(folder / FILE))
    except FormatError as error:
        raise UserError(
            f"{folder / FILE} is damaged: it {error}. Import the model again."
        ) from error
