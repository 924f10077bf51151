"""What every loss is made of: the angles it may look at, two curves of an angle, one reduction over classes."""

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import InitVar, dataclass, field
from typing import Any, ClassVar, Protocol, dataclass_transform

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from losslab.catalogue import check_knobs, knob, knobs
from losslab.schedules import Schedule

from . import draws


class Division(Protocol):
    """How classes are divided over processes, as far as a memory must know."""

    def everyone(self, rows: Tensor) -> Tensor: ...

    def mine(self, rows: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Card:
    """What a reader needs to know of a loss. Formulas are TeX; everything else is a sentence or two."""

    title: str
    year: int
    paper: str
    family: str  # one of FAMILIES
    formula: str
    geometry: str  # what it does to the sphere, in a sentence
    use: str  # when to take it
    hazard: str  # what goes wrong with it
    source: str  # of the default knobs
    toy: dict[str, Any] = field(default_factory=dict)  # knobs for a few classes in two or three dimensions
    reconstruction: bool = False  # the paper's own formula was not to be had: this is our reading of it


SMALL_SOURCE = "Chosen by training the bundled digits on a circle and a sphere, see docs/LOG.md."  # of `toy`

FAMILIES = (
    "No margin",
    "Margin on the own class",
    "Margins that adapt",
    "Other classes too",
    "One threshold for all",
    "Terms added to any loss",
    "Pairs and triplets",
)


class Memory(nn.Module):
    """What a loss keeps from step to step, held by its head: what `Loss.begin` names, by attribute. Parameters are
    learned by gradient; buffers are slow state that `observe` and `remember` replace. A wrapped loss's is `base`.

    Replace, as in `a.memory.mean = ...`, and do not write into what a formula uses: the gradient of a batch may still
    need what was there, and a compiled one may work it out again.

    A value without dimensions is one for all classes; any other has a row for each, and where classes are divided
    over processes each keeps the rows of its own.
    """

    def __init__(
        self, loss: "Loss", dim: int, classes: int, draw: torch.Generator | None, division: "Division | None" = None
    ) -> None:
        super().__init__()
        self.division = division
        for name, value in loss.begin(dim, classes, draw).items():
            rows = self.mine(value) if value.ndim else value
            if isinstance(value, nn.Parameter):
                self.register_parameter(name, nn.Parameter(rows.detach()))
            else:
                self.register_buffer(name, rows)
        if isinstance(base := getattr(loss, "base", None), Loss):
            self.base = Memory(base, dim, classes, draw, division)

    def everyone(self, rows: Tensor) -> Tensor:
        """[C ...] the rows of all classes, from those of this process."""
        return rows if self.division is None else self.division.everyone(rows)

    def mine(self, rows: Tensor) -> Tensor:
        """The rows of this process's classes, from those of all, [C ...]."""
        return rows if self.division is None else self.division.mine(rows)

    def _apply(self, fn: Callable, recurse: bool = True) -> "Memory":
        def at_least_float32(value: Tensor) -> Tensor:
            # Half precision would round an average's small steps away: follow the device, keep the digits.
            moved = fn(value)
            wide = torch.promote_types(moved.dtype, torch.float32) if value.is_floating_point() else moved.dtype
            return moved if moved.dtype == wide else value.to(moved.device, wide)

        return super()._apply(at_least_float32, recurse)


@dataclass(frozen=True)
class Angles:
    """What a batch of b samples sees of the C classes, and all that a loss may look at. Float32 or better.

    Here the classes lie side by side in one table. A head with very many of them has the same in pieces
    (`losslab.classes`), and there a formula can look at a table [b c] only inside the curves that it hands to
    `logsumexp`, `sum` and `amax`, which get one piece after another; at the own class, wherever it is, by `target`,
    `own_length` and `at_own`. A formula written so works everywhere.
    """

    cosine: Tensor  # [b C] to every prototype
    target: Tensor  # [b] to the own prototype
    label: Tensor  # [b]
    norm: Tensor  # [b] length of the embedding before normalising
    length: Tensor  # [C] length of each prototype before normalising
    embedding: Tensor  # [b d] before normalising
    direction: Tensor  # [b d] after
    prototype: Tensor  # [C·K d] unit vectors; class c has rows c·K to c·K + K − 1
    nearest: Tensor  # [b] the row of the own prototype (of the nearest one, with K > 1)
    counted: Tensor  # [b] bool: False for samples to be ignored
    memory: Memory | None = None  # what this loss keeps from step to step
    seed: Tensor | None = None  # of random margins, with `step`; without it they take their mean
    step: Tensor | None = None

    @property
    def classes(self) -> int:
        """C, the number of all classes."""
        return self.cosine.shape[1]

    # -- over the other classes --------------------------------------------------------------------------
    # `curve(t, *more)` [b c] is worked out from `t`, what the batch sees of some c classes. Whatever else it needs with
    # a gradient is handed over as `more`.

    def logsumexp(self, curve: Callable[..., Tensor], *more: Any) -> Tensor:
        """[b] log of the sum of exponentials of a curve."""
        return torch.logsumexp(self.others(curve(self, *more)), 1)

    def sum(self, curve: Callable[..., Tensor], *more: Any) -> Tensor:
        """[b] sum of a curve."""
        return curve(self, *more).masked_fill(self.own, 0).sum(1)

    def amax(self, curve: Callable[..., Tensor], *more: Any) -> Tensor:
        """[b] largest value of a curve."""
        return self.others(curve(self, *more)).amax(1)

    def others(self, value: Tensor) -> Tensor:
        """`value` [b C] with the own class taken out of any later maximum or sum of exponentials."""
        # Not minus infinity: a row of nothing else (one class only) must still have finite gradients.
        return value.masked_fill(self.own, torch.finfo(value.dtype).min)

    # -- rows of numbers, one for each class -------------------------------------------------------------

    @property
    def own_length(self) -> Tensor:
        """[b] length of the own prototype before normalising."""
        return self.length[self.label]

    def at_own(self, rows: Tensor) -> Tensor:
        """[b ...] the row of the own class, from a row for each class."""
        return rows[self.label]

    def add(self, rows: Tensor, value: Tensor) -> Tensor:
        """Add `value` [b ...] to the rows [C ...] of the samples' classes, in place."""
        return rows.index_add_(0, self.label, value)

    def by_class(self, value: Tensor) -> Tensor:
        """[C ...] sums of `value` [b ...] over the samples of each class."""
        return self.add(value.new_zeros(self.classes, *value.shape[1:]), value)

    def last(self) -> Tensor:
        """[C] position in the batch of the last sample of each class that counts; −1 where there is none."""
        # The largest position: the same on every device, where plain indexing is not.
        position = torch.arange(1, len(self.label) + 1, device=self.label.device)
        position = torch.where(self.counted, position, 0)
        return position.new_zeros(self.classes).scatter_reduce(0, self.label, position, "amax") - 1

    def total(self, rows: Tensor) -> Tensor:
        """[...] sum over all classes of a row for each."""
        return rows.sum(0)

    @property
    def own(self) -> Tensor:
        """[b C] bool, True at the own class."""
        return self.label[:, None] == torch.arange(self.cosine.shape[1], device=self.label.device)

    def between(self) -> Tensor:
        """Cosines [b C] of the own prototype to every class's: 1 at the own."""
        cosine = self.prototype[self.nearest] @ self.prototype.T
        return cosine.unflatten(1, (self.cosine.shape[1], -1)).amax(2)

    def but(self, **changes: Any) -> "Angles":
        """The same with some fields changed."""
        return dataclasses.replace(self, **changes)

    def mean(self, value: Tensor, otherwise: Tensor) -> Tensor:
        """Mean of `value` [b] over the samples that count; where none does, `otherwise`, in whose precision it is."""
        number = self.counted.sum()
        mean = torch.where(self.counted, value, 0).sum() / number.clamp(min=1)
        return torch.where(number > 0, mean.to(otherwise.dtype), otherwise)

    def normal(self) -> Tensor:
        """[b] standard normal numbers, fresh at every step; zeros where nothing is drawn (`eval`)."""
        if self.seed is None:
            return torch.zeros_like(self.target)
        return draws.normal(self.seed, self.step, len(self.target), self.target.dtype)


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Loss:
    """A loss is a frozen value of numbers. `positive` bends the cosine to the own prototype, `negative` those to
    the others, and calling it joins them into one loss per sample. It owns no weights: a head does.

    `like` sets `gradient` and `beyond` as a known code has them: see `CODES`.
    """

    card: ClassVar[Card]
    weighs_length: ClassVar[bool] = False  # do the lengths of the prototypes count?
    weighs_norm: ClassVar[bool] = False  # do the lengths of the embeddings count?
    pointwise: ClassVar[bool] = True  # is each curve one of a single angle (for a given class and length)?
    adapts: ClassVar[bool] = False  # do the curves follow the data (classes, lengths), not the knobs alone?
    holds_still: ClassVar[bool] = False  # is part of the formula treated as a constant by its gradient?
    # Without annotations: some losses make knobs of these two, which then stand where they are declared there.
    subcentres = 1  # prototypes of a class, K
    gradient = "exact"
    like: InitVar[str | None] = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self, like: str | None) -> None:
        if like is not None:
            if like not in CODES:
                raise ValueError(f"like is {like!r}, but it must be one of {', '.join(CODES)}.")
            if not {"gradient", "beyond"} <= set(knobs(self)):
                raise ValueError(
                    f"{type(self).__name__} has no margin on an angle, so like={like!r} says nothing of it."
                )
            for name, value in zip(("gradient", "beyond"), CODES[like], strict=True):
                object.__setattr__(self, name, value)
        check_knobs(self)

    # -- the formula -------------------------------------------------------------------------------------

    def positive(self, a: Angles) -> Tensor:
        """Own class, [b]: the curve of the angle to the own prototype."""
        return a.target

    def negative(self, a: Angles) -> Tensor:
        """Other classes, [b C]: the curve of the angle to each prototype (the own column is not used)."""
        return a.cosine

    def plain(self, a: Angles) -> Tensor:
        """Own class, [b], without the margin: whose slope `gradient="detached"` takes."""
        return a.target

    def trained(self, a: Angles) -> Tensor:
        """Own class, [b], as training sees it: the value of `positive` with the slope that `gradient` chooses."""
        return straight(self.positive(a), self.plain(a), self.gradient)

    def __call__(self, a: Angles) -> Tensor:
        """One loss per sample, [b]."""
        raise NotImplementedError

    def logits(self, a: Angles) -> Tensor:
        """What inference ranks by, [b C]: no margin."""
        return a.cosine

    def gap(self, a: Angles) -> Tensor:
        """Positive minus the best negative, [b]: above zero the sample clears the margin."""
        return self.positive(a) - a.amax(self.negative)

    # -- what the head keeps for it ----------------------------------------------------------------------

    def begin(self, dim: int, classes: int, draw: torch.Generator | None) -> dict[str, Tensor]:
        """What `a.memory` holds at first, by name: an `nn.Parameter` is learned, a plain tensor is slow state. A tensor
        with dimensions has a row for each class."""
        return {}

    def observe(self, a: Angles) -> None:
        """Bring slow state up to date with a training batch, before the batch is judged by it."""

    def remember(self, a: Angles) -> None:
        """Change slow state after a training batch was judged."""

    def end_epoch(self, memory: Memory) -> None:
        """Change slow state after an epoch."""

    def at(self, step: Tensor) -> "Loss":
        """This loss with every schedule replaced by its value at `step`, a tensor without dimensions."""
        now = {name: value.at(step) for name, value in vars(self).items() if isinstance(value, Schedule | Loss)}
        if all(value is getattr(self, name) for name, value in now.items()):
            return self
        moved = copy.copy(self)
        for name, value in now.items():
            object.__setattr__(moved, name, value)
        return moved


