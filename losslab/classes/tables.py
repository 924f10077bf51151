"""A learned row for each class, and where its gradient goes.

Every tile, and every sample for its own class, adds to the gradient of some rows. Left to autograd each would bring a
gradient as large as the table. Here they all add to one, in place; or, with an update folded in, to the rows at once,
and there is none.
"""

import math
from dataclasses import dataclass
from typing import Any
from weakref import ReferenceType

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from .division import Piece


@dataclass
class FoldedSGD:
    """SGD with momentum as `torch.optim.SGD` does it, v ← μv + g + λw, w ← w − ηv, but in the backward pass itself:
    `head.prototypes.grad` stays None, and no tensor for it exists.

    `rate` may be assigned between steps, as a schedule does. What changes gradients after the backward pass (clipping,
    a loss scaler, adding up over several batches) does not reach these: each backward pass is a step of its own.
    """

    rate: float
    momentum: float = 0.9
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value < math.inf or (name == "momentum" and value >= 1):
                below = " and below 1" if name == "momentum" else ""
                raise ValueError(f"{name} is {value:g}, but it must be a number of at least 0{below}.")

    def apply(self, rows: Tensor, velocity: Tensor, index: slice | Tensor, gradient: Tensor) -> None:
        """A step for some of the rows, all of them different."""
        now, speed = rows[index], velocity[index]
        speed.mul_(self.momentum).add_(gradient).add_(now, alpha=self.weight_decay)
        now.sub_(speed * self.rate)
        if not isinstance(index, slice):
            rows[index], velocity[index] = now, speed

    def late(self, rows: Tensor, velocity: Tensor, index: Tensor, gradient: Tensor) -> None:
        """More of the gradient of rows that have made this step: it is linear in it."""
        velocity.index_add_(0, index, gradient)
        rows.index_add_(0, index, gradient * -self.rate)


class Table:
    """The learned rows [C·K d] of a process's classes during one step.

    Adding to a gradient in the middle of a backward pass, by hand, is safe for this reason: all that adds takes the
    table's token (`entered`), so autograd asks for the gradient when all have added.
    """

    def __init__(
        self, rows: Tensor, each: int, share: float, update: FoldedSGD | None = None, velocity: Tensor | None = None
    ) -> None:
        self.rows, self.each, self.share = rows.detach(), each, share
        self.update, self.velocity = update, velocity
        self.sweeps: list[ReferenceType] = []  # of the reductions that look at these rows; they hold the table
        self.restart()

    def restart(self) -> None:
        self.gradient: Tensor | None = None
        self.filling = self.fed = False
        self.task = -1
        self.late: list[tuple[Tensor, Tensor]] = []

    def begin(self) -> None:
        """Of another backward pass, which may never have come to its end, nothing must be left."""
        if (task := torch._C._current_graph_task_id()) != self.task:
            self.restart()
            self.task = task

    @property
    def waits(self) -> bool:
        """Must tiles wait until the end? Rows that are changed at once can be looked at once only."""
        return self.update is not None and len(self.sweeps) > 1

    def add(self, piece: Piece, gradient: Tensor) -> None:
        """The gradient of a piece's rows; of every piece of a step once, and then `swept`."""
        self.begin()
        index, gradient = piece.index(self.each), self.scaled(gradient)
        if self.update is not None:
            self.update.apply(self.rows, self.velocity, index, gradient)
            self.fed = True
            return
        if self.gradient is None:
            self.filling = piece.chosen is None
            self.gradient = torch.empty_like(self.rows) if self.filling else torch.zeros_like(self.rows)
        if not isinstance(index, slice):
            self.gradient.index_add_(0, index, gradient)
        elif self.filling:
            self.gradient[index] = gradient
        else:
            self.gradient[index] += gradient

    def scaled(self, gradient: Tensor) -> Tensor:
        gradient = gradient.to(self.rows.dtype)
        return gradient if self.share == 1 else gradient * self.share

    def swept(self) -> None:
        self.filling = False

    def add_rows(self, index: Tensor, gradient: Tensor) -> None:
        """The gradient [n d] of single rows, some perhaps several times."""
        self.begin()
        gradient = self.scaled(gradient)
        if self.update is not None:
            self.late.append((index, gradient))
            return
        if self.gradient is None:
            self.gradient = torch.zeros_like(self.rows)
        self.gradient.index_add_(0, index, gradient)

    def end(self) -> Tensor | None:
        """The whole gradient; none where the rows have made their step."""
        self.begin()
        if self.update is not None:
            if not self.fed:
                sweeps = [sweep for each in self.sweeps if (sweep := each()) is not None]
                for piece in sweeps[0].pieces() if sweeps else ():
                    parts = [part for sweep in sweeps if (part := sweep.rows(piece)) is not None]
                    index = piece.index(self.each)
                    self.add(piece, sum(parts) if parts else torch.zeros_like(self.rows[index]))
            for index, gradient in self.late:
                self.update.late(self.rows, self.velocity, index, gradient)
        found = self.gradient
        self.restart()
        return found


def entered(rows: Tensor, table: Table) -> Tensor:
    """The token of a table."""
    return Entrance.apply(rows, table)


class Entrance(Function):
    """Where a table comes in. Everything that uses it takes this token, so its backward is the last of all."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Table) -> Tensor:
        ctx.table = table
        return rows.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, _: Tensor) -> tuple:
        return ctx.table.end(), None


class Picked(Function):
    """Some rows of a table, [n d]."""

    @staticmethod
    def forward(ctx: Any, token: Tensor, table: Table, index: Tensor) -> Tensor:
        ctx.table = table
        ctx.save_for_backward(index)
        return table.rows[index]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        ctx.table.add_rows(ctx.saved_tensors[0], gradient)
        return gradient.new_zeros(()), None, None
