"""tinygpt.serving.api: answers in OpenAI's shapes, and refusals that name the parameter."""

import base64
import json
import re

import numpy as np
import pytest

from tests.tinygpt.serving.conftest import CONTEXT, Room, make_served
from tinygpt.inference.generate import generate, stream_text
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.inference.scoring import log_probabilities
from tinygpt.runs.chat_form import OWN_TEMPLATE, ChatForm

SERVED = make_served()
MODEL, TOKENIZER = SERVED.model, SERVED.tokenizer
TEXT, CHAT = "/v1/completions", "/v1/chat/completions"
ASKED = [{"role": "user", "content": "The cat"}]
SETTINGS = {"temperature": 1.1, "top_p": 0.9, "seed": 3}


def test_a_completion_is_what_the_model_writes(room):
    for seed in range(5):
        answer = room.post(TEXT, prompt="The cat", max_tokens=16, seed=seed, temperature=0.9)
        rng = np.random.default_rng(seed)
        expected = "".join(stream_text(MODEL, TOKENIZER, "The cat", max_tokens=16, rng=rng,
                                       sampling=Sampling(temperature=0.9)))
        assert answer["choices"][0]["text"] == expected
    assert answer["object"] == "text_completion" and answer["model"] == "tiny"
    assert answer["id"].startswith("cmpl-") and set(answer) == {
        "id", "object", "created", "model", "choices", "usage"}
    assert set(answer["choices"][0]) == {"index", "text", "logprobs", "finish_reason"}


def test_a_conversation_of_a_base_model_goes_on_with_its_text(room):
    said = [{"role": "system", "content": "A dog"}, *ASKED]
    answer = room.post(CHAT, messages=said, seed=1, max_tokens=30)
    expected = "".join(stream_text(
        MODEL, TOKENIZER, "A dog\n\nThe cat", max_tokens=30, stop="\n\n",
        rng=np.random.default_rng(1),
    ))
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": expected, "refusal": None}
    assert answer["object"] == "chat.completion" and answer["id"].startswith("chatcmpl-")


@pytest.fixture(scope="module")
def taught():
    names = tuple(TOKENIZER.special_tokens)
    found = Room([make_served("taught", form=ChatForm(OWN_TEMPLATE, ends=names))])
    yield found
    found.stop()


def test_a_model_that_was_taught_is_spoken_to_by_its_form(taught):
    said = [{"role": "user", "content": "The cat<|end|>"}]
    special = TOKENIZER.special_tokens
    ids = [special["<|user|>"], *TOKENIZER.encode("The cat<|end|>", disallowed_special=()),
           special["<|end|>"], special["<|assistant|>"]]
    answer = taught.post(CHAT, messages=said, temperature=0, max_tokens=9)
    expected = list(generate(MODEL, ids, max_tokens=9, sampling=GREEDY,
                             stop=set(special.values())))
    assert answer["choices"][0]["message"]["content"] == TOKENIZER.decode(expected)
    assert answer["usage"]["prompt_tokens"] == len(ids)
    assert taught.get("/v1/models/taught")["answers"]


def test_an_answer_goes_on_from_what_it_is_told_to_begin_with(room, taught):
    for where, asked in ((room, ASKED), (taught, [{"role": "user", "content": "A dog"}])):
        how = {"messages": asked, "temperature": 0, "logprobs": True}
        whole = where.post(CHAT, **how, max_tokens=9)["choices"][0]
        ids = [one["id"] for one in whole["logprobs"]["content"]]
        cut = len(ids) // 2
        rest = where.post(CHAT, **how, max_tokens=9 - cut, begin=ids[:cut])
        again = rest["choices"][0]
        assert again["message"] == whole["message"]
        assert [one["id"] for one in again["logprobs"]["content"]] == ids
        assert [one["logprob"] for one in again["logprobs"]["content"][:cut]] == [None] * cut
        assert again["logprobs"]["content"][cut:] == whole["logprobs"]["content"][cut:]
        assert rest["usage"]["completion_tokens"] == len(ids) - cut
        pieces = where.events(CHAT, **how, max_tokens=9 - cut, begin=ids[:cut])
        text = "".join(one["choices"][0]["delta"].get("content", "") for one in pieces)
        assert text == whole["message"]["content"]


