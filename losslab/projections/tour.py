"""The tour: an orthogonal projection on three dimensions that can be dragged, and that wanders by itself.

Its state is a frame [d 3] with orthonormal columns. Snapshots do not change it: between two of them only training moves
points. Turning by hand is the manual tour of Cook and Buja (1997), wandering the grand tour (Asimov 1985) along the
geodesics between seeded frames (Buja, Cook, Asimov and Hurley 2005).
"""

import math

import numpy as np

from .base import SHORTEST, Placed, Projection, directions, linear
from .pca import principal

FRONT = (0.0, 0.0, 1.0)


class Tour(Projection):
    title = "Tour"
    card = "A straight look at three of the d dimensions, that can be turned by hand or wanders through all of them."
    linear = True
    says = (
        "Straight stays straight and nothing is bent, but far samples may fall together: drag a prototype into view "
        "or press Wander to tell them apart."
    )

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.frame: np.ndarray | None = None  # float64 [d 3]; None before the first picture
        self._random = np.random.default_rng(seed)
        self._leg: Geodesic | None = None
        self._gone = 0.0  # on this leg, radians

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        if self.frame is None:
            self.frame = principal(samples)
        return linear(samples, prototypes, self.frame)

    def turn(self, axis: np.ndarray, by: float | None = None, towards: tuple[float, ...] = FRONT) -> None:
        """Bring a direction of the d dimensions, such as a prototype, towards a place of the picture.

        Args:
            axis: [d], of any length.
            by: how far to turn, in radians; by default, and at most, until it stands there whole (length 1).
            towards: where to, a direction [3] of the picture; the front by default.

        ValueError before the first picture, and where the axis or the place has no direction.
        """
        frame, axis = self._ready(), np.asarray(axis, dtype=np.float64)
        if axis.shape != (len(frame),) or np.shape(towards) != (3,):
            raise ValueError(f"A turn takes an axis [{len(frame)}] and a place [3]; these are {axis.shape}, {towards}.")
        axis, towards = directions(axis[None])[0], directions(np.array([towards]))[0]
        if not axis.any() or not towards.any():
            raise ValueError("A turn takes an axis and a place that are not zero.")
        ahead = frame @ towards  # what stands there now
        aside = axis - (axis @ ahead) * ahead
        across = np.linalg.norm(aside)
        if across <= SHORTEST:  # It stands there, or opposite; then any way leads there.
            if axis @ ahead > 0:
                return
            aside = self._aside(ahead)
            across = 0.0
        aside = aside / np.linalg.norm(aside)
        between = math.atan2(across, axis @ ahead)
        angle = between if by is None else min(max(by, 0.0), between)
        # Turn the plane of the two, and with it whatever part of the frame lies in it.
        along = np.stack([ahead, aside], 1)
        cos, sin = math.cos(angle), math.sin(angle)
        turned = np.array([[cos - 1, -sin], [sin, cos - 1]])
        self._look(frame + along @ turned @ (along.T @ frame))
        self._leg = None

    def wander(self, by: float) -> None:
        """Go on by `by` radians on the grand tour, towards one random frame after another."""
        frame = self._ready()
        if self._leg is None:
            self._leg, self._gone = Geodesic(frame, self._somewhere()), 0.0
        self._gone += max(by, 0.0)
        while self._gone > self._leg.length:
            self._gone -= self._leg.length
            self._leg = Geodesic(self._leg.at(1.0), self._somewhere())
        self._look(self._leg.at(self._gone / self._leg.length))

    def _ready(self) -> np.ndarray:
        if self.frame is None:
            raise ValueError("A tour begins with a picture: place a snapshot first.")
        return self.frame

    def _look(self, frame: np.ndarray) -> None:
        # Orthonormal but for rounding, which thousands of small turns would add up.
        left, _, right = np.linalg.svd(frame, full_matrices=False)
        self.frame = left @ right

    def _somewhere(self) -> np.ndarray:
        return np.linalg.qr(self._random.normal(size=(len(self.frame), 3)))[0]

    def _aside(self, direction: np.ndarray) -> np.ndarray:
        some = np.eye(len(direction))[np.abs(direction).argmin()]
        return some - (some @ direction) * direction


class Geodesic:
    """The shortest way between the spaces of two frames [d 3], without spinning within them: it ends in the space of
    the second, not with its axes. Every principal angle opens evenly."""

    def __init__(self, start: np.ndarray, end: np.ndarray) -> None:
        left, cosine, right = np.linalg.svd(start.T @ end)
        self._angle = np.arccos(np.clip(cosine, -1, 1))
        self._from, self._back = start @ left, left.T
        aside = end @ right.T - self._from * cosine
        size = np.linalg.norm(aside, axis=0)
        self._aside = np.where(size > 1e-9, aside / np.maximum(size, 1e-9), 0)
        self._angle = np.where(size > 1e-9, self._angle, 0)
        self.length = max(float(np.linalg.norm(self._angle)), 1e-6)  # radians

    def at(self, share: float) -> np.ndarray:
        """The frame [d 3] after this share of the way, 0 to 1."""
        turn = share * self._angle
        return (self._from * np.cos(turn) + self._aside * np.sin(turn)) @ self._back
