"""What a run is: four frozen dataclasses, read from TOML, changed by --set, checked once.

    defaults  <-  TOML file (or the name of one that ships: S, M, B, L)  <-  --set section.key=value

An unknown section or key is an error that suggests the nearest known one. None means off; in TOML
and in --set it is written "none".

Read next: configs/S.toml, then model/gpt.py.
"""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tinygpt.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CONFIG_FOLDER = Path(__file__).parent / "configs"


class ConfigError(UserError, ValueError):
    """A configuration that cannot be used; the message says which key and what to do."""

    exit_code = 2


@dataclass(frozen=True)
class GPTConfig:
    """Shape of a GPT. The defaults are GPT-2's choices, without biases."""

    vocab_size: int = 65
    context: int = 64  # tokens the model can look back on
    n_layers: int = 4
    n_heads: int = 4
    d_model: int = 128  # width C of the residual stream
    dropout: float = 0.0
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    activation: Literal["gelu", "relu2"] = "gelu"

    def __post_init__(self):
        for name in ("vocab_size", "context", "n_layers", "n_heads", "d_model"):
            _require(getattr(self, name) >= 1, f"model.{name}", getattr(self, name), "at least 1")
        if self.d_model % self.n_heads:
            raise ConfigError(
                f"model.d_model = {self.d_model} is not divisible by model.n_heads = "
                f"{self.n_heads}. Choose a width that is a multiple of the number of heads."
            )
        _require(0 <= self.dropout < 1, "model.dropout", self.dropout, "in [0, 1)")


@dataclass(frozen=True)
class TokenizerConfig:
    """How text becomes ids."""

    kind: Literal["char", "bpe"] = "char"
    vocab_size: int = 4096  # of a BPE tokenizer; the characters seen decide it for "char"
    pattern: str = "cl100k"  # how BPE cuts text into words: gpt2, cl100k, llama3 or a regex


@dataclass(frozen=True)
class DataConfig:
    """Where text comes from and how it is split."""

    source: str = "stories"  # or "python", "python+tests", or the path of a text file or folder
    split: tuple[float, ...] = (0.8, 0.1, 0.1)  # train, validation, test
    by_position: bool = False  # cut a single text where it stands instead of by document
    stories_mb: float = 8.0  # size of the generated corpus, millions of characters
    errors: Literal["strict", "replace"] = "strict"  # bytes that are not UTF-8: stop, or U+FFFD

    def __post_init__(self):
        parts = self.split
        if len(parts) != 3 or min(parts) < 0 or abs(sum(parts) - 1) > 1e-6 or not parts[0]:
            raise ConfigError(
                f"data.split = {list(parts)} must be three fractions (train, validation, test) "
                "that sum to 1, the first above 0. Write for example [0.8, 0.1, 0.1]."
            )


@dataclass(frozen=True)
class TrainingConfig:
    """The recipe."""

    steps: int = 2000
    batch_size: int = 12  # sequences in one forward pass
    accumulation: int = 1  # forward passes in one optimizer step
    optimizer: Literal["adamw", "muon", "adamw8bit"] = "adamw"
    lr: float = 1e-3  # peak learning rate
    min_lr: float = 1e-4  # where the cosine ends
    warmup_steps: int = 100
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.1  # on matrices; norms, biases and embeddings are left alone
    clip: float | None = 1.0  # global gradient norm
    label_smoothing: float = 0.0
    deterministic: bool = False  # the same bytes with any number of threads
    recompute: bool = False  # keep fewer activations, compute them again in backward
    eval_every: int | None = 250  # steps
    eval_tokens: int | None = 100_000  # held-out tokens looked at while training; None is all
    checkpoint_every: int | None = 500  # steps
    sample_every: int | None = 500  # steps
    sample_prompt: str = "\n"
    seed: int = 1337

    def __post_init__(self):
        for names, holds, rule in (
            (("steps", "batch_size", "accumulation"), lambda x: x >= 1, "at least 1"),
            (("lr", "min_lr", "weight_decay", "warmup_steps"), lambda x: x >= 0, "0 or more"),
            (("beta1", "beta2", "label_smoothing"), lambda x: 0 <= x < 1, "in [0, 1)"),
            (
                ("eval_every", "eval_tokens", "checkpoint_every", "sample_every"),
                lambda x: x is None or x >= 1,
                "at least 1, or none",
            ),
        ):
            for name in names:
                _require(holds(getattr(self, name)), f"training.{name}", getattr(self, name), rule)


