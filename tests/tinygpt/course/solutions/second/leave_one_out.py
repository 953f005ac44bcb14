def leave_one_out(rewards):
    others = rewards.sum(axis=-1, keepdims=True) - rewards
    return rewards - others / (rewards.shape[-1] - 1)
