"""Where prototypes stand on the pages that draw circles and spheres: put there by hand, or left there by a training."""

from functools import lru_cache

import streamlit as st

from losslab import losses
from losslab.training import Run, RunError
from losslab.views.ball import MOST, OnBall, class_directions

from . import board, server

HERE = "Prototypes by hand"


def choose(page: board.Page) -> None:
    """A row that says where the prototypes stand, and lets them be taken over from a training."""
    values = now(page)["values"]
    chosen = values.get("run") or ""
    run = opened(chosen)
    if chosen and run is None:
        st.info("The run of this link is not on this server (any more); the prototypes are those set by hand.")
        chosen = values["run"] = ""
    elif run is not None and values.get("snapshot", -1) < 0:
        values["snapshot"] = max(len(run) - 1, 0)  # for the slider, which has no place before the first
    offered = {"": HERE} | known(chosen)
    key = f"{page.key}_places"
    st.session_state[key] = chosen if chosen in offered else ""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        st.selectbox(
            "Prototypes",
            list(offered),
            format_func=offered.get,
            key=key,
            on_change=place_chosen,
            args=(page,),
            width=420,
            label_visibility="collapsed",
            help="By hand they can be dragged. A training stands where it was at a snapshot, with its own samples.",
        )
        if run is not None and len(run.recipe.classes) <= MOST:
            st.button("Take its prototypes", icon=":material/back_hand:", on_click=take, args=(page,))


def now(page: board.Page) -> dict:
    """What the page shows."""
    return st.session_state[f"{page.key}_state"]


def place_chosen(page: board.Page) -> None:
    """By hand again, with what was there before; or a training at its last snapshot, with its own loss."""
    id = st.session_state[f"{page.key}_places"]
    board.acted(page)
    state = now(page)
    values = {key: value for key, value in state["values"].items() if key not in ("run", "snapshot")}
    run = opened(id)
    if run is None:
        return board.put(page, {"losses": state["losses"], "values": values})
    values |= {"run": id, "snapshot": max(len(run) - 1, 0)}
    board.put(page, {"losses": [settled(run)], "values": values})
    st.session_state[f"{page.key}_preset"] = None


def take(page: board.Page) -> None:
    """The prototypes of the snapshot that is looked at, to be dragged from there on."""
    board.acted(page)
    state = now(page)
    values = dict(state["values"])
    run = opened(values.pop("run", ""))
    snapshot = values.pop("snapshot", -1)
    if run is None:
        return
    head = OnBall(losses=(settled(run),), run=run, snapshot=snapshot).trained_head
    rows = [(*(round(x, 3) for x in row), *[0.0] * (3 - len(row))) for row in class_directions(head).tolist()]
    values |= {"prototypes": tuple(rows), "surface": "circle" if head.dim == 2 else "sphere"}
    board.put(page, {"losses": state["losses"], "values": values})


def settled(run: Run) -> losses.Loss:
    """The loss that a run ended with; knobs that were scheduled or steered stand as they were last."""
    if not len(run):
        return run.recipe.loss
    last = run[len(run) - 1]
    return losses.turned(run.recipe.loss_at(last.step), last.knobs)


def known(chosen: str) -> dict[str, str]:
    """What can be looked at, id -> title: this visitor's own trainings and those of the shelf, on a circle or a
    sphere."""
    mine = [chosen, st.session_state.get("left"), *st.session_state.get("compared", [])]
    shelf = server.shelf()
    found = {}
    for id in dict.fromkeys([*filter(None, mine), *shelf]):
        if (run := opened(id)) is not None and run.recipe.dim in (2, 3):
            found[id] = shelf.get(id) or f"{losses.written(run.recipe.loss)}, seed {run.recipe.seed}"
    return found


def opened(id: str | None) -> Run | None:
    """The run called `id` with all it has shown so far, or None."""
    path = server.find(id) if id else None
    try:
        run = kept(str(path)) if path else None
    except RunError:
        return None
    if run is not None:
        run.refresh()
    return run


@lru_cache(maxsize=64)
def kept(path: str) -> Run:
    return Run(path)


def fitted(page: board.Page, state: dict, controls: list[dict]) -> list[dict]:
    """The knobs of a picture that matter: what its losses look at, and the snapshots that a training has."""
    from losslab.views.boundaries import looks_at

    values = page.fields | state["values"]
    seen = frozenset().union(*map(looks_at, state["losses"]))
    run = opened(values.get("run"))
    shown = []
    for control in controls:
        if control["name"] == "snapshot":
            if run is not None:
                shown.append(control | {"low": 0, "high": max(len(run) - 1, 1), "label": "Snapshot"})
        elif control["name"] in ("surface", "samples"):
            shown += [] if run is not None else [control]
        elif control["name"] == "length":
            shown += [control] if run is None and "length" in seen else []
        elif control["name"] != "draw" or "draw" in seen:
            shown.append(control)
    if run is None and (values.get("samples") or "sizes" in seen):
        shown += [
            {
                **SIZES,
                "name": "sizes",
                "label": "Images of each class",
                "high": 200,
                "low": 2,
                "step": 1,
                "whole": True,
            },
            {**SIZES, "name": "concentrations", "label": "Concentration κ", "high": 200, "low": 1, "step": 1},
        ]
    return shown


SIZES = {"kind": "list", "each": "prototypes", "default": 40, "help": "What the samples of each class are made of."}
