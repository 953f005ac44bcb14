"""tinygpt.serving.server and `tinygpt serve`: what is counted, described, printed and refused."""

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

from tinygpt.cli import main
from tinygpt.inference.generate import stream_text
from tinygpt.inference.sampling import GREEDY
from tinygpt.serving.openapi import up_to
from tinygpt.serving.parameters import CHAT, REFUSED
from tinygpt.serving.run import address_of
from tinygpt.serving.schemas import problem
from tinygpt.serving.service import unit
from tinygpt.weights.open import open_model


def refusal(capsys, *arguments):
    """(exit code, standard error) of a `tinygpt serve` that cannot begin."""
    with pytest.raises(SystemExit) as left:
        main(["serve", *map(str, arguments)])
    return left.value.code, " ".join(capsys.readouterr().err.split())


@pytest.fixture(scope="module")
def model(tmp_path_factory, tiny_text):
    """The folder of a tiny run."""
    from tinygpt.config import from_dict
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    config = from_dict({
        "model": {"n_layers": 1, "n_heads": 1, "d_model": 16, "context": 32},
        "data": {"source": str(tiny_text)},
        "training": {"steps": 5, "batch_size": 2, "eval_every": 5},
    })
    folder = tmp_path_factory.mktemp("served") / "my run"
    Trainer(begin(config, folder), []).run()
    return folder


def test_from_the_command_to_an_answer_to_the_end(model):
    command = [sys.executable, "-m", "tinygpt", "serve", str(model), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        name, _, address = server.stderr.readline().strip().partition(": ")
        assert name == "my run"
        body = {"prompt": "the cat", "temperature": 0, "max_tokens": 5}
        asked = urllib.request.Request(
            f"{address}/v1/completions", json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as answer:
            text = json.load(answer)["choices"][0]["text"]
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
        log = server.stderr.read()
    assert "POST /v1/completions 200" in log and "the cat" not in log
    gpt, tokenizer = open_model(model)
    assert text == "".join(stream_text(gpt, tokenizer, "the cat", max_tokens=5, sampling=GREEDY))


@pytest.mark.parametrize("other", ("5", "another run"))
def test_two_are_put_side_by_side(model, other):
    compared = model.with_name(other) if other != "5" else other
    if other != "5":
        shutil.copytree(model, compared, dirs_exist_ok=True)
    command = [sys.executable, "-m", "tinygpt", "serve", str(model), "--compare", str(compared),
               "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        address = server.stderr.readline().strip().partition(": ")[2]
        beside = server.stderr.readline().strip()
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) == 0
    wanted = "my run@5" if other == "5" else other
    assert beside == f"{address}/look#" + urllib.parse.urlencode(
        {"screen": "next", "model": "my run", "beside": wanted})


def test_a_step_that_is_not_there_is_not_compared(capsys, model):
    code, said = refusal(capsys, model, "--compare", "3")
    assert code == 1 and "no checkpoint of step 3. There are: 5." in said


def test_a_server_imports_nothing_that_it_does_not_run(model):
    """It is ready in half a second, of which numpy and asyncio have a half."""
    code = (
        "import sys; from tinygpt import cli; from tinygpt.serving import run\n"
        "def ready(served, gate, limits, host, port, slots, log, ready, train):\n"
        "    ready(8000)\n"
        "    heavy = {'numba', 'scipy', 'jinja2', 'rich', 'regex', 'torch', 'importlib.metadata',\n"
        "             'tinygpt.finetuning', 'tinygpt.planning', 'tinygpt.diagnosis',\n"
        "             'tinygpt.exchange.gguf_models', 'tinygpt.exchange.huggingface_folder',\n"
        "             'http.client', 'multiprocessing', 'urllib.request'}\n"
        "    print(sorted(heavy & set(sys.modules)))\n"
        "run.run = ready\n"
        "cli.main(['serve', sys.argv[1]])"
    )
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True)
    assert done.stdout == "[]\n" and "http://127.0.0.1:8000" in done.stderr


@pytest.mark.parametrize(("arguments", "code", "says"), [
    ([], 2, "no model is given"), (["nowhere"], 2, "there is no nowhere"),
    (["x", "--port", "99999"], 2, "99999"), (["x", "--key", "short"], 2, "8 to 512 characters"),
    (["x", "--queue", "0"], 2, "--queue is 0"), (["x", "--stall-seconds", "nan"], 2, "is nan"),
    (["x", "--allow-origin", "*"], 2, "is no origin"),
    (["x", "--print-service", "--host", "0.0.0.0"], 2, "--key-file"),
], ids=str)
def test_what_cannot_be_served_is_said_in_a_sentence(capsys, arguments, code, says):
    left, said = refusal(capsys, *arguments)
    assert left == code and says in said


def test_two_models_of_one_name_and_a_port_that_is_taken(model, capsys):
    code, said = refusal(capsys, model, model)
    assert code == 2 and "two models are called my run" in said
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, said = refusal(capsys, model, "--port", taken.getsockname()[1])
    assert code == 1 and "cannot listen at 127.0.0.1" in said and "--port 0" in said


def test_the_unit_runs_the_command_as_nobody(tmp_path):
    text = unit([str(tmp_path / "100% mine")], "127.0.0.1", 8000, None)
    assert f"serve '{tmp_path.resolve()}/100%% mine' --host 127.0.0.1 --port 8000\n" in text
    assert "DynamicUser=yes" in text and "IPAddressAllow=localhost" in text
    (tmp_path / "key").write_text("tg-a-long-key\n")
    text = unit(["run"], "0.0.0.0", 80, str(tmp_path / "key"))
    assert " --key-file %d/key\n" in text and "IPAddress" not in text
    assert f"LoadCredential=key:{tmp_path / 'key'}\n" in text
    assert text.count("=CAP_NET_BIND_SERVICE\n") == 2  # for a port that else only root may take
    assert all("{" not in line for line in text.splitlines())


def printed_unit(capsys, model, *arguments):
    with pytest.raises(SystemExit) as left:
        main(["serve", str(model), "--print-service", *arguments])
    assert not left.value.code
    return capsys.readouterr().out


def test_the_unit_has_the_options_that_were_given(model, capsys):
    given = ["--slots", "3", "--kv", "int8", "--no-log", "--allowed-host", "a",
             "--allowed-host", "b", "--queue", "7"]
    (line,) = (line for line in printed_unit(capsys, model, *given).splitlines()
               if line.startswith("ExecStart="))
    words = line.partition("--port 8000 ")[2].split()
    assert sorted(words) == sorted(given) and "--key" not in line
    code, said = refusal(capsys, model, "--print-service", "--key", "tg-12345678")
    assert code == 2 and "--key-file" in said


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("arguments", [[], ["--host", "0.0.0.0", "--port", "80", "--key-file"]])
def test_systemd_finds_nothing_wrong_with_the_unit(model, tmp_path, capsys, arguments):
    (tmp_path / "a key of 100 %").write_text("tg-a-long-key\n")
    if arguments:
        arguments = [*arguments, str(tmp_path / "a key of 100 %")]
    printed = printed_unit(capsys, model, *arguments)
    (tmp_path / "tinygpt.service").write_text(printed)
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "tinygpt.service")]
    done = subprocess.run(verify, capture_output=True, text=True)
    assert done.returncode == 0  # what it does not know it only says
    assert not [line for line in done.stderr.splitlines() if "tinygpt.service" in line]


