"""How long does a picture of many dimensions take, how faithful is it, and does it keep still? Against pictures made
anew each time."""

import time
from collections.abc import Callable, Sequence
from statistics import mean

import numpy as np
import torch

from losslab import losses, projections
from losslab.losses import CosFace
from losslab.projections import Placed, faithful, umap
from losslab.training import Recipe, train

from .report import Row, Table

Moment = tuple[np.ndarray, np.ndarray]  # embeddings and prototypes

PICTURES, QUICK = 24, 5
STILL = 2.0  # degrees: what turned by less between two snapshots did not move
SLOW = ("UmapSphere",)  # made anew each time as it is: it is its own peer
HOW = (
    "{count} of {all} snapshots of a CosFace training ({n} digits in {d} dimensions, {steps} steps), one thread. Peer: "
    "the same method begun anew for every snapshot. Jump: how far the median point moves from one picture to the next, "
    "in standard deviations of the picture; still points: those whose embedding turned by less than {still:g}° "
    "({share:.0%} of all). Recall: share of the 15 nearest neighbours that are among the 15 nearest in the picture. "
    "UMAP compiles itself before it is measured."
)


def measure(*, quick: bool) -> list[Table]:
    recipe = Recipe(loss=losses.starting(CosFace), dim=16, per_class=300, epochs=1 if quick else 3, probe=1000)
    snapshots = list(train(recipe))
    count = QUICK if quick else PICTURES
    chosen = [snapshots[round(i)] for i in np.linspace(0, len(snapshots) - 1, count)]
    moments = [(snapshot.embedding, snapshot.prototypes) for snapshot in chosen]
    still = [faithful.turned_deg(a, b) < STILL for (a, _), (b, _) in pairs(moments)]
    how = HOW.format(
        count=count, all=len(snapshots), n=len(moments[0][0]), d=recipe.dim, steps=snapshots[-1].step, still=STILL,
        share=mean(each.mean() for each in still),
    )  # fmt: skip
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [Table(f"{title}, 1 000 samples", how, rows) for title, rows in tables(moments, still)]
    finally:
        torch.set_num_threads(threads)


def tables(moments: Sequence[Moment], still: Sequence[np.ndarray]) -> list[tuple[str, list[Row]]]:
    found = []
    for name, kind in projections.catalogue().items():
        if issubclass(kind, umap.UmapAligned):
            continue  # measured beside the plane's, whose pictures are its peer
        try:
            if name.startswith("Umap"):
                umap.warm_up()
        except umap.Missing:
            continue
        follows = kind()
        ours = timed(follows.place, moments)
        anew = None if name in SLOW else timed(lambda *moment, kind=kind: kind().place(*moment), moments)
        found.append((kind.title, rows(ours, anew, moments, still, name == projections.DEFAULT)))
        if name == "UmapPlane":
            begun = time.perf_counter()
            placed = umap.aligned(moments)
            each = 1000 * (time.perf_counter() - begun) / len(moments)
            found.append(("AlignedUMAP of the finished run", rows(([each], placed), anew, moments, still, False)))
    return found


Timed = tuple[list[float], list[Placed]]  # milliseconds, and pictures


def timed(place: Callable[..., Placed], moments: Sequence[Moment]) -> Timed:
    taken, placed = [], []
    for moment in moments:
        begun = time.perf_counter()
        placed.append(place(*moment))
        taken.append(1000 * (time.perf_counter() - begun))
    return taken, placed


def rows(
    ours: Timed, anew: Timed | None, moments: Sequence[Moment], still: Sequence[np.ndarray], default: bool
) -> list[Row]:
    """What there is to know of one method: of ours, and of pictures made anew."""

    def both(of: Callable[[Timed], list[float]]) -> dict[str, list[float] | None]:
        return {"ours": of(ours), "peer": anew and of(anew)}

    def jumps(each: Timed) -> list[float]:
        return [faithful.jump(a.samples, b.samples) for a, b in pairs(each[1])]

    def still_jumps(each: Timed) -> list[float]:
        enough = [(a, b, which) for (a, b), which in zip(pairs(each[1]), still, strict=True) if which.sum() >= 10]
        return [faithful.jump(a.samples, b.samples, which) for a, b, which in enough]

    def recalls(each: Timed) -> list[float]:
        return [
            faithful.neighbour_recall(embedding, placed.samples)
            for (embedding, _), placed in zip(moments, each[1], strict=True)
        ]

    return [
        Row("a picture after the first", **both(lambda each: each[0][1:] or each[0]), unit="ms",
            target=200 if default else None),
        Row("jump", **both(jumps), unit="σ", target=0.12 if default else None),
        Row("jump of still points", **both(still_jumps), unit="σ"),
        Row("recall of 15 neighbours", **both(recalls), unit="", more=True),
        Row("recall in the last picture", **both(lambda each: recalls(each)[-1:]), unit="", more=True,
            target=0.6 if default else None),
    ]  # fmt: skip


def pairs(items: Sequence) -> list[tuple]:
    return list(zip(items, items[1:], strict=False))
