"""What stands around the gallery of margin samples: runs that make one point each, and what the link keeps."""

from dataclasses import dataclass

import streamlit as st

from losslab import losses
from losslab.training import Recipe

from . import runs
from .stage import GROUPS, seen_in

KEY = "margin_samples"  # of the stage
SPLITS = ("all", "train", "test")
WHAT = (
    "All images of a snapshot, the smallest gap first: how far its own class is ahead of the best other one, less "
    "the margin. Click one to see its whole training; scrub back to where it was still wrong."
)


@dataclass(frozen=True)
class Preset:
    """A run to train, and one thing that it shows: as true in numbers as in words, see tests/test_margin_samples.py."""

    title: str
    why: str
    recipe: Recipe


PRESETS = [
    Preset(
        "A fifth of the labels is wrong",
        "One training image in five was given a wrong label. The network does not learn those: nearly all of them stay "
        "**wrong**, for it sees what they really are, and it still tells the test images apart. Press **mislabelled "
        "only**.",
        Recipe(loss=losses.make("ArcFace", scale=8.0, margin=0.3), noise=0.2),
    ),
    Preset(
        "Few images of some classes",
        "The last class has a tenth of the images of the first. KappaFace gives small classes the wider margin: most "
        "images of the last three never get **beyond** theirs, while nearly all of the first three do.",
        Recipe(loss=losses.starting("KappaFace"), imbalance=10),
    ),
    Preset(
        "A margin that nobody can clear",
        "With a margin of 1.2 rad (69°) the network tells the digits apart as well as ever, yet nearly every image "
        "stands **inside the margin**: ten classes on a sphere cannot all be more than 66° apart.",
        Recipe(loss=losses.make("ArcFace", scale=16.0, margin=1.2)),
    ),
]


def preset_chosen() -> None:
    """Train the preset's run, or show it where it is there already."""
    if chosen := next((p for p in PRESETS if p.title == st.session_state.samples_preset), None):
        forget()
        runs.train(chosen.recipe)


def open_run() -> None:
    if st.session_state.samples_opened:
        forget()
        st.session_state.samples_preset = None
        st.query_params["run"] = st.session_state.samples_opened


def to_playground(run: str) -> None:
    """A button that opens the Playground with this run and its recipe."""
    if st.button(
        "Train this on the Playground", icon=":material/play_arrow:", on_click=runs.show, args=(run,), key="take_run"
    ):
        st.switch_page("pages/1_playground.py", query_params={"run": run})


# -- what the link keeps: run, sample, groups, mislabelled, split, step -----------------------------------------------


def start() -> dict:
    """Where the link says to begin; what it says wrongly is passed over."""
    said = st.query_params
    groups = [name for name in GROUPS if name in said["groups"].split(",")] if "groups" in said else list(GROUPS)
    return {
        "sample": whole(said.get("sample")),
        "groups": groups,
        "mislabelled": said.get("mislabelled") == "1",
        "split": said["split"] if said.get("split") in SPLITS else SPLITS[0],
        "step": whole(said.get("step")),
    }


def whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else None


def seen() -> None:
    """The gallery has come to rest: the link follows."""
    now = seen_in(KEY)
    forget()
    said = {
        "sample": now["sample"],
        "groups": ",".join(now["groups"]) if len(now["groups"]) < len(GROUPS) else None,
        "mislabelled": 1 if now["mislabelled"] else None,
        "split": now["split"] if now["split"] != SPLITS[0] else None,
        "step": now["step"],
    }
    st.query_params.update({name: value for name, value in said.items() if value is not None})


def forget() -> None:
    """Drop what the link says of the gallery."""
    for name in ("sample", "groups", "mislabelled", "split", "step"):
        st.query_params.pop(name, None)
