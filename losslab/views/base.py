"""A view is a frozen value: the losses and the numbers that decide a picture. `scene()` draws it.

Its knobs are declared like those of a loss, so that sliders, links and requests follow by themselves. Being a file here
makes a view known; `card` says what is seen in one sentence.
"""

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, dataclass_transform

import torch

from losslab import catalogue as declared
from losslab import losses as family
from losslab.head import Head, head_for
from losslab.losses import Angles, ArcFace, Loss, SoftmaxLoss, Term
from losslab.scene import Scene
from losslab.training import Run, Snapshot

MOST = 8  # losses in one picture: more could not be told apart


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class View:
    """A picture of one or several losses. ValueError for values that make none."""

    card: ClassVar[str]  # what is seen, in a sentence
    of_losses: ClassVar[bool] = True  # does it show the losses that it is given?
    losses: tuple[Loss, ...] = (family.starting(ArcFace),)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        if not self.losses or len(self.losses) > MOST:
            raise ValueError(f"A picture shows 1 to {MOST} losses; this asks for {len(self.losses)}.")
        object.__setattr__(self, "losses", tuple(self.losses))
        declared.check_knobs(self)

    def scene(self) -> Scene:
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """What the losses are called here: their titles, with the knobs in which losses of one title differ."""
        return named(self.losses)


def named(losses: tuple[Loss, ...]) -> tuple[str, ...]:
    titles = [family.title(loss) for loss in losses]
    said = []
    for loss, title in zip(losses, titles, strict=True):
        same = [family.settings(other) for other, called in zip(losses, titles, strict=True) if called == title]
        mine = family.settings(loss)
        differ = [name for name in mine if any(other[name] != mine[name] for other in same)]
        if not differ and isinstance(mine.get("margin"), float):
            differ = ["margin"]
        said.append(" ".join([title, *(worded(name, mine[name]) for name in differ)]))
    return tuple(said)


def worded(name: str, value: Any) -> str:
    """A knob's value as a legend says it: "0.3" for a margin, "scale 16", "detached"."""
    if isinstance(value, str):
        return value
    number = f"{value:g}" if isinstance(value, int | float) else str(value)
    return number if name == "margin" else f"{name.replace('_', ' ')} {number}"


def bare_head(loss: Loss, dim: int, classes: int) -> Head:
    """A head in `eval` and double precision that nothing has been learned in: prototypes are the caller's to set."""
    return head_for(loss)(loss, dim, classes, seed=0).double().eval().requires_grad_(False)


def right_angles(loss: Loss, classes: int = 2) -> Head:
    """A bare head whose own class (0) stands at right angles to all others, which share one direction."""
    head = bare_head(loss, 2, classes)
    head.prototypes[: loss.subcentres] = torch.tensor([1.0, 0.0], dtype=torch.float64)
    head.prototypes[loss.subcentres :] = torch.tensor([0.0, 1.0], dtype=torch.float64)
    return head


def radius(loss: Loss, a: Angles) -> torch.Tensor:
    """What multiplies the curves to make logits, [b]; 1 for a loss without a scale."""
    if isinstance(loss, SoftmaxLoss | Term):
        return loss.radius(a)
    return getattr(loss, "scale", 1.0) * torch.ones_like(a.norm)


def begun(run: Run) -> Run:
    """The run. ValueError where it has no snapshot yet."""
    if not len(run):
        raise ValueError("This run has shown nothing yet; look again in a moment.")
    return run


def snapshot_of(run: Run, index: int) -> Snapshot:
    """The snapshot that a picture is of, the newest for −1 and for an index beyond it. ValueError as in `begun`."""
    newest = len(begun(run)) - 1
    return run[min(index, newest) if index >= 0 else newest]


def signed(value: float, digits: int = 2) -> str:
    """A number in a sentence, with a real minus sign."""
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")  # + 0.0: no minus before a zero


def listed(parts: list[str]) -> str:
    """ "a, b and c" """
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts)


@cache
def catalogue() -> dict[str, type[View]]:
    """Every view by class name."""
    return declared.discover(__package__, View)


def view(name: str, losses: tuple[Loss, ...], values: dict[str, Any]) -> View:
    """The view called `name` of these losses. Values it does not know belong to its neighbours and are left out."""
    if name not in catalogue():
        raise ValueError(f"There is no view called {name!r}; there are {', '.join(catalogue())}.")
    kind = catalogue()[name]
    known = {field.name for field in dataclasses.fields(kind)} - {"losses"}
    return kind(losses=losses, **{key: value for key, value in values.items() if key in known})


def degrees(count: int = 361) -> tuple[torch.Tensor, torch.Tensor]:
    """Angles from 0 to 180 degrees: in degrees and in radians, [count] each."""
    deg = torch.linspace(0, 180, count, dtype=torch.float64)
    return deg, deg.deg2rad()
