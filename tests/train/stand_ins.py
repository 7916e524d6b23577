"""Small scenes, a teacher that knows words by their hash, and small networks; as a script, one training run."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from askscan.data.folder import DataFolder
from askscan.data.prepared import save_prepared
from askscan.models.fusion import FusionConfig
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import Pretrainer, PretrainerConfig
from askscan.models.scan_qa import ScanQAConfig
from askscan.models.scene_encoder import SceneEncoderConfig, SceneModelConfig
from askscan.models.teacher import TokenFeatures
from askscan.models.votenet import DetectorConfig
from askscan.records import PreparedScene
from askscan.shapes import CLASS_NAMES
from askscan.train.answer import train_answers
from askscan.train.config import AnswerConfig, PretrainConfig
from askscan.train.devices import Devices
from askscan.train.pretrain import pretrain
from askscan.train.recipes import tiny

COLORS = {"red": (200, 30, 30), "green": (30, 180, 40), "blue": (30, 40, 200), "white": (230, 230, 230)}
KINDS = ("chair", "table", "bed", "sofa")


def make_scene(scene_id: str, seed: int, num_points: int = 900) -> tuple[PreparedScene, list[tuple[str, str]]]:
    """A floor and one coloured box per kind at random places; the (kind, colour) of each."""
    rng = np.random.default_rng(seed)
    xyz, rgb, instance, boxes = [], [], [], []
    names = [(kind, str(rng.choice(list(COLORS)))) for kind in KINDS]
    corners = rng.permutation(4)
    for slot, (_, color) in enumerate(names):
        size = rng.uniform(0.4, 0.9, 3)
        center = np.array([1.2 * (corners[slot] % 2 * 2 - 1), 1.2 * (corners[slot] // 2 * 2 - 1), size[2] / 2])
        points = center + size * (rng.random((num_points // 6, 3)) - 0.5)
        points[:2] = center - size / 2, center + size / 2
        xyz.append(points)
        rgb.append(np.tile(COLORS[color], (len(points), 1)))
        instance.append(np.full(len(points), slot + 1))
        boxes.append(np.concatenate([center, size]))
    floor = num_points - sum(map(len, xyz))
    xyz.append(np.column_stack([rng.uniform(-2, 2, (floor, 2)), np.zeros(floor)]))
    rgb.append(np.full((floor, 3), 120))
    instance.append(np.zeros(floor))
    order = rng.permutation(num_points)
    scene = PreparedScene(
        scene_id=scene_id,
        xyz=np.concatenate(xyz).astype(np.float32)[order],
        rgb=np.concatenate(rgb).astype(np.uint8)[order],
        normals=np.tile(np.array([0, 0, 127], np.int8), (num_points, 1)),
        instance=np.concatenate(instance).astype(np.int32)[order],
        boxes=np.stack(boxes).astype(np.float32),
        box_class=np.array([CLASS_NAMES.index(kind) for kind in KINDS], np.int32),
        object_id=np.arange(len(KINDS), dtype=np.int32) + 10,
        scene_type="Test room",
    )
    return scene, names


def write_data(root: Path) -> DataFolder:
    """Six scenes of train and three of val with sentences, questions and pictures."""
    for split, seeds in (("train", range(6)), ("val", range(6, 9))):
        sentences, questions = [], []
        for seed in seeds:
            scene, names = make_scene(f"scene{seed:04}_00", seed)
            folder = DataFolder(root)
            save_prepared(folder.prepared(scene.scene_id), scene)
            picture = folder.picture(scene.scene_id, split)
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), COLORS[names[0][1]]).save(picture)
            for slot, (kind, color) in enumerate(names):
                owner = {"scene_id": scene.scene_id}
                sentences.append(
                    owner
                    | {
                        "object_id": str(slot + 10),
                        "object_name": kind,
                        "ann_id": "0",
                        "description": f"the {kind} is {color}",
                        "token": [],
                    }
                )
                questions.append(
                    owner
                    | {
                        "question_id": f"{split}-{scene.scene_id}-{slot}",
                        "question": f"What color is the {kind}?",
                        "answers": [color],
                        "object_ids": [slot + 10],
                        "object_names": [kind],
                    }
                )
        (root / f"ScanRefer_filtered_{split}.json").write_text(json.dumps(sentences))
        (root / "qa").mkdir(exist_ok=True)
        (root / "qa" / f"ScanQA_v1.0_{split}.json").write_text(json.dumps(questions))
    return DataFolder(root)


class StandInTeacher:
    """Fixed random vectors per word; counts how often it is asked."""

    identity, name = "stand-in", "stand-in"
    embed_width, token_width = 24, 16

    def __init__(self) -> None:
        self.num_texts = self.num_pictures = 0

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        self.num_texts += len(texts)
        return torch.stack([sum(_vector(word, self.embed_width) for word in text.split()) for text in texts])

    def embed_images(self, images: Sequence[np.ndarray]) -> torch.Tensor:
        self.num_pictures += len(images)
        return torch.stack([_vector(str(image.mean((0, 1)).round(-1)), self.embed_width) for image in images])

    def encode_tokens(self, texts: Sequence[str]) -> TokenFeatures:
        self.num_texts += len(texts)
        words = [text.split() for text in texts]
        width = max(map(len, words))
        features = torch.zeros(len(texts), width, self.token_width)
        for row, text in enumerate(words):
            features[row, : len(text)] = torch.stack([_vector(word, self.token_width) for word in text])
        mask = torch.tensor([[i < len(text) for i in range(width)] for text in words])
        return TokenFeatures(features=features, mask=mask)


def _vector(word: str, width: int) -> torch.Tensor:
    seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=4).digest(), "little")
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def small_scene(dropout: float = 0.1) -> SceneModelConfig:
    backbone = BackboneConfig(
        color=True,
        num_centers=(48, 32, 16, 8),
        num_neighbors=(8, 8, 8, 8),
        radius_m=(0.4, 0.6, 1.0, 1.5),
        sa_channels=((16, 16, 16),) * 4,
        fp_channels=((32, 32),) * 2,
    )
    detector = DetectorConfig(backbone=backbone, num_proposals=12, proposal_channels=(16, 16, 16))
    encoder = SceneEncoderConfig(width=32, num_heads=4, feedforward=32, positions=True, dropout=dropout)
    return SceneModelConfig(detector=detector, encoder=encoder)


def small_pretrain(num_steps: int = 12, dropout: float = 0.1) -> PretrainConfig:
    base = tiny().pretrain
    loop = replace(
        base.loop,
        num_steps=num_steps,
        scenes_per_step=4,
        texts_per_scene=2,
        log_every=2,
        evaluate_every=6,
        checkpoint_every=3,
        seed=3,
    )
    return replace(
        base,
        model=PretrainerConfig(scene=small_scene(dropout), contrastive=True),
        inputs=replace(base.inputs, num_points=256),
        loop=loop,
    )


def small_answers(num_steps: int = 12, dropout: float = 0.1) -> AnswerConfig:
    base = tiny().answers
    model = ScanQAConfig(
        num_answers=1,
        scene=small_scene(dropout),
        fusion=FusionConfig(num_heads=4, feedforward=32, num_layers=1, dropout=dropout),
        text_dropout=dropout,
        answer_dropout=dropout,
        head_dropout=dropout,
    )
    pretraining = small_pretrain(num_steps, dropout)
    return replace(base, model=model, inputs=pretraining.inputs, loop=pretraining.loop)


def train(stage: str, root: str, out: str, num_steps: int, dropout: float, num_processes: int = 1) -> None:
    run, make = {"pretrain": (pretrain, small_pretrain), "answers": (train_answers, small_answers)}[stage]
    devices = Devices(accelerator=os.environ.get("STAND_INS_DEVICE", "cpu"), num_devices=num_processes)
    config = make(num_steps, dropout)
    failing = os.environ.get("STAND_INS_FAILING")

    def progress(done: int, total: int) -> None:
        if total == num_steps and done >= 8 and os.environ.get("LOCAL_RANK", "0") == failing:
            raise RuntimeError("this process fails")

    run(
        DataFolder(Path(root)), Path(out), config, teacher=StandInTeacher(), devices=devices, say=lambda text: None,
        on_progress=progress,
    )  # fmt: skip


def warm_up() -> None:
    """Load and compile what every training needs, so that processes split off from this one train at once."""
    import lightning_fabric  # noqa: F401

    with torch.no_grad():
        Pretrainer(small_pretrain().model).eval()(torch.rand(1, 256, 6))


def split_off(stage: str, root: str, out: Path, num_steps: int) -> int:
    """Train in a process of its own, where bringing a file to the disk takes long enough to be killed in it."""
    child = os.fork()
    if child:
        return child
    honest = os.fsync

    def slow(descriptor: int) -> None:
        time.sleep(0.02)
        honest(descriptor)
        time.sleep(0.02)

    os.fsync = slow
    try:
        train(stage, root, str(out), num_steps, 0.1)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def wait_for(child: int, condition: Callable[[], bool]) -> None:
    """Until the condition holds, or the process has ended."""
    while not condition() and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.002)


def finish(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        raise SystemExit("a training failed")


def train_and_kill(stage: str, root: str, out: Path, num_steps: int, num_kills: int, seed: int) -> int:
    """Train to `out`/whole; and to `out`/killed, killed while it trains and while it saves, then to the end.

    Returns:
        How many kills left a file half-written.
    """
    rng, whole, killed = random.Random(seed), out / "whole", out / "killed"
    state = killed / "state" / "last.safetensors"
    started = time.monotonic()
    finish(split_off(stage, root, whole, num_steps))
    between = (time.monotonic() - started) * small_pretrain().loop.checkpoint_every / num_steps

    def stamp() -> int:
        return state.stat().st_mtime_ns if state.exists() else 0

    def saving() -> bool:
        return any(killed.rglob(".*.tmp"))

    half_written = 0
    for kill in range(num_kills):
        before, early = stamp(), kill % 10 == 9
        child = split_off(stage, root, killed, num_steps)
        if not early:  # but once the run has saved again: so it gets on
            wait_for(child, lambda before=before: stamp() != before)
        if kill % 5 == 2:
            wait_for(child, saving)
            time.sleep(rng.uniform(0, 0.03))
        else:
            time.sleep(rng.uniform(0, 1.5 * between))
        os.kill(child, signal.SIGKILL)
        if not os.WIFSIGNALED(os.waitpid(child, 0)[1]):
            raise SystemExit(f"the training ended before kill {kill}")
        half_written += saving() and not early
    finish(split_off(stage, root, killed, num_steps))
    return half_written


def main() -> None:
    """train STAGE DATA OUT STEPS PROCESSES, without dropout; or kill STAGE DATA OUT STEPS KILLS SEED:
    once to OUT/whole, once, killed, to OUT/killed; prints how many kills left a file half-written.
    """
    torch.set_num_threads(1)
    command, stage, root, out, num_steps, *rest = sys.argv[1:]
    if command == "train":
        train(stage, root, out, int(num_steps), 0.0, int(rest[0]))
    else:
        warm_up()
        print(train_and_kill(stage, root, Path(out), int(num_steps), int(rest[0]), int(rest[1])))


if __name__ == "__main__":
    main()
