"""The images of a recipe: its two parts, the batches of a run, and the probe that every snapshot shows."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from losslab import data
from losslab.data import Images

from .recipe import Recipe
from .run import Probe


def load(recipe: Recipe, folder: str | Path | None = None) -> tuple[Images, Images]:
    """What a recipe trains on, and what it is tested on (all held-out images of its classes)."""
    train, test = (data.load(recipe.data, split, folder) for split in ("train", "test"))
    return (
        data.subset(train, recipe.classes, recipe.per_class, recipe.seed),
        data.subset(test, recipe.classes, 0, recipe.seed),
    )


def steps_per_epoch(recipe: Recipe, train: Images) -> int:
    """Whole batches only: a last small one would make a step of another size."""
    return max(1, len(train) // recipe.batch)


def batches(recipe: Recipe, train: Images) -> Iterator[tuple[Tensor, Tensor]]:
    """Every step's images (uint8 [b channels height width]) and labels [b], shuffled anew and shifted each epoch."""
    height, width = train.images.shape[2:]
    shift, device = recipe.shift, train.images.device
    # Every shifted copy of every image, as views of one padded tensor: a shifted batch is one look-up.
    padded = F.pad(train.images, (shift, shift, shift, shift))
    shifted = padded.unfold(2, height, 1).unfold(3, width, 1)  # [n channels down across height width]
    draw = torch.Generator().manual_seed(recipe.seed)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(train), generator=draw).to(device)
        moves = torch.randint(0, 2 * shift + 1, (2, len(train)), generator=draw).to(device)
        for step in range(steps_per_epoch(recipe, train)):
            now = slice(step * recipe.batch, (step + 1) * recipe.batch)
            down, across = moves[:, now]
            yield shifted[order[now], :, down, across], train.labels[order[now]]


def probe(recipe: Recipe, folder: str | Path | None = None) -> Probe:
    """The samples that every snapshot of `train(recipe)` shows. DataError when the data is missing."""
    return chosen_probe(recipe, *load(recipe, folder))


def chosen_probe(recipe: Recipe, train: Images, test: Images) -> Probe:
    """Half trained on, half held out, as many of each class as there can be, drawn by the recipe's seed."""
    half = recipe.probe // 2
    halves = [
        (train, alike(train.labels, half, recipe.seed)),
        (test, alike(test.labels, recipe.probe - half, recipe.seed)),
    ]
    return Probe(
        images=np.concatenate([part.images[index, 0].cpu().numpy() for part, index in halves]),
        labels=np.concatenate([part.labels[index].cpu().numpy() for part, index in halves]),
        split=np.repeat(np.array([0, 1], dtype=np.uint8), [len(index) for _, index in halves]),
        names=train.names,
        total_steps=recipe.epochs * steps_per_epoch(recipe, train),
    )


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
