"""What a training will need, said before it starts: memory, and how many images a second it can reach at most.

Sizes and operations are counted on the network itself, without memory (torch's "meta" device); the speeds of the
device's matrix product and of decoding are measured for a moment on this machine.
"""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from losslab.classes import Division, Processes
from losslab.data import DataError
from losslab.head import PairHead
from losslab.losses import PairLoss

from .engine import network
from .loader import Faces
from .recipe import ScaleRecipe

DECODED = 24  # images that are decoded to see how long one takes
GIB = 2**30
NETWORK, HEAD, AGAIN = 3, 6, 2  # operations per weight and image: backward takes two forwards, a tile perhaps one more


@dataclass(frozen=True)
class Estimate:
    """For each process, but for `computed` and `decoded`: images a second of all processes together."""

    weights: int  # of the network
    operations: float  # floating-point ones of a step, of all processes
    state: float  # bytes of weights, gradients, momentum and averages, prototypes among them
    activations: float  # bytes that the backward pass needs of the forward one
    cosines: float  # bytes of the head's products, and what follows from them
    computed: float  # at most
    decoded: float  # infinite where it was not measured

    def __str__(self) -> str:
        memory = (self.state, self.activations, self.cosines)
        state, activations, cosines, all_ = (f"{each / GIB:.2f} GiB" for each in (*memory, sum(memory)))
        decoded = "" if self.decoded == float("inf") else f", and decode at most about {self.decoded:,.0f}"
        return (
            f"The network has {self.weights:,} weights; a step takes {self.operations / 1e12:.3g} Tflop.\n"
            f"Memory of each process: about {all_} (weights, gradients and what the optimiser keeps {state}, "
            f"activations {activations}, cosines {cosines}).\n"
            f"Images a second: the matrix products alone allow at most {self.computed:,.0f}{decoded}."
        )


def estimate(
    recipe: ScaleRecipe, classes: int, *, processes: int, device: torch.device, faces: Faces | None, workers: int
) -> Estimate:
    """What a training of `classes` classes needs in each of `processes` processes on such a device, each with so many
    workers that decode."""
    with torch.device("meta"):
        made = network(recipe).train()
        images = torch.zeros(2, 1 if recipe.colour == "grey" else 3, recipe.size, recipe.size, dtype=torch.uint8)
        with FlopCounterMode(display=False) as counter:
            activations = kept_for_backward(lambda: made(images), own=made.parameters()) / len(images)
    weights, half = sum(weight.numel() for weight in made.parameters()), recipe.precision != "float32"
    forward = counter.get_total_flops() / len(images)
    batch = recipe.batch // recipe.parts  # of which each process sees all embeddings
    rows = -(-classes // processes) * recipe.loss.subcentres
    copies = 3 + (recipe.optimiser == "adamw")
    if isinstance(recipe.loss, PairLoss):
        compared, products, tables, cosines = batch, HEAD, 1, 12.0 * batch * batch / processes
        # Unless the loss looks at numbers, of which there are none here.
        with suppress(RuntimeError), torch.device("meta"):
            head = PairHead(recipe.loss, recipe.dim, classes)
            embedding, label = torch.zeros(batch, recipe.dim, requires_grad=True), torch.zeros(batch, dtype=torch.long)
            cosines = kept_for_backward(lambda: head(embedding, label)) / processes
    else:
        division = Division(max(1, int(recipe.sample_rate * rows)), Processes(), recipe.tile or "auto")
        kept, tile = division.keeps(batch * division.count), division.width(batch, device)
        compared, products, tables = classes * recipe.sample_rate, HEAD + AGAIN * (not kept), copies - recipe.folded
        cosines = 4.0 * (batch * (3 * tile + kept * division.count) + 2 * tile * recipe.dim)
    operations = recipe.batch * (NETWORK * forward + products * recipe.dim * compared)
    return Estimate(
        weights=weights,
        operations=operations,
        state=4.0 * (weights * (copies + bool(recipe.average)) + rows * recipe.dim * tables),
        activations=activations * batch / processes / (2 if half else 1),
        cosines=cosines,
        computed=recipe.batch / operations * processes * matrix_rate(device, recipe.precision),
        decoded=float("inf") if faces is None else decode_rate(faces) * processes * max(1, workers),
    )


def kept_for_backward(call: Callable[[], Tensor], own: Iterable[Tensor] = ()) -> float:
    """Bytes that a call keeps for its backward pass, but for tensors that are `own` anyway."""
    there, kept = {id(tensor) for tensor in own}, {}
    held = []  # so that no two of them can have had the same address

    def keep(tensor: Tensor) -> Tensor:
        if id(tensor) not in there:
            kept[id(tensor.untyped_storage())] = tensor.untyped_storage().nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        call()
    return sum(kept.values())


def matrix_rate(device: torch.device, precision: str) -> float:
    """Floating-point operations a second in a matrix product, measured for a moment."""
    side = 4096 if device.type == "cuda" else 768
    one = torch.ones(side, side, device=device, dtype=getattr(torch, precision) if device.type == "cuda" else None)
    spent = []
    for _ in range(4):
        begun = time.perf_counter()
        float((one @ one)[0, 0])  # To read a number is to wait for the device.
        spent.append(time.perf_counter() - begun)
    return 2.0 * side**3 / min(spent)


def decode_rate(faces: Faces) -> float:
    """Images that one process decodes in a second, measured for a moment; infinite where none can be."""
    begun, done = time.perf_counter(), 0
    for index in range(0, len(faces), max(1, len(faces) // DECODED)):
        try:
            faces.image(index)
            done += 1
        except DataError:
            continue
    return done / (time.perf_counter() - begun) if done else float("inf")
