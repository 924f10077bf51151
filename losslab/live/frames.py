"""A snapshot as the bytes that the stage draws: positions on the sphere in 16 bits, everything little endian.

    header, 32 bytes    "LLF1", index u32, step u32, n u32, c u16, d u8, flags u8, T u16, zero u16, J u32,
                        norm_max f32
    json                J bytes {"scalars", "knobs"}, padded with spaces
    prototypes          f32 [c d], with their lengths
    positive, negative  f32 [T] each: the loss's two curves at T angles from 0 to pi
    position            i16 [n d]: unit embeddings x 32767
    norm                u16 [n]: length of the embedding / norm_max x 65535
    gap                 i16 [n]: x 8192, clipped to +-4
    loss                u16 [n]: x 256, clipped
    state               u8 [n]: 0 clears the margin, 1 inside it, 2 wrong

Every array is padded with zeros to a multiple of 4 bytes, so that a browser can lay typed arrays over it.
"""

import dataclasses
import json
import math
import struct
from functools import lru_cache

import numpy as np
import torch

from losslab.losses import Loss
from losslab.training.run import Run

HEADER = struct.Struct("<4sIIIHBBHHIf")
FLOAT32 = np.finfo(np.float32)
ANGLES = 257  # points of each curve: one every 0.7 degrees
WEIGHS_LENGTH, KNOBS_CHANGED = 1, 2
CLEARS, INSIDE, WRONG = 0, 1, 2


def encode(run: Run, index: int) -> bytes:
    """Snapshot `index` of `run` as one frame; IndexError when it does not exist yet."""
    snapshot = run[index]
    n, dim = snapshot.embedding.shape
    if dim > 255:
        raise ValueError(f"A frame holds at most 255 dimensions; this run has {dim}. Show it on a sphere map.")
    loss = dataclasses.replace(run.recipe.loss, **snapshot.knobs)
    positive, negative = _curves(loss)
    changed = index > 0 and run[index - 1].knobs != snapshot.knobs

    # In double precision: shortly before a run diverges, the squares of its embeddings leave float32.
    embedding = np.nan_to_num(snapshot.embedding, posinf=FLOAT32.max, neginf=FLOAT32.min).astype(np.float64)
    norm = np.linalg.norm(embedding, axis=1)
    direction = embedding / np.maximum(norm, FLOAT32.tiny)[:, None]
    norm = np.minimum(norm, FLOAT32.max)
    longest = float(norm.max(initial=0))
    state = np.where(snapshot.gap > 0, CLEARS, INSIDE)
    state[~snapshot.correct] = WRONG

    text = _json({"scalars": snapshot.scalars, "knobs": snapshot.knobs})
    header = HEADER.pack(
        b"LLF1",
        index,
        snapshot.step,
        n,
        len(snapshot.prototypes),
        dim,
        WEIGHS_LENGTH * loss.weighs_length | KNOBS_CHANGED * changed,
        ANGLES,
        0,
        len(text),
        longest,
    )
    arrays = [
        snapshot.prototypes.astype("<f4"),
        positive,
        negative,
        _whole(direction * 32767, "<i2"),
        _whole(norm * (65535 / longest if longest else 0), "<u2"),
        _whole(np.clip(snapshot.gap, -4, 4) * 8192, "<i2"),
        _whole(snapshot.loss * 256, "<u2"),
        state.astype("u1"),
    ]
    return b"".join([header, text, *(_padded(array.tobytes()) for array in arrays)])


@lru_cache(maxsize=256)
def _curves(loss: Loss) -> tuple[np.ndarray, np.ndarray]:
    """The two curves, f32 [T] each, at angles from 0 to pi: kept, for knobs seldom move during a run."""
    positive, negative = loss.curves(torch.linspace(0, math.pi, ANGLES))
    return positive.numpy().astype("<f4"), negative.numpy().astype("<f4")


def _whole(value: np.ndarray, dtype: str) -> np.ndarray:
    """`value` rounded into the range of an integer type; what is not a number becomes 0."""
    limits = np.iinfo(dtype)
    return np.clip(np.rint(np.nan_to_num(value)), limits.min, limits.max).astype(dtype)


def _json(value: dict) -> bytes:
    """JSON that a browser accepts (it has no word for infinity), padded to a multiple of 4 bytes."""
    plain = {
        part: {name: None if isinstance(x, float) and not math.isfinite(x) else x for name, x in numbers.items()}
        for part, numbers in value.items()
    }
    text = json.dumps(plain, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 4)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
