"""A training at full scale as the app sees it: a run of a few identities, with the prototypes that they have among all.

The run's `recipe.json` describes what is shown: those identities, and the loss and network that are trained. What
the training itself is made of stands beside it, in `scale.json`. Loss, gap and "correct" of a snapshot are those among
the identities shown, as its pictures are; the scalars `loss` and `rate` are the training's, over all classes.
"""

import dataclasses
import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from losslab import losses
from losslab.data.faces import FaceSource, FaceSubset
from losslab.data.faces.subset import choose
from losslab.head import Head, head_for
from losslab.schedules import Schedule, number
from losslab.training.build import autocast
from losslab.training.recipe import FACES, Recipe
from losslab.training.run import Probe, Run, RunWriter, Snapshot, next_record

from .engine import Engine
from .guard import REMEDY
from .loader import LEFT_OUT, Faces
from .processes import ScaleError
from .recipe import ScaleRecipe

MOMENTS = 150  # snapshots of a run, about
CHUNK = 64  # images in one forward pass
KEPT = 1 << 26  # bytes of network weights up to which every snapshot has them; of larger ones only the last


def moments(total: int) -> set[int]:
    """After which of `total` steps to look: ever more rarely, for most happens at the beginning, and after the last."""
    fading = {round(total * (i / MOMENTS) ** 1.5) for i in range(1, MOMENTS + 1)}
    return {step for step in fading | {0, 1, 2, 4, 8, 16, 32} if 0 <= step <= total}


