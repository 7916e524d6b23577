"""From where questions see their scenes: the whole scene as it stands, or the place of an agent in it (SQA3D).

SQA3D (Ma et al. 2023) gives an agent's position from the middle of the extent of the scan *as its file has it*, before
axis alignment, and the agent looks along the -x axis of its own frame. The files do not say so; SQA3D's own viewer
draws it like this, and the words of the situations agree (people who sit look into the room; in each scan the headings
lie on four directions of its own). The scene is moved so that the agent stands at x = y = 0 and looks along +x, with
its left at +y; z stays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from askscan.data.augment import Motion
from askscan.errors import DataError
from askscan.records import Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Distinct views of scenes that questions are asked from; w counts them."""

    of_question: Int[ndarray, "q"]
    """View of each question."""
    scene: Int[Tensor, "w"]
    """Row of each view's scene in the bank."""
    frame: Motion | None
    """From the aligned frame to each agent's; None: scenes are seen as they stand."""

    def frame_of(self, view: Int[Tensor, "b"]) -> Motion | None:
        """The motions of some views."""
        return None if self.frame is None else self.frame.of(view)


def views_of(questions: Sequence[Question], scene: Int[ndarray, "q"], scan_frame: Float[Tensor, "s 4"]) -> Views:
    """The views of some questions: one per scene, or one per situation where the questions have situations.

    Args:
        questions: All with a situation, or none.
        scene: Row of each question's scene in the bank.
        scan_frame: Of each scene of the bank.

    Raises:
        DataError: Only some questions have a situation.
    """
    device = scan_frame.device
    situated = sum(question.situation is not None for question in questions)
    if not situated:
        return Views(of_question=scene, scene=torch.arange(len(scan_frame), device=device), frame=None)
    if situated < len(questions):
        raise DataError(f"{len(questions) - situated} of {len(questions)} questions have no situation, the others do.")
    poses = np.array([_pose(question) for question in questions])
    distinct, of_question = np.unique(np.column_stack([scene, poses]), axis=0, return_inverse=True)
    rows = torch.from_numpy(distinct[:, 0].astype(np.int64)).to(device)
    pose = torch.from_numpy(distinct[:, 1:].astype(np.float32)).to(device)
    return Views(of_question=of_question.reshape(-1), scene=rows, frame=agent_frames(pose, scan_frame[rows]))


def agent_frames(pose: Float[Tensor, "w 3"], scan_frame: Float[Tensor, "w 4"]) -> Motion:
    """Motions from the aligned frame to agents' frames.

    Args:
        pose: SQA3D's x, y (metres) and rotation about z (radians) of each agent.
        scan_frame: Of each agent's scene.
    """
    turn = scan_frame[:, 3]
    x, y = (turn.cos() * pose[:, 0] - turn.sin() * pose[:, 1], turn.sin() * pose[:, 0] + turn.cos() * pose[:, 1])
    place = torch.stack([scan_frame[:, 0] + x, scan_frame[:, 1] + y, torch.zeros_like(x)], dim=1)
    looks_to = pose[:, 2] + turn + math.pi
    cos, sin, zero, one = looks_to.cos(), looks_to.sin(), torch.zeros_like(x), torch.ones_like(x)
    rows = [torch.stack(row, dim=1) for row in ([cos, sin, zero], [-sin, cos, zero], [zero, zero, one])]
    turned = Motion(matrix=torch.stack(rows, dim=1), offset=torch.zeros_like(place))
    return Motion(matrix=turned.matrix, offset=-turned.vectors(place[:, None])[:, 0])


def _pose(question: Question) -> tuple[float, float, float]:
    situation = question.situation
    assert situation is not None
    return situation.position[0], situation.position[1], situation.heading_rad
