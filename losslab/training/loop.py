"""Training: a generator that steps and now and then says where everything stands.

A test takes two `next()`s, a script runs it to the end, a worker writes down what it yields; stopping is leaving
the loop. The images lie on the device as one uint8 tensor and a batch is a list of positions in it: at this size
loading and collating would take longer than the network does. Where they do not fit there, they stay where they are,
and batches come over one by one.
"""

import dataclasses
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from losslab import losses
from losslab.data import Images
from losslab.devices import best_device
from losslab.head import Head

from .build import autocast, build, handed_over, repeatable
from .images import batches, chosen_probe, load, steps_per_epoch, total_steps
from .look import Looker
from .recipe import Recipe
from .run import Snapshot

SNAPSHOTS = 100  # of a short run, about
LONGEST = 50  # steps from one snapshot to the next: in a long run too the picture moves, and a knob takes at once
WARM_UP = 0.25  # share of the steps in which the rate rises
WEIGHT_DECAY = 0.01  # of the network
PROTOTYPE_SHARE = 4  # prototypes move faster than the network: classes must find their places first


class Diverged(RuntimeError):
    """The loss is no longer a finite number; one sentence with the step, the cause and the remedy."""


def train(
    recipe: Recipe, *, folder: str | Path | None = None, device: str | torch.device | None = None
) -> Generator[Snapshot, dict[str, Any] | None, None]:
    """Train; yield a `Snapshot` before the first step, many in the first moments, and about 100 in all.

    `send({"margin": 0.3})` turns knobs of the loss from the next step on. A knob that the loss does not have, or out of
    its range, is a ValueError that ends the training: check before sending (`upcoming` is the loss that takes them).
    After the step of a loss in `recipe.later`, always one of a snapshot, training goes on with that loss.

    Equal recipes give equal numbers, bit for bit on one machine with one number of threads, whatever else has used
    torch's random numbers. Scalars of a snapshot:

        loss, train_accuracy   means over the steps since the last snapshot (at step 0: of the probe's training images),
                               by the labels as told: where some are wrong, being right is 1 − noise, and more is
                               having learnt the wrong ones by heart
        probe_accuracy         of the probe's held-out images
        test_accuracy          of all held-out images, by their true labels: at step 0, in the first snapshot after each
                               epoch, at the end
        epoch, rate            epochs gone by, with fraction; the step size of the last step

    Args:
        recipe: what to train.
        folder: where data sets lie, if not in the usual place.
        device: a torch device; by default the GPU if there is one, else the CPU.

    Raises DataError when the data is missing, ValueError where a later loss would begin after the last step, Diverged
    when the loss is not finite; everything before was yielded.
    """
    device = torch.device(device or best_device())
    training, test = (on(device, part) for part in load(recipe, folder))
    model, head = (part.to(device) for part in build(recipe, tuple(training.images.shape[1:])))
    looker = Looker(model, head, chosen_probe(recipe, training, test), test, recipe.precision)
    optimizer = torch.optim.AdamW(
        [
            {"params": list(model.parameters()), "share": 1},
            {"params": list(head.parameters()), "share": PROTOTYPE_SHARE, "weight_decay": 0},
        ],
        lr=recipe.rate,
        weight_decay=WEIGHT_DECAY,
        fused=True,
    )
    # Float16 reaches down to 6e-8 only: smaller gradients would vanish were the loss not scaled up first.
    scaler = torch.amp.GradScaler(device.type, enabled=recipe.precision == "float16")

    per_epoch = steps_per_epoch(recipe, training)
    total, later = total_steps(recipe, training), dict(recipe.later)
    moments = snapshot_steps(total) | set(later)
    before, tested = 0, 0  # the step of the last snapshot, the epoch after which the test part was last looked at
    sums = torch.zeros(2, device=device)  # loss and right answers since then
    with finite(0, recipe):
        first = looker.snapshot(0, {"test_accuracy": looker.test_accuracy(), "epoch": 0.0, "rate": 0.0})
    changes = yield first

    for step, (images, labels) in enumerate(batches(recipe, training), start=1):
        if step - 1 in later:
            head = looker.head = handed_over(head, later[step - 1], recipe.seed)
            renew(optimizer, head)
        if changes:
            head.loss, changes = losses.steered(head.loss, changes), None
        model.train(), head.train()
        rate = recipe.rate * rate_share(step / total)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["share"]
        with repeatable(device), finite(step, recipe):
            with autocast(recipe.precision, device):
                embedding = model(images)
            loss = head(embedding, labels).mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
        if step % per_epoch == 0:
            head.end_epoch()
        with torch.no_grad():
            correct = head.logits(embedding).argmax(1) == labels
            sums += torch.stack([loss, correct.float().mean()])

        # Reading the loss stops a GPU until it has caught up, so there it is read with the snapshots only.
        if (step in moments or device.type == "cpu") and not sums.isfinite().all():
            raise diverged(step, recipe)
        if step in moments:
            mean_loss, accuracy = (sums / (step - before)).tolist()
            scalars = {"loss": mean_loss, "train_accuracy": accuracy, "epoch": step / per_epoch, "rate": rate}
            if step // per_epoch > tested:
                tested = step // per_epoch
                with finite(step, recipe):
                    scalars["test_accuracy"] = looker.test_accuracy()
            with finite(step, recipe):
                snapshot = looker.snapshot(step, scalars)
            if not np.isfinite(snapshot.loss).all():
                raise diverged(step, recipe)
            changes = yield snapshot
            before = step
            sums.zero_()


def snapshot_steps(total: int) -> set[int]:
    """After which of `total` steps to look: ever more rarely, for most happens at the beginning, and after the last."""
    fading = {round(total * (i / SNAPSHOTS) ** 1.5) for i in range(1, SNAPSHOTS + 1)}
    return {step for step in fading | set(range(LONGEST, total, LONGEST)) | {1, 2, 4, 8, 16, 32} if 1 <= step <= total}


def renew(optimizer: torch.optim.Optimizer, head: Head) -> None:
    """Have the optimizer learn what this head learns; of the network it forgets nothing, nor of the head it had."""
    learned = optimizer.param_groups[1]
    for gone in set(learned["params"]) - set(head.parameters()):
        optimizer.state.pop(gone, None)
    learned["params"] = list(head.parameters())


def rate_share(done: float) -> float:
    """What share of its largest value the rate has when `done` of the training (0 to 1) is over: up, then down to 0."""
    return min(done / WARM_UP, (1 - done) / (1 - WARM_UP))


@contextmanager
def finite(step: int, recipe: Recipe) -> Iterator[None]:
    """A head refuses embeddings that are not finite: that is a training that diverged."""
    try:
        yield
    except FloatingPointError:
        raise diverged(step, recipe) from None


def diverged(step: int, recipe: Recipe) -> Diverged:
    smaller = min(recipe.rate / 10, Recipe().rate)  # A tenth of a million would only diverge again.
    return Diverged(
        f"The loss stopped being a finite number at step {step}, with a largest rate of {recipe.rate:g}: "
        f"train again with a smaller one, such as {smaller:g}."
    )


def on(device: torch.device, part: Images) -> Images:
    """The images where they are to be computed with; those that would take half of what is free stay where they are."""
    fits = device.type != "cuda" or part.images.nbytes < torch.cuda.mem_get_info(device)[0] / 2
    images = part.images.to(device) if fits else part.images
    return dataclasses.replace(part, images=images, labels=part.labels.to(device))
