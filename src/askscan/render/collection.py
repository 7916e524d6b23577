"""Pictures of a whole data folder, resumable, on several processes.

From above: `top_imgs/<split>/<scene>.jpg`; from inside: `views/<split>/<scene>.<number>.jpg`, numbered from 1.
"""

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

PICTURES_FOLDER = "top_imgs"
VIEWS_FOLDER = "views"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderConfig:
    """Which pictures of each scene."""

    size: int = DEFAULT_SIZE
    """Of the picture from above, pixels."""
    orthographic: bool = False
    """Whether it has one scale everywhere; see `top_down`."""
    num_views: int = 0
    """Pictures from inside the room; see `place_cameras`."""
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


def picture_path(folder: Path, split: str, scene_id: str) -> Path:
    """Where the top-down picture of a scene is kept in a data folder."""
    return folder / PICTURES_FOLDER / split / f"{scene_id}.jpg"


def view_path(folder: Path, split: str, scene_id: str, number: int) -> Path:
    """Where the `number`-th picture from inside a scene is kept in a data folder, from 1."""
    return folder / VIEWS_FOLDER / split / f"{scene_id}.{number}.jpg"


def render_collection(
    folder: Path,
    scenes: Mapping[str, Sequence[str]],
    load_mesh: Callable[[str], Mesh],
    config: RenderConfig,
    *,
    num_processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Make the missing pictures of a collection; a picture that is there, of ours or of somebody else, stays.

    Args:
        folder: the data folder.
        scenes: scene ids of each split (`train`, `val`).
        load_mesh: reads a scene's mesh in aligned metres; must be picklable where there are several processes.
        config: which pictures.
        num_processes: processes; 1 renders in this one.
        progress: called with the numbers of done and of all scenes.

    Returns:
        What was done; scenes that cannot be read do not stop the others.
    """
    wanted = [(split, scene_id) for split, ids in scenes.items() for scene_id in ids]
    numbers = range(1, 1 + config.num_views)
    paths = {
        scene_id: (picture_path(folder, split, scene_id), *(view_path(folder, split, scene_id, i) for i in numbers))
        for split, scene_id in wanted
    }
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


def _render_scene(load_mesh: Callable[[str], Mesh], config: RenderConfig, task: tuple[str, tuple[Path, ...]]) -> str:
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
        cameras = place_cameras(renderer, config.num_views, config.view_size)
        for i in missing:
            save_picture(inside[i], Picture(image=renderer.render(cameras[i]), camera=cameras[i]))
    return ""
