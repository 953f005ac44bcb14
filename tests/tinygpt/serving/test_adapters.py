"""Adapters are served as models of their own that share one base."""

import numpy as np
import pytest

from tests.tinygpt.adapters.test_methods import moved
from tests.tinygpt.exchange.models import made, tokenizer_of
from tinygpt.errors import UsageError, UserError
from tinygpt.exchange.huggingface_folder import write_folder
from tinygpt.exchange.peft import write_adapter
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import GREEDY
from tinygpt.serving.asked import Asked
from tinygpt.serving.served import open_all


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path / "base", made("llama"), tokenizer_of(300))
    for name in ("lora", "ia3", "prefix"):
        write_adapter(moved(name, "llama")[0], tmp_path / name)
    return tmp_path


def opened(folder, *adapters):
    return open_all([str(folder / "base")], pytest.fail, {"slots": 2}, adapters)


def test_each_answers_by_its_name_and_the_base_lies_in_memory_once(folder):
    served = opened(folder, f"a={folder / 'lora'}", str(folder / "ia3"))
    assert list(served) == ["base", "a", "ia3"]
    prompt, answers = (5, 6, 7), set()
    for one in served.values():
        answer = one.engine.add(Asked(prompt, 6, GREEDY))
        while one.engine.step():
            pass
        found = [scored.token for scored in answer.drawn]
        assert found == list(generate(one.model, prompt, max_tokens=6, sampling=GREEDY))
        answers.add(tuple(found))
        table = one.model.token_embedding.weight.data
        assert np.shares_memory(table, served["base"].model.token_embedding.weight.data)
    assert len(answers) == 3


def test_what_cannot_be_served_is_refused(folder):
    with pytest.raises(UserError, match="stands before every text, where an engine begins"):
        opened(folder, str(folder / "prefix"))
    with pytest.raises(UsageError, match="adapters stand beside one model, and 2 are given"):
        open_all([str(folder / "base")] * 2, pytest.fail, {}, [str(folder / "lora")])
    with pytest.raises(UsageError, match="two are called base"):
        opened(folder, f"base={folder / 'lora'}")
    (folder / "base").rename(folder / "own")
    with pytest.raises(UsageError, match="two models are called own"):
        open_all([str(folder / "own")], pytest.fail, {}, [f"own={folder / 'lora'}"])
