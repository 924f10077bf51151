"""Losses by name, and a loss as one flat list of named values: what menus, sliders, flags, links and recipes carry.

A loss that wraps another has the knob `base`, a name, and the base's own knobs with `base_` before them:

    {"base": "ArcFace", "weight": 0.1, "base_scale": 64.0, "base_margin": 0.5, ...}
"""

import dataclasses
from functools import cache
from typing import Any

from losslab import catalogue as declared
from losslab.catalogue import Knob
from losslab.schedules import Schedule

from .base import Loss
from .pairs import PairLoss

BASE = "base"


@cache
def catalogue() -> dict[str, type[Loss]]:
    """Every loss by class name, oldest first, each with its `card` and knobs."""
    found = declared.discover(__package__, Loss)
    return dict(sorted(found.items(), key=lambda item: (item[1].card.year, item[0])))


@cache
def bases() -> tuple[str, ...]:
    """The losses that a term can be added to: those with prototypes that are no terms themselves."""
    return tuple(name for name, kind in catalogue().items() if not issubclass(kind, PairLoss) and not wraps(kind))


def wraps(kind: Any) -> bool:
    """Is this loss (a class or a value) added to another?"""
    return BASE in declared.knobs(kind)


def knobs(loss: Loss) -> dict[str, Knob]:
    """The knobs of a loss by flat name; a base's follow those of what wraps it."""
    flat = declared.knobs(loss)
    if wraps(loss):
        default = flat[BASE].default
        flat[BASE] = Knob(BASE, type(default).__name__, choices=bases(), help=flat[BASE].help, fixed=True)
        for name, knob in knobs(loss.base).items():
            flat[f"{BASE}_{name}"] = dataclasses.replace(knob, name=f"{BASE}_{name}")
    return flat


def title(loss: Loss) -> str:
    """What a reader calls this loss: "Center loss around Softmax"."""
    return f"{loss.card.title} around {title(loss.base)}" if wraps(loss) else loss.card.title


def settings(loss: Loss) -> dict[str, Any]:
    """What `knobs` are set to. `make(type(loss).__name__, **settings(loss))` is an equal loss."""
    flat = {name: getattr(loss, name) for name in declared.knobs(loss)}
    if wraps(loss):
        flat[BASE] = type(loss.base).__name__
        flat |= {f"{BASE}_{name}": value for name, value in settings(loss.base).items()}
    return flat


def turned(loss: Loss, changes: dict[str, Any]) -> Loss:
    """The loss with some flat knobs changed. Another base begins with its own defaults. ValueError for a knob that it
    does not have or a value out of range."""
    known = declared.knobs(loss)
    own = {name: value for name, value in changes.items() if name in known}
    rest = changes.keys() - own
    unknown = sorted(name for name in rest if not (wraps(loss) and name.startswith(f"{BASE}_")))
    if unknown:
        has = ", ".join(knobs(loss)) or "none"
        raise ValueError(f"{type(loss).__name__} has no knob called {unknown[0]!r}; it has {has}.")
    if wraps(loss):
        base = own.get(BASE, loss.base)
        if not isinstance(base, Loss):
            chosen = catalogue().get(base) if isinstance(base, str) else None
            if chosen is None or issubclass(chosen, PairLoss):
                raise ValueError(f"base is {base!r}, but it must be one of {', '.join(bases())}.")
            base = loss.base if chosen is type(loss.base) else chosen()
        own[BASE] = turned(base, {name.removeprefix(f"{BASE}_"): changes[name] for name in rest})
    return dataclasses.replace(loss, **own)


def steerable(loss: Loss, into: Loss) -> bool:
    """Can a training with `loss` go on with `into`: the same losses, and nothing that gives memory another shape?"""
    return type(loss) is type(into) and fixed(loss) == fixed(into)


def fixed(loss: Loss) -> dict[str, Any]:
    now = settings(loss)
    return {name: now[name] for name, knob in knobs(loss).items() if knob.fixed}


def steered(loss: Loss, changes: dict[str, Any]) -> Loss:
    """`turned`, for a loss in the middle of a training; ValueError where it could not go on."""
    if not steerable(loss, after := turned(loss, changes)):
        raise ValueError(f"{', '.join(fixed(loss))} cannot change while a training goes on: start another.")
    return after


def make(name: str, **changes: Any) -> Loss:
    """The loss called `name` (upper or lower case) with these flat knobs; ValueError names what there is instead."""
    return turned(kind(name)(), changes)


def kind(name: str) -> type[Loss]:
    """The class of the loss called `name`, upper or lower case; ValueError names what there is instead."""
    by_name = {known.lower(): loss for known, loss in catalogue().items()}
    if name.lower() not in by_name:
        raise ValueError(f"There is no loss called {name!r}; there are {', '.join(catalogue())}.")
    return by_name[name.lower()]


def starting(name: str | type[Loss], base: str | None = None, *, small: bool = True) -> Loss:
    """A loss (around another base, if asked for) with knobs to begin with: those that suit a few classes in two or
    three dimensions (`card.toy`), or the papers' (`small=False`), which are for thousands of classes in 512: a circle
    or a small sphere has not the room that they ask for."""
    chosen = kind(name) if isinstance(name, str) else name
    loss = turned(chosen(), chosen.card.toy if small else {})
    if base is not None and wraps(loss) and base != type(loss.base).__name__:
        loss = dataclasses.replace(loss, base=starting(base, small=small))
    return loss


def plain(flat: dict[str, Any]) -> dict[str, Any]:
    """Settings in what JSON knows: a schedule is written as the call that makes it."""
    return {name: str(value) if isinstance(value, Schedule) else value for name, value in flat.items()}
