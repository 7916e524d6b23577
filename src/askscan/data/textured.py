"""OBJ, GLB and glTF files: the scene graph is applied, and textures become vertex colours on small triangles."""

from __future__ import annotations

import io
import json
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy import ndarray

from askscan.errors import DataError
from askscan.records import Mesh

PLAIN_GREY = 200
"""Of parts without a colour in a file whose other parts have one."""

_GLB_MAGIC = b"glTF"
_MAX_ELEMENTS = 100_000_000
_PICTURES = ("image", "baseColorTexture", "normalTexture", "emissiveTexture", "occlusionTexture",
             "metallicRoughnessTexture")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One mesh (or set of points) of a file, moved to its place in the file's scene."""

    vertices: Float[ndarray, "v 3"]
    faces: Int[ndarray, "f 3"]
    uv: Float[ndarray, "v 2"] | None
    """Texture coordinates, v upwards."""
    image: UInt8[ndarray, "h w 3"] | None
    colors: UInt8[ndarray, "v 3"] | None
    notes: tuple[str, ...] = ()
    """What of it is damaged and was left out: one sentence each."""


def read_parts(path: Path) -> list[Part]:
    """Read all meshes and points of an OBJ, GLB or glTF file, in its own axes and units.

    Textures that cannot be decoded and triangles of vertices that are not there are left out, and noted.

    Raises:
        DataError: the file is missing, damaged, truncated, or holds no geometry.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.suffix.lower() == ".glb":
        _check_glb(path)
    elif path.suffix.lower() == ".gltf":
        _check_document(path, path.read_bytes(), _MAX_ELEMENTS)
    import trimesh

    try:
        if path.suffix.lower() == ".obj":
            # Comments and names may be in any encoding.
            text = io.StringIO(path.read_bytes().decode("utf-8", errors="replace"))
            resolver = trimesh.resolvers.FilePathResolver(str(path))
            scene = trimesh.load_scene(text, file_type="obj", resolver=resolver, process=False)
        else:
            scene = trimesh.load_scene(path, process=False)
        lost = sum(_drop_damaged_pictures(geometry) for geometry in scene.geometry.values())
        parts = [_to_part(geometry) for geometry in scene.dump() if hasattr(geometry, "vertices")]
    except Exception as error:
        # Foreign parsers raise anything on damaged files; all of it means the same to the user.
        reason = str(error).strip().split("\n")[0][:160] or type(error).__name__
        raise DataError(f"{path}: cannot be read ({reason}); export it again, or as PLY") from error
    parts = [part for part in parts if len(part.vertices)]
    if not parts:
        raise DataError(f"{path}: no triangles or points in it; export the scan itself")
    if lost:
        note = f"{lost} textures of the file are damaged and were left out."
        parts[0] = replace(parts[0], notes=(*parts[0].notes, note))
    return parts


def bake(parts: list[Part], max_edge: float, max_faces: int) -> Mesh:
    """One mesh with vertex colours: triangles with a texture are divided until it shows in the vertices.

    Args:
        parts: what `read_parts` returned.
        max_edge: longest edge of a textured triangle afterwards, in the file's units.
        max_faces: about how many triangles the division may lead to; edges stay longer where it would be more.
    """
    has_color = any(part.colors is not None or part.image is not None for part in parts)
    edges = [_longest_edges(part) for part in parts if part.image is not None]
    if edges:
        lengths = np.concatenate(edges)
        while _num_divided(lengths, max_edge) > max_faces and max_edge < lengths.max():
            max_edge *= 1.25
    vertices, faces, colors, start = [], [], [], 0
    for part in parts:
        xyz, triangles, rgb = _bake_part(part, max_edge)
        vertices.append(xyz)
        faces.append(triangles + start)
        colors.append(rgb)
        start += len(xyz)
    return Mesh(
        vertices=np.concatenate(vertices).astype(np.float32),
        faces=np.concatenate(faces).astype(np.int32),
        colors=np.concatenate(colors) if has_color else None,
        normals=None,
    )


def merge(parts: list[Part]) -> Mesh:
    """The bare geometry of all parts."""
    starts = np.cumsum([0, *(len(part.vertices) for part in parts)])
    return Mesh(
        vertices=np.concatenate([part.vertices for part in parts]).astype(np.float32),
        faces=np.concatenate([part.faces + n for part, n in zip(parts, starts, strict=False)]).astype(np.int32),
        colors=None,
        normals=None,
    )


def without_triangles_of(parts: list[Part], bad: Bool[ndarray, "v"]) -> list[Part]:
    """The parts without the triangles that touch bad vertices (numbered as in `merge`), which divide without end."""
    starts = np.cumsum([len(part.vertices) for part in parts])[:-1]
    masks = np.split(bad, starts)
    return [
        replace(part, faces=part.faces[~mask[part.faces].any(axis=1)]) for part, mask in zip(parts, masks, strict=True)
    ]


def _bake_part(part: Part, max_edge: float) -> tuple[ndarray, ndarray, ndarray]:
    if part.image is None or part.uv is None:
        colors = part.colors
        if colors is None:
            colors = np.full((len(part.vertices), 3), PLAIN_GREY, np.uint8)
        return part.vertices, part.faces, colors
    corners, faces = _divide(np.concatenate([part.vertices, part.uv], axis=1), part.faces, max_edge)
    return corners[:, :3], faces, _sample_texture(part.image, corners[:, 3:], faces)


def _divide(
    corners: Float[ndarray, "v d"], faces: Int[ndarray, "f 3"], max_edge: float
) -> tuple[Float[ndarray, "w d"], Int[ndarray, "g 3"]]:
    """Split triangles in four until no edge is longer than `max_edge`; all columns of `corners` are interpolated."""
    for _ in range(12):
        first, second = corners[faces], corners[np.roll(faces, -1, axis=1)]
        length = np.linalg.norm((second - first)[..., :3], axis=2).max(axis=1)
        large = length > max_edge
        if not large.any():
            break
        split = faces[large]
        ends = np.stack([split, np.roll(split, -1, axis=1)], axis=2).reshape(-1, 2)
        ends = np.sort(ends, axis=1)
        _, where, inverse = np.unique(ends[:, 0] * len(corners) + ends[:, 1], return_index=True, return_inverse=True)
        middle = (len(corners) + inverse).reshape(-1, 3)
        corners = np.concatenate([corners, corners[ends[where]].mean(axis=1)])
        (a, b, c), (ab, bc, ca) = split.T, middle.T
        quarters = [np.stack(corner, axis=1) for corner in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
        faces = np.concatenate([faces[~large], *quarters])
    return corners, faces


def _sample_texture(
    image: UInt8[ndarray, "h w 3"], uv: Float[ndarray, "v 2"], faces: Int[ndarray, "f 3"]
) -> UInt8[ndarray, "v 3"]:
    """Vertex colours: the mean of samples inside the triangles around a vertex (never across a seam of the atlas)."""
    height, width = image.shape[:2]
    total, count = np.zeros((len(uv), 3)), np.zeros(len(uv))
    for corner in range(3):
        weights = np.full(3, 1 / 6)
        weights[corner] = 2 / 3
        at = np.nan_to_num(np.einsum("fcd,c->fd", uv[faces], weights), posinf=0.0, neginf=0.0) % 1.0
        column = np.minimum((at[:, 0] * width).astype(np.int64), width - 1)
        row = np.minimum(((1.0 - at[:, 1]) * height).astype(np.int64), height - 1)
        sample = image[row, column].astype(np.float64)
        count += np.bincount(faces[:, corner], minlength=len(uv))
        for channel in range(3):
            total[:, channel] += np.bincount(faces[:, corner], sample[:, channel], minlength=len(uv))
    return np.round(total / np.maximum(count, 1)[:, None]).astype(np.uint8)


def _longest_edges(part: Part) -> Float[ndarray, "f"]:
    corners = part.vertices[part.faces]
    return np.linalg.norm(corners - np.roll(corners, -1, axis=1), axis=2).max(axis=1, initial=0.0)


def _num_divided(lengths: Float[ndarray, "f"], max_edge: float) -> float:
    levels = np.ceil(np.log2(np.maximum(lengths / max_edge, 1.0)))
    return float((4.0 ** np.minimum(levels, 12)).sum())


def _to_part(geometry: Any) -> Part:
    vertices = np.asarray(geometry.vertices, dtype=np.float64).reshape(-1, 3)
    faces = np.asarray(getattr(geometry, "faces", np.zeros((0, 3))), dtype=np.int64).reshape(-1, 3)
    there = ((faces >= 0) & (faces < len(vertices))).all(axis=1)
    notes = () if there.all() else (f"{(~there).sum()} triangles of vertices that are not there were left out.",)
    faces = faces[there]
    visual = geometry.visual if len(faces) else None
    uv, image, colors = None, None, None
    if visual is None:
        colors = _rgb(getattr(geometry, "colors", None), len(vertices))
    elif visual.kind == "texture":
        image = _image(visual.material)
        uv = None if visual.uv is None else np.asarray(visual.uv, dtype=np.float64)
        if image is None or uv is None or uv.shape != (len(vertices), 2):
            uv, image = None, None
            colors = _rgb(visual.vertex_attributes.get("color"), len(vertices))
            colors = _plain(visual.material, len(vertices)) if colors is None else colors
    elif visual.kind is not None:
        colors = _rgb(visual.vertex_colors, len(vertices))
    return Part(vertices=vertices, faces=faces, uv=uv, image=image, colors=colors, notes=notes)


def _drop_damaged_pictures(geometry: Any) -> int:
    """Take away the pictures of a material that cannot be decoded; how many."""
    material = getattr(getattr(geometry, "visual", None), "material", None)
    pictures = {name: getattr(material, name, None) for name in _PICTURES}
    damaged = [name for name, picture in pictures.items() if picture is not None and not _decodes(picture)]
    for name in damaged:
        setattr(material, name, None)
    return len(damaged)


def _decodes(picture: Any) -> bool:
    try:
        picture.load()
    except Exception:  # the decoders raise anything on damaged bytes
        return False
    return True


def _image(material: Any) -> UInt8[ndarray, "h w 3"] | None:
    picture = getattr(material, "baseColorTexture", None)
    if picture is None:
        picture = getattr(material, "image", None)
    return None if picture is None else np.asarray(picture.convert("RGB"), dtype=np.uint8)


def _plain(material: Any, num: int) -> UInt8[ndarray, "v 3"] | None:
    color = getattr(material, "baseColorFactor", None)
    if color is None:
        color = getattr(material, "diffuse", None)
    return None if color is None else np.tile(np.asarray(color, dtype=np.uint8)[:3], (num, 1))


def _rgb(colors: Any, num: int) -> UInt8[ndarray, "v 3"] | None:
    if colors is None or len(colors) != num or not num:
        return None
    values = np.asarray(colors)[:, :3]
    if values.dtype.kind == "f":
        values = np.clip(np.nan_to_num(values) * (255.0 if values.max(initial=0.0) <= 1.0 else 1.0), 0, 255)
    return values.astype(np.uint8)


def _check_glb(path: Path) -> None:
    """Refuse damaged GLB files with a reason, and ones whose numbers would make a reader allocate without end."""
    data = path.read_bytes()
    if len(data) < 20 or data[:4] != _GLB_MAGIC:
        what = "empty" if not data else "not a GLB file (it does not begin with glTF)"
        raise DataError(f"{path}: {what}; export it again")
    version, length, json_length = struct.unpack("<III", data[4:16])
    if version != 2:
        raise DataError(f"{path}: glTF version {version} instead of 2; export it again")
    if length > len(data) or 20 + json_length > len(data):
        raise DataError(f"{path}: truncated ({len(data)} of {max(length, 20 + json_length)} bytes); copy it again")
    _check_document(path, data[20 : 20 + json_length], min(len(data), _MAX_ELEMENTS))


def _check_document(path: Path, text: bytes, max_elements: int) -> None:
    try:
        document = json.loads(text)
        counts = [int(accessor["count"]) for accessor in document.get("accessors", [])]
        children = [list(node.get("children", [])) for node in document.get("nodes", [])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DataError(f"{path}: its JSON is damaged ({error}); export it again") from error
    if any(count < 0 or count > max_elements for count in counts):
        raise DataError(f"{path}: it claims {max(counts)} elements, more than the file can hold; export it again")
    parents = [child for group in children for child in group]
    if len(parents) != len(set(map(str, parents))):
        raise DataError(f"{path}: a node of its scene has two parents; export it again")
