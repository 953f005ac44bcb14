"""Quantized files and runs that lie, with the right checksums: refused before anything is built."""

import json
import shutil

import numpy as np
import pytest

from minigrad.nn.quantized import quantize
from minigrad.ops.decode import Packed
from tests.fuzz.mutate import resign_tensors, take_apart
from tinygpt.compression.quantize import quantize_model
from tinygpt.errors import UserError
from tinygpt.model import ModelShape, build
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.run import Run
from tinygpt.tokenizer import CharTokenizer
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import load_model, open_model
from tinygpt.weights.quantized import load_quantized, save_quantized

SHAPE = ModelShape(vocab_size=20, context=16, n_layers=1, n_heads=2, d_model=32)
TOKENIZER = CharTokenizer("abcdefghijklmnopqrst")
SCHEMES = ("int8", "int4", "nf4", "q4_1", "q8_0")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Scheme -> a whole quantized file's bytes."""
    path = tmp_path_factory.mktemp("files") / "m"
    found = {}
    for scheme in SCHEMES:
        model = quantize_model(build(SHAPE, np.random.default_rng(0)), scheme)
        save_quantized(model, TOKENIZER, path)
        found[scheme] = path.read_bytes()
    return found


def lying(whole, change):
    """A file after change(config, matrices, entries, parts), offsets and checksums set right."""
    header, arrays = take_apart(whole)
    texts = header.pop("__metadata__")
    parts = {name: arrays[slice(*entry["data_offsets"])] for name, entry in header.items()}
    config, matrices = json.loads(texts["config"]), json.loads(texts["matrices"])
    change(config, matrices, header, parts)
    texts.update(config=json.dumps(config), matrices=json.dumps(matrices))
    at = 0
    for name, entry in header.items():
        entry["data_offsets"] = [at, at + len(parts[name])]
        at += len(parts[name])
    text = json.dumps({"__metadata__": texts, **header}).encode()
    data = len(text).to_bytes(8, "little") + text + b"".join(parts[name] for name in header)
    return resign_tensors(data)


def shrink(part):
    """An array of one row less, in shape and bytes alike."""

    def change(config, matrices, entries, parts):
        name = f"token_embedding.{part}"
        shape = entries[name]["shape"]
        size = len(parts[name]) // shape[0]
        shape[0] -= 1
        parts[name] = parts[name][:-size]

    return change


def grow(key, value):
    return lambda config, matrices, entries, parts: config.update({key: value})


def rows(n):
    def change(config, matrices, entries, parts):
        matrices["token_embedding"][1] = config["vocab_size"] = n

    return change


def no_number(config, matrices, entries, parts):
    parts["norm.weight"] = np.full(SHAPE.d_model, np.inf, np.float32).tobytes()


def same_bytes_of_another_type(config, matrices, entries, parts):
    entries["norm.weight"]["dtype"] = "I32"


def another_module(config, matrices, entries, parts):
    matrices["norm"] = matrices.pop("token_embedding")
    for name in [name for name in entries if name.startswith("token_embedding")]:
        entries[name.replace("token_embedding", "norm")] = entries.pop(name)
        parts[name.replace("token_embedding", "norm")] = parts.pop(name)


