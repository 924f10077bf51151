"""Sub-center ArcFace: several prototypes for a class (Deng et al., ECCV 2020)."""

from losslab.catalogue import knob

from .arcface import ArcFace
from .base import Card


class SubCenterArcFace(ArcFace):
    """s·cos(θ_y + m), where a class's cosine is the largest over its K prototypes."""

    card = Card(
        title="Sub-center ArcFace",
        year=2020,
        paper="Deng et al., ECCV 2020",
        family="Margin on the own class",
        formula=r"s\cos(\theta_y+m),\quad \cos\theta_j=\max_k\langle u,v_{jk}\rangle",
        geometry="A class may own several caps: strays and wrong labels gather around a prototype of their own.",
        use="With noisy labels: train with K = 3, keep each class's main prototype, drop what is over 75° away.",
        hazard="Too many prototypes and classes fall apart: the paper's K = 10 is far worse than K = 3.",
        source="K = 3, m = 0.5, s = 64 from the paper.",
        toy={"scale": 20.0, "margin": 0.2, "subcentres": 2},
    )
    subcentres: int = knob(3, 1, 10, step=1, symbol="K", help="Prototypes of each class.", fixed=True)
