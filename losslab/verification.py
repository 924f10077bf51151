"""Is it the same person? How well scores answer that: the curve of both errors, its points that papers report, the
accuracy by the protocol of the field, and the pairs that go wrong.

A score is the cosine of two embeddings, a pair is genuine (one identity) or an impostor (two). Accepting the pairs from
some score on accepts impostors at the *false accept rate* (FAR) and genuine pairs at the *true accept rate* (TAR).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

Scores = Sequence[float] | np.ndarray
RATES = (1e-1, 1e-2, 1e-3, 1e-4)  # the false accept rates that are reported
MOST_PAIRS = 1_000_000
FOLDS = 10
CHUNK = 1 << 16  # pairs at a time
ROWS = 512  # embeddings at a time that are compared with all others
IMAGES = 250  # images in one forward pass


# -- the curve -------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Roc:
    """What happens where pairs count as one class from a score of `threshold` on; one entry for each score there is,
    from the highest down, and before them one for none accepted."""

    threshold: np.ndarray  # [t], the first one infinite
    false_match: np.ndarray  # [t] share of the impostor pairs that are accepted, 0 to 1
    true_match: np.ndarray  # [t] share of the genuine pairs that are accepted, 0 to 1


def roc(genuine: Scores, impostor: Scores) -> Roc:
    """From the scores of pairs of one class and of pairs of two. Equal scores are accepted together. ValueError where
    there are none of a kind, or a score is not a number."""
    genuine, impostor = kinds(genuine, impostor)
    threshold = np.concatenate([[np.inf], np.unique(np.concatenate([genuine, impostor]))[::-1]])
    true, false = ((len(scores) - np.searchsorted(scores, threshold)) / len(scores) for scores in (genuine, impostor))
    return Roc(threshold, false, true)


def equal_error_rate(genuine: Scores, impostor: Scores) -> float:
    """Where as large a share of the genuine pairs is refused as of the impostor pairs is accepted, 0 to 1. Between two
    thresholds, and among equal scores, pairs are accepted at random in proportion. Errors as in `roc`."""
    curve = roc(genuine, impostor)
    excess = curve.false_match + curve.true_match - 1  # accepted impostors over refused genuine pairs: −1 up to 1
    after = int(np.argmax(excess >= 0))
    share = -excess[after - 1] / (excess[after] - excess[after - 1])
    return float(curve.false_match[after - 1] + share * (curve.false_match[after] - curve.false_match[after - 1]))


@dataclass(frozen=True)
class AtRate:
    """One point of the curve, with what chance could have made of it."""

    far: float  # the false accept rate asked for; the one reached is the largest not above it
    tar: float  # share of the genuine pairs that are accepted, 0 to 1
    low: float  # 95 of 100 resamplings lie from here
    high: float  # to here
    threshold: float  # scores above it are accepted
    impostors: int

    @property
    def resolved(self) -> bool:
        """Whether there are impostor pairs enough: at a smaller rate than one pair in all, none is accepted."""
        return self.far * self.impostors >= 1 - 1e-9

    @property
    def note(self) -> str:
        """What a reader must know of it: one sentence, or nothing."""
        if self.resolved:
            return ""
        return (
            f"With {self.impostors} impostor pairs, no false accept rate below {1 / self.impostors:.1g} can be told: "
            f"at {self.far:g} this is the share of genuine pairs above every impostor."
        )


def tar_at_far(genuine: Scores, impostor: Scores, far: float, draws: int = 1000, seed: int = 0) -> AtRate:
    """The largest share of genuine pairs that can be accepted with at most the share `far` of the impostors.

    The confidence interval is the bootstrap's over pairs: both kinds are drawn anew `draws` times, with replacement,
    and each time a threshold is found. Of such a draw of n impostors only the k-th highest score counts. Its place
    among the n is that of the k-th smallest of n uniform numbers, which has the distribution Beta(k, n − k + 1); and
    how many genuine pairs above it are drawn is binomial. So a draw takes two random numbers instead of n, and is the
    same draw. The interval takes pairs for independent. Where many of them share few images it is too narrow.

    Errors as in `roc`, and ValueError for a rate that is not above 0 and below 1.
    """
    if not 0 < far < 1:
        raise ValueError(f"A false accept rate of {far:g} cannot be kept to: give one above 0 and below 1.")
    genuine, impostor = kinds(genuine, impostor)
    n = len(impostor)
    kth = math.floor(far * n + 1e-9) + 1  # the highest impostor that must not be accepted; far < 1, so there is one
    draw = np.random.default_rng(seed)
    places = np.minimum((draw.beta(kth, n - kth + 1, draws) * n).astype(int), n - 1)
    thresholds = impostor[::-1][np.append(places, kth - 1)]
    above = (len(genuine) - np.searchsorted(genuine, thresholds, side="right")) / len(genuine)
    drawn = draw.binomial(len(genuine), above[:-1]) / len(genuine)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return AtRate(far, float(above[-1]), float(low), float(high), float(thresholds[-1]), n)


@dataclass(frozen=True, eq=False)
class Histogram:
    """How scores are spread: of each kind of pair, the share in each bin."""

    edges: np.ndarray  # [b + 1], from −1 to 1
    genuine: np.ndarray  # [b], sums to 1
    impostor: np.ndarray  # [b], sums to 1


def histograms(genuine: Scores, impostor: Scores, bins: int = 80) -> Histogram:
    """Of cosines, in equal bins. Errors as in `roc`."""
    edges = np.linspace(-1, 1, bins + 1)
    of_kind = (np.histogram(scores.clip(-1, 1), edges)[0] / len(scores) for scores in kinds(genuine, impostor))
    return Histogram(edges, *of_kind)


def kinds(genuine: Scores, impostor: Scores) -> tuple[np.ndarray, np.ndarray]:
    """Both kinds of scores, sorted. ValueError where there are none of a kind, or one is not a number."""
    genuine, impostor = (np.sort(np.asarray(scores, dtype=float).ravel()) for scores in (genuine, impostor))
    if not (len(genuine) and len(impostor)):
        raise ValueError("Genuine and impostor scores are compared: give at least one of each.")
    if np.isnan(genuine[-1]) or np.isnan(impostor[-1]):  # Sorting puts them last.
        raise ValueError("A score is not a number: look at the embeddings that it was made of.")
    return genuine, impostor


# -- as the field computes it ----------------------------------------------------------------------------


@torch.inference_mode()
def embed(model: nn.Module, images: Tensor, flip: bool = True) -> np.ndarray:
    """Embeddings [n d] of images, uint8 [n c h w], by a model in `eval`. With `flip` each is the sum of the image's and
    its mirror image's, as the field verifies."""
    device = next(model.parameters()).device
    found = []
    for chunk in images.split(IMAGES):
        chunk = chunk.to(device)
        embedding = model(chunk)
        found.append((embedding + model(chunk.flip(3)) if flip else embedding).float().cpu())
    return torch.cat(found).numpy()


