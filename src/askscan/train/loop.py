"""The one training loop of both stages.

All randomness of a step is a function of (seed, step, process), and the order of texts one of (seed, epoch), so a
checkpoint that has weights, optimizer state and the number of the step goes on bit by bit. A step reads and writes
tensors on the device only; figures come to the host when a row of the metrics is due.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from askscan.data.questions import EpochSampler, Steps
from askscan.errors import ConfigError, UserError
from askscan.models.norm import set_momentum
from askscan.train.checkpoint import Progress, RunFolder
from askscan.train.config import LoopConfig
from askscan.train.devices import Devices, abandon_messages, by_first, common_interrupt, seed_of
from askscan.train.graph import GraphedStep, mapped
from askscan.train.journal import MetricsFile, log_line
from askscan.train.optim import OptimConfig, average_gradients, clip_gradients, make_optimizer

if TYPE_CHECKING:
    from lightning_fabric import Fabric

Autocast = Callable[[], AbstractContextManager[object]]
OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepInputs:
    """What a batch is made from: static tensors on the device."""

    scene: Int[Tensor, "b"]
    text: Int[Tensor, "b q"]
    mask: Bool[Tensor, "b q"]
    generator: torch.Generator
    """Randomness of sampling and augmentation; the same on all processes."""
    share: tuple[int, int]
    """(rank, number of processes)."""


@runtime_checkable
class Task(Protocol):
    """What a stage gives to the loop."""

    @property
    def module(self) -> nn.Module:
        """The network."""

    @property
    def sampler(self) -> EpochSampler:
        """The order of texts."""

    @property
    def term_names(self) -> Sequence[str]:
        """Names of the loss terms."""

    @property
    def score_names(self) -> Sequence[str]:
        """Names of the validation scores; none: no validation."""

    @property
    def best_scores(self) -> Sequence[str]:
        """The score whose best model is kept (larger is better), then those that settle ties; none: the last model."""

    def batch(self, inputs: StepInputs) -> Any:
        """A record of all that a step needs and that no weight has a part in. Without host synchronisation."""

    def losses(self, batch: Any, autocast: Autocast) -> tuple[Float[Tensor, ""], Mapping[str, Tensor]]:
        """The total to descend, and its named terms, of the batch over all processes. Without host synchronisation.

        `autocast`: context in which the network runs.
        """

    def scores(self, share: tuple[int, int], autocast: Autocast) -> dict[str, float]:
        """Validation scores over all processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """What a training left."""

    folder: Path
    num_steps: int
    best_step: int
    """Step of the model that was kept."""
    best_score: float | None
    resumed_at: int
    """Step that this call began at; `num_steps` for a run that was finished already."""


def run_result(folder: RunFolder, progress: Progress, *, resumed_at: int) -> RunResult:
    """The result of a run that stands at `progress`."""
    best = progress.best_scores
    return RunResult(
        folder=folder.path,
        num_steps=progress.step,
        best_step=progress.best_step,
        best_score=best[0] if best else None,
        resumed_at=resumed_at,
    )


