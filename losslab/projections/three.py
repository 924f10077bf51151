"""The space of three prototypes: of every direction the part that lies in their span, and nothing else.

What is exact: with p the part of a sample (its place times its length) and q_k that of a chosen prototype, p·q_k is the
cosine of the angle between the two in all d dimensions, for the chosen three lie in the picture whole (length 1). So
angles among the three are exact as drawn. Of a sample whose length is r the drawn cosine is the true one over r: its
angles are exact where r = 1, and what is left out makes up the rest of its length, √(1 − r²).
"""

import numpy as np

from .base import Placed, Projection, linear

CHOSEN = (0, 1, 2)


class ThreePrototypes(Projection):
    title = "Three prototypes"
    card = "Of every direction the part that lies in the space of three chosen prototypes."
    linear = True
    says = (
        "Angles among the three prototypes are exact, and a sample's cosines to them are the drawn ones times its "
        "length; what lies outside their space is not seen."
    )

    def __init__(self, seed: int = 0, chosen: tuple[int, int, int] = CHOSEN) -> None:
        """`chosen` are three different rows of the prototypes; ValueError where they are not."""
        super().__init__(seed)
        self.chosen = tuple(chosen)
        if len(set(self.chosen)) != 3 or len(self.chosen) != 3 or min(self.chosen) < 0:
            raise ValueError(f"This picture is of three different prototypes; {list(chosen)} are not.")

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        """ValueError where a chosen prototype is not there."""
        if max(self.chosen) >= len(prototypes):
            raise ValueError(
                f"There is no prototype {max(self.chosen)}; choose three different ones, 0 to {len(prototypes) - 1}."
            )
        return linear(samples, prototypes, span(prototypes[list(self.chosen)]))


def span(three: np.ndarray) -> np.ndarray:
    """A frame [d 3] of the space of three directions [3 d], its axes as near to them as they can be: the polar factor
    (Löwdin's symmetric orthogonalisation). It depends on nothing else, so pictures move only as the angles of the three
    do; and where the three lie in a plane or a line it is still a frame that holds them."""
    left, _, right = np.linalg.svd(three.T, full_matrices=False)
    return left @ right
