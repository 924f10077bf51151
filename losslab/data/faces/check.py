"""What is in a source of faces, image by image: sizes, copies, and what cannot be read."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from losslab.data.base import DataError

from .decode import decode
from .source import FaceSource


@dataclass(frozen=True)
class Report:
    """What `check` found."""

    images: int
    identities: int
    per_identity: tuple[int, float, int]  # least, median and most images
    sizes: dict[tuple[int, int], int]  # (width, height) -> images
    copies: tuple[tuple[str, ...], ...]  # groups of records that hold the same bytes
    damaged: tuple[str, ...]  # one sentence each


def check(source: FaceSource, progress: Callable[[int, int], None]) -> Report:
    """Decode every image of a source."""
    sizes: Counter = Counter()
    same: defaultdict[bytes, list[int]] = defaultdict(list)
    damaged = list(source.damaged)
    for i in range(len(source)):
        try:
            payload = source.payload(i)
            height, width = decode(payload, source.where(i)).shape[:2]
            sizes[width, height] += 1
            same[hashlib.sha256(payload).digest()].append(i)
        except DataError as error:
            damaged.append(str(error))
        progress(i + 1, len(source))
    count = np.bincount(source.labels, minlength=len(source.names))
    return Report(
        images=len(source),
        identities=len(source.names),
        per_identity=(int(count.min()), float(np.median(count)), int(count.max())),
        sizes=dict(sizes.most_common()),
        copies=tuple(tuple(map(source.where, group)) for group in same.values() if len(group) > 1),
        damaged=tuple(damaged),
    )
