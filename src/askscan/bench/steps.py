"""Whole steps: training (batch making included), the backbone alone, one batch, evaluation; on made-up rooms."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch

from askscan import ops
from askscan.bench.results import Kernel, Result, guarded
from askscan.bench.scenes import Size, embeddings, make_bank, make_question_bank, make_questions, vocabulary
from askscan.bench.timing import measure, timed, timing_of
from askscan.data.bank import SceneBank
from askscan.data.questions import QuestionBank
from askscan.evaluate.predict import predict
from askscan.models.pointnet2 import Backbone
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import ScanQA
from askscan.train.answer import AnswerTask, AskedScenes
from askscan.train.checkpoint import RunFolder
from askscan.train.config import AnswerConfig, Precision, PretrainConfig
from askscan.train.devices import Devices, autocast, launch
from askscan.train.loop import Trainer
from askscan.train.pretrain import GuidedScenes, PretrainTask
from askscan.train.recipes import recipe
from askscan.train.stage import build

Stage = Literal["pretrain", "answers"]
_CHECKED_STEPS = 6
"""First steps whose mean loss is kept: kernels and reference must agree on it. A recording begins within them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A training step to time."""

    recipe: str
    stage: Stage
    scenes: int = 16
    texts: int = 1
    points: int | None = None
    """None: the recipe's."""
    precision: Precision | None = None
    """None: the recipe's."""
    goal: tuple[float, float] | None = None
    """(published, goal) in ms on one H200."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        what = "pre-training step" if self.stage == "pretrain" else "QA training step"
        points = "" if self.points is None else f" x {self.points:,} points"
        precision = {None: "", "32-true": ", float32", "bf16-mixed": ", bf16"}[self.precision]
        return f"{what}, {self.recipe}{precision}, {self.scenes} scenes{points} x {self.texts} texts"

    @property
    def config(self) -> PretrainConfig | AnswerConfig:
        """The recipe with these numbers."""
        found = recipe(self.recipe)
        config = found.pretrain if self.stage == "pretrain" else found.answers
        loop = replace(config.loop, scenes_per_step=self.scenes, texts_per_scene=self.texts)
        if self.precision is not None:
            loop = replace(loop, precision=self.precision)
        points = self.points or config.inputs.num_points
        return replace(config, loop=loop, inputs=replace(config.inputs, num_points=points))


VARIANTS = (
    Variant(recipe="paper", stage="pretrain", goal=(137.0, 14.0)),
    Variant(recipe="paper", stage="answers", goal=(137.0, 14.0)),
    Variant(recipe="paper-fast", stage="pretrain", texts=8),
    Variant(recipe="paper-fast", stage="answers", texts=8, goal=(137.0, 18.0)),
    Variant(recipe="paper-fast", stage="pretrain", scenes=4, texts=8),
    Variant(recipe="paper-fast", stage="answers", scenes=4, texts=8),
    Variant(recipe="paper", stage="pretrain", precision="32-true", goal=(137.0, 14.0)),
    Variant(recipe="paper", stage="answers", precision="32-true", goal=(137.0, 14.0)),
    Variant(recipe="rooms", stage="pretrain", texts=16),
    Variant(recipe="rooms", stage="answers", scenes=8, texts=16),
)
CPU_VARIANTS = (
    Variant(recipe="tiny", stage="pretrain", scenes=4),
    Variant(recipe="tiny", stage="answers", scenes=4, texts=8),
)
QUICK_VARIANTS = (
    Variant(recipe="tiny", stage="pretrain", scenes=2, points=768),
    Variant(recipe="tiny", stage="answers", scenes=2, points=768, texts=2),
)
GROWTH = tuple(
    Variant(recipe="paper-fast", stage="answers", scenes=scenes, texts=texts, points=points)
    for scenes, texts, points in (
        *((16, 8, points) for points in (10_000, 20_000, 40_000)),
        *((scenes, 8, 30_000) for scenes in (8, 32)),
        *((16, texts, 30_000) for texts in (1, 4, 16, 32)),
    )
)


class Bench:
    """Made-up scenes and questions on a device, and the rows that are measured on them."""

    def __init__(self, device: torch.device, size: Size, repeats: int) -> None:
        self.device, self.size, self.repeats = device, size, repeats
        self.bank: SceneBank = make_bank(size, device)
        self.questions: QuestionBank = make_question_bank(self.bank, size)
        rows = len(self.questions)
        self.guided = GuidedScenes(
            bank=self.bank,
            scene=torch.arange(rows).remainder(len(self.bank)).numpy(),
            sentences=embeddings(rows, size, device),
            pictures=embeddings(len(self.bank), size, device)[:, None],
            fixed_viewpoint=torch.zeros(rows, dtype=torch.bool, device=device),
        )

    def trainer(self, variant: Variant, *, cuda_graph: bool = True) -> Trainer:
        """A training that has done no step."""
        config, size = variant.config, self.size
        task: PretrainTask | AnswerTask
        if isinstance(config, PretrainConfig):
            model = replace(config.model, embedding_width=size.width)
            module = build(Pretrainer, model, config.loop.seed).to(self.device)
            task = PretrainTask(config, module, self.guided, None)
        else:
            qa = replace(config.model, num_answers=size.num_answers, text_width=size.width)
            network = build(ScanQA, qa, config.loop.seed).to(self.device)
            task = AnswerTask(config, network, AskedScenes(bank=self.bank, questions=self.questions), None)
        devices = Devices(accelerator=self.device.type, cuda_graph=cuda_graph)
        folder = RunFolder(Path(tempfile.gettempdir()))  # single steps write nothing
        fabric = launch(devices, config.loop.precision)
        return Trainer(task, config.loop, config.optim, folder, fabric, devices)

    def training(
        self, variant: Variant, *, reference: bool, suite: Literal["steps", "growth"] = "steps"
    ) -> Iterator[Result]:
        """A training step with its batch, beside the plain reference run one kernel at a time."""
        peak = self._reset_peak()
        trainer = self.trainer(variant)
        losses = {"askscan": _first_steps(trainer)[0]}
        steps = range(_CHECKED_STEPS, _CHECKED_STEPS + self.repeats)
        times = {"askscan": timing_of(timed((partial(trainer.advance, step) for step in steps), self.device))}
        peak_gib = peak()
        del trainer
        if reference:
            gc.collect()
            with ops.use("reference"):
                plain = self.trainer(variant, cuda_graph=False)
                losses["reference"], last = _first_steps(plain)
                times["reference"] = timing_of(last)
        published, goal = variant.goal if variant.goal and self.device.type == "cuda" else (None, None)
        yield Result(
            name=variant.name,
            suite=suite,
            times=times,
            losses=losses,
            published_ms=published,
            goal_ms=goal,
            peak_gib=peak_gib,
        )

    def kernels(self, variant: Variant) -> list[Kernel]:
        """GPU time per kernel of one recorded step, longest first; streams overlap, so the sum exceeds the step."""
        from torch.profiler import ProfilerActivity, profile

        trainer = self.trainer(variant)
        _first_steps(trainer)
        with profile(activities=[ProfilerActivity.CUDA]) as found:
            trainer.advance(_CHECKED_STEPS)
            torch.cuda.synchronize()
        rows = [Kernel(name=e.key, microseconds=e.self_device_time_total, calls=e.count) for e in found.key_averages()]
        return sorted(rows, key=lambda row: -row.microseconds)

    def backbone(self, variant: Variant, *, reference: bool) -> Iterator[Result]:
        """The backbone in training mode, its neighbourhoods included and computed ahead."""
        config = variant.config
        torch.manual_seed(0)
        module = Backbone(config.model.scene.detector.backbone).to(self.device).train()
        rows = torch.arange(variant.scenes, device=self.device)
        generator = torch.Generator(self.device).manual_seed(0)
        points = self.bank.sample(rows, config.inputs, generator).batch.points
        ahead = module.indices(points[..., :3].contiguous())
        wanted = list(module.parameters())

        def run(known: bool, backward: bool) -> object:
            with torch.set_grad_enabled(backward), autocast(config.loop.precision, self.device):
                out = module(points, ahead if known else None)[2]
            return torch.autograd.grad(out.float().square().mean(), wanted) if backward else out

        for backward in (False, True):
            for known in (False, True):
                name = f"backbone forward{' + backward' if backward else ''}, {variant.scenes} x {points.shape[1]:,}"
                yield self._row(
                    name + (", neighbourhoods computed ahead" if known else ""),
                    partial(run, known, backward),
                    goal=(107.0, 10.0) if backward else (72.0, 4.0),
                    reference=reference and not known,
                )

    def batch(self, variant: Variant) -> Iterator[Result]:
        """Making one batch of question answering: sampling, crop, motion, targets; then its neighbourhoods."""
        trainer = self.trainer(variant)
        task, inputs = trainer.task, trainer.inputs
        assert isinstance(task, AnswerTask)
        trainer.advance(0)
        questions, config = self.questions, task.config

        def sample() -> object:
            found = self.bank.sample(
                inputs.scene,
                config.inputs,
                generator,
                augment=config.augment,
                must_keep=questions.referred(inputs.text, inputs.mask, self.bank.num_slots),
                may_flip=questions.may_flip(inputs.text, inputs.mask),
            ).batch
            return found, questions.tokens(inputs.text), questions.targets(inputs.text, inputs.mask, found.boxes)

        generator = torch.Generator(self.device).manual_seed(0)
        label = f"{variant.scenes} scenes x {variant.texts} texts"
        yield self._row(f"making a batch, {label}", sample, goal=(312.0, 2.0), generators=[generator])
        batch, module = task.batch(inputs), task.module
        assert batch.scene is not None and isinstance(module, ScanQA)
        points = batch.scene.points
        yield self._row(f"its neighbourhoods, {label}", lambda: module.scene.indices(points))

    def evaluation(self, variant: Variant, per_scene: int, *, reference: bool) -> Iterator[Result]:
        """An evaluation step as `askscan evaluate` runs it: sampling, network, suppression, figures on the host.

        Timed between the reports of its progress, once it is a recording; the reference before that.
        """
        config = variant.config
        assert isinstance(config, AnswerConfig)
        qa = replace(config.model, num_answers=self.size.num_answers, text_width=self.size.width)
        module = build(ScanQA, qa, 0).to(self.device).eval()
        answers = list(vocabulary(self.size))

        def steps(count: int) -> list[float]:
            bank = make_bank(replace(self.size, num_scenes=variant.scenes * count), self.device)
            asked, tokens = make_questions(bank.scene_ids, self.size, per_scene)
            marks = [time.perf_counter()]
            predict(module, config, answers, asked, tokens, bank, progress=lambda *_: marks.append(time.perf_counter()))
            return [(after - before) * 1e3 for before, after in pairwise(marks)]

        times = {"askscan": timing_of(steps(_CHECKED_STEPS + min(self.repeats, 12))[_CHECKED_STEPS:])}
        if reference:
            with ops.use("reference"):
                times["reference"] = timing_of(steps(2)[1:])
        name = f"evaluation step with NMS, {variant.scenes * per_scene} questions about {variant.scenes} scenes"
        published, goal = (2445.0, 25.0) if per_scene == 1 and self.device.type == "cuda" else (None, None)
        yield Result(name=name, suite="steps", times=times, published_ms=published, goal_ms=goal)

    def _row(
        self,
        name: str,
        run: Callable[[], object],
        *,
        goal: tuple[float, float] | None = None,
        generators: Sequence[torch.Generator] = (),
        reference: bool = False,
    ) -> Result:
        times = {"askscan": measure([run], self.device, repeats=self.repeats, generators=generators)}
        if reference:
            with ops.use("reference"):
                times["reference"] = measure([run], self.device, repeats=3, record=False)
        published, target = goal if goal and self.device.type == "cuda" else (None, None)
        return Result(name=name, suite="steps", times=times, published_ms=published, goal_ms=target)

    def _reset_peak(self) -> Callable[[], float | None]:
        """A function that tells the most memory used since now."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            return lambda: torch.cuda.max_memory_allocated() / 2**30
        return peak_host_gib