class Watcher:
    """Takes snapshots; every process has one, for the prototypes shown lie in all of them."""

    def __init__(self, recipe: ScaleRecipe, source: FaceSource, total_steps: int) -> None:
        """ValueError where there are no two identities of which an image can be shown."""
        self.recipe = recipe
        count = np.bincount(source.labels, minlength=len(source.names))
        shown = min(recipe.shown, int((count > 0).sum()))
        subset = FaceSubset(
            source=recipe.source, identities=shown, held_out=0, per_identity=recipe.shown_images, minimum=1,
            size=recipe.size, grey=recipe.colour == "grey", test_share=0.0, seed=recipe.seed,
        )  # fmt: skip
        chosen, _, _ = choose(subset, source)
        images, labels, left_out = Faces(source, recipe).__getitems__(
            [(index, False) for index in chosen.images.tolist()]
        )
        there = (labels != LEFT_OUT).numpy()
        # Of those who are shown, whoever has an image that can be decoded, in the order in which they were drawn.
        people, self.labels = np.unique(chosen.labels[there], return_inverse=True)
        if len(people) < 2:
            raise ValueError(f"Hardly an image that is to be shown can be decoded: {left_out[0]}")
        subset = dataclasses.replace(subset, identities=len(people))
        names = tuple(chosen.names[person] for person in people)
        place = {name: label for label, name in enumerate(source.names)}
        self.classes = np.array([place[name] for name in names])  # int64 [k], labels among all
        self.images = images.numpy()[there]
        seen = self.images[:, ::-1] if recipe.colour == "bgr" else self.images
        self.probe = Probe(
            images=seen[:, 0] if recipe.colour == "grey" else seen.transpose(0, 2, 3, 1),
            labels=self.labels,
            split=np.zeros(len(self.labels), np.uint8),
            names=names,
            total_steps=total_steps,
        )
        self.shown = Recipe(
            loss=recipe.loss, data=FACES, faces=subset, model=recipe.model, dim=recipe.dim, epochs=recipe.epochs,
            batch=min(recipe.batch, 4096), rate=max(recipe.rate, 1e-6), shift=0, seed=recipe.seed,
            precision=recipe.precision, probe=min(10_000, max(2, len(self.labels))),
        )  # fmt: skip

    @torch.no_grad()
    def snapshot(self, engine: Engine, scalars: dict[str, float]) -> Snapshot | None:
        """The identities shown at this step, in the first process; None in the others. Every process calls it."""
        prototypes, memory = self._prototypes(engine), self._memory(engine)
        if not engine.processes.first:
            return None
        device, step = engine.processes.device, engine.step
        loss = engine.head.loss
        head = head_for(loss)(loss, self.recipe.dim, len(self.classes), seed=self.recipe.seed).eval()
        head.prototypes.copy_(prototypes)
        head.memory.load_state_dict(memory)
        head.step.copy_(engine.head.step)
        embed, weights = engine.network.eval(), engine.average or engine.network.state_dict()
        with autocast(self.recipe.precision, device):
            chunks = torch.from_numpy(self.images).split(CHUNK)
            found = [functional_call(embed, weights, (chunk.to(device),)).float().cpu() for chunk in chunks]
        embedding = torch.cat(found)
        if not embedding.isfinite().all():
            raise ScaleError(f"The embeddings are no finite numbers any more after step {step}: {REMEDY}")
        label = torch.from_numpy(self.labels)
        correct = head.logits(embedding).argmax(1) == label
        share = float(correct.float().mean())
        knobs = losses.settings(head.loss)
        return Snapshot(
            step=step,
            embedding=embedding.numpy().copy(),
            prototypes=head.prototypes.detach().numpy().copy(),
            loss=head(embedding, label).float().numpy().copy(),
            gap=head.gap(embedding, label).float().numpy().copy(),
            correct=correct.numpy().copy(),
            scalars={"shown_accuracy": share, "probe_accuracy": share, **scalars},
            knobs={name: number(value, int(head.step)) for name, value in knobs.items()},
            planned={name: str(value) for name, value in knobs.items() if isinstance(value, Schedule)},
            memory={name: value.numpy().copy() for name, value in memory.items()},
            weights=self._weights(engine.step, weights, head),
        )

    def _prototypes(self, engine: Engine) -> Tensor:
        """[k·K d] on the CPU, from the processes that hold them."""
        return self._rows(engine, "prototypes", engine.head.prototypes.detach())

    def _memory(self, engine: Engine) -> dict[str, Tensor]:
        """What the loss keeps, of the identities shown."""
        return {
            name: self._rows(engine, f"memory.{name}", value) for name, value in engine.head.memory.state_dict().items()
        }

    def _rows(self, engine: Engine, name: str, held: Tensor) -> Tensor:
        """The rows of the identities shown, of what there is a row of (or K) for each class; else all of it."""
        whole = engine.whole[name]
        if not whole or whole[0] % engine.classes or whole[0] < engine.classes:
            return held.cpu()
        each = whole[0] // engine.classes
        wanted = torch.from_numpy((self.classes[:, None] * each + np.arange(each)).ravel()).to(held.device)
        if not engine.is_divided(name):
            return held[wanted].cpu()
        first = engine.head.first * each
        here = (wanted >= first) & (wanted < first + len(held))
        rows = torch.zeros(len(wanted), *held.shape[1:], dtype=torch.float64, device=held.device)
        rows[here] = held[wanted[here] - first].double()
        # One process has each row, the others nothing: the sum is exact.
        return engine.processes.summed(rows).to(held.dtype).cpu()

    def _weights(self, step: int, weights: dict[str, Tensor], head: Head) -> dict[str, np.ndarray] | None:
        if step < self.probe.total_steps and sum(value.nbytes for value in weights.values()) > KEPT:
            return None
        parts = {"model": weights, "head": head.state_dict()}
        named = {f"{part}.{name}": value for part, values in parts.items() for name, value in values.items()}
        kept = {name: value.detach().cpu().numpy().copy() for name, value in named.items()}
        return kept | {"step": np.array(step)}


def begun(path: Path, watcher: Watcher, after: int) -> RunWriter:
    """The run in `path`, which is begun there or goes on after a step: snapshots of later ones go. Step 0 is before the
    first checkpoint: all is shown anew."""
    if not (path / "recipe.json").exists():
        return RunWriter(path, watcher.shown, watcher.probe, owner="command line")
    if not np.array_equal(Run(path).probe.labels, watcher.labels):  # RunError where it cannot be read
        raise ValueError(
            f"Of the images that {path} shows not the same can be decoded as when it was begun: make the faces what "
            "they were, or begin another run."
        )
    shorten(path / "snapshots.bin", after or -1)
    return RunWriter.resume(path)


def shorten(snapshots: Path, after: int) -> None:
    """Cut the records of steps past `after` off."""
    if not snapshots.exists():
        return
    with snapshots.open("rb") as file:
        end = 0
        while (record := next_record(file)) and record[0]["step"] <= after:
            end = file.tell()
    os.truncate(snapshots, end)
