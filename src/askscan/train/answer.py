"""Question answering (ScanQA, Azuma et al. 2022; SQA3D, Ma et al. 2023), and the baseline that never sees the scan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from askscan.data.annotations import Task, answer_counts, read_task, task_file
from askscan.data.bank import InputConfig, SceneBank
from askscan.data.folder import DataFolder
from askscan.data.questions import EpochSampler, QuestionBank, Steps, asked_text
from askscan.errors import ConfigError, DataError
from askscan.files import write_json
from askscan.losses.answering import AnswerTerms, answer_loss, text_answer_loss
from askscan.losses.detection import DetectionTerms, detection_loss
from askscan.models.decoding import best_answers
from askscan.models.pointnet2 import BackboneIndices
from askscan.models.scan_qa import QuestionOnly, ScanQA
from askscan.records import Question, QuestionTargets, SceneBatch, TextTokens
from askscan.train import stage
from askscan.train.config import AnswerConfig
from askscan.train.devices import Devices, by_first
from askscan.train.embeddings import EmbeddingCache, TeacherLike
from askscan.train.loop import Autocast, OnProgress, RunResult, StepInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedScenes:
    """Scenes and the questions about them, on the device."""

    bank: SceneBank
    questions: QuestionBank

    def in_order(self, scenes_per_step: int, texts_per_scene: int) -> Steps:
        """Every question once, scene after scene."""
        views = self.questions.views.of_question
        return EpochSampler(
            scene=views, scenes_per_step=scenes_per_step, texts_per_scene=texts_per_scene, shuffle=False
        ).epoch(0)

    def points(self, view: Int[Tensor, "b"], inputs: InputConfig) -> Float[Tensor, "b n c"]:
        """What evaluation shows of some views: always the same points of a scene, not augmented."""
        views = self.questions.views
        return self.bank.points(views.scene[view], inputs, frame=views.frame_of(view))


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedBatch:
    """A step of question answering before any weight has a part in it."""

    scene: SceneBatch | None
    """None, like `indices`, for the baseline that never sees the scan."""
    indices: BackboneIndices | None
    tokens: TextTokens
    targets: QuestionTargets


class AnswerTask:
    """All losses of question answering; exact match among the answerable validation questions."""

    def __init__(
        self, config: AnswerConfig, module: ScanQA | QuestionOnly, train: AskedScenes, val: AskedScenes | None
    ) -> None:
        self.config, self.module, self.train, self.val = config, module, train, val
        loop = config.loop
        self.sampler = EpochSampler(
            scene=train.questions.views.of_question,
            scenes_per_step=loop.scenes_per_step,
            texts_per_scene=loop.texts_per_scene,
            seed=loop.seed,
            strange_texts=config.strange_texts,
        )
        self.scene_of = torch.from_numpy(self.sampler.scene).to(train.bank.xyz.device)
        records = (AnswerTerms,) if config.question_only else (DetectionTerms, AnswerTerms)
        self.term_names: Sequence[str] = tuple(field.name for record in records for field in fields(record))
        self.score_names: Sequence[str] = ()
        self.best_scores: Sequence[str] = ()
        if val is not None:
            self.score_names = ("EM@1 answerable", "EM@10 answerable")
            other = "EM@1" if config.select_by == "EM@10" else "EM@10"
            self.best_scores = (f"{config.select_by} answerable", f"{other} answerable")

    def batch(self, inputs: StepInputs) -> AskedBatch:
        """Questions with their targets, and points with theirs unless only the questions are looked at."""
        bank, questions = self.train.bank, self.train.questions
        rows = questions.views.scene[inputs.scene]
        own = self.scene_of[inputs.text] == inputs.scene[:, None]
        scene, indices, boxes = None, None, bank.boxes_of(rows)
        if isinstance(self.module, ScanQA):
            scene = bank.sample(
                rows,
                self.config.inputs,
                inputs.generator,
                frame=questions.views.frame_of(inputs.scene),
                augment=self.config.augment,
                must_keep=questions.referred(inputs.text, inputs.mask & own, bank.num_slots),
                may_flip=questions.may_flip(inputs.text, inputs.mask & own),
                share=inputs.share,
            ).batch
            indices, boxes = self.module.scene.indices(scene.points), scene.boxes
        targets = questions.targets(inputs.text, inputs.mask, boxes)
        return AskedBatch(
            scene=scene,
            indices=indices,
            tokens=questions.tokens(inputs.text),
            targets=replace(targets, referred_mask=targets.referred_mask & own),
        )

    def losses(self, batch: AskedBatch, autocast: Autocast) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Detection and answer losses of a batch."""
        weights = self.config.weights
        if isinstance(self.module, QuestionOnly):
            with autocast():
                guess = self.module(batch.tokens)
            answers = text_answer_loss(guess, batch.targets)
            return weights.total(None, answers), stage.named_terms(answers)
        assert batch.scene is not None
        with autocast():
            output = self.module(batch.scene.points, batch.tokens, batch.indices)
        detection = detection_loss(output.detector, batch.scene.boxes, batch.scene.votes)
        answers = answer_loss(output, batch.targets)
        return weights.total(detection, answers), stage.named_terms(detection, answers)

    def scores(self, share: tuple[int, int], autocast: Autocast) -> dict[str, float]:
        """Share of the answerable questions whose top answer, or any of the top ten, is one of theirs, x100."""
        assert self.val is not None
        hits = exact_matches(self.module, self.val, self.config, share, autocast)
        if share[1] > 1:
            torch.distributed.all_reduce(hits)
        top, top_ten, count = hits.tolist()
        return dict(zip(self.score_names, (100 * top / count, 100 * top_ten / count), strict=True))


