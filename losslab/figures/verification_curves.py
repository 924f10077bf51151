"""How well strangers are verified and identified: ROC and CMC."""

import numpy as np

from losslab.scene import CHART, Axis, Path, Plate, Scene
from losslab.training import Recipe, Run
from losslab.verification import all_pairs, cmc, roc
from losslab.views.base import listed
from losslab.views.verification import accepted, roc_scene

from .angle_history import apart
from .base import Trained
from .pair_angles import STRANGERS, stranger_embeddings

FAR = 0.01  # the false accept rate that is told of
DRAWS = 100  # of a gallery
TICKS = (1, 2, 3, 4, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


class VerificationCurves(Trained):
    """Both questions that a network is asked about strangers. *Is it the same person?* The share of pairs of one class
    that are accepted over that of two. *Who is it?* How often the own class is among the k nearest of a gallery with
    one sample of each, mean over `DRAWS` galleries. Strangers are classes that the recipe leaves out, or people that it
    holds out."""

    card = "ROC and CMC: how well each loss's network verifies and identifies classes that it has never seen."
    after = "ArcFace, Figure 11"
    recipe: Recipe = STRANGERS

    def plate(self, runs: tuple[Run, ...] = ()) -> Plate:
        found = dict(zip(apart(self.names), map(stranger_embeddings, runs), strict=True))
        pairs = {name: all_pairs(*each) for name, each in found.items()}
        curves = {name: roc(each.genuine, each.impostor) for name, each in pairs.items()}
        verified = roc_scene(curves)
        identified = cmc_scene({name: cmc(*each, draws=DRAWS) for name, each in found.items()})
        said = [f"{100 * accepted(curve, FAR):.1f} % with {name}" for name, curve in curves.items()]
        return Plate(
            title="Verification and identification of strangers",
            says=f"Where {100 * FAR:g} % of the pairs of two strangers are accepted, so are of the pairs of one "
            f"{listed(said)}. {identified.says}",
            panels=(verified, identified),
            heads=("Verification", "Identification"),
            columns=2,
            notes=(*verified.notes, *identified.notes),
        )


def cmc_scene(curves: dict[str, np.ndarray]) -> Scene:
    """The identification rate over the rank, on a logarithmic axis, mean over the draws of `verification.cmc`
    [draws g]; each curve by its name."""
    means = {name: rate.mean(0) for name, rate in curves.items()}
    size = max(map(len, means.values()))
    chance = np.arange(1, size + 1)
    marks = [Path(role="guide", name="by chance", at=np.stack([np.log10(chance), 100 * chance / size], 1))]
    marks += [
        Path(role="curve", of=i, name=name, at=np.stack([np.log10(np.arange(1, len(rate) + 1)), 100 * rate], 1))
        for i, (name, rate) in enumerate(means.items())
    ]
    ticks = [tick for tick in TICKS if tick <= size]
    said = [
        f"{100 * rate[:, 0].mean():.1f} % ± {100 * rate[:, 0].std():.1f} % with {name}" for name, rate in curves.items()
    ]
    return Scene(
        title="Strangers identified",
        says=f"In a gallery with one sample of each of {size} classes the own one is the nearest for {listed(said)} "
        "(mean and standard deviation over galleries).",
        space=CHART,
        marks=tuple(marks),
        x=Axis("Rank", "", 0, np.log10(size), tuple(np.log10(ticks).tolist()), words=tuple(map(str, ticks))),
        y=Axis("Identification rate", "%", 0, 101),
        names=tuple(curves),
    )
