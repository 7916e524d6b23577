"""Asking a scan: from points and a question in words to ranked answers and the box of what was asked about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from askscan.data.bank import SceneBank
from askscan.data.prepare import thinned
from askscan.data.scan_files import box_to_file
from askscan.errors import ConfigError, DataError
from askscan.evaluate.language_map import LanguageMap, embed_objects
from askscan.evaluate.runs import Run, load_run, pick_device, such_as
from askscan.geometry.boxes import box_corners, decode_boxes
from askscan.models.decoding import best_answers, decode_answers, surviving
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import ScanQA
from askscan.models.scene_encoder import SceneModel
from askscan.records import PreparedScene, Scan, TextTokens
from askscan.shapes import CLASS_NAMES
from askscan.train.embeddings import SENTENCE_PREFIX, TeacherLike

MAX_POINTS = 60_000
"""Points of a scan that are put on the device; the model samples from them."""

_YES_OR_NO = {"is", "are", "was", "were", "does", "do", "did", "can", "has", "have", "will"}
"""How questions begin that ask for yes or no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedAnswer:
    """One answer and how sure the model is."""

    answer: str
    confidence: float
    """In [0, 1]: the sigmoid of the answer's logit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a scan says to one question."""

    question: str
    answers: tuple[RankedAnswer, ...]
    """Best first, at most ten."""
    center: Float[ndarray, "3"]
    """Centre of the referred object's box, in the axes and units of the user's file."""
    size: Float[ndarray, "3"]
    """Extent of that box along the file's axes."""
    corners: Float[ndarray, "8 3"]
    """Its corners in the file's axes and units."""
    aligned_corners: Float[ndarray, "8 3"]
    """Its corners in the scan's aligned frame (metres), for pictures."""
    label: str
    """Class of the referred object."""
    warning: str | None
    """Why the answer may mean nothing; None: no reason is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneEmbedding:
    """Features of a scan for other people's models, in the aligned frame (metres).

    All proposals are there, most of them no objects: `objectness > 0.5` picks those that are. Objects in the file's own
    axes and units, each once: `Answerer.detect`.
    """

    scene: Float[ndarray, "d"]
    """CLS token; of a pre-trained model its embedding in the teacher's space."""
    proposals: Float[ndarray, "k d"]
    """Encoded token of each proposal."""
    center: Float[ndarray, "k 3"]
    size: Float[ndarray, "k 3"]
    objectness: Float[ndarray, "k"]
    """Probability that the proposal is an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObject:
    """An object that the detector finds in a scan."""

    label: str
    """Its class."""
    objectness: float
    """Probability that it is an object."""
    center: Float[ndarray, "3"]
    """In the axes and units of the user's file, as are size and corners."""
    size: Float[ndarray, "3"]
    corners: Float[ndarray, "8 3"]


