"""CLIP-guided pre-training (Parelli et al., CVPRW 2023): scenes drawn to their sentences and pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.annotations import read_descriptions
from askscan.data.bank import SceneBank
from askscan.data.folder import DataFolder
from askscan.data.questions import EpochSampler, depends_on_viewpoint, scene_rows
from askscan.errors import DataError
from askscan.losses.alignment import AlignmentTerms, contrastive_alignment, cosine_alignment
from askscan.losses.detection import DetectionTerms, detection_loss
from askscan.metrics.retrieval import cosine_similarity, recall_at
from askscan.models.pointnet2 import BackboneIndices
from askscan.models.pretrainer import Pretrainer
from askscan.records import Description, SceneBatch
from askscan.train import stage
from askscan.train.config import PretrainConfig
from askscan.train.devices import Devices
from askscan.train.embeddings import EmbeddingCache, TeacherLike
from askscan.train.loop import Autocast, OnProgress, RunResult, StepInputs


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedScenes:
    """Scenes with the teacher's embeddings of their sentences and pictures."""

    bank: SceneBank
    scene: Int[ndarray, "q"]
    """Row of each sentence's scene."""
    sentences: Float[Tensor, "q d"]
    pictures: Float[Tensor, "s v d"] | None
    """Of each scene the one from above first, then those from inside; None: not used."""
    fixed_viewpoint: Bool[Tensor, "q"]
    """Sentences whose scene may not be mirrored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedBatch:
    """A step of pre-training before any weight has a part in it."""

    scene: SceneBatch
    indices: BackboneIndices
    texts: Float[Tensor, "b q d"]
    text_mask: Bool[Tensor, "b q"]
    images: Float[Tensor, "b v d"]
    image_mask: Bool[Tensor, "b v"]
    scene_index: Int[Tensor, "b"]
    """Rows of the scenes in the bank."""


class PretrainTask:
    """Detection and alignment losses of pre-training; retrieval among the validation scenes."""

    best_scores: Sequence[str] = ()

    def __init__(self, config: PretrainConfig, module: Pretrainer, train: GuidedScenes, val: GuidedScenes | None):
        self.config, self.module, self.train, self.val = config, module, train, val
        loop = config.loop
        self.sampler = EpochSampler(
            scene=train.scene,
            scenes_per_step=loop.scenes_per_step,
            texts_per_scene=loop.texts_per_scene,
            seed=loop.seed,
        )
        self.term_names: Sequence[str] = tuple(
            field.name for field in (*fields(DetectionTerms), *fields(AlignmentTerms))
        )
        self.score_names: Sequence[str] = ()
        if val is not None:
            self.score_names = ["R@10 sentence"] + ["R@10 picture"] * (val.pictures is not None)

    def batch(self, inputs: StepInputs) -> GuidedBatch:
        """Points with their targets and neighbourhoods, and what the teacher says about them."""
        train, config = self.train, self.config
        flip = ~(train.fixed_viewpoint[inputs.text] & inputs.mask).any(1)
        scene = train.bank.sample(
            inputs.scene, config.inputs, inputs.generator, augment=config.augment, may_flip=flip, share=inputs.share
        ).batch
        texts = train.sentences[inputs.text]
        images = texts[:, :1] if train.pictures is None else train.pictures[inputs.scene]
        return GuidedBatch(
            scene=scene,
            indices=self.module.scene.indices(scene.points),
            texts=texts,
            text_mask=inputs.mask,
            images=images,
            image_mask=inputs.mask.new_full(images.shape[:2], train.pictures is not None),
            scene_index=inputs.scene,
        )

    def losses(self, batch: GuidedBatch, autocast: Autocast) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Detection and alignment of a batch."""
        with autocast():
            output = self.module(batch.scene.points, batch.indices)
        detection = detection_loss(output.detector, batch.scene.boxes, batch.scene.votes)
        teacher = (batch.texts, batch.text_mask, batch.images, batch.image_mask)
        if output.log_temperature is None:
            alignment = cosine_alignment(output.scene_embedding, *teacher)
        else:
            alignment = contrastive_alignment(
                output.scene_embedding,
                *teacher,
                scene_index=batch.scene_index,
                log_temperature=output.log_temperature,
            )
        return self.config.weights.total(detection, alignment), stage.named_terms(detection, alignment)

    def scores(self, share: tuple[int, int], autocast: Autocast) -> dict[str, float]:
        """Recall of each scene's own sentence (its first) and picture (from above) among those of all of val."""
        val = self.val
        assert val is not None
        scenes = embed_scenes(self.module, val.bank, self.config, autocast)
        own = torch.arange(len(val.bank), device=scenes.device)
        first = torch.from_numpy(np.unique(val.scene, return_index=True)[1]).to(scenes.device)
        figures = [recall_at(cosine_similarity(scenes, val.sentences[first]), own, (10,))["R@10"]]
        if val.pictures is not None:
            figures.append(recall_at(cosine_similarity(scenes, val.pictures[:, 0]), own, (10,))["R@10"])
        return dict(zip(self.score_names, figures, strict=True))


