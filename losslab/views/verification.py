"""How well pairs are told apart: the curve of both errors, and the scores that it is made of."""

from collections.abc import Mapping

import numpy as np

from losslab.scene import CHART, Axis, Path, Points, Scene
from losslab.verification import AtRate, Histogram, Roc

LOWEST = -4  # powers of ten: papers report down to a false accept rate of 1e-4
MOST_POINTS = 2000  # of one curve


def roc_scene(curves: Mapping[str, Roc], points: Mapping[str, tuple[AtRate, ...]] | None = None) -> Scene:
    """The share of genuine pairs accepted over that of impostors on a logarithmic axis: each curve by its name, with
    points of it and their confidence. ValueError for no curve."""
    if not curves:
        raise ValueError("A picture of both errors takes at least one curve.")
    chance = np.linspace(LOWEST, 0, 200)
    marks = [Path(role="guide", name="by chance", at=np.stack([chance, 100 * 10**chance], 1))]
    for i, (name, curve) in enumerate(curves.items()):
        marks.append(Path(role="curve", of=i, name=name, at=thinned(curve)))
        for each in (points or {}).get(name, ()):
            at = np.log10(each.far)
            ends = np.array([[at, 100 * each.low], [at, 100 * each.high]])
            marks.append(Path(role="spoke", of=i, at=ends))
            marks.append(Points(role="class", of=i, at=np.array([[at, 100 * each.tar]])))
    tars = [
        f"{name} accepts {100 * accepted(curve, 1e-2):.1f} % of the genuine pairs" for name, curve in curves.items()
    ]
    powers = np.arange(LOWEST, 1.0)
    notes = [each.note for found in (points or {}).values() for each in found if each.note]
    return Scene(
        title="Genuine and impostor pairs accepted",
        says=f"Where 1 % of the impostor pairs are accepted, {' and '.join(tars)}.",
        space=CHART,
        marks=tuple(marks),
        x=Axis(
            "False accept rate", "", LOWEST - 0.1, 0, tuple(powers.tolist()), words=tuple(f"{10**p:g}" for p in powers)
        ),
        y=Axis("True accept rate", "%", 0, 101),
        names=tuple(curves),
        notes=tuple(dict.fromkeys(notes)),
    )


def score_scene(found: Histogram, threshold: float | None = None) -> Scene:
    """How the cosines of genuine and impostor pairs are spread, and where the threshold stands, if there is one."""
    marks = [
        Path(role="bars", of=i, name=name, at=outline(found.edges, 100 * share))
        for i, (name, share) in enumerate((("one person", found.genuine), ("two people", found.impostor)))
    ]
    top = 100 * max(found.genuine.max(), found.impostor.max())
    if threshold is not None and np.isfinite(threshold):
        marks.append(Path(role="boundary", name="threshold", at=np.array([[threshold, 0], [threshold, top]])))
    middle = (found.edges[1:] + found.edges[:-1]) / 2
    means = [round(float((middle * share).sum()), 2) + 0.0 for share in (found.genuine, found.impostor)]
    shared = np.minimum(found.genuine, found.impostor).sum()
    return Scene(
        title="Scores of pairs",
        says=f"Pairs of one person have a mean cosine of {means[0]:.2f}, pairs of two {means[1]:.2f}; the two "
        f"histograms share {100 * shared:.0f} % of their area.",
        space=CHART,
        marks=tuple(marks),
        x=Axis("Cosine of the pair", "", -1, 1),
        y=Axis("Share of the pairs", "%", 0, 1.05 * top),
        names=("one person", "two people"),
    )


def thinned(curve: Roc) -> np.ndarray:
    """The curve as a picture needs it, [p 2]: powers of ten and per cent, from the first accepted impostor on, and
    before it from the left edge."""
    at = np.maximum(np.log10(np.maximum(curve.false_match, 1e-12)), LOWEST)
    # Of the thresholds between two accepted impostors the last accepts most genuine pairs.
    last = np.append(np.diff(at) > 0, True)
    line = np.stack([at, 100 * curve.true_match], 1)[last]
    if len(line) > MOST_POINTS:
        line = line[np.unique(np.linspace(0, len(line) - 1, MOST_POINTS).astype(int))]
    steps = np.repeat(line, 2, axis=0)[1:]  # level up to the next rate
    steps[1::2, 1] = steps[:-1:2, 1]
    return steps


def accepted(curve: Roc, far: float) -> float:
    """The largest share of genuine pairs accepted at a false accept rate not above `far`."""
    return float(curve.true_match[np.searchsorted(curve.false_match, far, side="right") - 1])


def outline(edges: np.ndarray, share: np.ndarray) -> np.ndarray:
    """A histogram's steps, [2 b 2]."""
    return np.stack([np.repeat(edges, 2)[1:-1], np.repeat(share, 2)], 1)
