"""A training at one snapshot as the stage shows it: which samples, in which ink, with zones or without."""

import dataclasses

import numpy as np

from losslab.catalogue import knob
from losslab.geometry import unit
from losslab.scene import PLANE, Axis, Path, Points, Scene, Zones

from .ball import MOST_SAMPLES, class_directions
from .boundaries import Boundaries
from .planefield import borders, kept

SPLITS = {"all": (0, 1), "train": (0,), "test": (1,)}  # by the marks of `Probe.split`
ROOM = 1.1  # how far the plane goes, the longest embedding shown being 1


class Embeddings(Boundaries):
    """The samples of a run's snapshot on the circle or the sphere, or in the plane. ValueError without a run."""

    card = "The samples of a training at one snapshot, with the zone of each class; the grey strip is nobody's."
    of_losses = False
    split: str = knob("all", choices=tuple(SPLITS), help="Samples that were trained on, or that were held out.")
    colour: str = knob("class", choices=("class", "gap", "loss"), help="What the ink of a sample says.")
    zones: bool = knob(True, help="The zone in which each class clears its margin.")
    plane: bool = knob(False, help="Embeddings of two dimensions as they are, not on the circle.")
    hidden: tuple[float, ...] = ()  # classes that are left out, by their numbers

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.run is None:
            raise ValueError("This picture is of a training: open a run.")
        if self.plane and self.dim != 2:
            raise ValueError("Only embeddings of two dimensions have a plane; this run has three.")
        object.__setattr__(self, "losses", (self.run.recipe.loss,))

    def scene(self) -> Scene:
        if self.plane:
            return self._in_plane()
        scene = super().scene()
        if self.zones:
            return scene
        marks = tuple(mark for mark in scene.marks if not isinstance(mark, Zones) and mark.role != "narrowest")
        return dataclasses.replace(scene, marks=marks, says=f"{sentence(self.counted())}.", notes=())

    def sample_points(self) -> Points:
        mine = self.shown()
        return Points(role="sample", at=unit(self.cloud().embedding)[0].numpy()[mine], **self._ink(mine))

    def shown(self) -> np.ndarray:
        """Which samples, by their numbers [n]."""
        probe = self.run.probe
        mine = np.isin(probe.split, SPLITS[self.split]) & ~np.isin(probe.labels, np.array(self.hidden))
        return np.flatnonzero(mine)[:: -(-int(mine.sum()) // MOST_SAMPLES) or 1]

    def _ink(self, mine: np.ndarray) -> dict:
        if self.colour == "class":
            return {"each": self.run.probe.labels[mine]}
        value, name = {
            "gap": (self.moment.gap, "Gap: above 0 the margin is cleared"),
            "loss": (self.moment.loss, "Loss of the sample"),
        }[self.colour]
        return {"value": value[mine].astype(float), "name": name}

    def counted(self) -> str:
        """How many of the samples that are shown are right, and how many clear their margin."""
        if not len(mine := self.shown()):
            return "no sample is shown"
        right, clear = self.moment.correct[mine].mean(), (self.moment.gap[mine] > 0).mean()
        return f"of {len(mine)} samples {100 * right:.1f} % are right and {100 * clear:.1f} % clear their margin"

    def _in_plane(self) -> Scene:
        mine, head = self.shown(), self.trained_head
        embedding = self.moment.embedding[mine].astype(float)
        longest = float(np.linalg.norm(embedding, axis=1).max(initial=0)) or 1.0
        at = 0.95 * longest * class_directions(head).numpy()
        reach = ROOM * longest
        marks = [
            Path(role="boundary", name="the winner changes", at=borders(head, reach)),
            *(Path(role="spoke", of=k, at=np.stack([0 * end, end])) for k, end in enumerate(at)),
            Points(role="sample", at=embedding, **self._ink(mine)),
            Points(role="prototype", at=at, each=np.arange(len(at)), words=self.classes),
        ]
        if (centre := kept(head)) is not None:
            centre = centre.double().numpy()
            marks.append(
                Points(role="cross", name="centres that the loss keeps", at=centre, each=np.arange(len(centre)))
            )
        return Scene(
            title=f"Embeddings at step {self.moment.step}",
            says=f"{sentence(self.counted())}.",
            space=PLANE,
            marks=tuple(marks),
            x=Axis("Embedding x₁", "", -reach, reach),
            y=Axis("Embedding x₂", "", -reach, reach),
            names=self.classes,
            by_class=True,
        )


def sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
