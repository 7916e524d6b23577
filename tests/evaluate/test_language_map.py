from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import colormaps
from tests.train import stand_ins

from askscan.data.bank import SceneBank
from askscan.data.folder import DataFolder
from askscan.data.prepared import load_prepared
from askscan.errors import ConfigError, DataError
from askscan.evaluate import language_map
from askscan.evaluate.answerer import Answerer, own_turn, scan_points, turned
from askscan.evaluate.language_map import KINDS, LanguageMap, PhraseRetrieval, embed_objects, objects_of_kinds
from askscan.evaluate.language_picture import draw_language_map, write_language_map
from askscan.evaluate.maps import map_scenes
from askscan.evaluate.runs import Run, load_run
from askscan.geometry.boxes import decode_boxes
from askscan.models.pretrainer import Pretrainer
from askscan.records import DetectorOutput, Mesh, Scan
from askscan.shapes import CLASS_NAMES

PHRASES = ("a bed", "the chair is red", "$a table")
PER_PROPOSAL = {"proposal_vote_xyz", "features", "objectness", "center", "heading_scores", "heading_residuals"}
PER_PROPOSAL |= {"size_scores", "size_residuals", "semantic_scores"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("runs")
    data = str(stand_ins.write_data(root).root)
    stand_ins.train("pretrain", data, str(root / "pre"), 2, 0.0)
    stand_ins.train("answers", data, str(root / "answers"), 1, 0.0)
    return root


@pytest.fixture
def answerer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Answerer:
    """A pre-trained run whose detector takes every proposal for an object."""
    monkeypatch.setattr(Run, "teacher", lambda *args, **keywords: stand_ins.StandInTeacher())
    found = Answerer(load_run(folder / "pre"), torch.device("cpu"))
    believe(found, +5.0)
    return found


def believe(answerer: Answerer, logit: float) -> None:
    assert isinstance(answerer.run.module, Pretrainer)
    answerer.run.module.scene.detector.proposal.head.bias[1] = logit


def scan(seed: int = 0, from_file: np.ndarray | None = None) -> Scan:
    scene, _ = stand_ins.make_scene("scene", seed)
    mesh = Mesh(vertices=scene.xyz, faces=np.zeros((0, 3), np.int32), colors=scene.rgb, normals=None)
    return Scan(name="scene", mesh=mesh, from_file=np.eye(4) if from_file is None else from_file)


def alone(detector: DetectorOutput, k: int) -> DetectorOutput:
    """The detector's output with one proposal."""
    values = {f.name: getattr(detector, f.name) for f in fields(detector)}
    return DetectorOutput(**{name: x[:, [k]] if name in PER_PROPOSAL else x for name, x in values.items()})


def test_similarity_is_that_of_a_scene_with_one_object(answerer: Answerer):
    found = answerer.language_map(scan(), *PHRASES)
    module, points = answerer.run.module, scan_points(scan())
    assert isinstance(module, Pretrainer)
    sampled = answerer._sampled(turned(points, own_turn(points)), 0)
    detector = module.scene.detector(sampled)
    boxes = decode_boxes(detector)
    teacher = stand_ins.StandInTeacher()
    rows = [int((boxes.objectness[0] - o).abs().argmin()) for o in found.objectness.tolist()]
    assert len(set(rows)) == len(rows) > 1
    for p, phrase in enumerate(PHRASES):
        text = teacher.embed_texts([f"Point cloud of a scene where {phrase}"])[0]
        for i, k in enumerate(rows):
            embedded = module.head(module.scene.encoder(alone(detector, k), sampled)[:, 0])[0]
            assert found.similarity[p, i] == pytest.approx(float(torch.cosine_similarity(text, embedded, 0)), abs=1e-5)
            assert found.labels[i] == CLASS_NAMES[int(boxes.semantic_class[0, k])]
        whole = module(sampled).scene_embedding[0]
        assert found.scene_similarity[p] == pytest.approx(float(torch.cosine_similarity(text, whole, 0)), abs=1e-5)
        assert found.ranking(p).tolist() == sorted(range(len(rows)), key=lambda i: -found.similarity[p, i])


def test_boxes_come_back_in_the_files_axes(answerer: Answerer):
    matrix = np.array([[0, 2, 0, 1], [-2, 0, 0, 3], [0, 0, 2, -1], [0, 0, 0, 1]], np.float64)
    plain, moved = answerer.language_map(scan(), "a bed"), answerer.language_map(scan(from_file=matrix), "a bed")
    k = len(plain.labels)
    assert plain.corners.shape == (k, 8, 3)
    assert plain.center.shape == plain.size.shape == (k, 3)
    np.testing.assert_allclose(plain.corners, plain.aligned_corners)
    np.testing.assert_array_equal(plain.aligned_corners, moved.aligned_corners)
    np.testing.assert_allclose(moved.corners @ matrix[:3, :3].T + matrix[:3, 3], plain.corners, atol=1e-9)
    np.testing.assert_allclose(moved.center, moved.corners.mean(1), atol=1e-9)
    np.testing.assert_allclose(moved.size, np.ptp(moved.corners, axis=1), atol=1e-9)


def test_a_turned_scan_has_the_same_map(answerer: Answerer):
    turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]], np.float32)
    one = scan()
    other = replace(one, mesh=replace(one.mesh, vertices=one.mesh.vertices @ turn.T))
    first, second = (answerer.language_map(s, *PHRASES) for s in (one, other))
    np.testing.assert_allclose(first.similarity, second.similarity, atol=1e-5)
    np.testing.assert_allclose(first.aligned_corners.mean(1) @ turn.T, second.aligned_corners.mean(1), atol=1e-4)


