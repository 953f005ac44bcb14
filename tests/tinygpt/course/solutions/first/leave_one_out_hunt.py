import numpy as np


def test(leave_one_out):
    rewards = np.array([[1.0, 0.0, 0.0, 2.0], [5.0, 5.0, 7.0, 9.0]])
    wanted = [[r - np.delete(row, i).mean() for i, r in enumerate(row)] for row in rewards]
    assert np.allclose(leave_one_out(rewards), wanted)
