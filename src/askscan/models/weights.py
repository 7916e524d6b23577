"""Weights from elsewhere: DepthContrast, VoteNet and the published 3D-VQA checkpoints, read safely, loaded strictly.

Nothing in a file is ever executed, and nothing is skipped silently: every loader says how many of the wanted tensors it
found, and stops, naming them, if any is missing or has another shape.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from askscan.errors import WeightsError
from askscan.files import replacing
from askscan.models.pointnet2 import BackboneConfig
from askscan.models.pretrainer import Pretrainer
from askscan.models.scan_qa import ScanQA
from askscan.models.tensor_file import load_tensors

Kind = Literal["depthcontrast", "votenet", "3dvqa-pretrain", "3dvqa-qa", "askscan-pretrain", "askscan-qa"]
Layout = Literal["depthcontrast", "votenet", "3dvqa"]

TITLES: dict[Kind, str] = {
    "depthcontrast": "DepthContrast",
    "votenet": "VoteNet",
    "3dvqa-pretrain": "published 3D-VQA pre-training",
    "3dvqa-qa": "published 3D-VQA question answering",
    "askscan-pretrain": "askscan pre-training",
    "askscan-qa": "askscan question answering",
}

BACKBONE, DETECTOR, SCENE = "scene.detector.backbone.", "scene.detector.", "scene."
FIRST_LAYER = f"{BACKBONE}sa1.mlp.0.linear.weight"
POSITIONS = "scene.encoder.position_embedding."
ANSWERS = "answer_head.out."
COUNTER = "num_batches_tracked"

PUBLISHED_PARTS: dict[Kind, dict[str, str]] = {
    "depthcontrast": {BACKBONE: "trunk.0."},
    "votenet": {BACKBONE: "backbone_net.", "scene.detector.voting.": "vgen.", "scene.detector.proposal.": "pnet."},
    "3dvqa-qa": {
        BACKBONE: "detection_backbone.",
        "scene.detector.voting.": "voting_net.",
        "scene.detector.proposal.": "proposal_net.",
        "scene.encoder.proposal_embedding.": "object_feat_linear.0.",
        "scene.encoder.layers.": "scene_encoder.layers.",
        "scene.encoder.cls_token": "cls_token",
        "head.norm.": "scene_head.0.",
        "head.linear.": "scene_head.1.",
        "text_embedding.linear.": "lang_feat_linear.0.",
        "scene_projection.": "scene_feat_linear.0.",
        "fusion.layers.": "fusion_backbone.co_attention_encoder.layers.",
        "referred_head.hidden.": "object_cls.0.",
        "referred_head.out.": "object_cls.3.",
        "object_class_head.hidden.": "lang_cls.0.",
        "object_class_head.out.": "lang_cls.3.",
        "answer_head.hidden.": "answer_cls.0.",
        "answer_head.out.": "answer_cls.3.",
    },
}
PUBLISHED_PARTS["3dvqa-pretrain"] = PUBLISHED_PARTS["3dvqa-qa"]
"""Our name of a part and theirs."""

PUBLISHED_LAYERS = (
    (r"^(sa\d)\.mlp\.(\d)\.linear\.", r"\1.mlp_module.layer\2.conv."),
    (r"^(sa\d)\.mlp\.(\d)\.norm\.", r"\1.mlp_module.layer\2.bn.bn."),
    (r"^(fp\d)\.mlp\.(\d)\.linear\.", r"\1.mlp.layer\2.conv."),
    (r"^(fp\d)\.mlp\.(\d)\.norm\.", r"\1.mlp.layer\2.bn.bn."),
    (r"^aggregation\.mlp\.(\d)\.linear\.", r"vote_aggregation.mlp_module.layer\1.conv."),
    (r"^aggregation\.mlp\.(\d)\.norm\.", r"vote_aggregation.mlp_module.layer\1.bn.bn."),
    (r"^mlp\.0\.linear\.", "conv1."),
    (r"^mlp\.0\.norm\.", "bn1."),
    (r"^mlp\.1\.linear\.", "conv2."),
    (r"^mlp\.1\.norm\.", "bn2."),
    (r"^head\.", "conv3."),
)
"""Our name inside the detector and theirs."""


REMEDIES = {
    "choose the recipe, inputs and widths that match the file": (SCENE, "fusion."),
    "give the teacher that its model was trained with": ("head.linear.", "text_embedding."),
}
"""What to do where parts (by our names) have another shape."""


def published_name(kind: Kind, ours: str) -> str | None:
    """A foreign project's name of one of our tensors; None where it has no place for it."""
    if kind.startswith("askscan"):
        return ours
    for mine, theirs in PUBLISHED_PARTS[kind].items():
        if ours.startswith(mine):
            rest = ours.removeprefix(mine)
            for pattern, replacement in PUBLISHED_LAYERS if mine.startswith(DETECTOR) else ():
                rest, count = re.subn(pattern, replacement, rest)
                if count:
                    break
            return theirs + rest
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A checkpoint somebody brought."""

    path: Path
    kind: Kind
    tensors: Mapping[str, Tensor]
    """Under the names of the file, less what data parallelism put in front."""

    def get(self, ours: str) -> Tensor | None:
        """The tensor that this project calls `ours`."""
        theirs = published_name(self.kind, ours)
        return None if theirs is None else self.tensors.get(theirs)

    def width(self, ours: str, axis: int = 0) -> int:
        """Size of a tensor, by our name."""
        tensor = self.get(ours)
        if tensor is None or tensor.ndim <= axis:
            raise WeightsError(
                f"{self.path}: {published_name(self.kind, ours)} is missing or has another shape; get the file again"
            )
        return tensor.shape[axis]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What a load did; `str` of it is the sentence for the user."""

    num_loaded: int
    num_wanted: int
    part: str
    """What was filled: backbone, detector, scene or model."""
    source: str
    """Whose weights they are."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    def __str__(self) -> str:
        loaded = f"{self.num_loaded} of {self.num_wanted} {self.part} tensors from {self.source}"
        return "; ".join([loaded, *self.notes])


# --- reading ----------------------------------------------------------------------------------------------------


def read_checkpoint(path: Path) -> Foreign:
    """Reads a checkpoint file, or the weights of a run folder (ours, or a published one), and recognises its kind.

    Raises:
        WeightsError: the file is missing or damaged, or its tensors are nobody's that is known here, or not finite.
    """
    path = weights_file(Path(path))
    tensors = _named_tensors(path)
    kind = _recognise(path, tensors)
    foreign = Foreign(path=path, kind=kind, tensors=tensors)
    num_bytes = path.stat().st_size
    for name, tensor in tensors.items():
        if tensor.nbytes > num_bytes:
            raise WeightsError(f"{path}: {name} claims to be larger than the file; get the file again")
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise WeightsError(f"{path}: {name} holds values that are not finite; get the file again")
    return foreign


def weights_file(path: Path) -> Path:
    """The file itself, or the one with the weights of a run folder (ours, or a published one).

    Raises:
        WeightsError: there is none.
    """
    if path.is_dir():
        names = ("model.safetensors", "model.pth", "model_last.pth", "checkpoint.tar")
        for name in names:
            if (path / name).is_file():
                return path / name
        raise WeightsError(f"{path}: the folder holds none of {', '.join(names)}; give a run")
    if not path.is_file():
        raise WeightsError(f"{path}: there is no such checkpoint; check its name")
    return path


def _content(path: Path) -> Any:
    """What a file holds; nothing of it is executed."""
    try:
        if path.suffix == ".safetensors":
            return load_tensors(path).tensors
        with torch.serialization.safe_globals(_plain_values()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the readers raise a dozen types on damaged bytes
        text = str(error)
        if forbidden := re.search(r"GLOBAL (\S+) was not", text):
            raise WeightsError(
                f"{path}: holds `{forbidden[1]}` beside its tensors, and reading that could run code from the file; "
                "save the tensors alone, with torch.save(model.state_dict(), FILE), and give that file"
            ) from error
        reason = re.split(r"\.\s|\n", text.split("WeightsUnpickler error:")[-1].strip())[0][:160]
        reason = reason or type(error).__name__
        raise WeightsError(
            f"{path}: no checkpoint, or a damaged one ({reason}); give a run or a file of weights, or get it again"
        ) from error


def _plain_values() -> list[Any]:
    """What trainings keep beside weights: numbers and arrays of NumPy, of version 1 too, and options; only data."""
    makers: list[Any] = [np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]]
    named = [(maker, f"numpy.{core}.multiarray.{maker.__name__}") for maker in makers for core in ("core", "_core")]
    return [*named, np.ndarray, np.dtype, *{type(np.dtype(kind)) for kind in "?bhilqBHILQefd"}, argparse.Namespace]


def _named_tensors(path: Path) -> dict[str, Tensor]:
    content = _content(path)
    for key in ("model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    if not isinstance(content, dict):
        raise WeightsError(f"{path}: expected named tensors, got {type(content).__name__}; give a checkpoint")
    tensors = {
        str(name).removeprefix("module."): value.detach()
        for name, value in content.items()
        if isinstance(value, Tensor) and value.layout == torch.strided and not (value.is_meta or value.is_quantized)
    }
    if not tensors:
        raise WeightsError(f"{path}: holds no tensors (its keys begin with {list(content)[:3]}); give a checkpoint")
    return tensors


def _recognise(path: Path, tensors: Mapping[str, Tensor]) -> Kind:
    signs: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("askscan-qa", (BACKBONE, "answer_head.")),
        ("askscan-pretrain", (BACKBONE, "head.")),
        ("3dvqa-qa", ("detection_backbone.", "answer_cls.")),
        ("3dvqa-pretrain", ("detection_backbone.", "scene_head.")),
        ("votenet", ("backbone_net.", "vgen.", "pnet.")),
        ("depthcontrast", ("trunk.0.sa",)),
    )
    for kind, prefixes in signs:
        if all(any(name.startswith(prefix) for name in tensors) for prefix in prefixes):
            return kind
    if any(name.startswith("answer_head.") for name in tensors):
        raise WeightsError(f"{path}: is a question-only model, which has no scene encoder; give another run")
    raise WeightsError(
        f"{path}: its names (the first is {next(iter(tensors))!r}) are those of none of: {', '.join(TITLES.values())}; "
        "give one of these"
    )


def published_inputs(num_extra: int) -> BackboneConfig | None:
    """The inputs of a published model with so many channels after xyz (their order: colour, normals, height)."""
    if num_extra not in (0, 1, 3, 4, 6, 7):
        return None
    return BackboneConfig(color=num_extra >= 3, normals=num_extra >= 6, height=num_extra % 3 == 1)


# --- loading ----------------------------------------------------------------------------------------------------


def load_into(model: Pretrainer | ScanQA, foreign: Foreign) -> Coverage:
    """Fills `model` with all that a checkpoint of that kind has for it, or fails and leaves it as it was.

    DepthContrast fills the backbone, VoteNet the detector, a file of the other training the scene model that both
    share, one of the same training the whole model.

    Raises:
        WeightsError: tensors are missing, have other shapes, or have no place in the model; the message names them.
    """
    state = model.state_dict()
    part, prefix = _part(foreign.kind, isinstance(model, ScanQA))
    found: dict[str, Tensor] = {}
    missing, misshapen, misfits, notes = [], [], [], []
    has_positions = any(name.startswith(POSITIONS) for name in foreign.tensors)
    if not has_positions and POSITIONS.startswith(prefix) and any(name.startswith(POSITIONS) for name in state):
        notes.append("the file's model knows no positions: their embedding starts anew")
    for name, ours in state.items():
        if not name.startswith(prefix) or (name.startswith(POSITIONS) and not has_positions):
            continue
        theirs = foreign.get(name)
        if theirs is None:
            # Files of before PyTorch 0.4.1 have no counters; nothing depends on them.
            missing += [published_name(foreign.kind, name) or name] * (not name.endswith(COUNTER))
        elif (fitted := _fit(theirs, ours)) is not None:
            found[name] = fitted
        elif name == FIRST_LAYER and (widened := _widen(theirs, ours, model)) is not None:
            found[name] = widened
            extra = ours.shape[1] - theirs.shape[1]
            notes.append(f"{extra} of {ours.shape[1]} input channels are not in the file: their weights start at zero")
        else:
            misfits.append(name)
            misshapen.append(f"{published_name(foreign.kind, name)} {list(theirs.shape)} for {list(ours.shape)}")
    num_wanted = len(found) + len(missing) + len(misshapen)
    unknown = _without_place(foreign, state, prefix)
    if missing or misshapen or unknown:
        kinds = {"missing": missing, "misshapen": misshapen, "without a place in this model": unknown}
        problems = [f"{kind}: {_listed(names)}" for kind, names in kinds.items() if names]
        raise WeightsError(
            f"{foreign.path}: only {len(found)} of {num_wanted} {part} tensors from {TITLES[foreign.kind]} fit; "
            f"{'; '.join(problems)}; nothing was loaded, {_remedy(misfits)}"
        )
    if foreign.kind == "votenet":
        notes.append("its 18th class is `garbagebin`, here `others`, and its mean box sizes differ slightly")
    with torch.no_grad():
        for name, tensor in found.items():
            state[name].copy_(tensor)
    source = TITLES[foreign.kind]
    return Coverage(num_loaded=len(found), num_wanted=num_wanted, part=part, source=source, notes=tuple(notes))


def with_answers(foreign: Foreign, theirs: Sequence[str], ours: Sequence[str], model: ScanQA) -> Foreign:
    """The checkpoint with the rows of its answer head in the order of another vocabulary.

    Args:
        foreign: Of question answering.
        theirs: The answer of each of its rows.
        ours: The answers of `model`, whose own rows stay for those that the checkpoint does not know.
        model: What is to be filled.

    Raises:
        WeightsError: The checkpoint has another number of answers.
    """
    row, state, tensors = {answer: i for i, answer in enumerate(theirs)}, model.state_dict(), dict(foreign.tensors)
    known = [i for i, answer in enumerate(ours) if answer in row]
    rows = [row[ours[i]] for i in known]
    for name in (f"{ANSWERS}weight", f"{ANSWERS}bias"):
        tensor = foreign.get(name)
        if tensor is None or tensor.shape[1:] != state[name].shape[1:]:
            continue  # `load_into` tells
        if len(tensor) != len(theirs):
            raise WeightsError(f"{foreign.path}: has {len(tensor)} answers, but {len(theirs)} are listed; restore both")
        tensors[published_name(foreign.kind, name) or name] = state[name].index_put(
            (torch.tensor(known, dtype=torch.int64),), tensor[rows].to(state[name].dtype)
        )
    return replace(foreign, tensors=tensors)


def _without_place(foreign: Foreign, state: Mapping[str, Tensor], prefix: str) -> list[str]:
    """Names of the file in the parts that are filled that this model has no tensor for, such as one layer more."""
    known = {published_name(foreign.kind, name) for name in state}
    parts = PUBLISHED_PARTS.get(foreign.kind, {prefix: prefix})
    theirs = tuple(
        part for ours, part in parts.items() if ours.startswith(prefix) and any(name.startswith(ours) for name in state)
    )
    unwanted = "trunk.0.head." if foreign.kind == "depthcontrast" else "\0"  # of DepthContrast's own loss
    return [n for n in foreign.tensors if n.startswith(theirs) and n not in known and not n.startswith(unwanted)]


def _remedy(misfits: list[str]) -> str:
    """What to do about tensors of another shape."""
    found = [what for what, prefixes in REMEDIES.items() if any(name.startswith(prefixes) for name in misfits)]
    return " and ".join(found) or "choose the recipe, inputs and widths that match the file"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _part(kind: Kind, into_qa: bool) -> tuple[str, str]:
    """What of the model such a file fills: (name, prefix)."""
    if kind == "depthcontrast":
        return "backbone", BACKBONE
    if kind == "votenet":
        return "detector", DETECTOR
    return ("model", "") if kind.endswith("qa") == into_qa else ("scene", SCENE)


def _fit(theirs: Tensor, ours: Tensor) -> Tensor | None:
    """Their tensor in our shape (1x1 convolutions are linear layers here), or None."""
    squeezed = [[size for size in tensor.shape if size != 1] for tensor in (theirs, ours)]
    if squeezed[0] != squeezed[1] or theirs.is_floating_point() != ours.is_floating_point():
        return None
    return theirs.reshape(ours.shape)


def _widen(theirs: Tensor, ours: Tensor, model: Pretrainer | ScanQA) -> Tensor | None:
    """First-layer weights of a file with fewer inputs, zeros for the others; None where that is no remedy."""
    backbone = model.config.scene.detector.backbone
    if theirs.ndim < 2 or theirs.shape[0] != ours.shape[0] or theirs.numel() != theirs.shape[0] * theirs.shape[1]:
        return None
    known = published_inputs(theirs.shape[1] - 3)
    columns, start = [0, 1, 2], 3
    for name, width in (("color", 3), ("normals", 3), ("height", 1)):
        if known is None or getattr(known, name) > getattr(backbone, name):
            return None
        columns += range(start, start + width * getattr(known, name))
        start += width * getattr(backbone, name)
    wide = torch.zeros_like(ours)
    wide[:, columns] = theirs.reshape(theirs.shape[:2]).to(wide)
    return wide


# --- writing ----------------------------------------------------------------------------------------------------


def export(model: Pretrainer | ScanQA, layout: Layout) -> dict[str, Any]:
    """The content of a checkpoint file under another project's names, which that project and this one can load.

    Raises:
        WeightsError: the model has parts that the layout has no place for.
    """
    is_qa = isinstance(model, ScanQA)
    kind: Kind = layout if layout != "3dvqa" else "3dvqa-qa" if is_qa else "3dvqa-pretrain"
    tensors: dict[str, Tensor] = {}
    for ours, tensor in model.state_dict().items():
        theirs = published_name(kind, ours)
        if theirs is not None:
            value = tensor.detach().cpu().clone()
            tensors[theirs] = _published_shape(theirs, value.float() if value.is_floating_point() else value)
        elif layout == "3dvqa":
            raise WeightsError(
                f"the published 3D-VQA models have no place for {ours}: "
                "export its detector or its backbone (--format votenet, depthcontrast)"
            )
    if kind == "3dvqa-pretrain":
        # The published pre-training builds this head and never uses it; a strict loader wants it all the same.
        width = model.config.scene.encoder.width
        shapes = {"0.weight": (width, width), "0.bias": (width,), "3.weight": (1, width), "3.bias": (1,)}
        tensors |= {f"object_cls.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    if layout == "depthcontrast":
        return {"model": {f"module.{name}": tensor for name, tensor in tensors.items()}}
    return {"model_state_dict": tensors} if layout == "votenet" else tensors


def _published_shape(theirs: str, tensor: Tensor) -> Tensor:
    if theirs == "cls_token":
        return tensor.view(1, 1, -1)
    if theirs.endswith(".conv.weight"):
        return tensor[:, :, None, None]
    return tensor[:, :, None] if re.search(r"\.conv\d\.weight$", theirs) else tensor


def write_export(model: Pretrainer | ScanQA, layout: Layout, path: Path) -> None:
    """Writes `export` to a file."""
    with replacing(path) as temporary:
        torch.save(export(model, layout), temporary)
