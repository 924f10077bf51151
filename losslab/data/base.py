"""What a data set is here: a few thousand small images in memory, their labels, and where they came from."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

SPLITS = ("train", "test")

Progress = Callable[[int, int], None]
"""Called as progress(done_bytes, total_bytes)."""


class DataError(ValueError):
    """Data that is missing, damaged or asked for wrongly; the message is one sentence with the remedy."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images with their labels, in memory. The tensors are the caller's own: changing them harms nobody."""

    images: Tensor  # uint8 [n 1 28 28]
    labels: Tensor  # int64 [n], in [0, len(names))
    names: tuple[str, ...]  # the name of each class

    def __len__(self) -> int:
        return len(self.labels)


class Dataset:
    """A data set; a subclass that has a `card` is in the catalogue."""

    name: ClassVar[str]
    title: ClassVar[str]
    card: ClassVar[str]  # where it comes from and under which licence
    names: ClassVar[tuple[str, ...]]
    sizes: ClassVar[dict[str, int]]  # images in each split

    def available(self, folder: str | Path | None = None) -> bool:
        """Whether `load` would find its files. Cheap: it looks for them but does not read the images."""
        raise NotImplementedError

    def load(self, split: str, folder: str | Path | None = None) -> Images:
        """All images of "train" or "test". DataError when they are missing or damaged."""
        raise NotImplementedError

    def download(self, folder: str | Path | None = None, progress: Progress | None = None) -> str:
        """Bring the files into the data folder; returns one sentence that says where they are."""
        raise NotImplementedError


def data_folder(folder: str | Path | None = None) -> Path:
    """`folder`, else $LOSSLAB_DATA, else ~/.cache/losslab. DataError where nobody knows what ~ is."""
    try:
        return Path(folder or os.environ.get("LOSSLAB_DATA") or "~/.cache/losslab").expanduser()
    except RuntimeError as error:
        raise DataError("There is no home folder here to keep data in: set LOSSLAB_DATA to another folder.") from error


def subset(images: Images, classes: Sequence[int], per_class: int, seed: int) -> Images:
    """The images of some classes, labels renumbered 0..c-1 in the order of `classes`.

    `per_class` images of each class are drawn by `seed`; 0 takes all, and a class that has fewer gives what
    it has. A larger `per_class` extends the smaller draw, and what one class gives does not depend on the
    others.
    """
    classes = list(classes)
    unknown = [c for c in classes if c not in range(len(images.names))]
    if unknown:
        raise DataError(f"There is no class {unknown[0]}: choose among 0 to {len(images.names) - 1}.")
    if len(set(classes)) < len(classes):
        raise DataError(f"The classes {classes} name one class twice: name each once.")
    if len(classes) < 2:
        raise DataError(f"A loss needs classes to tell apart and got {len(classes)}: choose at least two.")
    if per_class < 0:
        raise DataError(f"per_class is {per_class}: ask for a positive number of images a class, or 0 for all.")

    draw = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    drawn = images.labels[draw]
    chosen = torch.cat([draw[drawn == c][: per_class or None] for c in classes])
    chosen = chosen.sort().values  # the order of the whole set, in which classes are mixed
    number = torch.empty(len(images.names), dtype=torch.int64)
    number[classes] = torch.arange(len(classes))
    return Images(
        images=images.images[chosen],
        labels=number[images.labels[chosen]],
        names=tuple(images.names[c] for c in classes),
    )
