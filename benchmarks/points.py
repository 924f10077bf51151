"""A real run with as many points as a benchmark wants to draw, and the same run being written."""

import dataclasses
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from losslab import data
from losslab.training import Probe, Recipe, Run, RunWriter, loop, train

PACE = 20  # snapshots a second, faster than training gives them


def write_run(path: Path, size: int) -> Run:
    """The default recipe, trained to its end, of which every snapshot shows `size` of the 10 000 bundled digits.

    A recipe's own probe is half held-out images, of which there are 2 000 only; here any image will do.
    """
    train_part, test_part = data.load("mnist", "train"), data.load("mnist", "test")
    held_out = len(test_part) * size // 10_000
    parts = [(train_part, size - held_out), (test_part, held_out)]
    recipe = Recipe()
    shown = Probe(
        images=torch.cat([part.images[:n, 0] for part, n in parts]).numpy(),
        labels=torch.cat([part.labels[:n] for part, n in parts]).numpy(),
        split=np.repeat(np.array([0, 1], dtype=np.uint8), [n for _, n in parts]),
        names=train_part.names,
        total_steps=recipe.epochs * (len(train_part) // recipe.batch),
    )
    with mock.patch.object(loop, "chosen_probe", lambda *_: shown), RunWriter(path, recipe, shown) as writer:
        for snapshot in train(recipe):
            writer.append(snapshot)
        writer.state("done")
    return Run(path)


@contextmanager
def being_written(source: Path, path: Path) -> Iterator[None]:
    """A run at `path` that another process writes from the snapshots of `source`, PACE a second, for as long as
    this lasts."""
    process = multiprocessing.get_context("spawn").Process(target=write_on, args=(source, path), daemon=True)
    process.start()
    try:
        yield
    finally:
        process.terminate()
        process.join()


def write_on(source: Path, path: Path) -> None:
    run = Run(source)
    snapshots = list(run)
    there_and_back = [*snapshots, *snapshots[-2:0:-1]]
    with RunWriter(path, run.recipe, run.probe) as writer:
        writer.state("running")
        begun = time.monotonic()
        for index in range(10**6):
            time.sleep(max(0, begun + index / PACE - time.monotonic()))
            writer.append(dataclasses.replace(there_and_back[index % len(there_and_back)], step=index, weights=None))
