"""What stands around the stage of a training at full scale: which one, how it stands, what is measured, what it is."""

import json
from pathlib import Path

import pandas as pd
import streamlit as st

from losslab import losses, scale
from losslab.catalogue import knobs
from losslab.live.pool import LIVE
from losslab.scale.logs import COLUMNS, lines
from losslab.scale.recipe import ScaleRecipe
from losslab.training import Run

from . import server

START = "torchrun --nproc-per-node 8 -m losslab scale casia-r50-arcface --out runs/arcface-r50"
CHARTS = {
    "loss": "Loss, over all classes",
    "rate": "Step size",
    "images_a_second": "Images a second",
    "gradient": "Length of the gradient",
}
POINTS = 1000  # of a curve that are drawn


def trainings() -> dict[str, tuple[Run, ScaleRecipe]]:
    """Trainings at full scale in the folder of runs, by id, the newest first."""
    found = []
    for path in server.runs().glob("*/scale.json"):
        try:
            recipe = ScaleRecipe.from_dict(json.loads(path.read_text(encoding="utf-8")))
            found.append((path.stat().st_mtime, path.parent.name, (Run(path.parent), recipe)))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # not one that can be shown, or not yet
    return {id: training for _, id, training in sorted(found, key=lambda each: each[0], reverse=True)}


def how_to_start() -> None:
    st.info(
        f"There is no training at full scale in the folder of runs, {server.runs()}. The command line starts one, on "
        "as many GPUs as there are; it can be watched here while it trains."
    )
    st.code(START, language="sh")
    st.caption("Recipes: " + ", ".join(f"`{name}`" for name in scale.recipes()) + ".")


def choose(there: dict[str, tuple[Run, ScaleRecipe]]) -> str:
    """The id of the training to look at; the link carries it."""
    asked = st.query_params.get("run")

    def chosen() -> None:
        st.query_params["run"] = st.session_state.training

    return st.selectbox(
        "Training",
        list(there),
        list(there).index(asked) if asked in there else 0,
        format_func=lambda id: f"{there[id][1].title or losses.title(there[id][1].loss)} · {id}",
        key="training",
        on_change=chosen,
    )


@st.fragment(run_every=2)
def headline(run: Run, recipe: ScaleRecipe) -> None:
    """How it stands at this moment."""
    rows = table(run.path)
    status = run.status
    last = rows.iloc[-1] if len(rows) else None
    step = 0 if last is None else int(last["step"])
    small = {"width": "content", "height": "content"}
    with st.container(horizontal=True, gap="large", vertical_alignment="center"):
        going = status.state in LIVE
        st.badge(
            "training" if status.state == "running" else status.state,
            color="green" if going else "gray" if status.state == "done" else "orange",
        )
        st.metric("Step", f"{step} of {run.total_steps}", **small)
        if last is not None:
            st.metric("Epoch", f"{last['epoch']:.2f} of {recipe.epochs}", **small)
            st.metric("Loss", f"{last['loss']:.3f}", **small)
            st.metric("Images a second", f"{last['images_a_second']:.0f}", **small)
            if going and last["images_a_second"] > 0:
                left = (run.total_steps - step) * recipe.batch / last["images_a_second"]
                st.metric("Left", duration(left), **small)
    if status.reason:
        st.warning(status.reason)


def duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min" if minutes else "under a minute"


def shown(run: Run, recipe: ScaleRecipe) -> str:
    count = len(run.probe.names)
    return (
        f"{count} identities of {recipe.source} with their prototypes among all classes. Loss and gap of a dot are "
        "those among the identities shown; the curves below are over all classes."
    )


@st.fragment(run_every=2)
def measured(run: Run) -> None:
    """What the training measures on its way."""
    rows = table(run.path)
    if len(rows) < 2:
        return
    every = -(-len(rows) // POINTS)
    for column, (name, title) in zip([*st.columns(2), *st.columns(2)], CHARTS.items(), strict=True):
        column.markdown(f"**{title}**")
        column.line_chart(rows[::every], x="step", y=name, x_label="step", y_label="", height=220)
    out = int(rows["left_out"].iloc[-1])
    if out:
        st.caption(f"Since it was last started, an image that could not be decoded was left out {out} times.")


def table(path: Path) -> pd.DataFrame:
    """What was measured so far."""
    try:
        return pd.DataFrame(lines(path / "metrics.csv"), columns=COLUMNS).astype(float)
    except (OSError, ValueError):
        return pd.DataFrame(columns=COLUMNS, dtype=float)


def stated(recipe: ScaleRecipe) -> None:
    """What the recipe says in words, and every value of it."""
    with st.expander("Recipe"):
        for name, said in recipe.stated.items():
            st.markdown(f"**{name.capitalize()}.** {said}")
        values = {"loss": losses.written(recipe.loss)} | {name: getattr(recipe, name) for name in knobs(recipe)}
        st.dataframe(pd.DataFrame({"value": {name: str(value) for name, value in values.items()}}), height="content")