def test_only_objects_that_survive_suppression_are_shown(answerer: Answerer):
    module = answerer.run.module
    assert isinstance(module, Pretrainer)
    sampled = torch.cat([answerer._sampled(scan_points(scan(seed)), 0) for seed in (0, 1)])
    found = embed_objects(module, sampled)
    assert len(found) == 2
    assert all(len(o.center) <= 12 and (o.objectness > 0.5).all() for o in found)
    torch.testing.assert_close(found[1].embedding, embed_objects(module, sampled[1:])[0].embedding)
    believe(answerer, -20.0)
    assert all(len(o.center) == len(o.embedding) == 0 for o in embed_objects(module, sampled))
    with pytest.raises(DataError, match=r"scene: the detector of .*pre found no object"):
        answerer.language_map(scan(), "a bed")


def test_what_cannot_be_mapped_is_refused(answerer: Answerer, folder: Path):
    with pytest.raises(ConfigError, match=r"answers: a run that answers questions .*`askscan pretrain"):
        Answerer(load_run(folder / "answers"), torch.device("cpu")).language_map(scan(), "a bed")
    for phrases in ((), ("a bed", " ")):
        with pytest.raises(ConfigError, match="a phrase is empty"):
            answerer.language_map(scan(), *phrases)


def test_retrieval_by_phrases_is_that_of_a_loop():
    rng = np.random.default_rng(0)
    retrieval, hits, others, chances = PhraseRetrieval(), [], [], []
    for num_objects in (5, 3, 1, 0):
        similarity, fits = rng.normal(size=(4, num_objects)), rng.random((4, num_objects)) < 0.3
        retrieval.add(similarity, fits)
        for kind in range(4):
            if fits[kind].any():
                best = [max(range(num_objects), key=lambda k, row=row: row[k]) for row in similarity]
                hits.append(fits[kind][best[kind]])
                others.append(np.mean([fits[kind][best[j]] for j in range(4) if j != kind]))
                chances.append(fits[kind].sum() / num_objects)
    figures = retrieval.compute()
    assert list(figures) == ["R@1 phrase -> object", "R@1 other phrase -> object", "R@1 object chance"]
    assert list(figures.values()) == pytest.approx([100 * np.mean(x) for x in (hits, others, chances)])
    assert PhraseRetrieval().compute() == {}


