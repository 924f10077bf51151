"""What pictures of true angles share: a run of any dimension and one of its snapshots. Nothing is projected: what they
show is as exact in 512 dimensions as on the circle."""

from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from losslab.catalogue import knob
from losslab.geometry import angle, unit
from losslab.head import Head
from losslab.losses import Angles
from losslab.training import Run, Snapshot, head_at

from .base import View, begun, snapshot_of

MANY = 1_000_000  # more snapshots than any run has


class TrueAngles(View):
    """A picture of a run's angles in all its dimensions. ValueError without a run, or for one with nothing to show."""

    of_losses = False
    run: Run | None = None  # the training that is looked at
    snapshot: int = knob(-1, -1, MANY, step=1, help="Which snapshot of the training; −1 is the newest.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.run is not None:
            begun(self.run)

    @cached_property
    def moment(self) -> Snapshot:
        """The snapshot that is looked at."""
        if self.run is None:
            raise ValueError("This picture is of a training: open a run.")
        return snapshot_of(self.run, self.snapshot)

    @cached_property
    def head(self) -> Head:
        """The head as it stood, in `eval` and double precision."""
        return head_at(self.run.recipe, self.moment).double().requires_grad_(False)

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(map(str, self.run.probe.names))

    @cached_property
    def seen(self) -> Angles:
        """What the loss sees of the snapshot's samples, with the labels that training was told."""
        embedding, label = self.moment.embedding, self.run.probe.labels
        return self.head.angles(torch.from_numpy(embedding).double(), torch.from_numpy(label))

    @cached_property
    def own_deg(self) -> np.ndarray:
        """Degrees from each sample to its own prototype, [n]; of several sub-centres the nearest."""
        return degrees_of(self.seen.target)

    @cached_property
    def other_deg(self) -> np.ndarray:
        """Degrees from each sample to the nearest prototype of another class, [n]."""
        return degrees_of(self.seen.others(self.seen.cosine).amax(1))

    @cached_property
    def between_deg(self) -> np.ndarray:
        """Degrees between the prototypes of any two classes, [C C]; of several sub-centres the nearest two. NaN where a
        class meets itself."""
        rows = unit(self.head.prototypes)[0]
        count, each = self.head.classes, len(rows) // self.head.classes
        cosine = (rows @ rows.T).view(count, each, count, each).amax((1, 3))
        deg = degrees_of(cosine)
        np.fill_diagonal(deg, np.nan)
        return deg

    @property
    def when(self) -> str:
        return f"at step {self.moment.step}"


def degrees_of(cosine: Tensor) -> np.ndarray:
    return angle(cosine.clamp(-1, 1)).rad2deg().numpy()


def farthest_deg(classes: int) -> float:
    """The angle that not all pairs of so many directions can exceed, whatever their dimension: that of a simplex."""
    return float(np.degrees(np.arccos(-1 / (classes - 1))))