@torch.no_grad()
def exact_matches(
    module: ScanQA | QuestionOnly, asked: AskedScenes, config: AnswerConfig, share: tuple[int, int], autocast: Autocast
) -> Tensor:
    """(hits at 1, hits at 10, questions) over this process's part of the questions."""
    questions, device = asked.questions, asked.bank.xyz.device
    steps = asked.in_order(config.loop.scenes_per_step, max(8, config.loop.texts_per_scene)).to(device)
    total = torch.zeros(3, dtype=torch.float64, device=device)
    for row in range(share[0], len(steps), share[1]):
        view, text, mask = steps.scene[row], steps.text[row], steps.mask[row]
        seen = (asked.points(view, config.inputs),) if isinstance(module, ScanQA) else ()
        with autocast():
            top, _ = best_answers(module(*seen, questions.tokens(text)).answer_logits)
        truth = questions.targets(text, mask, asked.bank.boxes_of(questions.views.scene[view])).answers > 0
        right = truth.gather(2, top) & mask[..., None]
        total += torch.stack([right[..., 0].sum(), right.any(-1).sum(), mask.sum()])
    return total


def train_answers(
    data: DataFolder,
    out: Path,
    config: AnswerConfig,
    *,
    teacher: TeacherLike,
    init: Path | None = None,
    devices: Devices | None = None,
    force: bool = False,
    say: stage.Say = print,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Train question answering on a data folder, or go on where an earlier call stopped.

    Questions whose answers are all outside the vocabulary (validation only), or that have none, are left out.

    Args:
        data: Prepared scenes and the task's questions; without a val file the last model is kept.
        out: The run folder.
        config: Everything that decides the run.
        teacher: The frozen teacher; its token features are cached in `data`.
        init: A run folder or checkpoint to start from.
        devices: Where to compute; default: one device.
        force: Replace another run in `out`.
        say: Gets one sentence at a time for the user.
        on_progress: Gets (done, total) of the embeddings, then of the steps.

    Raises:
        ConfigError: The folder is used by another run, or a loss was not finite.
        DataError: Something is missing in the data folder, or a disk is full.
        WeightsError: `init` does not fit, or the checkpoint is damaged.
    """
    session = stage.open_session(data, out, config.loop, devices, say, on_progress)
    if config.question_only and init is not None:
        raise ConfigError(f"{init}: the question-only baseline has no scene encoder to start from; leave --init out.")
    found = None if config.question_only else stage.find_init(init, data)
    splits = _answerable(data, config.task)
    counts = answer_counts(splits["train"])
    config = stage.fitted(config, init)
    config = replace(config, model=replace(config.model, num_answers=len(counts), text_width=teacher.token_width))
    names = sorted({name for question in splits["train"] for name in question.object_names})
    # Before the folder is claimed: weights that do not fit leave nothing behind.
    module: ScanQA | QuestionOnly
    if config.question_only:
        module, filled = stage.build(QuestionOnly, config.model, config.loop.seed), ""
    else:
        module = stage.build(ScanQA, config.model, config.loop.seed)
        filled = stage.initialise(module, found, given=init is not None, answers=list(counts))
    description = stage.describe("answers", config, teacher, found, data, splits)

    def make_task() -> AnswerTask:
        by_first(session.fabric, lambda: write_json(session.folder.answers, counts, ensure_ascii=False, indent=0))
        session.tell(filled)
        asked = {split: _asked(session, split, questions, counts, teacher) for split, questions in splits.items()}
        return AnswerTask(config, module, asked["train"], asked.get("val"))

    return stage.run(session, {**description, "object_names": names}, config, make_task, force=force)


def _answerable(data: DataFolder, task: Task) -> dict[str, list[Question]]:
    """Questions of train, and of val where there is one, that have an answer of the training split."""
    train = [question for question in read_task(data, "train", task) if question.answers]
    if not train:
        raise DataError(f"{task_file(data, 'train', task)}: has no questions with answers to train on.")
    splits = {"train": train}
    if task_file(data, "val", task).is_file():
        known = answer_counts(train).keys()
        val = [question for question in read_task(data, "val", task) if known & set(question.answers)]
        if val:
            splits["val"] = val
    return splits


def _asked(
    session: stage.Session, split: str, questions: Sequence[Question], counts: Mapping[str, int], teacher: TeacherLike
) -> AskedScenes:
    cache = EmbeddingCache(session.data.root / "prepared" / "embeddings", teacher, session.on_progress)
    bank = stage.load_scenes(session.data, [question.scene_id for question in questions], session.fabric.device)
    for note in bank.notes:
        session.tell(f"{split}: {note}")
    tokens = session.first(lambda: cache.tokens([asked_text(question) for question in questions]))
    return AskedScenes(bank=bank, questions=QuestionBank.from_questions(questions, tokens, counts, bank))