LIES = {
    "a longer vocabulary": rows(1000), "no rows": rows(0), "rows beyond any memory": rows(10**15),
    "a wide model": grow("d_model", 20_000), "many layers": grow("n_layers", 10**9),
    "a long context": grow("context", 10**12), "other heads": grow("n_heads", 3),
    "fewer codes": shrink("codes"), "fewer scales": shrink("scale"), "infinity": no_number,
    "another type": same_bytes_of_another_type, "another module": another_module,
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_promises_what_it_does_not_hold_is_refused(tmp_path, files, scheme, lie):
    path = tmp_path / "m"
    path.write_bytes(lying(files[scheme], LIES[lie]))
    with pytest.raises(UserError, match="do not fit together"):
        load_quantized(path)


@pytest.mark.parametrize(("scheme", "part"), [("int8", "offset"), ("nf4", "scale_factor")])
def test_the_smaller_arrays_are_held_against_the_shape_too(tmp_path, files, scheme, part):
    (tmp_path / "m").write_bytes(lying(files[scheme], shrink(part)))
    with pytest.raises(UserError, match=f"token_embedding.{part} must be"):
        load_quantized(tmp_path / "m")


def test_an_honest_file_put_together_anew_loads(tmp_path, files):
    """What the lies above are refused for is the lie."""
    for scheme in SCHEMES:
        (tmp_path / "m").write_bytes(lying(files[scheme], lambda *parts: None))
        load_quantized(tmp_path / "m")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_packed_by_hand_is_held_against_its_shape(scheme):
    whole = quantize(np.ones((20, 64), np.float32), scheme)

    def made(**changes):
        parts = {"shape": whole.shape, "codes": whole.codes, "scale": whole.scale,
                 "offset": whole.offset}
        return Packed(scheme, **{**parts, **changes})

    assert made().nbytes == whole.nbytes
    for changes in (
        {"shape": (33, 64)}, {"shape": (20, 65)}, {"codes": whole.codes[:1]},
        {"codes": whole.codes.view(np.uint16)}, {"codes": whole.codes[::-1]},
        {"scale": whole.scale[:-1]}, {"scale": whole.scale.astype(np.float64)},
        {"scale": whole.scale.tolist()}, {"offset": np.zeros(1, np.int32)},
    ):
        with pytest.raises(ValueError, match="Packed: "):
            made(**changes)


# --- runs ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_text):
    """A run of six steps with checkpoints of steps 3 and 6, and another text's run beside it."""
    from tinygpt.config import from_dict

    folder = tmp_path_factory.mktemp("trained")
    other = folder / "other.txt"
    other.write_text(tiny_text.read_text(encoding="utf-8")[20_000:], encoding="utf-8")
    for name, text in (("run", tiny_text), ("other", other)):
        config = from_dict({
            "model": {"n_layers": 1, "n_heads": 2, "d_model": 16, "context": 16},
            "data": {"source": str(text), "split": [0.9, 0.1, 0.0], "by_position": True},
            "training": {"steps": 6, "batch_size": 4, "checkpoint_every": 3, "eval_every": None,
                         "sample_every": None},
        })
        Trainer(begin(config, folder / name)).run()
    return folder


@pytest.fixture
def run(trained, tmp_path):
    return shutil.copytree(trained / "run", tmp_path / "run")


@pytest.mark.parametrize(
    "change", [{"d_model": 20_000}, {"n_layers": 10**9}, {"context": 10**12}, {"vocab_size": 10**9}]
)
def test_a_configuration_for_another_machine_is_refused_before_a_model_is_built(
    run, monkeypatch, change
):
    from tinygpt.pretraining import whole
    from tinygpt.weights import open as opening

    def built(*arguments):
        raise AssertionError("it was built")

    monkeypatch.setattr(opening, "build", built)
    monkeypatch.setattr(whole, "build", built)
    opened = Run.open(run)
    opened.write_config(opened.config.replace("model", **change))
    for read in (load_model, lambda opened: resume(opened.path)):
        with pytest.raises(UserError, match=" = ".join(map(str, *change.items()))):
            read(opened)


@pytest.mark.parametrize(
    "change", [{"d_model": 20_000}, {"n_layers": 10**9}, {"vocab_size": 10**9}]
)
def test_a_classifier_for_another_machine_is_counted_and_refused_unbuilt(
    tmp_path, monkeypatch, change
):
    from tinygpt.config import from_dict
    from tinygpt.finetuning import classification
    from tinygpt.model import classifier

    def built(*arguments):
        raise AssertionError("it was built")

    (tmp_path / "texts.csv").write_text("text,label\n" + "red,colour\ndog,animal\n" * 3)
    config = from_dict({
        "objective": "classification", "data": {"source": str(tmp_path / "texts.csv")},
        "model": {"family": "bert", "n_layers": 1, "n_heads": 2, "d_model": 16, "context": 8},
        "training": {"steps": 1, "batch_size": 2},
    })
    session = begin(config, tmp_path / "run")
    assert session.objective.parameters == session.model.count_parameters()
    session.save()
    monkeypatch.setattr(classifier, "build", built)
    opened = Run.open(tmp_path / "run")
    opened.write_config(opened.config.replace("model", **change))
    for read in (classification.open_classifier, resume):
        with pytest.raises(UserError, match=" = ".join(map(str, *change.items()))):
            read(opened.path)


def test_tokens_of_another_run_are_refused_by_every_reader(run, trained):
    from tinygpt.diagnosis.measure import diagnose
    from tinygpt.screens.quantization import Source, quantize_and_report

    shutil.rmtree(run / "tokens")
    shutil.copytree(trained / "other" / "tokens", run / "tokens")
    for read in (
        lambda: diagnose(str(run)),
        lambda: quantize_and_report(Source(run), "int8", None, None, 100),
        lambda: resume(run),
    ):
        with pytest.raises(UserError, match="tokens are not those of|another tokenizer"):
            read()


def test_a_damaged_checkpoint_that_is_passed_over_is_said(run):
    (run / "checkpoints/step-00000006/model.safetensors").write_bytes(b"")
    with pytest.warns(UserWarning, match="step-00000006.*going back to the checkpoint before it"):
        open_model(run)


def test_a_checkpoint_signed_anew_is_checked_all_the_same(run):
    """state.json of other types, with the right checksum in the manifest."""
    (found, before) = checkpoints.listed(run / "checkpoints")
    model, optimizer = found.tensors("model"), found.tensors("optimizer")
    for change in (
        {"step": "6"}, {"step": 5}, {"losses": 3}, {"rng": {}}, {"lr_scale": None},
        {"seconds": 1e300},
    ):
        state = before.state()
        state["train"].update({"step": 6, **change})
        model, optimizer = ({n: a.copy() for n, a in part.items()} for part in (model, optimizer))
        checkpoints.save(run / "checkpoints", 6, model, optimizer, state)
        with pytest.raises(UserError, match="step-00000006 does not fit"):
            resume(run)