class Answerer:
    """A run, ready to be asked. Make one with `askscan.load`."""

    def __init__(self, run: Run, device: torch.device, *, teacher: str | None = None) -> None:
        self.run, self.device = run, device
        self._vocabulary = tuple(run.answer_counts)
        self._teacher_name = teacher
        self._teacher: TeacherLike | None = None

    @torch.no_grad()
    def ask(self, scan: Scan, *questions: str, seed: int = 0) -> tuple[Answer, ...]:
        """Answer questions about one scan; the scan is encoded once for all of them.

        The aligned frame is known up to a quarter turn, and points are sampled at random: the answer is the mean over
        the four turns, each with its own sample. The first turn is the scan's own, so that a file that was turned, or
        renamed, gives the same samples from the same sides.

        Args:
            scan: From `askscan.read_scan`, or of a data folder.
            questions: In English.
            seed: Of the sampling.

        Raises:
            ConfigError: No question was given, or the run does not answer questions about scans.
        """
        module, config = self.run.module, self.run.config
        if not isinstance(module, ScanQA):
            raise ConfigError(
                f"{self.run.name}: does not answer questions about scans; "
                f"give a run of `askscan train`{such_as('answers')}."
            )
        if self.run.task == "sqa3d":
            raise ConfigError(f"{self.run.name}: answers from an agent's place (SQA3D), and `ask` knows of none.")
        if not questions or not all(question.strip() for question in questions):
            raise ConfigError("a question is empty; ask something such as `What is next to the bed?`.")
        points = scan_points(scan)
        first = own_turn(points)
        bank = SceneBank.from_scenes([turned(points, first + look) for look in range(4)], self.device)
        generator = torch.Generator(self.device).manual_seed(seed)
        sample = bank.sample(torch.arange(4, device=self.device), config.inputs, generator)
        tokens = self._encode(questions)
        output = module(sample.batch.points, tokens)
        decoded = decode_answers(output)
        best, confidence = (found.tolist() for found in best_answers(output.answer_logits.float().mean(0)))
        # Of the four turns, the one that points most clearly at one of its boxes says where.
        share = output.referred_scores.float().masked_fill(~decoded.kept[:, None], -torch.inf).softmax(-1)
        clear = share.nan_to_num().amax(-1).argmax(0)
        answers = []
        for q, question in enumerate(questions):
            look = int(clear[q])
            k = int(decoded.proposal[look, q])
            corners = box_corners(decoded.boxes.center[look, k], decoded.boxes.size[look, k].clamp_min(0))
            aligned = corners.double().cpu().numpy() @ _quarter_turns(first + look)  # the inverse of the turn
            in_file = box_to_file(scan, aligned)
            ranked = zip(best[q], confidence[q], strict=True)
            answers.append(
                Answer(
                    question=question,
                    answers=tuple(RankedAnswer(answer=self._vocabulary[a], confidence=c) for a, c in ranked),
                    center=in_file.center,
                    size=in_file.size,
                    corners=in_file.corners,
                    aligned_corners=aligned,
                    label=CLASS_NAMES[int(decoded.boxes.semantic_class[look, k])],
                    warning=self._warning(question),
                )
            )
        return tuple(answers)

    @torch.no_grad()
    def embed(self, scan: Scan, *, seed: int = 0) -> SceneEmbedding:
        """Scene and proposal features of one scan.

        Raises:
            ConfigError: The run has no scene encoder (question-only).
        """
        return self.embed_points(scan_points(scan), seed=seed)

    @torch.no_grad()
    def embed_points(self, scene: PreparedScene, *, seed: int = 0) -> SceneEmbedding:
        """`embed` of a prepared scene."""
        module = self.run.module
        tokens = self._scene_model()(self._sampled(scene, seed))
        first = module.head(tokens.tokens[:, 0]) if isinstance(module, Pretrainer) else tokens.tokens[:, 0]
        boxes = decode_boxes(tokens.detector)
        features = (first, tokens.tokens[:, 1:], boxes.center, boxes.size.clamp_min(0), boxes.objectness)
        arrays = (x[0].float().cpu().numpy() for x in features)
        scene_row, proposals, center, size, objectness = arrays
        return SceneEmbedding(scene=scene_row, proposals=proposals, center=center, size=size, objectness=objectness)

    @torch.no_grad()
    def detect(self, scan: Scan, *, seed: int = 0) -> tuple[FoundObject, ...]:
        """The objects of a scan, each once, the surest first.

        Raises:
            ConfigError: The run has no detector (question-only).
        """
        points = scan_points(scan)
        turn = own_turn(points)
        boxes = decode_boxes(self._scene_model()(self._sampled(turned(points, turn), seed)).detector)
        kept = surviving(boxes)[0]
        corners = box_corners(boxes.center[0], boxes.size[0].clamp_min(0)).double().cpu().numpy() @ _quarter_turns(turn)
        found = []
        for k in boxes.objectness[0].argsort(descending=True, stable=True).tolist():
            if kept[k]:
                box = box_to_file(scan, corners[k])
                found.append(
                    FoundObject(
                        label=CLASS_NAMES[int(boxes.semantic_class[0, k])],
                        objectness=float(boxes.objectness[0, k]),
                        center=box.center,
                        size=box.size,
                        corners=box.corners,
                    )
                )
        return tuple(found)

    @torch.no_grad()
    def language_map(self, scan: Scan, *phrases: str, seed: int = 0) -> LanguageMap:
        """How similar each object of a scan is to each phrase, such as `a bed`, in the space of the run's teacher.

        Args:
            scan: From `askscan.read_scan`, or of a data folder.
            phrases: In English.
            seed: Of the sampling.

        Raises:
            ConfigError: No phrase was given, or the run is not one of pre-training.
            DataError: No object was found in the scan.
        """
        module = self.run.module
        if not isinstance(module, Pretrainer):
            raise ConfigError(
                f"{self.run.name}: a run that answers questions keeps no head into its teacher's space; "
                f"give a run of `askscan pretrain`{such_as('pretrain')}."
            )
        if not phrases or not all(phrase.strip() for phrase in phrases):
            raise ConfigError("a phrase is empty; give something such as `a bed`.")
        points = scan_points(scan)
        turn = own_turn(points)
        (objects,) = embed_objects(module, self._sampled(turned(points, turn), seed))
        if not len(objects.center):
            raise DataError(f"{scan.name}: the detector of {self.run.name} found no object in this scan.")
        texts = self._found_teacher().embed_texts([SENTENCE_PREFIX + phrase for phrase in phrases])
        corners = box_corners(objects.center, objects.size).double().cpu().numpy() @ _quarter_turns(turn)
        return LanguageMap.of(scan, objects, phrases, texts, corners)

    def _scene_model(self) -> SceneModel:
        module = self.run.module
        if not isinstance(module, Pretrainer | ScanQA):
            raise ConfigError(f"{self.run.name}: has no scene encoder (it is the question-only baseline).")
        return module.scene

    def _sampled(self, scene: PreparedScene, seed: int) -> Float[Tensor, "1 n c"]:
        """What the model sees of one scene."""
        bank = SceneBank.from_scenes([scene], self.device)
        row = torch.zeros(1, dtype=torch.long, device=self.device)
        generator = torch.Generator(self.device).manual_seed(seed)
        return bank.sample(row, self.run.config.inputs, generator).batch.points

    def _found_teacher(self) -> TeacherLike:
        if self._teacher is None:
            self._teacher = self.run.teacher(self.device, name=self._teacher_name)
        return self._teacher

    def _encode(self, questions: Sequence[str]) -> TextTokens:
        """The questions' tokens, the same for each of the four turns."""
        encoded = self._found_teacher().encode_tokens(questions)
        return TextTokens(
            features=encoded.features[None].expand(4, -1, -1, -1), mask=encoded.mask[None].expand(4, -1, -1)
        )

    def _warning(self, question: str) -> str | None:
        if not self.run.object_names:
            return None
        first, *others = re.findall(r"[a-z]+", question.lower()) or [""]
        words = {first, *others}
        if first in _YES_OR_NO and not {"yes", "no"} & self.run.answer_counts.keys():
            return "the model was trained to answer no question with yes or no: the answer may mean nothing"
        if words & {"object", "objects", "thing", "things"}:  # generated questions ask so, too: the largest object
            return None
        words |= {word[:-2] for word in words if word.endswith("es")} | {
            word[:-1] for word in words if word[-1:] == "s"
        }
        if any(set(name.lower().split()) <= words for name in self.run.object_names):
            return None
        return "the question names no kind of object that the model was trained on: the answer may mean nothing"


