"""tinygpt/config.py: defaults <- TOML <- --set, with every mistake named."""

import dataclasses

import pytest

from tinygpt.config import ConfigError, from_dict, load_config, shipped
from tinygpt.errors import UserError


@pytest.mark.parametrize("name", shipped())
def test_shipped_configuration_loads_and_survives_a_round_trip(name):
    config = load_config(name)
    assert from_dict(config.to_dict()) == config


def test_s_is_the_model_of_nanogpts_cpu_run():
    config = load_config("S")
    training = config.training
    assert (training.batch_size, config.model.context, training.steps) == (12, 64, 800)
    assert (training.optimizer, training.lr, training.warmup_steps) == ("muon", 1e-2, 5)
    assert (training.beta2, training.weight_decay, training.clip) == (0.99, 0.1, 1.0)
    assert config.model.dropout == 0.0


def test_overrides_come_last_and_take_the_type_of_the_key():
    config = load_config("S", ["training.steps=30", "training.lr=5e-4", "training.clip=none"])
    assert config.training.steps == 30
    assert config.training.lr == 5e-4
    assert config.training.clip is None


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("training.step=3", "Did you mean training.steps?"),
        ("trainig.steps=3", "Did you mean training?"),
        ("training.steps=many", "training.steps = 'many' is not of type int"),
        ("training.steps=0", "training.steps = 0 must be at least 1"),
        ("model.d_model=130", "130 is not divisible by model.n_heads = 4"),
        ("model.norm=batchnorm", "not one of: layernorm, rmsnorm"),
        ("data.split=0.9,0.9,0.1", "sum to 1"),
        ("steps", "section.key=value"),
        ("training.clip=0", "training.clip = 0.0 must be above 0, or none"),
        ("training.clip=-1", "above 0"),
        ("training.clip=nan", "training.clip = 'nan' is not of type float"),
        ("training.clip=false", "training.clip = 'false' is not of type float"),
        ("training.eps=-1", "training.eps = -1.0 must be above 0"),
        ("training.lr=inf", "training.lr = 'inf' is not of type float"),
        ("training.lr=1e-9", "training.min_lr = 1e-05 must be at most training.lr = 1e-09"),
        ("training.seed=-1", "training.seed = -1 must be 0 or more"),
        ("training.steps=inf", "training.steps = 'inf' is not of type int"),
        ("model.dropout=nan", "model.dropout = 'nan' is not of type float"),
    ],
)
def test_a_mistake_is_named_with_what_to_do(override, said):
    with pytest.raises(ConfigError) as caught:
        load_config("S", [override])
    assert said in str(caught.value)
    assert caught.value.exit_code == 2


def test_a_switch_is_no_number_in_toml_either(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[training]\nclip = false\n")
    with pytest.raises(ConfigError, match="training.clip = False is not of type float"):
        load_config(path)


def test_missing_file_lists_the_shipped_names():
    with pytest.raises(ConfigError, match="B, L, M"):
        load_config("nope.toml")


def test_broken_toml_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[model\n")
    with pytest.raises(ConfigError, match=r"mine\.toml is not valid TOML"):
        load_config(path)


@pytest.mark.parametrize("value", [[], {}, [["gpt"]], {"a": 1}, True, 1e400, "", None, -1])
@pytest.mark.parametrize("objective", ["pretraining", "seq2seq", "classification", "finetuning"])
def test_a_value_of_any_kind_is_taken_or_refused_in_words(objective, value):
    """In every field: a file's configuration may hold whatever JSON can."""
    whole = dataclasses.asdict(from_dict({"objective": objective}))
    for section, fields in whole.items():
        for name in fields if isinstance(fields, dict) else ():
            try:
                from_dict({"objective": objective, section: {name: value}})
            except UserError as error:
                assert name in str(error) or section in str(error)
        try:
            from_dict({"objective": objective, section: value})
        except UserError:
            pass
