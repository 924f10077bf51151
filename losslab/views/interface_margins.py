"""InterFace's margins: how much nearer, or farther, one sample sees every other class."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle, great_circle, sideways, unit
from losslab.head import Head
from losslab.losses import InterFace
from losslab.scene import CHART, Axis, Path, Points, Scene

from .base import degrees
from .curves import ANGLE, line
from .given import MANY, Given, seen


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample, as InterFace sees it among C classes."""

    index: int  # of the images shown
    own: int  # its class
    theta: Tensor  # [C] radians to every prototype
    margin: Tensor  # [C] m̂ to every class, radians; that of the own class is not used

    @property
    def others(self) -> Tensor:
        return torch.arange(len(self.theta))[torch.arange(len(self.theta)) != self.own]


class OfSample(Given):
    about = (InterFace,)
    sample: int = knob(-1, -1, MANY, step=1, help="Which image; −1 takes the one with the smallest gap.")

    def chosen(self, head: Head) -> Sample:
        embedding, label, index = self.one(head)
        loss, a = seen(head, embedding, label)
        return Sample(index, int(label), angle(a.cosine[0]), loss.margins(a)[0])

    def one(self, head: Head) -> tuple[Tensor, Tensor, int]:
        """The sample's embedding [1 d], label [1] and number; by default that with the smallest gap of all that are
        trained on."""
        if self.run is None:
            cloud = self.cloud()
            embedding, label = cloud.embedding, cloud.label
            gap, trained = head.gap(embedding, label), torch.ones_like(label, dtype=torch.bool)
        else:
            moment, probe = self.moment, self.run.probe
            embedding, label = torch.from_numpy(moment.embedding).double(), torch.from_numpy(probe.labels)
            gap, trained = torch.from_numpy(moment.gap), torch.from_numpy(probe.split == 0)
        index = min(self.sample, len(label) - 1)
        if index < 0:
            index = int(torch.where(trained, gap, math.inf).argmin())
        return embedding[index : index + 1], label[index : index + 1], index


class InterFaceMargins(OfSample):
    """m̂ of one sample to every other class, against the angle to that class's prototype."""

    card = "How much nearer InterFace moves each other class to one sample, or how much farther away."

    def scene(self) -> Scene:
        one = self.chosen(self.head())
        theta, margin = one.theta.rad2deg()[one.others], one.margin[one.others]
        own = one.theta.rad2deg()[one.own].item()
        top = max(margin.max().item(), 1e-3) * 1.25
        low = min(1.25 * margin.min().item(), -0.15 * top)
        name, words = self.classes[one.own], tuple(self.classes[k] for k in one.others)
        stems = np.stack(
            [line(theta, torch.zeros_like(theta)), line(theta, margin), np.full((len(theta), 2), np.nan)], 1
        )
        return Scene(
            title="InterFace: margins of one sample to all other classes",
            says=self.said(one),
            space=CHART,
            marks=(
                Path(role="guide", at=np.array([[0.0, 0.0], [180.0, 0.0]])),
                Path(role="guide", at=stems.reshape(-1, 2)),
                Path(role="boundary", name=f"its own class, {name}", at=np.array([[own, low], [own, top]])),
                Points(role="class", at=line(theta, margin), each=one.others.numpy(), words=words),
            ),
            x=Axis("Angle to the prototype", "°", 0, 180, ANGLE.ticks),
            y=Axis("Margin m̂ to the class", "rad", low, top),
            names=self.classes,
            by_class=True,
        )

    def said(self, one: Sample) -> str:
        margin = one.margin[one.others].rad2deg()
        nearer = int((margin > 0).sum())
        most = one.others[margin.argmax()]
        said = [
            f"moves {nearer} of {len(margin)} other classes nearer, by up to {margin.max():.2f}° ({self.classes[most]})"
        ]
        if nearer == 0:
            said = []
        if nearer < len(margin):
            said.append(f"moves {len(margin) - nearer} of {len(margin)} farther away, by up to {-margin.min():.2f}°")
        return (
            f"Image {one.index}, of class {self.classes[one.own]}, is {one.theta[one.own].rad2deg():.1f}° away from "
            f"its own prototype; InterFace {' and '.join(said)}."
        )


class InterFaceCurves(OfSample):
    """m̂ to every other class as the sample moves away from its own prototype."""

    card = "How InterFace's margins to the other classes change as a sample moves away from its own prototype."

    def scene(self) -> Scene:
        head = self.head()
        one = self.chosen(head)
        deg, turn = degrees()
        prototype = unit(head.prototypes)[0][one.own]
        way = great_circle(prototype, sideways(prototype), turn)
        loss, a = seen(head, way, torch.full((len(way),), one.own))
        margin = loss.margins(a)[:, one.others]
        own = one.theta[one.own].rad2deg().item()
        low, high = margin.min().item(), margin.max().item()
        curves = [
            Path(role="curve", of=int(k), name=self.classes[k], at=line(deg, margin[:, i]))
            for i, k in enumerate(one.others)
        ]
        here = line(torch.full_like(margin[0], own), one.margin[one.others])
        return Scene(
            title=f"InterFace: margins of a sample of {self.classes[one.own]}, by its angle",
            says=self.said(loss, deg, margin, own),
            space=CHART,
            marks=(
                Path(role="guide", at=np.array([[0.0, 0.0], [180.0, 0.0]])),
                Path(role="boundary", name="where the sample is", at=np.array([[own, low], [own, high]])),
                *curves,
                Points(role="class", at=here, each=one.others.numpy()),
            ),
            x=ANGLE,
            y=Axis("Margin m̂ to the class", "rad"),
            names=self.classes,
            by_class=True,
        )

    def said(self, loss: InterFace, deg: Tensor, margin: Tensor, own: float) -> str:
        """Where they change sign, and how far up they can go."""
        crossing = [deg[int((column > 0).long().argmax())].item() for column in margin.T if (column > 0).any()]
        if not crossing:
            return f"In mode {loss.mode} with these knobs no class is ever moved nearer."
        where = (
            f"{min(crossing):.0f}°"
            if max(crossing) - min(crossing) < 1
            else f"{min(crossing):.0f}–{max(crossing):.0f}°"
        )
        return (
            f"In mode {loss.mode} other classes are left in peace up to about {where} and moved nearer beyond, by at "
            f"most {margin.max().rad2deg():.1f}°; this sample is at {own:.1f}°."
        )
