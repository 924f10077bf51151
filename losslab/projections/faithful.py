"""How faithful a picture is, in numbers: are neighbours neighbours, are angles angles, and does it keep still?"""

from dataclasses import dataclass

import numpy as np

from .base import SPHERE, Placed, Projection, directions
from .graph import NEIGHBOURS, nearest

PAIRS = 20_000  # whose angles are compared


@dataclass(frozen=True)
class Faith:
    """What is said beside a picture."""

    recall: float  # `neighbour_recall`, 0 to 1
    error_deg: float | None  # `angle_error_deg`; None in the plane, which has no angles to compare
    shown: float | None  # of linear pictures, how much of the directions is in them: mean square length, 0 to 1

    @property
    def sentence(self) -> str:
        said = [f"{self.recall:.0%} of each sample's {NEIGHBOURS} nearest neighbours are among its nearest here"]
        if self.error_deg is not None:
            said.append(f"half of all angles are off by more than {self.error_deg:.0f}°")
        if self.shown is not None:
            said.append(f"{self.shown:.0%} of the directions is seen")
        return f"{'; '.join(said)}."


def faith(kind: type[Projection] | Projection, embedding: np.ndarray, placed: Placed) -> Faith:
    """Of the picture that this projection made of embeddings [n d]. All pairs are compared: meant for n ≤ 2000."""
    length = placed.sample_length.astype(np.float64)
    return Faith(
        recall=neighbour_recall(embedding, placed.samples),
        error_deg=angle_error_deg(embedding, placed.samples) if kind.dim == SPHERE else None,
        shown=float(np.square(length).mean()) if kind.linear else None,
    )


def neighbour_recall(embedding: np.ndarray, places: np.ndarray, count: int = NEIGHBOURS) -> float:
    """Which share of each sample's `count` true neighbours, the nearest of embeddings [n d] by cosine, is among its
    nearest of the places [n 2] in the plane or [n 3] on the sphere; mean over samples, 0 to 1."""
    true, drawn = (neighbours(near, count) for near in (closeness(directions(embedding)), closeness(places)))
    each = np.zeros((2, len(places), len(places)), dtype=bool)
    for seen, found in zip(each, (true, drawn), strict=True):
        np.put_along_axis(seen, found, True, 1)
    return float((each[0] & each[1]).sum() / true.size)


def angle_error_deg(embedding: np.ndarray, places: np.ndarray, pairs: int = PAIRS, seed: int = 0) -> float:
    """By how many degrees the angle of two samples on the sphere [n 3] differs from their true one in d dimensions:
    median over pairs drawn at random. Samples without a direction do not count; NaN where none are left."""
    true = directions(embedding)
    known = np.flatnonzero(true.any(1))
    if len(known) < 2:
        return float("nan")
    random = np.random.default_rng(seed)
    first = random.integers(len(known), size=pairs)
    second = (first + random.integers(1, len(known), size=pairs)) % len(known)  # never the same
    found = [angles_deg(rows[known[first]], rows[known[second]]) for rows in (true, directions(places))]
    return float(np.median(np.abs(found[0] - found[1])))


def jump(before: np.ndarray, after: np.ndarray, which: np.ndarray | None = None) -> float:
    """How far a point moves from one picture [n dim] to the next: the median over the points (or over those of `which`,
    bool [n]), in standard deviations of the picture before (root mean square distance from its middle). NaN of none."""
    which = np.ones(len(before), dtype=bool) if which is None else which
    moved = np.linalg.norm(np.subtract(after, before, dtype=np.float64), axis=1)[which]
    sigma = np.sqrt(np.square(before - before.mean(0, dtype=np.float64)).sum(1).mean())
    return float(np.median(moved) / sigma) if len(moved) and sigma else float("nan")


def turned_deg(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """By how many degrees each direction turned from one snapshot [n d] to another, [n]: which samples stayed, as
    their points should."""
    return angles_deg(directions(before), directions(after))


# -- angles and neighbours -------------------------------------------------------------------------------


def angles_deg(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles between unit vectors [n d], row by row, [n]. By chords, which are exact also of small angles."""
    return np.degrees(2 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1)))


def closeness(places: np.ndarray) -> np.ndarray:
    """The nearer two of the places [n k], the larger, [n n]; of unit vectors the order is that of cosines."""
    places = np.asarray(places, dtype=np.float64)
    square = np.square(places).sum(1)
    near = 2 * places @ places.T - square[:, None] - square
    np.fill_diagonal(near, -np.inf)
    return near


def neighbours(near: np.ndarray, count: int) -> np.ndarray:
    return nearest(near, min(count, len(near) - 1))
