"""The stage as a Streamlit component: one canvas that follows a run by itself. See losslab/stage for its code."""

import dataclasses
import math
from collections.abc import Callable

import streamlit as st
import torch

from losslab.catalogue import knobs
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
POINTS = 129  # angles in a table of curves, 0 to 180 degrees
DIALLED = 31  # margins at which the dial knows the curves; between them it interpolates


def stage(
    run: str | None, *, loss: Loss | None, preview: bool, on_dial: Callable[[], None], key: str = "playground"
) -> None:
    """Show a run (or a recording) by its id, with a dial for the margin of `loss` on the picture.

    With `preview`, boundaries and zones are drawn as `loss` would have them, not as the run was trained. When the
    reader lets go of the dial, `on_dial` is called; `dialled(key)` then says what was set.
    """
    base = st.get_option("server.baseUrlPath").strip("/")
    STAGE(
        key=key,
        data={
            "key": key,
            "base": f"/{base}" if base else "",
            "run": run,
            "replay": st.session_state.get("replay", 0),
            "preview": curves(loss) | {"text": in_words(loss)} if loss and preview else None,
            "dial": dial(loss) if loss else None,
        },
        on_dial_change=on_dial,
    )


def dialled(key: str = "playground") -> tuple[str, float]:
    """The knob and the value that the dial was last set to."""
    said = st.session_state[key].dial
    return said["name"], said["value"]


def curves(loss: Loss) -> dict[str, list[float]]:
    """The loss's two curves as tables over 0 to 180 degrees."""
    tables = loss.curves(torch.linspace(0, math.pi, POINTS, dtype=torch.float64))
    return dict(zip(("positive", "negative"), ([round(v, 5) for v in table.tolist()] for table in tables), strict=True))


def in_words(loss: Loss) -> str:
    return f"{loss.card.title} margin {loss.margin:g}" if hasattr(loss, "margin") else loss.card.title


def dial(loss: Loss) -> dict | None:
    """The margin's range, its value, and the loss's curves at margins all over it; None for a loss without one."""
    if "margin" not in knobs(loss):
        return None
    knob = knobs(loss)["margin"]
    margins = torch.linspace(knob.low, knob.high, DIALLED).tolist()
    tables = [curves(dataclasses.replace(loss, margin=min(margin, knob.high))) for margin in margins]
    return {
        "name": "margin",
        "title": loss.card.title,
        "symbol": knob.symbol,
        "unit": knob.unit,
        "low": knob.low,
        "high": knob.high,
        "step": knob.step,
        "value": loss.margin,
        **{name: [table[name] for table in tables] for name in ("positive", "negative")},
    }
