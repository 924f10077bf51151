"""What a margin does to an angle: curves, slopes, regions, probabilities, and the ladder from softmax to ArcFace."""

import streamlit as st

from losslab import ArcFace, CosFace, NormFace, Softmax, SphereFace
from pages.parts import board, places

OPENING = (
    CosFace(scale=16, margin=0.35),
    ArcFace(scale=16, margin=0.5),
    SphereFace(margin=2, easing=0),
    Softmax(),
)

LABELS = {
    "scaled": "Times the scale",
    "length": "Embedding's length",
    "which": "Loss drawn",
    "between": "Between prototypes",
    "possible": "Pale where no sample can be",
    "others": "Others at",
    "loss": "Loss −log p instead",
    "rung": "Step",
    "first": "First class",
    "second": "Second class",
}


def fitted(state: dict, controls: list[dict]) -> list[dict]:
    """The knobs that matter: a run has its own loss, angle and lengths, and classes and snapshots to choose."""
    controls = [control | {"label": LABELS.get(control["name"])} for control in controls]
    run = places.opened(state["values"].get("run"))
    if run is None:
        of_runs = {"snapshot", "first", "second"} | ({"which"} if len(state["losses"]) == 1 else set())
        return [control for control in controls if control["name"] not in of_runs]
    regions = state["values"].get("show") == "regions"
    most = {"snapshot": len(run) - 1, "first": len(run.recipe.classes) - 1, "second": len(run.recipe.classes) - 1}
    return [
        control | ({"low": 0, "high": max(most[control["name"]], 1)} if control["name"] in most else {})
        for control in controls
        if control["name"] not in ("which", "between") and not (regions and control["name"] == "length")
    ]


def samples() -> None:
    """Lets a run's samples be put into the regions."""
    values = board.current(PAGE)[0]["values"]
    if values.get("show") != "regions":
        return
    chosen = values.get("run") or ""
    offered = places.known(chosen)
    st.session_state.angles_run = chosen if chosen in offered else None
    with st.popover("Samples of a run", icon=":material/scatter_plot:"):
        st.selectbox(
            "Recordings, and your own runs",
            list(offered),
            index=None,
            format_func=offered.get,
            key="angles_run",
            on_change=run_chosen,
            placeholder="None: the losses of this page",
        )
        st.caption("Draws what the run's own loss makes of two of its classes, and their samples where they ended.")


def run_chosen() -> None:
    state = board.current(PAGE)[0]
    values = {k: v for k, v in state["values"].items() if k not in ("run", "snapshot", "first", "second")}
    if run := places.opened(st.session_state.angles_run):
        values |= {"run": st.session_state.angles_run, "snapshot": len(run) - 1}
    board.put(PAGE, {"losses": state["losses"], "values": values})
    st.session_state.angles_preset = None


PAGE = board.Page(
    key="angles",
    panels=("Curves", "Slopes", "Regions", "CosineRegions", "Probability", "Ladder"),
    parts={
        "curves": ("Curves", "Slopes"),
        "regions": ("Regions", "CosineRegions"),
        "probability": ("Probability",),
        "ladder": ("Ladder",),
    },
    hidden=("run",),
    fitted=fitted,
    presets=(
        board.Preset(
            "Which margin is larger?",
            "ArcFace with m = 0.5 asks for more than CosFace with m = 0.35 only between 31° and 121°. Nearer than that "
            "CosFace is the stricter of the two: a sample exactly on its prototype gets 0.65 from it, and 0.88 from "
            "ArcFace.",
            OPENING,
        ),
        board.Preset(
            "The same margin, not the same width",
            "CosFace takes the same from every cosine. In degrees that is a strip of 49.5° beside the prototypes and "
            "of only 20.2° near 90°. Draw the second loss: ArcFace's strip is 28.6° wide everywhere.",
            OPENING[:2],
            {"show": "regions"},
        ),
        board.Preset(
            "The slope that most code takes",
            "Both have the same curve, and the same loss. But much training code gives the margin's value the plain "
            "cosine's slope (detached). On arrival that fades away, 0.09 against 0.55 at 5°, and from 76° on it is the "
            "stronger of the two: 0.50 against 0.02 at 150°.",
            (ArcFace(scale=16, margin=0.5), ArcFace(scale=16, margin=0.5, gradient="detached")),
        ),
        board.Preset(
            "Pushed to the far side",
            "Past 151° the angle and its margin together exceed 180°, and a raw cosine rises again: there ArcFace "
            "pushes a sample away from its own prototype, harder the farther it is. Codes mend this in several ways.",
            tuple(ArcFace(scale=16, margin=0.5, beyond=way) for way in ("raw", "monotone", "clip", "keep")),
        ),
        board.Preset(
            "No margin between close classes",
            "SphereFace wants the own prototype twice as near as any other. Between prototypes that stand 30° apart "
            "that is a strip of 10°, between those 90° apart one of 30°: the classes that are confused most get the "
            "least. Pale is where no sample can be.",
            (SphereFace(margin=2, easing=0), ArcFace(scale=16, margin=0.5)),
            {"show": "regions", "between": 30.0, "possible": True},
        ),
        board.Preset(
            "Perfect, and 28 % sure",
            "A sample exactly on its prototype, at right angles to 85 741 others: with s = 16 CosFace gives it 28 %. "
            "The loss keeps asking for what no angle can give. With s = 64, as the papers have it, it is over 99.99 %.",
            (NormFace(scale=16), ArcFace(scale=16, margin=0.5), CosFace(scale=16, margin=0.35)),
            {"show": "probability", "classes": 85_742},
        ),
        board.Preset(
            "From softmax to ArcFace",
            "Seven losses, each one change away from the one before. Move the slider from 0.",
            OPENING[:2],
            {"show": "ladder", "rung": 0},
        ),
    ),
)

st.subheader("What a margin does to an angle", anchor=False)
board.show(PAGE, more=samples)
board.formulas(PAGE)
