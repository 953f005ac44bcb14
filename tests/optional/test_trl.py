"""Losses and gradients against trl's own trainers, where it is installed; in float64, to 1e-6.

    pip install trl        (it brings transformers, accelerate and datasets; torch is needed)

A trainer's loss is called with a stand-in for the trainer, which has the settings that the loss
looks at, and a stand-in for the model, which says the log-probabilities it was given.
"""

from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from minigrad import Tensor  # noqa: E402
from tinygpt.alignment.dpo import dpo  # noqa: E402
from tinygpt.alignment.ipo import ipo  # noqa: E402
from tinygpt.alignment.kto import expectation, kto  # noqa: E402
from tinygpt.alignment.orpo import orpo  # noqa: E402
from tinygpt.alignment.pairs import PairScores  # noqa: E402
from tinygpt.alignment.policy import PolicyConfig, judged, policy_loss  # noqa: E402
from tinygpt.alignment.simpo import simpo  # noqa: E402

RNG = np.random.default_rng(0)
COUNTS = np.array([3, 5, 2, 4])  # tokens of two chosen answers, then of two rejected ones
MASK = np.arange(6) < COUNTS[:, None]  # (4, 6)
NOW, OLD, REFERENCE = (np.where(MASK, -RNG.random((4, 6)) - 0.1, 0.0) for _ in range(3))


def trainer(**settings):
    found = MagicMock()
    found.model.training = True
    found._total_train_tokens, found._tp_size = 0, 1
    found.aux_loss_enabled = found._entropy_bonus_enabled = False
    found.accelerator.device = torch.device("cpu")
    found.accelerator.num_processes = 1
    found.accelerator.gather_for_metrics = found.accelerator.gather = lambda x: x
    for name, value in settings.items():
        setattr(found, name, value)
    return found


def given(array):
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


def answering(log_probs):
    """A model whose log-probabilities of the next tokens are those."""
    def model(**_):
        zeros = torch.zeros(4, 6)
        return SimpleNamespace(
            log_probs=log_probs, entropy=zeros, mean_logits=zeros, is_top1=zeros.bool()
        )
    return model


def our_gradient(loss, whole):
    x = Tensor(whole, requires_grad=True)
    y = loss(x)
    y.backward()
    return y.item(), x.grad


def pairs_of(x):
    """x: (4,) sums of answers."""
    reference = REFERENCE.sum(axis=1)
    return PairScores(x[:2], x[2:], reference[:2], reference[2:], COUNTS[:2], COUNTS[2:])


def dpo_by_trl(loss_type, beta, log_probs):
    from trl.trainer.dpo_trainer import DPOTrainer

    reference = torch.tensor(REFERENCE.sum(axis=1))
    padded = np.concatenate([np.zeros((4, 1), bool), MASK], axis=1).astype(np.int64)
    inputs = {
        "input_ids": torch.ones(4, 7, dtype=torch.int64), "completion_mask": torch.tensor(padded),
        "attention_mask": torch.ones(4, 7), "ref_chosen_logps": reference[:2],
        "ref_rejected_logps": reference[2:],
    }
    told = trainer(ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl",
                   loss_types=[loss_type], loss_weights=[1.0], beta=beta, label_smoothing=0.0,
                   use_weighting=False)
    return DPOTrainer._compute_loss(told, answering(log_probs), inputs, False)


@pytest.mark.parametrize(("name", "ours"), [
    ("sigmoid", lambda x: dpo(pairs_of(x), 0.3).mean()),
    ("ipo", lambda x: ipo(pairs_of(x), 0.3).mean()),
])
def test_pairs_with_a_reference_are_trls(name, ours):
    log_probs = given(NOW)
    theirs = dpo_by_trl(name, 0.3, log_probs)
    theirs.backward()
    value, gradient = our_gradient(ours, NOW.sum(axis=1))
    assert value == pytest.approx(theirs.item(), rel=1e-6)
    np.testing.assert_allclose(log_probs.grad.numpy()[:, 0], gradient, rtol=1e-6)


