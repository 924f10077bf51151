"""Samples of von Mises–Fisher distributions: what a concentration κ looks like, and what KappaFace reads from it."""

import math

import numpy as np
import torch
from torch import Tensor

from losslab import losses as family
from losslab.catalogue import knob
from losslab.geometry import around, sideways, sine, unit
from losslab.losses import KappaFace, Loss
from losslab.losses.kappaface import concentration
from losslab.scene import SPHERE, Path, Plate, Points, Scene
from losslab.training import Run
from losslab.views.base import listed
from losslab.views.given import core

from .base import Figure

MIDDLE = (0.42, -0.72, 0.55)  # the mean direction, towards the reader
WEAKEST, TIGHTEST, MOST = 0.1, 1000.0, 4


class VonMisesFisher(Figure):
    """Samples on the sphere for several κ, drawn at random with a seed, the cap that half of the distribution lies in,
    and what KappaFace makes of them: κ from the length of their mean, and margins from the κ. ValueError for another
    loss: none else looks at concentrations."""

    card = "Samples of three concentrations κ on the sphere, and what KappaFace makes of them."
    after = "KappaFace, Figure 2"
    losses: tuple[Loss, ...] = (family.starting(KappaFace),)
    concentrations: tuple[float, ...] = (1.0, 25.0, 100.0)  # κ of each panel
    samples: int = knob(500, 10, 2000, step=10, symbol="n", help="Samples of each class.")
    seed: int = knob(0, 0, 1_000_000, step=1, help="Another seed, other samples of the same distribution.")

    def __post_init__(self) -> None:
        super().__post_init__()
        kappa = tuple(map(float, self.concentrations))
        if not 1 <= len(kappa) <= MOST or any(not WEAKEST <= each <= TIGHTEST for each in kappa):
            raise ValueError(f"concentrations must be 1 to {MOST} numbers from {WEAKEST:g} to {TIGHTEST:g}.")
        object.__setattr__(self, "concentrations", kappa)
        if len(self.losses) > 1 or not isinstance(core(self.losses[0]), KappaFace):
            raise ValueError(f"This figure is of KappaFace alone; here the losses are {listed(list(self.names))}.")

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        drawn = [self.drawn(k) for k in range(len(self.concentrations))]
        panels = tuple(self.scene(k, each) for k, each in enumerate(drawn))
        return Plate(
            title="Samples of von Mises–Fisher distributions",
            says=" ".join([*(scene.says for scene in panels), self.margins(drawn)]),
            panels=panels,
            heads=tuple(
                f"κ = {kappa:g}, read as {read(each):.3g}"
                for kappa, each in zip(self.concentrations, drawn, strict=True)
            ),
            columns=len(panels),
            notes=("Dashed: the cap around the mean direction that half of the distribution lies in.",),
        )

    def drawn(self, k: int) -> Tensor:
        """The samples [n 3] of one panel."""
        draw = torch.Generator().manual_seed(self.seed * MOST + k)
        middle = unit(torch.tensor(MIDDLE, dtype=torch.float64))[0]
        return von_mises_fisher(middle, self.concentrations[k], self.samples, draw)

    def scene(self, k: int, at: Tensor) -> Scene:
        kappa, middle = self.concentrations[k], unit(torch.tensor(MIDDLE, dtype=torch.float64))[0]
        r, cap = length_of_mean(at), half(kappa)
        rim = around_it(middle, torch.linspace(0, 2 * math.pi, 181).double(), torch.tensor(cap).double())
        return Scene(
            title=f"{self.samples} samples with κ = {kappa:g}",
            says=f"κ = {kappa:g}: half of the distribution lies within {math.degrees(cap):.1f}°; the mean of "
            f"{len(at)} samples has length R = {r:.3f} (coth κ − 1/κ = {expected(kappa):.3f}), of which KappaFace's "
            f"formula makes κ = {read(at):.3g}.",
            space=SPHERE,
            marks=(
                Points(role="sample", of=k, at=at.numpy(), each=np.full(len(at), k)),
                Path(role="boundary", at=rim.numpy()),
                Points(role="prototype", at=middle.numpy()[None], each=np.array([k]), words=("μ",)),
            ),
            names=("μ",) * len(self.concentrations),
            by_class=True,
        )

    def margins(self, drawn: list[Tensor]) -> str:
        """What margins KappaFace gives to classes of these samples."""
        loss = core(self.losses[0].at(torch.tensor(0)))
        r = torch.tensor([length_of_mean(each) for each in drawn], dtype=torch.float64)
        psi = loss.calibrate(r, torch.full_like(r, self.samples), 3)
        found = [f"{math.degrees(loss.margin * float(share)):.1f}°" for share in psi]
        if len(found) == 1:
            return ""
        return f"As classes of one size they get margins of {listed(found)} from {family.title(loss)}."


def von_mises_fisher(middle: Tensor, kappa: float, count: int, draw: torch.Generator) -> Tensor:
    """`count` random directions [count 3] around `middle` [3]. The height h along it has a density in proportion to
    e^{κh} on −1 to 1, whose sum is inverted."""
    share, turn = torch.rand(2, count, generator=draw, dtype=torch.float64)
    height = 1 + torch.log(share + (1 - share) * math.exp(-2 * kappa)) / kappa
    return around_it(middle, 2 * math.pi * turn, torch.acos(height.clamp(-1, 1)))


def around_it(middle: Tensor, turn: Tensor, away: Tensor) -> Tensor:
    """Directions [n 3] at angles `away` from `middle` [3], `turn` [n] round it."""
    first = sideways(middle)
    across = torch.stack([first, torch.linalg.cross(middle, first)])
    height = away.cos().expand_as(turn)[:, None]
    return height * middle + sine(height) * (around(turn) @ across)


def length_of_mean(direction: Tensor) -> float:
    """R, the mean resultant length of directions [n 3]."""
    return float(direction.mean(0).norm())


def read(direction: Tensor) -> float:
    """κ as KappaFace makes it of directions [n 3]."""
    return float(concentration(torch.tensor(length_of_mean(direction)), direction.shape[1]))


def expected(kappa: float) -> float:
    """R of the distribution on the sphere: coth κ − 1/κ."""
    return 1 / math.tanh(kappa) - 1 / kappa


def half(kappa: float) -> float:
    """The angle from the mean direction that half of the distribution on the sphere lies within, radians."""
    return math.acos(1 + math.log(0.5 + 0.5 * math.exp(-2 * kappa)) / kappa)
