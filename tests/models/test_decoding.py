import torch

from askscan.models.decoding import referred_proposals


def test_suppressed_boxes_never_win_even_if_all_scores_are_negative() -> None:
    scores = torch.tensor([[[-3.0, -1.0, -2.0]]])
    kept = torch.tensor([[True, False, True]])
    assert referred_proposals(scores, kept, torch.ones(1, 3)).item() == 2


def test_nothing_kept_takes_the_highest_objectness() -> None:
    scores = torch.tensor([[[5.0, 1.0], [0.0, 1.0]]])
    picked = referred_proposals(scores, torch.zeros(1, 2, dtype=torch.bool), torch.tensor([[0.1, 0.4]]))
    assert picked.tolist() == [[1, 1]]
