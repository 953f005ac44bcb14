"""What the screens are told, over HTTP, against `inspection` itself."""

import base64

import numpy as np
import pytest

from tests.tinygpt.serving.conftest import Room, make_served
from tinygpt.inference.sampling import Sampling, probabilities
from tinygpt.inspection import Seen, watch
from tinygpt.inspection.account import account
from tinygpt.inspection.lens import lens
from tinygpt.runs.chat_form import OWN_TEMPLATE, ChatForm
from tinygpt.serving.inside.looks import EXAMPLE, LOOKS, example
from tinygpt.serving.inside.passes import Passes
from tinygpt.serving.inside.source import SHOWN, source
from tinygpt.tokenizer import CharTokenizer

TEXT = "The cat sat on the mat."
SAID = [{"role": "user", "content": "The cat"}]


@pytest.fixture(scope="module")
def seen():
    served = make_served()
    return served.model, watch(served.model, served.tokenizer.encode(TEXT))


def floats(packed):
    return np.frombuffer(base64.b64decode(packed["f32"]), "<f4").reshape(packed["shape"])


def shades(packed):
    return np.frombuffer(base64.b64decode(packed["u8"]), np.uint8).reshape(packed["shape"])


def test_a_text_comes_back_as_its_tokens(room):
    found = room.post("/look/tokens", text="The cat é")
    assert "".join(bytes.fromhex(one["bytes"]).decode("latin-1") for one in found["tokens"]
                   ).encode("latin-1").decode() == "The cat é"
    tree = found["trees"][str(found["tokens"][0]["id"])]
    assert tree["text"] == found["tokens"][0]["text"]
    assert found["context"] == 64


def test_fewer_merges_cut_a_text_into_more_pieces(room):
    counts = [len(room.post("/look/merges", text=TEXT, size=size)["tokens"])
              for size in (256, 270, 300)]
    assert counts[0] == len(TEXT) > counts[1] > counts[2]
    assert counts[2] == len(room.post("/look/tokens", text=TEXT)["tokens"])


def test_surprise_and_candidates_are_the_models(room, seen):
    _, found = seen
    asked = room.post("/look/next", text=TEXT, top_k=2)
    p = np.exp(found.logits.astype(np.float64))
    p /= p.sum(-1, keepdims=True)
    assert asked["losses"][0] is None
    np.testing.assert_allclose(
        asked["losses"][1:], -np.log(p[np.arange(len(p) - 1), found.ids[1:]]), rtol=1e-6
    )
    assert len(asked["before"][0]) == 10 and np.count_nonzero(asked["after"][0]) == 2
    assert asked["candidates"][-1][0]["id"] == int(found.logits[-1].argmax())


@pytest.mark.parametrize("taught", (False, True))
def test_a_token_of_an_answer_is_shown_with_the_number_that_fell_on_it(taught):
    names = tuple(make_served().tokenizer.special_tokens)
    served = make_served(form=ChatForm(OWN_TEMPLATE, ends=names) if taught else None)
    found = Room([served])
    try:
        how = {"temperature": 0.9, "top_k": 7, "top_p": 0.9, "seed": 3,
               "messages": [{"role": "user", "content": "The cat"}]}
        choice = found.post("/v1/chat/completions", **how, max_tokens=12, logprobs=True)["choices"]
        ids = [one["id"] for one in choice[0]["logprobs"]["content"]]
        assert len(ids) > 3
        prompt = served.ids_of_messages(how["messages"])
        logits = watch(served.model, [*prompt, *ids]).logits[len(prompt) - 1 :]
        for at, token in enumerate(ids):
            asked = found.post("/look/drawn", **how, ids=ids, at=at)
            low, high = asked["share"]
            assert low <= asked["number"] < high
            p = probabilities(logits[at : at + 1], Sampling(0.9, 7, 0.9))[0]
            assert high - low == pytest.approx(p[token])
            assert asked["after"] == pytest.approx(np.sort(p)[::-1][:10].tolist())
            ends = [one["id"] in served.ends for one in asked["candidates"]]
            assert asked["ends"] == ends
        assert "share" not in found.post("/look/drawn", **how, ids=ids, at=len(ids))
        greedy = found.post("/look/drawn", **{**how, "temperature": 0}, ids=ids, at=0)
        assert greedy["number"] is None and greedy["after"] == [1] + [0] * 9
    finally:
        found.stop()


