"""Models that published checkpoints fit: their widths, inputs and vocabulary, read from the files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from askscan.errors import ConfigError, WeightsError
from askscan.models.fusion import FusionConfig
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.scan_qa import ScanQAConfig
from askscan.models.scene_encoder import SceneEncoderConfig, SceneModelConfig
from askscan.models.votenet import DetectorConfig
from askscan.models.weights import BACKBONE, DETECTOR, FIRST_LAYER, TITLES, Foreign, published_inputs, read_checkpoint

VOCABULARY, ANSWERS_FILE = "answer_vocab.json", "answers.json"
"""What tells a published question-answering folder from ours."""
NUM_POINTS = 30_000
"""Points per scene where the options do not say."""
MAX_NUMBER = 1_000_000


@contextmanager
def _widths_of(foreign: Foreign) -> Iterator[None]:
    """Name the file whose tensors no network fits."""
    try:
        yield
    except ConfigError as error:
        raise WeightsError(f"{foreign.path}: no network has the widths of its tensors ({error})") from error


def detector_config(foreign: Foreign) -> DetectorConfig:
    """The detector that a checkpoint's tensors fit: widths and inputs are read from their shapes."""
    with _widths_of(foreign):
        return _detector_config(foreign)


def _detector_config(foreign: Foreign) -> DetectorConfig:
    def widths(part: str, depth: int) -> tuple[int, ...]:
        return tuple(foreign.width(f"{part}.mlp.{j}.linear.weight") for j in range(depth))

    sa = tuple((w[0], w[1], w[2]) for w in (widths(f"{BACKBONE}sa{i}", 3) for i in range(1, 5)))
    fp = tuple((w[0], w[1]) for w in (widths(f"{BACKBONE}fp{i}", 2) for i in (1, 2)))
    inputs = published_inputs(foreign.width(FIRST_LAYER, 1) - 3)
    if inputs is None:
        raise WeightsError(
            f"{foreign.path}: no known inputs have {foreign.width(FIRST_LAYER, 1)} channels; give its own model"
        )
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


def fitted_detector(config: DetectorConfig, foreign: Foreign) -> DetectorConfig:
    """A detector with the widths, and the height channel, of the one in a checkpoint, such as VoteNet's own."""
    theirs, ours = detector_config(foreign), config.backbone
    backbone = replace(
        ours,
        height=ours.height or theirs.backbone.height,
        sa_channels=theirs.backbone.sa_channels,
        fp_channels=theirs.backbone.fp_channels,
    )
    return replace(
        config,
        backbone=backbone,
        vote_factor=theirs.vote_factor,
        proposal_channels=theirs.proposal_channels,
        num_heading=theirs.num_heading,
    )


def scan_qa_config(foreign: Foreign) -> ScanQAConfig:
    """The model that a published question-answering checkpoint fits."""
    feedforward = "scene.encoder.layers.0.linear1.weight"
    with _widths_of(foreign):
        encoder = SceneEncoderConfig(width=foreign.width(feedforward, 1), feedforward=foreign.width(feedforward))
        return ScanQAConfig(
            num_answers=foreign.width("answer_head.out.weight"),
            scene=SceneModelConfig(detector=detector_config(foreign), encoder=encoder),
            fusion=FusionConfig(feedforward=foreign.width("fusion.layers.0.linear1.weight")),
            text_width=foreign.width("text_embedding.linear.weight", 1),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRun:
    """A question-answering folder of the published code."""

    weights: Foreign
    config: ScanQAConfig
    answer_counts: Mapping[str, int]
    """The vocabulary in the order of the answer head, with counts in the training split."""
    num_points: int
    """Points sampled per scene."""


def read_published_run(folder: Path) -> PublishedRun:
    """Reads model.pth, answer_vocab.json and info.json of a published 3D-VQA question-answering run."""
    folder = Path(folder)
    weights = read_checkpoint(folder)
    if weights.kind != "3dvqa-qa":
        raise WeightsError(
            f"{weights.path}: expected {TITLES['3dvqa-qa']} weights, got {TITLES[weights.kind]}; "
            "give the folder of a question-answering run"
        )
    path = folder / VOCABULARY
    counts = dict(sorted(_json_object(path).items()))
    wrong = [answer for answer, count in counts.items() if type(count) is not int or count < 1]
    if wrong:
        raise WeightsError(
            f"{path}: the count of {wrong[0]!r:.60} is {counts[wrong[0]]!r:.60}, expected a positive number; "
            "restore the file"
        )
    options = _json_object(folder / "info.json")
    config = scan_qa_config(weights)
    if config.num_answers != len(counts):
        raise WeightsError(
            f"{path}: {len(counts)} answers, but {weights.path.name} has {config.num_answers}; restore both"
        )
    detector = config.scene.detector
    numbers = {"num_proposals": detector.num_proposals, "num_points": NUM_POINTS}
    for name, default in numbers.items():
        numbers[name] = options.get(name, default)
        if type(numbers[name]) is not int or not 1 <= numbers[name] <= MAX_NUMBER:
            raise WeightsError(
                f"{folder / 'info.json'}: {name} is {numbers[name]!r:.60}, expected a positive number; restore the file"
            )
    backbone = _published_inputs(detector.backbone, options)
    detector = replace(detector, num_proposals=numbers["num_proposals"], backbone=backbone)
    config = replace(config, scene=replace(config.scene, detector=detector))
    return PublishedRun(weights=weights, config=config, answer_counts=counts, num_points=numbers["num_points"])


def read_vocabulary(run: Path) -> list[str]:
    """The answers of a question-answering run, in the order of its answer head; ours, or a published one.

    Args:
        run: Its folder, or the file of its weights.

    Raises:
        WeightsError: The folder does not tell.
    """
    folder = run if run.is_dir() else run.parent
    if (folder / ANSWERS_FILE).is_file():
        return list(_json_object(folder / ANSWERS_FILE))
    if (folder / VOCABULARY).is_file():
        return sorted(_json_object(folder / VOCABULARY))
    raise WeightsError(f"{run}: no {ANSWERS_FILE} beside the weights tells which answers it knows; give its run folder")


def _published_inputs(backbone: BackboneConfig, options: Mapping[str, Any]) -> BackboneConfig:
    """Three channels may be colour or normals: the options tell."""
    if backbone.in_channels in (3, 4) and options.get("use_normal") and not options.get("use_color"):
        return replace(backbone, color=False, normals=True)
    return backbone


def _json_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: cannot be read as JSON ({error}); restore it") from error
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected a JSON object, got {type(content).__name__}; restore it")
    return content
