"""The margins that adaptive losses give: drawn, by class, by length, by angle."""

import dataclasses

import numpy as np
import torch

from losslab import losses as family
from losslab.catalogue import knob
from losslab.geometry import around
from losslab.losses import AdaFace, ElasticFace, InterFace, KappaFace, Loss, MagFace
from losslab.scene import CHART, Axis, Path, Plate, Scene
from losslab.training import Run
from losslab.views.base import bare_head, degrees, listed, named, signed
from losslab.views.curves import ANGLE, line
from losslab.views.elastic import ElasticDraws
from losslab.views.given import core, seen
from losslab.views.interface_margins import InterFaceCurves
from losslab.views.kappa import KappaByConcentration, KappaBySize
from losslab.views.length import MarginsByLength

from .base import Figure
from .layout import short
from .von_mises_fisher import expected

VIEWS = {  # of a training
    ElasticFace: (ElasticDraws,),
    KappaFace: (KappaBySize, KappaByConcentration),
    MagFace: (MarginsByLength,),
    AdaFace: (MarginsByLength,),
    InterFace: (InterFaceCurves,),
}
ADAPTIVE = tuple(VIEWS)
DRAWN_FOR = (200.0,) * 5  # by hand: samples of five classes that get ElasticFace's margins
KAPPA = (10.0, 30.0, 90.0)  # by hand: concentrations of classes,
LARGEST = 200  # and the most images that one of them has
APART = (15, 60, 150)  # degrees from the own prototype to those of other classes


class MarginDistributions(Figure):
    """A panel for each loss: what its formula gives to samples and classes by hand, or to those of trainings that are
    given (two panels for KappaFace then). ValueError for a loss that gives every sample the same margin."""

    card = "What margins the adaptive losses give: at random, by class, by length of the embedding, by angle."
    after = "MagFace, Figure 2; the draws of ElasticFace, the ψ of KappaFace and the m̂ of InterFace"
    losses: tuple[Loss, ...] = tuple(map(family.starting, (ElasticFace, KappaFace, MagFace, InterFace)))
    length: float = knob(10.0, 0.1, 120, step=0.1, symbol="‖x‖", help="By hand: about how long embeddings are.")
    runs: tuple[Run, ...] = ()  # to look at in place of what is set by hand

    def __post_init__(self) -> None:
        if self.runs:
            object.__setattr__(self, "losses", tuple(run.recipe.loss for run in self.runs))
        super().__post_init__()
        if other := [loss for loss in self.losses if not isinstance(core(loss), ADAPTIVE)]:
            known = ", ".join(kind.card.title for kind in ADAPTIVE[:-1]) + f" or {ADAPTIVE[-1].card.title}"
            raise ValueError(f"This figure is of {known}; here a loss is {named((other[0],))[0]}.")

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        looked = runs or self.runs
        found = [of_run(run) for run in looked] if looked else [(self.by_hand(loss),) for loss in self.losses]
        pairs = [(head, scene) for head, scenes in zip(short(self.names), found, strict=True) for scene in scenes]
        return Plate(
            title="Margins that adapt",
            says=" ".join(f"{head}: {scene.says}" for head, scene in pairs),
            panels=tuple(scene for _, scene in pairs),
            heads=tuple(head for head, _ in pairs),
            columns=min(len(pairs), 3 if len(pairs) % 3 == 0 else 2),
        )

    def by_hand(self, loss: Loss) -> Scene:
        match core(loss):
            case ElasticFace():
                return drawn(loss)
            case KappaFace():
                return by_class(now(loss))
            case InterFace():
                return crossed(loss)
        return self.by_length(loss)

    def by_length(self, loss: Loss) -> Scene:
        """The margin over the length of the embedding; nothing is known of how many have which."""
        scene = MarginsByLength(losses=(loss,), length=self.length).scene()
        curves = scene.of_role("curve")
        said = [
            f"“{mark.name}” is {signed(mark.at[0, 1])} for the shortest embeddings and {signed(mark.at[-1, 1])} for "
            "the longest"
            for mark in curves
        ]
        notes = (f"AdaFace: of lengths from {self.length / 2:g} to {1.5 * self.length:g}.",)
        return dataclasses.replace(
            scene,
            marks=(*scene.of_role("guide"), *curves),
            says=f"{listed(said)}.",
            x=dataclasses.replace(scene.x, title="Length ‖x‖"),
            notes=notes if isinstance(core(loss), AdaFace) else (),
        )


