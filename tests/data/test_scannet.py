import json
from pathlib import Path

import numpy as np
import pytest
from tests.data.mutate import mutated
from tests.data.tiny import KINDS, TinyScene, tiny_scene, write_tiny_scene

from askscan.data.folder import ARRAY_NAMES, DataFolder
from askscan.data.ply import read_ply, write_ply
from askscan.data.scannet import read_aggregation, read_aligned, read_info, read_scene, scene_sources
from askscan.errors import DataError
from askscan.records import Mesh
from askscan.shapes import CLASS_NAMES

SCENE = "scene0000_00"


@pytest.fixture
def truth() -> TinyScene:
    return tiny_scene(0, 600)


def boxed_objects(truth: TinyScene) -> list[tuple[int, int, np.ndarray]]:
    """Slow oracle: objectId, nyu40 id and box of each object that gets one, by a loop over its points."""
    result = []
    for object_id, (_, nyu40) in enumerate(KINDS):
        if nyu40 in range(3, 22) or nyu40 in range(23, 41):
            points = [p for p, o in zip(truth.xyz.astype(float), truth.object_of_point, strict=True) if o == object_id]
            low, high = np.min(points, axis=0), np.max(points, axis=0)
            result.append((object_id, nyu40, np.concatenate([(low + high) / 2, high - low])))
    return result


def write_arrays(folder: DataFolder, truth: TinyScene, *, normals: bool = True) -> None:
    """What ScanRefer's preparation leaves: aligned positions, normals that are not aligned."""
    raw_normals = np.tile(np.array([[1.0, 0, 0]], np.float32), (len(truth.xyz), 1))
    rows = np.concatenate([truth.xyz, truth.rgb, raw_normals][: 3 if normals else 2], axis=1).astype(np.float32)
    boxes = [[*box, nyu40, object_id] for object_id, nyu40, box in boxed_objects(truth)]
    sem = np.array([0, *(nyu40 for _, nyu40 in KINDS)], np.uint32)[truth.object_of_point + 1]
    folder.array("x", "y").parent.mkdir(exist_ok=True)
    np.save(folder.array(SCENE, "aligned_vert"), rows)
    np.save(folder.array(SCENE, "ins_label"), (truth.object_of_point + 1).astype(np.uint32))
    np.save(folder.array(SCENE, "sem_label"), sem)
    np.save(folder.array(SCENE, "aligned_bbox"), np.array(boxes, np.float64))


def check_against(scene, truth: TinyScene, *, atol: float = 1e-5) -> None:
    expected = boxed_objects(truth)
    np.testing.assert_allclose(scene.xyz, truth.xyz, atol=atol)
    np.testing.assert_array_equal(scene.rgb, truth.rgb)
    assert scene.object_id.tolist() == [object_id for object_id, _, _ in expected]
    np.testing.assert_allclose(scene.boxes, [box for _, _, box in expected], atol=atol)
    names = ["chair", "desk", "others", "shower curtain", "bed"]
    assert [CLASS_NAMES[index] for index in scene.box_class] == names
    row_of = {object_id: row + 1 for row, (object_id, _, _) in enumerate(expected)}
    assert scene.instance.tolist() == [row_of.get(o, 0) for o in truth.object_of_point.tolist()]


def test_mesh_scene_equals_the_oracle(tiny: DataFolder, truth: TinyScene) -> None:
    scene, notes = read_scene(tiny, SCENE)
    check_against(scene, truth)
    assert scene.scene_type == "Bedroom / Hotel" and notes == ()
    assert scene.normals is not None  # of the triangles
    lengths = np.linalg.norm(scene.normals / 127.0, axis=1)
    assert np.all((abs(lengths - 1) < 0.02) | (lengths == 0))


def test_geometry_knows_the_way_from_the_file(tiny: DataFolder) -> None:
    scan = read_aligned(tiny, SCENE)
    raw = read_ply(tiny.mesh(SCENE)).vertices
    np.testing.assert_allclose(raw @ scan.from_file[:3, :3].T + scan.from_file[:3, 3], scan.mesh.vertices, atol=1e-6)
    assert len(scan.mesh.faces) == 299 and scan.name == SCENE


def test_arrays_equal_the_mesh(tiny: DataFolder, truth: TinyScene) -> None:
    write_arrays(tiny, truth)
    tiny.mesh(SCENE).unlink()
    assert [path.suffix for path in scene_sources(tiny, SCENE)] == [".npy"] * 4 + [".txt"]
    scene, notes = read_scene(tiny, SCENE)
    check_against(scene, truth)
    assert notes == ()
    # The files' normals all point along x of the unaligned scan: turned, they are the alignment's first column.
    np.testing.assert_allclose(scene.normals / 127.0, np.tile(truth.alignment[:3, 0], (600, 1)), atol=0.005)


