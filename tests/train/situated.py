"""Situated questions about the stand-in scenes, in SQA3D's format: what has the colour that an agent looks at."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
from tests.train.stand_ins import make_scene, small_answers

from askscan.data.folder import DataFolder
from askscan.train.config import AnswerConfig
from askscan.train.recipes import situated


def write_situations(folder: DataFolder, num_scenes: int = 6) -> None:
    """In each scene an agent in the middle who looks at each of the four objects: "What is in front of me?"."""
    (folder.root / "sqa3d").mkdir(exist_ok=True)
    for split, seeds in (("train", range(num_scenes)), ("val", range(6, 9))):
        questions, annotations = [], []
        for seed in seeds:
            scene, names = make_scene(f"scene{seed:04}_00", seed)
            middle = (scene.xyz.min(0) + scene.xyz.max(0)) / 2
            for slot, (kind, color) in enumerate(names):
                to = scene.boxes[slot, :2] - middle[:2]
                half = (math.atan2(to[1], to[0]) + math.pi) / 2
                for number, (question, answer) in enumerate(
                    (("What is in front of me?", kind), ("Which color do I see?", color))
                ):
                    key = {"scene_id": scene.scene_id, "question_id": 100 * seed + 10 * slot + number}
                    words = {"situation": "I am standing in the middle.", "alternative_situation": ["a", "b"]}
                    questions.append({**key, **words, "question": question})
                    pose = {
                        "position": {"x": 0, "y": 0, "z": 0},
                        "rotation": {"_x": 0, "_y": 0, "_z": math.sin(half), "_w": math.cos(half)},
                    }
                    annotations.append({**key, **pose, "answers": [{"answer": answer}], "question_type": "N/A"})
        names_ = (folder.sqa3d_questions(split), folder.sqa3d_annotations(split))
        for path, value in zip(names_, ({"questions": questions}, {"annotations": annotations}), strict=True):
            _write(path, value)


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, default=lambda number: np.asarray(number).item()))


def small_situated(num_steps: int, dropout: float = 0.1) -> AnswerConfig:
    config = situated(small_answers(num_steps, dropout))
    return replace(config, loop=replace(config.loop, texts_per_scene=2))
