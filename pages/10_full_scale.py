"""Watch a training at full scale, which the command line started, from a sample of its identities."""

import streamlit as st

from losslab.live import projector
from pages.parts import faces, full_scale
from pages.parts.stage import stage

projector.warm()
st.subheader("A training at full scale, seen from a few of its identities", anchor=False)
there = full_scale.trainings()
if not there:
    full_scale.how_to_start()
    st.stop()
id = full_scale.choose(there)
run, recipe = there[id]
full_scale.headline(run, recipe)
projection = faces.projection(run)
stage(id, loss=None, preview=False, on_dial=lambda: None, key="full_scale", map=projection)
st.caption(full_scale.shown(run, recipe))
full_scale.measured(run)
full_scale.stated(recipe)