def load(run: str | Path = "default", *, device: str = "auto", teacher: str | None = None) -> Answerer:
    """A trained model, ready to be asked.

    Args:
        run: A run folder, a Hub name, or a run of the package, trained on generated rooms only: `default`, which
            answers questions, or another by its name (`askscan doctor` lists them).
        device: `auto`, `cpu`, `cuda`, `cuda:N`.
        teacher: Where to find the run's teacher, if not where the run says.

    Raises:
        ConfigError: There is no such run or device.
        WeightsError: The weights do not fit.
    """
    where = pick_device(device)
    return Answerer(load_run(run, where), where, teacher=teacher)


def scan_points(scan: Scan) -> PreparedScene:
    """A scan's vertices as a prepared scene without objects; which ones does not depend on the file's name."""
    mesh = scan.mesh
    normals = None if mesh.normals is None else np.round(mesh.normals * 127).astype(np.int8)
    scene = PreparedScene(
        scene_id="",
        xyz=mesh.vertices,
        rgb=mesh.colors,
        normals=normals,
        instance=np.zeros(len(mesh.vertices), np.int32),
        boxes=np.zeros((0, 6), np.float32),
        box_class=np.zeros(0, np.int32),
        object_id=np.zeros(0, np.int32),
        scene_type="",
    )
    return replace(thinned(scene, MAX_POINTS), scene_id=scan.name)


def own_turn(scene: PreparedScene) -> int:
    """Quarter turns that bring the side on which a scene has more of its points to +x: the same for all its turns."""
    low, high = np.percentile(scene.xyz[:, :2], [1, 99], axis=0)
    x, y = scene.xyz[:, :2].astype(np.float64).mean(0) - (low + high) / 2
    return -int(np.floor(np.arctan2(y, x) / (np.pi / 2) + 0.5)) % 4


def turned(scene: PreparedScene, turns: int) -> PreparedScene:
    """Points and normals turned by quarter turns about z (boxes are not looked at)."""
    matrix = _quarter_turns(turns)
    normals = None if scene.normals is None else (scene.normals @ matrix.T).astype(np.int8)
    return replace(scene, xyz=(scene.xyz @ matrix.T).astype(np.float32), normals=normals)


def _quarter_turns(turns: int) -> Float[ndarray, "3 3"]:
    cos, sin = (1, 0, -1, 0)[turns % 4], (0, 1, 0, -1)[turns % 4]
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float64)
