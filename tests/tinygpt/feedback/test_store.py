"""What was judged stays: in one file, once, taken back when asked, exported without a name."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

from tinygpt.errors import UserError
from tinygpt.feedback.agreement import report
from tinygpt.feedback.export import exported, exported_ratings
from tinygpt.feedback.store import Store
from tinygpt.text.preferences import read_pairs, read_ratings

ITEMS = [(f"question {i}", f"first {i}", f"second {i}") for i in range(40)]


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "feedback.sqlite")
    made.add(ITEMS, seed=1)
    made.consent("mia")
    yield made
    made.close()


def test_a_rater_sees_each_item_once_in_an_order_of_their_own(store):
    seen = []
    while (item := store.next("mia")) is not None:
        store.judge("mia", item.id, "left", (), "", 1.0)
        seen.append(item.id)
    assert sorted(seen) == list(range(1, 41)) and seen != sorted(seen)
    assert store.progress("mia") == (40, 40)
    assert store.next("tom").id != seen[0] or store.left("tom", 1) != store.left("mia", 1)
    sides = Counter(one.preferred for one in store.verdicts())
    assert 10 <= sides["a"] <= 30  # always left: a coin decides which answer that was


def test_a_verdict_counts_once_and_can_be_taken_back(store):
    item = store.next("mia")
    store.judge("mia", item.id, "right", ("clear",), "so", 2.0)
    store.judge("mia", item.id, "left", (), "", 1.0)  # a page that sent it twice
    (kept,) = store.verdicts()
    assert kept.preferred == ("b" if store.left("mia", item.id) == "a" else "a")
    assert (kept.reasons, kept.note) == (("clear",), "so")
    assert store.undo("mia") == item.id and store.next("mia") == item
    assert store.undo("mia") is None and store.verdicts() == []


KILLED = """
import sys
from tinygpt.feedback.store import Store
store = Store(sys.argv[1])
for item in store.items():
    store.judge("mia", item.id, "left", (), "", 1.0)
    print(item.id, flush=True)
"""


def test_a_kill_loses_nothing_that_was_answered(store):
    worker = subprocess.Popen([sys.executable, "-c", KILLED, str(store.path)],
                              stdout=subprocess.PIPE, text=True)
    said = [int(worker.stdout.readline()) for _ in range(12)]
    os.kill(worker.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
    rest = [int(line) for line in worker.stdout.read().split()]
    worker.wait()
    worker.stdout.close()
    again = Store(store.path)
    assert set(said + rest) <= {one.item for one in again.verdicts()}
    again.close()


def test_pairs_are_what_most_say_without_a_name(store, tmp_path):
    def judge(code, item, preferred):
        store.consent(code)
        side = "tie" if preferred is None else (
            "left" if store.left(code, item) == preferred else "right")
        store.judge(code, item, side, ("kind",), "I am Mia", 1.0)

    for code, marks in {"mia": "ab", "tom": "aa", "zoe": "b-"}.items():
        for item, mark in enumerate(marks, 1):
            judge(code, item, None if mark == "-" else mark)
    text = exported(store.items(), store.verdicts(), ties=False)
    assert [json.loads(line) for line in text.splitlines()] == [
        {"prompt": "question 0", "chosen": "first 0", "rejected": "second 0"},
    ]
    with_ties = exported(store.items(), store.verdicts(), ties=True)
    path = tmp_path / "pairs.jsonl"
    path.write_text(with_ties)
    first, second = read_pairs(path)  # what `tinygpt align` reads
    assert not first.tie and second.tie
    assert not any(word in with_ties for word in ("mia", "tom", "zoe", "Mia", "kind"))


def test_ratings_are_what_most_say_without_a_name(tmp_path):
    store = Store(tmp_path / "ratings.sqlite")
    store.add([item[:2] for item in ITEMS[:4]], 1, "ratings")
    assert store.kind == "ratings" and store.item(1).b == ""
    for code, marks in {"mia": "gbg?", "tom": "gbb?", "zoe": "b"}.items():
        store.consent(code)
        for item, mark in enumerate(marks, 1):
            choice = {"g": "good", "b": "bad", "?": "unsure"}[mark]
            store.judge(code, item, choice, ("kind",), "I am Mia", 1.0)
    path = tmp_path / "ratings.jsonl"
    path.write_text(text := exported_ratings(store.items(), store.verdicts()))
    assert [(one.answer.messages[-1].content, one.good) for one in read_ratings(path)] == [
        ("first 0", True), ("first 1", False),  # of the third as many say the one as the other
    ]
    assert not any(word in text for word in ("mia", "tom", "zoe", "Mia", "kind"))
    told = "\n".join(report(store.verdicts()))
    assert "called good in a share of 0.43" in told and "the left answer" not in told
    store.close()


def test_a_file_of_before_asks_for_pairs(store):
    store._db.execute("DELETE FROM facts WHERE name = 'kind'")
    assert store.kind == "pairs"


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database, but a text that is long enough to be one's header " * 20)
    with pytest.raises(UserError, match="is no file of feedback"):
        Store(path)
