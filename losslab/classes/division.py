"""Which classes are whose, and in which pieces a step looks at them."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from losslab.losses import draws

from .processes import Processes

CACHED = 2**19  # cosines in a tile that stays in a processor's cache: 2 MiB of float32
STREAMED = 2**26  # in one that keeps an accelerator busy: 256 MiB
KEPT = 2**26  # up to so many cosines they are kept for the backward pass: 256 MiB


class Division:
    """C classes over the processes of a group, each with as many as the others or one less, in tiles."""

    def __init__(self, classes: int, processes: Processes, tile: int | str | None = None) -> None:
        if classes < processes.size:
            raise ValueError(
                f"{classes} classes cannot be divided over {processes.size} processes: each needs at least one. "
                "Use fewer processes."
            )
        if tile is not None and tile != "auto" and (not isinstance(tile, int) or isinstance(tile, bool) or tile < 1):
            raise ValueError(f"tile is {tile!r}, but it must be a whole number of classes, 'auto' or None.")
        self.classes, self.processes, self.tile = classes, processes, tile
        each, more = divmod(classes, processes.size)
        self.counts = [each + (rank < more) for rank in range(processes.size)]
        self.first, self.count = sum(self.counts[: processes.rank]), self.counts[processes.rank]

    def mine(self, rows: Tensor) -> Tensor:
        """The rows of this process's classes, from those of all, [C ...]."""
        return rows if self.processes.alone else rows[self.first : self.first + self.count].clone()

    def everyone(self, rows: Tensor) -> Tensor:
        """[C ...] the rows of all classes, from those of this process."""
        return self.processes.gather(rows, self.counts)

    def place(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """Where the classes of samples are among this process's, [b] (0 where they are not), and whether they are."""
        local = label - self.first
        here = (local >= 0) & (local < self.count)
        return torch.where(here, local, 0), here

    def width(self, batch: int, device: torch.device) -> int:
        """Classes in a tile."""
        if self.tile is None:
            return self.count
        if self.tile == "auto":
            budget = CACHED if device.type == "cpu" else STREAMED
            return min(max(budget // max(batch, 1), 64), self.count)
        return min(self.tile, self.count)

    def keeps(self, cosines: int) -> bool:
        """Are so many cosines kept, and not worked out again? All or none: a part would cost memory and save little."""
        return self.tile == "auto" and cosines <= KEPT

    def pieces(self, batch: int, device: torch.device, chosen: Tensor | None = None) -> Iterator["Piece"]:
        """This process's classes, or those `chosen` of them (sorted), tile by tile."""
        count, width = self.count if chosen is None else len(chosen), self.width(batch, device)
        for start in range(0, count, width):
            stop = min(start + width, count)
            yield Piece(self.first, start, stop, None if chosen is None else chosen[start:stop])

    def sample(self, label: Tensor, rate: float, seed: Tensor, step: Tensor) -> Tensor:
        """A share `rate` of this process's classes, sorted: those of the samples (−1 for none), and others at random.
        Never fewer than there may be classes in the batch, so that how many does not depend on the labels."""
        number = min(max(int(rate * self.count), len(label)), self.count)
        score = draws.bits(seed, step, self.count, at=self.first)
        place, here = self.place(label)
        # Classes of samples come before all others: their scores leave the range of draws.
        wanted = torch.zeros_like(score).scatter_reduce(0, place, here.to(score.dtype), "amax")
        return (score + (wanted << 32)).topk(number).indices.sort().values


@dataclass(frozen=True)
class Piece:
    """Some classes of a process: from `start` to `stop` of its own, or of those `chosen`."""

    first: int  # id of the process's first class
    start: int
    stop: int
    chosen: Tensor | None = None

    def __len__(self) -> int:
        return self.stop - self.start

    def index(self, each: int = 1) -> slice | Tensor:
        """Rows of these classes in a table with `each` rows a class."""
        if self.chosen is None:
            return slice(self.start * each, self.stop * each)
        if each == 1:
            return self.chosen
        return (self.chosen[:, None] * each + torch.arange(each, device=self.chosen.device)).flatten()

    def ids(self, device: torch.device) -> Tensor:
        """Numbers of these classes among all."""
        if self.chosen is None:
            return torch.arange(self.first + self.start, self.first + self.stop, device=device)
        return self.first + self.chosen

    def find(self, label: Tensor) -> tuple[Tensor, Tensor]:
        """In which column each sample's class is [b 1] (any where it is in none), and whether it is in one."""
        if self.chosen is None:
            column = label - (self.first + self.start)
            inside = (column >= 0) & (column < len(self))
            column = torch.where(inside, column, 0)
        else:
            local = label - self.first
            column = torch.searchsorted(self.chosen, local).clamp(max=len(self) - 1)
            inside = self.chosen[column] == local
        return column[:, None], inside[:, None]


def drawn(rows: int, dim: int, draw: torch.Generator | None, first: int = 0, count: int | None = None) -> Tensor:
    """Rows `first` to `first + count` of `torch.randn(rows, dim)`, without ever holding the others."""
    if count is None or count == rows:
        return torch.randn(rows, dim, generator=draw)
    found, at = torch.empty(count, dim), 0
    while at < rows:
        # Normal numbers are made sixteen at a time: blocks of that, and a last one that is not less.
        size = BLOCK if rows - at >= 2 * BLOCK else rows - at
        block = torch.randn(size, dim, generator=draw)
        low, high = max(first, at), min(first + count, at + size)
        if low < high:
            found[low - first : high - first] = block[low - at : high - at]
        at += size
    return found


BLOCK = 2**14
