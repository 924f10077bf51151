"""UMAP (McInnes, Healy and Melville 2018) by its own library, which is imported when a picture is asked for: the import
takes seconds, and the very first picture as long again, while it compiles itself. What it compiled is kept on disk for
later processes.

It has no way to be followed or stopped, but it shows a progress bar, one step an epoch; while a picture of ours is made
our own stands in its place. One picture is made at a time, for the library is not made for more.
"""

import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from itertools import chain
from types import ModuleType
from typing import Any

import numpy as np

from .base import PLANE, Placed, Projection, directions, rotation, whole
from .graph import NEIGHBOURS, fuzzy, middle

FIRST, NEXT = 200, 20  # epochs of the first picture, and of each that follows
RATE = 0.1  # of those that follow; the first takes the library's own
WINDOW, TOGETHER, FINISHED = 2, 0.1, 100  # pictures that hold each other, how strongly, and for how many epochs
MOST = 400  # snapshots that are laid out together
EXTENT = 5.0  # half the picture's width: where the library would spread a thousand samples

Progress = Callable[[int, int], None]
"""Called as progress(done_epochs, total_epochs)."""

_one_at_a_time = threading.RLock()


class Cancelled(Exception):
    """The picture was not wanted any more."""


class Missing(ValueError):
    """umap-learn is not installed; the message says what to do."""


class Umap(Projection):
    """What both share. `progress` is told of every epoch, and `cancel`, once set, ends the picture at the next one:
    `place` raises Cancelled, and the pictures before it stay what they were."""

    def __init__(self, seed: int = 0, progress: Progress | None = None, cancel: threading.Event | None = None) -> None:
        super().__init__(seed)
        self.progress, self.cancel = progress, cancel
        self._last: np.ndarray | None = None

    def _fitted(self, samples: np.ndarray, epochs: int, **options: Any) -> np.ndarray:
        """What the library makes of unit vectors [n d]: [n 2]. Raises Cancelled, Missing."""
        with _one_at_a_time:
            made = library().UMAP(n_epochs=epochs, n_jobs=1, **settings(samples, self.seed), **options)
            with watched(self.progress, self.cancel, epochs, [1]):
                return made.fit_transform(samples.astype(np.float32)).astype(np.float64)


class UmapPlane(Umap):
    title = "UMAP, plane"
    card = "UMAP in the plane; each picture begins where the last ended."
    says = "Neighbours are faithful; angles, distances between groups, their sizes and the margin boundary are not."
    dim = PLANE

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        if self._last is None:
            at = centred(self._fitted(samples, FIRST, init="pca"))
        else:
            at = fitted_to(self._fitted(samples, NEXT, init=self._last, learning_rate=RATE), self._last)
        self._last = at.astype(np.float32)
        return planar(samples, prototypes, at)


class UmapSphere(Umap):
    title = "UMAP, sphere"
    card = "UMAP with distances measured on the sphere; every picture is made anew and turned to fit the one before."
    says = (
        "Neighbours are faithful; distances between groups and the margin boundary are not, and groups jump from "
        "picture to picture, for this one cannot begin where the last ended."
    )

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        colatitude, longitude = self._fitted(samples, FIRST, init="pca", output_metric="haversine").T
        ring = np.sin(colatitude)
        at = np.stack([ring * np.cos(longitude), ring * np.sin(longitude), np.cos(colatitude)], 1)
        if self._last is not None:
            at = at @ rotation(at, self._last)
        self._last = at
        return whole(at, directions(middle(fuzzy(prototypes @ samples.T), at)))


