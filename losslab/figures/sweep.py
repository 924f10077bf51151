"""A number of a training against a knob of its loss."""

import dataclasses

import numpy as np

from losslab import losses as family
from losslab.catalogue import knob as declared
from losslab.losses import Loss
from losslab.losses.named import BASE
from losslab.metrics import unseen_eer
from losslab.scene import CHART, Axis, Mark, Path, Plate, Points, Scene
from losslab.training import Recipe, Run
from losslab.views.base import listed

from .angle_history import own_deg
from .base import SPACE, Trained

MEASURES = {
    "accuracy": Axis("Held-out accuracy", "%"),
    "angle": Axis("Mean angle to the own prototype θ", "°"),
    "EER of strangers": Axis("Equal error rate of strangers", "%"),
}
HIGH = "accuracy"  # is better high than low
MOST = 64  # values
MOST_TICKS = 11
WIDE = 50  # times the smallest value: then the axis is logarithmic


class Sweep(Trained):
    """For each loss a curve of one number over the values of one knob: the mean of trainings from several seeds, with
    the smallest and the largest. A loss without that knob, or that takes none of the values, is trained as it is and
    drawn as a level line."""

    card = "What a knob of the loss does: accuracy, angle or equal error rate against its value."
    after = "CosFace, Figure 5; Center loss, Figure 5"
    width = "ieee-1"
    losses: tuple[Loss, ...] = tuple(map(family.starting, ("NormFace", "CosFace", "ArcFace")))
    recipe: Recipe = dataclasses.replace(SPACE, per_class=200)
    knob: str = declared("margin", help="A knob of the losses, or of what they are added to.")
    values: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
    seeds: int = declared(2, 1, 5, step=1, help="How many trainings of each value, from seeds that follow one another.")
    measure: str = declared("accuracy", choices=tuple(MEASURES), help="What is drawn over the knob.")

    def __post_init__(self) -> None:
        if self.runs:
            raise ValueError("A sweep is of trainings from many values of a knob: give it losses in place of runs.")
        super().__post_init__()
        values = tuple(sorted({float(value) for value in self.values}))
        if not 1 <= len(values) <= MOST:
            raise ValueError(f"A sweep takes 1 to {MOST} values of its knob; this has {len(values)}.")
        object.__setattr__(self, "values", values)
        if not any(self.turned(loss) for loss in self.losses):
            raise ValueError(
                f"None of {listed(list(self.names))} has a knob called {self.knob!r} that takes "
                f"{listed([f'{value:g}' for value in values])}: sweep another knob, or other values."
            )

    def turned(self, loss: Loss) -> dict[float, Loss]:
        """The loss at each of the values that it takes; none of a loss without the knob."""
        known = [name for name in (self.knob, f"{BASE}_{self.knob}") if name in family.knobs(loss)]
        found = {}
        for value in self.values if known else ():
            try:
                found[value] = family.turned(loss, {known[0]: value})
            except ValueError:  # out of its range
                continue
        return found

    def recipes(self) -> tuple[Recipe, ...]:
        """Loss by loss, value by value, seed by seed; of a loss that does not take the knob, itself from each seed."""
        return tuple(
            dataclasses.replace(self.recipe, loss=each, later=(), seed=self.recipe.seed + more)
            for loss in self.losses
            for each in self.turned(loss).values() or [loss]
            for more in range(self.seeds)
        )

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        found = iter([measured(run, self.measure) for run in runs])
        y, marks, said, notes = MEASURES[self.measure], [], [], []
        unit = f" {y.unit}" if y.unit == "%" else y.unit
        for i, (loss, name) in enumerate(zip(self.losses, self.titles, strict=True)):
            values = list(self.turned(loss))
            each = np.array([[next(found) for _ in range(self.seeds)] for _ in values or [None]])  # [v seeds]
            mean = each.mean(1)
            best = int(mean.argmax() if self.measure == HIGH else mean.argmin())
            if values:
                marks += curve(i, name, np.array(values), each)
                said.append(f"{mean[best]:.1f}{unit} with {name} at {values[best]:g}")
            else:
                ends = np.array([self.values[0], self.values[-1]])
                marks.append(Path(role="other", of=i, name=name, at=np.stack([ends, mean.repeat(2)], 1)))
                said.append(f"{mean[0]:.1f}{unit} with {name} as it is")
                notes.append(f"{name} has no {self.called}, or takes none of these values: it is a level line.")
            if 0 < len(values) < len(self.values):
                left = [f"{value:g}" for value in self.values if value not in values]
                notes.append(f"{name} takes no {self.called} of {listed(left)}.")
        notes.append(f"Each value takes the place of the {self.called} that is said of the losses here.")
        if self.seeds > 1:
            notes.append(f"Mean, smallest and largest of {self.seeds} seeds.")
        best = "highest" if self.measure == HIGH else "lowest"
        scene = Scene(
            title=f"{y.title} over {self.called}",
            says=f"{y.title}, the {best} mean over seeds: {listed(said)}.",
            space=CHART,
            marks=tuple(marks),
            x=self.axis(),
            y=y,
            names=self.titles,
            notes=tuple(notes),
        )
        return Plate(title=scene.title, says=scene.says, panels=(scene,), notes=scene.notes)

    @property
    def called(self) -> str:
        return self.knob.replace("_", " ")

    @property
    def titles(self) -> tuple[str, ...]:
        """What the losses are called where their knob is on the axis."""
        titles = tuple(map(family.title, self.losses))
        return titles if len(set(titles)) == len(titles) else self.names

    def axis(self) -> Axis:
        """The knob's values; logarithmic where they are of different sizes."""
        turned = [each for loss in self.losses for each in self.turned(loss).values()]
        knobs = [family.knobs(each) for each in turned]
        units = {(known.get(self.knob) or known[f"{BASE}_{self.knob}"]).unit for known in knobs}
        symbols = {(known.get(self.knob) or known[f"{BASE}_{self.knob}"]).symbol for known in knobs}
        title = " ".join([self.called.capitalize(), *(symbols if len(symbols) == 1 else ())]).strip()
        above = [abs(value) for value in self.values if value]
        wide = above and max(above) / min(above) > WIDE
        return Axis(
            title,
            *(units if len(units) == 1 else ("",)),
            ticks=self.values if wide or len(self.values) <= MOST_TICKS else None,
            words=tuple(f"{value:g}" for value in self.values) if wide else (),
            knee=min(above) if wide else None,
        )


def curve(of: int, name: str, values: np.ndarray, each: np.ndarray) -> list[Mark]:
    """The mean over seeds of the numbers [v seeds] at values [v], and from the smallest to the largest of each."""
    at = np.stack([values, each.mean(1)], 1)
    spread = [
        Path(role="spoke", of=of, at=np.array([[value, low], [value, high]]))
        for value, low, high in zip(values, each.min(1), each.max(1), strict=True)
        if low < high
    ]
    return [*spread, Path(role="curve", of=of, name=name, at=at), Points(role="class", of=of, at=at)]


def measured(run: Run, measure: str) -> float:
    """One of `MEASURES` of a run as it stands: per cent, or degrees. ValueError where there is none."""
    if measure == "accuracy":
        tested = run.metrics().get("test_accuracy", np.array([]))
        tested = tested[~np.isnan(tested)]
        if not len(tested):
            raise ValueError("This run has shown nothing yet; look again in a moment.")
        return 100 * float(tested[-1])
    if measure == "angle":
        return float(own_deg(run, split=1).mean())
    rate, reason = unseen_eer(run)
    if rate is None:
        raise ValueError(reason)
    return 100 * rate
