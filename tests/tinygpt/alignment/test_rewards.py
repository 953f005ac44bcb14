"""Rules, what they are worth, and what happens when one fails."""

import numpy as np
import pytest

from tinygpt.alignment.rewards import Rewards, Written
from tinygpt.config import ConfigError
from tinygpt.text.conversations import asked
from tinygpt.training.trouble import CannotGoOn

RNG = np.random.default_rng(0)
SUM = asked("1 + 2", "3 -> 3")


def answers(*texts, tokens=4, ended=True, of=SUM):
    return [Written(of, text, ended, tokens) for text in texts]


def worth(rule, *texts, source="", seconds=10.0, **of):
    return Rewards([rule], source, seconds)(answers(*texts, **of), RNG).tolist()


def test_exact_is_the_answer_and_nothing_else():
    assert worth("exact", "3 -> 3", "3", "", "3 -> 3 ") == [1, 0, 0, 0]
    assert worth("exact", "3 -> 3", ended=False) == [0]  # cut off: it has not said that it is done


def test_a_task_says_itself_what_is_right():
    couplet = asked("Tell me about the fox.", "The fox saw the moon,\nand sang to the spoon.")
    other = "The fox sat by a light,\nand dreamed all night."
    assert worth("exact", other, source="couplets", of=couplet) == [1]
    assert worth("exact", other, of=couplet) == [0]


def test_patterns_lengths_and_controls():
    assert worth("regex:^\\d+ ->", "3 -> 3", "three") == [1, 0]
    assert worth("length:4", "a") == [1]
    assert worth("length:8", "a") == [0.5] and worth("length:1", "a") == [0]
    assert worth("constant", "a", "b") == [1, 1]
    assert set(worth("random", *"abcdefghij")) == {0, 1}


def test_weights_and_sums():
    assert worth("-1*exact", "3 -> 3", "3") == [-1, 0]
    mixture = Rewards(["exact", "0.5*length:4", "2*constant"])
    assert mixture(answers("3 -> 3", "3"), RNG).tolist() == [3.5, 2.5]


def test_a_program_judges(tmp_path):
    path = tmp_path / "rule.py"
    path.write_text(
        "import os\nprint('hello')\n"
        "def reward(prompt, answer, truth):\n    return (answer == truth) + len(os.environ) * 0\n"
    )
    assert worth(f"program:{path}", "3 -> 3", "4") == [1, 0]


@pytest.mark.parametrize(("body", "message"), [
    ("return 1 / 0", "ZeroDivisionError: division by zero, for the answer '3'"),
    ("return float('nan')", "reward is nan, for the answer '3'"),
    ("return 'good'", "reward is 'good', no number"),
    ("while True: pass", r"has not judged 1 answers in 0\.5 s"),
    ("raise SystemExit(3)", "SystemExit: 3"),
    ("return len([0] * 10**9)", "more than 1 GB|MemoryError"),
    ("open('x', 'wb', 0).write(b'y')", "OSError: .*File too large"),
    ("import os; os._exit(0)", "ended without judging 1 answers"),
])
def test_a_program_that_fails_is_one_sentence(tmp_path, body, message):
    path = tmp_path / "rule.py"
    path.write_text(f"def reward(prompt, answer, truth):\n    {body}\n")
    with pytest.raises(CannotGoOn, match=message):
        worth(f"program:{path}", "3", seconds=0.5 if "while" in body else 20)


def test_a_program_without_a_rule_is_refused(tmp_path):
    path = tmp_path / "rule.py"
    path.write_text("x = 1\n")
    with pytest.raises(CannotGoOn, match="no function reward"):
        worth(f"program:{path}", "3")
    with pytest.raises(ConfigError, match="there is no program"):
        Rewards([f"program:{tmp_path / 'none.py'}"])


def test_a_pattern_without_end_is_stopped():
    with pytest.raises(CannotGoOn, match="the pattern .* has not judged"):
        worth("regex:^(a+)+$", "a" * 40 + "b", seconds=0.5)


@pytest.mark.parametrize("rule", [
    "exactly", "length", "length:0", "length:x", "exact:3", "regex:(", "x*exact", "",
])
def test_what_is_no_rule_is_refused(rule):
    with pytest.raises(ConfigError, match="policy.rewards"):
        Rewards([rule])
    with pytest.raises(ConfigError, match="is empty"):
        Rewards([])
