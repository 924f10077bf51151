"""A whole training at full scale: from the faces to the last checkpoint, in one process or many.

RUN/recipe.json, probe.npz, snapshots.bin, ...   what the app shows of it: see `watch`
RUN/scale.json                                   the recipe of the training
RUN/metrics.csv, verified.csv, tensorboard/      what was measured on the way
RUN/checkpoints/step-000001234/                  what training goes on from
"""

import json
import math
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from losslab.data.faces import FaceSource, open_source
from losslab.training.build import repeatable
from losslab.training.run import RunError, RunWriter, Sentence, replace_text

from . import checkpoint
from .engine import Engine
from .estimate import estimate
from .guard import expected, first_loss
from .loader import Faces, Order, loader
from .logs import Log, board
from .processes import Processes, Refused, ScaleError
from .rates import rate
from .recipe import ScaleRecipe, difference
from .verify import Verifier
from .watch import Watcher, begun, moments

ABOUT = "scale.json"
CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, kw_only=True)
class How:
    """How a training is run; nothing of it changes a number."""

    workers: int = 2  # processes that decode images, for each that trains
    save_every: int = 0  # steps from one checkpoint to the next; 0: one after each epoch
    keep: int = 2  # checkpoints that stay
    log_every: int = 20  # steps from one line of metrics to the next
    board: bool = False  # write for TensorBoard too
    verify: tuple[str, ...] = ()  # pair sets of the data folder, to verify on after each epoch
    timeout: float = 600.0  # seconds after which a process that does not answer is given up


class Stopped(Exception):
    """A training that was asked to stop, has finished its step and is saved."""

    def __init__(self, step: int) -> None:
        super().__init__(f"Stopped after step {step}, which is saved: start again with --resume to go on.")
        self.step = step


def train(
    recipe: ScaleRecipe | None,
    run: Path,
    processes: Processes,
    *,
    folder: Path | None = None,
    how: How | None = None,
    resume: bool = False,
    say: Callable[[str], None] = print,
) -> Engine:
    """Train, or go on with the newest checkpoint of `run`; every process calls it alike.

    Args:
        recipe: what to train; None takes that of the run that is resumed.
        run: the directory. With `resume` training goes on with the run that is there, or begins where none is.
        folder: where the faces lie, if not in the usual place.
        say: told sentences, in the first process only.

    Raises ScaleError in every process, with the same sentence, for whatever cannot be (Refused, before anything has
    begun); Stopped after SIGTERM or SIGINT, when the step is finished and saved.
    """
    how, say = how or How(), say if processes.first else lambda _: None
    with ExitStack() as opened:
        stop = opened.enter_context(asked_to_stop())
        with processes.together(ValueError, OSError, ScaleError, raising=Refused):
            recipe = agreed(recipe, run, resume)
            source = opened.enter_context(open_source(recipe.source, folder))
            classes = fitting(recipe, source, processes)
            newest = checkpoint.found(run / CHECKPOINTS)[-1:] if resume else []
            words = checkpoint.said(newest[0]) if newest else {}
            same_faces(words, source)
            after = int(words.get("step", 0))
            order = Order(recipe, source.labels, after=after, rank=processes.rank, size=processes.size)
            faces = Faces(source, recipe)
            watcher = Watcher(recipe, source, order.total)
            verifier = Verifier(how.verify, recipe, processes, folder)
            if how.board:
                board()
        tell_plan(recipe, source, order, processes, faces, how, say)
        with processes.together(ValueError, raising=Refused):
            engine = Engine(recipe, classes, processes)
        if newest:
            resumed(engine, newest[0], words, processes)
            say(f"Going on after step {after} of {order.total}, with {processes.size} process(es).")
        writer, log = None, None
        with processes.together(ValueError, OSError):
            if processes.first:
                with Sentence(run, begun=bool(newest)):
                    run.mkdir(parents=True, exist_ok=True)
                    replace_text(run / ABOUT, json.dumps(recipe.to_dict(), indent=1))
                writer = opened.enter_context(begun(run, watcher, after))
                log = Log(run, after=after, board=how.board)
                opened.callback(log.close)
                writer.state("running")
        pinned = processes.device.type == "cuda"
        read = loader(faces, order, workers=how.workers, pinned=pinned, timeout=how.timeout)
        journal = Journal(engine, watcher, verifier, writer, log, say, order)
        # Closed in any case: workers that nobody lets go keep the program from ending.
        with told(writer), closing(journal.counted(read)) as shares:
            follow(engine, order, shares, journal, run / CHECKPOINTS, how, stop)
        return engine


