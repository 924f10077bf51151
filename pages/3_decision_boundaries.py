"""Who wins where on the circle and the sphere, and the strip that a margin keeps empty."""

import streamlit as st

from losslab import ArcFace
from pages.parts import board, places

PAGE = board.Page(
    key="boundaries",
    panels=("Boundaries", "Crossing"),
    balls=("Boundaries",),
    most=2,
    hidden=("prototypes", "sizes", "concentrations", "run", "chosen"),
    fitted=lambda state, controls: places.fitted(PAGE, state, controls),
    presets=(board.Preset("ArcFace", "x", (ArcFace(scale=16, margin=0.3),)),),
)

st.subheader("Who wins where, and by how much", anchor=False)
board.show(PAGE, more=lambda: places.choose(PAGE))
