"""Principal axes: the three-dimensional space through the origin in which most of the directions lies, of each picture
anew, turned so that it lies as near as possible to the picture before."""

import numpy as np

from .base import Placed, Projection, linear, rotation


class PrincipalAxes(Projection):
    title = "Principal axes"
    card = "The three dimensions that hold most of all directions, turned to fit the picture before."
    linear = True
    says = (
        "Straight stays straight and nothing is bent, but what lies outside three dimensions is not seen: directions "
        "that are far apart may fall together."
    )

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._last: np.ndarray | None = None  # parts [n 3] of the picture before

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        frame = principal(samples)
        if self._last is not None:
            frame = frame @ rotation(samples @ frame, self._last)
        self._last = samples @ frame
        return linear(samples, prototypes, frame)


def principal(samples: np.ndarray) -> np.ndarray:
    """The frame [d 3] that keeps the most of directions [n d], Σ length²: not centred, for angles are at the origin."""
    axes = np.linalg.eigh(samples.T @ samples)[1][:, :-4:-1]
    return axes * np.where(axes.sum(0) < 0, -1, 1)  # of both ways along an axis always the same