def follow(
    engine: Engine,
    order: Order,
    shares: Iterator[tuple[Tensor, Tensor]],
    journal: "Journal",
    checkpoints: Path,
    how: How,
    stop: Callable[[], bool],
) -> None:
    """All steps that are left."""
    processes, recipe, total = engine.processes, engine.recipe, order.total
    looks, saves = moments(total), how.save_every or order.per_epoch
    every = 1 if processes.device.type == "cpu" else how.log_every  # steps until runaway numbers are noticed
    saved = engine.step
    if engine.step == 0:
        journal.look()
    while engine.step < total:
        step = engine.step + 1
        with repeatable(processes.device):
            first = engine.train(shares, rate(recipe, step, order.per_epoch))
        last = step == total
        stopping = processes.any(stop())
        saving = last or stopping or step % saves == 0
        if step % every == 0 or saving or step in looks:
            engine.check()
        if step == 1:
            journal.first_loss(first)
        journal.add(engine.loss)
        if step % how.log_every == 0 or last:
            journal.write(rate(recipe, step, order.per_epoch))
        engine.forget_gradients()
        if step % order.per_epoch == 0:
            engine.end_epoch()
            journal.verify()
        if step in looks:
            journal.look()
        if saving and step > saved:
            words = engine.words() | {"images": order.images, "processes": processes.size, "recipe": recipe.to_dict()}
            checkpoint.save(checkpoints, step, engine.state(), words, processes, how.keep)
            saved = step
        if stopping and not last:
            raise Stopped(step)


class Journal:
    """What is written down of a training while it goes on."""

    def __init__(
        self,
        engine: Engine,
        watcher: Watcher,
        verifier: Verifier,
        writer: RunWriter | None,
        log: Log | None,
        say: Callable[[str], None],
        order: Order,
    ) -> None:
        self.engine, self.watcher, self.verifier, self.writer = engine, watcher, verifier, writer
        self.log, self.say, self.order = log, say, order
        self.sum = torch.zeros((), device=engine.processes.device)
        self.steps, self.since, self.left_out, self.rate, self.mean = 0, time.monotonic(), 0, 0.0, math.nan

    def counted(self, read: DataLoader) -> Generator[tuple[Tensor, Tensor], None, None]:
        """The shares on the device, images that are left out counted, the first of them told of."""
        device = self.engine.processes.device
        for images, labels, left_out in read:
            for sentence in left_out:
                if not self.left_out:
                    print(f"An image is left out (of more like it only the number is kept): {sentence}", flush=True)
                self.left_out += 1
            yield images.to(device, non_blocking=True), labels.to(device, non_blocking=True)

    def add(self, loss: Tensor) -> None:
        self.sum += loss
        self.steps += 1

    def write(self, rate: float) -> None:
        """A line of metrics. Every process calls it."""
        engine, processes = self.engine, self.engine.processes
        self.mean = float(processes.summed(self.sum.clone())) / (processes.size * max(1, self.steps))
        self.rate, left_out = rate, sum(processes.gathered(self.left_out))
        now = time.monotonic()
        norm = float(engine.norm if engine.recipe.clip else engine.length())
        values = {
            "epoch": engine.step / self.order.per_epoch,
            "loss": self.mean,
            "rate": rate,
            "images_a_second": self.steps * engine.recipe.batch / max(1e-9, now - self.since),
            "gradient": norm,
            "loss_scale": engine.scaler.get_scale(),
            "left_out": left_out,
        }
        self.sum.zero_()
        self.steps, self.since = 0, now
        with processes.together(OSError):
            if self.log is not None:
                self.log.write(engine.step, values)
        self.say(
            f"step {engine.step}/{self.order.total}  epoch {values['epoch']:.2f}  loss {self.mean:.4f}  "
            f"rate {rate:.3g}  {values['images_a_second']:,.0f} images/s"
        )

    def look(self) -> None:
        """A snapshot. Every process calls it."""
        engine = self.engine
        scalars = {"epoch": engine.step / self.order.per_epoch, "rate": self.rate}
        if not math.isnan(self.mean):
            scalars["loss"] = self.mean
        with engine.processes.together(OSError, ScaleError):
            snapshot = self.watcher.snapshot(engine, scalars)
            if self.writer is not None and snapshot is not None:
                if "loss" not in snapshot.scalars:  # before the first line of metrics: of the identities shown
                    snapshot.scalars["loss"] = float(snapshot.loss.mean())
                self.writer.append(snapshot)

    def verify(self) -> None:
        """How well the network tells people apart that it has never seen. Every process calls it."""
        with self.engine.processes.together(ValueError):
            results = self.verifier.results(self.engine)
        with self.engine.processes.together(OSError):
            if self.log is not None and results:
                self.log.verified(self.engine.step, results)
        for result in results:
            self.say(f"{result.set}: {result.measure} {100 * result.value:.2f} %")

    def first_loss(self, embedding: Tensor | None) -> None:
        """Warn where the first step's loss is not that of an untrained network."""
        engine = self.engine
        found = float(engine.processes.summed(engine.loss.clone())) / engine.processes.size
        if embedding is not None and engine.processes.first:
            recipe = engine.recipe
            warning = first_loss(
                found, engine.head.loss, recipe.dim, engine.classes, embedding.cpu(), grouped=recipe.grouped
            )
            if warning:
                self.say(f"Warning: {warning}")


