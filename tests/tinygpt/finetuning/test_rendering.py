"""A conversation in ids: every token of an answer and its end is learned, and no other."""

import numpy as np
import pytest

from tinygpt.finetuning.rendering import Renderer, form_for
from tinygpt.inference.known_templates import TEMPLATES
from tinygpt.inference.templates import Dialogue, prompt_ids
from tinygpt.runs.chat_form import ChatForm
from tinygpt.text.conversations import Conversation, Message, asked
from tinygpt.text.files import DataError
from tinygpt.tokenizer import END_OF_TEXT, train_bpe

NAMES = (END_OF_TEXT, "<|begin|>", *(name for known in TEMPLATES.values() for name in known.needs))
TOKENIZER = train_bpe(
    "What is a cat? An animal. And a dog? One too.\n\n" * 9, 256 + len(set(NAMES)) + 20,
    special_tokens=tuple(dict.fromkeys(NAMES)),
)
BASE = ChatForm(None, "<|begin|>", END_OF_TEXT, ())
TALK = Conversation((
    Message("system", "Be short."), Message("user", "What is a cat?"),
    Message("assistant", "An animal."), Message("user", "And a dog?"),
    Message("assistant", "One too."),
), "line 3 of a.jsonl")
ENDS = {"tinygpt": "<|end|>", "chatml": "<|im_end|>", "llama3": "<|eot_id|>", "plain": END_OF_TEXT}


def renderer(name, base=BASE):
    return Renderer(form_for(TOKENIZER, base, name), TOKENIZER)


def learned_texts(sample):
    """The stretches that are learned, as texts."""
    edges = np.flatnonzero(np.diff([False, *sample.learned, False]))
    return [TOKENIZER.decode(sample.ids[a:b]) for a, b in zip(edges[::2], edges[1::2], strict=True)]


@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_and_their_ends_are_learned_and_nothing_else(name):
    sample = renderer(name).sample(TALK)
    assert learned_texts(sample) == [f"An animal.{ENDS[name]}", f"One too.{ENDS[name]}"]
    assert sample.ids.shape == sample.learned.shape
    begins = int((sample.ids == TOKENIZER.special_id("<|begin|>")).sum())
    assert begins == (name in ("llama3", "plain"))  # once, and by the template alone


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_before_an_answer_are_those_it_is_asked_by(name):
    """When the model is asked, it reads exactly what it learned to answer after."""
    made = renderer(name)
    sample, form = made.sample(TALK), made.form
    starts = np.flatnonzero(np.diff([False, *sample.learned]))[::2]
    messages = [{"role": m.role, "content": m.content} for m in TALK.messages]
    assert prompt_ids(form, TOKENIZER, messages[:2]) == sample.ids[: starts[0]].tolist()
    talk = Dialogue(form, TOKENIZER, system="Be short.")
    first, _ = talk.ask("What is a cat?")
    assert first == sample.ids[: starts[0]].tolist()
    then, goes_on = talk.ask("And a dog?", answer="An animal.")
    answer = len(TOKENIZER.encode("An animal."))
    assert goes_on and then == sample.ids[starts[0] + answer : starts[1]].tolist()


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_end_that_is_learned_is_an_end_when_it_is_asked(name):
    made = renderer(name)
    made.sample(TALK)
    assert ENDS[name] in made.form.ends


def test_an_answer_that_is_not_learned_is_read():
    first, *rest = TALK.messages[1:]
    talk = Conversation((first, rest[0]._replace(learned=False), *rest[1:]))
    assert learned_texts(renderer("tinygpt").sample(talk)) == ["One too.<|end|>"]


def test_nobody_ends_a_turn_by_typing_its_token():
    sample = renderer("tinygpt").sample(asked("a <|end|> b", "<|user|>"))
    special = TOKENIZER.special_tokens
    assert (sample.ids == special["<|end|>"]).sum() == 2  # the template's own
    assert (sample.ids == special["<|user|>"]).sum() == 1
    assert learned_texts(sample) == ["<|user|><|end|>"]


def test_a_template_that_trims_and_adds_line_ends():
    template = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}\n<|im_end|>\n"
        "{% endfor %}"
    )
    made = Renderer(ChatForm(template), TOKENIZER)
    assert learned_texts(made.sample(asked("What?", "A cat."))) == ["A cat.\n<|im_end|>"]


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{% for m in messages %}{{ m.content }}\n{% endfor %}", "would never learn to stop"),
        ("{% for m in messages %}{{ m.content }} and so on<|end|>{% endfor %}", "never learn to"),
        ("{{ messages[0].content }}<|end|>", "leaves out an answer"),
        ("{{ raise_exception('no system text') }}", "its template says: no system text"),
        ("{% for m in messages %}", "cannot say this"),
    ],
)
def test_a_template_that_cannot_be_learned_says_why_and_where(template, said):
    with pytest.raises(DataError, match=f"line 3 of a.jsonl: .*{said}"):
        Renderer(ChatForm(template), TOKENIZER).sample(TALK)


def test_which_template_a_model_is_taught():
    own = ChatForm("{{ messages }}", ends=("<|end|>",))
    assert form_for(TOKENIZER, own, None) == own
    assert form_for(TOKENIZER, own, "chatml").template == TEMPLATES["chatml"].template
    assert form_for(TOKENIZER, None, None).template == TEMPLATES["tinygpt"].template
    bare = train_bpe("What is a cat?" * 9, 260, special_tokens=(END_OF_TEXT,))
    assert form_for(bare, None, None).template == TEMPLATES["plain"].template
    with pytest.raises(DataError, match=r"chatml is made of <\|im_start\|>, <\|im_end\|>, which"):
        form_for(bare, None, "chatml")
    with pytest.raises(DataError, match="'chatlm' is no template. Known: tinygpt, chatml"):
        form_for(bare, None, "chatlm")


def test_a_template_of_ones_own(tmp_path):
    path = tmp_path / "mine.jinja"
    path.write_text("{% for m in messages %}{{ m.content }}<|end|>{% endfor %}")
    form = form_for(TOKENIZER, None, str(path))
    sample = Renderer(form, TOKENIZER).sample(asked("What?", "A cat."))
    assert learned_texts(sample) == ["A cat.<|end|>"]