class SoftmaxLoss(Loss):
    """−log softmax over classes: softplus(log Σ_{j≠y} exp(s·negative_j) − s·positive).

    Reducing over the other classes only keeps the digits that a plain cross-entropy rounds away as soon as the
    own class wins clearly.
    """

    def radius(self, a: Angles) -> Tensor:
        """What multiplies the curves to make logits, [b]: the scale s, unless a loss says otherwise."""
        return self.scale * torch.ones_like(a.norm)

    def others(self, a: Angles) -> Tensor:
        """Logits of the other classes, [b C]."""
        return self.radius(a)[:, None] * self.negative(a)

    def __call__(self, a: Angles) -> Tensor:
        return F.softplus(a.logsumexp(self.others) - self.radius(a) * self.trained(a), threshold=40)

    def logits(self, a: Angles) -> Tensor:
        return self.radius(a)[:, None] * a.cosine


def scale_knob(default: float = 64) -> Any:
    return knob(
        float(default),
        1,
        128,
        step=1,
        symbol="s",
        help="Radius of the sphere: how sharply the softmax decides.",
    )


def gradient_knob() -> Any:
    return knob(
        "exact",
        choices=("exact", "detached"),
        help="exact: the derivative of the loss. detached: the margin's value with the plain cosine's slope, "
        "as widely used training code does without saying so.",
    )


def straight(bent: Tensor, plain: Tensor, gradient: str) -> Tensor:
    """The value of `bent`, with the slope of `plain` where `gradient` is "detached"."""
    return plain + (bent - plain).detach() if gradient == "detached" else bent


# What widely used codes do without saying so: (gradient, beyond). Their margins are knobs as usual.
CODES = {
    "insightface": ("detached", "raw"),
    "pytorch-metric-learning": ("exact", "monotone"),
    "opensphere": ("detached", "clip"),
    "adaface": ("exact", "clip"),
    "elasticface": ("exact", "raw"),
    "tface": ("exact", "monotone"),
    "facex-zoo": ("exact", "keep"),
}
