"""Embeddings of more than three dimensions on the sphere or the plane, found by being there: every file of this folder
that declares a `Projection` with a card adds one. NumPy in, NumPy out."""

from functools import cache

from losslab.catalogue import discover

from .base import Placed, Projection

__all__ = ["DEFAULT", "Placed", "Projection", "catalogue"]

DEFAULT = "SphereMap"


@cache
def catalogue() -> dict[str, type[Projection]]:
    """Every projection by class name, the default first."""
    found = discover(__name__, Projection)
    return {name: found[name] for name in sorted(found, key=lambda name: (name != DEFAULT, name))}
