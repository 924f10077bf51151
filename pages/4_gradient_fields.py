"""Where a loss sends a sample: its push all over the circle, the sphere and the plane."""

import streamlit as st

from pages.parts import board, fields

st.subheader("Where would the loss send a sample?", anchor=False)
board.show(fields.PAGE, more=fields.choose)
