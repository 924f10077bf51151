"""A view as a figure of one panel."""

import dataclasses
from typing import Any, ClassVar

from losslab import losses as family
from losslab import views
from losslab.losses import ArcFace, Loss
from losslab.scene import Plate
from losslab.training import Recipe, Run
from losslab.views import View

from .base import Figure


class Seen(Figure):
    """The view called `view` with these values. One of a training looks at the run that is given, or at one of
    `recipe`, or at neither where it can do without."""

    after: ClassVar[str] = ""
    width: ClassVar[str] = "ieee-1"
    view: str = "Curves"
    values: tuple[tuple[str, Any], ...] = ()  # of the view's fields, by name
    losses: tuple[Loss, ...] = ()  # none: those that the view begins with
    recipe: Recipe | None = None
    runs: tuple[Run, ...] = ()

    def __post_init__(self) -> None:
        if self.view not in views.catalogue():
            raise ValueError(f"There is no view called {self.view!r}; there are {', '.join(views.catalogue())}.")
        if (self.runs or self.recipe) and not looks_at_runs(self.kind):
            raise ValueError(f"{self.view} shows no training: leave out its {'runs' if self.runs else 'recipe'}.")
        if len(self.runs) > 1:
            raise ValueError(f"{self.view} shows one training; this asks for {len(self.runs)}.")
        theirs = tuple(run.recipe.loss for run in self.runs)
        object.__setattr__(self, "losses", self.losses or theirs or first_losses(self.kind))
        if self.recipe and len(self.losses) > 1:
            raise ValueError(f"{self.view} shows one training; this asks for {len(self.losses)} losses.")
        super().__post_init__()
        if not self.recipe:
            self.seen(self.runs)  # whose mistakes are better known now

    @property
    def kind(self) -> type[View]:
        return views.catalogue()[self.view]

    def recipes(self) -> tuple[Recipe, ...]:
        if self.runs or not self.recipe:
            return ()
        return (dataclasses.replace(self.recipe, loss=self.losses[0], later=()),)

    def seen(self, runs: tuple[Run, ...]) -> View:
        """The view itself."""
        looked_at = {"run": runs[0]} if runs else {}
        return views.view(self.view, self.losses, dict(self.values) | looked_at)

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        scene = self.seen(runs or self.runs).scene()
        return Plate(title=scene.title, says=scene.says, panels=(scene,), notes=scene.notes)


def first_losses(kind: type[View]) -> tuple[Loss, ...]:
    """Those that a view begins with."""
    about = getattr(kind, "about", ())
    return kind.losses or (family.starting(about[0] if about else ArcFace),)


def looks_at_runs(kind: type[View]) -> bool:
    return "run" in {field.name for field in dataclasses.fields(kind)}
