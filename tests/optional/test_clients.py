"""Clients that nobody here wrote finish a conversation: the `llm` command, and langchain-openai.

    pip install llm langchain-openai
"""

import os
import shutil
import subprocess

import pytest

from tests.tinygpt.serving.conftest import Room, make_served

LLM = shutil.which("llm")


@pytest.fixture(scope="module")
def room():
    found = Room([make_served()])
    yield found
    found.stop()


@pytest.mark.skipif(LLM is None, reason="no llm: pip install llm")
def test_the_llm_command_goes_on_with_its_conversation(room, tmp_path):
    (tmp_path / "extra-openai-models.yaml").write_text(
        f"- model_id: room\n  model_name: tiny\n  api_base: {room.url}/v1\n", encoding="utf-8"
    )
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path), "OPENAI_API_KEY": "none"}

    def ask(*words):
        done = subprocess.run([LLM, *words, "-o", "max_tokens", "6", "-o", "seed", "1"],
                              env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.removesuffix("\n")

    said = [{"role": "user", "content": "The cat"}]
    for words in (["-m", "room", "The cat"], ["-c", "A dog"], ["-c", "--no-stream", "And ran"]):
        answer = ask(*words)
        right = room.post("/v1/chat/completions", messages=said, max_tokens=6, seed=1)
        content = right["choices"][0]["message"]["content"]
        assert answer.strip() == content.strip()
        said += [{"role": "assistant", "content": content}, {"role": "user", "content": "A dog"}]
        if len(said) > 3:
            said[-1]["content"] = "And ran"


def test_langchain_goes_on_with_its_conversation_streamed_and_not_and_keeps_a_form(room):
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(model="tiny", base_url=f"{room.url}/v1", api_key="none",
                                 temperature=0.8, max_tokens=8, seed=1)
    first = model.invoke([("user", "The cat")])
    assert first.response_metadata["finish_reason"] in ("stop", "length")
    talk = [("user", "The cat"), ("assistant", first.content), ("user", "A dog")]
    whole = model.invoke(talk)
    assert "".join(piece.content for piece in model.stream(talk)) == whole.content
    assert whole.usage_metadata["output_tokens"] == 8
    form = {"title": "Count", "type": "object", "required": ["a"],
            "properties": {"a": {"type": "integer"}}}
    kept = langchain.ChatOpenAI(model="tiny", base_url=f"{room.url}/v1", api_key="none",
                                max_tokens=30).with_structured_output(form, method="json_schema")
    assert isinstance(kept.invoke("The cat")["a"], int)
