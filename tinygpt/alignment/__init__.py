"""Learning what people prefer, and what a rule rewards.

Preferences, from pairs of answers: pairs.py, dpo.py, ipo.py, simpo.py, orpo.py, kto.py, then
preferences.py, which trains by them. A reward that is learned from such pairs: reward_model.py.
Rewards of the policy's own answers: rewards.py, rollouts.py, kl.py, reinforce.py, rloo.py, ppo.py,
grpo.py, then reinforcement.py. What all of them must reach, in closed form: bandit.py.
"""