def test_simpo_and_orpo_are_trls():
    from trl.experimental.cpo.cpo_trainer import CPOTrainer
    from trl.experimental.orpo.orpo_trainer import ORPOTrainer

    mean = NOW.sum(axis=1) / COUNTS
    sides = [given(mean[:2]), given(mean[2:])]
    told = trainer(alpha=0.0, loss_type="simpo", simpo_gamma=1.0, beta=2.0, label_smoothing=0.0)
    theirs = CPOTrainer.cpo_loss(told, *sides)[0]
    theirs.mean().backward()
    value, gradient = our_gradient(lambda x: simpo(pairs_of(x), 2.0, 0.5).mean(), NOW.sum(axis=1))
    assert value == pytest.approx(theirs.mean().item(), rel=1e-6)
    whole = torch.cat([side.grad for side in sides]).numpy() / COUNTS
    np.testing.assert_allclose(gradient, whole, rtol=1e-6)
    ratio = ORPOTrainer.odds_ratio_loss(trainer(beta=0.7), *sides)[0]  # in float32 there
    found = orpo(pairs_of(Tensor(NOW.sum(axis=1))), 0.7).data
    np.testing.assert_allclose(found, -mean[:2] - ratio.detach().numpy(), rtol=1e-6)


def test_kto_is_trls():
    from trl.trainer.kto_trainer import KTOTrainer

    log_probs, liked = given(NOW), np.array([True, False, True, False])
    far, reference = RNG.normal(size=4) + 0.5, REFERENCE.sum(axis=1)
    told = trainer(calculate_KL=True, precompute_ref_logps=True, loss_type="kto", beta=0.5,
                   desirable_weight=1.0, undesirable_weight=1.0)
    told._compute_kl_logps = lambda model, batch: torch.tensor(far)
    inputs = {
        "label": torch.tensor(liked), "input_ids": torch.ones(4, 7, dtype=torch.int64),
        "completion_mask": torch.ones(4, 7), "attention_mask": torch.ones(4, 7),
        "ref_logps": torch.tensor(reference), "ref_KL_logps": torch.zeros(4, dtype=torch.float64),
    }
    theirs = KTOTrainer._compute_loss(told, answering(log_probs), inputs, False)
    theirs.backward()
    z = expectation(far)
    value, gradient = our_gradient(
        lambda x: kto(x - Tensor(reference), liked, z, 0.5).mean(), NOW.sum(axis=1)
    )
    assert value == pytest.approx(theirs.item(), rel=1e-6)
    np.testing.assert_allclose(log_probs.grad.numpy()[:, 0], gradient, rtol=1e-6)


@pytest.mark.parametrize("beta", [0.0, 0.2])
@pytest.mark.parametrize("name", ["grpo", "dr_grpo", "dapo"])
def test_grpo_and_its_corrections_are_trls(name, beta):
    from trl.trainer.grpo_trainer import GRPOTrainer

    policy = PolicyConfig(name, group=2, beta=beta, leash="k3", low=0.2, high=0.28)
    rewards = RNG.normal(size=(2, 2))
    flat = [x[MASK] for x in (OLD, REFERENCE)]
    experience, _ = judged(policy, rewards, COUNTS, *flat)
    by_answer = experience.advantages[np.cumsum(COUNTS) - COUNTS]
    centre = rewards - rewards.mean(axis=1, keepdims=True)
    deviation = torch.tensor(rewards).std(dim=1, keepdim=True).numpy()  # as trl takes it
    wanted = centre if name == "dr_grpo" else centre / (deviation + 1e-4)
    np.testing.assert_allclose(by_answer, wanted.reshape(-1), rtol=1e-9)
    log_probs = given(NOW)
    told = trainer(
        loss_type=name, beta=beta, epsilon_low=0.2, epsilon_high=0.28, max_completion_length=6,
        importance_sampling_level="token", top_entropy_quantile=1.0, use_vllm=False,
        off_policy_mask_threshold=None, current_gradient_accumulation_steps=1,
    )
    told.args.delta, told.args.use_bias_correction_kl = None, False
    told.args.steps_per_generation = 1
    told._get_per_token_logps_and_entropies = lambda *_, **__: (log_probs, torch.zeros(4, 6), None)
    ids = torch.ones(4, 6, dtype=torch.int64)
    theirs = GRPOTrainer._compute_loss(told, None, {
        "prompt_ids": ids, "prompt_mask": ids, "completion_ids": ids,
        "completion_mask": torch.tensor(MASK.astype(np.int64)),
        "advantages": torch.tensor(by_answer), "old_per_token_logps": torch.tensor(OLD),
        "ref_per_token_logps": torch.tensor(REFERENCE),
        "num_items_in_batch": torch.tensor(float(COUNTS.sum())),
    })
    theirs.backward()
    value, gradient = our_gradient(
        lambda x: policy_loss(policy, x, experience, longest=6), NOW[MASK]
    )
    assert value == pytest.approx(theirs.item(), rel=1e-6, abs=1e-9)
    np.testing.assert_allclose(log_probs.grad.numpy()[MASK], gradient, rtol=1e-6)
