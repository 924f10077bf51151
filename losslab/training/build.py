"""The network and the head of a recipe, how they compute, and getting them back from a run."""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losslab import losses, models
from losslab.head import Head, head_for

from .recipe import Recipe
from .run import Run, RunError, Snapshot


def build(recipe: Recipe, shape: tuple[int, int, int]) -> tuple[nn.Module, Head]:
    """The untrained network for images of `shape` and its head. They follow the recipe's seed alone, and torch's own
    random numbers go on as if nothing had happened."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(recipe.seed)
        model = models.make(recipe.model, recipe.dim, shape)
    head = head_for(recipe.loss)(recipe.loss, recipe.dim, len(recipe.classes), seed=recipe.seed)
    with torch.no_grad():
        head.prototypes.copy_(apart(head.prototypes))
    return model, head


def apart(directions: Tensor, rounds: int = 200) -> Tensor:
    """Directions [C d] that have pushed each other apart over the sphere, from those given; unit length.

    Classes that begin side by side on a circle pull each other's samples into one heap and stay there.
    """
    directions = F.normalize(directions)
    for left in torch.linspace(0.1, 0, rounds):
        away = directions[:, None] - directions
        push = (away / (away.square().sum(2, keepdim=True).square() + 1e-6)).sum(1)
        directions = F.normalize(directions + left * F.normalize(push))
    return directions


def restore(run: Run) -> tuple[nn.Module, Head]:
    """The trained network and head of a run that is done, ready for use (`eval`). RunError while there are none."""
    weights = run.weights
    if weights is None or not len(run):
        raise RunError(f"The run in {run.path} was not trained to its end, so it has no weights: train it again.")
    model, head = build(run.recipe, (1, *run.probe.images.shape[1:]))
    head.loss = losses.turned(run.recipe.loss, run[-1].knobs)
    for part, module in {"model": model, "head": head}.items():
        values = {
            name.removeprefix(f"{part}."): value for name, value in weights.items() if name.startswith(f"{part}.")
        }
        module.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in values.items()})
    return model.eval(), head.eval()


def head_at(recipe: Recipe, snapshot: Snapshot) -> Head:
    """The head as it stood at a snapshot, in `eval`: its loss with the knobs in force, its prototypes and memory."""
    loss = losses.turned(recipe.loss, snapshot.knobs)
    head = head_for(loss)(loss, snapshot.prototypes.shape[1], len(recipe.classes), seed=0).eval()
    with torch.no_grad():
        head.prototypes.copy_(torch.from_numpy(snapshot.prototypes))
    head.memory.load_state_dict({name: torch.from_numpy(v) for name, v in snapshot.memory.items()})
    return head


def best_device() -> str:
    """The GPU if there is one, else the CPU."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Mixed precision for the network; the head computes in float32 by itself."""
    return torch.autocast(device.type, getattr(torch, precision), enabled=precision != "float32")


def repeatable(device: torch.device) -> AbstractContextManager:
    """Convolutions that give the same numbers each time, for as long as this lasts (on a CPU they always do)."""
    return torch.backends.cudnn.flags(deterministic=True) if device.type == "cuda" else nullcontext()
