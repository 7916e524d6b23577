"""Pictures of meshes and points without a display: rays through embree, or splats where there are no triangles."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Int32, Shaped, UInt8
from numpy import ndarray

from askscan.geometry.cameras import pixel_rays
from askscan.geometry.meshes import keep_vertices, vertex_normals
from askscan.records import Camera, Mesh
from askscan.render.splat import point_spacing, splat, surface_points

RAYS_PER_BAND = 1 << 15

BACKGROUND = 255
"""Grey level where nothing is."""

SPLAT_SPACING_M = 0.008
"""Distance between the points that stand for triangles where there is no ray caster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """What rays meet first."""

    face: Int32[ndarray, "n"]
    """Triangle, -1 for none."""
    uv: Float32[ndarray, "n 2"]
    """Weights of the triangle's second and third corner."""
    distance: Float32[ndarray, "n"]
    """In lengths of the ray's direction; infinite for none."""


class Renderer:
    """A mesh made ready once (bad vertices dropped, tree built), to be looked at from many cameras."""

    def __init__(self, mesh: Mesh) -> None:
        finite = np.isfinite(mesh.vertices).all(axis=1)
        # Embree misses silently when a tree holds NaN.
        self._mesh = mesh if finite.all() else keep_vertices(mesh, finite)
        self._colors = self._mesh.colors if self._mesh.colors is not None else grey_colors(self._mesh)
        self._tree = _build_tree(self._mesh)

    @property
    def mesh(self) -> Mesh:
        """The mesh without vertices (and their triangles) that have NaN coordinates."""
        return self._mesh

    @property
    def can_cast(self) -> bool:
        """Whether rays can be cast: there are triangles and embree."""
        return self._tree is not None

    def cast(self, origins: Float32[ndarray, "n 3"], directions: Float32[ndarray, "n 3"]) -> Hits:
        """First hits of rays; front and back of a triangle are both hit."""
        assert self._tree is not None
        found = self._tree[0].run(np.ascontiguousarray(origins), np.ascontiguousarray(directions), output=1)
        face = found["primID"].astype(np.int32)
        distance = np.where(face >= 0, found["tfar"], np.inf).astype(np.float32)
        return Hits(face=face, uv=np.stack([found["u"], found["v"]], axis=1), distance=distance)

    def render(self, camera: Camera, *, cut_z: float | None = None, supersample: int = 2) -> UInt8[ndarray, "h w 3"]:
        """A picture.

        Args:
            camera: from where.
            cut_z: height in aligned metres; everything above it is invisible (the camera must look down).
            supersample: rays per pixel and axis, averaged.
        """
        if self._tree is None:
            return _average(self._splat(camera, cut_z, supersample), camera.width, supersample)
        image = np.empty((camera.height, camera.width, 3), dtype=np.uint8)
        # In bands, so that what is computed per ray stays in the cache.
        step = max(1, RAYS_PER_BAND // (camera.width * supersample**2))
        for start in range(0, camera.height, step):
            rows = range(start, min(start + step, camera.height))
            colors = self._trace(camera, rows, cut_z, supersample)
            image[rows.start : rows.stop] = _average(colors, camera.width, supersample)
        return image

    def _trace(self, camera: Camera, rows: range, cut_z: float | None, supersample: int) -> Float32[ndarray, "n 3"]:
        origins, directions = pixel_rays(camera, supersample, rows)
        if cut_z is not None:
            # Rays start on the cutting plane: an exact cut that leaves the mesh alone.
            step = np.maximum(
                (np.float32(cut_z) - origins[:, 2:]) / np.minimum(directions[:, 2:], np.float32(-1e-6)), 0
            )
            origins = origins + step * directions
        hits = self.cast(origins, directions)
        colors = np.full((len(origins), 3), BACKGROUND, dtype=np.float32)
        met = np.flatnonzero(hits.face >= 0)
        colors[met] = self._interpolate(self._colors, hits.face[met], hits.uv[met])
        return colors

    def _splat(self, camera: Camera, cut_z: float | None, supersample: int) -> Float32[ndarray, "n 3"]:
        width, height = camera.width * supersample, camera.height * supersample
        large = replace(camera, width=width, height=height, focal=camera.focal * supersample)
        if len(self._mesh.faces):
            spacing = SPLAT_SPACING_M
            face, uv = surface_points(self._mesh, spacing)
            xyz = self._interpolate(self._mesh.vertices, face, uv).astype(np.float64)
            rgb = self._interpolate(self._colors, face, uv)
        else:
            xyz, rgb = self._mesh.vertices.astype(np.float64), self._colors.astype(np.float32)
            spacing = point_spacing(xyz)
        if cut_z is not None:
            below = xyz[:, 2] <= cut_z
            xyz, rgb = xyz[below], rgb[below]
        nearest = splat(xyz, large, spacing_m=spacing, width=width, height=height).reshape(-1)
        colors = np.full((width * height, 3), BACKGROUND, dtype=np.float32)
        colors[nearest >= 0] = rgb[nearest[nearest >= 0]]
        return colors

    def _interpolate(
        self, values: Shaped[ndarray, "v 3"], face: Int32[ndarray, "n"], uv: Float[ndarray, "n 2"]
    ) -> Float32[ndarray, "n 3"]:
        corners, uv = self._mesh.faces[face], uv.astype(np.float32)
        first, second, third = (values[corners[:, i]] for i in range(3))
        return (1 - uv[:, :1] - uv[:, 1:]) * first + uv[:, :1] * second + uv[:, 1:] * third


def grey_colors(mesh: Mesh) -> UInt8[ndarray, "v 3"]:
    """Shading of a scan without colours: brighter where a surface faces up and where it is high."""
    z = mesh.vertices[:, 2].astype(np.float64)
    low, high = np.percentile(z, [1, 99]) if len(z) else (0.0, 1.0)
    grey = 0.35 + 0.3 * np.clip((z - low) / max(high - low, 1e-6), 0, 1)
    if len(mesh.faces):
        grey += 0.3 * np.abs(vertex_normals(mesh.vertices, mesh.faces) @ np.array([0.36, 0.48, 0.8]))
    return np.repeat((255 * np.clip(grey, 0, 1)).astype(np.uint8)[:, None], 3, axis=1)


def _average(colors: Float32[ndarray, "n 3"], width: int, supersample: int) -> UInt8[ndarray, "h w 3"]:
    """Colours of rays, row by row, to colours of pixels."""
    blocks = colors.reshape(-1, supersample, width * supersample * 3).sum(axis=1)
    pixels = blocks.reshape(-1, width, supersample, 3).sum(axis=2)
    return (pixels / np.float32(supersample**2)).round().astype(np.uint8)


def _build_tree(mesh: Mesh) -> tuple[Any, Any] | None:
    if not len(mesh.faces):
        return None
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError:
        return None  # there is no wheel for some machines: triangles are splatted instead
    scene = EmbreeScene()
    # The scene does not keep its geometry alive.
    return scene, TriangleMesh(scene, np.ascontiguousarray(mesh.vertices), np.ascontiguousarray(mesh.faces))
