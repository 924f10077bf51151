"""Who is near to whom: the fuzzy neighbourhood graph of UMAP (McInnes, Healy and Melville 2018, section 3.1), from
cosines."""

import numpy as np

NEIGHBOURS = 15
HALVINGS = 40  # of the search for the width of a neighbourhood
NARROWEST = 1e-3  # of that width: equal neighbours have none


def nearest(cosine: np.ndarray, count: int = NEIGHBOURS) -> np.ndarray:
    """The columns of the `count` largest of each row of `cosine` [m n], the largest first, [m count]. −inf stands where
    there is nothing to be near to. Of equals the first."""
    count = min(count, cosine.shape[1])
    found = np.sort(np.argpartition(-cosine, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(cosine, found, 1), axis=1, kind="stable")
    return np.take_along_axis(found, order, 1)


def membership(distance: np.ndarray) -> np.ndarray:
    """How much each of k neighbours is one, 0 to 1, from distances [m k] in rising order: exp(−(d − d₁)/σ), with σ so
    that they sum to log₂(k + 1) (of the paper's k, which counts the sample itself)."""
    beyond = distance - distance[:, :1]
    goal = np.log2(distance.shape[1] + 1)
    low, high = np.zeros(len(distance)), np.full(len(distance), 8.0)
    for _ in range(HALVINGS):
        width = (low + high) / 2
        few = np.exp(-beyond / width[:, None]).sum(1) < goal
        low, high = np.where(few, width, low), np.where(few, high, width)
    return np.exp(-beyond / np.maximum(high, NARROWEST)[:, None])


def fuzzy(cosine: np.ndarray) -> np.ndarray:
    """Of each row of `cosine` [m n] its neighbours among the columns, by membership: [m n], zero elsewhere."""
    found = nearest(cosine)
    distance = 1 - np.take_along_axis(cosine, found, 1)
    weight = np.zeros_like(cosine)
    np.put_along_axis(weight, found, membership(distance), 1)
    return weight


def joined(weight: np.ndarray) -> np.ndarray:
    """Near to each other are those of whom either is near to the other: fuzzy union, [n n] symmetric."""
    return weight + weight.T - weight * weight.T


def middle(weight: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Where prototypes stand among samples that have places `at` [n k]: in the middle of their neighbours, by the
    membership [C n] of those, [C k]."""
    return weight / weight.sum(1, keepdims=True) @ at
