"""What processes say to one another, each collective with its gradient.

After `gathered` every process holds the whole batch and works out the same numbers from it, sample by sample: these
are *common*, and so are their gradients. What it finds in its own classes is its *part*; parts are summed by `joined`.
So a gradient that comes to a part from common numbers is complete, and one that comes to common numbers from parts
must be summed first: for embeddings on the way back to their own process, for all else in `tiles`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from losslab.group import everyones, padded, place

# Later releases have other names for two collectives, and complain of the old ones.
all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
reduce_scatter = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor


@dataclass
class Traffic:
    """Bytes that one process handed to collectives, by kind: what is to be sent, whichever way the network sends it."""

    bytes: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, tensor: Tensor) -> None:
        self.bytes[kind] = self.bytes.get(kind, 0) + tensor.numel() * tensor.element_size()


class Processes:
    """The processes that share a head; alone, where `group` is None."""

    def __init__(self, group: dist.ProcessGroup | None = None) -> None:
        self.group = group
        self.rank, self.size = place(group)
        self.traffic: Traffic | None = None

    def __deepcopy__(self, memo: dict) -> "Processes":
        return self  # a copy of a head talks to the same processes

    @property
    def alone(self) -> bool:
        return self.size == 1

    @contextmanager
    def counted(self) -> Iterator[Traffic]:
        """Count what this process sends meanwhile."""
        self.traffic = Traffic()
        try:
            yield self.traffic
        finally:
            self.traffic = None

    def said(self, kind: str, tensor: Tensor) -> Tensor:
        if self.traffic is not None:
            self.traffic.add(kind, tensor)
        return tensor.contiguous()

    # -- collectives -------------------------------------------------------------------------------------

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over processes."""
        return self.reduced(tensor, dist.ReduceOp.SUM)

    def max(self, tensor: Tensor) -> Tensor:
        return self.reduced(tensor, dist.ReduceOp.MAX)

    def min(self, tensor: Tensor) -> Tensor:
        return self.reduced(tensor, dist.ReduceOp.MIN)

    def reduced(self, tensor: Tensor, how: Any) -> Tensor:
        if self.alone:
            return tensor
        whole = self.said("reduce", tensor.detach()).clone()
        dist.all_reduce(whole, how, group=self.group)
        return whole

    def gather(self, tensor: Tensor, sizes: list[int]) -> Tensor:
        """The rows [b ...] of all processes, which have `sizes` of them, in the order of processes."""
        if self.alone:
            return tensor
        most = max(sizes)
        part = self.said("gather", padded(tensor.detach(), most))
        found = part.new_empty(self.size * most, *part.shape[1:])
        all_gather(found, part, group=self.group)
        if min(sizes) == most:
            return found
        return torch.cat([each[:size] for each, size in zip(found.split(most), sizes, strict=True)])

    def scatter(self, tensor: Tensor, sizes: list[int]) -> Tensor:
        """The sum over processes, of which each gets the rows that are its own: [b ...] from [sum(sizes) ...]."""
        if self.alone:
            return tensor
        most = max(sizes)
        if min(sizes) < most:
            tensor = torch.cat([padded(each, most) for each in tensor.split(sizes)])
        parts = self.said("scatter", tensor)
        found = parts.new_empty(most, *parts.shape[1:])
        reduce_scatter(found, parts, group=self.group)
        return found[: sizes[self.rank]]

    def own(self, tensor: Tensor, sizes: list[int]) -> Tensor:
        """The rows of this process's samples."""
        return tensor if self.alone else tensor.split(sizes)[self.rank]

    def agree(self, batch: int, problem: Exception | None, device: torch.device) -> list[int]:
        """The batch sizes of all processes. If one of them has a problem, all raise it, and none is left waiting.

        On an accelerator that would mean to wait for an answer at every step: batches are taken to be equal there, and
        a problem ends the process that has it (and with it, under `torchrun`, the others).
        """
        if self.alone or device.type != "cpu":
            if problem is not None:
                raise problem
            return [batch] * self.size
        mine = torch.tensor([[batch, problem is not None]])
        said = mine.new_empty(self.size, 2)
        all_gather(said, mine, group=self.group)
        sizes, troubled = said[:, 0].tolist(), said[:, 1].nonzero().flatten().tolist()
        if troubled:
            told = everyones([isinstance(problem, FloatingPointError), str(problem)], self.group)
            if problem is not None:
                raise problem
            not_finite, sentence = told[first := troubled[0]]
            kind = FloatingPointError if not_finite else ValueError
            raise kind(f"Process {first} of {self.size} cannot go on: {sentence}")
        return sizes


# -- with gradients --------------------------------------------------------------------------------------


class Gathered(Function):
    """The embeddings of all processes, twice: to be used in common, and with this process's classes only."""

    @staticmethod
    def forward(ctx: Any, embedding: Tensor, processes: Processes, sizes: list[int]) -> tuple[Tensor, Tensor]:
        ctx.processes, ctx.sizes = processes, sizes
        ctx.set_materialize_grads(False)
        whole = processes.gather(embedding, sizes)
        return whole, whole.view_as(whole)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, common: Tensor | None, part: Tensor | None) -> tuple:
        found = None if part is None else ctx.processes.scatter(part, ctx.sizes)
        if common is not None:
            mine = ctx.processes.own(common, ctx.sizes)
            found = mine if found is None else found + mine
        return found, None, None


class Joined(Function):
    """The sum of the parts of all processes, in common."""

    @staticmethod
    def forward(ctx: Any, part: Tensor, processes: Processes) -> Tensor:
        return processes.sum(part)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, common: Tensor) -> tuple:
        return common, None


class Kept(Function):
    """This process's samples out of all, [b] of [B]: the end of what is in common."""

    @staticmethod
    def forward(ctx: Any, common: Tensor, processes: Processes, sizes: list[int]) -> Tensor:
        ctx.processes, ctx.sizes = processes, sizes
        return processes.own(common, sizes).clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, mine: Tensor) -> tuple:
        return ctx.processes.gather(mine, ctx.sizes), None, None


class Shared(Function):
    """A learned number that all processes have: what the samples of all ask of it, as a mean over processes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, processes: Processes) -> Tensor:
        ctx.size = processes.size
        return value.view_as(value)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, common: Tensor) -> tuple:
        return common / ctx.size, None
