"""What a comparison says: how runs are called beside one another, where they part, and what their numbers show."""

import dataclasses
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd

from losslab import losses, metrics
from losslab.losses import Loss
from losslab.losses.written import literal
from losslab.metrics import Numbers
from losslab.training import Recipe, Run

ALIKE = 0.015  # shares that differ by less than this are called alike: that much another seed may do
FACTOR = 1.15  # so are angles, up to this ratio
CURVES = {  # over the steps
    "angle": "Angle to the own prototype, median (°)",
    "accuracy": "Accuracy on held-out images (%)",
    "loss": "Loss, each by its own formula",
}


def titles(recipes: Sequence[Recipe]) -> list[str]:
    """What tells runs apart: the value of the one knob in which they differ, or else the whole loss as text; and
    whatever else they differ in."""
    if knob := swept(recipes):
        return [f"{knob.replace('_', ' ')} {value_of(recipe, knob)}" for recipe in recipes]
    others = unlike(recipes)
    return [
        ", ".join([beside(recipes[0], recipe), *(f"{name} {getattr(recipe, name)}" for name in others)])
        for recipe in recipes
    ]


def beside(first: Recipe, recipe: Recipe) -> str:
    """What a run is called beside the first one: of a branch, where it goes instead."""
    if branch_of(first, recipe):
        step, loss = recipe.later[-1]
        return f"{labelled(loss)} from step {step}"
    return named(recipe)


def branch_of(first: Recipe, recipe: Recipe) -> bool:
    return recipe.loss == first.loss and recipe.later[:-1] == first.later and len(recipe.later) > len(first.later)


def labelled(loss: Loss) -> str:
    return f"{called(loss)}, a reconstruction" if loss.card.reconstruction else called(loss)


def called(loss: Loss) -> str:
    """A loss as text, like `losses.written`, with its margins also where they are the default."""
    now, usual = losses.settings(loss), losses.settings(type(loss)())
    said = {name: value for name, value in now.items() if value != usual.get(name) or name.endswith("margin")}
    return f"{type(loss).__name__}({', '.join(f'{name}={literal(value)}' for name, value in said.items())})"


def value_of(recipe: Recipe, knob: str) -> str:
    value = losses.settings(recipe.loss)[knob]
    return f"{value:g}" if isinstance(value, float) else str(value)


def named(recipe: Recipe) -> str:
    """The loss as text, and those that come later."""
    return ", then ".join([labelled(recipe.loss), *(f"{labelled(loss)} from step {at}" for at, loss in recipe.later)])


def swept(recipes: Sequence[Recipe]) -> str:
    """The one knob in which three or more recipes differ; "" where they differ in more, or in nothing."""
    if len(recipes) < 3 or any(recipe.later for recipe in recipes):
        return ""
    if len({type(recipe.loss) for recipe in recipes}) > 1:
        return ""
    every = [losses.settings(recipe.loss) for recipe in recipes]
    moved = [name for name in every[0] if len({str(each.get(name)) for each in every}) > 1]
    return moved[0] if len(moved) == 1 and len({str(each[moved[0]]) for each in every}) == len(every) else ""


def parted(recipes: Sequence[Recipe]) -> int | None:
    """The step up to which the first recipe and one that was branched from it are the same; None without such."""
    return min((each.later[-1][0] for each in recipes[1:] if branch_of(recipes[0], each)), default=None)


def unlike(recipes: Sequence[Recipe]) -> list[str]:
    """What else than the loss these recipes differ in: then a difference may come from that."""
    names = [field.name for field in dataclasses.fields(Recipe) if field.name not in ("loss", "later")]
    return [name for name in names if len({getattr(recipe, name) for recipe in recipes}) > 1]


# -- numbers ---------------------------------------------------------------------------------------------


@lru_cache(maxsize=128)
def measured(path: str, snapshots: int) -> Numbers:
    """The numbers of the run at `path` when it has so many snapshots: kept, for measuring takes a moment."""
    return metrics.numbers(Run(path))


def table(names: Sequence[str], found: Sequence[Numbers | None]) -> pd.DataFrame:
    """A row a run, a column a number; shares as percentages, nothing where there is none (yet)."""
    rows = [
        {column.label: scaled(column, numbers) if numbers else None for column in metrics.COLUMNS} for numbers in found
    ]
    return pd.DataFrame(rows, index=pd.Index(names, name="Loss"), dtype=float)


def scaled(column: metrics.Column, numbers: Numbers) -> float | None:
    value = getattr(numbers, column.name)
    return value * 100 if column.unit == "%" and value is not None else value


def said(names: Sequence[str], found: Sequence[Numbers], knob: str = "") -> list[str]:
    """What the numbers of two or more runs show, a sentence each; `knob` where the runs are a sweep of it, in order."""
    return [sentence for part in (tight, apart, right, unseen) if (sentence := part(names, found, knob))]


def tight(names: Sequence[str], found: Sequence[Numbers], knob: str) -> str:
    angles = [each.intra_deg for each in found]
    if knob:
        return f"Within classes: as {knob} goes {between(names)}, the angle {course(angles, '°')}."
    order = np.argsort(angles)
    best, *others = [(names[i], angles[i]) for i in order]
    if others[-1][1] < best[1] * FACTOR:
        return (
            f"Classes are about equally tight: half of the samples are within {spread(angles, '°')} of their prototype."
        )
    against = ", ".join(f"{angle:.1f}° with {name}" for name, angle in others)
    return (
        f"**{best[0]}** has the tightest classes: half of the samples are within {best[1]:.1f}° of their prototype, "
        f"against {against}."
    )