def test_arrays_without_alignment_say_that_normals_stay(tiny: DataFolder, truth: TinyScene) -> None:
    write_arrays(tiny, truth)
    for path in (tiny.scans / SCENE).iterdir():
        path.unlink()
    scene, notes = read_scene(tiny, SCENE)
    check_against(scene, truth)
    assert "normals of scene0000_00_aligned_vert.npy stay unaligned" in notes[0]
    np.testing.assert_array_equal(scene.normals, np.tile([127, 0, 0], (600, 1)))
    write_arrays(tiny, truth, normals=False)
    assert read_scene(tiny, SCENE)[0].normals is None


def test_arrays_of_a_test_scan_have_no_objects(tiny: DataFolder, truth: TinyScene) -> None:
    write_arrays(tiny, truth)
    tiny.mesh(SCENE).unlink()
    np.save(tiny.array(SCENE, "aligned_bbox"), np.zeros((1, 8)))
    tiny.array(SCENE, "ins_label").unlink()
    scene, notes = read_scene(tiny, SCENE)
    assert scene.boxes.shape == (0, 6) and not scene.instance.any() and "no objects" in notes[0]


def test_mesh_normals_are_turned_with_the_scan(tiny: DataFolder, truth: TinyScene) -> None:
    mesh = read_ply(tiny.mesh(SCENE))
    normals = np.tile(np.array([[0, 1, 0]], np.float32), (600, 1))
    full = Mesh(vertices=mesh.vertices, faces=mesh.faces, colors=None, normals=normals)
    write_ply(tiny.mesh(SCENE), full)
    scene, notes = read_scene(tiny, SCENE)
    np.testing.assert_allclose(scene.normals / 127.0, np.tile(truth.alignment[:3, 1], (600, 1)), atol=0.005)
    assert scene.rgb is None and "no colours" in notes[0]


def test_a_test_scan_has_neither_alignment_nor_objects(tiny: DataFolder) -> None:
    for path in (tiny.info(SCENE), tiny.aggregation(SCENE), tiny.segments(SCENE)):
        path.unlink()
    scene, notes = read_scene(tiny, SCENE)
    np.testing.assert_array_equal(scene.xyz, read_ply(tiny.mesh(SCENE)).vertices)
    assert not scene.instance.any() and scene.scene_type == ""
    assert "no axisAlignment" in notes[0] and "no aggregation" in notes[1]


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_shared_segment_belongs_to_the_later_object_but_both_boxes_span_it(
    tiny: DataFolder, truth: TinyScene
) -> None:
    same = {"objectId": 9, "label": "bed", "segments": [21, 28, 35]}  # those of object 0
    edit(tiny.aggregation(SCENE), lambda c: c["segGroups"].append(same))
    scene, _ = read_scene(tiny, SCENE)
    assert scene.object_id.tolist() == [0, 1, 4, 5, 6, 9]
    first = truth.object_of_point == 0
    np.testing.assert_allclose(scene.boxes[5, 3:], np.ptp(truth.xyz[first], axis=0), atol=1e-5)
    np.testing.assert_array_equal(scene.boxes[0], scene.boxes[5])
    assert set(scene.instance[first]) == {6} and set(scene.instance[truth.object_of_point == 6]) == {5}


def test_repeated_and_absent_segments(tiny: DataFolder, truth: TinyScene) -> None:
    def change(content) -> None:
        content["segGroups"].append(content["segGroups"][0])  # the same object twice
        content["segGroups"].append({"objectId": 50, "label": "bed", "segments": [99999]})  # no vertex has it

    edit(tiny.aggregation(SCENE), change)
    check_against(read_scene(tiny, SCENE)[0], truth)
    assert len(read_aggregation(tiny.aggregation(SCENE))) == len(KINDS) + 1


def test_unknown_labels_stop_or_are_skipped(tiny: DataFolder) -> None:
    edit(tiny.aggregation(SCENE), lambda c: c["segGroups"][1].update(label="flux capacitor"))
    with pytest.raises(DataError, match="`flux capacitor` not in scannetv2-labels"):
        read_scene(tiny, SCENE)
    scene, notes = read_scene(tiny, SCENE, skip_unknown_labels=True)
    assert scene.object_id.tolist() == [0, 4, 5, 6] and "flux capacitor" in notes[0]


@pytest.mark.parametrize(
    "file, change, said",
    [
        ("aggregation", lambda c: c.pop("segGroups"), "no `segGroups`"),
        ("aggregation", lambda c: c["segGroups"][2].update(objectId="x"), "segGroups 2: `objectId`"),
        ("aggregation", lambda c: c["segGroups"][2].update(objectId=0), "which is a office chair"),
        ("segments", lambda c: c["segIndices"].pop(), "599 segment numbers for 600 vertices"),
        ("segments", lambda c: c["segIndices"].append([1]), "one whole number per vertex"),
        ("segments", lambda c: c.update(segIndices=[0.5] * 600), "one whole number per vertex"),
        ("segments", lambda c: c["segIndices"].append(10**30), "one whole number per vertex"),
    ],
)
def test_contradictions_are_named(tiny: DataFolder, file: str, change, said: str) -> None:
    path = getattr(tiny, file)(SCENE)
    edit(path, change)
    with pytest.raises(DataError, match=said) as caught:
        read_scene(tiny, SCENE)
    assert path.name in str(caught.value)


