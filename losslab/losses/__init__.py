"""The losses, one file each. Dropping in a file is all that a new loss needs."""

from functools import cache

from losslab.catalogue import discover
from losslab.catalogue import knobs as knob_list

from .arcface import ArcFace
from .base import Angles, Card, Loss, SoftmaxLoss
from .cosface import CosFace
from .elasticface import ElasticFace
from .normface import NormFace
from .softmax import Softmax
from .sphereface import SphereFace

__all__ = [
    "Angles", "ArcFace", "Card", "CosFace", "ElasticFace", "Loss", "NormFace", "Softmax", "SoftmaxLoss", "SphereFace",
    "catalogue", "make",
]  # fmt: skip


@cache
def catalogue() -> dict[str, type[Loss]]:
    """Every loss by class name, oldest first, each with its `card` and knobs."""
    found = discover(__name__, Loss)
    return dict(sorted(found.items(), key=lambda item: (item[1].card.year, item[0])))


def make(name: str, **knobs: object) -> Loss:
    """The loss called `name` (upper or lower case) with these knobs; ValueError names what there is instead."""
    by_name = {known.lower(): loss for known, loss in catalogue().items()}
    if name.lower() not in by_name:
        raise ValueError(f"There is no loss called {name!r}; there are {', '.join(catalogue())}.")
    loss = by_name[name.lower()]
    known = knob_list(loss)
    unknown = sorted(set(knobs) - set(known))
    if unknown:
        raise ValueError(f"{loss.__name__} has no knob called {unknown[0]!r}; it has {', '.join(known) or 'none'}.")
    return loss(**knobs)
