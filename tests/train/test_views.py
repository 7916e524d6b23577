"""Pre-training with several pictures of each scene."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest
import stand_ins
import torch
from PIL import Image
from torch import Tensor

from askscan.data.bank import SceneBank
from askscan.data.folder import DataFolder
from askscan.data.prepared import load_prepared
from askscan.data.questions import scene_rows
from askscan.errors import DataError
from askscan.models.pretrainer import Pretrainer
from askscan.train.config import PretrainConfig
from askscan.train.devices import Devices
from askscan.train.embeddings import EmbeddingCache
from askscan.train.loop import StepInputs
from askscan.train.pretrain import GuidedScenes, PretrainTask, picture_paths, pretrain

CPU = Devices(accelerator="cpu")
SCENES = {"train": tuple(f"scene{i:04}_00" for i in range(6)), "val": tuple(f"scene{i:04}_00" for i in range(6, 9))}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """A data folder with two views of each scene, in other colours than the pictures from above."""
    folder = stand_ins.write_data(tmp_path_factory.mktemp("seen"))
    for split, scene_ids in SCENES.items():
        for row, scene_id in enumerate(scene_ids):
            for number in (1, 2):
                path = folder.view(scene_id, split, number)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (8, 8), (30 * row, 80 * number, 250)).save(path)
    return folder


def small(views: int, objective: Literal["cosine", "contrastive"] = "contrastive") -> PretrainConfig:
    config = stand_ins.small_pretrain(2)
    alignment = replace(config.weights.alignment, objective=objective)
    return replace(
        config,
        views=views,
        model=replace(config.model, contrastive=objective == "contrastive", embedding_width=24),
        weights=replace(config.weights, alignment=alignment),
        augment=None,
    )


def guided(data: DataFolder, cache: EmbeddingCache, views: int) -> GuidedScenes:
    scene_ids = SCENES["train"]
    bank = SceneBank.from_scenes([load_prepared(data.prepared(s)) for s in scene_ids], torch.device("cpu"))
    pictures = torch.from_numpy(cache.pictures(picture_paths(data, "train", scene_ids, views)))
    return GuidedScenes(
        bank=bank,
        scene=scene_rows(scene_ids, bank),
        sentences=torch.from_numpy(cache.sentences([f"room {s}" for s in scene_ids])),
        pictures=pictures.unflatten(0, (len(bank), 1 + views)),
        fixed_viewpoint=torch.zeros(len(bank), dtype=torch.bool),
    )


@pytest.mark.parametrize("objective", ["cosine", "contrastive"])
def test_the_image_term_is_the_mean_over_pictures(
    seen: DataFolder, tmp_path: Path, objective: Literal["cosine", "contrastive"]
):
    teacher = stand_ins.StandInTeacher()
    config = small(2, objective)
    torch.manual_seed(0)
    module = Pretrainer(config.model).eval()
    train = guided(seen, EmbeddingCache(tmp_path, teacher), 2)

    def image_term(pictures: Tensor, config: PretrainConfig) -> float:
        task = PretrainTask(config, module, replace(train, pictures=pictures), None)
        inputs = StepInputs(
            scene=torch.tensor([4, 1, 2]),
            text=torch.tensor([[4], [1], [2]]),
            mask=torch.ones(3, 1, dtype=torch.bool),
            generator=torch.Generator().manual_seed(0),
            share=(0, 1),
        )
        batch = task.batch(inputs)
        assert torch.equal(batch.images, pictures[[4, 1, 2]]) and batch.image_mask.all()
        return task.losses(batch, torch.no_grad)[1]["image"].item()

    assert train.pictures is not None
    whole = image_term(train.pictures, config)
    alone = [image_term(train.pictures[:, i : i + 1], small(0, objective)) for i in range(3)]
    assert len({round(value, 4) for value in alone}) == 3
    if objective == "cosine":
        assert whole == pytest.approx(sum(alone) / 3, rel=1e-5)
    else:  # more pictures of others are more to be told from
        assert whole > sum(alone) / 3


def test_views_reach_the_trained_weights(seen: DataFolder, tmp_path: Path):
    finals, said = {}, {}
    for views in (0, 1, 2):
        teacher = stand_ins.StandInTeacher()
        config = small(views)
        pretrain(seen, tmp_path / str(views), config, teacher=teacher, devices=CPU, say=lambda text: None)
        finals[views] = (tmp_path / str(views) / "model.safetensors").read_bytes()
        said[views] = (tmp_path / str(views) / "metrics.csv").read_text().splitlines()
    assert len(set(finals.values())) == 3
    assert said[0][0] == said[2][0] and "R@10 picture" in said[0][0]


def test_missing_views_are_named(seen: DataFolder, tmp_path: Path):
    with pytest.raises(DataError, match=r"scene0000_00\.3\.jpg: 6 of 18 views.*`askscan render --views 3` first"):
        pretrain(seen, tmp_path, small(3), teacher=stand_ins.StandInTeacher(), devices=CPU, say=lambda text: None)
