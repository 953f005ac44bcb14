"""The client that everybody has, as a judge: pip install openai."""

import numpy as np
import pytest

from tests.tinygpt.serving.conftest import make_served
from tinygpt.inference.generate import stream_text
from tinygpt.inference.sampling import Sampling

openai = pytest.importorskip("openai")
pytestmark = pytest.mark.filterwarnings("ignore")
SERVED = make_served()
ASKED = {"model": "tiny", "messages": [{"role": "user", "content": "The cat"}], "seed": 4}
PROMPT = {"model": "tiny", "prompt": "The cat", "seed": 4}
SETTINGS = [
    {}, {"temperature": 0}, {"temperature": 1.7}, {"top_p": 0.5}, {"top_p": 0}, {"n": 3},
    {"stop": "a"}, {"stop": ["a", "b"]}, {"presence_penalty": 1.5}, {"frequency_penalty": -2},
    {"logit_bias": {"70": 5}}, {"user": "ann"}, {"seed": 2**40}, {"seed": -3},
    {"extra_body": {"top_k": 2}}, {"extra_body": {"min_p": 0.2}},
    {"extra_body": {"repetition_penalty": 1.2}}, {"metadata": {"a": "b"}},
]


@pytest.fixture(scope="module")
def client(room):
    with openai.OpenAI(base_url=f"{room.url}/v1", api_key="none", max_retries=0) as found:
        yield found


@pytest.mark.parametrize("settings", [*SETTINGS, {"max_tokens": 3}, {"max_completion_tokens": 3}],
                         ids=str)
def test_conversations_whole_and_in_pieces(client, settings):
    whole = client.chat.completions.create(**{**ASKED, **settings})
    texts = ["" for _ in whole.choices]
    reasons = [None for _ in whole.choices]
    for chunk in client.chat.completions.create(
        **{**ASKED, **settings}, stream=True, stream_options={"include_usage": True}
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert chunk.usage.completion_tokens == whole.usage.completion_tokens
    assert chunk.usage.total_tokens == whole.usage.total_tokens


@pytest.mark.parametrize("settings", [
    *(one for one in SETTINGS if "metadata" not in one), {"max_tokens": 0}, {"echo": True},
    {"logprobs": 0}, {"logprobs": 5}, {"echo": True, "logprobs": 1, "max_tokens": 0},
    {"prompt": ["The", "A"]}, {"prompt": [70, 71]}, {"prompt": [[70], [71, 72]]}, {"best_of": 1},
], ids=str)
def test_completions_whole_and_in_pieces(client, settings):
    whole = client.completions.create(**{**PROMPT, **settings})
    texts = ["" for _ in whole.choices]
    scores = [[] for _ in whole.choices]
    for chunk in client.completions.create(
        **{**PROMPT, **settings}, stream=True, stream_options={"include_usage": True}
    ):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
            scores[choice.index] += choice.logprobs.token_logprobs if choice.logprobs else []
    assert texts == [choice.text for choice in whole.choices]
    assert scores == [c.logprobs.token_logprobs if c.logprobs else [] for c in whole.choices]
    assert chunk.usage.completion_tokens == whole.usage.completion_tokens
    assert chunk.usage.total_tokens == whole.usage.total_tokens


def test_a_completion_is_the_models(client):
    answer = client.completions.create(**PROMPT, temperature=0.7, max_tokens=12)
    assert answer.choices[0].text == "".join(stream_text(
        SERVED.model, SERVED.tokenizer, "The cat", max_tokens=12,
        sampling=Sampling(temperature=0.7), rng=np.random.default_rng(4),
    ))


@pytest.mark.parametrize("count", (0, 1, 20))
def test_log_probabilities_of_a_conversation(client, count):
    answer = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=count)
    scores = answer.choices[0].logprobs.content
    assert len(scores) == answer.usage.completion_tokens
    assert all(len(one.top_logprobs) == count for one in scores)
    text = b"".join(bytes(one.bytes) for one in scores).decode(errors="replace")
    assert text == answer.choices[0].message.content


def test_the_helper_for_streams(client):
    with client.chat.completions.stream(**ASKED) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_completion()
    assert "content.delta" in kinds and kinds[-1] == "content.done"
    assert final.choices[0].message.content == \
        client.chat.completions.create(**ASKED).choices[0].message.content


@pytest.mark.parametrize("sources", ("a cat", ["a cat", "dog"], [70, 71], [[70], [71]]), ids=str)
def test_embeddings(client, sources):
    packed = client.embeddings.create(model="tiny", input=sources)
    plain = client.embeddings.create(model="tiny", input=sources, encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data]
    assert len(packed.data[0].embedding) == 32 and packed.usage.prompt_tokens > 0


def test_models(client):
    assert [one.id for one in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "tinygpt"


@pytest.mark.parametrize(("asked", "kind", "param"), [
    ({"temperature": 3}, "BadRequestError", "temperature"),
    ({"model": "gpt-4"}, "NotFoundError", "model"),
    ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "BadRequestError", "tools"),
    ({"messages": [{"role": "user", "content": "a" * 300_000}]}, "BadRequestError", "messages"),
    ({"messages": [{"role": "user", "content": "a" * 2_000_000}]}, "APIStatusError", None),
    ({"messages": [{"role": "user", "content": "a cat " * 200}]}, "BadRequestError", "messages"),
    ({"n": 0, "stream": True}, "BadRequestError", "n"),
])
def test_errors_are_the_clients_own(client, asked, kind, param):
    with pytest.raises(getattr(openai, kind)) as raised:
        client.chat.completions.create(**{**ASKED, **asked})
    assert raised.value.param == param
    if kind == "APIStatusError":
        assert raised.value.status_code == 413


def test_who_closes_a_stream_is_done_with_it(client, room):
    stream = client.chat.completions.create(**ASKED, stream=True)
    next(iter(stream))
    stream.close()
    assert client.models.list().data
