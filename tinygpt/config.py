"""What a run is: frozen dataclasses, read from TOML, changed by --set, checked once.

    defaults  <-  TOML file (or the name of one that ships, as S)  <-  --set section.key=value

Every run has a [training] section and names its objective; the objective brings the other sections
in a configuration of its own (../pretraining/config.py). An unknown section or key is an error that
suggests the nearest known one. None means off; in TOML and in --set it is written "none".

Read next: configs/S.toml, then model/shape.py.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import math
import os
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar

from tinygpt.errors import UserError
from tinygpt.machine.terminal import command
from tinygpt.storage.paths import PathError, expand, kind, shown
from tinygpt.storage.reading import FormatError, parse_toml
from tinygpt.text.corpus import CORPORA
from tinygpt.text.files import STDIN, SUFFIXES, DataError, is_run
from tinygpt.text.reading import read_text

CONFIG_FOLDER = Path(__file__).parent / "configs"
LARGEST = 1 << 20  # bytes; a configuration has a thousand

# Name -> "module:class" of an Objective (training/objective.py). It is imported when it is asked
# for: so a run's folder can say what it is, and nothing below an objective knows one.
OBJECTIVES = {
    "pretraining": "tinygpt.pretraining.objective:Pretraining",
    "masked": "tinygpt.pretraining.masked:Masked",
    "classification": "tinygpt.finetuning.classification:Classification",
    "seq2seq": "tinygpt.seq2seq.objective:Seq2Seq",
    "finetuning": "tinygpt.finetuning.objective:Finetuning",
    "preferences": "tinygpt.alignment.preferences:Preferences",
    "ratings": "tinygpt.alignment.ratings:RatedAnswers",
    "reward": "tinygpt.alignment.reward_model:RewardTraining",
    "reinforcement": "tinygpt.alignment.reinforcement:Reinforcement",
    "distillation": "tinygpt.compression.distillation:Distillation",
    "masked-distillation": "tinygpt.compression.distillation:MaskedDistillation",
}

T = TypeVar("T")


class ConfigError(UserError, ValueError):
    """A configuration that cannot be used; the message says which key and what to do."""

    exit_code = 2


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe."""

    steps: int = 2000
    batch_size: int = 12  # sequences in one forward pass
    accumulation: int = 1  # forward passes in one optimizer step
    sum_order: Literal["pairs", "turn"] = "pairs"  # of their gradients (training/pairs.py)
    optimizer: Literal["adamw", "muon", "adamw8bit"] = "adamw"
    lr: float = 1e-3  # peak learning rate
    embedding_lr: float = 1.0  # times lr: of the tables that are read by id or position
    head_lr: float = 1.0  # times lr: of an untied head
    vector_lr: float = 1.0  # times lr: of norms, biases and what else is no matrix
    min_lr: float = 1e-4  # where the cosine ends
    cosine_step: int | None = None  # where it begins, if not after the warm-up: --resume sets it
    cosine_lr: float | None = None  # with this rate (training/schedule.py)
    warmup_steps: int = 100
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    momentum: float = 0.9  # Muon's; 0.95 is usual for long runs
    momentum_start: float | None = None  # it rises from here to `momentum`; None: it is there
    momentum_steps: int = 300  # in so many steps
    weight_decay: float = 0.1  # on matrices; norms, biases and embeddings are left alone
    clip: float | None = 1.0  # global gradient norm
    label_smoothing: float = 0.0
    deterministic: bool = False  # the same bytes with any number of threads
    recompute: bool = False  # keep fewer activations, compute them again in backward
    eval_every: int | None = 250  # steps
    eval_tokens: int | None = 100_000  # held-out tokens looked at while training; None is all
    checkpoint_every: int | None = 500  # steps
    checkpoint_seconds: float | None = 60.0  # and one more when the last is so old: nothing is lost
    history_every: int | None = None  # steps: weights kept for good, to be looked at
    sample_every: int | None = 500  # steps
    sample_prompt: str = "\n"
    seed: int = 1337
    # Of several processes (mpirun, ../docs/distributed.md); to one alone they say nothing.
    exchange: Literal["float32", "int8"] = "float32"  # how sums travel between ranks
    zero: bool = False  # each rank keeps the moments of its own part of the parameters
    local_steps: int | None = None  # steps that a rank makes alone before all meet
    outer_lr: float = 0.7  # of the step that follows a meeting (Douillard et al. 2023)
    outer_momentum: float = 0.7  # Nesterov's, of that step; their 0.9 is for long trainings
    shares: Literal["even", "measured"] = "even"  # of a step's batches, for ranks of unequal speed

    def __post_init__(self) -> None:
        for names, holds, rule in (
            (
                ("steps", "batch_size", "accumulation", "momentum_steps"),
                lambda x: x >= 1, "at least 1",
            ),
            (("lr", "min_lr", "weight_decay", "warmup_steps"), lambda x: x >= 0, "0 or more"),
            (("embedding_lr", "head_lr", "vector_lr", "seed"), lambda x: x >= 0, "0 or more"),
            (("eps",), lambda x: x > 0, "above 0"),
            (("clip", "checkpoint_seconds"), lambda x: x is None or x > 0, "above 0, or none"),
            (("cosine_step", "cosine_lr"), lambda x: x is None or x >= 0, "0 or more, or none"),
            (
                ("beta1", "beta2", "momentum", "label_smoothing", "outer_momentum"),
                lambda x: 0 <= x < 1, "in [0, 1)",
            ),
            (("outer_lr",), lambda x: x > 0, "above 0"),
            (("momentum_start",), lambda x: x is None or 0 <= x < 1, "in [0, 1), or none"),
            (
                ("eval_every", "eval_tokens", "checkpoint_every", "history_every", "sample_every",
                 "local_steps"),
                lambda x: x is None or x >= 1,
                "at least 1, or none",
            ),
        ):
            for name in names:
                require(holds(getattr(self, name)), f"training.{name}", getattr(self, name), rule)
        rule = f"at most training.lr = {self.lr}, where the cosine begins"
        require(self.min_lr <= self.lr, "training.min_lr", self.min_lr, rule)
        every, rule = self.local_steps, "none with training.zero: a step alone needs all moments"
        require(not (self.zero and every), "training.local_steps", every, rule)


