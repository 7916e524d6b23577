"""What is damaged and who reads it: small valid files of every kind, each with the function that a user would reach."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from tests.data import tiny
from tests.fuzz import damage
from tests.models import tiny as tiny_models
from tests.train import stand_ins

from askscan.data.annotations import read_descriptions, read_questions, read_sqa3d
from askscan.data.folder import ARRAY_NAMES, DataFolder, read_scene_list
from askscan.data.labels import read_label_table
from askscan.data.ply import write_ply
from askscan.data.prepare import prepare
from askscan.data.prepared import load_prepared
from askscan.data.scan_files import read_scan
from askscan.data.scannet import read_scene
from askscan.evaluate.maps import read_map
from askscan.evaluate.prediction_file import read_predictions
from askscan.evaluate.runs import load_run
from askscan.evaluate.score import Scores
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import ScanQA
from askscan.models.weights import export, load_into, read_checkpoint
from askscan.records import Camera, Mesh, Question
from askscan.render.pictures import Picture, camera_path, load_camera, load_picture, save_picture
from askscan.rooms.layout_file import read_layout
from askscan.train.checkpoint import RunFolder
from askscan.train.embeddings import EmbeddingCache

SCENE, BARE = "scene0000_00", "scene0001_00"
"""One with a mesh, one with prepared arrays in its place."""


@dataclass(frozen=True)
class Target:
    """One file of a kind, under the folder of all seeds."""

    kind: str
    path: str
    read: Callable[[Path], object]
    """Gets the file's path, inside a copy of the folder."""
    damage: damage.Damage


def make_seeds(root: Path) -> list[Target]:
    """Write one valid file of each kind; returns the targets."""
    tiny.write_tiny_collection(root, 3, points=240)
    _write_arrays(root)
    _write_scans(root / "scans_of_users")
    prepare(DataFolder(root))
    _write_models(root)
    return [*_collection(), *_arrays(), *_scans(), *_models(root), *_results(root)]


def _data(path: Path) -> DataFolder:
    return DataFolder(next(parent for parent in path.parents if (parent / "qa").is_dir()))


def _collection() -> list[Target]:
    scans, meta = f"scannet/scans/{SCENE}/{SCENE}", "scannet/meta_data"

    def scene(path: Path) -> object:
        return read_scene(_data(path), SCENE)

    sqa3d = "sqa3d/v1_balanced_{}_val_scannetv2.json"
    return [
        Target("ply", f"{scans}_vh_clean_2.ply", scene, damage.of_ply),
        Target("json", f"{scans}.aggregation.json", scene, damage.of_json),
        Target("json", f"{scans}_vh_clean_2.0.010000.segs.json", scene, damage.of_json),
        Target("text", f"{scans}.txt", scene, damage.of_table),
        Target("tsv", f"{meta}/scannetv2-labels.combined.tsv", read_label_table, damage.of_table),
        Target("tsv", f"{meta}/scannetv2-labels.combined.tsv", scene, damage.of_table),
        Target("text", f"{meta}/scannetv2_train.txt", read_scene_list, damage.of_table),
        Target("json", "qa/ScanQA_v1.0_val.json", lambda p: read_questions(_data(p), "val"), damage.of_json),
        Target("json", "qa/ScanQA_v1.0_test_w_obj.json", lambda p: read_questions(_data(p), "test_w_obj"),
               damage.of_json),
        Target("json", "ScanRefer_filtered_val.json", lambda p: read_descriptions(_data(p), "val"), damage.of_json),
        Target("json", sqa3d.format("questions"), lambda p: read_sqa3d(_data(p), "val"), damage.of_json),
        Target("json", sqa3d.format("sqa_annotations"), lambda p: read_sqa3d(_data(p), "val"), damage.of_json),
        Target("safetensors", f"prepared/{SCENE}.safetensors", load_prepared, damage.of_safetensors),
    ]  # fmt: skip


