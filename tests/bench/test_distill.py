"""What bench distill compares: pairs that differ by the teacher alone, and what it says of them."""

import pytest
from click.testing import CliRunner

from bench.distill import command, told
from tinygpt.cli.training import train

SMALL = ("[model]\nn_layers = 1\nn_heads = 2\nd_model = 16\ncontext = 16\n"
         '[tokenizer]\nkind = "char"\n[data]\nsplit = [0.9, 0.1, 0.0]\nby_position = true\n'
         "[training]\nsteps = 3\nbatch_size = 2\nwarmup_steps = 1\n")


def line(seed, arm, loss):
    return {"seed": seed, "arm": arm, "loss": loss, "cpu": 1.0}


def test_the_table_has_the_seeds_that_have_both_and_counts_who_passes():
    said = told([line(1, "alone", 2.0), line(1, "taught", 1.9), line(2, "alone", 2.0),
                 line(2, "taught", 1.99), line(3, "alone", 2.0), line(3, "taught", 1.96),
                 line(4, "alone", 2.0)])
    assert "| 1 | 2.0000 | 1.9000 | +0.1000 |" in said and "| 4 |" not in said
    assert "gained 0.0500 nats a token, 95 % " in said and "passed by 2 of 3 seeds" in said


def test_nothing_is_said_of_seeds_with_one_arm():
    assert "gained 0" not in told([line(1, "alone", 2.0)])


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    (folder / "text.txt").write_text("the cow sat on the mat. " * 40)
    (folder / "small.toml").write_text(SMALL)
    train.main(
        [str(folder / "small.toml"), "--data", str(folder / "text.txt"), "--out",
         str(folder / "run")], standalone_mode=False,
    )
    return folder


def asked(folder, out, *more):
    return CliRunner().invoke(
        command, [str(folder / "run"), "--student", str(folder / "small.toml"), "--out", str(out),
                  *more], catch_exceptions=False,
    ).output


def test_both_arms_differ_by_the_teacher_alone(teacher, tmp_path):
    same = asked(teacher, tmp_path / "same", "--seeds", "5", "--taught", "soft=0")
    assert "gained 0.0000 nats" in same and "passed by 0 of 1" in same
    said = asked(teacher, tmp_path / "taught", "--seeds", "5", "--taught", "soft=1")
    assert "gained 0.0000 nats" not in said


def test_it_goes_on_where_it_stands(teacher, tmp_path):
    first = asked(teacher, tmp_path, "--seeds", "5")
    again = asked(teacher, tmp_path, "--seeds", "5,6")
    assert "seed 5, alone" in first and "seed 5, alone" not in again and "seed 6, taught" in again
