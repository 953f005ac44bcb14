"""What a chat model reads: its own template made of the messages, as ids.

    dialogue = Dialogue(form, tokenizer)
    ids, goes_on = dialogue.ask("What is a cat?")
    ...
    ids, goes_on = dialogue.ask("And a dog?", answer="An animal.")

A template is a small program in Jinja. The part of the language that the common ones are written in
is rendered here (template_language.py); for another there is jinja2's immutable sandbox, if it is
installed (`pip install "tinygpt[templates]"`).

Whoever types <|im_end|> must not end her own turn by it: in messages the names of special tokens
are replaced by characters that no text has, until the template's own are found, and are then read
as the ordinary characters they are made of.

Read next: template_language.py, chat.py.
"""

from __future__ import annotations

import re
from typing import Any

from tinygpt.errors import UserError
from tinygpt.inference.template_expressions import TemplateError, Unsupported
from tinygpt.inference.template_language import render as render_plainly
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer import Tokenizer

STAND_INS = 0x10F000  # of a plane for private use: a character for each special token's name
Messages = list[dict[str, str]]


def render(form: ChatForm, messages: Messages, opened: bool = True) -> str:
    """The text of a conversation.

    messages: {"role", "content"} each.  opened: the model is to speak next.
    Raises UserError for a template that objects, or that needs jinja2 where it is not installed.
    """
    try:
        return text_of(form, messages, opened)
    except TemplateError as error:
        raise UserError(
            f"the model's chat template cannot make a prompt of this: {error}. Say something else, "
            "or use `tinygpt generate`."
        ) from error


def text_of(form: ChatForm, messages: Messages, opened: bool) -> str:
    """As render, but raises TemplateError where the template objects."""
    names = {
        "messages": [dict(message) for message in messages], "add_generation_prompt": opened,
        "bos_token": form.bos or "", "eos_token": form.eos or "",
    }
    try:
        text = render_plainly(form.template or "", names)
    except Unsupported as reason:
        text = _render_by_jinja(form.template or "", names, str(reason))
    if not text:
        raise TemplateError("it makes nothing of them")
    return text


def _render_by_jinja(template: str, names: dict[str, Any], reason: str) -> str:
    """By jinja2, in the sandbox in which nothing can be changed.  Raises TemplateError."""
    try:
        from jinja2 import TemplateError as JinjaError
        from jinja2.sandbox import ImmutableSandboxedEnvironment
    except ImportError as error:
        raise UserError(
            f"the model's chat template uses {reason}, which needs jinja2. Install it: pip install "
            '"tinygpt[templates]"; or use `tinygpt generate`.'
        ) from error

    def objecting(text: str) -> str:
        raise TemplateError(f"its template says: {text}")

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = objecting
    try:
        return environment.from_string(template).render(**names)
    except (JinjaError, TypeError, ValueError, KeyError, AttributeError, RecursionError) as error:
        raise TemplateError(str(error) or type(error).__name__) from error


def prompt_ids(form: ChatForm, tokenizer: Tokenizer, messages: Messages) -> list[int]:
    """The ids of a conversation in which the model speaks next.  Errors as render."""
    return Guard(tokenizer).ids(render(form, Guard(tokenizer).guarded(messages)))


class Guard:
    """Keeps what is said apart from the template's special tokens."""

    def __init__(self, tokenizer: Tokenizer):
        self._tokenizer = tokenizer
        names = sorted(tokenizer.special_tokens, key=lambda name: (-len(name), name))
        self._stand_ins = {name: chr(STAND_INS + i) for i, name in enumerate(names[:4000])}
        self._names = {ord(mark): name for name, mark in self._stand_ins.items()}
        self._any = re.compile("|".join(map(re.escape, names)) or r"(?!)")

    def guarded(self, messages: Messages) -> Messages:
        """Messages without the name of a special token."""
        return [{key: self.guard(text) for key, text in one.items()} for one in messages]

    def guard(self, text: str) -> str:
        return self._any.sub(lambda found: self._stand_ins.get(found[0], ""), text)

    def first_special(self, text: str) -> tuple[str | None, int]:
        """(the first special token's name in a rendered text, where), (None, 0) for none."""
        match = self._any.search(text)
        return (match[0], match.start()) if match else (None, 0)

    def ids(self, text: str) -> list[int]:
        """The ids of a rendered text: names that stand in it by now are the template's own."""
        found: list[int] = []
        at = 0
        for match in self._any.finditer(text):
            found += self._ordinary(text[at : match.start()])
            found.append(self._tokenizer.special_tokens[match[0]])
            at = match.end()
        return found + self._ordinary(text[at:])

    def _ordinary(self, text: str) -> list[int]:
        if not text:
            return []
        return self._tokenizer.encode(text.translate(self._names), disallowed_special=())


class Dialogue:
    """The messages of a conversation, and what of its text a model has read.

    messages: all that was said.  system: what the model is told before them, None for nothing.
    """

    def __init__(self, form: ChatForm, tokenizer: Tokenizer, system: str | None = None):
        self._form, self._guard, self._system = form, Guard(tokenizer), system
        self.reset()

    def reset(self) -> None:
        """Forget what was said."""
        self.messages: Messages = []
        if self._system is not None:
            self.messages.append({"role": "system", "content": self._system})
        self._text = ""

    def ask(self, text: str, answer: str = "") -> tuple[list[int], bool]:
        """Ids for the model to read so that it answers `text`, and whether they go on from what it
        has read, `answer` being the end of that.

        Where its template shortens what was said before, they are the whole conversation anew.
        Raises UserError as render; nothing is said then.
        """
        said = [] if not self._text else [{"role": "assistant", "content": answer}]
        messages = [*self.messages, *said, {"role": "user", "content": text}]
        whole = render(self._form, self._guard.guarded(messages))
        before = self._text + self._guard.guard(answer)
        goes_on = bool(self._text) and whole.startswith(before)
        ids = self._guard.ids(whole[len(before) :] if goes_on else whole)
        self.messages, self._text = messages, whole
        return ids, goes_on
