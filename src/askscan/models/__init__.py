"""Networks: PointNet++, VoteNet, scene encoder, fusion, the two trained models, the teacher, foreign weights."""
