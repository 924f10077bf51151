"""Length against cosine: does a long embedding lie nearer to its prototype?"""

import math

import numpy as np
import torch

from losslab import losses as family
from losslab.catalogue import knob
from losslab.losses import Loss, MagFace
from losslab.scene import CHART, Axis, Path, Plate, Points, Scene
from losslab.training import Recipe, Run
from losslab.views.base import signed
from losslab.views.elastic import rank_correlation
from losslab.views.given import core
from losslab.views.true_angles import TrueAngles

from .base import SPACE, Trained

FLOOR = 1e-12  # of what is missing to a cosine of one, and of a loss: less than that rounding makes
MOST_TICKS = 8
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
KINDS = ("predicted rightly", "predicted wrongly")
ABOVE = 0.35  # powers of ten above the highest sample, where guides have their names


class LengthAndCosine(Trained):
    """A panel for each loss, with the held-out samples of its run. Nearly all cosines are nearly one, so upwards it
    goes by powers of ten of what is missing to one."""

    card = "The length of each embedding against its cosine to the own prototype, or against its loss."
    after = "MagFace, Figure 3"
    losses: tuple[Loss, ...] = tuple(map(family.starting, ("Softmax", "ArcFace", "MagFace")))
    recipe: Recipe = SPACE
    against: str = knob("cosine", choices=("cosine", "loss"), help="The cosine to the own prototype, or the loss.")

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        looks = [TrueAngles(run=run) for run in runs or self.runs]
        held = [held_out(look, self.against) for look in looks]
        ranges = [(height.min() - 0.1, height.max() + ABOVE) for height in map(risen, (short for _, short, _ in held))]
        if self.against == "cosine":  # which is alike for all losses; a loss is not
            ranges = [(min(low for low, _ in ranges), max(high for _, high in ranges))] * len(ranges)
        found = (f"{name}: {said(*values)}" for name, values in zip(self.names, held, strict=True))
        what = "cosine" if self.against == "cosine" else "negative loss"
        return Plate(
            title=f"Length and {self.against}",
            says=f"Rank correlation of length and {what} over held-out samples. {'; '.join(found)}.",
            panels=tuple(
                self.panel(look, *values, *each) for look, values, each in zip(looks, held, ranges, strict=True)
            ),
            columns=min(len(looks), 4),
            heads=self.names,
            notes=(f"Upwards by powers of ten: the data are −log₁₀ of {missing(self.against)}, at least {FLOOR:g}.",),
        )

    def panel(
        self, look: TrueAngles, length: np.ndarray, short: np.ndarray, right: np.ndarray, low: float, high: float
    ) -> Scene:
        """Samples by what is predicted, and for MagFace the lengths between which its margin grows."""
        loss = core(look.head.loss)
        ends = {"l": loss.shortest, "u": loss.longest} if isinstance(loss, MagFace) else {}
        marks = [
            Path(role="guide", name=f"{name} = {at:g}", at=np.array([[at, low], [at, high]]))
            for name, at in ends.items()
        ]
        at = np.stack([length, risen(short)], 1)
        marks += [
            Points(role=role, of=i, name=name, at=at[mine])
            for i, (role, name, mine) in enumerate(zip(("sample", "cross"), KINDS, (right, ~right), strict=True))
            if mine.any()
        ]
        return Scene(
            title=f"Length and {self.against}",
            says=f"Rank correlation {said(length, short, right)}.",
            space=CHART,
            marks=tuple(marks),
            x=Axis("Length of the embedding ‖x‖", "", 0, 1.08 * max(length.max(), *ends.values(), 1e-9)),
            y=self.upwards(low, high),
            names=KINDS,
        )

    def upwards(self, low: float, high: float) -> Axis:
        """Powers of ten, with the cosines or the losses themselves written at them."""
        powers = range(math.ceil(low), math.floor(high) + 1)
        powers = powers[:: max(1, math.ceil(len(powers) / MOST_TICKS))]
        title = "Loss (least on top)" if self.against == "loss" else "Cosine to the own prototype cos θ"
        written = power if self.against == "loss" else cosine
        return Axis(title, "", low, high, tuple(map(float, powers)), tuple(map(written, powers)))


def power(k: int) -> str:
    """A loss of 10⁻ᵏ."""
    return f"{10.0**-k:g}" if abs(k) < 4 else f"10{str(-k).translate(RAISED)}"


def cosine(k: int) -> str:
    """A cosine to which 10⁻ᵏ is missing."""
    return f"{1 - 10.0**-k:.{k}f}"


def missing(against: str) -> str:
    return "1 − cos θ" if against == "cosine" else "the loss"


def held_out(look: TrueAngles, against: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of the held-out samples the lengths [n], what is missing to a cosine of one or the losses [n], and whether each
    is predicted rightly [n]."""
    held = look.run.probe.split == 1
    short = 1 - look.seen.target.numpy() if against == "cosine" else look.moment.loss.astype(np.float64)
    return look.seen.norm.numpy()[held], short[held], look.moment.correct[held]


def risen(short: np.ndarray) -> np.ndarray:
    """−log₁₀: what is small is high up."""
    return -np.log10(np.maximum(short, FLOOR))


def said(length: np.ndarray, short: np.ndarray, right: np.ndarray) -> str:
    """The rank correlation, and the median lengths of both kinds where there are both."""
    found = signed(rank_correlation(torch.from_numpy(length), torch.from_numpy(-short)))
    if right.all() or not right.any():
        return found
    middle = [np.median(length[mine]) for mine in (right, ~right)]
    return f"{found} (median length {middle[0]:.3g} where the prediction is right, {middle[1]:.3g} where it is wrong)"
