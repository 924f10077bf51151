"""Places to start from: settings that make one point each, with the reason why."""

from dataclasses import dataclass, field
from typing import Any

from losslab import ArcFace, CosFace, ElasticFace, Linear, NormFace, Softmax, losses


@dataclass(frozen=True)
class Preset:
    """What to set (recipe fields; the rest at their defaults), and one paragraph of what to look at."""

    title: str
    why: str
    values: dict[str, Any] = field(default_factory=dict)


PRESETS = [
    Preset(
        "Why softmax is not enough",
        "Plain softmax only asks a class to win. Choose **plane**: the classes become petals, long where the network "
        "is sure, and neighbours touch. Nothing keeps them apart.",
        {"loss": Softmax(), "dim": 2},
    ),
    Preset(
        "Onto the sphere",
        "NormFace divides lengths out, so only the angle is left. Classes meet at the bisector of their prototypes; "
        "there is still no margin.",
        {"loss": NormFace(scale=16), "dim": 3},
    ),
    Preset(
        "ArcFace on a circle",
        "Every class must be nearer to its own prototype by an angle *m*. Ten classes share 360°, so 36° each: watch "
        "the white strips open between the coloured arcs.",
        {"loss": ArcFace(scale=16, margin=0.2), "dim": 2, "epochs": 20, "batch": 64},
    ),
    Preset(
        "ArcFace on the sphere",
        "The sphere has more room. The coloured outlines are where a class clears its margin: the samples move into "
        "them, and the strip between them empties.",
        {"loss": ArcFace(scale=16, margin=0.3), "dim": 3},
    ),
    Preset(
        "CosFace",
        "CosFace takes the margin from the cosine, not from the angle: the strip is not equally wide everywhere. "
        "Compare its outlines with ArcFace's.",
        {"loss": CosFace(scale=16, margin=0.2), "dim": 3},
    ),
    Preset(
        "A rubber band",
        "ElasticFace draws a new margin for every sample at every step, so no class is held to one fixed distance.",
        {"loss": ElasticFace(scale=16, margin=0.3, spread=0.1), "dim": 3},
    ),
    Preset(
        "Margin too large",
        "Ten classes with a margin of 1.2 rad (69°) do not fit on a circle. Most have no direction left that clears "
        "the margin, their arcs are gone, and classes end up on top of one another.",
        {"loss": ArcFace(scale=16, margin=1.2), "dim": 2},
    ),
    Preset(
        "Scale too small",
        "With a scale of 1 the softmax cannot decide even when every sample is perfect: the loss stops at a floor far "
        "above zero and classes stay wide.",
        {"loss": NormFace(scale=1), "dim": 3},
    ),
    Preset(
        "Growing margin",
        "The margin starts at nothing and grows over 400 steps: the strips between the classes open while you watch. "
        "Any knob can follow such a schedule.",
        {"loss": ArcFace(scale=16, margin=Linear(0, 0.4, steps=400)), "dim": 3},
    ),
    Preset(
        "Margins by class",
        "After each epoch KappaFace gives scattered and small classes a wider margin than tight and large ones: the "
        "outlines part after the first epoch.",
        {"loss": losses.starting("KappaFace"), "dim": 3},
    ),
    Preset(
        "Pull without push",
        "Center loss pulls each sample to the centre of its class and leaves the room between classes to softmax. "
        "Choose **plane**: petals shrink to heaps.",
        {"loss": losses.starting("CenterLoss"), "dim": 2},
    ),
    Preset(
        "No prototypes",
        "A triplet loss compares samples with one another only. What is drawn as a prototype is the mean of its class.",
        {"loss": losses.starting("Triplet"), "dim": 3},
    ),
    Preset(
        "Two prototypes each",
        "With two prototypes a class may live in two places: watch which classes use the second.",
        {"loss": losses.starting("SubCenterArcFace"), "dim": 3},
    ),
]
