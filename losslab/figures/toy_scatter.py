"""Toys in the plane: where two-dimensional embeddings lie, as they are and on the circle."""

import numpy as np

from losslab.catalogue import knob
from losslab.scene import CIRCLE, PLANE, Axis, Mark, Path, Plate, Points, Scene
from losslab.training import Run
from losslab.views.planefield import borders, kept
from losslab.views.true_angles import TrueAngles

from .base import Trained
from .layout import by_loss

ROOM = 1.3  # how far a panel goes, the longest embedding being 1
RAY = 1.15  # where the rays of prototypes end, beyond all samples
SPLITS = {"trained on": (0,), "held out": (1,), "both": (0, 1)}  # by the marks of `Probe.split`


class ToyScatter(Trained):
    """A column for each loss: above the embeddings as they are, below their directions alone. Where that makes no even
    rows (all but three or four losses) the two stand side by side, two losses in a row."""

    card = "Where each loss puts two-dimensional embeddings: as they are, and their directions on the unit circle."
    after = "CosFace, Figure 4; ArcFace, Figure 3; SphereFace, Figure 2; L-Softmax's toy; Center loss, Figures 2 and 3"
    rows: str = knob("both", choices=("both", "raw", "circle"), help="Embeddings as they are, on the circle, or both.")
    held_out: str = knob("both", choices=tuple(SPLITS), help="Which samples are drawn.")

    def __post_init__(self) -> None:
        super().__post_init__()
        of_dimension(self, 2)

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        looks = [TrueAngles(run=run) for run in runs or self.runs]
        kinds = {"raw": (raw,), "circle": (on_circle,), "both": (raw, on_circle)}[self.rows]
        shown = [np.isin(look.run.probe.split, SPLITS[self.held_out]) for look in looks]
        each = [tuple(kind(look, mine) for kind in kinds) for look, mine in zip(looks, shown, strict=True)]
        found = (f"{name}: {said(look)}" for name, look in zip(self.names, looks, strict=True))
        return Plate(
            title="Embeddings in the plane",
            says=f"Held-out samples. {'; '.join(found)}.",
            notes=tuple(dict.fromkeys(note for scenes in each for scene in scenes for note in scene.notes)),
            **by_loss(each, self.names),
        )


def of_dimension(figure: Trained, dim: int) -> None:
    """ValueError where the figure's runs have another dimension."""
    asked = [run.recipe for run in figure.runs] or [figure.recipe]
    if other := [recipe.dim for recipe in asked if recipe.dim != dim]:
        raise ValueError(f"This figure is of embeddings of {dim} dimensions, not of {other[0]}: train with dim={dim}.")


def raw(look: TrueAngles, shown: np.ndarray) -> Scene:
    """The embeddings themselves, rays to the prototypes, and dashed where the predicted class changes."""
    embedding, label = look.moment.embedding[shown], look.run.probe.truth[shown]
    longest = float(np.linalg.norm(embedding, axis=1).max()) or 1.0
    reach = ROOM * longest
    prototypes = badges(look)
    ends = RAY * longest * prototypes.at
    marks: list[Mark] = [Path(role="boundary", name="the winner changes", at=borders(look.head, reach))]
    marks += [
        Path(role="spoke", of=int(k), at=np.stack([0 * end, end])) for k, end in zip(prototypes.each, ends, strict=True)
    ]
    marks.append(Points(role="sample", name="samples", at=embedding, each=label))
    if (centre := kept(look.head)) is not None:
        centre = centre.double().numpy()
        marks.append(Points(role="cross", name="centres that the loss keeps", at=centre, each=np.arange(len(centre))))
    marks.append(
        Points(
            role="prototype", name="directions of the prototypes", at=ends, each=prototypes.each, words=prototypes.words
        )
    )
    return Scene(
        title="Embeddings",
        says=f"{said(look)}.",
        space=PLANE,
        marks=tuple(marks),
        x=Axis("Embedding x₁", "", -reach, reach),
        y=Axis("Embedding x₂", "", -reach, reach),
        names=look.classes,
        by_class=True,
        notes=("Embeddings have no unit; every panel has the range that its loss takes.",),
    )


def on_circle(look: TrueAngles, shown: np.ndarray) -> Scene:
    """The directions alone, with rules where two prototypes are equally near."""
    embedding, label = look.moment.embedding[shown], look.run.probe.truth[shown]
    length = np.linalg.norm(embedding, axis=1, keepdims=True)
    samples = Points(role="sample", name="samples", at=embedding / np.where(length > 0, length, 1), each=label)
    return Scene(
        title="Directions",
        says=f"{said(look)}.",
        space=CIRCLE,
        marks=(samples, badges(look)),
        names=look.classes,
        by_class=True,
        notes=(
            "On the circle samples are strewn outwards a little, so that they do not hide one another; rules stand "
            "where two prototypes are equally near.",
        ),
    )


def badges(look: TrueAngles) -> Points:
    """Directions of the prototypes [C·K d] with the names of their classes."""
    rows = look.head.prototypes.numpy()
    each = np.repeat(np.arange(look.head.classes), len(rows) // look.head.classes)
    at = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return Points(role="prototype", at=at, each=each, words=tuple(look.classes[k] for k in each))


def said(look: TrueAngles) -> str:
    """How well what was held out is told apart, and how near it is to its prototypes."""
    held = look.run.probe.split == 1
    right, deg = look.moment.correct[held].mean(), look.own_deg[held].mean()
    return f"{100 * right:.1f} % right, {deg:.1f}° to the own prototype on average"
