"""How many threads a training takes: the same number whoever trains it, for another one rounds otherwise."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def threads() -> int:
    """All cores but one, or as many as torch was told to take if that is fewer.

    Threads of one step wait for each other: one that something else holds up holds up all. On two cores that somebody
    else used as well, two threads took over ten times as long as one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(torch.get_num_threads(), max(1, cores - 1))


@contextmanager
def few_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
