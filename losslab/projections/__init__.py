"""Embeddings of more than three dimensions on the sphere or the plane, found by being there: every file of this folder
that declares a `Projection` with a card adds one. NumPy in, NumPy out."""

import re
from functools import cache

from losslab.catalogue import discover

from .base import Placed, Projection
from .three import ThreePrototypes

__all__ = ["DEFAULT", "Placed", "Projection", "catalogue", "read"]

DEFAULT = "SphereMap"
THREE = re.compile("[0-9]{1,6}(,[0-9]{1,6}){2}")


@cache
def catalogue() -> dict[str, type[Projection]]:
    """Every projection by class name, the default first."""
    found = discover(__name__, Projection)
    return {name: found[name] for name in sorted(found, key=lambda name: (name != DEFAULT, name))}


def read(text: str) -> Projection:
    """The projection that a link names: "SphereMap", or with three chosen prototypes "ThreePrototypes:0,4,7". What
    follows the colon counts only where it is three different whole numbers. ValueError where none has that name.
    """
    name, _, rest = text.partition(":")
    if name not in catalogue():
        raise ValueError(f"There is no projection {name!r}; choose one of {', '.join(catalogue())}.")
    if catalogue()[name] is ThreePrototypes and THREE.fullmatch(rest):
        chosen = tuple(map(int, rest.split(",")))
        if len(set(chosen)) == 3:
            return ThreePrototypes(chosen=chosen)
    return catalogue()[name]()
