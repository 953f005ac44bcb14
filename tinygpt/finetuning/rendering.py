"""A conversation as ids, and which of them the model learns to write.

    <|user|>  Wh  at  ?  <|end|>  <|assistant|>  A  cat  .  <|end|>
       .      .   .   .     .          .         x   x   x     x

The mask is made in ids and never looked for in them. A template is rendered once, over the whole
conversation, with two characters that no text has around each answer: what stands between them is
the answer wherever the template puts it, and the next special token behind it is the one that ends
it. That one is learned too, or the model would never stop; the words that say whose turn it is are
not, for the program writes them. The text is cut at both places before it is encoded, as it will be
when the model is asked: ids never reach over from what is given into what is written.

Read first: ../inference/templates.py. Read next: packing.py.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.inference.known_templates import TEMPLATES
from tinygpt.inference.template_expressions import TemplateError
from tinygpt.inference.templates import Guard, Messages, text_of
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage.paths import expand, kind
from tinygpt.text.conversations import Conversation
from tinygpt.text.files import DataError
from tinygpt.text.reading import read_text
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer, TokenizerError

OPENS, CLOSES = "\U0010fff0", "\U0010fff1"  # around an answer, for as long as it is rendered


class Sample(NamedTuple):
    """A conversation in ids.  ids: (T,) int64.  learned: (T,) bool, tokens that are learned."""

    ids: np.ndarray
    learned: np.ndarray


class Renderer:
    """Conversations as a model reads them.

    form: its template, and the tokens that end an answer: found in the first conversation.
    """

    def __init__(self, form: ChatForm, tokenizer: Tokenizer):
        if form.template is None:
            raise ValueError("Renderer: a form without a template")
        self.form, self._guard = form, Guard(tokenizer)

    def sample(self, conversation: Conversation) -> Sample:
        """Ids and mask.  Raises DataError with the conversation's place."""
        try:
            return self._sample(conversation)
        except (UserError, TokenizerError) as error:
            raise DataError(f"{conversation.where}: {error}") from error

    def _sample(self, conversation: Conversation) -> Sample:
        try:
            text = text_of(self.form, self._marked(conversation), opened=False)
        except TemplateError as error:
            raise DataError(f"the chat template cannot say this: {error}.") from error
        before, *answers = text.split(OPENS)
        ids = self._guard.ids(before)
        learned = [False] * len(ids)
        if len(answers) != sum(m.role == "assistant" and m.learned for m in conversation.messages):
            raise DataError(
                "the chat template leaves out an answer, or says it twice. Give another with "
                "data.template."
            )
        for part in answers:
            answer, _, rest = part.partition(CLOSES)
            end = self._end(rest)
            for piece, wanted in ((answer + rest[:end], True), (rest[end:], False)):
                new = self._guard.ids(piece)
                ids += new
                learned += [wanted] * len(new)
        return Sample(np.array(ids, np.int64), np.array(learned))

    def _marked(self, conversation: Conversation) -> Messages:
        found = []
        for role, content, learned in conversation.messages:
            if OPENS in content or CLOSES in content:
                raise DataError("it holds U+10FFF0 or U+10FFF1, which stand for no character.")
            content = self._guard.guard(content)
            if role == "assistant" and learned:
                content = f"{OPENS}{content}{CLOSES}"
            found.append({"role": role, "content": content})
        return found

    def _end(self, rest: str) -> int:
        """Where the token that ends an answer ends, in what the template says behind it."""
        name, start = self._guard.first_special(rest)
        if name is None or rest[:start].strip():
            raise DataError(
                "the chat template ends an answer with no token of the model's: it would never "
                "learn to stop. Give another with data.template."
            )
        if name not in self.form.ends:
            self.form = dataclasses.replace(self.form, ends=(*self.form.ends, name))
        return start + len(name)


def form_for(
    tokenizer: Tokenizer, own: ChatForm | None, template: str | None
) -> ChatForm:
    """How a model is taught to be spoken to.

    own: the form that it brings.  template: a name of TEMPLATES or the path of a file of Jinja;
        None: its own, else ours, else "plain", whichever its vocabulary has the tokens for.
    Raises DataError for a template that is none, or whose tokens the vocabulary lacks.
    """
    specials = tokenizer.special_tokens
    end = END_OF_TEXT if END_OF_TEXT in specials else None
    base = own or ChatForm(None, end, end, ())
    if template is None and base.template is not None:
        return base
    if template is None:
        fits = all(name in specials for name in TEMPLATES["tinygpt"].needs)
        template = "tinygpt" if fits else "plain"
    if template not in TEMPLATES:
        if kind(expand(template)) != "file":
            raise DataError(
                f"data.template = {template!r} is no template. Known: {', '.join(TEMPLATES)}; or "
                "give the path of a file of Jinja."
            )
        return dataclasses.replace(base, template=read_text(Path(expand(template))))
    known = TEMPLATES[template]
    needs = known.needs or ((base.eos or END_OF_TEXT),)
    missing = [name for name in needs if name not in specials]
    if missing:
        raise DataError(
            f"the template {template} is made of {', '.join(missing)}, which this model's "
            f"vocabulary lacks. Choose another with data.template: {', '.join(TEMPLATES)}."
        )
    return dataclasses.replace(base, template=known.template)


def rendered(renderer: Renderer, conversations: Sequence[Conversation]) -> list[Sample]:
    """All conversations as samples.  Raises DataError naming the first faults by their places."""
    found, faults = [], []
    for conversation in conversations:
        try:
            found.append(renderer.sample(conversation))
        except DataError as error:
            faults.append(str(error))
    if faults:
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise DataError(f"{faults[0]}{more}")
    return found
