"""Every task of the chat page with the keys alone."""

import json

import pytest

from tests.tinygpt.serving.browser import CHROMIUM
from tests.tinygpt.serving.test_page import IDLE, NODES, SAID, WHY

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")


@pytest.fixture
def keys(page):
    page.run("document.activeElement.blur()")
    return page


def say(keys, text):
    keys.tab("#say")
    keys.write(text)
    keys.enter()
    keys.until(IDLE)


def test_the_way_of_the_tab_key(keys):
    seen = []
    for _ in range(7):
        keys.press("Tab")
        seen.append(keys.run("document.activeElement.id || document.activeElement.textContent"))
    assert seen == ["Skip to the message field", "menu", "model", "Look inside", "said", "say",
                    "send"]


def test_the_first_link_skips_to_the_field(keys):
    keys.tab("Skip to the message field")
    keys.enter()
    assert keys.run("document.activeElement.id") == "say"


def test_a_message_of_two_lines_is_sent(keys):
    keys.tab("#say")
    keys.write("The cat\n")
    keys.press("Enter", "\r", modifiers=8)  # Shift: a new line
    assert keys.run("document.querySelectorAll('article').length") == 0
    keys.enter()
    keys.until(f"{IDLE} == 2")
    assert keys.run(SAID)[0].startswith("The cat\n")
    assert keys.run("document.activeElement.id") == "say"  # ready for the next


@pytest.mark.parametrize("how", ("Escape", "Stop"))
def test_an_answer_is_stopped(keys, how):
    keys.run("document.querySelector('#max_tokens').value = 60")
    keys.do("Network.emulateNetworkConditions", offline=False, latency=300,
            downloadThroughput=-1, uploadThroughput=-1)
    try:
        keys.tab("#say")
        keys.write("The cat")
        keys.enter()
        if how == "Escape":
            keys.press("Escape")
        else:
            keys.tab("Stop")
            keys.enter()
        keys.until(IDLE)
    finally:
        keys.do("Network.emulateNetworkConditions", offline=False, latency=0,
                downloadThroughput=-1, uploadThroughput=-1)
    assert ", stopped" in keys.run("document.querySelector('article:last-child').textContent")
    assert keys.run("document.activeElement.id") == "say"


def test_an_answer_of_nothing_is_said_to_be_one(keys):
    ended = {"choices": [{"delta": {"content": "\n"}, "finish_reason": "stop"}]}
    events = f"data: {json.dumps(ended)}\n\ndata: [DONE]\n\n"
    keys.run(f"window.fetch = async () => new Response({json.dumps(events)})")
    say(keys, "The cat")
    assert "ended without a word" in keys.run(
        "document.querySelector('article:last-child').textContent")


def test_again_and_back_to_the_earlier_version(keys):
    say(keys, "The cat")
    first = keys.run(SAID)
    keys.tab("Again")
    keys.enter()
    keys.until(f"{IDLE} && document.querySelector('#said').textContent.includes('2 of 2')")
    assert keys.run(SAID) != first
    keys.tab("Earlier version")
    keys.enter()
    assert keys.run(SAID) == first
    assert keys.run("document.activeElement.closest('article') !== null")  # not lost
    keys.tab("Later version")
    keys.enter()
    assert keys.run(SAID) != first


def test_a_message_is_edited(keys):
    say(keys, "The cat")
    keys.tab("Edit")
    keys.enter()
    assert keys.run("document.activeElement.tagName") == "TEXTAREA"
    keys.press("End")
    keys.write(" ran")
    keys.tab("Send edited")
    keys.enter()
    keys.until(f"{IDLE} == 2")
    assert keys.run(SAID)[0] == "The cat ran"
    assert "2 of 2" in keys.run("document.querySelector('article').textContent")


def test_another_candidate_is_a_branch(keys):
    keys.run("document.querySelector('#seed').value = 5")
    say(keys, "The cat")
    before = keys.run(SAID)
    keys.tab("Its tokens")
    keys.enter()
    keys.until("document.querySelector('.numbers tbody tr') !== null")
    keys.press("Tab")  # the first token; the table scrolls, so its frame may come first
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    keys.enter()
    keys.until(f"{WHY}.querySelectorAll('button').length")
    assert keys.run("document.activeElement.tagName") == "H3"  # where to read on
    keys.press("Tab")
    keys.enter()
    keys.until("document.querySelector('#said').textContent.includes('2 of 2')")
    keys.until(IDLE)
    tokens = keys.run("[...document.querySelectorAll('.drawn')].map((e) => e.textContent)")
    after = keys.run(SAID)
    assert after[0] == before[0] and after[1] == "".join(tokens)
    first, second = (keys.run(NODES)[number]["tokens"] for number in ("2", "3"))
    assert first[:2] == second[:2] and first[2] != second[2]
    assert second[2][1] > 0


def test_another_model_or_adapter_answers(keys):
    keys.tab("#model")
    keys.press("ArrowDown")
    assert keys.run("document.querySelector('#model').value") == "b"
    say(keys, "The cat")
    assert keys.run("document.querySelector('article:last-child h2').textContent") == "b"


def test_how_answers_are_drawn(keys):
    keys.tab("How answers are drawn")
    keys.enter()
    keys.tab("#temperature")
    keys.press("ArrowDown")
    keys.tab("#seed")
    keys.write("7")
    keys.tab("#system")
    keys.write("A dog saw the cat.")
    keys.run("document.activeElement.blur()")
    say(keys, "The cat")
    asked = keys.run(NODES)["2"]["asked"]
    assert (asked["temperature"], asked["seed"]) == (0.7, 7)
    assert asked["system"] == "A dog saw the cat."
    assert keys.run("JSON.parse(localStorage['tinygpt:settings']).seed") == "7"


def test_conversations_are_begun_turned_to_exported_and_deleted(keys, tmp_path):
    say(keys, "The cat")
    keys.run("document.activeElement.blur()")
    keys.tab("#menu")
    keys.enter()
    assert keys.run("document.querySelector('#menu').ariaExpanded") == "true"
    keys.tab("New conversation")
    keys.enter()
    assert keys.run(SAID) == []
    keys.write("A dog")  # the field has the focus
    keys.enter()
    keys.until(f"{IDLE} == 2")
    keys.run("document.activeElement.blur()")
    keys.tab("The cat")
    keys.enter()
    assert keys.run(SAID)[0] == "The cat"
    keys.do("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    keys.tab("Export this conversation")
    keys.enter()
    file = tmp_path / "conversation.json"
    for _ in range(100):
        if file.exists() and file.stat().st_size:
            break
        keys.run("new Promise((done) => setTimeout(done, 50))")
    assert json.loads(file.read_text())["nodes"]["1"]["content"] == "The cat"
    keys.tab("Delete this conversation")
    keys.enter()
    assert keys.run(SAID)[0] == "A dog"
