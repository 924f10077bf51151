"""What stands below the stage of faces, true in all dimensions: angles, people, pairs that go wrong, verification."""

import dataclasses
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import streamlit as st
import torch

from losslab.data import DataError
from losslab.data import faces as on_disk
from losslab.data.faces.decode import fitted
from losslab.losses.kappaface import concentration
from losslab.metrics import NoStrangers, strangers
from losslab.render import screen
from losslab.render.style import DARK, LIGHT
from losslab.scene import Scene
from losslab.training import Run, RunError, restore
from losslab.verification import (
    RATES,
    Scored,
    TenFold,
    all_pairs,
    embed,
    equal_error_rate,
    hardest,
    histograms,
    pair_scores,
    roc,
    tar_at_far,
    ten_fold_accuracy,
)
from losslab.views.ball import class_margins
from losslab.views.rivals import Rivals
from losslab.views.verification import roc_scene, score_scene

from . import board, places

VIEWS = ("Rivals", "AnglesMatrix", "AngleHistograms")
STRANGERS = "People held out"
OFTEN = 5  # seconds from one look at a training that goes on to the next
HARDEST = 6  # pairs of each kind
ALIKE = 2  # of those at most with the same people,
CANDIDATES = 2000  # chosen from this many
SHOWN = 156  # px, the width of a pair


def sections(id: str, going: bool) -> None:
    """Choose and show what is known of a run beside its picture; a run that is trained is followed."""
    parts = {"Angles": angles, "People": people, "Hardest pairs": pairs, "Verification": verification}
    chosen = st.segmented_control(
        "Exact in all dimensions", list(parts), default="Angles", required=True, key="exact", bind="query-params"
    )
    st.fragment(parts[chosen], run_every=OFTEN if going else None)(id, going)


def angles(id: str, going: bool) -> None:
    """Own angle against the nearest other with the margin line, prototypes against each other, and histograms."""
    last = len(places.opened(id)) - 1
    knob = board.Page(key="angles", panels=VIEWS, presets=()).controls["snapshot"]
    slider = [] if going or last < 1 else [dataclasses.replace(knob, low=0, high=last)]
    values = {"run": id, "snapshot": -1 if going else last}
    board.panels("face_angles", VIEWS, values, slider, repr((values, last)))


def people(id: str, going: bool) -> None:
    """A row for each identity, the hardest first: how tight it is, who is nearest, how much of it clears the margin."""
    run = places.opened(id)
    seen = Rivals(run=run)
    margins = class_margins(seen.head, float(np.median(seen.seen.norm)) or 1.0)
    rows = []
    for k, name in enumerate(seen.classes):
        mine = run.probe.labels == k
        if not mine.any():
            continue
        mean = seen.seen.direction[mine].mean(0).norm()
        rival = int(np.nanargmin(seen.between_deg[k]))
        rows.append(
            {
                "Person": name,
                "Images": int(mine.sum()),
                "Own angle (°)": float(np.median(seen.own_deg[mine])),
                "Concentration κ": float(concentration(mean, run.recipe.dim)) if mine.sum() > 1 else None,
                "Nearest person": seen.classes[rival],
                "Their angle (°)": float(seen.between_deg[k, rival]),
                **({"Margin (°)": margins[k]} if margins else {}),
                "Beyond the margin (%)": 100 * float((seen.moment.gap[mine] > 0).mean()),
            }
        )
    rows.sort(key=lambda row: (row["Beyond the margin (%)"], -row["Own angle (°)"]))
    one, words = st.column_config.NumberColumn(format="%.1f"), ("Person", "Images", "Nearest person")
    st.dataframe(rows, hide_index=True, column_config={name: one for name in rows[0] if name not in words})
    st.caption(
        f"Of the images in the picture at step {seen.moment.step}, the hardest person first. κ is the concentration of "
        "a von Mises-Fisher distribution: the larger, the tighter."
        + (" The margin is that of a sample of median length, 45° from its prototype." if margins else "")
    )


# -- people whom training never saw ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Test:
    """Embedded images, and the pairs of them that are compared."""

    images: np.ndarray  # uint8 [n c h w]
    names: tuple[str, ...]  # [n]
    embedding: np.ndarray  # [n d]
    label: np.ndarray | None  # int64 [n]; None where pairs are given
    scored: Scored
    folds: TenFold | None
    step: int


def pairs(id: str, going: bool) -> None:
    """The pairs of one person that are farthest apart, and those of two that are nearest, as images."""
    found = tested(id, STRANGERS)
    if found is None:
        return
    genuine, impostor = hardest(found.embedding, found.label, CANDIDATES)
    for title, part in (("One person, far apart", genuine), ("Two people, close together", impostor)):
        st.markdown(f"**{title}**")
        with st.container(horizontal=True, gap="small"):
            for at in varied(part, found.label):
                a, b = part.first[at], part.second[at]
                deg = np.degrees(np.arccos(np.clip(part.cosine[at], -1, 1)))
                names = " · ".join(dict.fromkeys((found.names[a], found.names[b])))
                st.image(side_by_side(found.images[[a, b]]), width=SHOWN, caption=f"{names}: {deg:.0f}°")
    st.caption(f"Of {len(found.names)} images of people whom training never saw, by the network of step {found.step}.")


