"""A snapshot as the bytes that the stage draws: positions on the sphere in 16 bits, everything little endian.

    header, 32 bytes    "LLF1", index u32, step u32, n u32, c u16, d u8, flags u8, T u16, K u16, J u32,
                        norm_max f32
    json                J bytes {"scalars", "knobs"}, padded with spaces
    prototypes          f32 [c·K d], with their lengths; class k has rows k·K to k·K + K − 1
    positive, negative  f32 [T] each: the loss's two curves at T angles from 0 to pi, of embeddings of median length;
                        positive is [c T] with flag 4, a curve for each class. With flag 8, T is 0: the loss's zones
                        depend on more than one angle, see gaps.py. With flag 16 neither they nor zones mean anything
                        in the picture: it is a map of more dimensions, or, where d > 3, what a browser projects itself
    position            i16 [n d]: unit embeddings x 32767
    norm                u16 [n]: length of the embedding / norm_max x 65535
    gap                 i16 [n]: x 8192, clipped to +-4
    loss                u16 [n]: x 256, clipped
    state               u8 [n]: 0 clears the margin, 1 inside it, 2 wrong
    own, other, rival   with flag 16 only, in all dimensions: i16 [n] each, cosine x 32767 to the own prototype and to
                        the nearest other, and u16 [n] whose that is

Every array is padded with zeros to a multiple of 4 bytes, so that a browser can lay typed arrays over it.
"""

import json
import math
import struct

import numpy as np
import torch

from losslab.head import Head
from losslab.training import Run, head_at, in_force

from .projector import Place

HEADER = struct.Struct("<4sIIIHBBHHIf")
FLOAT32 = np.finfo(np.float32)
ANGLES = 257  # points of each curve: one every 0.7 degrees
WEIGHS_LENGTH, KNOBS_CHANGED, PER_CLASS, NO_CURVES, A_MAP = 1, 2, 4, 8, 16
CLEARS, INSIDE, WRONG = 0, 1, 2


def encode(run: Run, index: int, place: Place | None = None, entire: bool = False) -> bytes:
    """Snapshot `index` of `run` as one frame, IndexError when it does not exist yet; with `place` where that says.
    With `entire` all d dimensions are there with flag 16, for a browser that projects them."""
    snapshot = run[index]
    n, dim = snapshot.embedding.shape
    a_map = entire or place is not None
    if entire and dim <= 3:
        raise ValueError(f"This run has {dim} dimensions, which are drawn as they are: show it without a map.")
    if place is None and dim > 255:
        raise ValueError(f"A frame holds at most 255 dimensions; this run has {dim}. Show it on a sphere map.")
    head = head_at(run.recipe, snapshot)
    changed = index > 0 and in_force(run.recipe, run[index - 1]) != in_force(run.recipe, snapshot)

    # In double precision: shortly before a run diverges, the squares of its embeddings leave float32.
    embedding = np.nan_to_num(snapshot.embedding, posinf=FLOAT32.max, neginf=FLOAT32.min).astype(np.float64)
    norm = np.linalg.norm(embedding, axis=1)
    direction = embedding / np.maximum(norm, FLOAT32.tiny)[:, None]
    norm = np.minimum(norm, FLOAT32.max)
    positive, negative = _curves(head, float(np.median(norm)) if len(norm) else 1.0)
    flags = WEIGHS_LENGTH * head.loss.weighs_length | KNOBS_CHANGED * changed
    flags |= PER_CLASS * (positive.ndim == 2) | NO_CURVES * (not len(negative)) | A_MAP * a_map
    state = np.where(snapshot.gap > 0, CLEARS, INSIDE)
    state[~snapshot.correct] = WRONG

    scalars, prototypes = snapshot.scalars, snapshot.prototypes
    true_direction = direction
    if place is not None:
        scalars, dim, direction = scalars | place.faithful, place.samples.shape[1], place.samples
        if dim == 2:  # places in the plane, which are directions and lengths as much as embeddings are
            norm, prototypes = np.linalg.norm(direction, axis=1), place.prototypes
            direction = direction / np.maximum(norm, FLOAT32.tiny)[:, None]
        else:
            prototypes = place.prototypes * np.linalg.norm(prototypes, axis=1, keepdims=True)
    longest = float(norm.max(initial=0))
    text = _json({"scalars": scalars, "knobs": snapshot.knobs})
    header = HEADER.pack(
        b"LLF1",
        index,
        snapshot.step,
        n,
        head.classes,
        dim,
        flags,
        len(negative),
        head.loss.subcentres,
        len(text),
        longest,
    )
    arrays = [
        prototypes.astype("<f4"),
        positive,
        negative,
        whole(direction * 32767, "<i2"),
        whole(norm * (65535 / longest if longest else 0), "<u2"),
        whole(np.clip(snapshot.gap, -4, 4) * 8192, "<i2"),
        whole(snapshot.loss * 256, "<u2"),
        state.astype("u1"),
    ]
    if a_map:
        arrays += _true_angles(true_direction, snapshot.prototypes, run.probe.labels, head.loss.subcentres)
    return b"".join([header, text, *(_padded(array.tobytes()) for array in arrays)])


def _true_angles(direction: np.ndarray, prototypes: np.ndarray, label: np.ndarray, each: int) -> list[np.ndarray]:
    """Of directions [n d]: the cosine to the own prototype (the nearest of `each`), to the nearest other, and whose
    that is."""
    length = np.linalg.norm(prototypes, axis=1, keepdims=True)
    cosine = direction @ (prototypes / np.maximum(length, FLOAT32.tiny)).T
    cosine = cosine.reshape(len(direction), -1, each).max(2)
    mine = np.arange(len(label)), label
    own = cosine[mine]
    cosine[mine] = -np.inf
    return [whole(own * 32767, "<i2"), whole(cosine.max(1) * 32767, "<i2"), cosine.argmax(1).astype("<u2")]


def _curves(head: Head, norm: float) -> tuple[np.ndarray, np.ndarray]:
    """The two curves at angles from 0 to pi: positive f32 [T], or [c T] where classes differ, and negative f32 [T];
    none where a curve would need more than an angle."""
    if not head.loss.pointwise:
        return np.empty(0, "<f4"), np.empty(0, "<f4")
    positive, negative = (
        curve.numpy().astype("<f4") for curve in head.curves(torch.linspace(0, math.pi, ANGLES), norm)
    )
    return positive[0] if (positive == positive[0]).all() else positive, negative


def whole(value: np.ndarray, dtype: str) -> np.ndarray:
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