def test_maps_are_those_of_the_reference(room, seen):
    _, found = seen
    scores, weights = found.layers[1].attention.maps()
    maps = room.post("/look/attention", text=TEXT)["maps"]
    assert np.abs(shades(maps)[1] / 255 - weights).max() <= 0.5 / 255 + 1e-6
    one = room.post("/look/head", text=TEXT, layer=1, head=1)
    np.testing.assert_allclose(floats(one["weights"]), weights[1], atol=1e-6)
    masked = shades(one["masked"]) > 0
    assert np.array_equal(masked, np.isneginf(scores[1]))
    np.testing.assert_allclose(floats(one["scores"])[~masked], scores[1][~masked], atol=1e-6)
    assert one["divisor"] == 4


def test_a_head_switched_off_changes_what_comes_next(room, seen):
    model, found = seen
    off = watch(model, found.ids, [(0, 1)])
    asked = room.post("/look/next", text=TEXT, silenced=[[0, 1]])
    p = np.exp(off.logits[-1].astype(np.float64))
    assert asked["before"][-1][0] == pytest.approx(float((p / p.sum()).max()), rel=1e-6)


def test_lens_and_account_are_inspections(room, seen):
    model, found = seen
    expected = lens(model, found, 3)
    asked = room.post("/look/lens", text=TEXT, k=3)
    assert asked["likeliest"] == expected.tokens.tolist()
    np.testing.assert_allclose(asked["probabilities"], expected.probabilities)
    assert asked["texts"][str(expected.tokens[0, 0, 0])]
    for row in range(3):
        some = room.post("/look/lens", text=TEXT, k=3, rows=[2, row])
        assert some["rows"] == [2, row] and asked["rows"] == [0, 1, 2]
        assert [some[one][1] for one in ("likeliest", "probabilities", "entropy", "rank")] == [
            asked[one][row] for one in ("likeliest", "probabilities", "entropy", "rank")]
    sums = room.post("/look/account", text=TEXT, position=2, token=7)
    parts = account(model, found, 2, 7)
    assert sums["logit"] == parts.logit and sums["heads"] == parts.heads.tolist()


def test_habits_embeddings_and_matrices(room):
    habits = room.post("/look/habits")
    assert np.shape(habits["scores"]) == (4, 2, 2) and len(habits["names"]) == 2
    tokens = room.post("/look/embeddings")
    assert tokens["places"]["shape"] == [300, 2] and len(tokens["names"]) == 300
    positions = room.post("/look/embeddings", of="positions")
    assert positions["similarity"]["shape"] == [64, 64]
    near = room.post("/look/neighbours", token=70)
    assert len(near["near"]) == 10 and near["cosines"] == sorted(near["cosines"], reverse=True)
    names = room.post("/look/matrix")["names"]
    assert "blocks.1.mlp.up" in names
    one = room.post("/look/matrix", name="blocks.1.mlp.up")
    assert one["shape"] == [128, 32] and len(one["singular"]) == 32


def test_what_there_is_to_look_at(room):
    found = room.post("/look/model")
    assert (found["layers"], found["heads"], found["context"]) == (2, 2, 64)
    assert found["steps"] == [] and found["no_account"] is None
    assert found["run"] is False and found["control"] is False


def test_a_pass_is_kept_for_the_next_question(monkeypatch):
    made, passes = [], Passes()

    def seen(key, size=10):
        def make():
            made.append(key)
            return Seen(np.zeros(1), logits=np.zeros(size, np.uint8))
        return passes.of(key, make)

    first = seen("a")
    assert seen("a") is first and made == ["a"]
    seen("b"), seen("a"), seen("c")
    assert seen("a") is first and made == ["a", "b", "c"]  # "b" was asked for longest ago
    monkeypatch.setattr("tinygpt.serving.inside.passes.MOST", 9)
    seen("long"), seen("long")
    assert made[3:] == ["long", "long"]


