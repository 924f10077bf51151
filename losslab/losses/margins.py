"""Margins on an angle: adding one, multiplying by one, and what happens past 180 degrees."""

import math
from typing import Any

import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle, turn


def beyond_knob(default: str = "monotone") -> Any:
    return knob(
        default,
        choices=("monotone", "raw", "clip", "keep", "easy"),
        help="Where the angle with its margin passes 180°. monotone: keep falling; raw: let the cosine rise "
        "again; clip: stay at −1; keep: drop the margin there; easy: drop it from 90° on.",
    )


def add_angle(cosine: Tensor, margin: float | Tensor, beyond: str) -> Tensor:
    """cos(θ + m) from cos θ, and what `beyond` says where θ + m leaves [0, π].

    m is in radians, a number or one per sample; a negative m moves the sample nearer, and below 0 the cosine stops
    at 1 ("clip"), goes on rising with cos θ ("monotone"), or loses the margin ("keep").
    """
    margin = margin + torch.zeros_like(cosine)  # made where it is used: copying a number there would stop a GPU
    turned = turn(cosine, margin)
    if beyond == "raw":
        return turned
    if beyond == "easy":
        return torch.where(cosine > 0, turned, cosine)
    cos, sin = margin.cos(), margin.sin()
    past = (cosine < -cos) & (sin > 0)
    before = (cosine > cos) & (sin < 0)
    if beyond == "keep":
        return torch.where(past | before, cosine, turned)
    low, high = (-1, 1) if beyond == "clip" else (cosine - margin * sin, 1 + cosine - cos)
    return torch.where(past, low, torch.where(before, high, turned))


def multiply_angle(cosine: Tensor, by: float | Tensor, beyond: str, plus: float | Tensor = 0) -> Tensor:
    """cos α for α = by·θ + plus, from cos θ, and what `beyond` says where α > π: "monotone" folds it over,
    (−1)^k cos α − 2k for α in [kπ, (k+1)π], which is SphereFace's ψ."""
    widened = by * angle(cosine) + plus
    if beyond == "raw":
        return widened.cos()
    if beyond == "clip":
        return widened.clamp(max=math.pi).cos()
    if beyond == "easy":
        return torch.where(cosine > 0, widened.cos(), cosine)
    fold = torch.floor(widened / math.pi)
    if beyond == "keep":
        return torch.where(fold >= 1, cosine, widened.cos())
    return (1 - 2 * (fold % 2)) * widened.cos() - 2 * fold