def test_one_of_aggregation_and_segments_is_not_enough(tiny: DataFolder) -> None:
    tiny.segments(SCENE).unlink()
    with pytest.raises(DataError, match=r"segs\.json"):
        read_scene(tiny, SCENE)


@pytest.mark.parametrize(
    "text, good",
    [
        ("axisAlignment = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1", True),
        ("axisAlignment = 1 0 0", False),
        ("axisAlignment = " + "nan " * 16, False),
        ("axisAlignment = 2 0 0 0 0 2 0 0 0 0 2 0 0 0 0 1", False),
        ("axisAlignment = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 7 1", False),
        ("axisAlignment = a b", False),
    ],
)
def test_alignment_must_be_a_rigid_motion(tmp_path: Path, text: str, good: bool) -> None:
    path = tmp_path / "scene0000_00.txt"
    path.write_text(f"appVersionId = x = y\n\n{text}\nsceneType = Kitchen \n")
    if good:
        info = read_info(path)
        np.testing.assert_array_equal(info.alignment, np.eye(4))
        assert info.scene_type == "Kitchen"
    else:
        with pytest.raises(DataError, match=r"scene0000_00\.txt: axisAlignment"):
            read_info(path)


def test_points_that_are_not_finite_and_tiny_scans_are_refused(tiny: DataFolder) -> None:
    mesh = read_ply(tiny.mesh(SCENE))
    broken = mesh.vertices.copy()
    broken[5, 1] = np.nan
    none = np.zeros((0, 3), np.int32)
    write_ply(tiny.mesh(SCENE), Mesh(vertices=broken, faces=none, colors=None, normals=None))
    with pytest.raises(DataError, match="1 points are not finite"):
        read_scene(tiny, SCENE)
    write_ply(tiny.mesh(SCENE), Mesh(vertices=mesh.vertices[:10], faces=none, colors=None, normals=None))
    with pytest.raises(DataError, match="10 points"):
        read_scene(tiny, SCENE)


def test_a_scene_without_anything_is_named(tiny: DataFolder) -> None:
    with pytest.raises(DataError, match=r"scene0077_00_vh_clean_2\.ply: no such file"):
        read_scene(tiny, "scene0077_00")


def test_damaged_scenes_are_read_or_refused(tiny: DataFolder, truth: TinyScene) -> None:
    rng = np.random.default_rng(5)
    num_read = 0

    def attack(paths: list[Path], times: int) -> None:
        nonlocal num_read
        for path in paths:
            data = path.read_bytes()
            for _ in range(times):
                path.write_bytes(mutated(data, rng))
                try:
                    scene, _ = read_scene(tiny, SCENE)
                except DataError as error:
                    assert SCENE in str(error) or path.name in str(error)
                else:
                    num_read += 1
                    assert np.isfinite(scene.boxes).all() and scene.instance.max() <= len(scene.boxes)
            path.write_bytes(data)

    attack([tiny.aggregation(SCENE), tiny.segments(SCENE), tiny.info(SCENE), tiny.mesh(SCENE), tiny.label_table], 60)
    write_arrays(tiny, truth)
    tiny.mesh(SCENE).unlink()
    attack([tiny.array(SCENE, n) for n in ARRAY_NAMES], 60)
    assert num_read >= 540 / 5


def test_forged_array_shapes_allocate_nothing(tiny: DataFolder, truth: TinyScene) -> None:
    write_arrays(tiny, truth)
    tiny.mesh(SCENE).unlink()
    path = tiny.array(SCENE, "aligned_vert")
    path.write_bytes(path.read_bytes().replace(b"(600, 9), }      ", b"(600000000000, 9)"))
    with pytest.raises(DataError, match="aligned_vert"):
        read_scene(tiny, SCENE)
    np.save(path, np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DataError, match="not a readable"):
        read_scene(tiny, SCENE)


def test_a_foreign_scan_stands_in(tiny: DataFolder, real_data: Path) -> None:
    write_tiny_scene(tiny.root, tiny_scene(8, 600))
    scene_id = "myroom"
    (tiny.scans / scene_id).mkdir()
    (tiny.scans / scene_id / "myroom.ply").symlink_to((real_data / "scans" / "quest_music_room.ply").resolve())
    scene, notes = read_scene(tiny, scene_id)
    assert scene.scene_id == scene_id and len(scene.xyz) > 10_000 and len(scene.boxes) == 0 and notes