def of_run(run: Run) -> tuple[Scene, ...]:
    """What a training shows of its margins."""
    views = next(views for kind, views in VIEWS.items() if isinstance(core(run.recipe.loss), kind))
    return tuple(view(run=run).scene() for view in views)


def now(loss: Loss) -> Loss:
    """The loss that gives margins, as it is in the first step."""
    return core(loss.at(torch.tensor(0)))


def drawn(loss: Loss) -> Scene:
    """ElasticFace's draws for samples by hand."""
    scene = ElasticDraws(losses=(loss,), sizes=DRAWN_FOR).scene()
    names = {"bars": "drawn", "curve": f"normal, σ = {now(loss).spread:g}"}
    marks = tuple(dataclasses.replace(mark, name=names[mark.role]) for mark in scene.marks)
    return dataclasses.replace(scene, marks=marks, y=dataclasses.replace(scene.y, title="Share of samples"))


def by_class(loss: KappaFace) -> Scene:
    """ψ of classes of 1 to LARGEST images and of each concentration, by the loss's own calibration of all of them.
    Their mean resultant lengths are those of the distribution on the sphere."""
    size = torch.arange(1, LARGEST + 1, dtype=torch.float64)
    r = torch.tensor([expected(kappa) for kappa in KAPPA], dtype=torch.float64)
    psi = loss.calibrate(r.repeat_interleave(len(size)), size.repeat(len(r)), 3).view(len(r), -1)
    curves = [
        Path(role="curve", of=i, name=f"κ = {kappa:g}", at=line(size, each))
        for i, (kappa, each) in enumerate(zip(KAPPA, psi, strict=True))
    ]
    return Scene(
        title="KappaFace: ψ by class size and concentration",
        says=f"a loose class (κ = {KAPPA[0]:g}) of one image gets ψ = {psi[0, 0]:.2f}, a tight one "
        f"(κ = {KAPPA[-1]:g}) of {LARGEST} images {psi[-1, -1]:.2f}; size makes a difference of "
        f"{psi[0, 0] - psi[0, -1]:.2f}, concentration one of {psi[0, 0] - psi[-1, 0]:.2f}.",
        space=CHART,
        marks=tuple(curves),
        x=Axis("Images of the class", "", 0, LARGEST),
        y=Axis("Share ψ of the margin m", "", 0, 1),
        names=tuple(mark.name for mark in curves),
    )


def crossed(loss: Loss) -> Scene:
    """InterFace's margin to another class over the angle to the own prototype, for classes at several angles φ."""
    head = bare_head(loss, 2, 1 + len(APART))
    head.prototypes.copy_(around(torch.tensor([0.0, *APART], dtype=torch.float64).deg2rad()))
    deg, turn = degrees()
    inner, a = seen(head, around(-turn), torch.zeros(len(turn), dtype=torch.long))
    margin = inner.margins(a)[:, 1:]
    curves = [Path(role="curve", of=i, name=f"φ = {phi}°", at=line(deg, margin[:, i])) for i, phi in enumerate(APART)]
    return Scene(
        title="InterFace: margins to other classes",
        says=crossings(deg.numpy(), margin.rad2deg().numpy()),
        space=CHART,
        marks=(Path(role="guide", at=np.array([[0.0, 0.0], [180.0, 0.0]])), *curves),
        x=dataclasses.replace(ANGLE, title="Angle θ to the own prototype"),
        y=Axis("Margin m̂ to another class", "rad"),
        names=tuple(mark.name for mark in curves),
    )


def crossings(deg: np.ndarray, margin: np.ndarray) -> str:
    """From which angle on other classes are moved nearer, and by how much at the most: margins [t C] in degrees."""
    found = [deg[(column > 0).argmax()] for column in margin.T if (column > 0).any()]
    if not found:
        return "with these knobs no other class is ever moved nearer."
    where = dict.fromkeys(f"{each:.0f}°" for each in (min(found), max(found)))
    return (
        f"other classes are moved nearer from θ = {' to '.join(where)} on, by {margin.max():.1f}° at the most, and "
        f"farther away before, by {max(-margin.min(), 0):.1f}° at the most."
    )