def test_the_address_that_is_printed_is_one_to_open(monkeypatch):
    assert address_of("127.0.0.1") == "127.0.0.1" and address_of("::1") == "[::1]"
    monkeypatch.setattr(socket.socket, "connect", lambda *_: None)
    monkeypatch.setattr(socket.socket, "getsockname", lambda _: ("192.168.1.20", 9))
    assert address_of("0.0.0.0") == "192.168.1.20"

    def no_way_out(*_):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", no_way_out)
    assert address_of("0.0.0.0") == "0.0.0.0"


def test_the_description_is_what_requests_are_held_against(room):
    found = room.get("/openapi.json")
    assert found["openapi"] == "3.1.0" and "security" not in found
    served = {path: set(methods) for path, methods in found["paths"].items()}
    table = {path: {m.lower() for m in methods} for path, methods in room.server._table().items()}
    assert served.items() <= table.items()
    schema = found["paths"]["/v1/chat/completions"]["post"]["requestBody"]["content"]
    described = schema["application/json"]["schema"]
    assert set(described["properties"]) == set(CHAT["properties"])
    assert described["properties"]["n"]["anyOf"][0] == CHAT["properties"]["n"]
    ids = found["paths"]["/detokenize"]["post"]["requestBody"]["content"]["application/json"]
    assert ids["schema"]["properties"]["tokens"]["items"]["maximum"] == 299
    with_switch = described["allOf"][0]["anyOf"][1]
    assert with_switch == {"required": ["stream"], "properties": {"stream": {"const": True}}}
    assert not set(REFUSED) & set(CHAT["properties"])
    assert problem({"messages": [{"role": "user", "content": "a"}]}, CHAT) is None


def test_what_was_done_is_counted(room):
    def counts():
        lines = room.ask("GET", "/metrics")[2].decode().splitlines()
        return {key: float(value) for key, _, value in (
            line.rpartition(" ") for line in lines if not line.startswith("#"))}

    before = counts()
    room.post("/v1/completions", prompt="The cat", max_tokens=7, logit_bias={"70": 100})
    room.post("/v1/completions", 400, prompt="")
    after = counts()
    grown = {key: after[key] - before.get(key, 0) for key in after}
    assert grown["tinygpt_generated_tokens_total"] == 7
    assert grown["tinygpt_prompt_tokens_total"] == 2
    assert grown['tinygpt_requests_total{status="400"}'] == 1
    assert grown["tinygpt_time_to_first_token_seconds_count"] == 1
    assert grown['tinygpt_time_between_tokens_seconds_bucket{le="+Inf"}'] == 6
    assert after["tinygpt_requests_running"] == 0 and ":" not in "".join(after)


def test_what_is_counted_is_read_by_prometheus(room):
    parser = pytest.importorskip("prometheus_client.parser")
    families = list(parser.text_string_to_metric_families(
        room.ask("GET", "/metrics")[2].decode()))
    assert {"histogram", "counter", "gauge"} == {family.type for family in families}


@pytest.mark.parametrize("most", (0, 5, 10, 99, 100, 299, 1023))
def test_ids_are_described_to_the_last(most):
    pattern = re.compile(f"({up_to(most)})")
    assert [n for n in range(2000) if pattern.fullmatch(str(n))] == list(range(most + 1))
    assert not pattern.fullmatch("00") and not pattern.fullmatch("-1") and not pattern.fullmatch("")
