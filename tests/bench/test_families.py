"""The comparison of switches: all of them, at equal budgets, on one figure."""

import dataclasses
import json
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from bench.__main__ import main
from bench.families import LINES, plan, switches
from bench.families_chart import DEFAULT, Result, figure, results_of, table
from tinygpt.config import load_config
from tinygpt.model.shape import ModelShape

TINY = ["model.n_layers=2", "model.n_heads=4", "model.d_model=16", "model.context=16",
        "training.steps=4", "training.batch_size=2", "training.warmup_steps=2"]
SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"vocab_size", "context", "n_layers", "n_heads", "d_model", "assembly", "embedding_size"}


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


@pytest.fixture
def families(tmp_path):
    """Runs the command on a tiny text; returns its exit code, output and lines."""
    path = tmp_path / "text.txt"
    path.write_text("the cat sat on the mat and the dog ran after the cat\n" * 60)

    def run(*options):
        settings = [word for setting in TINY for word in ("--set", setting)]
        result = CliRunner().invoke(main, [
            "families", "--text", str(path), "--out", str(tmp_path), "--threads", "1",
            *settings, *options,
        ])
        log = tmp_path / LINES
        lines = log.read_text().splitlines() if log.exists() else []
        return result.exit_code, result.output, [json.loads(line) for line in lines]

    return run


def names_on(path):
    svg = ElementTree.parse(path).getroot()
    return [t.text for t in svg.iter(f"{SVG}text") if t.get("class") == "name"]


def test_all_switches_of_a_size_train_in_processes_and_stand_on_the_figure(families, tmp_path):
    code, output, lines = families("--size", "S", "--seeds", "1", "--steps-s", "2", "--jobs", "2")
    assert code == 0, output
    names = [*switches(load_config("S", TINY).model)]
    assert {line["name"] for line in lines} == {*names}
    assert {(line["steps"], line["tokens"]) for line in lines} == {(2, 2 * 2 * 16)}
    assert {*names_on(tmp_path / "families.svg")} == {*names}
    for name in names:
        assert f"\n{name} " in output


def test_it_goes_on_where_its_lines_end_and_draws_from_them_alone(families, tmp_path):
    few = ("--only", "tied", "--only", "bias=", "--seeds", "2")
    code, _, whole = families(*few)
    assert code == 0 and len(whole) == 2 * 4 * 2  # sizes, switches, seeds
    log = tmp_path / LINES
    log.write_text("".join(json.dumps(line) + "\n" for line in whole if line["seed"] == 0))
    _, _, again = families(*few)
    assert [line["seed"] for line in again] == [0] * 8 + [1] * 8
    loss = {line["key"]: line["loss"] for line in whole}
    assert loss == {line["key"]: line["loss"] for line in again}
    more = {line["name"]: line["parameters"] for line in whole}
    assert more["bias=qkv"] - more[DEFAULT] == 2 * 3 * 16  # two layers, three rows of width 16
    result = CliRunner().invoke(main, ["families", "--draw", str(tmp_path)])
    assert result.exit_code == 0 and "tied=false" in result.output
    assert len(names_on(tmp_path / "families.svg")) == 2 * 4


def test_no_training_begins_that_would_end_after_the_limit(families):
    code, output, lines = families("--size", "S", "--only", "tied", "--limit", "1e-9")
    assert code == 1 and lines == [] and "Train first" in output


def test_a_seed_of_all_comes_before_the_next_and_long_trainings_first():
    own = {"S": [], "M": []}
    jobs = plan(["S", "M"], 2, own, ["tied"])
    assert [(j.seed, j.size) for j in jobs] == [
        (0, "M"), (0, "M"), (0, "S"), (0, "S"), (1, "M"), (1, "M"), (1, "S"), (1, "S")]
    assert jobs[1].config().model.tied is False


def line(size, name, seed, loss, ms=1.0, tokens=8):
    return {"size": size, "name": name, "seed": seed, "loss": loss, "ms": ms, "parameters": 10,
            "tokens": tokens}


def test_the_best_stands_above_and_the_table_keeps_the_order(tmp_path):
    results = results_of([
        line("S", "lost", 0, None), line("S", "better", 0, 1.9, 15.0),
        line("S", "better", 1, 1.7, 15.0), line("S", DEFAULT, 0, 2.0, 8.0),
        line("S", DEFAULT, 1, 2.2, 12.0),
    ])
    svg = ElementTree.fromstring(figure(results))
    names = [t.text for t in svg.iter(f"{SVG}text") if t.get("class") == "name"]
    assert names == ["better", DEFAULT]
    times = [t.text for t in svg.iter(f"{SVG}text") if t.get("class") == "time"]
    assert times == ["1.50", "1.00"]
    lines = table(results["S"]).splitlines()
    assert [row.split()[0] for row in lines[1:]] == [DEFAULT, "lost", "better"]
    assert "-0.3000" in lines[3] and "1.7000-1.9000" in lines[3] and "1.50 [" in lines[3]


def test_unequal_budgets_are_not_compared():
    with pytest.raises(ValueError, match="8 tokens and on 16"):
        results_of([line("S", DEFAULT, 0, 2.0), line("S", "tied=false", 0, 2.0, tokens=16)])


def test_a_size_without_its_default_is_not_compared():
    with pytest.raises(ValueError, match="no line of 'default'"):
        results_of([line("M", "tied=false", 0, 2.0)])


def test_several_lines_of_a_job_count_once():
    results = results_of([line("M", DEFAULT, 0, 2.0), line("M", DEFAULT, 0, 3.0)])
    assert results == {"M": [Result(DEFAULT, 10, [3.0], [1.0], 8)]}
