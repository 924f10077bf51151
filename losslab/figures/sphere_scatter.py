"""Toys in space: where three-dimensional embeddings lie on the sphere, and how far pairs of them are apart."""

import dataclasses

import numpy as np

from losslab.catalogue import knob
from losslab.scene import CHART, SPHERE, Axis, Path, Plate, Points, Scene
from losslab.training import Recipe, Run
from losslab.verification import Scored, all_pairs
from losslab.views.boundaries import Boundaries
from losslab.views.elastic import steps
from losslab.views.true_angles import TrueAngles

from .base import SPACE, Trained
from .layout import by_loss
from .toy_scatter import badges, of_dimension

EDGES = np.arange(0, 183, 3.0)  # of the bars, degrees
NOBODY = "Grey: no class clears its margin there; a bar spans the narrowest such strip."
KINDS = ("pairs of one class", "pairs of two classes")


class SphereScatter(Trained):
    """A column for each loss: above the sphere, below the angles of pairs of held-out samples. Losses that make no even
    rows have the two side by side, as in `ToyScatter`."""

    card = "Where each loss puts three-dimensional embeddings on the sphere, and the angles between pairs of them."
    after = "AM-Softmax's pictures of features; SphereFace, Figure 5"
    recipe: Recipe = SPACE
    zones: bool = knob(True, help="The zone in which each class clears its margin; grey is nobody's.")
    histograms: bool = knob(True, help="The angles between pairs of held-out samples.")

    def __post_init__(self) -> None:
        super().__post_init__()
        of_dimension(self, 3)

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        runs = runs or self.runs
        rows = [[self.sphere(run) for run in runs]]
        pairs = [held_out_pairs(run) for run in runs]
        if self.histograms:
            top = 1.05 * max(share(deg).max() for scored in pairs for deg in degrees_of(scored))
            rows.append([histogram(scored, top) for scored in pairs])
        each = list(zip(*rows, strict=True))
        found = (f"{name}: {said(scored)}" for name, scored in zip(self.names, pairs, strict=True))
        return Plate(
            title="Embeddings on the sphere",
            says=f"Median angles of held-out pairs, of one class and of two. {'; '.join(found)}.",
            notes=tuple(dict.fromkeys(note for scenes in each for scene in scenes for note in scene.notes)),
            **by_loss(each, self.names),
        )

    def sphere(self, run: Run) -> Scene:
        """Directions of all samples of the run's last snapshot, with the prototypes."""
        if self.zones:
            scene = Boundaries(losses=(run.recipe.loss,), run=run).scene()
            return dataclasses.replace(scene, notes=(*scene.notes, NOBODY))
        look = TrueAngles(run=run)
        samples = Points(role="sample", at=look.seen.direction.numpy(), each=run.probe.truth)
        return Scene(
            title="Directions",
            says=f"{len(samples.at)} samples of {len(look.classes)} classes.",
            space=SPHERE,
            marks=(samples, badges(look)),
            names=look.classes,
            by_class=True,
            notes=("Lines on the sphere stand where two prototypes are equally near.",),
        )


def held_out_pairs(run: Run) -> Scored:
    """All pairs of held-out samples of the last snapshot, and their cosines."""
    held = run.probe.split == 1
    return all_pairs(run[-1].embedding[held].astype(np.float64), run.probe.truth[held])


def histogram(scored: Scored, top: float) -> Scene:
    """How the angles of pairs of one class, and of two, are spread."""
    return Scene(
        title="Angles of pairs",
        says=f"Medians: {said(scored)}.",
        space=CHART,
        marks=tuple(
            Path(role="bars", of=i, name=name, at=steps(EDGES, share(deg)))
            for i, (name, deg) in enumerate(zip(KINDS, degrees_of(scored), strict=True))
        ),
        x=Axis("Angle of the pair", "°", 0, 180, (0, 60, 120, 180)),
        y=Axis("Share of the pairs", "%", 0, top),
        names=KINDS,
    )


def degrees_of(scored: Scored) -> tuple[np.ndarray, np.ndarray]:
    """The angles of pairs of one class and of two."""
    deg = np.degrees(np.arccos(scored.cosine.clip(-1, 1)))
    return deg[scored.same], deg[~scored.same]


def share(deg: np.ndarray) -> np.ndarray:
    """Per cent in each bar."""
    return 100 * np.histogram(deg, EDGES)[0] / len(deg)


def said(scored: Scored) -> str:
    own, other = degrees_of(scored)
    common = np.minimum(share(own), share(other)).sum()
    return f"{np.median(own):.1f}° and {np.median(other):.1f}°, the histograms share {common:.0f} % of their area"
