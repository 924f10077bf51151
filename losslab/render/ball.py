"""Scenes on the circle and the sphere: packed for the stage's canvas, or flattened for everything that draws planes."""

import base64
from typing import Any

import numpy as np

from losslab.scene import SPHERE, Arrows, Mark, Path, Points, Scene, Zones

GAP = 8192  # of one, in the 16 bits of a packed gap; clipped to +-4


def packed(scene: Scene) -> dict[str, Any]:
    """What losslab/stage/ball.js draws. Arrays travel as base64, little endian."""
    return {
        "dim": 3 if scene.space == SPHERE else 2,
        "names": scene.names,
        "marks": [pack(mark) for mark in scene.marks],
    }


def pack(mark: Mark) -> dict[str, Any]:
    said: dict[str, Any] = {"kind": type(mark).__name__.lower(), "role": mark.role, "name": mark.name, "of": mark.of}
    match mark:
        case Zones():
            whole = np.clip(np.nan_to_num(mark.gap) * GAP, -32767, 32767).round()
            return said | {"gap": base64.b64encode(whole.astype("<i2").tobytes()).decode(), "classes": len(mark.gap)}
        case Arrows():
            return said | {"at": floats(mark.at), "along": floats(mark.along), "value": floats(mark.size)}
        case Path():
            return said | {"at": floats(mark.at), "value": floats(mark.value)}
        case Points(role="ground") if mark.at.shape[1] == 3:
            return said | {"value": floats(mark.value)}  # at the places of `geometry.octahedron`, as the canvas knows
        case Points():
            each = None if mark.each is None else mark.each.tolist()
            return said | {"at": floats(mark.at), "each": each, "value": floats(mark.value), "words": mark.words}
    raise TypeError(f"{type(mark).__name__} does not belong on the sphere.")


def floats(values: np.ndarray | None) -> str | None:
    return None if values is None else base64.b64encode(np.ascontiguousarray(values, dtype="<f4").tobytes()).decode()
