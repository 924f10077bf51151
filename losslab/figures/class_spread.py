"""How tightly each class is held, and how far neighbouring classes are apart: the trio that explains ElasticFace."""

import dataclasses
import math

import numpy as np

from losslab import losses as family
from losslab.losses import ElasticFace, Loss
from losslab.scene import PLANE, Axis, Mark, Path, Plate, Points, Scene
from losslab.training import Run
from losslab.views.true_angles import TrueAngles

from .base import Trained
from .toy_scatter import badges, of_dimension

ARC = family.starting("ArcFace")
ELASTIC = family.starting("ElasticFace")
PLUS = dataclasses.replace(ELASTIC, spread=0.0175, sorted=True)
BADGE, APART, STREWN, BOW, WORD, REACH = 0.55, 0.84, (1.04, 1.2), 1.27, 1.42, 1.72  # radii, from the centre outwards
WIDER = 0.12  # how much farther out a word stands beside the circle than above it: it is wider than high
GOLDEN = 0.6180339887498949


class ClassSpread(Trained):
    """A circle for each loss, with held-out and trained samples alike."""

    card = "How widely each class spreads on the unit circle, and the angle between neighbouring prototypes."
    after = "ElasticFace, Figure 2"
    losses: tuple[Loss, ...] = (ARC, ELASTIC, PLUS)

    def __post_init__(self) -> None:
        super().__post_init__()
        of_dimension(self, 2)

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        looks = [TrueAngles(run=run) for run in runs or self.runs]
        names = tuple(called(look.head.loss, name) for look, name in zip(looks, self.names, strict=True))
        found = "; ".join(f"{name}: {said(look)}" for name, look in zip(names, looks, strict=True))
        return Plate(
            title="Spread of each class",
            says=f"{found}.",
            panels=tuple(map(ring, looks)),
            columns=min(len(looks), 3),
            heads=names,
            notes=(
                "Outside: the standard deviation of the angles of each class around their mean direction, drawn as an "
                "arc of that much to both sides. Inside: the angle between neighbouring prototypes. Samples are strewn "
                "outwards so that they do not hide one another.",
            ),
        )


def called(loss: Loss, name: str) -> str:
    """A loss as it stands over its panel: of ElasticFace what its paper calls it, and what is drawn."""
    if not isinstance(loss, ElasticFace):
        return name
    return f"Elastic-{loss.variant.capitalize()}{'+' if loss.sorted else ''}, σ = {loss.spread:g}"


def ring(look: TrueAngles) -> Scene:
    """Samples and prototypes on the circle, and what is measured of them in degrees."""
    turn, truth = angles_of(look.seen.direction.numpy()), look.run.probe.truth
    prototypes = badges(look)
    low, high = STREWN
    out = low + (high - low) * (np.arange(len(turn)) * GOLDEN % 1)
    marks: list[Mark] = [Path(role="rim", at=around(np.linspace(0, 2 * math.pi, 361)))]
    marks += [
        Path(role="spoke", of=int(k), at=np.stack([0 * at, at]))
        for k, at in zip(prototypes.each, prototypes.at, strict=True)
    ]
    marks.append(Points(role="sample", name="samples", at=around(turn, out), each=truth))
    middles, words = [], []
    for k, (mean, deviation) in spreads(turn, truth).items():
        bow = np.linspace(mean - deviation, mean + deviation, 25)
        marks.append(Path(role="arc", of=k, name="standard deviation of the class, to both sides", at=around(bow, BOW)))
        middles.append(mean)
        words.append(f"{math.degrees(deviation):.1f}°")
    between = neighbours(prototypes)
    marks += [
        Points(role="word", at=around(np.array(middles), WORD + WIDER * np.abs(np.cos(middles))), words=tuple(words)),
        Points(
            role="word",
            at=around(np.array([at for at, _ in between]), APART),
            words=tuple(f"{math.degrees(gap):.0f}°" for _, gap in between),
        ),
        Points(
            role="prototype", name="prototypes", at=BADGE * prototypes.at, each=prototypes.each, words=prototypes.words
        ),
    ]
    return Scene(
        title="Spread of each class",
        says=f"{said(look)}.",
        space=PLANE,
        marks=tuple(marks),
        x=Axis("x", "", -REACH, REACH),
        y=Axis("y", "", -REACH, REACH),
        names=look.classes,
        by_class=True,
    )


def around(turn: np.ndarray, out: float | np.ndarray = 1.0) -> np.ndarray:
    """Places [n 2] at these angles, so far out."""
    return np.stack([out * np.cos(turn), out * np.sin(turn)], 1)


def angles_of(direction: np.ndarray) -> np.ndarray:
    """Radians from (1, 0), [n], of directions [n 2]."""
    return np.arctan2(direction[:, 1], direction[:, 0])


def spreads(turn: np.ndarray, label: np.ndarray) -> dict[int, tuple[float, float]]:
    """Of each class that has samples the mean direction of their angles [n], and their standard deviation about it,
    radians."""
    found = {}
    for k in np.unique(label):
        mine = turn[label == k]
        mean = math.atan2(np.sin(mine).mean(), np.cos(mine).mean())
        away = np.angle(np.exp(1j * (mine - mean)))
        found[int(k)] = mean, float(np.sqrt(np.square(away).mean()))
    return found


def neighbours(prototypes: Points) -> list[tuple[float, float]]:
    """Between prototypes of two classes that follow one another around the circle: the direction halfway, and the angle
    from the one to the other, radians."""
    turn = angles_of(prototypes.at)
    order = np.argsort(turn)
    found = []
    for i, j in zip(order, np.roll(order, -1), strict=True):
        if prototypes.each[i] != prototypes.each[j]:
            gap = float((turn[j] - turn[i]) % (2 * math.pi))
            found.append((float(turn[i] + gap / 2), gap))
    return found


def said(look: TrueAngles) -> str:
    """The mean of the deviations, and the angles between neighbours, in degrees."""
    deviation = [deg for _, deg in spreads(angles_of(look.seen.direction.numpy()), look.run.probe.truth).values()]
    gap = np.degrees([gap for _, gap in neighbours(badges(look))])
    return (
        f"{math.degrees(np.mean(deviation)):.1f}° standard deviation on average over the classes, "
        f"{gap.min():.0f}° to {gap.max():.0f}° between neighbouring prototypes"
    )
