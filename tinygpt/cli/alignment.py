"""`tinygpt align`: options in, calls out.

Imports stand inside the functions, so that `--help` is quick.
"""

from __future__ import annotations

import click

from tinygpt.adapters.config import METHODS as ADAPTERS
from tinygpt.cli.finetuning import from_base, with_source
from tinygpt.cli.paths import ModelPlace, Place, one_text
from tinygpt.cli.training import settings, training_options

PAIRS = ("dpo", "ipo", "kto", "simpo", "orpo")
POLICIES = ("reinforce", "rloo", "ppo", "grpo", "dr_grpo", "dapo", "expert")
METHODS = (*PAIRS, "reward", *POLICIES)
ADAPTED = ("training.lr=5e-4", "training.min_lr=5e-5")  # the few that train want larger steps
EPOCHS = 1.0  # of pairs, unless training.steps or data.epochs is set


@click.command()
@click.argument("base", required=False, metavar="BASE", type=ModelPlace())
@click.option("--method", type=click.Choice(METHODS), default="dpo", show_default=True,
              help="From pairs: the first five. A reward model of pairs: reward. From rewards of "
              "its own answers: the rest.")
@click.option("--data", multiple=True, callback=one_text, metavar="FILE",
              help="Pairs (.jsonl of prompt, chosen, rejected), of kto rated answers too (prompt, "
              "completion, label), or conversations to be rewarded.")
@click.option("--task", type=click.Choice(["addition", "world", "couplets"]),
              help="Questions with known answers, in the place of --data.")
@click.option("--reward", "rewards", multiple=True, metavar="RULE",
              help="exact, regex:PATTERN, length:TOKENS, program:FILE, model:RUN, random or "
              "constant; with a weight, as 0.5*length:20; repeatable.  [exact]")
@click.option("--out", default="aligned", type=Place(), show_default=True,
              help="Folder of the run to make.")
@click.option("--adapter", type=click.Choice(ADAPTERS), default="full", show_default=True,
              help="What is trained: every weight, or an adapter beside the base.")
@click.option("--rank", type=int, help="Of lora, dora and qlora.  [8]")
@click.option("--beta", type=float, help="How short the leash to the base is.")
@click.option("--epochs", type=float, help=f"How often each pair is learned.  [{EPOCHS:g}]")
@click.option("--plan", is_flag=True, help="Say what it will need, and end.")
@training_options
def align(base, method, data, task, rewards, out, adapter, rank, beta, epochs, plan, overrides,
          go_on, **how):
    """Teach a model what people prefer, or what a rule rewards.

    BASE is a model that answers, as the --out folder of a `tinygpt finetune`; it is also the
    reference that the leash is tied to.

    \\b
    tinygpt align answers --method dpo --data pairs.jsonl --out better
    tinygpt align answers --method reward --data pairs.jsonl --out judge
    tinygpt align sums --method grpo --task addition --out better
    """
    data = task if task is not None else data
    section = "preference" if method in PAIRS else "policy"
    given = {"data.epochs": epochs, "method.rank": rank, f"{section}.beta": beta}
    changes = [f"{key}={value}" for key, value in given.items() if value is not None]
    changes = settings((*changes, *overrides), how)

    def asked(busy=None):
        return _config(base, data, method, adapter, rewards, changes)

    if base is None and not go_on:
        raise click.UsageError(
            "which model is to be aligned? Give a BASE, as in: tinygpt align answers --data "
            "pairs.jsonl; or --resume to go on."
        )
    return from_base(out, asked, base, data, changes, how, go_on, plan)


def _config(base, data, method, adapter, rewards, changes):
    """The configuration of a new run."""
    from tinygpt.config import from_dict, override
    from tinygpt.text.preferences import holds_ratings

    values = {"base": base, "method": {"name": adapter}}
    if method in PAIRS:
        rated = method == "kto" and data is not None and holds_ratings(data)
        objective = "ratings" if rated else "preferences"
        values |= {"objective": objective, "preference": {"loss": method}}
    elif method == "reward":
        values |= {"objective": "reward"}
    else:
        policy = {"algorithm": method, **({"rewards": list(rewards)} if rewards else {})}
        values |= {"objective": "reinforcement", "policy": policy}
    if adapter != "full":
        changes = (*ADAPTED, *changes)
    keys = {change.partition("=")[0].strip() for change in changes}
    if method not in POLICIES and not keys & {"training.steps", "data.epochs"}:
        changes = (f"data.epochs={EPOCHS}", *changes)
    return with_source(from_dict(override(values, changes)), data)
