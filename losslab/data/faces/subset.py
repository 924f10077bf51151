"""FaceSubset: which faces of a source are trained on, and which are kept for verification."""

import os
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from losslab.catalogue import check_knobs, knob
from losslab.data.base import DataError, Images

from .decoded import Decoded, Form, Progress, decoded
from .found import open_source
from .source import FaceSource


@dataclass(frozen=True, kw_only=True)
class FaceSubset:
    """Some identities of a source, some images of each, made square and small.

    Identities are drawn by `seed` among those that have enough images. Those trained on and those held out are never
    the same; more identities extend fewer, and more images of each extend fewer. ValueError for a knob out of range.
    """

    source: str = knob("", help="The faces, by name; python -m losslab data lists them.")
    identities: int = knob(20, 2, step=1, help="People that are trained on.")
    held_out: int = knob(8, 0, step=1, help="People kept for verification: training never sees them.")
    per_identity: int = knob(0, 0, step=1, help="Images of each person, at most; 0 takes all.")
    minimum: int = knob(2, 1, step=1, help="Images that a person must have.")
    size: int = knob(64, 32, 112, step=16, unit="px", help="Side of the square that every image is made.")
    grey: bool = knob(False, help="One channel instead of three.")
    crop: float = knob(0.0, 0, 0.5, step=0.05, help="Share of the middle square's side that is cut off around it.")
    test_share: float = knob(
        0.2, 0, 0.5, step=0.05,
        help="Share of each trained person's images that is held out to count how many are recognised.",
    )  # fmt: skip
    seed: int = knob(0, 0, 999_999, step=1, help="Of the draw of people and images.")

    def __post_init__(self) -> None:
        if not isinstance(self.source, str):
            raise ValueError(f"source is {self.source!r}, but it must be the name of faces in the data folder.")
        check_knobs(self)
        for name in ("crop", "test_share"):
            if not isinstance(value := getattr(self, name), float):
                raise ValueError(f"{name} is {value}, but only the knobs of a loss can follow a schedule.")


@dataclass(frozen=True)
class Chosen:
    """Positions in a source, with the labels and names that they get: of one part."""

    images: np.ndarray  # int64 [n]
    labels: np.ndarray  # int64 [n], in [0, len(names))
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class FaceImages:
    """The images of a subset: uint8 [n c size size], RGB or grey. They lie in the cache and are read when looked at."""

    train: Images  # labels in [0, identities)
    test: Images  # of the same people
    unseen: Images  # of other people, labels in [0, held_out)
    left_out: tuple[str, ...]  # images that could not be decoded, one sentence each


def load(
    subset: FaceSubset,
    folder: str | Path | None = None,
    progress: Progress | None = None,
    source: FaceSource | None = None,
) -> FaceImages:
    """The images of a subset, from the cache below the data folder or decoded into it.

    DataError before any work where the source has too few people or images, or where memory cannot hold them.
    """
    with open_source(subset.source, folder) if source is None else nullcontext(source) as opened:
        parts = choose(subset, opened)
        taken = np.concatenate([part.images for part in parts])
        _fits(len(taken), subset)
        form = Form(size=subset.size, crop=subset.crop, grey=subset.grey)
        found = decoded(opened, taken, form, folder, progress or (lambda *_: None))
    return _divided(parts, found, subset)


def choose(subset: FaceSubset, source: FaceSource) -> tuple[Chosen, Chosen, Chosen]:
    """What is trained on, what of the same people is held out, and the people that are never trained on."""
    count = np.bincount(source.labels, minlength=len(source.names))
    order = _draw(len(source.names), subset.seed)
    enough = order[count[order] >= subset.minimum]
    pairs = enough[count[enough] >= 2]  # one image alone makes no pair of the same person
    if subset.held_out > len(pairs) or subset.identities + subset.held_out > len(enough):
        raise DataError(
            f"{subset.source or source.name} has {len(enough)} people with at least {subset.minimum} images"
            f"{'' if len(pairs) == len(enough) else f' ({len(pairs)} with two or more)'}, but {subset.identities} to "
            f"train on and {subset.held_out} to hold out are asked for: ask for fewer people, or a smaller minimum."
        )
    unseen = pairs[len(pairs) - subset.held_out :]
    trained = enough[~np.isin(enough, unseen)][: subset.identities]
    images = source.by_identity()
    train, test, other = [], [], []
    for person in trained.tolist():
        drawn = _images_of(person, images[person], subset)
        held = min(len(drawn) - 1, max(1, round(subset.test_share * len(drawn)))) if subset.test_share else 0
        test.append(np.sort(drawn[:held]))
        train.append(np.sort(drawn[held:]))
    for person in unseen.tolist():
        other.append(np.sort(_images_of(person, images[person], subset)))
    names = tuple(source.names[person] for person in trained), tuple(source.names[person] for person in unseen)
    return _part(train, names[0]), _part(test, names[0]), _part(other, names[1])


def available_memory() -> float:
    """Bytes that a program may still take; infinite where the system does not tell."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024 * float(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])
    with suppress(AttributeError, ValueError, OSError):
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return float("inf")


def _draw(n: int, seed: int) -> np.ndarray:
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed)).numpy()


def _images_of(person: int, images: np.ndarray, subset: FaceSubset) -> np.ndarray:
    """A person's images in drawn order; the draw depends on nobody else."""
    return images[_draw(len(images), subset.seed * 1_000_003 + person + 1)][: subset.per_identity or None]


def _part(images: list[np.ndarray], names: tuple[str, ...]) -> Chosen:
    none = np.zeros(0, np.int64)
    labels = np.repeat(np.arange(len(images)), [len(each) for each in images])
    return Chosen(np.concatenate([none, *images]), labels.astype(np.int64), names)


def _fits(count: int, subset: FaceSubset) -> None:
    needed, there = count * (1 if subset.grey else 3) * subset.size**2, available_memory()
    if needed > there:
        raise DataError(
            f"{count:,} images of {subset.size} x {subset.size} pixels take {needed / 2**30:.1f} GiB, but "
            f"{there / 2**30:.1f} GiB of memory are free: take fewer people, fewer images of each or smaller ones."
        )


def _divided(parts: tuple[Chosen, ...], found: Decoded, subset: FaceSubset) -> FaceImages:
    """The cached pixels as the parts that were chosen, without what could not be decoded."""
    divided, begin, used = [], 0, 0
    for part in parts:
        mine = found.kept[(found.kept >= begin) & (found.kept < begin + len(part.images))] - begin
        labels = torch.from_numpy(part.labels[mine])
        divided.append(Images(torch.from_numpy(found.pixels[used : used + len(mine)]), labels, part.names))
        begin, used = begin + len(part.images), used + len(mine)
    train, test, unseen = divided
    if len(torch.unique(train.labels)) < len(train.names):
        raise DataError(
            f"{subset.source} has people of whom no training image can be decoded "
            f"({found.left_out[0].rstrip('.')}): repair it, or choose another seed or a larger minimum."
        )
    return FaceImages(train, test, unseen, found.left_out)