@torch.no_grad()
def embed_scenes(
    module: Pretrainer, bank: SceneBank, config: PretrainConfig, autocast: Autocast
) -> Float[Tensor, "s d"]:
    """Embeddings of all scenes of a bank as they stand."""
    size = config.loop.scenes_per_step
    parts = []
    for start in range(0, len(bank), size):
        rows = torch.arange(start, start + size, device=bank.xyz.device).clamp(max=len(bank) - 1)
        points = bank.points(rows, config.inputs)
        with autocast():
            parts.append(module(points).scene_embedding)
    return torch.cat(parts)[: len(bank)]


def pretrain(
    data: DataFolder,
    out: Path,
    config: PretrainConfig,
    *,
    teacher: TeacherLike,
    init: Path | None = None,
    devices: Devices | None = None,
    force: bool = False,
    say: stage.Say = print,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Pre-train on a data folder's scenes, sentences and pictures, or go on where an earlier call stopped.

    Args:
        data: Prepared scenes, ScanRefer's sentences, top-down pictures (unless their weight is 0), and views from
            inside where the configuration asks for them.
        out: The run folder.
        config: Everything that decides the run.
        teacher: The frozen teacher; its embeddings are cached in `data`.
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
    found = stage.find_init(init, data)
    config = stage.fitted(config, init)
    config = replace(config, model=replace(config.model, embedding_width=teacher.embed_width))
    splits = {"train": read_descriptions(data, "train")}
    if data.scanrefer("val").is_file():
        splits["val"] = read_descriptions(data, "val")
    if not splits["train"]:
        raise DataError(f"{data.scanrefer('train')}: has no sentences to train on.")
    # Before the folder is claimed: weights that do not fit leave nothing behind.
    module = stage.build(Pretrainer, config.model, config.loop.seed)
    filled = stage.initialise(module, found, given=init is not None)

    def make_task() -> PretrainTask:
        session.tell(filled)
        guided = {split: _guided(session, split, texts, teacher, config) for split, texts in splits.items() if texts}
        return PretrainTask(config, module, guided["train"], guided.get("val"))

    return stage.run(
        session, stage.describe("pretrain", config, teacher, found, data, splits), config, make_task, force=force
    )


def _guided(
    session: stage.Session, split: str, texts: Sequence[Description], teacher: TeacherLike, config: PretrainConfig
) -> GuidedScenes:
    """Scenes of a split on the device, with embeddings of their sentences and pictures."""
    data, device = session.data, session.fabric.device
    cache = EmbeddingCache(data.root / "prepared" / "embeddings", teacher, session.on_progress)
    bank = stage.load_scenes(data, [text.scene_id for text in texts], device)
    for note in bank.notes:
        session.tell(f"{split}: {note}")
    sentences = session.first(lambda: cache.sentences([text.text for text in texts]))
    pictures = None
    if config.weights.alignment.image > 0:
        paths = picture_paths(data, split, bank.scene_ids, config.views)
        rows = torch.from_numpy(session.first(lambda: cache.pictures(paths)))
        pictures = rows.unflatten(0, (len(bank), 1 + config.views)).to(device)
    return GuidedScenes(
        bank=bank,
        scene=scene_rows([text.scene_id for text in texts], bank),
        sentences=torch.from_numpy(sentences).to(device),
        pictures=pictures,
        fixed_viewpoint=torch.tensor([depends_on_viewpoint(text.text) for text in texts]).to(device),
    )


def picture_paths(data: DataFolder, split: str, scene_ids: Sequence[str], num_views: int) -> list[Path]:
    """The pictures of scenes, 1 + `num_views` of each: from above, then from inside.

    Raises:
        DataError: A scene has fewer views.
    """
    pictures = [data.pictures(scene_id, split, num_views) for scene_id in scene_ids]
    missing = [path for _, *views in pictures for path in views if not path.is_file()]
    if missing:
        raise DataError(
            f"{missing[0]}: {len(missing)} of {num_views * len(pictures)} views from inside are missing; "
            f"run `askscan render --views {num_views}` first."
        )
    return [path for paths in pictures for path in paths]
