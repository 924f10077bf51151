"""The processes that torchrun starts together: their group, who is who in it, and what they tell one another.

What is told is text and numbers. Nothing is pickled.
"""

import gc
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import ProcessGroup

LOST = ("connection closed", "connection reset", "connection refused", "timed out", "timeout", "broken pipe", "nccl")


@contextmanager
def joined(device: torch.device, timeout: float) -> Iterator[ProcessGroup | None]:
    """The group that torchrun started this process in; None where it was started by itself.

    Args:
        device: where this process computes. What it tells the others may lie there, or on the CPU.
        timeout: seconds after which a process that does not answer is given up.

    ValueError where the others are not found.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield None
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))
    except RuntimeError as error:
        what = str(error).splitlines()[0].rstrip(".")
        raise ValueError(f"The processes did not find one another ({what}): start them all.") from None
    try:
        yield dist.group.WORLD
    except BaseException as error:
        if not lost(error):  # Nobody would answer to a farewell.
            farewell()
        raise
    farewell()


def farewell() -> None:
    # An error holds the frames that it came through, and those the group: taken down only when Python itself ends, it
    # now and then ends it by a signal.
    gc.collect()
    with suppress(Exception):  # of a group of which one has gone
        dist.destroy_process_group()


def lost(error: BaseException) -> bool:
    """Is this what torch says when another process no longer answers?"""
    said = str(error).lower()
    return isinstance(error, RuntimeError) and "dataloader" not in said and any(word in said for word in LOST)


def place(group: ProcessGroup | None) -> tuple[int, int]:
    """This process's number and how many there are."""
    return (0, 1) if group is None else (dist.get_rank(group), dist.get_world_size(group))


def texts(text: str, group: ProcessGroup | None) -> list[str]:
    """What every process says, in their order."""
    if group is None:
        return [text]
    device, size = reach(group), dist.get_world_size(group)
    said = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    lengths = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(size)]
    dist.all_gather(lengths, torch.tensor([len(said)], device=device), group=group)
    longest = max(int(length) for length in lengths)
    heard = [said.new_zeros(longest) for _ in range(size)]
    dist.all_gather(heard, padded(said, longest), group=group)
    return [bytes(each[: int(length)].cpu().numpy()).decode() for each, length in zip(heard, lengths, strict=True)]


def everyones(value: Any, group: ProcessGroup | None) -> list[Any]:
    """What every process has, in their order: numbers, strings, truth values and None, or lists of them."""
    return [value] if group is None else [json.loads(each) for each in texts(json.dumps(value), group)]


def padded(rows: Tensor, length: int) -> Tensor:
    """[length ...] from rows [n ...], zeros after them."""
    return rows if len(rows) == length else torch.cat([rows, rows.new_zeros(length - len(rows), *rows.shape[1:])])


def reach(group: ProcessGroup) -> torch.device:
    """Where tensors must be that the group exchanges: on the CPU, if it can."""
    return torch.device("cpu" if "cpu" in dist.get_backend_config(group) else "cuda")
