"""A small data folder in ScanNet's layout, written field by field without the package, for tests of any room.

Objects are boxes of random points; a scan's file is unaligned, its `.txt` turns it back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KINDS = (("office chair", 5), ("desk", 14), ("floor", 2), ("wall", 1), ("lamp", 35), ("shower curtain", 28), ("bed", 4))
"""Raw label and nyu40 id of the objects of every scene, in the order of their objectIds."""

COLORS = ("brown", "white", "black", "red")


@dataclass(frozen=True)
class TinyScene:
    """What a scene holds, in the aligned frame."""

    scene_id: str
    xyz: np.ndarray
    rgb: np.ndarray
    faces: np.ndarray
    object_of_point: np.ndarray
    """objectId of each point, -1: none."""
    alignment: np.ndarray


def tiny_scene(index: int, points: int, *, seed: int = 0) -> TinyScene:
    rng = np.random.default_rng([seed, index])
    object_of_point = np.sort(rng.integers(-1, len(KINDS), points))
    low = rng.uniform(-3, 2, (len(KINDS) + 1, 3)).round(2)
    size = rng.uniform(0.3, 1.5, (len(KINDS) + 1, 3))
    xyz = low[object_of_point] + rng.uniform(0, 1, (points, 3)) * size[object_of_point]
    xyz[:, 2] -= xyz[:, 2].min()
    angle = rng.uniform(0, 2 * np.pi)
    alignment = np.eye(4)
    alignment[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    alignment[:3, 3] = rng.uniform(-2, 2, 3)
    start = np.arange(0, points - 2, 2)
    return TinyScene(
        scene_id=f"scene{index:04d}_00",
        xyz=xyz.astype(np.float32),
        rgb=rng.integers(0, 256, (points, 3)).astype(np.uint8),
        faces=np.stack([start, start + 1, start + 2], axis=1).astype(np.int32),
        object_of_point=object_of_point,
        alignment=alignment.round(6),
    )


def write_tiny_scene(root: Path, scene: TinyScene) -> None:
    """Mesh, alignment, aggregation and segments."""
    folder = root / "scannet" / "scans" / scene.scene_id
    folder.mkdir(parents=True, exist_ok=True)
    rotation, shift = scene.alignment[:3, :3], scene.alignment[:3, 3]
    raw = ((scene.xyz.astype(np.float64) - shift) @ rotation).astype("<f4")  # inverse of the alignment
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(raw)}"]
    header += [f"property float {axis}" for axis in "xyz"]
    header += [f"property uchar {name}" for name in ("red", "green", "blue", "alpha")]
    header += [f"element face {len(scene.faces)}", "property list uchar int vertex_indices", "end_header"]
    rows = np.zeros(len(raw), [("p", "<f4", 3), ("c", "u1", 4)])
    rows["p"], rows["c"][:, :3], rows["c"][:, 3] = raw, scene.rgb, 255
    faces = np.zeros(len(scene.faces), [("n", "u1"), ("i", "<i4", 3)])
    faces["n"], faces["i"] = 3, scene.faces
    body = "\n".join(header).encode() + b"\n" + rows.tobytes() + faces.tobytes()
    (folder / f"{scene.scene_id}_vh_clean_2.ply").write_bytes(body)

    numbers = " ".join(f"{value:.6f}" for value in scene.alignment.reshape(-1))
    (folder / f"{scene.scene_id}.txt").write_text(f"axisAlignment = {numbers} \nsceneType = Bedroom / Hotel\n")
    # Segments finer than objects: three per object, 7 apart so that ids are not positions.
    segment = 7 * (3 * (scene.object_of_point + 1) + np.arange(len(raw)) % 3)
    name = f"{scene.scene_id}_vh_clean_2.0.010000.segs.json"
    (folder / name).write_text(json.dumps({"sceneId": scene.scene_id, "segIndices": segment.tolist()}))
    groups = [
        {"id": i, "objectId": i, "label": label, "segments": [7 * (3 * (i + 1) + j) for j in range(3)]}
        for i, (label, _) in enumerate(KINDS)
    ]
    (folder / f"{scene.scene_id}.aggregation.json").write_text(json.dumps({"segGroups": groups}))


def write_label_table(root: Path) -> None:
    folder = root / "scannet" / "meta_data"
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["id\traw_category\tcategory\tnyu40id\tnyu40class"]
    rows += [f"{i}\t{label}\t{label}\t{nyu40}\t{label}" for i, (label, nyu40) in enumerate(KINDS)]
    (folder / "scannetv2-labels.combined.tsv").write_text("\r\n".join(rows) + "\r\n")


def write_tiny_collection(root: Path, num_scenes: int = 2, points: int = 600) -> tuple[TinyScene, ...]:
    """A whole data folder: scans, label table, lists, ScanRefer, ScanQA and SQA3D; the last scene is val."""
    write_label_table(root)
    scenes = tuple(tiny_scene(index, points) for index in range(num_scenes))
    for scene in scenes:
        write_tiny_scene(root, scene)
    ids = [scene.scene_id for scene in scenes]
    for split, members in (("train", ids[:-1]), ("val", ids[-1:])):
        lines = "".join(f"{scene_id}\n" for scene_id in members)
        (root / "scannet" / "meta_data" / f"scannetv2_{split}.txt").write_text(lines)
        (root / f"ScanRefer_filtered_{split}.txt").write_text(lines)
        _write_annotations(root, split, members)
        _write_sqa3d(root, split, members)
    return scenes


def _write_annotations(root: Path, split: str, ids: list[str]) -> None:
    (root / "qa").mkdir(exist_ok=True)
    pairs = [(scene_id, i, label) for scene_id in ids for i, (label, nyu40) in enumerate(KINDS) if nyu40 > 2]
    sentences = [
        {"scene_id": s, "object_id": str(i), "object_name": label.replace(" ", "_"), "ann_id": "0"}
        | {"description": f"this is a {COLORS[i % 4]} {label}.", "token": ["this", "is", "a", COLORS[i % 4], label]}
        for s, i, label in pairs
    ]
    (root / f"ScanRefer_filtered_{split}.json").write_text(json.dumps(sentences))
    questions = [
        {"scene_id": s, "question_id": f"{split}-{s[:9]}-{n}", "question": f"What color is the {label}?"}
        | {"answers": [COLORS[i % 4], f"dark {COLORS[i % 4]}"], "object_ids": [i], "object_names": [label]}
        for n, (s, i, label) in enumerate(pairs)
    ]
    (root / "qa" / f"ScanQA_v1.0_{split}.json").write_text(json.dumps(questions))
    if split == "val":
        for name in ("test_w_obj", "test_wo_obj"):
            bare = [{key: q[key] for key in ("scene_id", "question_id", "question")} for q in questions]
            (root / "qa" / f"ScanQA_v1.0_{name}.json").write_text(json.dumps(bare))


def _write_sqa3d(root: Path, split: str, ids: list[str]) -> None:
    (root / "sqa3d").mkdir(exist_ok=True)
    questions, annotations = [], []
    for number, scene_id in enumerate(ids):
        for turn in range(3):
            half = 0.5 * (0.4 + 2 * turn)
            key = {"scene_id": scene_id, "question_id": 220602000000 + 10 * number + turn}
            words = {"situation": "I am facing the bed.", "alternative_situation": ["The bed is before me.", "I rest."]}
            questions.append({**key, **words, "question": "What is in front of me?"})
            answer = {"answer": "bed", "answer_confidence": "yes", "answer_id": 1}
            pose = {
                "rotation": {"_x": 0, "_y": 0, "_z": float(np.sin(half)), "_w": float(np.cos(half))},
                "position": {"x": 0.5 * turn, "y": -1.0, "z": 0},
            }
            annotations.append({**key, **pose, "answers": [answer], "question_type": "N/A", "answer_type": "other"})
    path = root / "sqa3d"
    (path / f"v1_balanced_questions_{split}_scannetv2.json").write_text(json.dumps({"questions": questions}))
    name = f"v1_balanced_sqa_annotations_{split}_scannetv2.json"
    (path / name).write_text(json.dumps({"annotations": annotations}))