class Config:
    """All of a run. An objective's configuration is a frozen dataclass derived from this.

    objective: its name in OBJECTIVES.  base: the model that training starts from, None for none.
    language_model: whether [model] is all that is trained, so that every reader can open it.
    """

    language_model: ClassVar[bool] = True
    objective: str
    base: str | None
    training: TrainingConfig

    def replace(self: T, section: str, **changes: Any) -> T:
        """A copy with some keys of one section changed."""
        part = dataclasses.replace(getattr(self, section), **changes)
        return dataclasses.replace(self, **{section: part})  # type: ignore[type-var]

    def with_vocabulary(self: T, size: int) -> T:
        """With a model of as many tokens as the data's tokenizer has.

        Raises ConfigError if [model] asks for another number.
        """
        shape = self.model.with_vocabulary(size)  # type: ignore[attr-defined]
        return dataclasses.replace(self, model=shape)  # type: ignore[type-var]

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as JSON holds them; `from_dict` reads them back."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]


class Change(NamedTuple):
    """A setting that two configurations have differently."""

    key: str  # "section.key", or the key of a setting that stands in no section
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.old} -> {self.new}"


def changes(before: Config, after: Config) -> list[Change]:
    """What differs between two configurations of one objective."""
    old, new = _flat(before.to_dict()), _flat(after.to_dict())
    return [Change(key, old[key], new.get(key)) for key in old if old[key] != new.get(key)]


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        inside = _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else None
        found.update(inside if inside is not None else {f"{prefix}{key}": value})
    return found


def find_objective(name: str) -> Any:
    """The class of an objective.  Raises ConfigError for a name that is not in OBJECTIVES."""
    if not isinstance(name, str) or name not in OBJECTIVES:
        raise ConfigError(_unknown("objective", str(name), OBJECTIVES))
    module, _, attribute = OBJECTIVES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def shipped() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.toml"))


def load_config(source: str | Path | None = None, overrides: Sequence[str] = ()) -> Any:
    """Read a configuration.

    source: a TOML file ("-": from standard input), the name of a shipped one, or None for the
        defaults.
    overrides: "section.key=value" texts, applied last.
    Raises ConfigError.
    """
    values = {} if source is None else _read_toml(_find(os.fspath(source)))
    return from_dict(override(values, overrides))