@dataclass(frozen=True)
class Config:
    """All of a run."""

    model: GPTConfig = field(default_factory=GPTConfig)
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    data: DataConfig = field(default_factory=DataConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def replace(self, section: str, **changes: Any) -> Config:
        """A copy with some keys of one section changed."""
        part = dataclasses.replace(getattr(self, section), **changes)
        return dataclasses.replace(self, **{section: part})

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """Nested plain values, as JSON holds them; `from_dict` reads them back."""
        return dataclasses.asdict(self)


def shipped() -> list[str]:
    """Names of the configurations that come with the package."""
    return sorted(path.stem for path in CONFIG_FOLDER.glob("*.toml"))


def load_config(source: str | Path | None = None, overrides: list[str] | tuple = ()) -> Config:
    """Read a configuration.

    source: a TOML file, the name of a shipped one, or None for the defaults.
    overrides: "section.key=value" texts, applied last.
    Raises ConfigError.
    """
    values = {} if source is None else _read_toml(_find(str(source)))
    return from_dict(override(values, overrides))


def override(values: dict[str, Any], overrides: list[str] | tuple) -> dict[str, Any]:
    """Apply "section.key=value" texts to nested values, in place.  Raises ConfigError."""
    for text in overrides:
        key, equals, value = text.partition("=")
        section, dot, name = key.strip().partition(".")
        if not equals or not dot:
            raise ConfigError(f"--set {text!r} is not section.key=value, as in training.steps=30.")
        values.setdefault(section, {})[name] = value.strip()
    return values


def from_dict(values: dict[str, Any]) -> Config:
    """Build and check a Config from nested plain values.  Raises ConfigError."""
    sections = typing.get_type_hints(Config)
    parts: dict[str, Any] = {}
    for section, keys in values.items():
        if section not in sections:
            raise ConfigError(_unknown("section", section, sections))
        if not isinstance(keys, dict):
            raise ConfigError(f"{section} must be a section: write [{section}] and keys below it.")
        kind = sections[section]
        known = typing.get_type_hints(kind)
        for key in keys:
            if key not in known:
                choices = [f"{section}.{name}" for name in known]
                raise ConfigError(_unknown("key", f"{section}.{key}", choices))
        converted = {k: _convert(f"{section}.{k}", v, known[k]) for k, v in keys.items()}
        parts[section] = kind(**converted)
    return Config(**parts)


def _find(source: str) -> Path:
    if source in shipped():
        return CONFIG_FOLDER / f"{source}.toml"
    path = Path(source)
    if not path.is_file():
        names = ", ".join(shipped())
        raise ConfigError(f"no configuration {source!r}. Give a TOML file or one of: {names}.")
    return path


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}. Correct that line.") from error


def _unknown(what: str, name: str, known: typing.Iterable[str]) -> str:
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    advice = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    return f"unknown configuration {what} {name!r}. {advice}"


def _require(holds: bool, key: str, value: Any, rule: str) -> None:
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
            return float(value)
        if typing.get_origin(kind) is tuple:
            items = value.strip("[]() ").split(",") if isinstance(value, str) else value
            return tuple(float(item) for item in items)
        if not isinstance(value, str):
            raise ValueError
        return value
    except (TypeError, ValueError):
        wanted = getattr(kind, "__name__", str(kind))
        raise ConfigError(f"{key} = {value!r} is not of type {wanted}.") from None


def _as_bool(value: Any) -> bool:
    if isinstance(value, str):
        value = {"true": True, "false": False}.get(value.lower())
    if not isinstance(value, bool):
        raise ValueError
    return value


def _as_int(value: Any) -> int:
    if isinstance(value, bool) or float(value) != int(float(value)):
        raise ValueError
    return int(float(value))
