"""A figure is a frozen value: the losses, what they are trained on, and the numbers that decide its panels.
`plate(runs)` makes it.

Its knobs are declared like those of a loss, so that flags, sheet files and the page follow by themselves. Being a file
here makes a figure known; `card` says what is seen in one sentence, `after` whose published figures it is like.
"""

import dataclasses
from dataclasses import dataclass
from functools import cache
from typing import ClassVar, dataclass_transform

from losslab import catalogue as declared
from losslab import losses as family
from losslab.losses import Loss
from losslab.scene import Plate
from losslab.training import Recipe, Run
from losslab.views import named

MOST = 8  # losses in one figure
LADDER = tuple(map(family.starting, ("Softmax", "NormFace", "CosFace", "ArcFace")))
EIGHT = tuple(range(8))  # classes, as in the toys of CosFace and ArcFace: the last two digits are strangers
PLANE = Recipe(dim=2, classes=EIGHT, epochs=10)  # figures of one recipe share its runs
SPACE = Recipe(dim=3, classes=EIGHT, epochs=10)


@dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure of one or several losses that needs no training. ValueError for values that make none."""

    card: ClassVar[str]  # what is seen, in a sentence
    after: ClassVar[str]  # the published figures that it is like
    width: ClassVar[str] = "ieee-2"  # it is made for: a name of `render.paper.WIDTHS`
    losses: tuple[Loss, ...] = LADDER

    def __init_subclass__(cls, **options: object) -> None:
        super().__init_subclass__(**options)
        dataclass(frozen=True, kw_only=True)(cls)

    def __post_init__(self) -> None:
        if not 1 <= len(self.losses) <= MOST:
            raise ValueError(f"A figure shows 1 to {MOST} losses; this asks for {len(self.losses)}.")
        object.__setattr__(self, "losses", tuple(self.losses))
        declared.check_knobs(self)

    def recipes(self) -> tuple[Recipe, ...]:
        """The runs it needs."""
        return ()

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        """The figure, made of the finished runs of `recipes()`, in their order."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """What the losses are called here."""
        return named(self.losses)


class Trained(Figure):
    """A figure of trainings: one for each loss with `recipe`, or those that are given."""

    recipe: Recipe = PLANE
    runs: tuple[Run, ...] = ()  # to look at in place of runs of `recipe`

    def __post_init__(self) -> None:
        if self.runs:
            object.__setattr__(self, "losses", tuple(run.recipe.loss for run in self.runs))
        super().__post_init__()

    def recipes(self) -> tuple[Recipe, ...]:
        """One for each loss; none where the runs are given. `plate` is then to be called with those."""
        if self.runs:
            return ()
        return tuple(dataclasses.replace(self.recipe, loss=loss, later=()) for loss in self.losses)


@cache
def catalogue() -> dict[str, type[Figure]]:
    """Every figure by class name."""
    return declared.discover(__package__, Figure)
