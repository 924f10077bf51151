"""What a projection is: made once for a run and fed its snapshots in order, so that pictures follow one another.

Prototypes of any number get places beside the samples. What is said of a picture (`says`) is what it can and cannot
tell; how faithful one picture is, `faithful` measures.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

FEWEST = 3  # samples that make a picture
SHORTEST = 1e-12  # below this a vector has no direction

PLANE, SPHERE = 2, 3  # numbers of coordinates: the plane, and directions


@dataclass(frozen=True, eq=False)
class Placed:
    """Where everything is in one picture: coordinates in the plane, or unit vectors on the sphere.

    A linear picture shows of each direction only the part that lies in its three dimensions. Its lengths say how much
    that is, 0 to 1; of what shows whole directions they are 1. `sample_part` and `prototype_part` are those parts.
    """

    samples: np.ndarray  # float32 [n dim]
    prototypes: np.ndarray  # float32 [C dim]
    sample_length: np.ndarray  # float32 [n]
    prototype_length: np.ndarray  # float32 [C]

    @property
    def sample_part(self) -> np.ndarray:
        return self.samples * self.sample_length[:, None]

    @property
    def prototype_part(self) -> np.ndarray:
        return self.prototypes * self.prototype_length[:, None]


class Projection:
    """From d dimensions to the plane or the sphere. A subclass with a `card` is in the catalogue."""

    title: ClassVar[str]
    card: ClassVar[str]  # how it is made, one sentence
    says: ClassVar[str]  # what it can and cannot tell, one sentence
    dim: ClassVar[int] = SPHERE
    linear: ClassVar[bool] = False  # does it show a part of each direction, of which `Placed` says the length?

    def __init__(self, seed: int = 0) -> None:
        """`seed` decides what is random; the same seed and snapshots give the same pictures."""
        self.seed = seed
        self._shape: tuple[int, int] | None = None

    def place(self, embedding: np.ndarray, prototypes: np.ndarray) -> Placed:
        """The next picture. ValueError where these are not the embeddings of the same samples as before.

        Args:
            embedding: [n d], of any lengths; only directions count. A zero embedding has none, and stands at right
                angles to all.
            prototypes: [C d], likewise.
        """
        samples, prototypes = np.asarray(embedding), np.asarray(prototypes)
        if samples.ndim != 2 or prototypes.ndim != 2 or samples.shape[1] != prototypes.shape[1]:
            raise ValueError(
                f"A projection takes embeddings [n d] and prototypes [C d]; these are {list(samples.shape)} and "
                f"{list(prototypes.shape)}."
            )
        if len(samples) < FEWEST or samples.shape[1] <= SPHERE:
            raise ValueError(
                f"A projection takes {FEWEST} or more samples of more than {SPHERE} dimensions; these are "
                f"{len(samples)} of {samples.shape[1]}: fewer dimensions are drawn as they are."
            )
        if self._shape not in (None, samples.shape):
            raise ValueError(
                f"This projection has placed {self._shape[0]} samples of {self._shape[1]} dimensions, and these are "
                f"{samples.shape[0]} of {samples.shape[1]}: make a new one for another run."
            )
        if not (np.isfinite(samples).all() and np.isfinite(prototypes).all()):
            raise ValueError("Embeddings and prototypes must be finite numbers; choose an earlier snapshot.")
        placed = self._place(directions(samples), directions(prototypes))
        self._shape = samples.shape
        return placed

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        """The next picture of unit vectors [n d] and [C d], float64."""
        raise NotImplementedError


def directions(vectors: np.ndarray) -> np.ndarray:
    """Unit vectors [n d], float64; zero where there is no direction."""
    vectors = np.asarray(vectors, dtype=np.float64)
    peak = np.abs(vectors).max(1, keepdims=True, initial=0)  # so that squares neither vanish nor overflow
    scaled = vectors / np.where(peak > SHORTEST, peak, np.inf)
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1)


def rotation(points: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """The orthogonal matrix R [k k] that brings `points @ R` [n k] nearest to `goal` [n k]: orthogonal Procrustes
    (Schönemann 1966). Mirroring is allowed."""
    left, _, right = np.linalg.svd(points.T @ goal)
    return left @ right


def linear(samples: np.ndarray, prototypes: np.ndarray, frame: np.ndarray) -> Placed:
    """The orthogonal projection of directions [n d] and [C d] on the columns of `frame` [d 3], drawn on the sphere."""
    parts = []
    for rows in (samples, prototypes):
        part = rows @ frame
        length = np.linalg.norm(part, axis=1)
        # What has no part in the picture still needs a place; its length says that there is nothing to it.
        place = np.where(length[:, None] > SHORTEST, part / np.maximum(length, SHORTEST)[:, None], [0.0, 0.0, 1.0])
        parts.append((place.astype(np.float32), length.astype(np.float32)))
    (at, length), (prototype_at, prototype_length) = parts
    return Placed(at, prototype_at, length, prototype_length)


def whole(samples: np.ndarray, prototypes: np.ndarray) -> Placed:
    """A picture of whole directions at these places [n dim] and [C dim]."""
    ones = (np.ones(len(rows), dtype=np.float32) for rows in (samples, prototypes))
    return Placed(samples.astype(np.float32), prototypes.astype(np.float32), *ones)
