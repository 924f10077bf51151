"""Runs of more than three dimensions as they are drawn: every snapshot placed on the sphere, in a process of its own.

That process runs at low priority, so that neither training nor the pages wait for it. It places snapshots in their
order, each from the one before, and only while somebody looks: whoever looks asks for the next few.
"""

import os
import threading
from collections import OrderedDict
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np

MAPS = 8  # kept
AT_ONCE = 4  # snapshots in one errand: a newcomer's map waits behind no more than these
NICE = 10


class Place(NamedTuple):
    """One snapshot as it is drawn, and how faithful that is."""

    samples: np.ndarray  # float32 [n 3] unit vectors, or places in the plane [n 2]
    prototypes: np.ndarray  # float32 [C 3] or [C 2], likewise
    faithful: dict[str, float]  # "map_recall", "map_error_deg" and "map_shown", see losslab.projections.faithful


class Map:
    """The snapshots of one run placed by one projection, as far as there are any."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name
        self.placed: list[Place] = []
        self.problem = ""  # one sentence, when nothing more will come
        self._errand: Future | None = None
        self._lock = threading.Lock()

    def ask(self, snapshots: int) -> None:
        """Have the next ones placed, of so many that there are; at most one errand is under way."""
        with self._lock:
            if self._errand is not None and self._errand.done():
                try:
                    self.placed += self._errand.result()
                except (ValueError, OSError, RuntimeError, ImportError) as error:  # RuntimeError: its process died
                    self.problem = str(error) or "The map cannot be drawn."
                self._errand = None
            have = len(self.placed)
            if self._errand is None and not self.problem and have < snapshots:
                count = min(AT_ONCE, snapshots - have)
                self._errand = process().submit(place, str(self.path), self.name, have, count)


class Maps:
    """The maps that were looked at most lately. Safe in threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, str], Map] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, name: str) -> Map:
        with self._lock:
            found = self._kept.pop((path, name), None) or Map(path, name)
            self._kept[path, name] = found
            while len(self._kept) > MAPS:
                self._kept.popitem(last=False)
            return found


@cache
def process() -> ProcessPoolExecutor:
    """The one process that places. It ends with the server."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=quieten)


def close() -> None:
    """End the process, if there is one."""
    if process.cache_info().currsize:
        process().shutdown(wait=False, cancel_futures=True)
        process.cache_clear()


# -- in that process -------------------------------------------------------------------------------------


class Begun:
    """A run that is being placed."""

    def __init__(self, path: str, name: str) -> None:
        from losslab import projections
        from losslab.training import Run

        self.run, self.projection = Run(path), projections.catalogue()[name]()
        self.placed: list[Place] = []

    def until(self, count: int) -> None:
        from losslab.projections import faithful

        self.run.refresh()
        while len(self.placed) < min(count, len(self.run)):
            snapshot = self.run[len(self.placed)]
            placed = self.projection.place(snapshot.embedding, snapshot.prototypes)
            faith = faithful.faith(self.projection, snapshot.embedding, placed)
            numbers = {f"map_{name}": value for name, value in vars(faith).items() if value is not None}
            self.placed.append(Place(placed.samples, placed.prototypes, numbers))


begun: OrderedDict[tuple[str, str], Begun] = OrderedDict()


def quieten() -> None:
    import torch

    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(NICE)


def place(path: str, name: str, start: int, count: int) -> list[Place]:
    """Snapshots `start` to `start + count` of the run; those before are placed first where that is not done yet."""
    one = begun.pop((path, name), None) or Begun(path, name)
    begun[path, name] = one
    while len(begun) > MAPS:
        begun.popitem(last=False)
    one.until(start + count)
    return one.placed[start : start + count]
