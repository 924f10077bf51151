"""How long does a gradient field take? For every loss, over a sphere with ten classes."""

import time

import torch

from losslab import PrototypeHead, losses
from losslab.fields import push
from losslab.geometry import lattice
from losslab.losses import PairLoss

from .report import Row, Table

CLASSES, TARGET = 10, 50
HOW = (
    "The push at every point of a sphere by the real head, one backward pass; {classes} classes, {threads} threads. "
    "Nobody else draws the field of a loss from the code that trains with it: there is no peer."
)


def measure(*, quick: bool) -> list[Table]:
    tables = []
    for points, target in ((2_000, None), (20_000, TARGET)):
        rows = [
            Row(name, milliseconds(kind, points, 1 if quick else 15), unit="ms", target=target)
            for name, kind in losses.catalogue().items()
            if not issubclass(kind, PairLoss)
        ]
        how = HOW.format(classes=CLASSES, threads=torch.get_num_threads())
        tables.append(Table(f"A gradient field of {points:,} points".replace(",", " "), how, rows))
    return tables


def milliseconds(kind: type[losses.Loss], points: int, tries: int) -> list[float]:
    """Of `tries` fields; the one before them does not count."""
    head = PrototypeHead(losses.starting(kind), dim=3, classes=CLASSES, seed=0)
    place, label, taken = lattice(points), torch.arange(points) % CLASSES, []
    for _ in range(tries + 1):
        begun = time.perf_counter()
        push(head, place, label)
        taken.append(1000 * (time.perf_counter() - begun))
    return taken[1:]