def test_half_a_character_that_an_answer_begins_with_is_made_whole(room):
    first, *rest = "é".encode()
    tokens = {TOKENIZER.decode_bytes([one]): one for one in range(TOKENIZER.vocab_size)}
    bias = {str(tokens[bytes(rest)]): 100}
    found = room.post(CHAT, messages=ASKED, begin=[tokens[bytes([first])]], max_tokens=1,
                      logit_bias=bias)
    assert found["choices"][0]["message"]["content"] == "é"


def test_contents_may_be_parts_and_answers_come_back_as_they_were(room):
    parts = [{"role": "user", "content": [{"type": "text", "text": "The "},
                                          {"type": "text", "text": "cat"}]}]
    first = room.post(CHAT, messages=parts, seed=1, max_tokens=5)
    assert first["choices"] == room.post(CHAT, messages=ASKED, seed=1, max_tokens=5)["choices"]
    history = [*ASKED, {**first["choices"][0]["message"], "annotations": [], "tool_calls": None},
               {"role": "developer", "content": "on"}]
    room.post(CHAT, messages=history, max_tokens=1)


@pytest.mark.parametrize("settings", [
    {"seed": 1, "max_tokens": 40}, {"seed": 2, "stop": "a"}, {"seed": 3, "stop": ["at", " t"]},
    {"seed": 4, "temperature": 0}, {"seed": 5, "n": 3, "max_tokens": 9},
    {"seed": 6, "frequency_penalty": 2, "presence_penalty": -1}, {"seed": 7, "top_k": 3},
    {"seed": 8, "min_p": 0.1, "top_p": 0.5}, {"seed": 9, "logit_bias": {"70": 100}},
    {"seed": 10, "repetition_penalty": 1.5}, {"seed": 11, "logprobs": 2, "max_tokens": 12},
    {"seed": 12, "max_tokens": 1}, {"seed": 13, "max_tokens": 0},
    {"seed": 14, "echo": True, "logprobs": 0},
])
def test_what_is_streamed_is_what_is_not(room, settings):
    settings = {"max_tokens": 30, **settings}
    whole = room.post(TEXT, prompt="The cat sat", **settings)
    events = room.events(TEXT, prompt="The cat sat", stream_options={"include_usage": True},
                         **settings)
    last = events.pop()
    assert last["choices"] == []
    for usage in (last["usage"], whole["usage"]):
        assert usage.pop("prompt_tokens_details")["cached_tokens"] <= usage["prompt_tokens"]
    assert last["usage"] == whole["usage"]
    assert all(event["usage"] is None and event["id"] == last["id"] for event in events)
    for choice in whole["choices"]:
        parts = [event["choices"][0] for event in events
                 if event["choices"][0]["index"] == choice["index"]]
        assert "".join(part["text"] for part in parts) == choice["text"]
        reasons = [part["finish_reason"] for part in parts]
        assert reasons == [None] * (len(parts) - 1) + [choice["finish_reason"]]
        if choice["logprobs"]:
            for name, values in choice["logprobs"].items():
                streamed = [p["logprobs"][name] for p in parts if p["logprobs"]]
                assert sum(streamed, []) == values


def test_a_conversation_is_streamed_in_deltas(room):
    whole = room.post(CHAT, messages=ASKED, **SETTINGS, logprobs=True, top_logprobs=1)
    events = room.events(CHAT, messages=ASKED, **SETTINGS, logprobs=True, top_logprobs=1)
    assert all("usage" not in event for event in events)
    assert {event["object"] for event in events} == {"chat.completion.chunk"}
    deltas = [event["choices"][0]["delta"] for event in events]
    assert deltas[0] == {"role": "assistant", "content": ""} and deltas[-1] == {}
    content = "".join(delta.get("content", "") for delta in deltas)
    assert content == whole["choices"][0]["message"]["content"]
    scores = [event["choices"][0]["logprobs"] for event in events]
    listed = sum((one["content"] for one in scores if one), [])
    assert listed == whole["choices"][0]["logprobs"]["content"]
    assert events[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]