def _write_arrays(root: Path) -> None:
    """ScanRefer's arrays of a scene in place of its mesh."""
    rng, folder = np.random.default_rng(0), root / "scannet" / "scannet_data"
    folder.mkdir()
    (root / "scannet" / "scans" / BARE / f"{BARE}_vh_clean_2.ply").unlink()
    vertices = np.concatenate(
        [rng.uniform(-2, 2, (240, 3)), rng.uniform(0, 255, (240, 3)), rng.normal(size=(240, 3))], 1
    )
    boxes = np.array([[0, 0, 0.5, 1, 1, 1, 5, 0], [1, 1, 0.5, 1, 1, 1, 7, 3]], np.float64)
    np.save(folder / f"{BARE}_aligned_vert.npy", vertices.astype(np.float32))
    np.save(folder / f"{BARE}_ins_label.npy", rng.choice([0, 1, 4], 240).astype(np.uint32))
    np.save(folder / f"{BARE}_sem_label.npy", rng.choice([0, 5, 7], 240).astype(np.uint32))
    np.save(folder / f"{BARE}_aligned_bbox.npy", boxes)


def _arrays() -> list[Target]:
    return [
        Target("npy", f"scannet/scannet_data/{BARE}_{n}.npy", lambda p: read_scene(_data(p), BARE), damage.of_npy)
        for n in ARRAY_NAMES
    ]


def _write_scans(folder: Path) -> None:
    """A box-shaped room with a textured wall, as people's apps write it."""
    import trimesh

    folder.mkdir()
    room = trimesh.creation.box((4, 2.5, 3))
    rng = np.random.default_rng(0)
    mesh = Mesh(
        vertices=trimesh.sample.sample_surface(room, 400, seed=0)[0].astype(np.float32),
        faces=np.arange(396, dtype=np.int32).reshape(-1, 3),
        colors=rng.integers(0, 256, (400, 3)).astype(np.uint8),
        normals=np.tile(np.float32([0, 0, 1]), (400, 1)),
    )
    write_ply(folder / "room.ply", mesh)
    rows = [f"{x:.4f} {y:.4f} {z:.4f}" for x, y, z in mesh.vertices]
    head = (
        "ply\nformat ascii 1.0\nelement vertex 400\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    (folder / "points.ply").write_text(head + "\n".join(rows) + "\n")
    pcd = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\nWIDTH 400\nHEIGHT 1\nPOINTS 400\nDATA ascii\n"
    (folder / "room.pcd").write_text(pcd + "\n".join(rows) + "\n")
    textured = room.subdivide().subdivide().subdivide()
    uv = (textured.vertices[:, :2] + 2) / 4
    picture = Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8))
    material = trimesh.visual.material.PBRMaterial(baseColorTexture=picture)
    textured.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
    textured.export(folder / "room.glb")
    lines = [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in textured.vertices]
    lines += [f"f {a + 1} {b + 1} {c + 1}" for a, b, c in textured.faces]
    (folder / "room.obj").write_text("\n".join(lines) + "\n")
    boxes = [{"kind": "chair", "center": [1, 1, 0.4], "size": [0.5, 0.5, 0.8], "heading": 0.0, "color": "red"}]
    boxes += [{"kind": "lamp", "center": [2, 2, 0.7], "size": [0.4, 0.4, 1.4]}]
    (folder / "layout.json").write_text(json.dumps({"boxes": boxes, "room_size": [4, 3, 2.5], "scene_type": "Office"}))


def _scans() -> list[Target]:
    kinds = {"room.ply": "ply", "points.ply": "ply", "room.pcd": "pcd", "room.glb": "glb", "room.obj": "obj"}
    damages = {"ply": damage.of_ply, "pcd": damage.mutated, "glb": damage.of_glb, "obj": damage.mutated}

    def scan(path: Path) -> object:
        return read_scan(path, max_points=5000)

    targets = [Target(kind, f"scans_of_users/{name}", scan, damages[kind]) for name, kind in kinds.items()]
    layout = Target("json", "scans_of_users/layout.json", lambda path: read_layout(path, 0), damage.of_json)
    return [*targets, targets[3], layout]


