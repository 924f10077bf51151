"""The tour: an orthogonal projection on three dimensions that can be turned, and that wanders.

Snapshots do not change the frame: between two of them only training moves points. Turning by hand is the manual tour of
Cook and Buja (1997), wandering the grand tour (Asimov 1985) along geodesics between frames (Buja, Cook, Asimov and
Hurley 2005). Both happen where the hand is, in the browser: see losslab/stage/tour.js. Here is where they begin.
"""

import numpy as np

from .base import Placed, Projection, linear
from .pca import principal


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
        self.frame: np.ndarray | None = None  # float64 [d 3], orthonormal columns; None before the first picture

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        if self.frame is None:
            self.frame = principal(samples)
        return linear(samples, prototypes, self.frame)
