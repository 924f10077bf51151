"""The stage as a Streamlit component: one canvas that follows a run by itself. See losslab/stage for its code."""

import math
from collections.abc import Callable
from functools import lru_cache

import streamlit as st
import torch

from losslab import losses
from losslab.head import head_for
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
CURVES = ("positive", "negative")
GROUPS = ("wrong", "inside the margin", "beyond")  # of a gallery
POINTS = 129  # angles in a table of curves, 0 to 180 degrees
DIALLED = 31  # margins at which the dial knows the curves; between them it interpolates


def stage(
    run: str | None,
    *,
    loss: Loss | None,
    preview: bool,
    on_dial: Callable[[], None],
    key: str = "playground",
    map: str = "",
) -> None:
    """Show a run (or a recording) by its id, with a dial for the margin of `loss` on the picture.

    With `preview`, boundaries and zones are drawn as `loss` would have them, not as the run was trained. When the
    reader lets go of the dial, `on_dial` is called; `dialled(key)` then says what was set. `map` is the projection by
    which a run of more than three dimensions is drawn.
    """
    drawn = loss is not None and drawable(loss)
    preview = curves(loss) | {"text": in_words(loss)} if drawn and preview else None
    STAGE(
        key=key,
        data=following(key, run) | {"preview": preview, "dial": dial(loss) if drawn else None, "map": map},
        on_dial_change=on_dial,
    )


def gallery(run: str | None, start: dict, *, on_seen: Callable[[], None], key: str) -> None:
    """Show a run with its images in a gallery beside the picture, and a pad to draw a digit.

    It begins at `start`: {"sample", "groups", "mislabelled", "split", "step"}. When it has come to rest elsewhere,
    `on_seen` is called; `seen_in(key)` then says where, in the same words.
    """
    wants = {"gallery": True, "pad": True, "start": start}
    STAGE(key=key, data=following(key, run) | wants, on_seen_change=on_seen)


def following(key: str, run: str | None) -> dict:
    base = st.get_option("server.baseUrlPath").strip("/")
    return {
        "key": key,
        "base": f"/{base}" if base else "",
        "run": run,
        "replay": st.session_state.get("replay", 0),
    }


def seen_in(key: str) -> dict:
    """Where a gallery has come to rest: the words of its `start`."""
    return st.session_state[key].seen


def dialled(key: str = "playground") -> tuple[str, float]:
    """The knob and the value that the dial was last set to."""
    said = st.session_state[key].dial
    return said["name"], said["value"]


def drawable(loss: Loss) -> bool:
    """Do the knobs alone say how wide the zones are, the same for every class?"""
    return loss.pointwise and not loss.adapts


@lru_cache(maxsize=1024)
def curves(loss: Loss) -> dict[str, list[float]]:
    """The loss's two curves as tables over 0 to 180 degrees. Kept: the dial asks for the same ones at every rerun."""
    head = head_for(loss)(loss, 2, 2, seed=0).eval()
    positive, negative = head.curves(torch.linspace(0, math.pi, POINTS, dtype=torch.float64))
    return {
        name: [round(v, 5) for v in table.tolist()] for name, table in zip(CURVES, (positive[0], negative), strict=True)
    }


def in_words(loss: Loss) -> str:
    margin = losses.settings(loss).get("margin")
    return f"{losses.title(loss)} margin {margin:g}" if isinstance(margin, float) else losses.title(loss)


def dial(loss: Loss) -> dict | None:
    """The margin's range, its value, and the loss's curves at margins all over it; None for a loss without one."""
    name = next((name for name in ("margin", "base_margin") if name in losses.knobs(loss)), None)
    if name is None or not isinstance(value := losses.settings(loss)[name], float):
        return None  # no margin, or one that a schedule moves
    knob = losses.knobs(loss)[name]
    margins = torch.linspace(knob.low, knob.high, DIALLED).tolist()
    tables = [curves(losses.turned(loss, {name: min(margin, knob.high)})) for margin in margins]
    return {
        "name": name,
        "title": losses.title(loss),
        "symbol": knob.symbol,
        "unit": knob.unit,
        "low": knob.low,
        "high": knob.high,
        "step": knob.step,
        "value": value,
        **{each: [table[each] for table in tables] for each in CURVES},
    }
