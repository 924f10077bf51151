"""Processes that divide work: who is who, what they tell one another, and how they fail together.

What is told is text and numbers. Nothing is pickled.
"""

import datetime
import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup

from losslab.training.build import best_device

PATIENCE = datetime.timedelta(hours=2)  # for the slowest process: it may have the larger images


def place(group: ProcessGroup | None) -> tuple[int, int]:
    """This process's number and how many there are."""
    return (0, 1) if group is None else (distributed.get_rank(group), distributed.get_world_size(group))


@contextmanager
def joined() -> Iterator[tuple[ProcessGroup | None, torch.device]]:
    """The group that torchrun started this process in, and this process's device; None and the best device where it
    was started by itself."""
    device = torch.device(best_device())
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield None, device
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    distributed.init_process_group("gloo", timeout=PATIENCE)  # what is told lies in the memory of the CPU
    try:
        yield distributed.group.WORLD, device
    finally:
        # An error holds the frames that it came through, and those the group: one that is taken down only when Python
        # itself ends now and then ends it by a signal.
        gc.collect()
        with suppress(Exception):  # of a group of which one has gone
            distributed.destroy_process_group()


@contextmanager
def together(group: ProcessGroup | None) -> Iterator[None]:
    """Work that every process of the group does. Where one fails all fail, with the sentence of the first that did:
    nobody waits for a process that has gone."""
    failed = None
    try:
        yield
    except Exception as error:
        failed = error
    sentences = texts(str(failed) or type(failed).__name__ if failed else "", group)
    if failed:
        raise failed
    for sentence in filter(None, sentences):
        raise ValueError(sentence)


def texts(text: str, group: ProcessGroup | None) -> list[str]:
    """What every process says, in their order."""
    if group is None:
        return [text]
    device, size = reach(group), distributed.get_world_size(group)
    said = torch.tensor(list(text.encode()), dtype=torch.uint8, device=device)
    lengths = [torch.zeros(1, dtype=torch.long, device=device) for _ in range(size)]
    with answering():
        distributed.all_gather(lengths, torch.tensor([len(said)], device=device), group=group)
        longest = max(int(length) for length in lengths)
        heard = [said.new_zeros(longest) for _ in range(size)]
        distributed.all_gather(heard, padded(said, longest), group=group)
    return [bytes(each[: int(length)].cpu().numpy()).decode() for each, length in zip(heard, lengths, strict=True)]


def gathered(rows: Tensor, group: ProcessGroup | None) -> Tensor | None:
    """The rows [n_r d] of all processes r, one after the other, on the first process, and None on all others. Who has
    no rows need not know d."""
    if group is None:
        return rows
    shapes = [tuple(map(int, said.split())) for said in texts(f"{rows.shape[0]} {rows.shape[1]}", group)]
    longest, width = max(count for count, _ in shapes), max(width for _, width in shapes)
    own = padded(rows.reshape(len(rows), width), longest).to(reach(group))
    first = distributed.get_rank(group) == 0
    parts = [torch.empty_like(own) for _ in shapes] if first else None
    with answering():
        distributed.gather(own, parts, group=group, group_dst=0)
    if parts is None:
        return None
    return torch.cat([part[:count].cpu() for part, (count, _) in zip(parts, shapes, strict=True)])


@contextmanager
def answering() -> Iterator[None]:
    """An exchange that all take part in. ConnectionError where one of them is gone."""
    try:
        yield
    except RuntimeError as error:
        raise ConnectionError(
            "Another process of the evaluation ended or no longer answers (killed, out of memory, or its machine is "
            "gone): start it again."
        ) from error


def padded(rows: Tensor, length: int) -> Tensor:
    return torch.cat([rows, rows.new_zeros(length - len(rows), *rows.shape[1:])])


def reach(group: ProcessGroup) -> torch.device:
    """Where tensors must be that the group exchanges: on the CPU, if it can."""
    return torch.device("cpu" if "cpu" in distributed.get_backend_config(group) else "cuda")
