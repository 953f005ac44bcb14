"""A server's model is measured as the same model in this process is."""

import http.server
import json
import threading

import pytest

from tests.tinygpt.serving.conftest import Room, make_served
from tinygpt.errors import UserError
from tinygpt.evaluation.language_modelling import Passage
from tinygpt.evaluation.remote import Remote
from tinygpt.evaluation.subject import Local
from tinygpt.evaluation.suite import evaluate
from tinygpt.evaluation.suites.text import TextSuite
from tinygpt.evaluation.tables import rows


@pytest.fixture(scope="module")
def served():
    return make_served()


@pytest.fixture(scope="module")
def remote(served):
    room = Room([served])
    yield Remote(room.url)
    room.stop()


@pytest.fixture(scope="module")
def local(served):
    begun = served.tokenizer.encode("\n")
    return Local(served.model, served.tokenizer, name="here", opening=begun)


CONTEXT, ANSWERS = "The cat sat on", [" the mat.", " a dog, and ran.", " 日本"]


def test_answers_have_the_same_scores(remote, local):
    for here, there in zip(local.scores(CONTEXT, ANSWERS), remote.scores(CONTEXT, ANSWERS),
                           strict=True):
        assert there.nats == pytest.approx(here.nats, abs=1e-4)
        assert (there.tokens, there.greedy) == (here.tokens, here.greedy)


def test_a_short_text_has_the_same_bits(remote, local):
    texts = [Passage(str(i), f"The cat sat. {i} dogs ran, naïve 日本!") for i in range(25)]
    here, there = (rows(evaluate(TextSuite(texts), one))[0].found for one in (local, remote))
    assert there.value == pytest.approx(here.value, abs=1e-5)


def test_a_long_text_is_cut_and_every_byte_counted(remote):
    text = "The cat sat on the mat. A dog saw the cat, and ran. 日本 " * 8
    (found,) = remote.surprise([text])
    assert found.ends[-1] == len(text.encode())
    assert (found.nats > 0).all() and (found.ends[1:] >= found.ends[:-1]).all()


def test_it_writes_the_same(remote, local):
    prompts = ["The cat", "A dog saw"]
    begun = ["\n" + one for one in prompts]
    assert remote.write(begun, 6) == Local(
        local.model, local.tokenizer, opening=()).write(begun, 6)


def test_nobody_at_home_is_one_sentence():
    with pytest.raises(UserError, match="cannot reach http://127.0.0.1:9: .* running"):
        Remote("http://127.0.0.1:9")


class Other(http.server.BaseHTTPRequestHandler):
    """A server whose log probabilities are `says`."""

    says: object = None

    def do_GET(self):
        self._send({"data": [{"id": "other"}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._send({"choices": [{"index": i, "text": "", "logprobs": self.says}
                                for i in range(len(body["prompt"]))]})

    def _send(self, value):
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words):
        pass


@pytest.mark.parametrize(
    ("says", "words"),
    [(None, "gives no log probabilities of a prompt"),
     ({"token_logprobs": [None, 0.0, 0.0], "text_offset": [0, 1, 2], "top_logprobs": None},
      "every token of a prompt is certain")],
)
def test_a_server_that_does_not_compute_is_refused(says, words, monkeypatch):
    monkeypatch.setattr(Other, "says", says)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            subject = Remote(f"http://127.0.0.1:{server.server_port}/v1")
            with pytest.raises(UserError, match=words):
                subject.scores("ab", ["cd", "ef"])
        finally:
            server.shutdown()
            thread.join()
