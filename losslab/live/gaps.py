"""Where a loss's margin zones lie at a snapshot, for the losses that no curve of one angle can tell: the gap of every
class on a grid of directions, worked out by the real head. Little endian:

    header, 16 bytes    "LLG1", index u32, n u32, c u16, d u16
    gap                 i16 [c v]: x 8192, clipped to +-4

On the sphere (d = 3) the v = (n + 1)^2 directions are those of the octahedral grid of the stage's zones.js, row by row;
on the circle (d = 2) the v = n directions stand at equal angles, from the first axis on. Embeddings there have the
median length of the snapshot's.
"""

import struct

import numpy as np
import torch

from losslab.geometry import circle, octahedron
from losslab.training import Run, head_at

from .frames import FLOAT32, whole

HEADER = struct.Struct("<4sIIHH")
RING = 1440  # directions on the circle
SIDE, SIDE_OF_MANY, FEW = 96, 80, 12  # cells along the sphere's grid, and with more than FEW classes


def encode(run: Run, index: int) -> bytes:
    """The gaps of snapshot `index`; IndexError when it does not exist yet, ValueError in more than 3 dimensions."""
    snapshot = run[index]
    dim = snapshot.embedding.shape[1]
    if dim not in (2, 3):
        raise ValueError(f"Margin zones are drawn on the circle and the sphere; this run has {dim} dimensions.")
    head = head_at(run.recipe, snapshot)
    n = RING if dim == 2 else SIDE if head.classes <= FEW else SIDE_OF_MANY
    place = circle(n) if dim == 2 else octahedron(n)
    embedding = place * median_length(snapshot.embedding)
    # Class by class: as fast as all at once, in a tenth of the memory.
    gap = [head.gap(embedding, torch.full((len(place),), k)) for k in range(head.classes)]
    header = HEADER.pack(b"LLG1", index, n, head.classes, dim)
    return header + whole(np.clip(torch.stack(gap).numpy(), -4, 4) * 8192, "<i2").tobytes()


def median_length(embedding: np.ndarray) -> float:
    """The median length of embeddings [n d]; 1 where there are none, or none that has a length."""
    length = np.linalg.norm(np.nan_to_num(embedding).astype(np.float64), axis=1)
    median = float(np.median(length)) if len(length) else 0.0
    return min(median, float(FLOAT32.max)) or 1.0
