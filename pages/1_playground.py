"""Train a small network on real digits and watch its embeddings settle on the circle or the sphere."""

import inspect

import streamlit as st
import torch

from losslab import data, diagnose, losses
from losslab.live.pool import LIVE
from losslab.training import head_at, in_force
from pages.parts import presets, runs, server, settings
from pages.parts.stage import stage

first = "link_problems" not in st.session_state
problems = settings.open_link()
settings.arrive("playground")
runs.come_back()
if first and set(st.query_params) == {"run"} and server.find(st.query_params["run"]):
    runs.show(st.query_params["run"])  # a link that names a run and nothing else, such as the command line gives
with st.sidebar:
    try:
        recipe, problem = settings.recipe(runs.steer), ""
    except ValueError as error:
        recipe, problem = None, str(error)

st.subheader("See what a loss does to the sphere", anchor=False)
words = st.empty()
st.pills(
    "Start from",
    [p.title for p in presets.PRESETS],
    key="preset",
    on_change=runs.preset_chosen,
    label_visibility="collapsed",
    wrap=True,
)
if sentences := [*problems, *filter(None, [problem, st.session_state.pop("complaint", "")])]:
    st.warning("\n\n".join(dict.fromkeys(sentences)))  # a bad schedule is said twice
if recipe and not data.catalogue()[recipe.data].available():
    settings.get_data(recipe.data)
    recipe = None

id, run, state = runs.shown()
mine, going = server.pool().holds(id, server.visitor()), state in LIVE

with st.container(horizontal=True, gap="xsmall"):
    same = recipe is not None and recipe == run.recipe
    st.button(
        "Train",
        type="primary",
        icon=":material/play_arrow:",
        on_click=runs.train,
        args=(recipe,),
        disabled=recipe is None or (same and going and mine),
        key="train",
    )
    verb, icon = ("resume", ":material/resume:") if state == "paused" else ("pause", ":material/pause:")
    idle = not (mine and going)
    st.button(
        verb.capitalize(),
        icon=icon,
        on_click=runs.command,
        args=(verb, id),
        disabled=idle or state == "queued",
        key="pause",
    )
    st.button("Stop", icon=":material/stop:", on_click=runs.command, args=("stop", id), disabled=idle, key="stop")
    runs.open_menu("opened", runs.open_run)
    st.button("Reset", icon=":material/restart_alt:", on_click=runs.reset, disabled=id == runs.FIRST, key="reset")
    if st.button(
        "Branch",
        icon=":material/call_split:",
        disabled=going or not len(run),
        key="branch",
        help="Go on from a snapshot of this run with another loss, both futures side by side.",
    ):
        st.switch_page("pages/6_compare.py", query_params={"mode": "Branch", "parent": id})
chosen = next((p for p in presets.PRESETS if p.title == st.session_state.get("preset")), None)
if chosen:
    words.caption(chosen.why)
elif id == runs.FIRST:
    words.caption(
        "A recording: each dot is a real handwritten digit, placed by a small network as it learns. "
        "Press **Train** for your own, or turn the margin."
    )
elif state == "queued":
    words.caption("The trainer is busy; your run waits in line and starts by itself.")
elif going and mine:
    words.caption("Your network is learning. Turn the margin or the scale: it takes them within a moment.")
elif going:
    words.caption(
        "Somebody else's network is learning. **Train** starts yours; with equal settings it is this very run, and you "
        "share it."
    )
elif same and st.session_state.get("replayed") == id:
    words.caption(
        "Equal settings give equal numbers, so training them again shows this run again. For another, change the seed."
    )
else:
    words.caption("Scrub back through the training, hover a dot for its digit, click it to see the way it came.")


def differs() -> bool:
    """Is the loss of the sidebar another than the one that made the picture?"""
    return recipe.loss != (in_force(run.recipe, run[-1]) if len(run) else run.recipe.loss)


a_map = run.recipe.dim not in settings.DIMENSIONS  # on which neither zones nor a dial mean anything
stage(
    id,
    loss=None if a_map or recipe is None else recipe.loss,
    preview=bool(recipe) and not going and differs(),
    on_dial=runs.dial_set,
)

if going:
    runs.wait_for_the_end(id, run, state)

# Built only when it is opened: to colour code the browser loads more than all of the rest.
source = st.expander("The loss as it runs", key="source", on_change="rerun")
if source.open:
    loss = recipe.loss if recipe else run.recipe.loss
    for each in [loss, *([loss.base] if losses.wraps(loss) else [])]:
        card = each.card
        source.latex(card.formula)
        source.caption(f"{card.title} ({card.year}), {card.paper}. {card.use} {card.hazard}")
        source.code(inspect.getsource(type(each)), language="python")

report = st.expander("Diagnosis of what is shown last", key="diagnosis", on_change="rerun")
if report.open and len(run):
    snapshot = run[-1]
    found = diagnose(
        head_at(run.recipe, snapshot), torch.from_numpy(snapshot.embedding), torch.from_numpy(run.probe.labels)
    )
    report.markdown("\n".join(f"- {sentence}" for sentence in found.findings(run.probe.names)))