def _first_steps(trainer: Trainer) -> tuple[float, list[float]]:
    """Mean loss of the first steps of a training, and the milliseconds of the last three of them."""
    times = timed((partial(trainer.advance, step) for step in range(_CHECKED_STEPS)), trainer.device)
    *sums, count = trainer.sums.tolist()
    return dict(zip(trainer.value_names, sums, strict=True))["loss"] / count, times[-3:]


def peak_host_gib() -> float | None:
    """Most memory that this process has had so far; None where the system does not tell."""
    try:
        import resource
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def measure_steps(bench: Bench, variants: Sequence[Variant], *, reference: bool) -> Iterator[Result]:
    """Trainings, then the parts of the first question answering among them."""
    for variant in variants:
        yield from guarded(variant.name, "steps", partial(bench.training, variant, reference=reference))
    asking = next(variant for variant in variants if variant.stage == "answers")
    whole = replace(asking, points=asking.points or max(v.config.inputs.num_points for v in variants))
    yield from guarded("backbone", "steps", partial(bench.backbone, whole, reference=reference))
    yield from guarded("batch", "steps", partial(bench.batch, asking))
    for per_scene in (1, 16):
        plain = reference and per_scene == 1
        yield from guarded("evaluation step", "steps", partial(bench.evaluation, asking, per_scene, reference=plain))


def measure_growth(bench: Bench, variants: Sequence[Variant]) -> Iterator[Result]:
    """How a training step grows with points, scenes and texts."""
    for variant in variants:
        yield from guarded(variant.name, "growth", partial(bench.training, variant, reference=False, suite="growth"))
