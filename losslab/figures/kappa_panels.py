"""Why classes of different size and tightness need different margins: two classes, three times."""

import dataclasses
import math
from dataclasses import dataclass

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import KappaFace, Loss
from losslab.scene import Mark, Plate, Scene
from losslab.training import Run
from losslab.views.ball import LARGEST, SMALLEST, class_margins
from losslab.views.boundaries import Boundaries, looks_at

from .base import Figure

EQUAL = 0.5  # degrees within which margins are called about equal


@dataclass(frozen=True)
class Case:
    """Two classes: how many images each has, and how tight they lie."""

    head: str
    sizes: tuple[int, int]
    kappa: tuple[float, float]


class Two(Boundaries):
    """Two classes by hand that are called 1 and 2."""

    @property
    def classes(self) -> tuple[str, ...]:
        return "1", "2"


class KappaPanels(Figure):
    """Two classes drawn by hand, in number and tightness as said, and the zone that the real loss asks of each after
    its head has seen them for an epoch. In the third case the smaller class has as many images as make the two margins
    the most nearly equal."""

    card = "Two classes of the same or different size and tightness, and the margin that each of them gets."
    after = "KappaFace, Figure 1"
    losses: tuple[Loss, ...] = (family.starting(KappaFace, small=False),)
    surface: str = knob("sphere", choices=("circle", "sphere"), help="Embeddings of two or three dimensions.")
    between: float = knob(110.0, 30, 180, step=5, symbol="φ", unit="°", help="Angle between the two prototypes.")
    many: int = knob(60, 10, LARGEST, step=1, symbol="n", help="Images of the larger class.")
    few: int = knob(12, SMALLEST, LARGEST, step=1, help="Images of the smaller class in the second case.")
    tight: float = knob(80.0, 0.5, 500, step=0.5, symbol="κ", help="Concentration of the tighter class.")
    loose: float = knob(20.0, 0.5, 500, step=0.5, help="Concentration of the looser class.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.few >= self.many or self.loose >= self.tight:
            raise ValueError(
                f"few must be below many and loose below tight; here they are {self.few} and {self.many}, "
                f"{self.loose:g} and {self.tight:g}."
            )

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        panels, heads, says = [], [], []
        for loss, name in zip(self.losses, self.names, strict=True):
            found = []
            for case in self.cases(loss):
                panels.append(self.scene(loss, case))
                heads.append(case.head if len(self.losses) == 1 else f"{name}: {case.head}")
                found.append((case, self.margins(loss, case)))
            says.append(said(name, found))
        return Plate(
            title="Margins of two classes, by size and tightness",
            says=" ".join(says),
            panels=tuple(panels),
            heads=tuple(heads),
            columns=3,
            notes=(
                f"The prototypes are {self.between:g}° apart; samples are drawn at random with the κ of their class. "
                "Grey: no class clears its margin there.",
            ),
        )

    def cases(self, loss: Loss) -> tuple[Case, Case, Case]:
        uneven = self.tight, self.loose
        return (
            Case("n₁ = n₂, κ₁ > κ₂", (self.many, self.many), uneven),
            Case("n₁ < n₂, κ₁ = κ₂", (self.few, self.many), (self.tight, self.tight)),
            Case("n₁ < n₂, κ₁ > κ₂", (self.balance(loss), self.many), uneven),
        )

    def balance(self, loss: Loss) -> int:
        """Images of class 1 with which the two margins are the most nearly equal; `few` where that makes no odds."""
        if "sizes" not in looks_at(loss):
            return self.few

        def apart(size: int) -> float:
            one, other = self.margins(loss, Case("", (size, self.many), (self.tight, self.loose)))
            return abs(one - other)

        return min(range(SMALLEST, self.many), key=apart)

    def view(self, loss: Loss, case: Case) -> Two:
        right, left = math.radians(90 - self.between / 2), math.radians(90 + self.between / 2)
        flat = tuple((math.cos(at), math.sin(at)) for at in (left, right))
        # On the sphere they stand on the great circle that the reader sees across.
        ball = tuple((0.78 * x + 0.6 * y, 0.62 * x - 0.75 * y, 0.3 * y) for x, y in flat)
        return Two(
            losses=(loss,),
            surface=self.surface,
            prototypes=flat if self.surface == "circle" else ball,
            sizes=case.sizes,
            concentrations=case.kappa,
            samples=True,
        )

    def scene(self, loss: Loss, case: Case) -> Scene:
        """The zones, with the margin of each class at its prototype."""
        scene, margins = self.view(loss, case).scene(), self.margins(loss, case)
        words = tuple(f"{k} · m{low} = {deg:.1f}°" for k, low, deg in zip("12", "₁₂", margins, strict=True))

        def written(mark: Mark) -> Mark:
            return dataclasses.replace(mark, words=words) if mark.role == "prototype" else mark

        if math.isnan(margins[0]):
            return scene
        marks = tuple(written(mark) for mark in scene.marks if mark.role != "narrowest")
        return dataclasses.replace(scene, marks=marks)

    def margins(self, loss: Loss, case: Case) -> tuple[float, float]:
        """Of the two classes, in degrees; NaN where the loss treats them alike."""
        view = self.view(loss, case)
        one, other = class_margins(view.head(loss), view.length) or (math.nan, math.nan)
        return one, other


def said(name: str, found: list[tuple[Case, tuple[float, float]]]) -> str:
    """A sentence: the margins of each case."""
    if all(math.isnan(margin) for _, pair in found for margin in pair):
        return f"{name} gives both classes the same margin, whatever their size and tightness."
    parts = []
    for case, (one, other) in found:
        (n1, n2), (k1, k2) = case.sizes, case.kappa
        sign = "≈" if math.isnan(one) or abs(one - other) < EQUAL else "<" if one < other else ">"
        margins = "equal margins" if math.isnan(one) else f"m₁ {sign} m₂, {one:.1f}° and {other:.1f}°"
        parts.append(f"{n1} and {n2} images of κ {k1:g} and {k2:g} get {margins}")
    return f"{name}: {'; '.join(parts)}."
