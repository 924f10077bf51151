"""What a network is tested on: images, and what is measured of their embeddings."""

from abc import ABC, abstractmethod

import numpy as np

from losslab.data.faces.pairs import Pairs
from losslab.verification import FOLDS, pair_scores, tar_at_far, ten_fold_accuracy

from .report import Result

RATES = (1e-1, 1e-2, 1e-3)  # false accept rates that a few thousand pairs can tell


class FaceSet(ABC):
    """Images of faces by number, and what their embeddings are worth."""

    name: str

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are."""

    @abstractmethod
    def image(self, i: int) -> np.ndarray:
        """Image i, uint8 [height width 3], red first. ValueError where it cannot be read. Called from threads."""

    @abstractmethod
    def measured(self, embedding: np.ndarray) -> list[Result]:
        """The numbers of embeddings [n d], one row an image. ValueError where one of them is not finite."""


class PairSet(FaceSet):
    """A `.bin` set: ten-fold accuracy by LFW's protocol, and the true accept rate at false accept rates."""

    def __init__(self, pairs: Pairs, name: str = "") -> None:
        """ValueError for fewer than ten pairs, and for pairs all of one kind."""
        self.pairs, self.name = pairs, name or pairs.name.removesuffix(".bin")
        if len(pairs) < FOLDS or pairs.same.all() or not pairs.same.any():
            raise ValueError(
                f"{pairs.name} has {int(pairs.same.sum())} pairs of one person and {int((~pairs.same).sum())} of two: "
                f"to verify on it, there must be some of each and at least {FOLDS} in all."
            )

    def __len__(self) -> int:
        return 2 * len(self.pairs)

    def image(self, i: int) -> np.ndarray:
        return self.pairs.image(i)

    def measured(self, embedding: np.ndarray) -> list[Result]:
        embedding = embedding.astype(np.float64)
        folds = ten_fold_accuracy(embedding, self.pairs.same)
        scored = pair_scores(embedding, self.pairs.same)
        accuracy = Result(
            set=self.name,
            measure="accuracy",
            value=folds.mean,
            spread=folds.spread,
            threshold=float(1 - folds.threshold.mean() / 2),  # |u − v|² = 2 − 2 cos θ
            genuine=len(scored.genuine),
            impostor=len(scored.impostor),
        )
        return [accuracy, *accept_rates(self.name, scored.genuine, scored.impostor, RATES)]


def accept_rates(name: str, genuine: np.ndarray, impostor: np.ndarray, rates: tuple[float, ...]) -> list[Result]:
    """The true accept rate at each false accept rate, of the cosines of both kinds of pairs."""
    genuine, impostor = np.sort(genuine), np.sort(impostor)
    found = []
    for rate in rates:
        at = tar_at_far(genuine, impostor, rate)
        found.append(
            Result(
                set=name,
                measure=f"TAR at FAR {rate:.0e}".replace("e-0", "e-"),
                value=at.tar,
                low=at.low,
                high=at.high,
                threshold=at.threshold,
                genuine=len(genuine),
                impostor=len(impostor),
                note=at.note,
            )
        )
    return found
