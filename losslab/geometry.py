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
    # At zero a root has no slope. The least normal number is far below any square that is not zero: the clamp stops the
    # gradient there alone, and to take its root off again changes no other sine.
    least = torch.finfo(cosine.dtype).tiny
    return (1 - cosine.square()).clamp(min=least).sqrt() - math.sqrt(least)


def angle(cosine: Tensor) -> Tensor:
    """θ in [0, π] from cos θ; at the poles exactly, the slope is zero instead of infinite."""
    return torch.atan2(sine(cosine), cosine)


def turn(cosine: Tensor, by: float | Tensor) -> Tensor:
    """cos(θ + by) from cos θ, without computing θ."""
    cos, sin = (math.cos(by), math.sin(by)) if isinstance(by, float | int) else (by.cos(), by.sin())
    return cosine * cos - sine(cosine) * sin


# -- on the sphere ---------------------------------------------------------------------------------------


def circle(n: int) -> Tensor:
    """`n` directions [n 2], evenly around the circle from (1, 0) on."""
    return around(torch.arange(n, dtype=torch.float64) * (2 * math.pi / n)).to(torch.get_default_dtype())


def lattice(n: int) -> Tensor:
    """`n` directions [n 3], evenly over the sphere: the Fibonacci lattice, a spiral from +z to −z."""
    step = torch.arange(n, dtype=torch.float64)
    height = 1 - (2 * step + 1) / n
    golden = math.pi * (3 - math.sqrt(5))  # the turn that never comes near to one it has made
    ring = around(step * golden) * sine(height)[:, None]
    return torch.cat([ring, height[:, None]], 1).to(torch.get_default_dtype())


def around(longitude: Tensor) -> Tensor:
    """Directions [... 2] at these angles from (1, 0)."""
    return torch.stack([longitude.cos(), longitude.sin()], -1)


def tangent(vector: Tensor, at: Tensor) -> Tensor:
    """The part of `vector` [... d] along the sphere at the directions `at` [... d]."""
    return vector - (vector * at).sum(-1, keepdim=True) * at


def sideways(direction: Tensor) -> Tensor:
    """Some direction [... d] at right angles to each of the directions given, the same each time."""
    least = direction.detach().abs().argmin(-1, keepdim=True)
    axis = torch.zeros_like(direction).scatter(-1, least, 1)
    return unit(tangent(axis, direction))[0]


def log_map(point: Tensor, at: Tensor) -> Tensor:
    """How to get from the directions `at` to the directions `point` [... d]: tangent vectors whose length is the angle
    between them. Zero for a point that is there already; to the antipode all ways are equal, and `sideways` is taken.
    """
    ahead = (point * at).sum(-1)
    way, across = unit(tangent(point, at))
    opposite = ((across <= 1e-12) & (ahead < 0))[..., None]
    return torch.where(opposite, sideways(at.expand_as(way)), way) * torch.atan2(across, ahead)[..., None]


def exp_map(step: Tensor, at: Tensor) -> Tensor:
    """Where tangent vectors `step` [... d] lead from the directions `at`, along great circles by angles of their
    lengths: the inverse of `log_map`."""
    way, angle = unit(step)
    angle = angle[..., None]
    return angle.cos() * at + angle.sin() * way


def great_circle(start: Tensor, towards: Tensor, angle: Tensor) -> Tensor:
    """Directions [n d] at angles [n] from the direction `start` [d], on the great circle that first comes to `towards`
    [d]; where both are one line, on the one that goes `sideways`."""
    way, length = unit(tangent(towards, start))
    way = torch.where(length <= 1e-6, sideways(start), way)
    return angle.cos()[:, None] * start + angle.sin()[:, None] * way


def lambert(direction: Tensor) -> tuple[Tensor, Tensor]:
    """The sphere as two discs, equal areas equal: places [... 2] within radius 1 for directions [... 3], and whether
    each is on the front half [...], z ≥ 0.

    The front is seen from +z, with x to the right; the back from −z, with x to the left, so that with the back disc to
    the right of the front one the two touch at the same point of the sphere.
    """
    x, y, z = direction.unbind(-1)
    front = z >= 0
    place = torch.stack([torch.where(front, x, -x), y], -1)
    return place / (1 + z.abs()).sqrt()[..., None], front


def octahedron(n: int) -> Tensor:
    """Directions [(n + 1)² 3] on a square grid folded over the sphere, row by row: its middle at the north pole, its
    four corners at the south pole. It covers the sphere without seams, and the stage draws contours on it."""
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, n + 1, dtype=torch.float64)] * 2, indexing="ij")
    z = 1 - x.abs() - y.abs()
    folded = (1 - y.abs()) * torch.where(x < 0, -1, 1), (1 - x.abs()) * torch.where(y < 0, -1, 1)
    x, y = torch.where(z < 0, folded[0], x), torch.where(z < 0, folded[1], y)
    return unit(torch.stack([x, y, z], -1).view(-1, 3))[0].to(torch.get_default_dtype())
