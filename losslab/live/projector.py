"""Runs of more than three dimensions as they are drawn: every snapshot placed on the sphere or in the plane, by
processes of their own (placing.py), so that neither training nor the pages wait for it.

Snapshots are placed in their order, each from the one before, and only while somebody looks: whoever looks asks for the
next few. UMAP takes long to compile itself, and longer to lay out a whole run: each has its own process, so that no
sphere map waits for it.
"""

import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import losslab
from losslab import projections
from losslab.projections.umap import Umap, UmapAligned

MAPS = 8  # kept
AT_ONCE = 4  # snapshots in one errand: a newcomer's map waits behind no more than these
UNASKED = 8.0  # seconds after which nobody looks any more; a hidden tab still asks every five or six
TOLD = 5.0  # seconds that a problem is told to all who look, before the next look tries again
SOON = 1.0  # seconds until what cannot begin yet is tried again
DIED = "The process that draws this map has ended; open the run once more, and it is drawn anew."
BEHIND = "Other maps are laid out first."


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
        self.doing = ""  # what there is to wait for, one sentence
        self.problem = ""  # why nothing more comes, one sentence
        self._errand: int | None = None
        self._asked = self._rest = 0.0  # when somebody last looked, and until when nothing is tried
        self._lock = threading.Lock()

    def ask(self, snapshots: int) -> None:
        """Have the next ones placed, of so many that there are; at most one errand is under way."""
        with self._lock:
            self._asked, have = time.monotonic(), len(self.placed)
            if self._errand is None and have < snapshots and self._asked >= self._rest:
                self.problem = ""
                count = min(AT_ONCE, snapshots - have)
                self._errand = lane(self.name).send(self, path=str(self.path), name=self.name, start=have, count=count)

    @property
    def wanted(self) -> bool:
        return time.monotonic() - self._asked < UNASKED

    def place(self, place: Place) -> None:
        self.placed.append(place)

    def ended(self, problem: str = "", wait: str = "") -> None:
        """The errand is over: done, or given up for a problem, or it has to wait for something."""
        with self._lock:
            self.problem, self.doing, self._errand = problem, wait, None
            self._rest = time.monotonic() + (TOLD if problem else SOON if wait else 0)


class Maps:
    """The maps that were looked at most lately. Safe in threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[Path, int, str], Map] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, name: str) -> Map:
        """OSError where there is no run (any more)."""
        key = path, stamp(path), name
        with self._lock:
            found = self._kept.pop(key, None) or Map(path, name)
            self._kept[key] = found
            while len(self._kept) > MAPS:
                self._kept.popitem(last=False)
            return found


class Process:
    """A process that places, as the server sees it: begun at the first errand, and anew when it has died."""

    def __init__(self) -> None:
        self._child: subprocess.Popen | None = None
        self._errands: dict[int, Map] = {}  # by number, the one under way first
        self._numbers = itertools.count()
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        return self._child and self._child.pid

    def warm(self) -> None:
        """Begin it, so that the first errand need not wait for its imports."""
        with self._lock:
            self._begin()

    def send(self, asker: Map, **order: Any) -> int:
        """The number of the errand; `asker` hears what comes of it. OSError where there is no run (any more)."""
        order["stamp"] = stamp(Path(order["path"]))
        with self._lock:
            self._begin()
            number = next(self._numbers)
            if self._errands:
                asker.doing = BEHIND
            self._errands[number] = asker
            self._tell(do="place", errand=number, **order)
            return number

    def close(self) -> None:
        """End it, if there is one, whatever it is doing."""
        with self._lock:
            child, lost = self._child, self._left()
        if child is not None:
            child.kill()
            child.wait()
        for asker in lost:
            asker.ended(problem=DIED)

    def _begin(self) -> None:
        if self._child is not None:
            return
        root = str(Path(losslab.__file__).parents[1])
        paths = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-m", "losslab.live.placing"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": paths},
            creationflags=getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
            | getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
        threading.Thread(target=self._listen, args=(self._child,), daemon=True).start()

    def _tell(self, **order: Any) -> None:
        with suppress(OSError, ValueError):  # it has died: the thread that listens is about to notice
            self._child.stdin.write(json.dumps(order).encode() + b"\n")
            self._child.stdin.flush()

    def _listen(self, child: subprocess.Popen) -> None:
        with suppress(OSError, ValueError):  # it died in the middle of a word
            while line := child.stdout.readline():
                self._hear(child, json.loads(line))
        child.stdin.close()
        child.stdout.close()
        child.wait()
        with self._lock:
            lost = self._left() if self._child is child else []
        for asker in lost:
            asker.ended(problem=DIED)

    def _left(self) -> list[Map]:
        """Who waits in vain, now that there is no process any more."""
        lost = list(self._errands.values())
        self._child, self._errands = None, {}
        return lost

    def _hear(self, child: subprocess.Popen, said: dict[str, Any]) -> None:
        number = said["errand"]
        if "placed" in said:  # its coordinates follow
            samples, prototypes = (
                np.frombuffer(child.stdout.read(4 * rows * dim), "<f4").reshape(rows, dim)
                for rows, dim in said["placed"]
            )
        with self._lock:
            if (asker := self._errands.get(number)) is None:
                return
            if said.get("ended"):
                del self._errands[number]
            elif not asker.wanted:
                self._tell(do="stop", errand=number)
        if "placed" in said:
            asker.place(Place(samples, prototypes, said["faithful"]))
        elif said.get("ended"):
            asker.ended(said["problem"], said["wait"])
        else:
            asker.doing = said["doing"]


QUICK, COMPILED, TOGETHER = Process(), Process(), Process()


def lane(name: str) -> Process:
    """The process for a projection: quick ones do not wait behind UMAP, nor UMAP behind whole runs."""
    kind = projections.catalogue()[name.partition(":")[0]]
    return TOGETHER if issubclass(kind, UmapAligned) else COMPILED if issubclass(kind, Umap) else QUICK


def warm() -> None:
    """Begin the process of the quick projections now: a page calls this before its first map is wanted."""
    QUICK.warm()


def close() -> None:
    """End all of them."""
    for process in (QUICK, COMPILED, TOGETHER):
        process.close()


def stamp(path: Path) -> int:
    """When the run at `path` was made: one made anew under the same name is another."""
    return (path / "recipe.json").stat().st_mtime_ns
