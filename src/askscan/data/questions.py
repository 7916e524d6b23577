"""Questions and sentences on the compute device, and the order in which training goes through them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.bank import SceneBank
from askscan.data.situations import Views, views_of
from askscan.errors import ConfigError, DataError
from askscan.records import BoxTargets, Question, QuestionTargets, TextTokens
from askscan.shapes import NUM_CLASSES

_VIEWPOINT = re.compile(r"\b(left|right|leftmost|rightmost|clockwise|counterclockwise)\b", re.IGNORECASE)
_SCORE_PER_COUNT = 0.3
"""Soft target per occurrence of an answer in the training split: 1 -> .3, 2 -> .6, 3 -> .9, more -> 1 (as in VQA)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RaggedTokens:
    """Per-token features of many texts, one after the other, on the host."""

    features: Float16[ndarray, "tt d"]
    count: Int[ndarray, "q"]
    """Tokens of each text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionBank:
    """Questions whose scenes are in a `SceneBank`: packed token features and targets; q here counts all of them."""

    question_ids: tuple[str, ...]
    views: Views
    """From where each question sees its scene."""
    num_answers: int
    max_tokens: int
    token_features: Float16[Tensor, "tt d"]
    token_start: Int[Tensor, "q"]
    token_count: Int[Tensor, "q"]
    answer_index: Int[Tensor, "q m"]
    answer_score: Float[Tensor, "q m"]
    """0 for padding."""
    object_slot: Int[Tensor, "q"]
    """Box slot of the first referred object, -1 where it is unknown or has no box."""
    object_class: Int[Tensor, "q"]
    fixed_viewpoint: Bool[Tensor, "q"]
    """True where the text speaks of left or right, or of a situation: its scene may not be mirrored."""

    @classmethod
    def from_questions(
        cls,
        questions: Sequence[Question],
        tokens: RaggedTokens,
        answer_counts: Mapping[str, int],
        bank: SceneBank,
    ) -> QuestionBank:
        """Put questions on the bank's device.

        Args:
            questions: All of scenes in the bank.
            tokens: Their token features, in the same order.
            answer_counts: Count of each answer over the lists of the training split; its order is the vocabulary's.
            bank: The scenes.

        Raises:
            DataError: There are no questions, or one is about a scene that is not in the bank.
        """
        if not questions:
            raise DataError("no question was given; the split has none about the prepared scenes.")
        device, scene = bank.xyz.device, scene_rows([question.scene_id for question in questions], bank)
        slot, classes = _first_objects(questions, scene, bank)
        index, score = _answers(questions, answer_counts)
        start = np.cumsum(tokens.count) - tokens.count
        return cls(
            question_ids=tuple(question.question_id for question in questions),
            views=views_of(questions, scene, bank.scan_frame),
            num_answers=len(answer_counts),
            max_tokens=int(tokens.count.max()),
            token_features=torch.from_numpy(tokens.features).to(device),
            token_start=torch.from_numpy(start).long().to(device),
            token_count=torch.from_numpy(tokens.count).long().to(device),
            answer_index=torch.from_numpy(index).to(device),
            answer_score=torch.from_numpy(score).to(device),
            object_slot=torch.from_numpy(slot).to(device),
            object_class=torch.from_numpy(classes).to(device),
            fixed_viewpoint=torch.tensor(
                [q.situation is not None or depends_on_viewpoint(q.text) for q in questions]
            ).to(device),
        )

    def __len__(self) -> int:
        return len(self.question_ids)

    def tokens(self, question: Int[Tensor, "b q"]) -> TextTokens:
        """Token features of some questions, padded to the longest question of the bank."""
        position = torch.arange(self.max_tokens, device=question.device)
        count = self.token_count[question][..., None]
        rows = self.token_start[question][..., None] + torch.minimum(position, count - 1)
        return TextTokens(features=self.token_features[rows].float(), mask=position < count)

    def targets(self, question: Int[Tensor, "b q"], mask: Bool[Tensor, "b q"], boxes: BoxTargets) -> QuestionTargets:
        """Targets of some questions.

        Args:
            question: Rows of the bank; those of row i are shown scene i of the batch.
            mask: False for padded slots.
            boxes: The batch's boxes after augmentation; an object that is not there any more has no referred-object
                term.
        """
        answers = self.answer_score.new_zeros(*question.shape, self.num_answers)
        answers = answers.scatter_reduce(2, self.answer_index[question], self.answer_score[question], "amax")
        slot = self.object_slot[question]
        known, slot = slot >= 0, slot.clamp(min=0)
        rows = slot[..., None].expand(-1, -1, 3)
        return QuestionTargets(
            answers=answers,
            object_class=self.object_class[question],
            referred_center=boxes.center.gather(1, rows),
            referred_size=boxes.size.gather(1, rows),
            referred_mask=known & boxes.mask.gather(1, slot) & mask,
            mask=mask,
        )

    def referred(self, question: Int[Tensor, "b q"], mask: Bool[Tensor, "b q"], num_slots: int) -> Bool[Tensor, "b o"]:
        """Box slots that the questions of each scene refer to: a crop must keep them."""
        slot = torch.where(mask, self.object_slot[question], -1)
        return (slot[..., None] == torch.arange(num_slots, device=slot.device)).any(1)

    def may_flip(self, question: Int[Tensor, "b q"], mask: Bool[Tensor, "b q"]) -> Bool[Tensor, "b"]:
        """Whether none of a scene's questions depends on a viewpoint."""
        return ~(self.fixed_viewpoint[question] & mask).any(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What each step of an epoch works on: b scenes (or views of scenes), each shown to q texts."""

    scene: Int[Tensor, "u b"]
    text: Int[Tensor, "u b q"]
    mask: Bool[Tensor, "u b q"]
    """False for padded text slots (they repeat another text of their scene)."""

    def __len__(self) -> int:
        return len(self.scene)

    def to(self, device: torch.device) -> Steps:
        """A copy on a device."""
        return Steps(scene=self.scene.to(device), text=self.text.to(device), mask=self.mask.to(device))

    def part(self, rank: int, world_size: int) -> Steps:
        """The rank-th of equal parts of every step's scenes."""
        size = self.scene.shape[1] // world_size
        mine = slice(rank * size, (rank + 1) * size)
        return Steps(scene=self.scene[:, mine], text=self.text[:, mine], mask=self.mask[:, mine])


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochSampler:
    """Every text exactly once an epoch, in steps of fixed shape; an epoch depends on (seed, epoch) alone."""

    scene: Int[ndarray, "q"]
    """Scene, or view, of each text."""
    scenes_per_step: int
    texts_per_scene: int
    seed: int = 0
    shuffle: bool = True
    strange_texts: int = 0
    """Texts of each scene of a step that are shown the next scene of that step."""

    def __post_init__(self) -> None:
        if self.scenes_per_step < 1 or self.texts_per_scene < 1:
            raise ConfigError("batch: scenes and texts per step must be positive.")

    @property
    def num_steps(self) -> int:
        """Steps of an epoch."""
        counts = np.bincount(self.scene)
        return -(-int(np.ceil(counts / self.texts_per_scene).sum()) // self.scenes_per_step)

    def epoch(self, epoch: int) -> Steps:
        """All steps of an epoch.

        A scene with more texts than a slot holds appears several times, its texts divided evenly and its appearances
        spread over the epoch. Slots that are left over in the last step repeat scenes, with all texts masked.
        """
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.scene)) if self.shuffle else np.arange(len(self.scene))
        order = order[np.argsort(self.scene[order], kind="stable")]
        by_scene = np.split(order, np.cumsum(np.bincount(self.scene))[:-1])
        groups, keys = [], []
        for texts in by_scene:
            parts = -(-len(texts) // self.texts_per_scene)
            groups += np.array_split(texts, parts) if parts else []
            keys.append((np.arange(parts) + rng.random(parts)) / max(parts, 1))
        sequence = np.argsort(np.concatenate(keys), kind="stable") if self.shuffle else np.arange(len(groups))
        return self._fill([groups[i] for i in sequence])

    def _fill(self, groups: list[np.ndarray]) -> Steps:
        shape = (self.num_steps, self.scenes_per_step, self.texts_per_scene)
        slots = shape[0] * shape[1]
        size = np.array([len(texts) for texts in groups])
        column, group = np.arange(shape[2]), np.arange(slots) % len(groups)
        first = (np.cumsum(size) - size)[group, None]
        text = np.concatenate(groups)[first + column % size[group, None]].astype(np.int64)  # over again where few
        mask = (column < size[group, None]) & (np.arange(slots) < len(groups))[:, None]
        scene = self.scene[text[:, 0]].reshape(shape[:2])
        text, mask = text.reshape(shape), mask.reshape(shape)
        for array in (text, mask):
            array[..., : self.strange_texts] = np.roll(array[..., : self.strange_texts], 1, axis=1)
        return Steps(
            scene=torch.from_numpy(scene.astype(np.int64)), text=torch.from_numpy(text), mask=torch.from_numpy(mask)
        )


def scene_rows(scene_ids: Sequence[str], bank: SceneBank) -> Int[ndarray, "q"]:
    """Rows of scenes in a bank.

    Raises:
        DataError: A scene is not there.
    """
    row_of = {scene_id: row for row, scene_id in enumerate(bank.scene_ids)}
    missing = sorted(set(scene_ids) - row_of.keys())
    if missing:
        raise DataError(f"scene {missing[0]} has texts but is not among the {len(bank)} scenes; prepare it first.")
    return np.array([row_of[scene_id] for scene_id in scene_ids], np.int64)


def asked_text(question: Question) -> str:
    """What the text encoder gets: the question, after the situation where it has one (SQA3D)."""
    return question.text if question.situation is None else f"{question.situation.text} {question.text}"


def depends_on_viewpoint(text: str) -> bool:
    """Whether a text speaks of left or right, so that mirroring its scene would make it wrong.

    >>> depends_on_viewpoint("What is left of the bed?"), depends_on_viewpoint("What is on the bed?")
    (True, False)
    """
    return _VIEWPOINT.search(text) is not None


def soft_score(count: int) -> float:
    """Target of an answer that occurs `count` times in the training split.

    >>> [round(soft_score(count), 1) for count in (0, 1, 2, 3, 4, 5)]
    [0.0, 0.3, 0.6, 0.9, 1.0, 1.0]
    """
    return min(1.0, _SCORE_PER_COUNT * count)


def _first_objects(questions: Sequence[Question], scene: np.ndarray, bank: SceneBank) -> tuple[np.ndarray, np.ndarray]:
    """Box slot (-1: none) and class of each question's first object; objects without a box are `others`."""
    slot_of = [{object_id: slot for slot, object_id in enumerate(ids)} for ids in bank.object_ids]
    slot = np.array(
        [
            slot_of[row].get(question.object_ids[0], -1) if question.object_ids else -1
            for row, question in zip(scene, questions, strict=True)
        ],
        np.int64,
    )
    classes = bank.boxes.semantic_class.cpu().numpy()[scene, np.maximum(slot, 0)]
    return slot, np.where(slot >= 0, classes, NUM_CLASSES - 1)


def _answers(questions: Sequence[Question], counts: Mapping[str, int]) -> tuple[np.ndarray, np.ndarray]:
    """Vocabulary rows and soft scores of each question's distinct answers, padded with score 0."""
    row_of = {answer: row for row, answer in enumerate(counts)}
    known = [[answer for answer in dict.fromkeys(question.answers) if answer in row_of] for question in questions]
    width = max(1, max(len(answers) for answers in known))
    index, score = np.zeros((len(known), width), np.int64), np.zeros((len(known), width), np.float32)
    for row, answers in enumerate(known):
        index[row, : len(answers)] = [row_of[answer] for answer in answers]
        score[row, : len(answers)] = [soft_score(counts[answer]) for answer in answers]
    return index, score
