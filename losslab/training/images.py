"""The images of a recipe: its two parts, the batches of a run, and the probe that every snapshot shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from losslab import data
from losslab.data import Images
from losslab.data.faces import subset as faces

from .recipe import Recipe
from .run import Probe

TAIL, WRONG = 1_000_000, 2_000_000  # added to a recipe's seed, past every other: what is drawn shares no pattern


@dataclass(frozen=True, eq=False)
class Told(Images):
    """Images with the labels that training is told, and the true ones."""

    truth: Tensor  # int64 [n]


def load(recipe: Recipe, folder: str | Path | None = None) -> tuple[Told, Told]:
    """What a recipe trains on, and what it is tested on (all held-out images of its classes, with true labels)."""
    if recipe.faces is not None:
        found = faces.load(recipe.faces, folder)
        train, test = found.train, found.test
    else:
        train, test = (data.load(recipe.data, split, folder) for split in ("train", "test"))
        train = data.subset(train, recipe.classes, recipe.per_class, recipe.seed)
        test = data.subset(test, recipe.classes, 0, recipe.seed)
    kept = long_tail(train.labels, len(train.names), recipe.imbalance, recipe.seed)
    truth = train.labels[kept]
    told = mislabelled(truth, len(train.names), recipe.noise, recipe.seed)
    images = train.images if len(kept) == len(train) else train.images[kept]  # all: no copy of what may be on disk
    return Told(images, told, train.names, truth), Told(test.images, test.labels, test.names, test.labels)


def long_tail(labels: Tensor, classes: int, imbalance: float, seed: int) -> Tensor:
    """Positions, in their order, of what is kept of each class: of the class at position k the share
    imbalance^(−k / (classes − 1)), at least two. A larger imbalance keeps some of what a smaller one keeps."""
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed + TAIL))
    kept = []
    for k in range(classes):
        mine = order[labels[order] == k]
        kept.append(mine[: max(2, round(len(mine) * imbalance ** (-k / (classes - 1))))])
    return torch.cat(kept).sort().values


def mislabelled(labels: Tensor, classes: int, noise: float, seed: int) -> Tensor:
    """The labels, a share `noise` of them replaced by those of other classes. More noise keeps what less has
    replaced."""
    draw = torch.Generator().manual_seed(seed + WRONG)
    other = (labels + torch.randint(1, classes, labels.shape, generator=draw)) % classes
    wrong = torch.randperm(len(labels), generator=draw)[: round(noise * len(labels))]
    return labels.index_copy(0, wrong, other[wrong])


def steps_per_epoch(recipe: Recipe, train: Images) -> int:
    """Whole batches only: a last small one would make a step of another size."""
    return max(1, len(train) // recipe.batch)


def total_steps(recipe: Recipe, train: Images) -> int:
    """Of the whole run. ValueError for a recipe that has a later loss wait for longer than that."""
    total = recipe.epochs * steps_per_epoch(recipe, train)
    if recipe.later and recipe.later[-1][0] >= total:
        raise ValueError(
            f"A later loss would begin after step {recipe.later[-1][0]}, but this training has only {total} steps: "
            "choose an earlier step, or more epochs."
        )
    return total


def batches(recipe: Recipe, train: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Every step's images (uint8 [b channels height width]) and labels [b] on the device of the labels, shuffled anew
    and shifted each epoch; of faces half are seen in a mirror."""
    height, width = train.images.shape[2:]
    shift, device = recipe.shift, train.labels.device
    draw = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(train), generator=draw)
        moves = torch.randint(0, 2 * shift + 1, (2, len(train)), generator=draw).to(device)
        for step in range(steps_per_epoch(recipe, train)):
            now = slice(step * recipe.batch, (step + 1) * recipe.batch)
            chosen, (down, across) = order[now], moves[:, now]
            padded = F.pad(train.images[chosen.to(train.images.device)].to(device), (shift, shift, shift, shift))
            shifted = padded.unfold(2, height, 1).unfold(3, width, 1)  # [b channels down across height width]
            images = shifted[torch.arange(len(chosen), device=device), :, down, across]
            if recipe.faces is not None:
                mirrored = torch.rand(len(images), generator=draw).to(device) < 0.5
                images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
            yield images, train.labels[chosen.to(device)]


def probe(recipe: Recipe, folder: str | Path | None = None) -> Probe:
    """The samples that every snapshot of `train(recipe)` shows. DataError when the data is missing, ValueError for a
    later loss that would never come."""
    return chosen_probe(recipe, *load(recipe, folder))


def chosen_probe(recipe: Recipe, train: Told, test: Told) -> Probe:
    """Half trained on, half held out, as many of each class (as told) as there can be, drawn by the recipe's seed."""
    half = recipe.probe // 2
    halves = [
        (train, alike(train.labels, half, recipe.seed)),
        (test, alike(test.labels, recipe.probe - half, recipe.seed)),
    ]
    return Probe(
        images=np.concatenate([pictures(part.images[index]) for part, index in halves]),
        labels=np.concatenate([part.labels[index].cpu().numpy() for part, index in halves]),
        split=np.repeat(np.array([0, 1], dtype=np.uint8), [len(index) for _, index in halves]),
        names=train.names,
        total_steps=total_steps(recipe, train),
        truth=np.concatenate([part.truth[index].cpu().numpy() for part, index in halves]),
    )


def pictures(images: Tensor) -> np.ndarray:
    """uint8 [n h w] of grey images [n 1 h w], [n h w 3] of coloured ones [n 3 h w]: as they are shown and kept."""
    return (images[:, 0] if images.shape[1] == 1 else images.permute(0, 2, 3, 1)).cpu().numpy()


def alike(labels: Tensor, size: int, seed: int) -> Tensor:
    """Positions of at most `size` samples, as many of each class as there can be: every class gives its first, then
    every class its second, and so on."""
    labels = labels.cpu()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    rank = torch.empty(len(labels), dtype=torch.int64)  # how many of its own class come before it
    for label in labels.unique():
        mine = labels[order] == label
        rank[mine] = torch.arange(int(mine.sum()))
    return order[rank.argsort(stable=True)[:size]]
