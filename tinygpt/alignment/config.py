"""The settings of what is learned from preferences, and from rewards.

Read next: preferences.py, reward_model.py, reinforcement.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from tinygpt.alignment.policy import PolicyConfig
from tinygpt.config import ConfigError, require
from tinygpt.finetuning.config import ConversationsConfig, FinetuningConfig, FinetuningRecipe

PairLoss = Literal["dpo", "ipo", "kto", "simpo", "orpo"]
BETAS = {"dpo": 0.1, "ipo": 0.1, "kto": 0.1, "simpo": 2.0, "orpo": 0.1}
WRITES_QUICKLY = ("full", "lora", "qlora")  # a step of generation knows them (inference/network.py)
WITHOUT_REFERENCE = ("simpo", "orpo")


@dataclass(frozen=True)
class PairsConfig(ConversationsConfig):
    """Where pairs come from (../text/preferences.py says in what form)."""

    packed: bool = False  # a row for each answer


@dataclass(frozen=True)
class PreferenceConfig:
    """How pairs are learned from.

    beta: of dpo and kto the leash, of ipo tau, of simpo the steepness, of orpo the weight; None:
        BETAS.
    gamma: simpo's margin, nats per token.  smoothing: share of dpo's choices that are slips.
    nll: weight of fine-tuning on the chosen answers beside any loss: it keeps them likely.
    """

    loss: PairLoss = "dpo"
    beta: float | None = None
    gamma: float = 0.5
    smoothing: float = 0.0
    nll: float = 0.0

    def __post_init__(self) -> None:
        above = self.beta is None or self.beta > 0
        require(above, "preference.beta", self.beta, "above 0, or none")
        require(0 <= self.smoothing < 0.5, "preference.smoothing", self.smoothing, "in [0, 0.5)")
        for name in ("gamma", "nll"):
            value = getattr(self, name)
            require(value >= 0, f"preference.{name}", value, "0 or more")

    @property
    def strength(self) -> float:
        """beta, or what is usual."""
        return BETAS[self.loss] if self.beta is None else self.beta


@dataclass(frozen=True)
class AlignmentRecipe(FinetuningRecipe):
    """The recipe, gentler again: far from the base nothing is known."""

    lr: float = 5e-5
    min_lr: float = 5e-6
    weight_decay: float = 0.0
    warmup_steps: int = 10


@dataclass(frozen=True)
class AlignmentConfig(FinetuningConfig):
    """What all of this room have in common.

    base: where the policy begins.  reference: what its leash is tied to; None: the base.
    """

    reference: str | None = None
    training: AlignmentRecipe = field(default_factory=AlignmentRecipe)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base is None:
            raise ConfigError(
                f'objective = "{self.objective}" begins with a model that answers, and there is '
                "none. Name one with base, as the folder of a `tinygpt finetune`."
            )


@dataclass(frozen=True)
class PreferencesConfig(AlignmentConfig):
    """All of a training on pairs."""

    objective: str = "preferences"
    data: PairsConfig = field(default_factory=PairsConfig)
    preference: PreferenceConfig = field(default_factory=PreferenceConfig)


@dataclass(frozen=True)
class RatingsConfig(AlignmentConfig):
    """All of a training on rated answers, which is kto's."""

    objective: str = "ratings"
    data: PairsConfig = field(default_factory=PairsConfig)
    preference: PreferenceConfig = field(default_factory=lambda: PreferenceConfig("kto"))

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.preference.loss == "kto", "preference.loss", self.preference.loss,
                '"kto": the others learn from pairs')
        require(self.preference.nll == 0, "preference.nll", self.preference.nll,
                "0 with rated answers, of which some are bad")


@dataclass(frozen=True)
class JudgingConfig:
    """centring: weight of (r_w + r_l)^2, by which scores stay around 0."""

    centring: float = 0.01

    def __post_init__(self) -> None:
        require(self.centring >= 0, "judging.centring", self.centring, "0 or more")


@dataclass(frozen=True)
class RewardConfig(AlignmentConfig):
    """All of a training of a reward model."""

    language_model: ClassVar[bool] = False
    objective: str = "reward"
    data: PairsConfig = field(default_factory=PairsConfig)
    judging: JudgingConfig = field(default_factory=JudgingConfig)


@dataclass(frozen=True)
class ReinforcementRecipe(AlignmentRecipe):
    """The recipe; a step is of as many answers as stand in batch_size * accumulation."""

    steps: int = 200
    batch_size: int = 128  # answers
    lr: float = 3e-4
    min_lr: float = 3e-5
    eval_every: int | None = 20
    eval_tokens: int | None = 5000
    checkpoint_every: int | None = 20
    sample_every: int | None = 50


@dataclass(frozen=True)
class ReinforcementConfig(AlignmentConfig):
    """All of a training on rewards."""

    objective: str = "reinforcement"
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    training: ReinforcementRecipe = field(default_factory=ReinforcementRecipe)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.method.name not in WRITES_QUICKLY:
            raise ConfigError(
                f'method.name = "{self.method.name}" writes too slowly for a policy, which writes '
                f"all that it learns from. Choose one of: {', '.join(WRITES_QUICKLY)}."
            )

    @property
    def heads(self) -> dict[str, tuple[int, ...]]:
        """What stands on the model while it is trained: ppo's critic."""
        if self.policy.algorithm != "ppo":
            return {}
        return {"critic.weight": (1, self.model.d_model), "critic.bias": (1,)}
