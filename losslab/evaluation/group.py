"""Processes that divide the images of an evaluation: how they fail together, and who gets the embeddings."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed
from torch.distributed import ProcessGroup

from losslab import group as groups


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
    with answering():
        return groups.texts(text, group)


def gathered(rows: Tensor, group: ProcessGroup | None) -> Tensor | None:
    """The rows [n_r d] of all processes r, one after the other, on the first process, and None on all others. Who has
    no rows need not know d."""
    if group is None:
        return rows
    with answering():
        shapes = groups.everyones(list(rows.shape), group)
        longest, width = max(count for count, _ in shapes), max(width for _, width in shapes)
        own = groups.padded(rows.reshape(len(rows), width), longest).to(groups.reach(group))
        first = distributed.get_rank(group) == 0
        parts = [torch.empty_like(own) for _ in shapes] if first else None
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
