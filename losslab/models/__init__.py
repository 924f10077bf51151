"""Networks that make embeddings, found by being there: every file of this folder that declares one adds it."""

from functools import cache

from torch import nn

from losslab.catalogue import discover

from .base import Backbone, Card

__all__ = ["Backbone", "Card", "catalogue", "make"]


@cache
def catalogue() -> dict[str, type[Backbone]]:
    """Every network by name, each with its `card`."""
    found = discover(__name__, Backbone)
    return {cls.__name__.lower(): cls for cls in found.values()}


def make(name: str, dim: int, shape: tuple[int, int, int] = (1, 28, 28)) -> nn.Module:
    """An untrained network from images, uint8 [b, *shape], to embeddings [b, dim]. ValueError names what there is.

    Its weights follow torch's global random numbers.
    """
    if name not in catalogue():
        raise ValueError(f"There is no model called {name!r}; there are {', '.join(catalogue())}.")
    return catalogue()[name](dim, shape)
