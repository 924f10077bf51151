"""The images of a training at full scale: read and decoded in worker processes, in an order that follows from the seed.

Every epoch is one permutation of all images, or of groups of images of one identity where a recipe asks for these, cut
into batches; what is left over is not seen in that epoch. Place p of a batch goes to part p·parts // batch of the step,
and there to the process whose turn comes: contiguous shares in the order of the processes. So the images of a step, and
the order in which processes that are asked in turn give them, are the same for any number of processes, and a training
goes on from any step without remembering more than its number.
"""

import signal
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from losslab.data import DataError
from losslab.data.faces import FaceSource
from losslab.data.faces.decode import fitted

from .recipe import ScaleRecipe

AHEAD = 4  # batches that each worker decodes in advance
LEFT_OUT = -100  # the label of an image that could not be decoded: the head's `ignore_index`, which costs nothing


class Order(Sampler):
    """What one process reads, from a step on: for each part of each step a list of (image, seen in a mirror).

    `len(order)` counts parts. `order.of(step)` is the whole batch of a step, whoever reads it.
    """

    def __init__(
        self, recipe: ScaleRecipe, labels: np.ndarray, *, after: int = 0, rank: int = 0, size: int = 1
    ) -> None:
        """
        Args:
            labels: of all images, int [n].
            after: steps that were made before.
            rank, size: which process this is, of how many.

        ValueError where there are fewer images than a batch takes, or a batch cannot be shared evenly.
        """
        self.recipe, self.labels, self.after, self.rank, self.size = recipe, labels, after, rank, size
        self.images = len(labels)
        seen = len(self._ordered(np.arange(self.images), np.random.default_rng(0)))
        if seen < recipe.batch:
            grouped = f" in groups of {recipe.grouped}" if recipe.grouped > 1 else ""
            raise ValueError(
                f"There are {seen} images{grouped}, fewer than a batch of {recipe.batch}: choose a smaller batch."
            )
        if recipe.batch % (recipe.parts * size):
            shares = f"{recipe.parts} parts of {size} processes" if recipe.parts > 1 else f"{size} processes"
            raise ValueError(f"A batch of {recipe.batch} cannot be shared evenly by {shares}: choose a multiple.")
        self.per_epoch = seen // recipe.batch
        self.total = recipe.epochs * self.per_epoch
        self._epoch: tuple[int, np.ndarray, np.ndarray] | None = None

    def __len__(self) -> int:
        return (self.total - self.after) * self.recipe.parts

    def __iter__(self) -> Iterator[list[tuple[int, bool]]]:
        share = self.recipe.batch // (self.recipe.parts * self.size)
        for step in range(self.after + 1, self.total + 1):
            batch = self.of(step)
            for part in range(self.recipe.parts):
                begin = (part * self.size + self.rank) * share
                yield batch[begin : begin + share]

    def of(self, step: int) -> list[tuple[int, bool]]:
        """The batch of a step (the first is 1)."""
        epoch, within = divmod(step - 1, self.per_epoch)
        if self._epoch is None or self._epoch[0] != epoch:
            draw = np.random.default_rng([self.recipe.seed, epoch])
            chosen = self._ordered(draw.permutation(self.images), draw)
            self._epoch = epoch, chosen, draw.random(len(chosen), np.float32) < self.recipe.mirrored
        _, chosen, mirrored = self._epoch
        now = slice(within * self.recipe.batch, (within + 1) * self.recipe.batch)
        return list(zip(chosen[now].tolist(), mirrored[now].tolist(), strict=True))

    def _ordered(self, images: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        if self.recipe.grouped == 1:
            return images
        return draw.permutation(groups(images, self.labels, self.recipe.grouped)).ravel()


def groups(images: np.ndarray, labels: np.ndarray, each: int) -> np.ndarray:
    """The images, in groups of one identity, int [g each]: whole groups, and one at least, with repeats where an
    identity has too few."""
    ordered = images[np.argsort(labels[images], kind="stable")]
    _, first, count = np.unique(labels[ordered], return_index=True, return_counts=True)
    number = np.maximum(count // each, 1)  # groups of each identity
    identity = np.repeat(np.arange(len(count)), number)
    before = np.repeat(number.cumsum() - number, number)
    place = (np.arange(len(identity)) - before)[:, None] * each + np.arange(each)
    return ordered[first[identity, None] + place % count[identity, None]]


class Faces(Dataset):
    """The images of a source as a network sees them: uint8 [c size size]."""

    def __init__(self, source: FaceSource, recipe: ScaleRecipe) -> None:
        self.source, self.size, self.colour = source, recipe.size, recipe.colour
        self.channels = 1 if recipe.colour == "grey" else 3

    def __len__(self) -> int:
        return len(self.source)

    def image(self, index: int, mirrored: bool = False) -> np.ndarray:
        """One image, uint8 [c size size]. DataError where it cannot be decoded."""
        pixels = fitted(self.source.image(index), self.size, 0.0, self.colour == "grey")
        if self.colour == "bgr":
            pixels = pixels[::-1]
        return pixels[:, :, ::-1] if mirrored else pixels

    def __getitems__(self, asked: list[tuple[int, bool]]) -> tuple[Tensor, Tensor, list[str]]:
        """The images [b c size size] of a share, their labels [b], and one sentence for each that is left out: it is
        black and has the label LEFT_OUT."""
        images = np.zeros((len(asked), self.channels, self.size, self.size), np.uint8)
        labels, left_out = np.full(len(asked), LEFT_OUT, np.int64), []
        for place, (index, mirrored) in enumerate(asked):
            try:
                images[place] = self.image(index, mirrored)
                labels[place] = self.source.labels[index]
            except DataError as error:
                left_out.append(str(error))
        return torch.from_numpy(images), torch.from_numpy(labels), left_out


def loader(faces: Faces, order: Order, *, workers: int, pinned: bool, timeout: float) -> DataLoader:
    """Shares of batches in the order of `order`, decoded in `workers` processes (0: in this one)."""
    return DataLoader(
        faces,
        batch_sampler=order,
        collate_fn=as_it_is,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=pinned,
        timeout=timeout if workers else 0,
        worker_init_fn=stay,
    )


def as_it_is(share: tuple[Tensor, Tensor, list[str]]) -> tuple[Tensor, Tensor, list[str]]:
    """A share is put together where it is decoded."""
    return share


def stay(_: int) -> None:
    """A signal to stop often goes to every process of a group; those that decode stay until the step is finished."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