def _write_models(root: Path) -> None:
    """A run, its checkpoint, its embeddings, and weights of others (of a small network, with their names)."""
    data = stand_ins.write_data(_made(root / "small"))
    stand_ins.train("answers", str(data.root), str(root / "run"), 1, 0.0)
    weights = RunFolder(root / "run").model
    save_file(load_file(weights), weights)  # without the checksum, which would hide what comes after it
    EmbeddingCache(root / "cache", stand_ins.StandInTeacher()).sentences(["a chair", "two beds"])
    torch.manual_seed(0)
    model = Pretrainer(tiny_models.PRETRAINER)
    theirs = {"votenet": "votenet.tar", "depthcontrast": "contrast.pth.tar", "3dvqa": "model_last.pth"}
    for layout, name in theirs.items():
        torch.save(export(model, layout), root / name)  # type: ignore[arg-type]
    published = _made(root / "published")
    torch.save(export(ScanQA(tiny_models.SCAN_QA), "3dvqa"), published / "model.pth")
    (published / "answer_vocab.json").write_text(json.dumps(dict.fromkeys("abcdefg", 2)))
    (published / "info.json").write_text(json.dumps({"num_proposals": 16}))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _fill(path: Path) -> None:
    load_into(Pretrainer(tiny_models.PRETRAINER), read_checkpoint(path))


def _models(root: Path) -> list[Target]:
    def state(path: Path) -> object:
        return RunFolder(path.parents[1]).load_state()

    def run(path: Path) -> object:
        return load_run(path.parent)

    def shard(path: Path) -> object:
        return EmbeddingCache(path.parents[1], stand_ins.StandInTeacher()).sentences(["a chair", "two beds"])

    (cached,) = (root / "cache" / "stand-in").iterdir()
    names = ("votenet.tar", "contrast.pth.tar", "model_last.pth")
    return [
        *(Target("checkpoint", name, _fill, damage.of_checkpoint) for name in names),
        Target("safetensors", "run/model.safetensors", run, damage.of_safetensors),
        Target("safetensors", "run/model.safetensors", read_checkpoint, damage.of_safetensors),
        Target("safetensors", "run/state/last.safetensors", state, damage.of_safetensors),
        Target("safetensors", f"cache/stand-in/{cached.name}", shard, damage.of_safetensors),
        Target("json", "run/answers.json", run, damage.of_json),
        Target("yaml", "run/config.yaml", run, damage.mutated),
        Target("checkpoint", "published/model.pth", run, damage.of_checkpoint),
        Target("json", "published/answer_vocab.json", run, damage.of_json),
        Target("json", "published/info.json", run, damage.of_json),
    ]


def _results(root: Path) -> list[Target]:
    """Files that the package writes and reads back."""
    questions = (Question(scene_id=SCENE, question_id="q0", text="What?", answers=("a",)),)
    corners = [[float(x), float(y), float(z)] for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    entry: dict[str, Any] = {"scene_id": SCENE, "question_id": "q0", "answer_top10": ["a", "b"], "bbox": corners}
    (root / "predictions.json").write_text(json.dumps([entry]))
    Scores(split="val", num_questions=1, figures={"EM@1": 50.0}, intervals={"EM@1": (40.0, 60.0)}, notes=("x",)).save(
        root / "scores.val.json"
    )
    map_ = {"scene_ids": ["a"], "room_types": ["b"], "xy": [[0.0, 1.0]], "scores": {"R@1": 3.0}}
    (root / "map.val.json").write_text(json.dumps(map_))
    camera = Camera(world_to_camera=np.eye(4), orthographic=False, focal=100.0, width=8, height=8)
    save_picture(root / "top.jpg", Picture(image=np.zeros((8, 8, 3), np.uint8), camera=camera))
    return [
        Target("picture", "top.jpg", load_picture, damage.mutated),
        Target("json", camera_path(root / "top.jpg").name, load_camera, damage.of_json),
        Target("json", "predictions.json", lambda path: read_predictions(path, questions), damage.of_json),
        Target("json", "scores.val.json", Scores.load, damage.of_json),
        Target("json", "map.val.json", read_map, damage.of_json),
    ]