@dataclass(frozen=True, eq=False)
class TenFold:
    """Accuracies, 0 to 1, of deciding by a threshold that was chosen on other pairs."""

    accuracy: np.ndarray  # [10], of each fold
    threshold: np.ndarray  # [10], the squared distance that was chosen for each

    @property
    def mean(self) -> float:
        return float(self.accuracy.mean())

    @property
    def spread(self) -> float:
        """Standard deviation over the folds, as it is reported behind ±."""
        return float(self.accuracy.std())


def ten_fold_accuracy(embedding: np.ndarray, same: np.ndarray) -> TenFold:
    """From the embeddings [2n d] of n pairs, pair i the rows 2 i and 2 i + 1, and whether each shows one identity [n].

    The protocol of LFW as FaceNet's and insightface's programs carry it out: ten folds of consecutive pairs (the first
    n mod 10 have one more); squared distances of unit vectors; for each fold, of the thresholds 0, 0.01, ..., 3.99 the
    first that decides most of the other nine folds rightly. A pair is accepted below it. The order of the pairs counts.

    ValueError for fewer than ten pairs, pairs all of one kind, embeddings that do not go with them or are not finite.
    """
    embedding, same = np.asarray(embedding, dtype=np.float64), np.asarray(same, dtype=bool)
    if embedding.ndim != 2 or len(embedding) != 2 * len(same):
        raise ValueError(f"{len(same)} pairs take {2 * len(same)} embeddings, and there are {len(embedding)}.")
    if len(same) < FOLDS:
        raise ValueError(f"Ten folds take at least ten pairs, and there are {len(same)}.")
    if same.all() or not same.any():
        raise ValueError("Genuine and impostor pairs are told apart: give at least one of each.")
    direction = directions(embedding)
    distance = np.square(direction[0::2] - direction[1::2]).sum(1)
    thresholds = np.arange(0, 4, 0.01)
    right = (distance[:, None] < thresholds) == same[:, None]  # [n t]
    fold = np.repeat(np.arange(FOLDS), [len(part) for part in np.array_split(same, FOLDS)])
    in_fold = np.stack([right[fold == each].sum(0) for each in range(FOLDS)])  # [10 t]
    best = (in_fold.sum(0) - in_fold).argmax(1)
    accuracy = in_fold[np.arange(FOLDS), best] / np.bincount(fold)
    return TenFold(accuracy, thresholds[best])