def override(values: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply "section.key=value" texts to nested values, in place.  Raises ConfigError."""
    for text in overrides:
        key, equals, value = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not equals or not dot:
            raise ConfigError(f"--set {text!r} is not section.key=value, as in training.steps=30.")
        values.setdefault(section, {})[name] = value.strip()
    return values


def from_dict(values: Mapping[str, Any]) -> Any:
    """Build and check a Config from nested plain values.

    Without an objective it is pretraining, or what the model's assembly learns by in its place.
    Raises ConfigError.
    """
    name = values.get("objective")
    if name is None:
        name = find_objective("pretraining").Config.learned_by(values.get("model"))
    return structure(find_objective(name).Config, values)


def structure(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """A frozen dataclass from nested plain values, each converted to the type of its field.

    where: the section that `values` stands in, with a dot, for the words of an error.
    Raises ConfigError for an unknown key, a value of another type, or one that `cls` refuses.
    """
    known = typing.get_type_hints(cls)
    values = getattr(cls, "fill", dict)(values)  # a name among them may stand for more of them
    made: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{where}{key}"
        if key not in known:
            what = "key" if where else "section"
            raise ConfigError(_unknown(what, name, [f"{where}{field}" for field in known]))
        if not dataclasses.is_dataclass(known[key]):
            made[key] = _convert(name, value, known[key])
        elif isinstance(value, dict):
            made[key] = structure(known[key], value, f"{name}.")
        else:
            raise ConfigError(f"{name} must be a section: write [{name}] and keys below it.")
    return cls(**made)


def _find(source: str) -> str:
    """Where the configuration `source` stands.  Raises ConfigError for what is none."""
    if source in shipped():
        return str(CONFIG_FOLDER / f"{source}.toml")
    if source in STDIN:
        return source
    try:
        path = expand(source)
        there = kind(path)
    except PathError as error:
        raise ConfigError(str(error)) from None
    learn = f"To learn from it: {command('train', 'S', '--data', source)}"
    if source in CORPORA and not there:
        raise ConfigError(f"{source} is a text, not a configuration. {learn}")
    if not there:
        names = shipped()
        near = [name for name in names if name.lower() == Path(source).stem.lower()]
        advice = f"Did you mean {near[0]}? " if near else ""
        raise ConfigError(
            f"no configuration '{shown(source)}'. {advice}Give a TOML file or one of: "
            f"{', '.join(names)}."
        )
    if there == "folder" and is_run(Path(path)):
        raise ConfigError(
            f"{shown(source)} is a run, not a configuration. To go on with it: "
            f"{command('train', '--out', source, '--resume')}"
        )
    size = Path(path).stat().st_size
    if there == "folder" or path.lower().endswith(SUFFIXES) or size > LARGEST:
        what = "folder" if there == "folder" else "text"
        raise ConfigError(f"{shown(source)} is a {what}, not a configuration. {learn}")
    return path


def _read_toml(path: str) -> dict[str, Any]:
    try:
        values: dict[str, Any] = parse_toml(read_text(path))
        return values
    except DataError as error:
        raise ConfigError(str(error)) from error
    except FormatError as error:
        raise ConfigError(
            f"{shown(path)} {error}. Correct that line, or say --data if it is a text to learn "
            "from."
        ) from error


def _unknown(what: str, name: str, known: typing.Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    advice = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    return f"unknown configuration {what} {name!r}. {advice}"


def require(holds: bool, key: str, value: Any, rule: str) -> None:
    """Raise ConfigError unless a setting holds its rule, given in words."""
    if not holds:
        raise ConfigError(f"{key} = {value} must be {rule}. Change it in the file or with --set.")


def _convert(key: str, value: Any, kind: Any) -> Any:
    """`value` (a TOML value, or text from --set) as `kind`, or ConfigError."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):  # X | None
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        kind = next(k for k in typing.get_args(kind) if k is not type(None))
    if typing.get_origin(kind) is Literal:
        if value not in typing.get_args(kind):
            choices = ", ".join(map(str, typing.get_args(kind)))
            raise ConfigError(f"{key} = {value!r} is not one of: {choices}.")
        return value
    try:
        if kind is bool:
            return _as_bool(value)
        if kind is int:
            return _as_int(value)
        if kind is float:
            return _as_float(value)
        if typing.get_origin(kind) is tuple:
            items = value.strip("[]() ").split(",") if isinstance(value, str) else value
            each = typing.get_args(kind)[0]  # one type, any number of them
            return tuple(_convert(key, item, each) for item in items)
        if not isinstance(value, str):
            raise ValueError
        return value
    except (TypeError, ValueError, OverflowError):
        wanted = getattr(kind, "__name__", str(kind))
        raise ConfigError(f"{key} = {value!r} is not of type {wanted}.") from None


def _as_bool(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        raise ValueError
    return value


def _as_float(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise ValueError
    return float(value)


def _as_int(value: Any) -> int:
    if isinstance(value, bool) or float(value) != int(float(value)):
        raise ValueError
    return int(float(value))
