"""Point operations: contracts here, implementations in `reference`, `cpu` and `cuda`, chosen by the inputs' device."""

from askscan.ops.ball_query import ball_query
from askscan.ops.dispatch import status, use
from askscan.ops.farthest_points import farthest_points
from askscan.ops.group import group
from askscan.ops.interpolate import interpolate, interpolation_weights, three_nearest

__all__ = [
    "ball_query",
    "farthest_points",
    "group",
    "interpolate",
    "interpolation_weights",
    "status",
    "three_nearest",
    "use",
]