def apart(names: Sequence[str], found: Sequence[Numbers], knob: str) -> str:
    angles = [each.inter_deg for each in found]
    if max(angles) < min(angles) * FACTOR:
        return f"The nearest classes stand about equally far apart ({spread(angles, '°')})."
    most, least = int(np.argmax(angles)), int(np.argmin(angles))
    return (
        f"Prototypes stand furthest apart with {names[most]}: {angles[most]:.0f}° to the nearest other one, "
        f"and {angles[least]:.0f}° with {names[least]}."
    )


def right(names: Sequence[str], found: Sequence[Numbers], knob: str) -> str:
    shares = [each.test_accuracy for each in found]
    if np.isnan(shares).any():
        return ""
    if max(shares) - min(shares) < ALIKE:
        return f"The test accuracy hardly tells them apart: {spread([100 * share for share in shares], ' %')}."
    most, least = int(np.argmax(shares)), int(np.argmin(shares))
    return f"{names[most]} is right most often ({shares[most]:.1%}), {names[least]} least often ({shares[least]:.1%})."


def unseen(names: Sequence[str], found: Sequence[Numbers], knob: str) -> str:
    rates = [each.eer for each in found]
    if None in rates:
        return (
            "How well unseen classes are told apart is not known of every run: leave two classes or more out of the "
            "training, and let it come to its end."
        )
    if max(rates) - min(rates) < 2 * ALIKE:
        return (
            "Classes that no run has seen are told apart about equally well: "
            f"equal error rate {spread([100 * rate for rate in rates], ' %')}."
        )
    best, worst = int(np.argmin(rates)), int(np.argmax(rates))
    return (
        f"Classes that no run has seen are told apart best with {names[best]} (equal error rate {rates[best]:.1%}), "
        f"worst with {names[worst]} ({rates[worst]:.1%})."
    )


def spread(values: Sequence[float], unit: str) -> str:
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return f"{low}{unit}" if low == high else f"{low} to {high}{unit}"


def between(names: Sequence[str]) -> str:
    return f"from {names[0].rpartition(' ')[2]} to {names[-1].rpartition(' ')[2]}"


def course(values: Sequence[float], unit: str) -> str:
    """How values run: down all the way, up all the way, or to a turning point."""
    first, last = f"{values[0]:.1f}{unit}", f"{values[-1]:.1f}{unit}"
    if all(b <= a for a, b in pairwise(values)):
        return f"falls all the way, {first} to {last}"
    if all(b >= a for a, b in pairwise(values)):
        return f"rises all the way, {first} to {last}"
    return f"starts at {first} and ends at {last}, between {min(values):.1f}{unit} and {max(values):.1f}{unit}"


# -- curves ----------------------------------------------------------------------------------------------


def curves(run: Run, known: pd.DataFrame | None = None) -> pd.DataFrame:
    """CURVES over the training steps; `known` is what was worked out of the same run before. The angle is the median of
    that of the held-out images shown to their own prototype, and the accuracy is theirs."""
    begun = 0 if known is None else len(known)
    label = run.probe.labels[held_out := run.probe.split == 1]
    rows = []
    for index in range(begun, len(run)):
        snapshot = run[index]
        own = snapshot.prototypes.reshape(len(run.recipe.classes), -1, snapshot.prototypes.shape[1])[label]
        sample = snapshot.embedding[held_out][:, None]
        lengths = np.linalg.norm(own, axis=2) * np.linalg.norm(sample, axis=2)
        cosine = ((own * sample).sum(2) / np.maximum(lengths, 1e-12)).max(1)
        rows.append(
            {
                "step": snapshot.step,
                "angle": float(np.degrees(np.median(np.arccos(np.clip(cosine, -1, 1))))),
                "accuracy": 100 * snapshot.scalars["probe_accuracy"],
                "loss": snapshot.scalars["loss"],
            }
        )
    fresh = pd.DataFrame(rows, columns=["step", *CURVES])
    return pd.concat([known, fresh], ignore_index=True) if begun else fresh


def chart(what: str, names: Sequence[str], inks: Sequence[str], parted: int | None) -> dict:
    """A Vega-Lite chart of one of CURVES, of rows with `run`, `step` and that; with a line where the runs part."""
    colour = {"field": "run", "type": "nominal", "scale": {"domain": list(names), "range": list(inks)}, "legend": None}
    y = {"field": what, "type": "quantitative", "title": None, "axis": {"tickCount": 5}}
    if what == "accuracy":  # what differs lies near 100 %: most of the room is for that
        y |= {
            "scale": {"type": "pow", "exponent": 5, "domain": [0, 100]},
            "axis": {"values": [50, 80, 90, 95, 100], "labelOverlap": False},
        }
    if what == "loss":
        y |= {
            "scale": {"type": "symlog", "constant": 0.1},
            "axis": {"values": [0.1, 0.3, 1, 3, 10], "format": "~g", "labelOverlap": False},
        }
    x = {"field": "step", "type": "quantitative", "title": "step", "axis": {"grid": False, "tickCount": 5}}
    lines = {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {"x": x, "y": y, "color": colour}}
    fork = {
        "data": {"values": [{"at": parted}]},
        "mark": {"type": "rule", "strokeDash": [4, 3], "tooltip": "they part"},
        "encoding": {"x": {"field": "at", "type": "quantitative"}, "color": {"value": "#888888"}},
    }
    return {"layer": [lines, *([fork] if parted is not None else [])], "height": 200}