def agreed(recipe: ScaleRecipe | None, run: Path, resume: bool) -> ScaleRecipe:
    """The recipe to train by. ValueError where the run was begun with another, or is there without `resume`."""
    about = run / ABOUT
    there = about.exists() or (run / "recipe.json").exists()
    if there and not resume:
        raise ValueError(f"There already is a run in {run}: go on with it by --resume, or choose another folder.")
    if not there:
        if recipe is None:
            raise ValueError(f"There is no run in {run}: name the recipe to begin it with.")
        return recipe
    try:
        before = ScaleRecipe.from_dict(json.loads(about.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ValueError(f"The run in {run} is none of full scale: begin another one.") from None
    except (OSError, ValueError, TypeError) as error:
        what = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise ValueError(f"{about} cannot be read ({what}): begin another run.") from None
    if recipe is not None and (what := difference(before, recipe)):
        raise ValueError(
            f"The run in {run} was begun with another recipe ({what}): resume it without naming a recipe, or begin "
            "another run."
        )
    return before


def fitting(recipe: ScaleRecipe, source: FaceSource, processes: Processes) -> int:
    """How many classes there are. ValueError where recipe, faces and processes do not fit together."""
    there = len(source.names)
    if recipe.classes and recipe.classes != there:
        what = "so labels would run beyond them" if there > recipe.classes else "so classes would have no image"
        raise ValueError(
            f"The recipe is for {recipe.classes} classes, but the faces in {source.name} are {there} people, {what}: "
            f"set classes={there}, or name other faces."
        )
    if processes.size > there:
        raise ValueError(
            f"There are {there} classes for {processes.size} processes, so one would have none: start at most {there}."
        )
    if there < 2:
        raise ValueError(f"The faces in {source.name} are of one person; a loss needs at least two.")
    return there


def same_faces(words: dict, source: FaceSource) -> None:
    """ValueError where a checkpoint was made with other faces."""
    for what, there in (("classes", len(source.names)), ("images", len(source))):
        if words and words.get(what) != there:
            raise ValueError(
                f"The checkpoint is of {words.get(what)} {what}, but the faces in {source.name} have {there}: give it "
                "the faces that it was trained on, or begin another run."
            )


def resumed(engine: Engine, path: Path, words: dict, processes: Processes) -> None:
    """Give the engine all that a checkpoint holds."""
    with processes.together(ScaleError):
        state = engine.expect(checkpoint.names(path))
    checkpoint.load(path, state, processes)
    engine.resumed(int(words["step"]), words)


def tell_plan(
    recipe: ScaleRecipe,
    source: FaceSource,
    order: Order,
    processes: Processes,
    faces: Faces,
    how: How,
    say: Callable[[str], None],
) -> None:
    """What is trained, and what that needs, before it starts."""
    classes = len(source.names)
    if not processes.first:
        return
    say(recipe.title or f"{type(recipe.loss).__name__}, {recipe.model}")
    for name, sentence in recipe.stated.items():
        say(f"{name.capitalize()}: {sentence}")
    if recipe.images and recipe.images != len(source):
        say(f"Warning: {source.name} has {len(source):,} images, and the recipe knows of {recipe.images:,}.")
    say(
        f"{len(source):,} images of {classes:,} people from {source.name} ({source.kind}), "
        f"{recipe.size} x {recipe.size} pixels, {recipe.colour}; "
        f"{order.per_epoch:,} steps of {recipe.batch} an epoch, {order.total:,} in all, "
        f"on {processes.size} process(es), {processes.device.type}."
    )
    if known := expected(recipe.loss, recipe.dim, classes):
        say(f"Loss at step 0: about {known[0]:.2f}.")
    needs = estimate(
        recipe, classes, processes=processes.size, device=processes.device, faces=faces, workers=how.workers
    )
    say(str(needs))


@contextmanager
def asked_to_stop() -> Iterator[Callable[[], bool]]:
    """Was the program asked to stop, by SIGTERM or at the keyboard? The second time there it stops at once."""
    asked = []

    def note(number: int, _: object) -> None:
        if number == signal.SIGINT and asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def told(writer: RunWriter | None) -> Iterator[None]:
    """Write into the run how its training ended."""
    state, why = "failed", "The program ended unexpectedly."
    try:
        yield
        state, why = "done", ""
    except Stopped as stopped:
        state, why = "stopped", str(stopped)
        raise
    except ScaleError as error:
        why = str(error)
        raise
    finally:
        if writer is not None:
            with suppress(RunError):
                writer.state(state, why)