# -- pairs of labelled embeddings ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Scored:
    """Pairs of samples with their cosines."""

    first: np.ndarray  # int64 [p]
    second: np.ndarray  # int64 [p]
    cosine: np.ndarray  # [p]
    same: np.ndarray  # bool [p]
    total: int  # of how many pairs these were drawn

    @property
    def genuine(self) -> np.ndarray:
        return self.cosine[self.same]

    @property
    def impostor(self) -> np.ndarray:
        return self.cosine[~self.same]


def pair_scores(embedding: np.ndarray, same: np.ndarray) -> Scored:
    """Of n given pairs, pair i the rows 2 i and 2 i + 1 of the embeddings [2n d]."""
    direction, same = directions(embedding), np.asarray(same, dtype=bool)
    if len(direction) != 2 * len(same):
        raise ValueError(f"{len(same)} pairs take {2 * len(same)} embeddings, and there are {len(direction)}.")
    first = np.arange(0, len(direction), 2)
    return Scored(first, first + 1, cosines(direction, first, first + 1), same, len(same))


def all_pairs(embedding: np.ndarray, label: np.ndarray, limit: int = MOST_PAIRS, seed: int = 0) -> Scored:
    """All pairs of embeddings [n d] with labels [n]; of more than `limit` a draw without repetition by `seed`.

    Genuine pairs are the rarer ones, so up to half of the draw is theirs; rates within each kind stay what they are.
    ValueError where there is no pair of a kind, or embeddings are not finite.
    """
    direction, label = labelled(embedding, label)
    # Sorted by label, a sample has its own class before it from `start` on, and other classes before that.
    order = np.argsort(label, kind="stable")
    start = np.searchsorted(label[order], label[order])
    own = np.arange(len(label)) - start
    genuine, impostor = int(own.sum()), int(start.sum())
    draw = np.random.default_rng(seed)
    taken = min(genuine, max(limit // 2, limit - impostor))
    of_own = partners(distinct(genuine, taken, draw), own)
    of_others = partners(distinct(impostor, limit - taken, draw), start)
    later = np.concatenate([of_own[0], of_others[0]])
    earlier = np.concatenate([of_own[1] + start[of_own[0]], of_others[1]])
    first, second = order[earlier], order[later]
    same = np.arange(len(later)) < len(of_own[0])
    return Scored(first, second, cosines(direction, first, second), same, genuine + impostor)


def hardest(embedding: np.ndarray, label: np.ndarray, k: int) -> tuple[Scored, Scored]:
    """Of all pairs of embeddings [n d] with labels [n], the k genuine ones least alike and the k impostors most alike,
    worst first. It compares all with all, a block at a time. Errors as in `all_pairs`."""
    direction, label = labelled(embedding, label)
    found = {True: [], False: []}
    for begin in range(0, len(label), ROWS):
        rows = np.arange(begin, min(begin + ROWS, len(label)))
        cosine = direction[rows] @ direction.T
        later = rows[:, None] < np.arange(len(label))
        alike = label[rows][:, None] == label
        for same in (True, False):
            first, second = np.nonzero(later & (alike == same))
            worst = lowest(cosine[first, second] * (1 if same else -1), k)
            first, second = first[worst], second[worst]
            found[same].append((rows[first], second, cosine[first, second]))
    total = len(label) * (len(label) - 1) // 2
    chosen = []
    for same, blocks in found.items():
        first, second, cosine = (np.concatenate(part) for part in zip(*blocks, strict=True))
        worst = lowest(cosine * (1 if same else -1), k)
        chosen.append(Scored(first[worst], second[worst], cosine[worst], np.full(len(worst), same), total))
    return chosen[0], chosen[1]


def cmc(embedding: np.ndarray, label: np.ndarray, draws: int = 20, seed: int = 0) -> np.ndarray:
    """The cumulative match characteristic of embeddings [n d] with labels [n]: how often the own identity is among the
    k nearest of a gallery, 0 to 1, [draws g] for k = 1 up to all g identities.

    Each draw puts one sample of every identity, by `seed`, into the gallery; all others look for theirs by cosine
    (closed-set identification). Of equal cosines the own one counts as the last. Errors as in `all_pairs`.
    """
    direction, label = labelled(embedding, label)
    identity, label = np.unique(label, return_inverse=True)
    draw, rates = np.random.default_rng(seed), []
    for _ in range(draws):
        order = draw.permutation(len(label))
        _, first = np.unique(label[order], return_index=True)
        gallery = order[first]  # [g], the first of each identity in this order
        probes = np.delete(order, first)
        ranks = np.concatenate([ranked(direction[part], direction[gallery], label[part]) for part in blocks(probes)])
        rates.append(np.bincount(ranks, minlength=len(identity) + 1)[1:].cumsum() / len(probes))
    return np.stack(rates)


def ranked(direction: np.ndarray, gallery: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The rank [n], from 1 on, of the own one among the gallery [g d], by their cosines with directions [n d]."""
    cosine = direction @ gallery.T
    return (cosine >= cosine[np.arange(len(own)), own, None]).sum(1)


def blocks(order: np.ndarray) -> list[np.ndarray]:
    """Positions in parts of `ROWS`."""
    return [order[begin : begin + ROWS] for begin in range(0, len(order), ROWS)]


def lowest(values: np.ndarray, k: int) -> np.ndarray:
    """Where the k lowest values are, in their order; of equal ones the first."""
    if k >= len(values):
        return np.argsort(values, kind="stable")
    candidates = np.flatnonzero(values <= np.partition(values, k)[k])
    return candidates[np.argsort(values[candidates], kind="stable")][:k]


def labelled(embedding: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions [n d] and labels [n], with a pair of each kind among them."""
    direction, label = directions(embedding), np.asarray(label)
    if len(direction) != len(label):
        raise ValueError(f"There are {len(direction)} embeddings and {len(label)} labels: give one for each.")
    number = len(np.unique(label))
    if number < 2:
        raise ValueError("Pairs of two identities are needed to verify: give embeddings of at least two.")
    if number == len(label):
        raise ValueError("Pairs of one identity are needed to verify: give at least two embeddings of some identity.")
    return direction, label


def directions(embedding: np.ndarray) -> np.ndarray:
    """Unit vectors [n d]; zero stays zero. ValueError where a number is not finite."""
    embedding = np.asarray(embedding)
    if not np.isfinite(embedding).all():
        raise ValueError(
            "An embedding has a number in it that is not finite: the training diverged, or its file broke."
        )
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    return embedding / np.where(length == 0, 1, length)


def cosines(direction: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of pairs [p] of unit vectors [n d]."""
    cosine = np.empty(len(first))
    for at in range(0, len(first), CHUNK):
        part = slice(at, at + CHUNK)
        np.einsum("pd,pd->p", direction[first[part]], direction[second[part]], out=cosine[part], casting="same_kind")
    return cosine


def partners(number: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where sample i has count[i] pairs and pairs are numbered through: to which sample each number belongs, and which
    of that sample's pairs it is."""
    ends = np.cumsum(count)
    sample = np.searchsorted(ends, number, side="right")
    return sample, number - (ends - count)[sample]


def distinct(total: int, count: int, draw: np.random.Generator) -> np.ndarray:
    """`count` different numbers [count] below `total`, sorted; all of them where there are not more."""
    if count >= total:
        return np.arange(total)
    if 2 * count > total:
        return np.sort(draw.permutation(total)[:count])
    found = np.empty(0, dtype=np.int64)
    while len(found) < count:
        found = np.unique(np.concatenate([found, draw.integers(0, total, count)]))
    return np.sort(draw.permutation(found)[:count])
