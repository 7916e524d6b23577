"""Models that published checkpoints fit: their widths, inputs and vocabulary, read from the files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from askscan.errors import WeightsError
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import PretrainerConfig
from askscan.models.scan_qa import ScanQAConfig
from askscan.models.scene_encoder import SceneEncoderConfig, SceneModelConfig
from askscan.models.votenet import DetectorConfig
from askscan.models.weights import BACKBONE, DETECTOR, FIRST_LAYER, TITLES, Foreign, published_inputs, read_checkpoint


def detector_config(foreign: Foreign) -> DetectorConfig:
    """The detector that a checkpoint's tensors fit: widths and inputs are read from their shapes."""

    def widths(part: str, depth: int) -> tuple[int, ...]:
        return tuple(foreign.width(f"{part}.mlp.{j}.linear.weight") for j in range(depth))

    sa = tuple((w[0], w[1], w[2]) for w in (widths(f"{BACKBONE}sa{i}", 3) for i in range(1, 5)))
    fp = tuple((w[0], w[1]) for w in (widths(f"{BACKBONE}fp{i}", 2) for i in (1, 2)))
    inputs = published_inputs(foreign.width(FIRST_LAYER, 1) - 3)
    if inputs is None:
        raise WeightsError(f"{foreign.path}: no known inputs have {foreign.width(FIRST_LAYER, 1)} channels")
    config = DetectorConfig(backbone=replace(inputs, sa_channels=sa, fp_channels=fp))
    if foreign.kind == "depthcontrast":
        return config
    proposal = widths(f"{DETECTOR}proposal.aggregation", 3)
    return replace(
        config,
        vote_factor=foreign.width(f"{DETECTOR}voting.head.weight") // (3 + fp[-1][-1]),
        proposal_channels=(proposal[0], proposal[1], proposal[2]),
        num_heading=(foreign.width(f"{DETECTOR}proposal.head.weight") - 95) // 2,
    )


def _scene_config(foreign: Foreign) -> SceneModelConfig:
    weight = "scene.encoder.layers.0.linear1.weight"
    encoder = SceneEncoderConfig(width=foreign.width(weight, 1), feedforward=foreign.width(weight))
    return SceneModelConfig(detector=detector_config(foreign), encoder=encoder)


def pretrainer_config(foreign: Foreign) -> PretrainerConfig:
    """The model that a published pre-training checkpoint fits."""
    return PretrainerConfig(scene=_scene_config(foreign), embedding_width=foreign.width("head.linear.weight"))


def scan_qa_config(foreign: Foreign) -> ScanQAConfig:
    """The model that a published question-answering checkpoint fits."""
    return ScanQAConfig(
        num_answers=foreign.width("answer_head.out.weight"),
        scene=_scene_config(foreign),
        text_width=foreign.width("text_embedding.linear.weight", 1),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """A question-answering folder of the published code."""

    weights: Foreign
    config: ScanQAConfig
    answers: tuple[str, ...]
    """The vocabulary, in the order of the answer head."""
    options: Mapping[str, Any]
    """The options it was trained with, as its info.json has them."""


def read_published_run(folder: Path) -> PublishedRun:
    """Reads model.pth, answer_vocab.json and info.json of a published 3D-VQA question-answering run."""
    folder = Path(folder)
    weights = read_checkpoint(folder)
    if weights.kind != "3dvqa-qa":
        raise WeightsError(f"{weights.path}: expected {TITLES['3dvqa-qa']} weights, got {TITLES[weights.kind]}")
    answers = tuple(sorted(_json_object(folder / "answer_vocab.json")))
    options = _json_object(folder / "info.json")
    config = scan_qa_config(weights)
    if config.num_answers != len(answers):
        raise WeightsError(
            f"{folder / 'answer_vocab.json'}: {len(answers)} answers, but {weights.path.name} has {config.num_answers}"
        )
    detector = config.scene.detector
    num_proposals = options.get("num_proposals", detector.num_proposals)
    if not isinstance(num_proposals, int) or num_proposals < 1:
        raise WeightsError(f"{folder / 'info.json'}: num_proposals is {num_proposals!r}, expected a positive number")
    detector = replace(detector, num_proposals=num_proposals, backbone=_published_inputs(detector.backbone, options))
    config = replace(config, scene=replace(config.scene, detector=detector))
    return PublishedRun(weights=weights, config=config, answers=answers, options=options)


def _published_inputs(backbone: BackboneConfig, options: Mapping[str, Any]) -> BackboneConfig:
    """Three channels may be colour or normals: the options tell."""
    if backbone.in_channels in (3, 4) and options.get("use_normal") and not options.get("use_color"):
        return replace(backbone, color=False, normals=True)
    return backbone


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object, got {type(content).__name__}")
    return content
