"""Train on faces, see how people come apart on the sphere, and whether strangers can be told apart too."""

import streamlit as st

from losslab.live import projector
from losslab.live.pool import LIVE
from pages.parts import faces, runs, server, settings, verified
from pages.parts.stage import stage

problems = settings.open_link(faces.DIMENSIONS)
settings.arrive("faces")
faces.take_over()
faces.come_back()
projector.warm()

st.subheader("Can a network that knows some people tell others apart?", anchor=False)
words = st.empty()
st.caption(faces.CONSENT)
with st.sidebar:
    recipe, problem = faces.chosen_recipe()
if sentences := [*problems, *filter(None, [problem, st.session_state.pop("complaint", "")])]:
    st.warning("\n\n".join(dict.fromkeys(sentences)))

id, run, state = faces.shown()
going = state in LIVE and server.pool().holds(id, server.visitor())
with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
    same = run is not None and recipe == run.recipe
    if st.button(
        "Train", type="primary", icon=":material/play_arrow:", disabled=recipe is None or (same and going), key="train"
    ):
        faces.train(recipe)
    st.button("Stop", icon=":material/stop:", on_click=runs.command, args=("stop", id), disabled=not going, key="stop")
    projection = faces.projection(run)

if run is None:
    words.caption("Choose whom to train on, and press **Train**: the faces move to their places while it learns.")
    st.stop()
words.caption(faces.sentence(run, going))
stage(id, loss=None, preview=False, on_dial=lambda: None, key="faces", map=projection)

if going:
    runs.wait_for_the_end(id, run, state)

if len(run):
    verified.sections(id, going)