def test_a_checkpoint_a_head_and_a_text_each_have_a_pass_of_their_own(room):
    asked = {"text": TEXT}
    whole = room.post("/look/next", **asked)["losses"]
    assert room.post("/look/next", **asked, silenced=[[0, 1]])["losses"] != whole
    assert room.post("/look/next", text=TEXT[:-1])["losses"] != whole
    assert room.post("/look/next", **asked)["losses"] == whole


def test_an_example_is_what_the_model_can_read(room):
    served = make_served(context=8)
    assert example(served, 64) == EXAMPLE == room.post("/look/model")["example"]
    short = example(served, 8)
    assert EXAMPLE.startswith(short) and len(served.ids_of(short)) == 8
    served.tokenizer = CharTokenizer("aen ")
    assert example(served, 64) == "".join(one for one in EXAMPLE if one in "aen ")
    served.tokenizer = CharTokenizer("xyz")
    assert example(served, 64) == "x"


@pytest.mark.parametrize("path, asked, words", [
    ("next", {"text": ""}, "0 tokens"),
    ("next", {"text": "a b" * 100}, "fit this model's context"),
    ("head", {"text": TEXT, "layer": 2, "head": 0}, "no head 0 in layer 2"),
    ("attention", {"text": TEXT, "silenced": [[0, 5]]}, "no head 5 in layer 0"),
    ("attention", {"text": TEXT, "half": "cross"}, "reads no source"),
    ("lens", {"text": TEXT, "rows": [3, 0]}, "no row 3"),
    ("account", {"text": TEXT, "position": 60}, "no position 60"),
    ("account", {"text": TEXT, "position": 0, "token": 300}, "no token 300"),
    ("neighbours", {"token": 300}, "no token 300"),
    ("matrix", {"name": "nothing"}, "no matrix"),
    ("hidden", {"text": TEXT, "position": 0}, "fills no gaps"),
    ("drawn", {"messages": SAID, "ids": [1], "at": 3, "seed": 0}, "no position 3"),
    ("drawn", {"messages": SAID, "ids": [300], "at": 1, "seed": 0}, "no token 300"),
    ("next", {"text": TEXT, "step": 3}, "no folder of a run"),
    ("training", {}, "no folder of a run"),
    ("source", {"name": "os:system"}, "not among the functions"),
])
def test_what_cannot_be_shown_is_said_in_a_sentence(room, path, asked, words):
    assert words in room.post(f"/look/{path}", status=400, **asked)["error"]["message"]


def test_a_training_is_not_steered_unless_it_was_allowed(room):
    for what in ("resume", "stop"):
        error = room.post(f"/look/training/{what}", status=403)["error"]
        assert "--train" in error["message"]


def test_every_number_says_which_function_made_it(room):
    named = set()
    for name, asked in [
        ("tokens", {"text": TEXT}), ("merges", {"text": TEXT}), ("next", {"text": TEXT}),
        ("attention", {"text": TEXT}), ("head", {"text": TEXT, "layer": 0, "head": 0}),
        ("habits", {}), ("lens", {"text": TEXT}), ("account", {"text": TEXT, "position": 1}),
        ("embeddings", {}), ("neighbours", {"token": 1}), ("matrix", {}),
        ("matrix", {"name": "token_embedding"}),
    ]:
        found = room.post(f"/look/{name}", **asked)
        assert found["by"] and found["seconds"] > 0
        named |= set(found["by"])
    assert named == SHOWN and len(LOOKS) == 14
    text = room.post("/look/source", name="tinygpt.inspection.lens:lens_logits")
    assert text["file"] == "tinygpt/inspection/lens.py" and "def lens_logits" in text["text"]
    assert all(source(name)["text"] for name in SHOWN)
