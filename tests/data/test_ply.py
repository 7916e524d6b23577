import time
import tracemalloc
from pathlib import Path

import numpy as np
import plyfile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.mutate import mutated

from askscan.data.ply import count_points, read_ply, write_ply
from askscan.errors import DataError
from askscan.records import Mesh

RNG = np.random.default_rng(0)
XYZ = RNG.normal(size=(12, 3)).astype(np.float32)
RGB = RNG.integers(0, 256, (12, 3)).astype(np.uint8)
TRIANGLES = RNG.integers(0, 12, (7, 3)).astype(np.int32)


def mesh(**changes) -> Mesh:
    return Mesh(**({"vertices": XYZ, "faces": TRIANGLES, "colors": RGB, "normals": None} | changes))


def write_with_plyfile(
    path: Path, *, order: str = "<", text: bool = False, position: str = "f4", color: str | None = "u1",
    length: str = "u1", index: str = "i4", faces: list | None = None, extra: bool = False, key: str = "vertex_indices",
) -> None:  # fmt: skip
    kinds = [(axis, position) for axis in "xyz"]
    kinds += [("quality", "f8")] if extra else []
    kinds += [(name, color) for name in ("red", "green", "blue")] if color else []
    kinds += [("nx", "f4"), ("ny", "f4"), ("nz", "f4")] if extra else []
    vertex = np.zeros(len(XYZ), kinds)
    for i, axis in enumerate("xyz"):
        vertex[axis] = XYZ[:, i]
        if extra:
            vertex[f"n{axis}"] = [0, 0, 2][i]
    for i, name in enumerate(("red", "green", "blue")):
        if color:
            vertex[name] = RGB[:, i] / 255 if color[0] == "f" else RGB[:, i]
    elements = [plyfile.PlyElement.describe(np.array([(1.0,)], [("fov", "f4")]), "camera")] if extra else []
    elements.append(plyfile.PlyElement.describe(vertex, "vertex"))
    if faces is not None:
        rows = np.empty(len(faces), [(key, object), ("flag", "u1")] if extra else [(key, object)])
        for row, face in enumerate(faces):
            rows[key][row] = np.array(face, index)
        elements.append(plyfile.PlyElement.describe(rows, "face", len_types={key: length}, val_types={key: index}))
    plyfile.PlyData(elements, text=text, byte_order=order).write(str(path))


def test_write_then_read_is_equal(tmp_path: Path) -> None:
    normals = XYZ / np.linalg.norm(XYZ, axis=1, keepdims=True)
    write_ply(tmp_path / "a.ply", mesh(normals=normals))
    found = read_ply(tmp_path / "a.ply")
    np.testing.assert_array_equal(found.vertices, XYZ)
    np.testing.assert_array_equal(found.faces, TRIANGLES)
    np.testing.assert_array_equal(found.colors, RGB)
    np.testing.assert_allclose(found.normals, normals, atol=1e-6)
    assert count_points(tmp_path / "a.ply") == 12
    oracle = plyfile.PlyData.read(str(tmp_path / "a.ply"))
    np.testing.assert_array_equal(oracle["vertex"]["alpha"], 255)
    np.testing.assert_array_equal(np.stack(oracle["face"]["vertex_indices"]), TRIANGLES)


@pytest.mark.parametrize("order, text", [("<", False), (">", False), ("=", True)])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"faces": TRIANGLES.tolist()},
        {"position": "f8", "length": "i4", "index": "u4", "faces": TRIANGLES.tolist(), "color": "f4"},
        {"color": None, "faces": TRIANGLES.tolist(), "length": "u2", "index": "u2", "key": "vertex_index"},
        {"extra": True, "faces": TRIANGLES.tolist(), "index": "u1", "color": "i4"},
    ],
)
def test_variants(tmp_path: Path, order: str, text: bool, options: dict) -> None:
    path = tmp_path / "v.ply"
    write_with_plyfile(path, order=order, text=text, **options)
    found = read_ply(path)
    np.testing.assert_allclose(found.vertices, XYZ, rtol=1e-5)
    np.testing.assert_array_equal(found.faces, TRIANGLES if options.get("faces") else np.zeros((0, 3)))
    if options.get("color", "u1") is None:
        assert found.colors is None
    else:
        np.testing.assert_array_equal(found.colors, RGB)
    if options.get("extra"):
        np.testing.assert_array_equal(found.normals, np.tile([0, 0, 1], (12, 1)))


@pytest.mark.parametrize("order, text", [("<", False), (">", False), ("=", True)])
def test_polygons_become_fans(tmp_path: Path, order: str, text: bool) -> None:
    faces = [[0, 1, 2, 3], [4, 5, 6], [7, 8], [], [11, 10, 9, 8, 7]]
    write_with_plyfile(tmp_path / "q.ply", order=order, text=text, faces=faces, extra=True)
    expected = [(0, 1, 2), (0, 2, 3), (4, 5, 6), (11, 10, 9), (11, 9, 8), (11, 8, 7)]
    assert [tuple(face) for face in read_ply(tmp_path / "q.ply").faces.tolist()] == expected


