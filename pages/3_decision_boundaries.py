"""Who wins where on the circle and the sphere, and the strip that a margin keeps empty."""

import math

import streamlit as st

from losslab import ArcFace, ElasticFace, InterFace, KappaFace, losses
from losslab.losses import CosFace, SphereFace
from pages.parts import board, places


def on_circle(*degrees: float) -> tuple[tuple[float, ...], ...]:
    """Prototypes on the circle at these angles."""
    return tuple((round(math.cos(math.radians(at)), 4), round(math.sin(math.radians(at)), 4), 0.0) for at in degrees)


PAGE = board.Page(
    key="boundaries",
    panels=("Boundaries", "Crossing"),
    balls=("Boundaries",),
    most=2,
    hidden=("prototypes", "sizes", "concentrations", "run", "chosen"),
    fitted=lambda state, controls: places.fitted(PAGE, state, controls),
    presets=(
        board.Preset(
            "CosFace, near and far",
            "CosFace asks for the same lead in cosine everywhere. In degrees that is most where there is least room: "
            "between 1 and 3, the nearest two, 27° stay empty; between 1 and 4, twice as far apart, only 15°. ArcFace "
            "(dashed) leaves 17° and 19°. Drag a prototype and watch the grey strip.",
            (CosFace(scale=16, margin=0.2), ArcFace(scale=16, margin=0.3)),
        ),
        board.Preset(
            "SphereFace: the reverse",
            "SphereFace multiplies the angle, so its strip shrinks with the room there is: 4° between 0 and 1, which "
            "stand 40° apart and are the easiest to confuse, and 10° between classes 110° apart. CosFace (dashed) "
            "asks for 34° and 14° there.",
            (losses.starting(SphereFace), CosFace(scale=16, margin=0.2)),
            {"surface": "circle", "prototypes": on_circle(0, 40, 140, 250)},
        ),
        board.Preset(
            "Ten classes, no room",
            "Not one direction of this circle clears CosFace's margin of 0.2: even a sample right on its own prototype "
            "is only 1 − cos 36° = 0.19 ahead of the next. Turn m to 0.19 and ten slivers appear. ArcFace's 0.3 rad "
            "(dashed) still leaves each class 19°.",
            (CosFace(scale=16, margin=0.2), ArcFace(scale=16, margin=0.3)),
            {"surface": "circle", "prototypes": on_circle(*range(0, 360, 36))},
        ),
        board.Preset(
            "KappaFace",
            "Class 1 has 12 scattered images, class 0 has 160 tight ones. KappaFace gives class 1 the margin three "
            "times as wide, 21° against 7°, so it keeps less than half of the region where it wins, and class 0 four "
            "fifths of its own. Set images and concentrations yourself.",
            (KappaFace(scale=16, margin=0.5),),
            {
                "samples": True,
                "sizes": (160.0, 12.0, 40.0, 40.0, 40.0),
                "concentrations": (90.0, 6.0, 40.0, 40.0, 40.0),
            },
        ),
        board.Preset(
            "ElasticFace breathes",
            "On average ElasticFace is ArcFace with a strip of 17°, but every sample draws a margin of its own, anew "
            "in each step: the first six draws leave from 11° to 19° (faint). Press **Breathe** to go through them.",
            (ElasticFace(scale=16, margin=0.3),),
        ),
        board.Preset(
            "InterFace bends",
            "ArcFace (dashed) asks every sample to be 17° nearer to its own prototype than to any other. InterFace "
            "asks for more the farther out a sample is: at the edge of class 0, 19° of one near to its prototype and "
            "27° of one far from it, because there the other classes are moved nearer.",
            (InterFace(scale=16, margin=0.3, reach=0.3, beyond="monotone"), ArcFace(scale=16, margin=0.3)),
        ),
        board.Preset(
            "After a training",
            "The zones of a real training with NormFace: nearly all samples are right, and yet less than half of them "
            "would clear ArcFace's margin of 0.5 (dashed): nothing ever asked them to keep off the boundary. Of the "
            "training with ArcFace on the same digits nine in ten do.",
            (ArcFace(scale=16, margin=0.5),),
            {"run": "compare-normface"},
        ),
    ),
)

st.subheader("Who wins where, and by how much", anchor=False)
board.show(PAGE, more=lambda: places.choose(PAGE))
