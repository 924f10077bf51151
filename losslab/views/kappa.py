"""KappaFace's ψ: which classes get the wide margins, and is it their size or how scattered they are?"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from losslab.geometry import unit
from losslab.losses import KappaFace
from losslab.losses.kappaface import concentration
from losslab.scene import CHART, Axis, Path, Points, Scene
from losslab.training import Recipe
from losslab.training.images import load

from .curves import line
from .elastic import rank_correlation
from .given import Given, in_degrees, seen


@dataclass(frozen=True, eq=False)
class Classes:
    """What KappaFace knows and gave, class by class."""

    loss: KappaFace
    psi: Tensor  # [C]
    size: Tensor  # [C] images that it is trained with
    kappa: Tensor  # [C] concentration κ of the samples shown
    names: tuple[str, ...]

    @property
    def waits(self) -> bool:
        """Is no epoch over yet?"""
        return bool((self.psi == 1).all())

    @property
    def order(self) -> list[int]:
        """Classes from the smallest ψ (the easiest) to the largest (the hardest)."""
        return self.psi.argsort(stable=True).tolist()


class OfKappa(Given):
    about = (KappaFace,)

    def told(self) -> Classes:
        head, cloud = self.head(), self.cloud()
        number = torch.arange(head.classes)
        loss, a = seen(head, head.prototypes, number)
        mine = F.one_hot(cloud.label, head.classes).double()
        count = mine.sum(0)
        length = unit(mine.T @ unit(cloud.embedding)[0])[1] / count.clamp(min=1)
        # As `calibrate` does, so that a class of one image is very tight and not infinitely so.
        kappa = concentration(length.clamp(0, 1 - 1e-6), head.dim)
        size = sizes(self.run.recipe) if self.run is not None else count
        return Classes(loss, a.memory.psi.double(), size.double(), kappa, self.classes)

    def points(self, told: Classes, x: Tensor) -> Points:
        return Points(role="class", at=line(x, told.psi), each=torch.arange(len(x)).numpy(), words=told.names)

    def chart(self, told: Classes, marks: tuple, says: str, x: Axis, **more) -> Scene:
        if told.waits:
            says = f"Until the first epoch ends ψ is 1: every class has the margin m, {in_degrees(told.loss.margin)}."
        low, high = min(0.0, told.psi.min().item()), max(1.0, told.psi.max().item())
        return Scene(
            says=says,
            space=CHART,
            marks=marks,
            x=x,
            y=Axis("Share ψ of the margin m", "", low, 1.1 * high),
            names=told.names,
            by_class=True,
            **more,
        )


class KappaBySize(OfKappa):
    """ψ of each class against the number of its images."""

    card = "KappaFace's share of the margin for each class, against the number of images that it is trained with."

    def scene(self) -> Scene:
        told = self.told()
        most = told.size.max()
        count = torch.linspace(1, float(most), 200, dtype=torch.float64)
        alike = told.loss.calibrate(torch.full_like(count, 0.9), count, self.head().dim)
        few, many = int(told.size.argmin()), int(told.size.argmax())
        says = f"All classes have {int(most)} images, so size makes no difference to ψ."
        if told.size[few] < most:
            says = (
                f"{told.names[few]} has the fewest images ({int(told.size[few])}) and gets ψ = {told.psi[few]:.2f}, "
                f"{told.names[many]} the most ({int(most)}) and gets {told.psi[many]:.2f}: margins of "
                f"{in_degrees((told.loss.margin * told.psi[few]).item())} and "
                f"{in_degrees((told.loss.margin * told.psi[many]).item())}."
            )
        guide = Path(role="guide", name="were all classes equally scattered", at=line(count, alike))
        axis = Axis("Images that the class is trained with", "", 0, 1.08 * float(most))
        return self.chart(told, (guide, self.points(told, told.size)), says, axis, title="KappaFace: ψ and class size")


class KappaByConcentration(OfKappa):
    """ψ of each class against the concentration of its samples."""

    card = "KappaFace's share of the margin for each class, against how tightly its samples lie together."

    def scene(self) -> Scene:
        told = self.told()
        loose, tight = int(told.kappa.argmin()), int(told.kappa.argmax())
        says = f"All classes are equally scattered (κ = {told.kappa[loose]:.3g})."
        if told.kappa[tight] > (1 + 1e-6) * told.kappa[loose]:
            says = (
                f"{told.names[loose]} is the most scattered class (κ = {told.kappa[loose]:.3g}) and gets "
                f"ψ = {told.psi[loose]:.2f}, {told.names[tight]} the tightest ({told.kappa[tight]:.3g}) and gets "
                f"{told.psi[tight]:.2f}; rank correlation of κ and ψ {rank_correlation(told.kappa, told.psi):+.2f}."
            )
        return self.chart(
            told,
            (self.points(told, told.kappa),),
            says,
            Axis("Concentration κ of the class", "", 0, 1.08 * float(told.kappa.max())),
            title="KappaFace: ψ and concentration",
            notes=("κ is of the images shown, now; ψ was set when the last epoch ended.",) if self.run else (),
        )


@lru_cache(maxsize=32)
def sizes(recipe: Recipe) -> Tensor:
    """Images [C] that each class is trained with, by the labels that training is told."""
    return torch.bincount(load(recipe)[0].labels, minlength=len(recipe.classes))
