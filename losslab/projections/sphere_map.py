"""The sphere map: a neighbour embedding on the sphere itself, each picture begun from the one before.

Samples that are neighbours in d dimensions attract each other and all others repel, as in t-SNE (van der Maaten and
Hinton 2008) but with chords of the unit sphere for distances: the cross-entropy between the neighbourhood graph P and
Q ∝ w, both normalised over all pairs. Its gradient at place y_i is

    −4c² Σ_j (p_ij − q_ij) w_ij y_j  along the sphere,   w_ij = 1/(1 + c² |y_i − y_j|²).

A prototype stands in the middle of the samples that are nearest to it, and samples do not see prototypes: the picture
is of the samples, whatever the number of classes. Of very many samples some are laid out so, and the others stand among
them as prototypes do.
"""

import numpy as np
import torch
from torch import Tensor

from .base import Placed, Projection, directions, rotation, whole
from .graph import fuzzy, joined, middle

SHARP = 20.0  # c: places whose chord is longer than 1/c are far from each other
FIRST, NEXT = 200, 20  # steps to the first picture, and to each that follows
FIRST_RATE, RATE = 0.1, 0.02  # of a step, in radians about
EARLY, EXAGGERATION = 100, 4.0  # for so many steps the first picture's neighbours attract each other so much more
MOMENTS = (0.9, 0.9)  # how long Adam remembers: twenty steps are few
JITTER = 1e-3  # between samples that begin at the same place
MOST = 2000  # samples that are laid out: every step goes through all pairs of them


class SphereMap(Projection):
    title = "Sphere map"
    card = "Neighbours attract each other on the sphere and all others repel; each picture begins where the last ended."
    says = "Neighbours are faithful; distances between far groups and the margin boundary are not."

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._last: np.ndarray | None = None

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        samples, prototypes = samples.astype(np.float32), prototypes.astype(np.float32)
        laid = np.arange(len(samples))
        if len(laid) > MOST:
            laid = np.sort(np.random.default_rng(self.seed).choice(len(samples), MOST, replace=False))
        at = self._last = self._laid_out(samples[laid])

        def among(rows: np.ndarray) -> np.ndarray:
            return directions(middle(fuzzy(rows @ samples[laid].T), at))

        places = np.empty((len(samples), 3), dtype=np.float32)
        others = np.setdiff1d(np.arange(len(samples)), laid)
        places[laid], places[others] = at, among(samples[others])
        return whole(places, among(prototypes))

    def _laid_out(self, samples: np.ndarray) -> np.ndarray:
        """Places [n 3] that neighbours draw together, from those of the picture before."""
        cosine = samples @ samples.T
        np.fill_diagonal(cosine, -np.inf)
        graph = torch.from_numpy(joined(fuzzy(cosine)))
        graph /= graph.sum()
        if self._last is None:
            return descended(self._begin(samples), graph, FIRST, FIRST_RATE, EARLY)
        at = descended(self._last, graph, NEXT, RATE)
        return at @ rotation(at, self._last)

    def _begin(self, samples: np.ndarray) -> np.ndarray:
        """Where the first picture begins: the three directions in which the samples differ most."""
        apart = samples - samples.mean(0)
        across = np.linalg.svd(apart, full_matrices=False)[2][:3]
        noise = np.random.default_rng(self.seed).normal(scale=JITTER, size=(len(samples), 3))
        return directions(directions(apart @ across.T) + noise).astype(np.float32)


def descended(begin: np.ndarray, graph: Tensor, steps: int, rate: float, early: int = 0) -> np.ndarray:
    """Where `steps` steps lead from places `begin` [n 3] with the neighbourhood graph [n n], which sums to 1. Adam
    (Kingma and Ba 2015) on tangent vectors, one second moment for all of a vector: what counts is no coordinate."""
    at = torch.from_numpy(begin)
    first, second = torch.zeros_like(at), torch.zeros_like(at[:, :1])
    for step in range(1, steps + 1):
        push = gradient(at, graph * EXAGGERATION if step <= early else graph)
        first = MOMENTS[0] * first + (1 - MOMENTS[0]) * push
        second = MOMENTS[1] * second + (1 - MOMENTS[1]) * push.square().mean(1, keepdim=True)
        mean, size = first / (1 - MOMENTS[0] ** step), (second / (1 - MOMENTS[1] ** step)).sqrt()
        at = torch.nn.functional.normalize(at - rate * mean / (size + 1e-7))
    return at.numpy()


def gradient(at: Tensor, graph: Tensor) -> Tensor:
    """The gradient of the cross-entropy along the sphere [n 3], at places [n 3]."""
    near = (at @ at.T).mul_(-2 * SHARP**2).add_(1 + 2 * SHARP**2).clamp_(min=1).reciprocal_()
    # Of itself a place is 1 near: that pulls it to where it is, but does not count among the pairs.
    force = (graph - near / (near.sum() - len(at))).mul_(near) @ at
    return -4 * SHARP**2 * (force - (force * at).sum(1, keepdim=True) * at)
