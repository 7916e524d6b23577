"""Point operations: contracts here, implementations in `reference`, `cpu` and `cuda`, chosen by the inputs' device."""

from askscan.ops.ball_query import ball_query
from askscan.ops.dispatch import OpStatus, status, use
from askscan.ops.farthest_points import farthest_points
from askscan.ops.group import group
from askscan.ops.grouped_mlp import ConvNorm, grouped_mlp
from askscan.ops.interpolate import interpolate, interpolation_weights, three_nearest

__all__ = [
    "ConvNorm",
    "OpStatus",
    "ball_query",
    "farthest_points",
    "group",
    "grouped_mlp",
    "interpolate",
    "interpolation_weights",
    "status",
    "three_nearest",
    "use",
]
