"""The losses that tests run through: the whole catalogue as it comes, and the variants of its switches."""

from dataclasses import replace
from itertools import product

import torch

from losslab import ElasticFace, PrototypeHead
from losslab.catalogue import knobs
from losslab.losses import Loss, catalogue


def variants() -> list[Loss]:
    """Every loss of the catalogue with every combination of its choices and switches, other knobs at their defaults."""
    found = []
    for loss in catalogue().values():
        switches = {
            name: knob.choices or (False, True)
            for name, knob in knobs(loss).items()
            if knob.choices or isinstance(knob.default, bool)
        }
        found += [replace(loss(), **dict(zip(switches, values, strict=True))) for values in product(*switches.values())]
    return found


def name(loss: Loss) -> str:
    return "-".join([type(loss).__name__, *(str(getattr(loss, k)) for k, v in knobs(loss).items() if v.choices)])


def head(loss: Loss, prototypes: list | torch.Tensor, *, dtype: torch.dtype = torch.float64) -> PrototypeHead:
    """A head with the given prototypes [C, d]; random margins at their mean."""
    prototypes = torch.as_tensor(prototypes, dtype=dtype)
    made = PrototypeHead(loss, prototypes.shape[1], len(prototypes), seed=0).to(dtype).eval()
    made.prototypes.data = prototypes.clone()
    return made


def problem(batch: int = 7, dim: int = 5, classes: int = 6, dtype: torch.dtype = torch.float64, seed: int = 0):
    """Random embeddings [b, d], labels [b] and prototypes [C, d]."""
    g = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(batch, dim, generator=g, dtype=torch.float64)
    label = torch.randint(classes, (batch,), generator=g)
    w = torch.randn(classes, dim, generator=g, dtype=torch.float64)
    return x.to(dtype), label, w.to(dtype)


def exact(loss: Loss) -> bool:
    return getattr(loss, "gradient", "exact") == "exact"


ELASTIC = [ElasticFace(variant=v, sorted=s) for v in ("arc", "cos") for s in (False, True)]
