"""What the processes of the distributed test do: one training step on their share of a fixed batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import torch.distributed as dist
from tests.models import tiny
from torch import Tensor

from askscan.losses.alignment import PretrainWeights, contrastive_alignment
from askscan.losses.detection import detection_loss
from askscan.models.pretrainer import Pretrainer
from askscan.records import BoxTargets, VoteTargets


def step(share: slice) -> dict[str, Tensor]:
    """Loss, gradients and running statistics after one step on these scenes of the batch (averaged over processes)."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    encoder = replace(tiny.ENCODER, dropout=0.0)  # each process draws its own dropout
    model = Pretrainer(replace(tiny.PRETRAINER, contrastive=True, scene=replace(tiny.SCENE, encoder=encoder)))
    points, boxes = tiny.points(generator, num_scenes=4), tiny.boxes(generator, num_scenes=4)
    votes = tiny.votes(generator, num_scenes=4)
    votes.mask[0, 30:] = False  # processes with unlike counts
    texts, mask = torch.randn(4, 3, 12, generator=generator), torch.rand(4, 3, generator=generator) < 0.7

    def mine(record: BoxTargets | VoteTargets) -> dict[str, Tensor]:
        return {name: getattr(record, name)[share] for name in record.__dataclass_fields__}

    output = model(points[share])
    alignment = contrastive_alignment(
        output.scene_embedding, texts[share], mask[share], texts[share, :1], mask[share, :1],
        scene_index=torch.arange(4)[share], log_temperature=output.log_temperature,
    )  # fmt: skip
    detection = detection_loss(output.detector, BoxTargets(**mine(boxes)), VoteTargets(**mine(votes)))
    loss = PretrainWeights().total(detection, alignment)
    loss.backward()
    found = {"loss": loss.detach()}
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None
        if dist.is_initialized():  # what DDP does
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
        found[f"grad {name}"] = parameter.grad
    return found | dict(model.named_buffers())


def work(rank: int, folder: str) -> None:
    """One of two processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    torch.save(step(slice(2 * rank, 2 * rank + 2)), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()
