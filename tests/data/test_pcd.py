from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from askscan.data.pcd import lzf_decompress, read_pcd
from askscan.errors import DataError

XYZ = np.random.default_rng(0).uniform(-2, 2, (12, 3)).astype(np.float32)
RGB = np.random.default_rng(1).integers(0, 256, (12, 3)).astype(np.uint8)
PACKED = (RGB[:, 0].astype(np.uint32) << 16) | (RGB[:, 1].astype(np.uint32) << 8) | RGB[:, 2]


def header(encoding: str, *, fields: str = "x y z rgb", kinds: str = "F F F U", height: int = 1) -> bytes:
    sizes = " ".join("4" for _ in fields.split())
    return (
        f"# .PCD v0.7 - Point Cloud Data file format\nVERSION 0.7\nFIELDS {fields}\nSIZE {sizes}\nTYPE {kinds}\n"
        f"COUNT {' '.join('1' for _ in fields.split())}\nWIDTH {12 // height}\nHEIGHT {height}\n"
        f"VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 12\nDATA {encoding}\n"
    ).encode()


def literal_lzf(plain: bytes) -> bytes:
    """Plain bytes as LZF literals, with no references."""
    runs = [plain[i : i + 32] for i in range(0, len(plain), 32)]
    return b"".join(bytes([len(run) - 1]) + run for run in runs)


def body(encoding: str) -> bytes:
    if encoding == "ascii":
        return "\n".join(f"{x!r} {y!r} {z!r} {c}" for (x, y, z), c in zip(XYZ.tolist(), PACKED, strict=True)).encode()
    if encoding == "binary":
        rows = np.zeros(12, dtype=[("xyz", "<f4", 3), ("rgb", "<u4")])
        rows["xyz"], rows["rgb"] = XYZ, PACKED
        return rows.tobytes()
    plain = XYZ.T.tobytes() + PACKED.tobytes()
    packed = literal_lzf(plain)
    return np.array([len(packed), len(plain)], "<u4").tobytes() + packed


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
@pytest.mark.parametrize("kind", ["U", "F", "I"])
def test_every_encoding_gives_the_same_points(tmp_path: Path, encoding: str, kind: str) -> None:
    path = tmp_path / "a.pcd"
    data = body(encoding)
    if encoding == "ascii" and kind == "F":
        colors = PACKED.view(np.float32).tolist()
        data = "\n".join(f"{x!r} {y!r} {z!r} {c!r}" for (x, y, z), c in zip(XYZ.tolist(), colors, strict=True)).encode()
    path.write_bytes(header(encoding, kinds=f"F F F {kind}", height=3) + data)
    mesh, one_frame = read_pcd(path)
    np.testing.assert_array_equal(mesh.vertices, XYZ)
    np.testing.assert_array_equal(mesh.colors, RGB)
    assert one_frame and mesh.normals is None and mesh.faces.shape == (0, 3)


def test_old_files_with_colours_as_whole_numbers_in_a_float_field(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(header("ascii", kinds="F F F F") + body("ascii"))
    np.testing.assert_array_equal(read_pcd(path)[0].colors, RGB)


def test_normals_padding_and_separate_colours(tmp_path: Path) -> None:
    fields, kinds = "_ x y z normal_x normal_y normal_z r g b", "F F F F F F F F F F"
    rows = np.column_stack([np.zeros(12), XYZ, np.tile([0, 0, 1], (12, 1)), RGB / 255])
    path = tmp_path / "a.pcd"
    path.write_bytes(header("binary", fields=fields, kinds=kinds) + rows.astype("<f4").tobytes())
    mesh, one_frame = read_pcd(path)
    np.testing.assert_array_equal(mesh.vertices, XYZ)
    np.testing.assert_allclose(mesh.colors, RGB, atol=1)
    np.testing.assert_array_equal(mesh.normals, np.tile([0, 0, 1], (12, 1)))
    assert not one_frame


def test_points_without_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(header("binary", fields="x y z", kinds="F F F") + XYZ.tobytes())
    assert read_pcd(path)[0].colors is None


def test_lzf_references_may_overlap_what_they_write() -> None:
    # "ab", then 10 bytes from 2 back (long form: 7 + 1), then 3 bytes from 1 back.
    packed = bytes([1]) + b"ab" + bytes([(7 << 5), 1, 1]) + bytes([(1 << 5), 0])
    assert bytes(lzf_decompress(packed, 15)) == b"ab" * 6 + b"bbb"
    with pytest.raises(ValueError, match="damaged"):
        lzf_decompress(bytes([0, 65, 1 << 5, 9]), 4)
    with pytest.raises(ValueError, match="2 bytes instead of 5"):
        lzf_decompress(bytes([1, 65, 66]), 5)


@pytest.mark.parametrize("encoding", ["ascii", "binary", "binary_compressed"])
def test_damaged_files_are_named(tmp_path: Path, encoding: str) -> None:
    whole = header(encoding) + body(encoding)
    path = tmp_path / "a.pcd"
    for damaged in (
        b"",
        whole[:40],
        whole[: len(header(encoding)) + 5],
        whole[:-20],
        whole.replace(b"FIELDS x", b"FIELDS q"),
        whole.replace(b"WIDTH 12", b"WIDTH 99999999999"),
        whole.replace(b"WIDTH 12", b"WIDTH -4"),
        whole.replace(b"SIZE 4", b"SIZE 3"),
        whole.replace(b"TYPE F", b"TYPE Q"),
        whole.replace(b"DATA ", b"DATA x"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"a\.pcd: not a readable PCD file"):
            read_pcd(path)
    with pytest.raises(DataError, match="cannot be read"):
        read_pcd(tmp_path / "none.pcd")


def test_a_real_depth_frame(real_data: Path) -> None:
    mesh, one_frame = read_pcd(real_data / "scans" / "office1.pcd")
    assert one_frame and mesh.vertices.shape == (640 * 480, 3) and mesh.colors is not None
    finite = np.isfinite(mesh.vertices).all(axis=1)
    assert 0.5 < finite.mean() < 0.95
    assert np.abs(mesh.vertices[finite]).max() < 10
    # A white door and light walls: the bytes of the colours are in the right order when they are nearly grey.
    spread = np.ptp(mesh.colors[finite].astype(int), axis=1)
    assert np.median(spread) < 30
