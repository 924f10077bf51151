"""Branches: a run gone on with from one of its snapshots with another loss. A branch is a recipe like any other."""

import dataclasses
from itertools import pairwise
from operator import itemgetter

from losslab import losses
from losslab.losses import Loss
from losslab.schedules import Schedule

from .recipe import Recipe
from .run import Run, Snapshot


def in_force(recipe: Recipe, snapshot: Snapshot) -> Loss:
    """The loss that a snapshot shows: the recipe's at that step, with every knob as it was then set, by hand or not."""
    loss = recipe.loss_at(snapshot.step)
    planned = snapshot.planned
    if planned is None:  # A record of before: take it that the recipe's schedules went on.
        planned = {name: value for name, value in losses.settings(loss).items() if isinstance(value, Schedule)}
    return losses.turned(loss, snapshot.knobs | planned)


def upcoming(recipe: Recipe, snapshot: Snapshot) -> Loss:
    """The loss with which the step after a snapshot is made, if nobody turns a knob."""
    return dict(recipe.later).get(snapshot.step) or in_force(recipe, snapshot)


def branched(run: Run, index: int, loss: Loss) -> Recipe:
    """The recipe that goes on with `run` from its snapshot `index` with `loss`.

    Knobs that were turned by hand before that are part of it, as later losses (before the first step, as the first
    loss). So its snapshots up to that one are those of the run, bit for bit on one machine, and so are the steps of
    all later ones. ValueError with one sentence for a snapshot that does not exist or after which nothing is left to
    train, and for a run that was steered too often to fit into a recipe.
    """
    if not 0 <= index < len(run):
        raise ValueError(f"The run has no snapshot {index}: choose one from 0 to {len(run) - 1}.")
    step = run[index].step
    if step >= run.total_steps:
        raise ValueError("Nothing is left to train after the last snapshot: choose an earlier one.")
    if index == 0:
        return dataclasses.replace(run.recipe, loss=loss, later=())
    made, changes = run.recipe.loss, {begins: each for begins, each in run.recipe.later if begins < step}
    for earlier, later in pairwise(run[i] for i in range(index + 1)):
        since = earlier.step
        for begins, planned in run.recipe.later:
            if since <= begins < later.step:
                since, made = begins, planned
        if (now := in_force(run.recipe, later)) != made:
            changes[since] = made = now
    if loss != made:
        changes[step] = loss
    first = changes.pop(0, run.recipe.loss)
    return dataclasses.replace(run.recipe, loss=first, later=tuple(sorted(changes.items(), key=itemgetter(0))))
