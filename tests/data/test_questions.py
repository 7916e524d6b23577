from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from askscan.data.bank import SceneBank
from askscan.data.questions import EpochSampler, QuestionBank, RaggedTokens
from askscan.errors import ConfigError, DataError
from askscan.records import BoxTargets, PreparedScene, Question

COUNTS = {"blue": 1, "brown": 7, "red": 3, "two": 2}


def scene(scene_id: str, object_ids: list[int]) -> PreparedScene:
    n = len(object_ids)
    return PreparedScene(
        scene_id=scene_id,
        xyz=np.random.default_rng(0).random((20, 3)).astype(np.float32),
        rgb=None,
        normals=None,
        instance=np.zeros(20, np.int32),
        boxes=np.arange(6 * n, dtype=np.float32).reshape(n, 6),
        box_class=np.arange(n, dtype=np.int32) + 4,
        object_id=np.array(object_ids, np.int32),
        scene_type="",
    )


def question(scene_id: str, text: str, answers: tuple[str, ...], *object_ids: int) -> Question:
    return Question(
        scene_id=scene_id,
        question_id=text,
        text=text,
        answers=answers,
        object_ids=object_ids,
        object_names=("thing",) * len(object_ids),
    )


QUESTIONS = [
    question("a", "What is left of it?", ("brown", "brown", "never seen"), 7, 3),
    question("b", "How many?", ("two",), 3),
    question("a", "Which?", ("red", "blue"), 99),
]


@pytest.fixture(scope="module")
def bank() -> SceneBank:
    return SceneBank.from_scenes([scene("a", [3, 7]), scene("b", [3])])


@pytest.fixture(scope="module")
def questions(bank: SceneBank) -> QuestionBank:
    count = np.array([4, 2, 1])
    features = np.arange(7, dtype=np.float16)[:, None] * np.ones((1, 5), np.float16)
    return QuestionBank.from_questions(QUESTIONS, RaggedTokens(features=features, count=count), COUNTS, bank)


def test_tokens_come_back_padded_and_masked(questions: QuestionBank):
    tokens = questions.tokens(torch.tensor([[0, 2], [1, 1]]))
    assert tokens.features.shape == (2, 2, 4, 5)
    assert tokens.mask.sum(-1).tolist() == [[4, 1], [2, 2]]
    assert tokens.features[0, 0, :, 0].tolist() == [0, 1, 2, 3]
    assert tokens.features[0, 1, 0, 0] == 6
    assert tokens.features[1, 0, :2, 0].tolist() == [4, 5]


def test_targets_are_soft_scores_by_count_and_the_first_object(questions: QuestionBank, bank: SceneBank):
    boxes = bank.boxes_of(torch.tensor([0, 1]))
    mask = torch.tensor([[True, True], [True, False]])
    targets = questions.targets(torch.tensor([[0, 2], [1, 1]]), mask, boxes)
    torch.testing.assert_close(targets.answers[0, 0], torch.tensor([0, 1.0, 0, 0]))
    torch.testing.assert_close(targets.answers[0, 1], torch.tensor([0.3, 0, 0.9, 0]))
    torch.testing.assert_close(targets.answers[1, 0], torch.tensor([0, 0, 0, 0.6]))
    assert targets.object_class.tolist() == [[5, 17], [4, 4]]  # an object without a box is `others`
    assert targets.referred_mask.tolist() == [[True, False], [True, False]]
    assert targets.referred_center[0, 0].tolist() == [6, 7, 8]
    assert targets.referred_size[0, 0].tolist() == [9, 10, 11]
    assert torch.equal(targets.mask, mask)


def test_an_object_that_was_cropped_away_has_no_term(questions: QuestionBank, bank: SceneBank):
    whole = bank.boxes_of(torch.tensor([0]))
    gone = BoxTargets(
        center=whole.center, size=whole.size, semantic_class=whole.semantic_class, mask=torch.tensor([[True, False]])
    )
    targets = questions.targets(torch.tensor([[0]]), torch.tensor([[True]]), gone)
    assert not targets.referred_mask.any()


def test_what_a_crop_must_keep_and_whether_it_may_flip(questions: QuestionBank):
    rows = torch.tensor([[0, 2], [1, 1]])
    every, none = torch.ones(2, 2, dtype=torch.bool), torch.zeros(2, 2, dtype=torch.bool)
    assert questions.referred(rows, every, 2).tolist() == [[False, True], [True, False]]
    assert not questions.referred(rows, none, 2).any()
    assert questions.may_flip(rows, every).tolist() == [False, True]
    assert questions.may_flip(rows, none).all()


def test_unknown_scenes_are_named(bank: SceneBank):
    tokens = RaggedTokens(features=np.zeros((1, 5), np.float16), count=np.array([1]))
    with pytest.raises(DataError, match="scene zzz"):
        QuestionBank.from_questions([question("zzz", "What?", ("red",))], tokens, COUNTS, bank)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=80),
    st.integers(1, 5),
    st.integers(1, 6),
    st.booleans(),
)
def test_every_text_once_an_epoch_with_its_own_scene(scenes: list[int], num_scenes: int, num_texts: int, shuffle: bool):
    scene_of = np.array(scenes)
    sampler = EpochSampler(
        scene=scene_of, scenes_per_step=num_scenes, texts_per_scene=num_texts, seed=4, shuffle=shuffle
    )
    steps = sampler.epoch(2)
    assert steps.text.shape == (sampler.num_steps, num_scenes, num_texts)
    assert Counter(steps.text[steps.mask].tolist()) == Counter(range(len(scenes)))
    assert np.array_equal(
        scene_of[steps.text.numpy()], np.broadcast_to(steps.scene.numpy()[..., None], steps.text.shape)
    )
    again = sampler.epoch(2)
    assert torch.equal(steps.text, again.text)
    assert torch.equal(steps.mask, again.mask)


def test_epochs_and_seeds_differ():
    scene_of = np.repeat(np.arange(8), 5)
    orders = [
        EpochSampler(scene=scene_of, scenes_per_step=2, texts_per_scene=3, seed=seed).epoch(epoch).text
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
    ]
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], orders[2])


def test_strange_texts_are_shown_the_next_scene_of_their_step():
    scene_of = np.repeat(np.arange(8), 4)
    steps = EpochSampler(scene=scene_of, scenes_per_step=4, texts_per_scene=4, strange_texts=1).epoch(0)
    assert sorted(steps.text[steps.mask].tolist()) == list(range(32))
    about = torch.from_numpy(scene_of)[steps.text]
    assert torch.equal(about[..., 1:], steps.scene[..., None].expand(-1, -1, 3))
    assert torch.equal(about[..., 0], steps.scene.roll(1, dims=1))


def test_appearances_of_a_scene_are_spread_over_the_epoch():
    scene_of = np.repeat(np.arange(40), 16)
    steps = EpochSampler(scene=scene_of, scenes_per_step=8, texts_per_scene=4).epoch(0)
    repeats = sum(8 - len(set(row)) for row in steps.scene.tolist())
    assert repeats <= 6  # of 160 slots; at random about 13


def test_parts_of_a_step_make_up_the_whole():
    steps = EpochSampler(scene=np.arange(12), scenes_per_step=4, texts_per_scene=1).epoch(0)
    parts = [steps.part(rank, 2).scene for rank in range(2)]
    assert torch.equal(torch.cat(parts, 1), steps.scene)
    with pytest.raises(ConfigError, match="positive"):
        EpochSampler(scene=np.arange(3), scenes_per_step=0, texts_per_scene=1)
