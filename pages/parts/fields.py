"""What Gradient fields shows and opens with, and how it looks at a training."""

import math

from losslab import ArcFace, CenterLoss, IntraLoss, MarginLoss, NormFace, Softmax
from losslab.losses import PairLoss

from . import board, places


def on_circle(*degrees: float) -> tuple[tuple[float, ...], ...]:
    """Directions on the circle at these angles."""
    return tuple((round(math.cos(math.radians(at)), 4), round(math.sin(math.radians(at)), 4), 0.0) for at in degrees)


PLANE = {"surface": "plane", "prototypes": on_circle(20, 95, 165, 235, 300), "drops": on_circle(60, 130, 200, 270, 340)}
SATURATED = ArcFace(scale=64, margin=0.5)

PAGE = board.Page(
    key="fields",
    panels=("Field", "Profile"),
    balls=("Field",),
    hidden=("prototypes", "sizes", "concentrations", "run", "label", "drops"),
    fitted=lambda state, controls: fitted(state, controls),
    offered=lambda kind: not issubclass(kind, PairLoss),
    presets=(
        board.Preset(
            "Farthest is not hardest",
            "A sample that stands right opposite its prototype is as wrong as can be, and yet it is pushed with 6.9, a "
            "quarter of the 27.8 that it feels at 99°: the cosine is flat where it ends. Three samples were dropped, "
            "and follow the push: drag them, or click to drop another.",
            (ArcFace(scale=16, margin=0.5),),
        ),
        board.Preset(
            "The far side",
            "Three classes at 0°, 40° and 180°. 10° from its prototype, ArcFace pulls a sample of class 0 with 72 on "
            "the side of its neighbour, and on the far side not at all: with −0.001 it is even pushed outwards, for "
            "the softmax is sure of it. What the term of IntraLoss (a reconstruction) adds is drawn alone: 11 on the "
            "far side, and 0.05 on the side of the neighbour.",
            (IntraLoss(base=SATURATED, weight=1.0), SATURATED),
            {
                "surface": "circle",
                "prototypes": on_circle(0, 40, 180),
                "drops": on_circle(100, 330),
                "shown": "added term",
                "logarithmic": True,
            },
        ),
        board.Preset(
            "What detached leaves out",
            "Widely used code gives the margin's value the plain cosine's slope. 10° from its prototype the own "
            "class then pulls 3.6 times less hard than the loss says, at 76° (the pale ring) just as hard, and "
            "farther out harder. So detached hurries samples across the sphere and goes easy where they should land.",
            (ArcFace(scale=16, margin=0.5),),
            {"shown": "exact minus detached", "both_gradients": True},
        ),
        board.Preset(
            "A scale too small",
            "With scale 1 no sample comes to its prototype, wherever it begins: all end 37° beside it, where the "
            "others push as hard as the own class pulls. With scale 64 there is room to rest: within 20° of the "
            "prototype nothing pushes by more than 0.02.",
            (NormFace(scale=1), NormFace(scale=64)),
            {"draw": "streamlines", "logarithmic": True},
        ),
        board.Preset(
            "Stuck on the circle",
            "From more than a fifth of the circle there is no way home: a sample that is dropped there ends 129° "
            "from its prototype, held up behind other classes. On the sphere it goes around them, and comes within "
            "40° from everywhere. Switch the surface to see it.",
            (ArcFace(scale=16, margin=0.5),),
            {"surface": "circle", "drops": on_circle(60, 110, 180, 250)},
        ),
        board.Preset(
            "Softmax never rests",
            "In the plane lengths count. Plain softmax pushes every sample along its own prototype, wherever it is: "
            "farther out without end, so there is no place of rest. 71 % of the push at length 5 makes embeddings "
            "longer or shorter, and only the rest turns them.",
            (Softmax(),),
            PLANE,
        ),
        board.Preset(
            "A centre to rest at",
            "Center loss around the same softmax has one place where nothing pushes any more, and from everywhere "
            "samples end there. It is not the centre (the cross, at length 5.0) but lies beyond it, at 5.4: softmax "
            "still drags.",
            (CenterLoss(base=Softmax(), weight=0.05),),
            PLANE,
        ),
        board.Preset(
            "Only those who fail",
            "The hinge of Margin Loss (a reconstruction) alone, without its softmax. Where the own centre is nearer "
            "than every other by the margin, the push is exactly 0; everywhere else it is at least 6.1, the distance "
            "to the nearest other centre. There is nothing in between.",
            (MarginLoss(share=0.0, weight=1.0),),
            PLANE,
        ),
        board.Preset(
            "A trained run",
            "Digits after training on ArcFace, each with its own push. Half of all the push is on 18 of the 600 "
            "samples: most have arrived and feel next to nothing. At the start of the training it took 221 to carry "
            "half.",
            (ArcFace(scale=16, margin=0.3),),
            {"run": "arcface-sphere", "draw": "samples"},
        ),
    ),
)


def choose() -> None:
    """Where the prototypes stand: by hand or as a training left them. One of two dimensions has no sphere."""
    values = board.current(PAGE)[0]["values"]
    run = places.opened(values.get("run"))
    if run is not None and run.recipe.dim == 2 and values.get("surface", "sphere") == "sphere":
        values["surface"] = "circle"
    places.choose(PAGE)


def fitted(state: dict, controls: list[dict]) -> list[dict]:
    """The knobs that matter to what is drawn now."""
    values = PAGE.fields | state["values"]
    run = places.opened(values.get("run"))
    plane = values["surface"] == "plane"
    weighed = any(loss.weighs_norm for loss in state["losses"])
    matters = {
        "snapshot": run is not None,
        "surface": run is None or run.recipe.dim == 2,
        "length": run is None and (plane or weighed),
        "density": not plane and values["draw"] == "arrows",
        "zones": not plane,
        "prototype_pushes": not plane,
    }
    shown = []
    for control in controls:
        if control["name"] == "snapshot" and run is not None:
            control |= {"low": 0, "high": max(len(run) - 1, 1)}
        if control["name"] == "surface" and run is not None:
            control |= {"choices": ("circle", "plane")}
        if matters.get(control["name"], True):
            shown.append(control)
    return shown
