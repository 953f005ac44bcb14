"""The comparison of switches: all of them, at equal budgets, on one chart."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.families import DEFAULT, Result, figure, switches, table
from tinygpt.config import load_config
from tinygpt.model.shape import ModelShape

TINY = ["model.n_layers=2", "model.n_heads=4", "model.d_model=16", "model.context=16",
        "training.steps=12", "training.batch_size=2", "training.warmup_steps=2"]
SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"vocab_size", "context", "n_layers", "n_heads", "d_model"}


@pytest.mark.parametrize("size", "SM")
def test_every_setting_is_in_a_switch_that_a_shape_can_have(size):
    found = switches(load_config(size).model)
    keys = {setting.split("=")[0] for settings in found.values() for setting in settings}
    assert keys == set(ModelShape.__dataclass_fields__) - SIZES
    shapes = {
        dataclasses.replace(
            load_config(size, [f"model.{setting}" for setting in settings]).model, family="gpt"
        )
        for settings in found.values()
    }
    assert len(shapes) == len(found)  # none is another under a second name


def families(tmp_path, *options):
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog ran after the cat\n" * 60)
    settings = [word for setting in TINY for word in ("--set", setting)]
    result = CliRunner().invoke(main, [
        "families", "--data", str(path), "--out", str(tmp_path / "zoo.svg"), "--threads", "1",
        *settings, *options,
    ])
    assert result.exit_code == 0, result.output
    return result.output, ElementTree.parse(tmp_path / "zoo.svg").getroot()


def test_all_switches_train_and_stand_on_the_chart(tmp_path):
    output, svg = families(tmp_path, "--seeds", "1", "--set", "training.steps=2")
    names = list(switches(load_config("S", TINY).model))
    assert {text.text for text in svg.iter(f"{SVG}text") if text.get("class") == "name"} == {*names}
    for name in names:
        assert f"\n{name} " in output


def test_seeds_and_parameters_of_a_few_are_told(tmp_path):
    output, svg = families(tmp_path, "--seeds", "2", "--only", "tied", "--only", "bias=", "--json")
    told = json.loads(output.splitlines()[-1])
    by_name = {row["name"]: row for row in told["switches"]}
    assert list(by_name) == [DEFAULT, "bias=qkv", "bias=all", "tied=false"]
    assert told["tokens"] == 12 * 2 * 16
    assert all(len(row["losses"]) == 2 and len(row["slower"]) == 4 for row in by_name.values())
    assert set(by_name[DEFAULT]["slower"]) == {1.0}
    more = by_name["bias=qkv"]["parameters"] - by_name[DEFAULT]["parameters"]
    assert more == 2 * 3 * 16  # two layers, three rows of width 16
    assert len(list(svg.iter(f"{SVG}circle"))) == 4 * 2


def test_the_best_stands_above_and_the_table_keeps_the_order():
    results = [Result(DEFAULT, 10, [2.0, 2.2], [1.0]), Result("better", 20, [1.9, 1.7], [1.5]),
               Result("lost", 30, [float("nan")], [2.0])]
    svg = ElementTree.fromstring(figure(results, "title"))
    names = [t.text for t in svg.iter(f"{SVG}text") if t.get("class") == "name"]
    assert names[:2] == ["better", DEFAULT]
    lines = table(results).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [DEFAULT, "better", "lost"]
    assert "-0.3000" in lines[2] and "1.7000-1.9000" in lines[2]
