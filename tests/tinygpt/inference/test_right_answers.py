"""An answer is right if the model would write it, and only then."""

import numpy as np

from tinygpt.inference.generate import generate
from tinygpt.inference.right_answers import right_answers
from tinygpt.inference.sampling import GREEDY
from tinygpt.model import ModelShape, build
from tinygpt.text.tasks.closing import Question
from tinygpt.tokenizer import CharTokenizer


def test_what_greedy_writing_writes_is_right_and_every_change_of_it_wrong():
    tokenizer = CharTokenizer("abcdefgh ?.")
    shape = ModelShape(vocab_size=tokenizer.vocab_size, context=24, n_layers=2, d_model=32)
    model = build(shape, np.random.default_rng(3))
    rng = np.random.default_rng(0)
    right, wrong = [], []
    for length in (3, 7, 11, 17):  # with the answer within the context
        told = "".join(rng.choice(list("abcdefgh "), length)) + "?"
        ids = tokenizer.encode_array(told)
        answer = tokenizer.decode(list(generate(model, ids, max_tokens=6, sampling=GREEDY)))
        right.append(Question(told, answer, 4))
        for place in (0, 5):
            other = "a" if answer[place] != "a" else "b"
            wrong.append(Question(told, answer[:place] + other + answer[place + 1 :], 2))
    assert right_answers(model, tokenizer, right) == (4, 4, 1.0)
    assert right_answers(model, tokenizer, [*wrong, right[1]]) == (9, 1, 4.25)


def test_of_a_story_longer_than_the_context_the_end_is_read():
    tokenizer = CharTokenizer("abcdefgh ?.")
    shape = ModelShape(vocab_size=tokenizer.vocab_size, context=16, n_layers=1, d_model=32)
    model = build(shape, np.random.default_rng(1))
    told = "".join(np.random.default_rng(2).choice(list("abcdefgh "), 40)) + "?"
    end = tokenizer.encode_array(told)[-16:]
    answer = tokenizer.decode(list(generate(model, end, max_tokens=1, sampling=GREEDY)))
    other = "a" if answer != "a" else "b"
    asked = [Question(told, answer, 2), Question(told, other, 2)]
    assert right_answers(model, tokenizer, asked) == (2, 1, 1.0)