def test_windows_line_ends_and_comments(tmp_path: Path) -> None:
    header = "ply\r\nformat ascii 1.0\r\ncomment a  b\r\nobj_info x\r\nelement vertex 2\r\n"
    header += "property float x\r\nproperty float y\r\nproperty float z\r\nend_header\r\n1 2 3\r\n4 5 6"
    (tmp_path / "w.ply").write_bytes(header.encode())
    np.testing.assert_array_equal(read_ply(tmp_path / "w.ply").vertices, [[1, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    "body, said",
    [
        (b"", "not a PLY"),
        (b"solid cube", "not a PLY"),
        (b"ply\nformat binary_little_endian 1.0\nelement vertex 3\nproperty float x\n", "end of the file"),
        (b"ply\nformat martian 1.0\nend_header\n", "martian"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\n1\n", "x, y and z"),
        (b"ply\nformat ascii 1.0\nelement face 0\nproperty list uchar int vertex_indices\nend_header\n", "no element"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float x\nend_header\n1 2", "twice"),
    ],
)
def test_what_is_no_ply_is_refused(tmp_path: Path, body: bytes, said: str) -> None:
    (tmp_path / "bad.ply").write_bytes(body)
    with pytest.raises(DataError, match=said) as caught:
        read_ply(tmp_path / "bad.ply")
    assert "bad.ply" in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.ply"):
        read_ply(tmp_path / "none.ply")


@pytest.mark.parametrize("text", [False, True])
def test_faces_out_of_range_are_refused(tmp_path: Path, text: bool) -> None:
    for wrong in ([0, 1, 12], [0, -1, 2]):
        write_with_plyfile(tmp_path / "f.ply", text=text, faces=[[0, 1, 2], wrong])
        with pytest.raises(DataError, match="there are 12"):
            read_ply(tmp_path / "f.ply")


def test_forged_counts_allocate_nothing(tmp_path: Path) -> None:
    write_ply(tmp_path / "a.ply", mesh())
    data = (tmp_path / "a.ply").read_bytes()
    tracemalloc.start()
    for forged in (b"element vertex 100000000000", b"element vertex 999999999999999999", b"element vertex 13"):
        (tmp_path / "b.ply").write_bytes(data.replace(b"element vertex 12", forged))
        with pytest.raises(DataError, match=r"cut off|damaged|vertex"):
            read_ply(tmp_path / "b.ply")
    (tmp_path / "b.ply").write_bytes(data.replace(b"element face 7", b"element face 70000000000"))
    with pytest.raises(DataError, match="cut off"):
        read_ply(tmp_path / "b.ply")
    with pytest.raises(DataError, match="cut off"):
        count_points(tmp_path / "b.ply")
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("order, text", [("<", False), (">", False), ("=", True)])
def test_damaged_files_are_read_or_refused(tmp_path: Path, order: str, text: bool) -> None:
    rng = np.random.default_rng(7)
    path = tmp_path / "d.ply"
    num_read = 0
    for faces in (TRIANGLES.tolist(), [[0, 1, 2, 3], [4, 5, 6], [7, 8, 9]]):
        write_with_plyfile(path, order=order, text=text, faces=faces, extra=faces[0][-1] == 3)
        data = path.read_bytes()
        for _ in range(400):
            path.write_bytes(mutated(data, rng))
            try:
                found = read_ply(path)
            except DataError as error:
                assert "d.ply" in str(error)
            else:
                num_read += 1
                assert len(found.vertices) and (not len(found.faces) or found.faces.max() < len(found.vertices))
    assert num_read > 80


@settings(max_examples=40, deadline=None)
@given(lengths=st.lists(st.integers(0, 6), max_size=12), seed=st.integers(0, 99), text=st.booleans())
def test_any_mix_of_polygons_equals_a_loop(tmp_path_factory, lengths: list[int], seed: int, text: bool) -> None:
    rng = np.random.default_rng(seed)
    faces = [rng.integers(0, 12, n).tolist() for n in lengths]
    path = tmp_path_factory.mktemp("ply") / "mix.ply"
    write_with_plyfile(path, faces=faces, text=text)
    expected = [[f[0], f[i], f[i + 1]] for f in faces for i in range(1, len(f) - 1)]
    assert read_ply(path).faces.tolist() == expected


def test_a_scan_of_150000_vertices_takes_milliseconds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    big = Mesh(
        vertices=rng.normal(size=(150_000, 3)).astype(np.float32),
        faces=rng.integers(0, 150_000, (300_000, 3)).astype(np.int32),
        colors=rng.integers(0, 256, (150_000, 3)).astype(np.uint8),
        normals=None,
    )
    write_ply(tmp_path / "big.ply", big)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        found = read_ply(tmp_path / "big.ply")
        times.append(time.perf_counter() - start)
    np.testing.assert_array_equal(found.faces, big.faces)
    assert min(times) < 0.05  # 4 to 9 ms on an idle core; the machine of a test is not always idle


def test_real_scan(real_data: Path) -> None:
    found = read_ply(real_data / "scans" / "quest_music_room.ply")
    assert found.vertices.shape == (43107, 3) and found.faces.shape == (86786, 3) and found.colors is None
    oracle = plyfile.PlyData.read(
        str(real_data / "scans" / "quest_music_room.ply"), known_list_len={"face": {"vertex_indices": 3}}
    )
    np.testing.assert_array_equal(found.vertices[:, 1], oracle["vertex"]["y"])
    np.testing.assert_array_equal(found.faces, oracle["face"]["vertex_indices"])
