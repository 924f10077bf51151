"""The margins that a run's loss gave its samples: the pictures that fit the loss, and the images behind them."""

import dataclasses
import math

import numpy as np
import streamlit as st

from losslab import data, losses, views
from losslab.live.pool import LIVE
from losslab.losses import KappaFace, Loss
from losslab.training import Run, RunError, Snapshot, head_at
from losslab.views.given import Given, core
from losslab.views.history import ADAPTIVE, OverTime

from . import board, samples, server

KEY = "margins"  # of the board
OFTEN = 5  # seconds from one look at a training that goes on to the next
IMAGES, ENLARGED = 10, 2  # in a row, and how many times their size


def margins_of_run(id: str) -> None:
    """Show what margins this run gave; a run that is still trained is followed."""
    live = state(id) in LIVE
    st.fragment(margins, run_every=OFTEN if live else None)(id, live)


def margins(id: str, live: bool) -> None:
    if live and state(id) not in LIVE:
        st.rerun()  # the snapshots can now be leafed through
    run = opened(id)
    if run is None or not len(run):
        return
    loss, last = core(head_at(run.recipe, run[-1]).loss), len(run) - 1
    st.subheader("The margins that the loss gave", anchor=False)
    if not isinstance(loss, ADAPTIVE):
        st.caption(
            f"{losses.title(loss)} has one rule for all samples. Train KappaFace, ElasticFace, InterFace, MagFace or "
            "AdaFace to see margins that differ from sample to sample."
        )
    values = {"run": id, "snapshot": -1 if live else last, "sample": chosen(run)}
    names = fitting(run, loss)
    now = board.panels(
        KEY, names, values, [] if live else controls(run, names), repr((values, names, last if live else None))
    )
    if isinstance(loss, KappaFace) and not live:
        extremes(run, run[min(now["snapshot"], last)])


def state(id: str) -> str:
    run = opened(id)
    return "" if run is None else (server.pool().known(id) or run.status).state


def opened(id: str) -> Run | None:
    path = server.find(id)
    try:
        return Run(path) if path else None
    except RunError:
        return None  # what is wrong with it is said where it would be shown


def chosen(run: Run) -> int:
    """The image that the gallery has pinned, by the link; −1 where there is none."""
    said = samples.whole(st.query_params.get("sample"))
    return said if said is not None and said < len(run.probe.labels) else -1


def fitting(run: Run, loss: Loss) -> list[str]:
    """The pictures of this loss, what changes over time last."""
    fits = {
        name: kind
        for name, kind in views.catalogue().items()
        if issubclass(kind, Given) and (not kind.about or isinstance(loss, kind.about))
    }
    if run.recipe.faces is None and not data.catalogue()[run.recipe.data].available():
        fits.pop("KappaBySize", None)  # how many images a class has, the data says
    return sorted(fits, key=lambda name: issubclass(fits[name], OverTime))


def controls(run: Run, names: list[str]) -> list:
    """The sliders: which snapshot, and where a picture is of one image, which."""
    known = board.Page(key=KEY, panels=names, presets=()).controls
    ranges = {"snapshot": (0, len(run) - 1), "sample": (-1, len(run.probe.labels) - 1)}
    return [
        dataclasses.replace(known[name], low=low, high=high)
        for name, (low, high) in ranges.items()
        if name in known and high > low
    ]


# -- KappaFace: the images of the class that it finds hardest, and easiest ------------------------------------


def extremes(run: Run, moment: Snapshot) -> None:
    loss, psi = core(head_at(run.recipe, moment).loss), class_shares(moment)
    if not isinstance(loss, KappaFace) or psi is None or psi.max() == psi.min():
        return
    for column, word, k in zip(
        st.columns(2), ("hardest", "easiest"), (int(psi.argmax()), int(psi.argmin())), strict=True
    ):
        images = nearest_first(run, moment, k)
        if len(images):
            column.image(
                sheet(images),
                output_format="PNG",
                caption=f"The {word} class for KappaFace, {run.probe.names[k]}: ψ = {psi[k]:.2f}, a margin of "
                f"{math.degrees(loss.margin * psi[k]):.1f}°. Its images with the smallest gaps.",
            )


def class_shares(moment: Snapshot) -> np.ndarray | None:
    """ψ [C] of a snapshot of KappaFace, also where a term is added to it."""
    return next((values for name, values in moment.memory.items() if name.split(".")[-1] == "psi"), None)


def nearest_first(run: Run, moment: Snapshot, k: int) -> np.ndarray:
    """The images of class k that are trained on and nearest to being wrong, the nearest first: [n height width]."""
    mine = np.flatnonzero((run.probe.labels == k) & (run.probe.split == 0))
    return run.probe.images[mine[np.argsort(moment.gap[mine], kind="stable")][:IMAGES]]


def sheet(images: np.ndarray) -> np.ndarray:
    """Images [n height width] side by side, enlarged, with a hair between them: uint8 [h w]."""
    framed = np.pad(images, ((0, 0), (0, 0), (0, 1)), constant_values=128)
    return np.hstack(list(framed))[:, :-1].repeat(ENLARGED, 0).repeat(ENLARGED, 1)
