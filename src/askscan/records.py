"""Everything that crosses from one room of the house to another: frozen, typed records.

NumPy records live on the host (files, scans, annotations); torch records live on the compute device (batches, targets,
predictions). Labels and predictions are different types. Dimension letters: see `askscan.shapes`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int8, Int32, UInt8
from numpy import ndarray
from torch import Tensor

# --- host records -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """Vertices and triangles as a file has them (its own axes and units). Points only: `faces` has no rows."""

    vertices: Float32[ndarray, "v 3"]
    faces: Int32[ndarray, "f 3"]
    colors: UInt8[ndarray, "v 3"] | None
    """Red, green, blue per vertex."""
    normals: Float32[ndarray, "v 3"] | None
    """Unit normals per vertex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One scan in the frame the models work in: metres, z up, walls along x and y."""

    name: str
    mesh: Mesh
    """Geometry in the aligned frame."""
    from_file: Float[ndarray, "4 4"]
    """Similarity that takes the file's coordinates to the aligned frame (float64); invert it to report boxes."""
    notes: tuple[str, ...] = ()
    """What was found or assumed on the way (up axis, units, walls, colours): one sentence each, for the user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedScene:
    """One scene as training reads it: at most 50,000 vertices, aligned, with the boxes of all vertices."""

    scene_id: str
    xyz: Float32[ndarray, "n 3"]
    rgb: UInt8[ndarray, "n 3"] | None
    normals: Int8[ndarray, "n 3"] | None
    """Unit normals times 127, rotated with the alignment."""
    instance: Int32[ndarray, "n"]
    """Row of `boxes` + 1 of the object a point belongs to; 0: none, or an object that is not annotated as one."""
    boxes: Float32[ndarray, "o 6"]
    """Centre and size of the axis-aligned extent of all the object's vertices (before thinning)."""
    box_class: Int32[ndarray, "o"]
    """Index into CLASS_NAMES."""
    object_id: Int32[ndarray, "o"]
    """The annotation's objectId (0-based) that questions and sentences refer to."""
    scene_type: str
    """ScanNet's sceneType, such as `Bedroom / Hotel`; empty where unknown."""
    scan_frame: Float32[ndarray, "4"] | None = None
    """What SQA3D's situations count from: the middle of the scan's extent along its file's axes (x, y, z in aligned
    metres), and the turn about z from the file's axes to the aligned ones (radians). None: its own middle, no turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """A ScanRefer sentence about one object."""

    scene_id: str
    object_id: int
    object_name: str
    ann_id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where an SQA3D agent stands and looks, in the axes of the scan's file (not aligned).

    `askscan.data.situations` takes it to the aligned frame.
    """

    text: str
    position: tuple[float, float, float]
    """From the middle of the scan's extent, metres."""
    heading_rad: float
    """Rotation about z of the agent's frame; the agent looks along the -x axis of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A ScanQA question, or an SQA3D one (then with a situation). Test splits have no answers and no objects."""

    scene_id: str
    question_id: str
    text: str
    answers: tuple[str, ...] = ()
    object_ids: tuple[int, ...] = ()
    object_names: tuple[str, ...] = ()
    situation: Situation | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a system answers to one question, as the prediction file has it."""

    scene_id: str
    question_id: str
    answers: tuple[str, ...]
    """Best first; ten, or one for systems that give a single answer."""
    corners: Float[ndarray, "8 3"] | None
    """Corners of the referred object's box in the aligned frame, in the benchmark's order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """Pin-hole or orthographic camera of a rendered picture; `project` in `askscan.geometry.cameras` uses it.

    Camera axes: x right, y down, z forward. `world_to_camera` takes aligned metres to camera metres.
    """

    world_to_camera: Float[ndarray, "4 4"]
    orthographic: bool
    focal: float
    """Pixels (perspective), or pixels per metre (orthographic)."""
    width: int
    height: int

    @property
    def principal_point(self) -> np.ndarray:
        """Centre of the picture in pixels, (x, y)."""
        return np.array([self.width / 2.0, self.height / 2.0])


