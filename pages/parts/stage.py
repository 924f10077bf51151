"""The stage as a Streamlit component: one canvas that follows a run by itself. See losslab/stage for its code."""

import math

import streamlit as st
import torch

from losslab.losses import Loss

# The browser loads the module from our own route once; only this line travels with every change of data.
STAGE = st.components.v2.component(
    "losslab_stage",
    js="""
export default async function (component) {
    const { default: mount } = await import(new URL(component.data.base + "/losslab/stage/stage.js", document.baseURI));
    return mount(component);
}
""",
)
POINTS = 257


def stage(run: str | None, *, preview: Loss | None = None, message: str = "", key: str = "playground") -> None:
    """Show a run (or a recording) by its id; `preview` draws its boundaries as another loss would have them."""
    base = st.get_option("server.baseUrlPath").strip("/")
    STAGE(
        key=key,
        data={
            "key": key,
            "base": f"/{base}" if base else "",
            "run": run,
            "preview": curves(preview) if preview else None,
            "message": message or None,
        },
    )


def curves(loss: Loss) -> dict:
    """The loss's two curves as tables over 0 to 180 degrees, and its knobs in words."""
    positive, negative = loss.curves(torch.linspace(0, math.pi, POINTS, dtype=torch.float64))
    words = [f"{name} {value:g}" for name, value in vars(loss).items() if name in ("margin", "spread")]
    return {
        "positive": positive.tolist(),
        "negative": negative.tolist(),
        "text": " ".join([loss.card.title, ", ".join(words)]).strip(),
        "weighs_length": loss.weighs_length,
    }
