"""What all pictures of margins that were given share: the head that gave them, and the samples that got them.

The samples are those of a training that its snapshots show and that were trained on (what is held out gets no margin);
or samples by hand, laid around their prototypes as in `losslab.views.ball`.
"""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from losslab import losses as family
from losslab.catalogue import knob
from losslab.head import Head
from losslab.losses import Angles, ArcFace, Loss, Term
from losslab.losses.terms import inner
from losslab.training import Run, Snapshot, head_at

from .ball import Cloud, OnBall
from .base import View, snapshot_of

BATCH = 128  # samples in a batch by hand
MANY = 1_000_000  # more snapshots or images than any run has


class Given(View):
    """A picture of margins that samples got. ValueError for a loss that it is not about."""

    about: ClassVar[tuple[type[Loss], ...]] = ()  # the losses that it shows; all where none is named
    losses: tuple[Loss, ...] = ()  # of a run it is always the run's own
    sizes: tuple[float, ...] = ()  # by hand: images of each class
    concentrations: tuple[float, ...] = ()  # by hand: κ of each class
    length: float = knob(5.0, 0.1, 120, step=0.1, symbol="‖x‖", help="By hand: about how long embeddings are.")
    run: Run | None = None  # a training to look at in place of samples by hand
    snapshot: int = knob(-1, -1, MANY, step=1, help="Which snapshot of the training; −1 is the newest.")

    def __post_init__(self) -> None:
        if self.run is not None:
            moment = self.moment
            loss = family.turned(self.run.recipe.loss_at(moment.step), moment.knobs)
            object.__setattr__(self, "losses", (loss,))
        elif not self.losses:
            object.__setattr__(self, "losses", (family.starting(self.about[0] if self.about else ArcFace),))
        super().__post_init__()
        if self.about and not isinstance(core(self.losses[0]), self.about):
            *most, last = [kind.card.title for kind in self.about]
            named = f"{', '.join(most)} or {last}" if most else last
            raise ValueError(f"This picture is of {named}; here the loss is {self.names[0]}.")

    @property
    def moment(self) -> Snapshot:
        """The snapshot that is looked at."""
        return snapshot_of(self.run, self.snapshot)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, self.run.probe.names)) if self.run is not None else self._by_hand.classes

    @property
    def batch(self) -> int:
        return self.run.recipe.batch if self.run is not None else BATCH

    def head(self) -> Head:
        """The head in `eval` and double precision: of the run as it stood, or one that knows the samples by hand."""
        if self.run is None:
            return self._by_hand.head(self.losses[0])
        return head_at(self.run.recipe, self.moment).double().requires_grad_(False)

    def cloud(self) -> Cloud:
        """The samples that got margins."""
        return trained_on(self.run, self.moment) if self.run is not None else self._by_hand.cloud()

    @property
    def _by_hand(self) -> OnBall:
        named = ("losses", "sizes", "concentrations", "length")
        return OnBall(**{name: getattr(self, name) for name in named})


def trained_on(run: Run, moment: Snapshot) -> Cloud:
    """The samples of a snapshot that were trained on, with the labels that training was told."""
    chosen = run.probe.split == 0
    return Cloud(torch.from_numpy(moment.embedding[chosen]).double(), torch.from_numpy(run.probe.labels[chosen]))


def core(loss: Loss) -> Loss:
    """The loss that gives margins: what a term was added to."""
    return core(loss.base) if isinstance(loss, Term) else loss


def seen(head: Head, embedding: Tensor, label: Tensor) -> tuple[Loss, Angles]:
    """The loss that gives margins at this step, and what it sees of these samples."""
    loss, a = head.loss.at(head.step), head.angles(embedding, label)
    while isinstance(loss, Term):
        loss, a = loss.base, inner(a)
    return loss, a


def shuffled(cloud: Cloud) -> Cloud:
    """The samples in an order that mixes the classes as training does, the same each time."""
    order = torch.randperm(len(cloud.label), generator=torch.Generator().manual_seed(0))
    return dataclasses.replace(cloud, embedding=cloud.embedding[order], label=cloud.label[order])


def in_degrees(radians: float) -> str:
    """A margin as a sentence says it: "0.30 rad (17.2°)"."""
    return f"{radians:.2f} rad ({math.degrees(radians):.1f}°)"