def test_echo_scores_the_prompt_as_the_model_does(room):
    ids = TOKENIZER.encode("The cat sat on the mat.")
    expected = log_probabilities(MODEL, np.array([ids]))
    for longest in (0, 1, 5):
        asked = {"prompt": [ids], "echo": True, "logprobs": 1, "temperature": 0,
                 "max_tokens": longest}
        scores = room.post(TEXT, **asked)["choices"][0]["logprobs"]
        assert {len(values) for values in scores.values()} == {len(ids) + longest}
        assert scores["token_logprobs"][0] is None and scores["top_logprobs"][0] is None
        for t, token in enumerate(ids[1:]):
            assert scores["token_logprobs"][t + 1] == pytest.approx(expected[t, token], abs=1e-5)
            best = max(scores["top_logprobs"][t + 1].values())
            assert (best == scores["token_logprobs"][t + 1]) == (expected[t].argmax() == token)
            assert len(scores["top_logprobs"][t + 1]) == 1 + (expected[t].argmax() != token)
        assert scores["text_offset"][:3] == [0, 3, 7]


def test_an_end_that_is_drawn_counts_where_the_prompt_is_echoed(room):
    end = TOKENIZER.special_tokens["<|endoftext|>"]
    asked = {"prompt": "The cat", "logit_bias": {str(end): 100}, "max_tokens": 3, "logprobs": 1}
    plain = room.post(TEXT, **asked)["choices"][0]
    assert plain["text"] == "" and plain["logprobs"]["tokens"] == []
    echoed = room.post(TEXT, **asked, echo=True)["choices"][0]
    assert echoed["logprobs"]["tokens"] == ["The", " cat", "<|endoftext|>"]
    assert echoed["text"] == "The cat" and echoed["finish_reason"] == "stop"
    assert plain["finish_reason"] == "stop"


def test_prompts_of_one_request_are_answered_as_if_alone(room):
    prompts = ["The cat", "A dog saw", "naïve"]
    both = room.post(TEXT, prompt=prompts, n=2, seed=5, max_tokens=6)["choices"]
    assert [choice["index"] for choice in both] == list(range(6))
    for i, prompt in enumerate(prompts):
        for k in range(2):
            alone = room.post(TEXT, prompt=prompt, seed=5 + k, max_tokens=6)["choices"][0]
            assert both[2 * i + k]["text"] == alone["text"]
    ids = [TOKENIZER.encode(prompt) for prompt in prompts]
    assert room.post(TEXT, prompt=ids, n=2, seed=5, max_tokens=6)["choices"] == both
    assert room.post(TEXT, prompt=ids[0], seed=5, max_tokens=6)["choices"][0]["text"] == \
        both[0]["text"]


def test_without_a_seed_answers_differ_and_defaults_are_openais(room):
    texts = {room.post(TEXT, prompt="The", temperature=2)["choices"][0]["text"] for _ in range(4)}
    assert len(texts) > 1
    usage = room.post(TEXT, prompt="The", logit_bias={"70": 100})["usage"]
    assert usage == {"prompt_tokens": 1, "completion_tokens": 16, "total_tokens": 17,
                     "prompt_tokens_details": {"cached_tokens": 0}}


def test_an_answer_ends_where_the_context_does(room):
    ids = TOKENIZER.encode("The cat sat on the mat.")
    room_left = CONTEXT - len(ids)
    asked = {"prompt": ids, "logit_bias": {"70": 100}, "max_tokens": 10**6}
    answer = room.post(TEXT, **asked)
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == room_left
    too_long = room.post(TEXT, 400, prompt=[5] * CONTEXT, max_tokens=1)["error"]
    assert too_long["code"] == "context_length_exceeded" and too_long["param"] == "prompt"
    assert f"max_length={CONTEXT}" in too_long["message"]
    assert room.post(TEXT, prompt=[5] * CONTEXT, max_tokens=0)["choices"][0]["text"] == ""


