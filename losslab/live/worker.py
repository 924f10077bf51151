"""A warm process that trains one run after another: `python -m losslab.live.worker`.

Commands arrive as JSON, one a line, on standard input:

    {"do": "train", "path": ...}    {"do": "change", "knobs": {...}}    {"do": "pause" | "resume"}
    {"do": "stop", "reason": ...}

and answers leave as JSON lines on standard output:

    {"say": "ready"}    {"say": "started"}    {"say": "state", "state": ...}    {"say": "later", "step": ...}
    {"say": "finished", "state": ..., "reason": ...}

When standard input ends the server is gone, and so is the process, at once: nobody is left to stop it.
"""

import json
import os
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import torch

from losslab import losses
from losslab.data import DataError
from losslab.losses import ArcFace
from losslab.training import Diverged, Recipe, Run, RunWriter, Snapshot, train, upcoming
from losslab.training.threads import threads


class Orders:
    """What the server has said: filled by the thread that listens, read by the one that trains."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._path: Path | None = None
        self._knobs: dict[str, Any] = {}
        self._paused = False
        self._stop: str | None = None

    def listen(self, lines: TextIO) -> None:
        """Take commands until there are no more; then the process ends, whatever it was doing."""
        for line in lines:
            self.take(json.loads(line))
        os._exit(0)

    def take(self, command: dict[str, Any]) -> None:
        with self._news:
            match command["do"]:
                case "train":  # a new run: what was said of the last one no longer counts
                    self._path, self._knobs, self._paused, self._stop = Path(command["path"]), {}, False, None
                case "change":
                    self._knobs |= command["knobs"]
                case "pause":
                    self._paused = True
                case "resume":
                    self._paused = False
                case "stop":
                    self._stop = command["reason"]
            self._news.notify_all()

    def path(self) -> Path:
        """The next run to train; waits for one."""
        with self._news:
            self._news.wait_for(lambda: self._path is not None)
            path, self._path = self._path, None
            return path

    def knobs(self) -> dict[str, Any] | None:
        """The knobs to change before the next step, told once."""
        with self._news:
            knobs, self._knobs = self._knobs, {}
            return knobs or None

    @property
    def paused(self) -> bool:
        return self._paused and self._stop is None

    @property
    def stopped(self) -> str | None:
        """Why the run must stop, or None."""
        return self._stop

    def wait_while_paused(self) -> None:
        with self._news:
            self._news.wait_for(lambda: not self.paused)


class Worker:
    """Trains what it is told and says what became of it."""

    def __init__(self, answers: TextIO) -> None:
        self._answers = answers
        self._orders = Orders()
        self._sound = True

    def work(self, commands: TextIO) -> None:
        """Train until the commands end, and the process with them, or until a run fails as none should: what is left
        of a GPU after an error in its code is of no use to the next run, so that begins in another process."""
        threading.Thread(target=self._orders.listen, args=(commands,), daemon=True).start()
        warm_up()
        self._say("ready")
        while self._sound:
            path = self._orders.path()
            self._say("started")
            state, reason = self._follow(path)
            self._say("finished", state=state, reason=reason)

    def _follow(self, path: Path) -> tuple[str, str]:
        """Train the run at `path` to one of its ends; the state it ended in, and why."""
        try:
            with RunWriter.resume(path) as writer:
                writer.state("running")
                state, reason = self._drain(Run(path).recipe, writer)
        except (Diverged, DataError, OSError, MemoryError, torch.OutOfMemoryError) as error:
            state, reason = "failed", sentence(error)
        except Exception as error:
            traceback.print_exc()
            self._sound = False
            state, reason = "failed", f"The training code failed: {type(error).__name__}: {error}"
        with suppress(OSError):  # A full disk or a deleted run: the server hears of it all the same.
            RunWriter.resume(path).state(state, reason)
        return state, reason

    def _drain(self, recipe: Recipe, writer: RunWriter) -> tuple[str, str]:
        """Train and write every snapshot, obeying between any two of them."""
        training = train(recipe)
        try:
            snapshot = next(training)
            while True:
                writer.append(snapshot)
                if snapshot.step in dict(recipe.later):
                    self._say("later", step=snapshot.step)
                if self._orders.paused:
                    self._state(writer, "paused")
                    self._orders.wait_while_paused()
                    self._state(writer, "running")
                if self._orders.stopped is not None:
                    return "stopped", self._orders.stopped
                snapshot = training.send(self._changes(recipe, snapshot))
        except StopIteration:
            return "done", ""
        finally:
            training.close()

    def _changes(self, recipe: Recipe, snapshot: Snapshot) -> dict[str, Any] | None:
        """The knobs to turn before the next step. Those of a loss that has just been left turn nothing."""
        if knobs := self._orders.knobs():
            with suppress(ValueError):
                losses.steered(upcoming(recipe, snapshot), knobs)
                return knobs
        return None

    def _state(self, writer: RunWriter, state: str) -> None:
        writer.state(state)
        self._say("state", state=state)

    def _say(self, word: str, **more: str | int) -> None:
        try:
            print(json.dumps({"say": word, **more}), file=self._answers, flush=True)
        except OSError:
            os._exit(0)  # Nobody listens: the server is gone.


def sentence(error: BaseException) -> str:
    """What an error says to a reader (the text of an OSError without its number)."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error) or "There was not enough memory for this run; make its batch or its probe smaller."


def warm_up() -> None:
    """Train two snapshots of almost nothing, so that no run pays for what only the first one meets."""
    recipe = Recipe(loss=ArcFace(), classes=(0, 1), per_class=64, epochs=1, batch=32)
    try:
        training = train(recipe)
        next(training), next(training)
        training.close()
    except DataError:
        pass  # A run that needs what is missing will say so itself.


def step_back() -> None:
    """Leave the processor to the server when both want it, and be the one that a lack of memory ends."""
    if hasattr(os, "nice"):
        os.nice(5)
    if sys.platform == "linux":
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("500")
    torch.set_num_threads(threads())


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes our input.
    # The answers get a channel of their own: a library that prints must not break into the lines.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    step_back()
    Worker(answers).work(sys.stdin)
    os._exit(1)  # not past the thread that still listens, nor the GPU


if __name__ == "__main__":
    main()
