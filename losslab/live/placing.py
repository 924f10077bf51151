"""A warm process that places snapshots: `python -m losslab.live.placing`, see projector.py.

Orders arrive as JSON, one a line, on standard input:

    {"do": "place", "errand": number, "path", "stamp", "name", "start", "count"}    {"do": "stop", "errand": number}

and answers leave on standard output, each with the number of its errand:

    {"placed": [[n, dim], [C, dim]], "faithful": {...}}    and then that many float32, samples and prototypes
    {"doing": sentence}    {"ended": true, "problem": sentence, "wait": sentence}

When standard input ends the server is gone, however it went, and so is the process, at once.
"""

import json
import os
import queue
import signal
import sys
import threading
import time
import warnings
from collections import OrderedDict
from contextlib import suppress
from typing import Any, BinaryIO, TextIO

import torch

from losslab import projections
from losslab.projections import Placed, faithful, umap
from losslab.projections.umap import Umap, UmapAligned
from losslab.training import Run

from .pool import LIVE

RUNS = 8  # that are being placed at a time
NICE = 10
OFTEN = 0.2  # seconds between two words about progress
COMPILING = "UMAP is being compiled (about 20 s, once on this machine)."
TRAINING = "All snapshots are laid out together once this run has ended; choose another map until then."


class Begun:
    """A run that is being placed."""

    def __init__(self, path: str, name: str) -> None:
        self.run, self.projection = Run(path), projections.read(name)
        self.placed: list[Placed] = []

    def until(self, count: int) -> None:
        self.run.refresh()
        while len(self.placed) < min(count, len(self.run)):
            snapshot = self.run[len(self.placed)]
            self.placed.append(self.projection.place(snapshot.embedding, snapshot.prototypes))

    def together(self) -> None:
        self.run.refresh()
        if not self.placed:
            snapshots = [(snapshot.embedding, snapshot.prototypes) for snapshot in self.run]
            self.placed = self.projection.place_all(snapshots)


class Placer:
    """Obeys one order after another; `listen` runs beside it, in a thread of its own."""

    def __init__(self, answers: BinaryIO) -> None:
        self._answers = answers
        self._orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._begun: OrderedDict[tuple[str, int, str], Begun] = OrderedDict()
        self._compiled = False
        self._errand, self._told = -1, 0.0
        self._cancel = threading.Event()

    def listen(self, lines: TextIO) -> None:
        """Take orders until there are no more; then the process ends, whatever it is doing."""
        for line in lines:
            order = json.loads(line)
            if order["do"] == "place":
                self._orders.put(order)
            elif order["errand"] == self._errand:
                self._cancel.set()
        os._exit(0)

    def work(self) -> None:
        """Never returns: the process ends with its orders."""
        while True:
            order = self._orders.get()
            self._cancel.clear()
            self._errand = order["errand"]
            problem = wait = ""
            try:
                wait = self._obey(order)
            except umap.Cancelled:
                pass
            except (ValueError, OSError) as error:
                problem = str(error) or "This map cannot be drawn."
            except MemoryError:
                problem = "There was not enough memory for this map; choose another."
            self._say(ended=True, problem=problem, wait=wait)

    def _obey(self, order: dict[str, Any]) -> str:
        """Do it; or say what it has to wait for."""
        key = order["path"], order["stamp"], order["name"]
        one = self._begun.pop(key, None) or Begun(order["path"], order["name"])
        together = isinstance(one.projection, UmapAligned)
        if together and one.run.status.state in LIVE:
            return TRAINING
        if isinstance(one.projection, Umap | UmapAligned):
            self._compile()
            one.projection.progress = self._progress if together else None
            one.projection.cancel = self._cancel
        self._begun[key] = one
        while len(self._begun) > RUNS:
            self._begun.popitem(last=False)
        if together:
            one.together()
            order |= {"count": len(one.placed) - order["start"]}
        for index in range(order["start"], order["start"] + order["count"]):
            if not together:
                one.until(index + 1)
            if index < len(one.placed):
                self._show(one, index)
        return ""

    def _show(self, one: Begun, index: int) -> None:
        placed = one.placed[index]
        faith = faithful.faith(one.projection, one.run[index].embedding, placed)
        numbers = {f"map_{name}": float(value) for name, value in vars(faith).items() if value is not None}
        both = placed.samples, placed.prototypes
        self._say(placed=[rows.shape for rows in both], faithful=numbers, then=both)

    def _compile(self) -> None:
        if not self._compiled:
            self._say(doing=COMPILING)
            umap.warm_up()
            self._compiled = True
        self._say(doing="")

    def _progress(self, done: int, total: int) -> None:
        if time.monotonic() - self._told > OFTEN:
            self._told = time.monotonic()
            self._say(doing=f"Laying out: {100 * done // total} %")

    def _say(self, then: tuple = (), **said: Any) -> None:
        try:
            self._answers.write(json.dumps({"errand": self._errand, **said}).encode() + b"\n")
            for rows in then:
                self._answers.write(rows.astype("<f4").tobytes())
            self._answers.flush()
        except OSError:
            os._exit(0)  # nobody listens: the server is gone


def step_back() -> None:
    """Leave the processor to the server and to training."""
    torch.set_num_threads(1)
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(NICE)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends our input
    # The answers get a channel of their own: a library that prints must not break into them.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    step_back()
    warnings.filterwarnings("ignore", module="umap")  # about beginnings that fall back on others
    placer = Placer(answers)
    threading.Thread(target=placer.listen, args=(sys.stdin,), daemon=True).start()
    placer.work()


if __name__ == "__main__":
    main()