def test_stop_texts_are_many_or_none_or_empty(room):
    plain = room.post(TEXT, prompt="The", seed=1, max_tokens=20)["choices"]
    for stop in ([], "", ["", ""], None, ["\x00"] * 40):
        assert room.post(TEXT, prompt="The", seed=1, max_tokens=20, stop=stop)["choices"] == plain
    text = plain[0]["text"]
    cut = room.post(TEXT, prompt="The", seed=1, max_tokens=20, stop=[text[5:7]])
    assert cut["choices"][0]["text"] == text[: text.index(text[5:7])]
    assert cut["choices"][0]["finish_reason"] == "stop"


ASK = {"messages": ASKED}
REFUSED = [
    ("/tokenize", {"prompt": "a", "wrong": None}, "wrong"), (TEXT, {"prompt": "a", "": None}, ""),
    (TEXT, {}, "prompt"), (TEXT, {"prompt": ""}, "prompt"), (TEXT, {"prompt": []}, "prompt"),
    (TEXT, {"prompt": 5}, "prompt"), (TEXT, {"prompt": ["a", 1]}, "prompt[1]"),
    (TEXT, {"prompt": [[1], [300]]}, "prompt"), (TEXT, {"prompt": [-1]}, "prompt[0]"),
    (TEXT, {"prompt": [True]}, "prompt[0]"), (TEXT, {"prompt": [1.5]}, "prompt[0]"),
    (TEXT, {"prompt": "a", "temperature": -1}, "temperature"),
    (TEXT, {"prompt": "a", "temperature": "hot"}, "temperature"),
    (TEXT, {"prompt": "a", "top_p": 1.1}, "top_p"), (TEXT, {"prompt": "a", "top_k": 0}, "top_k"),
    (TEXT, {"prompt": "a", "min_p": 2}, "min_p"), (TEXT, {"prompt": "a", "n": 0}, "n"),
    (TEXT, {"prompt": "a", "n": 129}, "n"), (TEXT, {"prompt": ["a"] * 70, "n": 2}, "n"),
    (TEXT, {"prompt": "a", "max_tokens": -1}, "max_tokens"),
    (TEXT, {"prompt": "a", "frequency_penalty": 3}, "frequency_penalty"),
    (TEXT, {"prompt": "a", "presence_penalty": -3}, "presence_penalty"),
    (TEXT, {"prompt": "a", "logprobs": 21}, "logprobs"),
    (TEXT, {"prompt": "a", "logprobs": True}, "logprobs"),
    (TEXT, {"prompt": "a", "logit_bias": {"x": 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"300": 1}}, "logit_bias"),
    (TEXT, {"prompt": "a", "logit_bias": {"3": 101}}, "logit_bias.3"),
    (TEXT, {"prompt": "a", "stop": 5}, "stop"), (TEXT, {"prompt": "a", "stop": ["a"] * 65}, "stop"),
    (TEXT, {"prompt": "a", "stream": "yes"}, "stream"),
    (TEXT, {"prompt": "a", "stream_options": {}}, "stream_options"),
    (TEXT, {"prompt": "a", "stream": True, "stream_options": {"x": 1}}, "stream_options.x"),
    (TEXT, {"prompt": "a", "best_of": 2}, "best_of"), (TEXT, {"prompt": "a", "suffix": "b"},
                                                      "suffix"),
    (TEXT, {"prompt": "a", "messages": []}, "messages"), (TEXT, {"prompt": "a", "foo": 1}, "foo"),
    (TEXT, {"prompt": "a", "seed": 1.5}, "seed"), (TEXT, {"prompt": "a", "echo": 1}, "echo"),
    (TEXT, {"prompt": "a", "model": "gpt-4"}, "model"), (CHAT, {**ASK, "model": 4}, "model"),
    (CHAT, {}, "messages"), (CHAT, {"messages": []}, "messages"),
    (CHAT, {"messages": [{"role": "user"}]}, "messages[0].content"),
    (CHAT, {"messages": [{"role": "tool", "content": "a"}]}, "messages[0].role"),
    (CHAT, {"messages": ["hello"]}, "messages[0]"),
    (CHAT, {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
     "messages[0].content[0].text"),
    (CHAT, {"messages": [{"role": "user", "content": "a", "name": "Ann"}]}, "messages[0].name"),
    (CHAT, {"messages": ASKED, "top_logprobs": 2}, "top_logprobs"),
    (CHAT, {"messages": ASKED, "logprobs": 2}, "logprobs"),
    (CHAT, {"messages": ASKED, "max_tokens": 0}, "max_tokens"),
    (CHAT, {"messages": ASKED, "tools": [{"type": "function"}]}, "tools"),
    (CHAT, {"messages": ASKED, "tool_choice": "required"}, "tool_choice"),
    (CHAT, {**ASK, "response_format": {"type": "xml"}}, "response_format.type"),
    (CHAT, {**ASK, "response_format": "json"}, "response_format"),
    (CHAT, {**ASK, "response_format": {"type": "regex"}}, "response_format.pattern"),
    (CHAT, {**ASK, "response_format": {"type": "regex", "pattern": "("}}, "response_format"),
    (CHAT, {**ASK, "response_format": {"type": "json_schema", "json_schema": {"schema": {
        "minimum": 3}}}}, "response_format"),
    (CHAT, {**ASK, "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    (CHAT, {**ASK, "response_format": {"type": "json_object"}, "stop": "a"}, "stop"),
    (TEXT, {"prompt": "a", "response_format": {"type": "regex", "pattern": "a{99}"}}, "max_tokens"),
    (CHAT, {"messages": ASKED, "modalities": ["audio"]}, "modalities"),
    (CHAT, {"messages": ASKED, "echo": True}, "echo"),
    (CHAT, {"messages": [{"role": "user", "content": "a " * 999}]}, "messages"),
    ("/v1/embeddings", {"input": "a", "dimensions": 4}, "dimensions"),
    ("/v1/embeddings", {"input": "a", "encoding_format": "int8"}, "encoding_format"),
    ("/v1/embeddings", {"input": [1] * 65}, "input"), ("/v1/embeddings", {"input": ""}, "input"),
    ("/tokenize", {"content": "a"}, "prompt"), ("/tokenize", {"prompt": ["a"]}, "prompt"),
    ("/detokenize", {"tokens": [300]}, "tokens"), ("/detokenize", {"tokens": "a"}, "tokens"),
]


@pytest.mark.parametrize(("path", "asked", "param"), REFUSED)
def test_what_is_wrong_is_named(room, path, asked, param):
    wanted = 404 if asked.get("model") == "gpt-4" else 400
    error = room.post(path, wanted, **asked)["error"]
    assert error["param"] == param and param.split("[")[0].split(".")[0] in error["message"]
    assert error["type"] == "invalid_request_error" and isinstance(error["code"], str)
    assert error["message"].endswith(".")


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b"null", b'"x"', b"\xff", b'{"prompt":"a","prompt":"b"}',
    b'{"prompt":"\\ud800"}', b'{"prompt":["\\udc00x"]}', b'{"prompt":"a","seed":NaN}',
    b"[" * 100_000, b'{"a":' * 50_000, b'{"prompt":"a","seed":' + b"9" * 6000 + b"}",
    b'{"prompt":"a","temperature":1e400}', b'{"prompt":"a","temperature":-Infinity}',
    b'{"\\ud800":1}', b'{"prompt":"a","seed":1e999}',
], ids=range(17))
def test_a_body_that_is_no_request_is_refused(room, body):
    status, _, content = room.ask("POST", TEXT, body)
    assert status == 400
    assert set(json.loads(content)["error"]) == {"message", "type", "param", "code"}


def test_what_asks_for_nothing_is_let_pass(room):
    room.post(CHAT, messages=ASKED, max_tokens=1, tools=[], tool_choice="none", n=None, stop=None,
              response_format={"type": "text"}, store=False, service_tier="auto", user="ann",
              metadata={"a": "b"}, logit_bias=None, parallel_tool_calls=True, suffix=None)


def test_embeddings_are_means_of_length_one_and_packed_alike(room):
    asked = ["The cat sat.", "A dog", TOKENIZER.encode("A dog")]
    found = [room.post("/v1/embeddings", input=one)["data"][0]["embedding"] for one in asked]
    assert np.linalg.norm(found[0]) == pytest.approx(1, abs=1e-5)
    assert found[1] == found[2] != found[0]
    both = room.post("/v1/embeddings", input=asked[:2], encoding_format="base64", model="tiny")
    for one, expected in zip(both["data"], found, strict=False):
        packed = np.frombuffer(base64.b64decode(one["embedding"]), "<f4")
        assert packed.tolist() == expected
    count = sum(len(TOKENIZER.encode(text)) for text in asked[:2])
    assert both["usage"] == {"prompt_tokens": count, "total_tokens": count}


def test_texts_become_tokens_and_come_back(room):
    for text in ("The cat", "żółć 🙂", "", "a<|endoftext|>b"):
        ids = room.post("/tokenize", prompt=text)["tokens"]
        assert ids == TOKENIZER.encode(text, allowed_special="all")
        assert room.post("/detokenize", tokens=ids)["prompt"] == text
    info = room.get("/tokenizer_info")
    assert info["eos_token"] == "<|endoftext|>"
    asked = room.post("/tokenize", prompt=info["eos_token"], add_special_tokens=False)
    assert asked["tokens"] == [TOKENIZER.special_tokens["<|endoftext|>"]]


def test_models_are_listed_and_chosen_by_name():
    two = Room([make_served("a"), make_served("b c", seed=1)])
    try:
        assert [one["id"] for one in two.get("/v1/models")["data"]] == ["a", "b c"]
        assert two.get("/v1/models/b%20c")["id"] == "b c"
        assert two.get("/v1/models/x", 404)["error"]["code"] == "not_found"
        asked = {"prompt": "The cat", "temperature": 0, "max_tokens": 8}
        answers = [two.post(TEXT, model=name, **asked)["choices"] for name in ("a", "b c")]
        assert answers[0] != answers[1]
        assert "There are: a, b c" in two.post(TEXT, 400, **asked)["error"]["message"]
    finally:
        two.stop()


def test_tokens_that_look_alike_have_names_of_their_own(room):
    answer = room.post(TEXT, prompt="The", max_tokens=12, logprobs=20, seed=1, temperature=2)
    for top in answer["choices"][0]["logprobs"]["top_logprobs"]:
        assert len(top) in (20, 21) and "\ufffd" not in "".join(top)


@pytest.mark.parametrize("longest", (20, 25, None))
def test_an_answer_of_a_promised_form_has_it_wherever_it_is_cut(room, longest):
    wanted = {"type": "object", "required": ["name", "legs"], "properties": {
        "name": {"type": "string"}, "legs": {"type": "integer"}}}
    form = {"type": "json_schema", "json_schema": {"name": "pet", "schema": wanted, "strict": True}}
    for seed in range(6):
        asked = {"messages": ASKED, "seed": seed, "max_tokens": longest, "temperature": 1.5}
        for kind in (form, {"type": "json_object"}, {"type": "regex", "pattern": "(cat|dog)+ ran"}):
            choice = room.post(CHAT, **asked, response_format=kind)["choices"][0]
            text = choice["message"]["content"]
            if kind["type"] == "regex":
                assert re.fullmatch(kind["pattern"], text)
            else:
                assert isinstance(json.loads(text), dict)
            if kind is form:
                assert type(json.loads(text)["legs"]) is int
            assert choice["finish_reason"] in ("stop", "length")


def test_a_conversation_in_which_nothing_was_said_begins_a_text(room):
    empty = [{"role": "user", "content": ""}]
    found = room.post("/v1/chat/completions", messages=empty, max_tokens=3, temperature=0)
    assert found["usage"]["prompt_tokens"] >= 1 and found["usage"]["completion_tokens"] >= 1
