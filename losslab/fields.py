"""Which way a loss pushes samples and prototypes, how hard, and where that leads: the real head, differentiated.

    field = push(head, embedding, label)    # 20 000 points of a sphere: one call of the head and one backward pass

Every sample counts as a batch of its own: a field shows what a loss does to a sample that happens to be there. Random
margins are at their mean and schedules at the head's step; the head is read and never changed, so that one head can
answer many at a time. A term that only compares the samples of a batch (range loss) has nothing to say to a lone one.
"""

import copy
import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .geometry import exp_map, great_circle, tangent, unit
from .head import Head, PairHead
from .losses import Loss, Memory, RangeLoss, wraps


@dataclass(frozen=True, eq=False)
class Push:
    """−∂L/∂x at m places x [m d]: n samples, or the rows of the prototypes."""

    loss: Tensor  # [n] of each sample
    push: Tensor  # [m d] as it is: for the plane, where lengths count
    tangent: Tensor  # [m d] its part along the sphere; times the length of x it is the push on the unit sphere


@dataclass(frozen=True, eq=False)
class Profile:
    """A loss along a great circle through a prototype."""

    angle: Tensor  # [n] from the own prototype, −π to π, in radians
    pull: Tensor  # [n] ∂L/∂θ of the angle θ = |angle|: above zero the sample moves towards its prototype
    loss: Tensor  # [n]


def push(head: Head, embedding: Tensor, label: Tensor) -> Push:
    """The push on each sample, for embeddings [n d] (half precision is widened) and labels [n].

    ValueError for a head of a loss of pairs, which does nothing to one sample; otherwise the head's own errors.
    """
    head = still(head)
    loss, slope = descent(head, embedding, label)
    return Push(loss, slope, tangent(slope, at=unit(embedding.detach().to(slope.dtype))[0]))


def prototype_push(head: Head, embedding: Tensor, label: Tensor) -> Push:
    """The push of the mean loss of these samples on each prototype: `push` and `tangent` are [C·K d]."""
    head = still(head)
    with torch.inference_mode(False), torch.enable_grad():
        # A tensor in the place of the parameter: its gradient is wanted, and only in this copy.
        place = head._parameters["prototypes"] = head.prototypes.clone().requires_grad_()
        loss = head(embedding.detach(), label)
        (slope,) = torch.autograd.grad(-loss.mean(), place)
    return Push(loss.detach(), slope, tangent(slope, at=unit(place.detach())[0]))


def term_push(head: Head, embedding: Tensor, label: Tensor) -> Push:
    """The push on each sample of what a loss adds to the one that it wraps, alone: its term with its weight.

    ValueError for a loss that wraps nothing, and as in `push`.
    """
    if not wraps(head.loss):
        raise ValueError(f"{head.loss.card.title} is not added to another loss: choose one that is, such as IntraLoss.")
    share = getattr(head.loss.at(head.step), "share", 1)  # Margin Loss weighs its base, too
    (loss, slope), (rest, base_slope) = (
        descent(each, embedding, label) for each in (still(head), still(head, base=True))
    )
    added = slope - share * base_slope
    return Push(loss - share * rest, added, tangent(added, at=unit(embedding.detach().to(added.dtype))[0]))


def profile(head: Head, label: int, towards: Tensor, n: int = 361, norm: float = 1.0) -> Profile:
    """The pull of class `label` along the great circle from its (first) prototype to the direction `towards` [d], such
    as another class's prototype, and on around to its far side, in `n` steps; for embeddings of length `norm`."""
    if not 0 <= label < head.classes:
        raise ValueError(f"Labels must run from 0 to {head.classes - 1}; this is {label}.")
    start, towards = (unit(each.detach())[0] for each in (head.prototypes[label * head.loss.subcentres], towards))
    angle = torch.linspace(-math.pi, math.pi, n, dtype=start.dtype, device=start.device)
    place = great_circle(start, towards.to(start), angle)
    outward = great_circle(start, towards.to(start), angle + math.pi / 2) * torch.where(angle < 0, -1, 1)[:, None]
    found = push(head, norm * place, torch.full_like(angle, label, dtype=torch.long))
    return Profile(angle, -norm * (found.push * outward).sum(1), found.loss)


def flow(
    head: Head, start: Tensor, label: Tensor, *, steps: int = 100, length: float = 0.05, normalised: bool = True
) -> Tensor:
    """Streamlines [steps + 1, n, d]: where samples that follow the push get from embeddings `start` [n d], label [n].

    On the sphere (`normalised`) each keeps its length and `length` is the angle of a full step, in radians; in the
    plane it is a distance. A step is full where the push on the unit sphere (the plane) is 1 or more and shorter in
    proportion where it is less, so a line slows down and ends where the push vanishes. A line whose push turns back has
    gone past its goal: it halves its steps, so that it ends there as well and does not swing.
    """
    head, place = still(head), start.detach().to(torch.promote_types(start.dtype, torch.float32))
    line, stride, before = [place], torch.full_like(place[:, :1], length), torch.zeros_like(place)
    for _ in range(steps):
        _, slope = descent(head, place, label)
        direction, norm = unit(place)
        if normalised:
            slope = tangent(slope, direction) * norm[:, None]
        way, strength = unit(slope)
        turned = (way * before).sum(1, keepdim=True)
        stride = torch.where(turned < 0, stride / 2, torch.where(turned > 0, 1.2 * stride, stride)).clamp(max=length)
        step = way * stride * strength[:, None].clamp(max=1)
        place = unit(exp_map(step, direction))[0] * norm[:, None] if normalised else place + step
        line.append(place)
        before = way
    return torch.stack(line)


def still(head: Head, *, base: bool = False) -> Head:
    """The same head (with `base`, around what its loss wraps) in `eval`, to be differentiated: it shares the tensors
    and has nothing to learn."""
    if isinstance(head, PairHead):
        raise ValueError(
            f"{head.loss.card.title} compares samples with one another, so it does not push a sample that is alone: "
            "choose a loss with prototypes."
        )
    shared = {id(value): value.detach() for value in (*head.parameters(), *head.buffers())}
    twin = copy.deepcopy(head, {**shared, id(head.loss): head.loss}).eval()
    twin.loss, twin.memory = lone(*((twin.loss.base, twin.memory.base) if base else (twin.loss, twin.memory)))
    return twin


def lone(loss: Loss, memory: Memory) -> tuple[Loss, Memory]:
    """The loss and its memory as a sample feels them that is a batch of its own: no terms that compare samples. (They
    would come to nothing by themselves, but take n² distances to do so.)"""
    if isinstance(loss, RangeLoss):
        return lone(loss.base, memory.base)
    if wraps(loss):
        base, memory.base = lone(loss.base, memory.base)
        loss = loss if base is loss.base else dataclasses.replace(loss, base=base)
    return loss, memory


def descent(head: Head, embedding: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
    """The losses [n] of a still head and their downward slopes [n d]."""
    with torch.inference_mode(False), torch.enable_grad():
        place = embedding.detach().to(torch.promote_types(embedding.dtype, torch.float32), copy=True).requires_grad_()
        loss = head(place, label)
        # A sample's loss depends on that sample alone, so the slopes of the sum are those of each.
        (slope,) = torch.autograd.grad(-loss.sum(), place)
    return loss.detach(), slope
