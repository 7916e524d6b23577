"""Pictures of many scenes, resumable, on several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from askscan.errors import DataError
from askscan.parallel import in_processes
from askscan.records import Mesh
from askscan.render.pictures import Picture, save_picture
from askscan.render.raycast import Renderer
from askscan.render.topdown import DEFAULT_SIZE, top_down
from askscan.render.views import VIEW_SIZE, place_cameras


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderConfig:
    """Which pictures of each scene."""

    size: int = DEFAULT_SIZE
    """Of the picture from above, pixels."""
    orthographic: bool = False
    """Whether it has one scale everywhere; see `top_down`."""
    view_size: int = VIEW_SIZE
    """Of the pictures from inside, pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderReport:
    """What `render_collection` did."""

    rendered: tuple[str, ...]
    """Scenes of which pictures were made now."""
    present: tuple[str, ...]
    """Scenes that had all pictures already."""
    failed: Mapping[str, str]
    """Scenes that could not be read, with the reason."""


def render_collection(
    paths: Mapping[str, Sequence[Path]],
    load_mesh: Callable[[str], Mesh],
    config: RenderConfig,
    *,
    num_processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Make the missing pictures of a collection; a picture that is there, of ours or of somebody else, stays.

    Args:
        paths: places of each scene's pictures: from above, then from inside (see `place_cameras`).
        load_mesh: reads a scene's mesh in aligned metres; must be picklable where there are several processes.
        config: which pictures.
        num_processes: processes; 1 renders in this one.
        progress: called with the numbers of done and of all scenes.

    Returns:
        What was done; scenes that cannot be read do not stop the others.
    """
    missing = [scene_id for scene_id, files in paths.items() if not all(path.is_file() for path in files)]
    present = tuple(scene_id for scene_id in paths if scene_id not in set(missing))
    failed: dict[str, str] = {}
    render = partial(_render_scene, load_mesh, config)
    done = len(present)
    if progress:
        progress(done, len(paths))
    tasks = [(scene_id, paths[scene_id]) for scene_id in missing]
    for (scene_id, _), problem in in_processes(render, tasks, num_processes, what="render"):
        done += 1
        if problem:
            failed[scene_id] = problem
        if progress:
            progress(done, len(paths))
    rendered = tuple(scene_id for scene_id in missing if scene_id not in failed)
    return RenderReport(rendered=rendered, present=present, failed=failed)


def _render_scene(load_mesh: Callable[[str], Mesh], config: RenderConfig, task: tuple[str, Sequence[Path]]) -> str:
    """Make the missing pictures of a scene (its id, their places); returns what is wrong with its files, or nothing."""
    scene_id, (above, *inside) = task
    try:
        mesh = load_mesh(scene_id)
    except DataError as error:
        return str(error)
    if not len(mesh.vertices):
        return f"{scene_id}: its mesh has no vertices"
    if not above.is_file():
        save_picture(above, top_down(mesh, size=config.size, orthographic=config.orthographic))
    missing = [i for i, path in enumerate(inside) if not path.is_file()]
    if missing:
        renderer = Renderer(mesh)
        cameras = place_cameras(renderer, len(inside), config.view_size)
        for i in missing:
            save_picture(inside[i], Picture(image=renderer.render(cameras[i]), camera=cameras[i]))
    return ""
