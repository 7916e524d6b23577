"""The data folder: where ScanNet, ScanRefer, ScanQA and SQA3D users have their files, and which scenes a split has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from askscan.data.json_fields import Fields, read_json
from askscan.errors import DataError

SCANQA_SPLITS = ("train", "val", "test_w_obj", "test_wo_obj")
SCANREFER_SPLITS = ("train", "val")
SQA3D_SPLITS = ("train", "val", "test")

ARRAY_NAMES = ("aligned_vert", "ins_label", "sem_label", "aligned_bbox")
"""Arrays per scene that ScanRefer, ScanQA and VoteNet users have prepared already."""

FOREIGN_SUFFIXES = (".ply", ".glb", ".gltf", ".obj", ".pcd")
"""Scans that do not come from ScanNet lie as `<scene>/<scene>` with one of these endings."""

DEPTH_CONTRAST = Path("checkpoints") / "checkpoint-ep150.pth.tar"
"""Also looked for in the working folder."""

_SCENE_ID = re.compile(r"\w[\w.\-]*")


def check_scene_id(scene_id: str, where: object) -> str:
    """Return the id if it can be a folder name (scene ids become paths), else raise DataError naming `where`."""
    if not _SCENE_ID.fullmatch(scene_id) or len(scene_id) > 128:
        raise DataError(f"{where}: {ascii(scene_id)[:60]} is no scene id; expected a name such as scene0000_00")
    return scene_id


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Every path of a data folder. Methods that return a path do not look whether the file is there."""

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))
        if not self.root.is_dir():
            raise DataError(f"{self.root}: no such folder; give the folder with scannet/, qa/ and ScanRefer's files")

    # --- annotations

    def scanqa(self, split: str) -> Path:
        """ScanQA's questions."""
        return self._first(f"ScanQA_v1.0_{split}.json", "qa", "")

    def scanrefer(self, split: str) -> Path:
        """ScanRefer's sentences."""
        return self.root / f"ScanRefer_filtered_{split}.json"

    def scanrefer_list(self, split: str) -> Path:
        """ScanRefer's scenes, one id a line."""
        return self.root / f"ScanRefer_filtered_{split}.txt"

    def sqa3d_questions(self, split: str) -> Path:
        """SQA3D's situations and questions."""
        return self._first(f"v1_balanced_questions_{split}_scannetv2.json", "sqa3d", "", "qa")

    def sqa3d_annotations(self, split: str) -> Path:
        """SQA3D's answers and positions."""
        return self._first(f"v1_balanced_sqa_annotations_{split}_scannetv2.json", "sqa3d", "", "qa")

    @property
    def label_table(self) -> Path:
        """ScanNet's label table."""
        return self.root / "scannet" / "meta_data" / "scannetv2-labels.combined.tsv"

    def scannet_list(self, split: str) -> Path:
        """ScanNet's scenes of train, val or test, one id a line."""
        return self.root / "scannet" / "meta_data" / f"scannetv2_{split}.txt"

    @property
    def depthcontrast(self) -> Path:
        """DepthContrast's weights, where users of the published code keep them."""
        return self.root / DEPTH_CONTRAST

    # --- one scene

    @property
    def scans(self) -> Path:
        """The folder with one folder per scan."""
        return self.root / "scannet" / "scans"

    def scene_file(self, scene_id: str, ending: str) -> Path:
        """`scannet/scans/<scene>/<scene><ending>`, such as `.txt` or `_vh_clean_2.ply`."""
        return self.scans / scene_id / f"{scene_id}{ending}"

    def mesh(self, scene_id: str) -> Path:
        """ScanNet's mesh."""
        return self.scene_file(scene_id, "_vh_clean_2.ply")

    def info(self, scene_id: str) -> Path:
        """Alignment and scene type."""
        return self.scene_file(scene_id, ".txt")

    def aggregation(self, scene_id: str) -> Path:
        """Objects: their labels and segments."""
        return self.scene_file(scene_id, ".aggregation.json")

    def segments(self, scene_id: str) -> Path:
        """Segment of each vertex."""
        return self.scene_file(scene_id, "_vh_clean_2.0.010000.segs.json")

    def array(self, scene_id: str, name: str) -> Path:
        """An array that somebody prepared (ARRAY_NAMES)."""
        return self.root / "scannet" / "scannet_data" / f"{scene_id}_{name}.npy"

    def foreign_scan(self, scene_id: str) -> Path | None:
        """A scan of another origin that stands in for ScanNet's mesh, if there is one."""
        found = (self.scene_file(scene_id, suffix) for suffix in FOREIGN_SUFFIXES)
        return next((path for path in found if path.is_file()), None)

    def prepared(self, scene_id: str) -> Path:
        """The scene as `askscan prepare` writes it."""
        return self.root / "prepared" / f"{scene_id}.safetensors"

    def picture(self, scene_id: str, split: str) -> Path:
        """The top-down picture; its camera lies beside it with the ending `.camera.json`."""
        return self.root / "top_imgs" / split / f"{scene_id}.jpg"

    def view(self, scene_id: str, split: str, number: int) -> Path:
        """The picture that `askscan render --views` takes from the `number`-th place inside the room, from 1."""
        return self.root / "views" / split / f"{scene_id}.{number}.jpg"

    def pictures(self, scene_id: str, split: str, num_views: int) -> tuple[Path, ...]:
        """The top-down picture, then the first `num_views` from inside."""
        views = (self.view(scene_id, split, number) for number in range(1, 1 + num_views))
        return self.picture(scene_id, split), *views

    # --- scene lists

    def scans_on_disk(self) -> tuple[str, ...]:
        """Sorted ids of the scans that have a folder under `scannet/scans`, or prepared arrays."""
        ids = {path.name for path in self.scans.iterdir() if path.is_dir()} if self.scans.is_dir() else set()
        ending = "_aligned_vert.npy"
        ids |= {path.name[: -len(ending)] for path in self.array("", "").parent.glob(f"*{ending}")}
        return tuple(sorted(scene_id for scene_id in ids if _SCENE_ID.fullmatch(scene_id)))

    def scenes(self, split: str) -> tuple[str, ...]:
        """Sorted scenes of a split: the union of all lists and annotations of that name that are there.

        train, val: ScanNet's and ScanRefer's lists, ScanRefer's sentences, ScanQA's and SQA3D's questions. test:
        ScanNet's list and SQA3D's questions. test_w_obj, test_wo_obj: ScanQA's questions. A listed scene need not
        have its scan on this disk.

        Raises:
            DataError: nothing of that name is there, or a file cannot be read.
        """
        lists = [self.scannet_list(split), self.scanrefer_list(split)]
        entries = [(self.scanqa(split), ""), (self.sqa3d_questions(split), "questions")]
        if not self.scanrefer_list(split).is_file():  # the sentences name the same scenes, in 20 MB of text
            entries.append((self.scanrefer(split), ""))
        ids: set[str] = set()
        for path in lists:
            if path.is_file():
                ids.update(read_scene_list(path))
        for path, key in entries:
            if path.is_file():
                ids.update(scene_ids_of(path, key))
        if not ids:
            looked = ", ".join(str(path.relative_to(self.root)) for path in (*lists, *(path for path, _ in entries)))
            raise DataError(f"{self.root}: no scenes of split `{split}`; looked for {looked}; put one there")
        return tuple(sorted(ids))

    def _first(self, name: str, *places: str) -> Path:
        candidates = [self.root / place / name for place in places]
        return next((path for path in candidates if path.is_file()), candidates[0])


def read_scene_list(path: Path) -> tuple[str, ...]:
    """Scene ids of a list with one a line, in its order.

    Raises:
        DataError: the file cannot be read, or a line is no scene id.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); put the scene list there") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not a text file; expected one scene id a line") from error
    stripped = ((number, line.strip()) for number, line in enumerate(lines, start=1))
    return tuple(check_scene_id(line, f"{path}: line {number}") for number, line in stripped if line)


def scene_ids_of(path: Path, key: str = "") -> set[str]:
    """The distinct `scene_id`s of a JSON list (under `key` of the outermost object where one is given)."""
    top = read_json(path, expected=dict if key else list)
    entries = Fields(path, "top", top).items(key) if key else top
    ids = {Fields(path, f"entry {number}", entry).text("scene_id") for number, entry in enumerate(entries)}
    return {check_scene_id(scene_id, path) for scene_id in ids}
