"""The network and the head of a recipe, how they compute, and getting them back from a run."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losslab import losses, models
from losslab.head import Head, head_for
from losslab.losses import Loss

from .recipe import Recipe
from .run import Run, RunError, Snapshot

ALL_PAIRS = 2**22  # numbers in the differences of all pairs of prototypes, at most
BLOCK = 256  # prototypes at a time where there would be more
MANY = 2000  # classes: with more, a round takes so long that fewer must do


def build(recipe: Recipe, shape: tuple[int, int, int]) -> tuple[nn.Module, Head]:
    """The untrained network for images of `shape` and its head. They follow the recipe's seed alone, and torch's own
    random numbers go on as if nothing had happened."""
    head = head_for(recipe.loss)(recipe.loss, recipe.dim, len(recipe.classes), seed=recipe.seed)
    with torch.no_grad():
        head.prototypes.copy_(apart(head.prototypes))
    return network(recipe, shape), head


def network(recipe: Recipe, shape: tuple[int, int, int]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        return models.make(recipe.model, recipe.dim, shape)


def handed_over(head: Head, loss: Loss, seed: int) -> Head:
    """The head that goes on with another loss: the same one, with all that it keeps, where the losses can take turns,
    else a new one with the same prototypes at the same step. Prototypes are of a class: of several sub-centres it has
    their mean, and where it needs several they are alike at first."""
    if losses.steerable(head.loss, loss):
        head.loss = loss
        return head
    after = head_for(loss)(loss, head.dim, head.classes, seed=seed).to(head.prototypes.device)
    with torch.no_grad():
        prototypes = head.prototypes
        if loss.subcentres != head.loss.subcentres:
            prototypes = prototypes.unflatten(0, (head.classes, -1)).mean(1).repeat_interleave(loss.subcentres, 0)
        after.prototypes.copy_(prototypes)
        after.step.copy_(head.step)
    return after


def apart(directions: Tensor) -> Tensor:
    """Directions [C d] that have pushed each other apart over the sphere, from those given; unit length.

    Classes that begin side by side on a circle pull each other's samples into one heap and stay there.
    """
    directions = F.normalize(directions)
    pushes = pushed if len(directions) * directions.numel() <= ALL_PAIRS else pushed_in_blocks
    for left in torch.linspace(0.1, 0, 200 if len(directions) <= MANY else 20):
        directions = F.normalize(directions + left * F.normalize(pushes(directions)))
    return directions


def pushed(directions: Tensor) -> Tensor:
    """Which way each unit vector [C d] is pushed by all others: their differences over the fourth power of their
    distance."""
    away = directions[:, None] - directions
    return (away / (away.square().sum(2, keepdim=True).square() + 1e-6)).sum(1)


def pushed_in_blocks(directions: Tensor) -> Tensor:
    """The same for many, but for rounding: by products of matrices, and never with all C² pairs in memory."""
    parts = []
    for block, own in zip(directions.split(BLOCK), torch.arange(len(directions)).split(BLOCK), strict=True):
        share = 1 / ((2 - 2 * block @ directions.T).square() + 1e-6)
        share[torch.arange(len(block)), own] = 0  # nobody pushes itself
        parts.append(share.sum(1, keepdim=True) * block - share @ directions)
    return torch.cat(parts)


def restore(run: Run, *, newest: bool = False) -> tuple[nn.Module, Head] | tuple[nn.Module, Head, int]:
    """The trained network and head of a run that came to its end, ready for use (`eval`). RunError while there are
    none.

    With `newest` also those of a run that is still trained or was stopped: network, head and the step that they are
    of, that of a recent snapshot. (`run` is read on to there.)
    """
    weights = run.weights  # before the snapshots: the one that they are of is written first
    run.refresh()
    if weights is None or not len(run):
        raise untrained(run, newest)
    step = int(weights.pop("step", run[-1].step))
    index = np.flatnonzero(run.metrics()["step"] == step)
    if not len(index) or step < run.total_steps and not newest:
        raise untrained(run, newest)
    model, head = network(run.recipe, run.probe.pixels.shape[1:]), head_at(run.recipe, run[index[-1]])
    for part, module in {"model": model, "head": head}.items():
        values = {
            name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")
        }
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in values.items()})
    return (model.eval(), head, step) if newest else (model.eval(), head)


def untrained(run: Run, newest: bool) -> RunError:
    if newest:
        return RunError(f"The run in {run.path} has no weights: wait until it trains, or train its recipe again.")
    return RunError(f"The run in {run.path} was not trained to its end, so it has no weights: train it again.")


def head_at(recipe: Recipe, snapshot: Snapshot) -> Head:
    """The head as it stood at a snapshot, in `eval`: its loss with the knobs in force, its prototypes and memory."""
    loss = losses.turned(recipe.loss_at(snapshot.step), snapshot.knobs)
    head = head_for(loss)(loss, snapshot.prototypes.shape[1], len(recipe.classes), seed=recipe.seed).eval()
    with torch.no_grad():
        head.prototypes.copy_(torch.from_numpy(snapshot.prototypes))
        head.step.fill_(snapshot.step)  # in `train()` it would draw the margins of the next step
    head.memory.load_state_dict({name: torch.from_numpy(v) for name, v in snapshot.memory.items()})
    return head


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Mixed precision for the network; the head computes in float32 by itself."""
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32")


def repeatable(device: torch.device) -> AbstractContextManager:
    """Convolutions that give the same numbers each time, for as long as this lasts (on a CPU they always do)."""
    return torch.backends.cudnn.flags(deterministic=True) if device.type == "cuda" else nullcontext()
