"""The peer of the stage: the same points through `st.plotly_chart`, as people write it. A Streamlit script.

`?live=1` shows the next snapshot as often as a fragment can; `?knob=1` has a slider for the margin instead.
"""

import os

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from losslab.training import Run


@st.cache_resource
def points() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Directions [snapshot n 3], labels [n], and by how much each sample's own cosine wins in the end [n]."""
    run = Run(os.environ["BENCH_RUN"])
    embeddings = np.stack([snapshot.embedding for snapshot in run])
    directions = embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)
    prototypes = run[len(run) - 1].prototypes
    cosine = directions[-1] @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T
    own = np.arange(len(cosine)), run.probe.labels
    target = cosine[own]
    cosine[own] = -np.inf
    return directions, run.probe.labels, target - cosine.max(axis=1)


def sphere(index: int, colour: np.ndarray, title: str) -> None:
    x, y, z = points()[0][index].T
    marker = {"size": 3, "color": colour, "colorscale": "Turbo"}
    figure = go.Figure(go.Scatter3d(x=x, y=y, z=z, mode="markers", marker=marker))
    figure.update_layout(title=title, height=560, uirevision="kept")  # else each update turns the sphere back
    st.plotly_chart(figure, key="sphere")


@st.fragment(run_every=0.02)
def live() -> None:
    st.session_state.turn = turn = st.session_state.get("turn", -1) + 1
    sphere(turn % len(points()[0]), points()[1], f"update {turn}")


st.set_page_config(layout="wide")
if "live" in st.query_params:
    live()
elif "knob" in st.query_params:
    margin = st.slider("Margin", 0.0, 1.0, 0.3, 0.01)
    sphere(-1, points()[2] > margin, f"margin {margin:g}")
else:
    sphere(-1, points()[1], "the last snapshot")
