import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from askscan.data.targets import vote_targets


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 6))
def test_votes_point_to_the_middle_of_the_extent_of_the_sampled_points(seed: int, num_points: int, num_slots: int):
    rng = np.random.default_rng(seed)
    xyz = rng.normal(0, 3, (2, num_points, 3)).astype(np.float32)
    xyz[0, 0] = 0, -0.0, 0
    instance = rng.integers(0, num_slots + 1, (2, num_points))
    votes = vote_targets(torch.from_numpy(xyz), torch.from_numpy(instance).short(), num_slots)
    for b in range(2):
        for i in range(num_points):
            expected = np.zeros(3)
            if instance[b, i] > 0:
                own = xyz[b, instance[b] == instance[b, i]]
                expected = (own.min(0) + own.max(0)) / 2 - xyz[b, i]
            np.testing.assert_allclose(votes.offset[b, i].numpy(), expected, atol=1e-5)
            assert bool(votes.mask[b, i]) == (instance[b, i] > 0)
