"""Directions and angles: pure functions of tensors, finite with finite gradients everywhere.

Angles are in radians. Arccos has an infinite slope at the poles, so nothing here calls it.
"""

import math

import torch
from torch import Tensor


def unit(vector: Tensor, floor: float = 1e-12) -> tuple[Tensor, Tensor]:
    """Directions and lengths of the vectors `[... d]`: unit vectors `[... d]` and norms `[...]`.

    A vector not longer than `floor` has no direction: its unit vector is zero and passes no gradient, where
    dividing by a tiny length would send one of the size 1/floor. Vectors are scaled by their largest
    coordinate first, so that squares neither overflow nor underflow. NaN stays NaN.
    """
    peak = vector.detach().abs().amax(-1, keepdim=True)
    peak = torch.where(peak <= floor, 1, peak)
    scaled = vector / peak
    length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    short = length * peak <= floor
    direction = torch.where(short, 0, scaled / torch.where(short, 1, length))
    return direction, (length * peak).squeeze(-1)


def sine(cosine: Tensor) -> Tensor:
    """sin θ from cos θ, for θ in [0, π]; zero with a zero slope where the cosine is ±1 (or rounded past it)."""
    square = 1 - cosine.square()
    inside = square > 0
    return torch.where(inside, torch.where(inside, square, 1).sqrt(), 0)


def angle(cosine: Tensor) -> Tensor:
    """θ in [0, π] from cos θ; at the poles exactly, the slope is zero instead of infinite."""
    return torch.atan2(sine(cosine), cosine)


def turn(cosine: Tensor, by: float | Tensor) -> Tensor:
    """cos(θ + by) from cos θ, without computing θ."""
    cos, sin = (math.cos(by), math.sin(by)) if isinstance(by, float | int) else (by.cos(), by.sin())
    return cosine * cos - sine(cosine) * sin
