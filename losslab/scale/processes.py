"""The processes of one training: who they are, what they agree on, and how they end together.

Whatever goes wrong in one of them, all end, with a sentence from the first. A fault that all come by at the same place
is agreed on (`agree`). One that hits a process alone, in the middle of a step, is left in the store that `torchrun`
keeps; the others then find the line to it cut, and read there why.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from losslab import group as groups
from losslab.devices import own_device

FAULT = "losslab/fault"  # in the store: why a process ended
PATIENCE = 2.0  # seconds in which a process that failed says so


class ScaleError(RuntimeError):
    """A training that cannot go on; one sentence that says why and what to do, the same in every process."""


class Refused(ScaleError):
    """A training that was asked for wrongly: nothing has begun."""


class Processes:
    """All processes of a training, or the only one. `group` is None for a lone one, and no call then waits."""

    def __init__(self, device: torch.device, *, alone: bool | None = None) -> None:
        """`alone`: count on no other; where nothing is said, if this process was started alone."""
        self.device = device
        self.alone = not dist.is_initialized() if alone is None else alone
        self.group = None if self.alone else dist.group.WORLD
        self.rank, self.size = groups.place(self.group)

    @property
    def first(self) -> bool:
        """Is this the process that speaks and writes for all?"""
        return self.rank == 0

    def agree(self, fault: str = "", raising: type[ScaleError] = ScaleError) -> None:
        """Raise this error in every process where one of them has found a fault: the first one's sentence."""
        faults = self.gathered(fault)
        if any(faults):
            raise raising(next(filter(None, faults)))

    @contextmanager
    def together(self, *kinds: type[Exception], raising: type[ScaleError] = ScaleError) -> Iterator[None]:
        """Something that every process does by itself: where one of these kinds of error stops one, all stop."""
        fault, cause = "", None
        try:
            yield
        except kinds as error:
            fault, cause = str(error), error
        try:
            self.agree(fault, raising)
        except ScaleError as error:
            raise error from cause

    def gathered(self, value: Any) -> list[Any]:
        """What each process has, in their order: numbers, strings and truth values, or lists of them."""
        return groups.everyones(value, self.group)

    def any(self, mine: bool) -> bool:
        """Does one of them say yes? On the CPU: a GPU goes on working meanwhile."""
        if self.alone:
            return mine
        flag = torch.tensor(float(mine))
        dist.all_reduce(flag, dist.ReduceOp.MAX)
        return bool(flag)

    def summed(self, value: Tensor) -> Tensor:
        """The sum over the processes, in place."""
        if not self.alone:
            dist.all_reduce(value)
        return value

    def largest(self, value: Tensor) -> Tensor:
        """The largest over the processes, in place."""
        if not self.alone:
            dist.all_reduce(value, dist.ReduceOp.MAX)
        return value

    def wait(self) -> None:
        """Until all are here."""
        self.any(False)

    def fail(self, sentence: str) -> None:
        """Leave word of why this process ends, for those that will miss it."""
        if not self.alone:
            with suppress(Exception):  # Whoever keeps the store may be gone already.
                dist.distributed_c10d._get_default_store().set(FAULT, sentence)

    def cut_off(self) -> str:
        """What became of a process that no longer answers."""
        with suppress(Exception):
            store, until = dist.distributed_c10d._get_default_store(), time.monotonic() + PATIENCE
            while time.monotonic() < until:
                if store.check([FAULT]):
                    return store.get(FAULT).decode()
                time.sleep(0.05)
        return (
            "A process of this training ended or no longer answers (killed, out of memory, or its machine is gone): "
            "start it again with --resume, on as many processes as there are."
        )


def lost(error: BaseException) -> bool:
    """Is this what torch says when another process no longer answers?"""
    return groups.lost(error) and not isinstance(error, ScaleError)


def why(error: BaseException, rank: int) -> str:
    """One sentence about what ended process `rank`."""
    said = str(error).strip()
    if isinstance(error, torch.OutOfMemoryError):
        return "The GPU has too little memory: set more parts, a tile, or a smaller batch."
    # Killed between two messages a worker is missed by DataLoader; in the middle of one its connection breaks first, or
    # nobody is there any more to fetch the images from.
    nobody = isinstance(error, FileNotFoundError) and error.filename is None
    if "DataLoader" in said or nobody or isinstance(error, ConnectionError | EOFError):
        return (
            "A process that decodes images was killed or took too long: is there enough memory for --workers, and does "
            "the disk answer? Start again with --resume."
        )
    if isinstance(error, ScaleError | OSError | ValueError):
        return said
    return f"Process {rank} failed: {(said.splitlines() or [type(error).__name__])[0]}."


@contextmanager
def joined(device: str | None, timeout: float) -> Iterator[Processes]:
    """The processes that `torchrun` started, or this one alone, each on its device; `timeout` is the number of seconds
    after which one that does not answer is given up. ValueError where there is no such device, or none of the others.
    """
    chosen = own_device(device)
    with groups.joined(chosen, timeout):
        processes = Processes(chosen)
        try:
            yield processes
        except Exception as error:
            if not lost(error):
                processes.fail(why(error, processes.rank))
            raise
