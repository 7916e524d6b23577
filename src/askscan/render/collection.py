"""Top-down pictures of a whole data folder: `top_imgs/<split>/<scene>.jpg`, resumable, on several processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from askscan.errors import DataError
from askscan.records import Mesh
from askscan.render.pictures import camera_path, save_picture
from askscan.render.topdown import DEFAULT_SIZE, top_down

PICTURES_FOLDER = "top_imgs"


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderReport:
    """What `render_collection` did."""

    rendered: tuple[str, ...]
    """Scenes whose picture was made now."""
    present: tuple[str, ...]
    """Scenes that had a picture and its camera already."""
    failed: Mapping[str, str]
    """Scenes that could not be read, with the reason."""


def picture_path(folder: Path, split: str, scene_id: str) -> Path:
    """Where the top-down picture of a scene is kept in a data folder."""
    return folder / PICTURES_FOLDER / split / f"{scene_id}.jpg"


def render_collection(
    folder: Path,
    scenes: Mapping[str, Sequence[str]],
    load_mesh: Callable[[str], Mesh],
    *,
    size: int = DEFAULT_SIZE,
    orthographic: bool = False,
    num_processes: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> RenderReport:
    """Make the missing top-down pictures of a collection.

    Args:
        folder: the data folder.
        scenes: scene ids of each split (`train`, `val`).
        load_mesh: reads a scene's mesh in aligned metres; must be picklable where there are several processes.
        size: pixels.
        orthographic: see `top_down`.
        num_processes: processes; 1 renders in this one.
        progress: called with the numbers of done and of all scenes.

    Returns:
        What was done; scenes that cannot be read do not stop the others.
    """
    wanted = [(split, scene_id) for split, ids in scenes.items() for scene_id in ids]
    paths = {scene_id: picture_path(folder, split, scene_id) for split, scene_id in wanted}
    missing = [s for s, path in paths.items() if not (path.is_file() and camera_path(path).is_file())]
    present = tuple(scene_id for scene_id in paths if scene_id not in set(missing))
    failed: dict[str, str] = {}
    render = partial(_render_scene, load_mesh, size, orthographic)
    done = len(present)
    if progress:
        progress(done, len(paths))

    def note(scene_id: str, problem: str) -> None:
        nonlocal done
        done += 1
        if problem:
            failed[scene_id] = problem
        if progress:
            progress(done, len(paths))

    if num_processes == 1 or len(missing) < 2:
        for scene_id in missing:
            note(scene_id, render(scene_id, paths[scene_id]))
    else:
        # Not forked: threads of torch do not survive a fork.
        with ProcessPoolExecutor(min(num_processes, len(missing)), mp_context=get_context("spawn")) as pool:
            futures = {pool.submit(render, scene_id, paths[scene_id]): scene_id for scene_id in missing}
            try:
                for future in as_completed(futures):
                    note(futures[future], future.result())
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    rendered = tuple(scene_id for scene_id in missing if scene_id not in failed)
    return RenderReport(rendered=rendered, present=present, failed=failed)


def _render_scene(load_mesh: Callable[[str], Mesh], size: int, orthographic: bool, scene_id: str, path: Path) -> str:
    """Render one scene; returns what is wrong with its files, or nothing."""
    try:
        mesh = load_mesh(scene_id)
    except DataError as error:
        return str(error)
    if not len(mesh.vertices):
        return f"{scene_id}: its mesh has no vertices"
    save_picture(path, top_down(mesh, size=size, orthographic=orthographic))
    return ""
