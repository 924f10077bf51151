"""The images behind the dots of a run: which are wrong, which stand inside the margin, and since when they do not."""

import streamlit as st

from pages.parts import margins, runs, samples
from pages.parts.stage import gallery

runs.come_back()
st.subheader("Which images are hard, and when did they become easy?", anchor=False)
words = st.empty()
row = st.container(horizontal=True, gap="xsmall")
if complaint := st.session_state.pop("complaint", ""):
    st.warning(complaint)

id, run, state = runs.shown("This is a recording; open another run, or train one on the Playground.")
chosen = next((p for p in samples.PRESETS if p.recipe.key == run.recipe.key), None)
words.caption(chosen.why if chosen else samples.WHAT)
with row:
    st.pills(
        "What to look at",
        [p.title for p in samples.PRESETS],
        key="samples_preset",
        on_change=samples.preset_chosen,
        label_visibility="collapsed",
        wrap=True,
        width="content",
    )
    runs.open_menu("samples_opened", samples.open_run)
    samples.to_playground(id)

gallery(id, samples.start(), on_seen=samples.seen, key=samples.KEY)
margins.margins_of_run(id)