def varied(part: Scored, label: np.ndarray) -> list[int]:
    """Which pairs to show, worst first: not all of the same two people."""
    shown: Counter[tuple[int, int]] = Counter()
    chosen = []
    for at, who in enumerate(zip(*np.sort([label[part.first], label[part.second]], axis=0).tolist(), strict=True)):
        if shown[who] < ALIKE:
            shown[who] += 1
            chosen.append(at)
    return chosen[:HARDEST]


def verification(id: str, going: bool) -> None:
    """Both errors over all thresholds, at the rates that papers report, by the field's protocol, and the scores."""
    chosen = st.selectbox("Verify on", [STRANGERS, *pair_sets()], key="verify_on", bind="query-params")
    found = tested(id, chosen)
    if found is None:
        return
    genuine, impostor = found.scored.genuine, found.scored.impostor
    curve, reported = roc(genuine, impostor), tuple(tar_at_far(genuine, impostor, far) for far in RATES)
    rate = equal_error_rate(genuine, impostor)
    with st.container(horizontal=True, gap="medium"):
        # What stands below a number makes all cards equally tall.
        small = {"delta_color": "off", "delta_arrow": "off", "border": True}
        st.metric("Equal error rate", f"{100 * rate:.1f} %", f"{len(genuine) + len(impostor)} pairs", **small)
        if found.folds:
            st.metric(
                "Ten-fold accuracy", f"{100 * found.folds.mean:.2f} %", f"± {100 * found.folds.spread:.2f}", **small
            )
        for each in reported:
            st.metric(
                f"TAR at FAR {each.far:g}",
                f"{100 * each.tar:.1f} %",
                f"{100 * each.low:.0f} to {100 * each.high:.0f}",
                **small,
                help=each.note or "95 of 100 resamplings of the pairs lie in the range below.",
            )
    scenes = roc_scene({chosen: curve}, {chosen: reported}), score_scene(histograms(genuine, impostor))
    for column, scene in zip(st.columns(2), scenes, strict=True):
        with column:
            draw(scene)
    st.caption(
        f"{len(genuine)} pairs of one person and {len(impostor)} of two, with the network of step {found.step}; an "
        "embedding is the sum of those of the image and its mirror image."
    )
    if chosen == STRANGERS:
        st.page_link(
            "pages/9_paper_figures.py",
            label="Send to paper",
            icon=":material/article:",
            query_params={"figure": "VerificationCurves", "runs": id},
        )


def tested(id: str, chosen: str) -> Test | None:
    """The images of `chosen`, embedded with the newest weights; where there are none, it is said why."""
    run = places.opened(id)
    try:
        stamp = (run.path / "weights.npz").stat().st_mtime_ns
        return embedded(str(run.path), stamp, chosen)
    except (NoStrangers, DataError, RunError, ValueError) as error:
        st.info(str(error))
    except OSError:
        st.info("This run has no trained network yet: wait for its first steps, or train it again.")
    return None


@lru_cache(maxsize=8)
def embedded(path: str, stamp: int, chosen: str) -> Test:
    """`stamp` is when the weights were written: others give other embeddings."""
    run = Run(path)
    model, _, step = restore(run, newest=True)
    if chosen == STRANGERS:
        found = strangers(run.recipe)
        embedding, label = embed(model, found.images), found.labels.numpy()
        names = tuple(str(found.names[k]) for k in label)
        return Test(found.images.numpy(), names, embedding, label, all_pairs(embedding, label), None, step)
    given, faces = on_disk.pair_set(chosen), run.recipe.faces
    images = np.stack([fitted(given.image(i), faces.size, faces.crop, faces.grey) for i in range(2 * len(given))])
    embedding = embed(model, torch.from_numpy(images))
    folds = ten_fold_accuracy(embedding, given.same)
    return Test(images, ("",) * len(images), embedding, None, pair_scores(embedding, given.same), folds, step)


@st.cache_data(ttl=10, show_spinner=False)
def pair_sets() -> list[str]:
    return list(on_disk.pair_sets())


def side_by_side(images: np.ndarray) -> np.ndarray:
    """uint8 [n c h w] as one image [h n·w c]."""
    return np.concatenate(list(images.transpose(0, 2, 3, 1)), axis=1).squeeze()


def draw(scene: Scene) -> None:
    """A scene that nothing turns, in the theme of the page."""
    st.markdown(f"**{scene.title}**")
    figure = screen.figure(scene, DARK if st.context.theme.type == "dark" else LIGHT)
    figure["layout"] |= {"paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "height": 380}
    st.plotly_chart(figure, theme=None, config={"displayModeBar": False}, key=scene.title)
    st.caption(" ".join([scene.says, *scene.notes]))