# --- device records: targets ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxTargets:
    """Ground-truth boxes of a batch of scenes, padded; padded slots take part in nothing."""

    center: Float[Tensor, "b o 3"]
    size: Float[Tensor, "b o 3"]
    semantic_class: Int[Tensor, "b o"]
    mask: Bool[Tensor, "b o"]
    """True for real objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoteTargets:
    """Where each input point should vote to."""

    offset: Float[Tensor, "b n 3"]
    """From the point to the middle of the extent of its object's sampled points."""
    mask: Bool[Tensor, "b n"]
    """True for points of an annotated object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneBatch:
    """Points of a batch of scenes with what detection should find in them."""

    points: Float[Tensor, "b n c"]
    """xyz first, then colour (3), normal (3), height (1), those that the input options ask for."""
    boxes: BoxTargets
    votes: VoteTargets


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTokens:
    """Per-token outputs of the teacher's text tower for q texts of each of b scenes."""

    features: Float[Tensor, "b q t d"]
    mask: Bool[Tensor, "b q t"]
    """True for real tokens, False for padding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionTargets:
    """What the answers to a batch of questions should be."""

    answers: Float[Tensor, "b q a"]
    """Soft targets in [0, 1] over the answer vocabulary."""
    object_class: Int[Tensor, "b q"]
    """Class of the first referred object."""
    referred_center: Float[Tensor, "b q 3"]
    referred_size: Float[Tensor, "b q 3"]
    referred_mask: Bool[Tensor, "b q"]
    """False where the referred object is unknown or was cropped away: no referred-object term."""
    mask: Bool[Tensor, "b q"]
    """False for padded question slots: no term at all."""


# --- device records: predictions --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectorOutput:
    """Seeds, votes and proposals of a batch of scenes (float32 geometry and logits)."""

    seed_index: Int[Tensor, "b s"]
    """Input point of each seed."""
    seed_xyz: Float[Tensor, "b s 3"]
    vote_xyz: Float[Tensor, "b votes 3"]
    """votes = s times the vote factor; those of one seed are next to each other."""
    proposal_vote_xyz: Float[Tensor, "b k 3"]
    """Position of the aggregated vote of each proposal."""
    features: Float[Tensor, "b k d"]
    """Proposal features (128 channels) for the scene encoder."""
    objectness: Float[Tensor, "b k 2"]
    """Logits; index 1 = object."""
    center: Float[Tensor, "b k 3"]
    heading_scores: Float[Tensor, "b k h"]
    heading_residuals: Float[Tensor, "b k h"]
    """In units of pi / number of heading classes."""
    size_scores: Float[Tensor, "b k 18"]
    size_residuals: Float[Tensor, "b k 18 3"]
    """In units of each class's mean size."""
    semantic_scores: Float[Tensor, "b k 18"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneTokens:
    """A scene as the fusion sees it: detector output and encoded tokens, the CLS token first."""

    detector: DetectorOutput
    tokens: Float[Tensor, "b kk d"]
    """kk = 1 + k: CLS, then proposals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainOutput:
    """Output of the pre-training model."""

    detector: DetectorOutput
    scene_embedding: Float[Tensor, "b d"]
    """In the teacher's embedding space, not normalised."""
    log_temperature: Float[Tensor, ""] | None
    """Logarithm of the learned temperature of the contrastive objective; None where the model has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerOutput:
    """Output of the question-answering model for q questions of each of b scenes."""

    detector: DetectorOutput
    answer_logits: Float[Tensor, "b q a"]
    object_class_logits: Float[Tensor, "b q 18"]
    referred_scores: Float[Tensor, "b q k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextAnswerOutput:
    """Output of the question-only baseline, which sees no scan."""

    answer_logits: Float[Tensor, "b q a"]
    object_class_logits: Float[Tensor, "b q 18"]
