"""The losses that tests run through: the whole catalogue as it comes, and with each of its switches turned."""

from dataclasses import replace

import torch
from torch import Tensor

from losslab import PairHead, PrototypeHead
from losslab.catalogue import knobs
from losslab.losses import Loss, PairLoss, Term, catalogue


def variants() -> list[Loss]:
    """Every loss of the catalogue at its defaults, and with each single choice and switch of its own changed."""
    found = []
    for kind in catalogue().values():
        found.append(plain := kind())
        for name, knob in knobs(plain).items():
            options = (not knob.default,) if isinstance(knob.default, bool) else knob.choices or ()
            found += [replace(plain, **{name: option}) for option in options if option != knob.default]
    return found


def with_prototypes() -> list[Loss]:
    """The variants that compare a sample with the classes."""
    return [loss for loss in variants() if not isinstance(loss, PairLoss)]


def of_pairs() -> list[Loss]:
    """The variants that compare the samples of a batch with one another."""
    return [loss for loss in variants() if isinstance(loss, PairLoss)]


def name(loss: Loss) -> str:
    """The class and what is not at its default: "ArcFace-beyond=raw"."""
    parts = [type(loss).__name__]
    for field, knob in knobs(loss).items():
        value = getattr(loss, field)
        if value != knob.default:
            shown = name(value) if isinstance(value, Loss) else f"{value:g}" if isinstance(value, float) else value
            parts.append(f"{field}={shown}")
    return "-".join(parts)


def head(
    loss: Loss, prototypes: list | Tensor, *, classes: int | None = None, dtype: torch.dtype = torch.float64
) -> PrototypeHead | PairHead:
    """The head that `loss` belongs in, in `eval()`, with the given prototypes: [C d], of which a loss with K for each
    class gets K near ones, or [C·K d] where `classes` says what C is."""
    prototypes, k = torch.as_tensor(prototypes, dtype=dtype), loss.subcentres
    if classes is None:
        classes = len(prototypes)
        # Distinct, and wherever the space is turned to or the classes are renamed to, the same.
        steps = 0.1 * torch.arange(k, dtype=dtype)[:, None]
        prototypes = (prototypes[:, None] + steps * prototypes.mean(0)).flatten(0, 1)
    kind = PairHead if isinstance(loss, PairLoss) else PrototypeHead
    made = kind(loss, prototypes.shape[1], classes, seed=0).to(dtype).eval()
    made.prototypes.data = prototypes.clone()
    return made


def season(made: PrototypeHead | PairHead, embedding: Tensor, label: Tensor) -> PrototypeHead | PairHead:
    """The same head after two short epochs without learning: what it keeps from step to step comes from data."""
    made.train()
    with torch.no_grad():
        for _ in range(2):
            made(embedding, label)
            made.end_epoch()
        made(embedding, label)
    return made.eval()


def problem(batch: int = 7, dim: int = 5, classes: int = 6, dtype: torch.dtype = torch.float64, seed: int = 0):
    """Random embeddings [b, d], labels [b] and prototypes [C, d]."""
    g = torch.Generator().manual_seed(seed)
    x = 3 * torch.randn(batch, dim, generator=g, dtype=torch.float64)
    label = torch.randint(classes, (batch,), generator=g)
    w = torch.randn(classes, dim, generator=g, dtype=torch.float64)
    return x.to(dtype), label, w.to(dtype)


def exact(loss: Loss) -> bool:
    """Is its gradient the derivative of its value: the exact slope, and nothing treated as a constant?"""
    inside = exact(loss.base) if isinstance(loss, Term) else True
    return loss.gradient == "exact" and not loss.holds_still and inside
