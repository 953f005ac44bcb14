"""Plans of several machines and of a budget, as they are printed."""

import io
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from tests.tinygpt.planning.test_ranks import planned
from tests.tinygpt.planning.test_scaling import TRUE
from tinygpt.errors import UserError
from tinygpt.planning import budget
from tinygpt.planning.ranks import read_link
from tinygpt.planning.scaling import Law
from tinygpt.screens.budget import show_budget
from tinygpt.screens.console import Screen
from tinygpt.screens.ranks import ranks_table, show_ranks

LAW = Law(TRUE, (TRUE,) * 3, np.array([-0.01, 0.01]))


def test_each_way_is_a_line_beside_one_machine():
    paper = Console(file=io.StringIO(), width=110)
    paper.print(ranks_table(planned(), 4, read_link("1gbit")))
    lines = paper.file.getvalue().splitlines()
    assert lines[0].startswith("4 machines, 1gbit, nominal")
    names = [line.split("  ")[0] for line in lines[1:]]
    assert names == ["one machine", "data parallel", "int8", "ZeRO-1", "local steps"]
    assert "1,900 ms" in lines[1] and "64.5 MB" in lines[2]


def test_advice_follows_the_table(capsys):
    show_ranks(Screen(), planned(), 2, read_link("10gbit"))
    assert "2 machines do" in capsys.readouterr().out.splitlines()[-1]


def test_without_a_trial_there_is_nothing_to_say_of_many():
    with pytest.raises(UserError, match="no step could be tried here"):
        show_ranks(Screen(), replace(planned(), trial=None), 2, read_link("1gbit"))


@pytest.mark.parametrize("metered, says", [
    (budget.Metered(5e10, 20.0, ""), "20 W of the processor in the trial, so 0.96 kWh"),
    (budget.Metered(5e10, None, "nobody counts"), "Energy: nobody counts."),
])
def test_a_budget_names_the_best_its_interval_and_a_command(metered, says, capsys):
    found = budget.choices(172800.0, 5e10, LAW)
    show_budget(Screen(), found, LAW, 48.0, metered)
    out = " ".join(capsys.readouterr().out.split())
    assert says in out and "Best in 2 days 0 h here" in out and "with a ruler" not in out
    show_budget(Screen(), found, LAW._replace(operations=1e12), 48.0, metered)
    assert "with a ruler" in " ".join(capsys.readouterr().out.split())
    assert f"--set model.d_model={found[0].width}" in out and "--max-hours 48" in out


def test_a_weekend_on_four_machines(capsys):
    found = budget.choices(172800.0, 5e10, LAW, 4, read_link("1gbit"))
    show_budget(Screen(), found, LAW, 48.0, budget.Metered(5e10, 20.0, ""), 4)
    out = " ".join(capsys.readouterr().out.split())
    assert f"on 4 machines like this ({found[0].way})" in out and "3.8 kWh in all" in out
    assert "--ranks 4 --hosts hosts.txt --max-hours 48" in out and f"{found[0].gain:.2f}" in out