class Trainer:
    """Runs the steps of a task from wherever its run folder stands."""

    def __init__(
        self,
        task: Task,
        loop: LoopConfig,
        optim: OptimConfig,
        folder: RunFolder,
        fabric: Fabric,
        devices: Devices,
        on_progress: OnProgress | None = None,
    ) -> None:
        self.task, self.loop, self.optim, self.folder, self.fabric = task, loop, optim, folder, fabric
        self.share = (fabric.global_rank, fabric.world_size)
        if loop.scenes_per_step % fabric.world_size:
            raise ConfigError(f"{loop.scenes_per_step} scenes a step cannot be divided among {fabric.world_size} GPUs.")
        self.device = fabric.device
        self.module = task.module.to(self.device).train()
        self.parameters = [p for p in self.module.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(self.parameters, optim)
        self.steps_per_epoch = task.sampler.num_steps
        self.num_steps = loop.total_steps(self.steps_per_epoch)
        self.on_progress = on_progress or (lambda done, total: None)
        self.value_names = (*task.term_names, "loss", "gradient norm")
        columns = ("step", "epoch", "learning rate", *self.value_names, *task.score_names)
        self.metrics = MetricsFile(folder.metrics, columns)
        shape = (loop.scenes_per_step // fabric.world_size, loop.texts_per_scene)
        self.inputs = StepInputs(
            scene=torch.zeros(shape[0], dtype=torch.int64, device=self.device),
            text=torch.zeros(shape, dtype=torch.int64, device=self.device),
            mask=torch.zeros(shape, dtype=torch.bool, device=self.device),
            generator=torch.Generator(self.device),
            share=self.share,
        )
        self.sums = torch.zeros(len(self.value_names) + 1, device=self.device)
        """Sums of the values over the steps since the last row, and how many steps those were."""
        self.bad = torch.zeros((), device=self.device)
        """1 once a value was not finite: no step changes the weights from then on."""
        self.optimizer.found_inf = self.bad  # type: ignore[attr-defined]  # where fused optimizers look for it
        self.bad_values = torch.zeros(len(self.value_names), device=self.device)
        graphed = devices.cuda_graph and self.device.type == "cuda"
        self.graph = (
            GraphedStep(lambda: task.batch(self.inputs), self._step, [self.inputs.generator]) if graphed else None
        )
        self.progress = Progress(step=0, metrics_size=0)
        self._plan: tuple[int, Steps] | None = None
        self._momentum: float | None = None
        self._staged: int | None = None
        """Step whose batch the graph holds."""

    def run(self, *, resume: bool) -> RunResult:
        """Train to the end.

        Raises:
            ConfigError: A loss term was not finite.
            DataError: The run folder cannot be written.
            WeightsError: The checkpoint is damaged or of another network.
        """
        if resume:
            self._restore()
        by_first(self.fabric, lambda: self.metrics.start(self.progress.metrics_size if resume else None))
        first = self.progress.step
        self.started = (time.monotonic(), first)
        where = f"{self.fabric.world_size} x {self.device.type}"
        by_first(self.fabric, lambda: self._note(f"training from step {first} of {self.num_steps} on {where}"))
        try:
            with common_interrupt(self.fabric) as stop_if_asked:
                for step in range(first, self.num_steps):
                    self.advance(step)
                    if self._after(step + 1):
                        stop_if_asked()
        except (UserError, OSError, KeyboardInterrupt):  # of all processes, at the same step
            self.close()
            raise
        except Exception:
            if self.graph is not None:
                self.graph.forget()
            abandon_messages(self.fabric)
            raise
        self.close()
        return run_result(self.folder, self.progress, resumed_at=first)

    def close(self) -> None:
        """Drop the recording: a process group cannot be left while one still holds its messages."""
        if self.graph is not None:
            self.graph.reset()

    # --- a step

    def advance(self, step: int) -> None:
        """Run one step; nothing is logged or saved."""
        momentum = self.loop.momentum(step // self.steps_per_epoch)
        if momentum != self._momentum:
            self._momentum = momentum
            set_momentum(self.module, momentum)
            if self.graph is not None:
                self.graph.reset()  # the momentum is baked into the recording
        self._set_rate(step)
        if self.graph is None:
            self._place(step)
            self._step(self.task.batch(self.inputs))
            return
        if self._staged != step:
            self._place(step)
            self.graph.start()
        self._staged = step + 1
        self._place(min(step + 1, self.num_steps - 1))
        self.graph()

    def _place(self, step: int) -> None:
        """Put in place what the batch of a step is made from."""
        epoch, row = divmod(step, self.steps_per_epoch)
        if self._plan is None or self._plan[0] != epoch:
            self._plan = (epoch, mapped(self.task.sampler.epoch(epoch).part(*self.share), self._sent))
        steps = self._plan[1]
        self.inputs.scene.copy_(steps.scene[row])
        self.inputs.text.copy_(steps.text[row])
        self.inputs.mask.copy_(steps.mask[row])
        self.inputs.generator.manual_seed(seed_of(self.loop.seed, step, 0))

    def _sent(self, tensor: Tensor) -> Tensor:
        """The tensor on the device; a GPU is not waited for."""
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor

    def _set_rate(self, step: int) -> None:
        """The step's learning rate, and its seed of dropout."""
        for group in self.optimizer.param_groups:
            group["lr"].fill_(self.optim.rate(step, self.steps_per_epoch, self.num_steps))
        torch.manual_seed(seed_of(self.loop.seed, step, 1 + self.share[0]))

    def _step(self, batch: object) -> None:
        """Forward, backward, update: fixed shapes, no host synchronisation."""
        self.optimizer.zero_grad(set_to_none=True)
        total, terms = self.task.losses(batch, self.fabric.autocast)
        total.backward()
        if self.share[1] > 1:
            average_gradients(self.parameters, self.share[1])
        norm = clip_gradients(self.parameters, self.optim.clip_norm)
        values = torch.stack([*(terms[name] for name in self.task.term_names), total, norm]).detach().float()
        was_good = 1 - self.bad
        self.bad.copy_(torch.maximum(self.bad, 1 - values.isfinite().all().float()))
        self.bad_values.copy_(torch.where(was_good > 0, values, self.bad_values))
        good = (1 - self.bad) > 0
        self.sums += torch.where(good, torch.cat([values, torch.ones_like(values[:1])]), 0.0)
        self.optimizer.step()

    # --- between steps

    def _after(self, done: int) -> bool:
        """Log, validate and save where that is due; whether anything was."""
        last = done == self.num_steps
        validate = bool(self.task.score_names) and (last or done % self.loop.evaluate_every == 0)
        save = validate or last or done % self.loop.checkpoint_every == 0
        if not (save or done % self.loop.log_every == 0):
            return False
        row = self._flush(done)
        scores = self._validate() if validate else {}
        self.progress = by_first(self.fabric, lambda: self._write(done, row, scores, save))
        self.on_progress(done, self.num_steps)
        return True

    def _write(self, done: int, row: Mapping[str, float | int], scores: Mapping[str, float], save: bool) -> Progress:
        """Write a row of the metrics, and a checkpoint if it is time for one; what the last one stands at."""
        self.metrics.append({**row, **scores})
        if scores:
            figures = ", ".join(f"{name} {value:.2f}" for name, value in scores.items())
            self._note(f"step {done}: {figures} ({self._pace(done)})")
        return self._save(done, scores) if save else self.progress

    def _flush(self, done: int) -> dict[str, float | int]:
        """Means since the last row.

        Raises:
            ConfigError: A value was not finite.
        """
        *sums, count = self.sums.tolist()
        self.sums.zero_()
        if self.bad.item():
            values = zip(self.value_names, self.bad_values.tolist(), strict=True)
            name, value = next((name, value) for name, value in values if not math.isfinite(value))
            raise ConfigError(
                f"the loss term `{name}` became {value} before step {done}; the weights were not touched by it and "
                f"the checkpoint of step {self.progress.step} is intact: lower the learning rate or look at the data."
            )
        means = {name: total / count for name, total in zip(self.value_names, sums, strict=True)}
        step = done - 1
        rate = self.optim.rate(step, self.steps_per_epoch, self.num_steps)
        return {"step": done, "epoch": step // self.steps_per_epoch, "learning rate": rate, **means}

    def _validate(self) -> dict[str, float]:
        self.module.eval()
        with torch.no_grad():
            scores = self.task.scores(self.share, self.fabric.autocast)
        self.module.train()
        return scores

    def _save(self, done: int, scores: Mapping[str, float]) -> Progress:
        """The model first, then the checkpoint that knows of it: a kill in between repeats what came before."""
        best_step, best, checksum = self.progress.best_step, self.progress.best_scores, self.progress.best_checksum
        if not self.task.best_scores:
            best_step = done
        elif scores and (found := [scores[name] for name in self.task.best_scores]) > best:
            best_step, best = done, found
        weights = self.module.state_dict()
        if best_step == done:
            checksum = self.folder.save_best(done, weights)
        progress = Progress(
            step=done,
            metrics_size=self.metrics.sync(),
            best_step=best_step,
            best_checksum=checksum,
            best_scores=best,
            finished=done == self.num_steps,
        )
        tensors = {f"model/{name}": tensor for name, tensor in weights.items()}
        for index, parameter in enumerate(self.parameters):
            for key, tensor in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer/{index}/{key}"] = tensor
        self.folder.save_state(tensors, progress)
        return progress

    def _restore(self) -> None:
        tensors, self.progress = self.folder.load_state()
        weights = {name.removeprefix("model/"): t for name, t in tensors.items() if name.startswith("model/")}
        self.module.load_state_dict(weights)
        for name, tensor in tensors.items():
            if name.startswith("optimizer/"):
                _, index, key = name.split("/")
                self.optimizer.state[self.parameters[int(index)]][key] = tensor.to(self.device)

    def _pace(self, done: int) -> str:
        began, first = self.started
        return f"{(done - first) / max(time.monotonic() - began, 1e-9):.1f} steps/s"

    def _note(self, text: str) -> None:
        log_line(self.folder.log, text)