class UmapAligned(Projection):
    """Of a run that has ended: `place_all` instead of `place`. `progress` and `cancel` as in `Umap`."""

    title = "UMAP, aligned (finished runs)"
    card = (
        "All snapshots of a finished run laid out together, so that they hold each other still (AlignedUMAP). The "
        "first picture comes after one to several seconds for each snapshot, by the number of samples."
    )
    says = UmapPlane.says
    dim = PLANE

    def __init__(self, seed: int = 0, progress: Progress | None = None, cancel: threading.Event | None = None) -> None:
        super().__init__(seed)
        self.progress, self.cancel = progress, cancel

    def place_all(self, snapshots: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[Placed]:
        """The picture of each, see `aligned`. ValueError also for more than MOST snapshots."""
        if len(snapshots) > MOST:
            raise ValueError(
                f"At most {MOST} snapshots are laid out together, and this run has {len(snapshots)}: choose UMAP, "
                "plane, whose pictures follow one another."
            )
        return aligned(snapshots, self.seed, self.progress, self.cancel)

    def _place(self, samples: np.ndarray, prototypes: np.ndarray) -> Placed:
        raise ValueError("An aligned picture is one of all snapshots, which are laid out together: use place_all.")


def aligned(
    snapshots: Sequence[tuple[np.ndarray, np.ndarray]],
    seed: int = 0,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> list[Placed]:
    """All pictures of a finished run at once, so that they hold each other still (AlignedUMAP), in the plane.

    Args:
        snapshots: two or more pairs of embeddings [n d] and prototypes [C d], of the same samples in the same order.
        seed, progress, cancel: as in `Umap`.

    Raises ValueError for snapshots that make no pictures, Cancelled, Missing.
    """
    if len(snapshots) < 2 or len({np.shape(embedding) for embedding, _ in snapshots}) > 1:
        raise ValueError("Pictures are aligned of two or more snapshots of the same samples: train for longer.")
    rows = [(directions(embedding), directions(prototypes)) for embedding, prototypes in snapshots]
    if len(rows[0][0]) <= NEIGHBOURS or not all(np.isfinite(each).all() for pair in rows for each in pair):
        raise ValueError(f"Pictures are aligned of more than {NEIGHBOURS} samples whose embeddings are finite numbers.")
    same = {k: k for k in range(len(rows[0][0]))}
    with _one_at_a_time:
        made = library().AlignedUMAP(
            n_epochs=FINISHED, alignment_window_size=WINDOW, alignment_regularisation=TOGETHER,
            **settings(rows[0][0], seed),
        )  # fmt: skip
        with watched(progress, cancel, FINISHED, [1] * len(rows) + [len(rows)]), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "n_jobs value", UserWarning)  # which it sets itself
            made.fit([samples.astype(np.float32) for samples, _ in rows], relations=[same] * (len(rows) - 1))
    pictures = [centred(np.asarray(each, dtype=np.float64)) for each in made.embeddings_]
    # The library fits each to the one before as it begins, which makes them smaller and smaller: sizes say nothing.
    pictures = [at / (np.linalg.norm(at) or 1) for at in pictures]
    scale = EXTENT / (max(np.abs(at).max() for at in pictures) or 1)
    return [planar(*pair, at * scale) for pair, at in zip(rows, pictures, strict=True)]


# -- in the plane ----------------------------------------------------------------------------------------


def centred(at: np.ndarray) -> np.ndarray:
    """Places [n 2] about zero, the farthest coordinate at EXTENT."""
    at = at - at.mean(0)
    return at * (EXTENT / (np.abs(at).max() or 1))


def fitted_to(at: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Places [n 2] moved and turned to lie nearest to `goal` [n 2], and made as large: the library chooses a size of
    its own. The size that lies nearest would be smaller, the more so the less the two agree, and all would shrink.
    """
    apart, wanted = at - at.mean(0), goal - goal.mean(0)
    turned = apart @ rotation(apart, wanted)
    return goal.mean(0) + turned * (np.linalg.norm(wanted) / (np.linalg.norm(turned) or 1))


def planar(samples: np.ndarray, prototypes: np.ndarray, at: np.ndarray) -> Placed:
    return whole(at, middle(fuzzy(prototypes @ samples.T), at))


# -- the library -----------------------------------------------------------------------------------------


def settings(samples: np.ndarray, seed: int) -> dict[str, Any]:
    return {"n_neighbors": min(NEIGHBOURS, len(samples) - 1), "metric": "cosine", "random_state": seed}


def library() -> ModuleType:
    """umap-learn, imported now if it was not. Missing where it is not installed."""
    with _one_at_a_time:
        try:
            import umap
            import umap.layouts
        except ImportError as error:
            raise Missing(
                "UMAP needs the package umap-learn, which is not installed: pip install umap-learn, or choose the "
                "sphere map, which needs nothing."
            ) from error
        keep_compiled()
        return umap


@cache
def keep_compiled() -> None:
    """Have Numba keep on disk what it compiles of the library, as it does by itself for most of what that builds on:
    each process would compile all of it anew otherwise. Beside the library, or where Numba finds a place of its own."""
    from numba.extending import is_jitted

    modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] == "umap" and module]
    for compiled in filter(is_jitted, chain.from_iterable(vars(module).values() for module in modules)):
        if compiled.py_func.__module__.split(".")[0] == "umap":
            with suppress(RuntimeError):  # no place that can be written: it is compiled again
                compiled.enable_caching()


def warm_up() -> None:
    """Import the library and have it compile itself, which takes seconds the first time: best in a thread, before a
    picture is wanted. Missing where it is not installed."""
    some = np.random.default_rng(0).normal(size=(60, 8))
    UmapPlane().place(some, some[:3])


@contextmanager
def watched(
    progress: Progress | None, cancel: threading.Event | None, epochs: int, weights: Sequence[int]
) -> Iterator[None]:
    """While this lasts the library's epochs are told to `progress`, and end once `cancel` is set. It makes one loop of
    `epochs` after another; `weights` says of each how many times the work of a fit one of its epochs is."""
    layouts = library().layouts
    bar, loops, done = layouts.tqdm, iter(weights), 0

    def told(steps: Iterable[int], **_: Any) -> Iterator[int]:
        nonlocal done
        weight = next(loops)
        for step in steps:
            if cancel is not None and cancel.is_set():
                raise Cancelled
            yield step
            done += weight
            if progress is not None:
                progress(done, epochs * sum(weights))

    layouts.tqdm = told
    try:
        yield
    finally:
        layouts.tqdm = bar