def test_evaluating_a_run_finds_objects_by_the_names_of_their_kinds(
    answerer: Answerer, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(language_map, "_MATCH_IOU", 1e-9)  # the boxes of an untrained detector fit badly
    data, run, retrieval = DataFolder(folder), answerer.run, PhraseRetrieval()
    assert isinstance(run.module, Pretrainer)
    teacher = stand_ins.StandInTeacher()
    scores = map_scenes(run, data, "val", out=tmp_path, teacher=teacher).scores
    scenes = [load_prepared(data.prepared(scene_id)) for scene_id in data.scenes("val")]
    bank = SceneBank.from_scenes(scenes, "cpu")
    points = bank.points(torch.arange(3), run.config.inputs)
    names = teacher.embed_texts([f"Point cloud of a scene where a {kind}" for kind in CLASS_NAMES[:17]])
    for scene, objects in zip(scenes, embed_objects(run.module, points), strict=True):
        similarity = torch.cosine_similarity(names[:, None], objects.embedding[None], -1)
        retrieval.add(similarity.numpy(), objects_of_kinds(objects, scene))
    expected = retrieval.compute()
    assert len(expected) == 3
    assert {name: scores[name] for name in expected} == pytest.approx(expected)


def test_objects_are_of_the_kind_that_they_overlap(answerer: Answerer):
    scene, _ = stand_ins.make_scene("scene", 0)
    assert isinstance(answerer.run.module, Pretrainer)
    (objects,) = embed_objects(answerer.run.module, answerer._sampled(scene, 0))
    boxes = torch.from_numpy(scene.boxes)
    center = torch.cat([boxes[:2, :3], boxes[:1, :3] + 9])
    size, three = torch.cat([boxes[:2, 3:], boxes[:1, 3:]]), slice(0, 3)
    known = replace(
        objects,
        center=center,
        size=size,
        embedding=objects.embedding[three],
        semantic_class=objects.semantic_class[three],
        objectness=objects.objectness[three],
    )
    fits = objects_of_kinds(known, scene)
    assert fits.shape == (17, 3)
    assert sorted(zip(*map(list, np.nonzero(fits)), strict=True)) == sorted(
        [(KINDS.index("chair"), 0), (KINDS.index("table"), 1)]
    )


def test_the_picture_has_a_panel_and_a_colour_bar_per_phrase(answerer: Answerer, tmp_path: Path):
    found = answerer.language_map(scan(), *PHRASES)
    figure = draw_language_map(scan(), found)
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == list(PHRASES)
    assert len(figure.axes) == 2 * len(PHRASES)
    for axes, similarity in zip(panels, found.similarity, strict=True):
        (boxes,) = axes.collections
        # The least similar object first, in the dark end of the scale.
        shares = (np.sort(similarity) - similarity.min()) / np.ptp(similarity)
        np.testing.assert_allclose(boxes.get_edgecolor(), colormaps["viridis"](shares), atol=0.02)
        assert len(axes.patches) == 1  # around the most similar
    flat = replace(found, aligned_corners=found.aligned_corners * (1, 1, 0) + (0, 0, 50))  # above the camera
    for name, start in (("map.png", b"\x89PNG"), ("map.jpg", b"\xff\xd8")):
        write_language_map(tmp_path / name, scan(), flat)
        assert (tmp_path / name).read_bytes().startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.jpg", "map.png"]


def test_one_object_and_one_phrase_are_a_map(answerer: Answerer):
    found = answerer.language_map(scan(), "a bed")
    one = LanguageMap(
        phrases=found.phrases,
        labels=found.labels[:1],
        scene_similarity=found.scene_similarity,
        **{name: getattr(found, name)[:1] for name in ("objectness", "center", "size", "corners", "aligned_corners")},
        similarity=found.similarity[:, :1],
    )
    assert len(draw_language_map(scan(), one).axes) == 2
