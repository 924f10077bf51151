"""What is compared: the losses, the sweep or the branch that the link describes, and the recipes they come to.

The link is the only place where this stands: `losses` (once for each), `sweep`, `knob` and `values`, or `parent`,
`step` and `future`; and `runs`, the runs that are shown.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from losslab import ArcFace, NormFace, Softmax, losses
from losslab.catalogue import Knob, knobs
from losslab.live.pool import LIVE
from losslab.losses import Loss
from losslab.metrics import Numbers
from losslab.schedules import Schedule
from losslab.training import Recipe, Run, RunError, branched

from . import findings, server
from .settings import quoted, widget

MODES = ("Losses", "Sweep", "Branch")
CLASSES = (0, 1, 2, 3, 4, 5, 6)  # that are trained on; the others say how a network does on what it has never seen
FEWEST, MOST = 2, 4  # losses side by side
VALUES = (3, 6)  # of a knob, at least and at most
OPENING = ("compare-normface", "compare-arcface")  # recordings that move before anything trains
KEYS = ("losses", "sweep", "knob", "values", "parent", "step", "future", "whole", "runs")


@dataclass(frozen=True)
class Preset:
    """What to compare, and one paragraph of what to look at: a true and surprising thing, checked by a test."""

    title: str
    why: str
    link: dict[str, Any]  # what the link then says
    values: dict[str, Any] = field(default_factory=dict)  # of the recipe, beside the loss


PRESETS = [
    Preset(
        "No margin, yet tight",
        "Watch **NormFace**: nearly all its digits are told apart, yet half of them end more than 30° from their own "
        "prototype: nothing asks them to come nearer. **ArcFace** does. And plain **softmax**, which has none, "
        "ends nearer still: it may let lengths grow, and with them the scale that goes on pulling.",
        {"mode": "Losses", "losses": [Softmax(), NormFace(scale=16), ArcFace(scale=16, margin=0.3)]},
    ),
    Preset(
        "Tighter is not better",
        "From a margin of 0.1 to one of 1.2 rad the classes shrink to less than a tenth. Look at the last column: next "
        "to nothing of that reaches the digits that were never trained on. A third of their pairs is still confused.",
        {"mode": "Sweep", "sweep": ArcFace(scale=16), "knob": "margin", "values": ["0.1", "0.3", "0.6", "1.2"]},
    ),
    Preset(
        "A margin can come late",
        "Half of the training without a margin, then ArcFace: watch the samples come home within a few dozen steps. In "
        "the end they are as near to their prototypes as those that had the margin from the start.",
        {
            "mode": "Branch",
            "past": NormFace(scale=16),
            "step": 215,
            "future": ArcFace(scale=16, margin=0.5),
            "whole": True,
        },
    ),
]


# -- the link --------------------------------------------------------------------------------------------


def said(name: str, otherwise: str = "") -> str:
    return st.query_params.get(name, otherwise)


def say(name: str, value: str | Sequence[str] | None) -> None:
    """Write into the link, or take out of it."""
    if value is None:
        st.query_params.pop(name, None)
    else:
        st.query_params[name] = value


def told(text: str, otherwise: Loss) -> Loss:
    """The loss that a link says; what is wrong with it is kept for `problems`."""
    try:
        return losses.read(text) if text else otherwise
    except ValueError as error:
        problems().append(f"In the link, {quoted(str(error))}")
        return otherwise


def problems() -> list[str]:
    """Sentences about what this run of the page could not make sense of."""
    return st.session_state.setdefault("compare_problems", [])


def come_back() -> None:
    """From another page the link comes empty: go on with what was compared here last."""
    st.session_state.compare_problems = []
    if not {"mode", *KEYS} & set(st.query_params) and (left := st.session_state.get("compare_left")):
        st.session_state.mode, link = left
        for name, texts in link.items():
            st.query_params[name] = texts


def remember(mode: str) -> None:
    """What is compared now, for when the reader comes back."""
    link = {name: st.query_params.get_all(name) for name in KEYS if name in st.query_params}
    st.session_state.compare_left = mode, link


def chosen_losses() -> list[Loss]:
    start = [NormFace(scale=16), losses.starting(ArcFace)]
    found = [told(text, start[0]) for text in st.query_params.get_all("losses")[:MOST]]
    return [*found, *start[len(found) :]]


def put(where: str, index: int, loss: Loss | None) -> None:
    """Change the loss in a place of the link; None takes it away."""
    if where != "losses":
        return say(where, losses.written(loss))
    now = chosen_losses()
    now[index : index + 1] = [] if loss is None else [loss]
    say("losses", [losses.written(each) for each in now])


# -- choosing --------------------------------------------------------------------------------------------


def editor(where: str, index: int, loss: Loss) -> None:
    """A loss behind its own text: choose another, turn its knobs, or write it."""
    slot = f"{where}{index}"
    with st.popover(findings.labelled(loss), key=f"{slot}_popover", icon=":material/tune:"):
        kinds = sorted(losses.catalogue().values(), key=lambda kind: losses.FAMILIES.index(kind.card.family))
        st.session_state[f"{slot}_loss"] = type(loss).__name__
        st.selectbox(
            "Loss",
            [kind.__name__ for kind in kinds],
            key=f"{slot}_loss",
            on_change=lambda: put(where, index, losses.starting(st.session_state[f"{slot}_loss"])),
        )
        st.caption(f"**{loss.card.title}**, {loss.card.year}. {loss.card.geometry}")
        now = losses.settings(loss)
        for name, knob in losses.knobs(loss).items():
            if not isinstance(now[name], Schedule):
                key = f"{slot}_{type(loss).__name__}_{name}"
                st.session_state[key] = now[name]
                widget(knob, now[name], key, on_change=partial(turn, where, index, loss, name, key), bind=None)
        st.session_state[f"{slot}_text"] = losses.written(loss)
        st.text_input(
            "As text",
            key=f"{slot}_text",
            on_change=partial(write, where, index, f"{slot}_text"),
            help="The same as a call. A knob may follow a schedule, as in ArcFace(margin=Linear(0, 0.3, 500)).",
        )
        if where == "losses":
            few = len(chosen_losses()) <= FEWEST
            st.button(
                "Remove",
                icon=":material/close:",
                key=f"{slot}_remove",
                on_click=put,
                args=(where, index, None),
                disabled=few,
            )


def turn(where: str, index: int, loss: Loss, name: str, key: str) -> None:
    try:
        put(where, index, losses.turned(loss, {name: st.session_state[key]}))
    except ValueError as error:
        st.session_state.complaint = str(error)


def write(where: str, index: int, key: str) -> None:
    try:
        put(where, index, losses.read(st.session_state[key]))
    except ValueError as error:
        st.session_state.complaint = str(error)


def add() -> None:
    """One more loss: the first of some well-known ones that is not there yet."""
    there = {type(loss).__name__ for loss in chosen_losses()}
    name = next((n for n in ("Softmax", "CosFace", "ArcFace", "SphereFace", "CenterLoss") if n not in there), "ArcFace")
    put("losses", len(chosen_losses()), losses.starting(name))


def asked_losses(panel: dict[str, Any]) -> list[Recipe]:
    with st.container(horizontal=True, gap="xsmall", key="compare_losses"):
        chosen = chosen_losses()
        for index, loss in enumerate(chosen):
            editor("losses", index, loss)
        st.button(
            "Add a loss", icon=":material/add:", on_click=add, disabled=len(chosen) >= MOST, key="add", type="tertiary"
        )
    return [Recipe(loss=loss, **panel) for loss in chosen]


def sweepable(loss: Loss) -> dict[str, Knob]:
    """The knobs that can have three values or more."""
    return {
        name: knob
        for name, knob in losses.knobs(loss).items()
        if name != "base" and not isinstance(knob.default, bool) and not 0 < len(knob.choices or ()) < VALUES[0]
    }


def candidates(loss: Loss, knob: Knob) -> list[str]:
    """Values of a knob to choose from, evenly over its range; without those that do not go with the other knobs."""
    if knob.choices:
        return list(knob.choices)
    low = knob.low if knob.low is not None else 0
    high = knob.high if knob.high is not None else max(10 * knob.default, 10)
    for _ in range(8):
        step = (high - low) / 15 if knob.step is None else max(1, round((high - low) / 15 / knob.step)) * knob.step
        texts = [f"{float(f'{low + i * step:.4g}'):g}" for i in range(int((high - low) / step + 1e-9) + 1)]
        found = [text for text in dict.fromkeys(texts) if fits(loss, knob, text)]
        if len(found) > VALUES[0]:
            break
        high = low + (high - low) / 2  # only small values go with the others: look at those more closely
    return found


def fits(loss: Loss, knob: Knob, text: str) -> bool:
    try:
        losses.turned(loss, {knob.name: knob.parse(text)})
    except ValueError:
        return False
    return True


def usual(loss: Loss, knob: Knob) -> list[str]:
    """Four values to begin with, from low to high."""
    every = candidates(loss, knob)
    return every if len(every) <= 4 else [every[round(i * (len(every) - 1) / 4)] for i in range(4)]


def asked_sweep(panel: dict[str, Any]) -> list[Recipe]:
    loss = told(said("sweep"), losses.starting(ArcFace))
    offered = sweepable(loss)
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom", key="compare_sweep"):
        editor("sweep", 0, loss)
        if not offered:
            raise ValueError(f"{losses.title(loss)} has no knob to sweep: choose another loss.")
        name = said("knob") if said("knob") in offered else "margin" if "margin" in offered else next(iter(offered))
        st.session_state.sweep_knob = name
        st.selectbox(
            "Knob",
            list(offered),
            format_func=lambda each: each.replace("_", " "),
            key="sweep_knob",
            on_change=lambda: (say("knob", st.session_state.sweep_knob), say("values", None)),
            width=180,
        )
        texts = st.query_params.get_all("values") or usual(loss, offered[name])
        if len(texts) > VALUES[1]:
            problems().append(f"The link asks for {len(texts)} values; a sweep takes the first {VALUES[1]}.")
            texts = texts[: VALUES[1]]
        st.session_state.sweep_values = texts
        st.multiselect(
            "Values, three to six",
            sorted({*candidates(loss, offered[name]), *texts}, key=lambda text: in_order(offered[name], text)),
            key="sweep_values",
            accept_new_options=not offered[name].choices,
            max_selections=VALUES[1],
            on_change=lambda: say("values", st.session_state.sweep_values),
            width=430,
            wrap=True,
        )
    values = list(dict.fromkeys(offered[name].parse(text) for text in texts))
    values.sort(key=lambda value: in_order(offered[name], str(value)))
    if not VALUES[0] <= len(values) <= VALUES[1]:
        raise ValueError(f"Choose {VALUES[0]} to {VALUES[1]} different values of {name}; there are {len(values)}.")
    return [Recipe(loss=losses.turned(loss, {name: value}), **panel) for value in values]


def in_order(knob: Knob, text: str) -> tuple[float, str]:
    try:
        return (knob.choices.index(text) if knob.choices else float(text)), text
    except ValueError:
        return float("inf"), text


def parents() -> dict[str, str]:
    """The runs that can be branched, id -> title: this visitor's and those of the shelf."""
    mine = [
        *st.session_state.get("compared", []),
        st.session_state.get("left"),
        *said("runs").split(","),
        said("parent"),
    ]
    found = {}
    for id in dict.fromkeys(filter(None, mine)):
        if (run := opened(id)) is not None:
            found[id] = f"{findings.named(run.recipe)}, seed {run.recipe.seed}"
    every = found | {id: title for id, title in server.shelf().items() if id not in found}
    # Streamlit tells options apart by what they are called.
    twice = {title for title in every.values() if list(every.values()).count(title) > 1}
    return {id: f"{title} ({id[:6]})" if title in twice else title for id, title in every.items()}


def asked_branch() -> tuple[list[Recipe], list[str | None]]:
    """The recipes of the past and its futures, and the run that shows the past where that need not be trained."""
    every = parents()
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom", key="compare_branch"):
        id = said("parent") if said("parent") in every else next(iter(every))
        st.session_state.branch_parent = id
        st.selectbox(
            "A run",
            list(every),
            format_func=every.get,
            key="branch_parent",
            on_change=lambda: (say("parent", st.session_state.branch_parent), say("step", None)),
            width=280,
        )
        if (run := opened(id)) is None:
            raise ValueError("This run cannot be read: choose another.")
        steps = [int(step) for step in run.metrics()["step"] if step < run.total_steps] if len(run) else []
        if len(steps) < 2:
            raise ValueError("This run has only just begun: wait for more of its snapshots, or choose another.")
        wish = int(said("step")[:9]) if said("step").isdecimal() else run.total_steps // 2
        step = st.session_state.branch_step = min(steps, key=lambda each: abs(each - wish))
        st.select_slider(
            "goes another way after step",
            steps,
            key="branch_step",
            on_change=lambda: say("step", str(st.session_state.branch_step)),
            width=250,
        )
        future = told(said("future"), other_than(run.recipe.loss))
        editor("future", 0, future)
        st.session_state.branch_whole = bool(said("whole"))
        st.toggle(
            "also from the start",
            key="branch_whole",
            on_change=lambda: say("whole", "1" if st.session_state.branch_whole else None),
            help="A third run that is trained with the other loss from its first step on.",
        )
    kept = server.pool().path(id) is not None
    recipes = [run.recipe, branched(run, steps.index(step), future)]
    if recipes[0] == recipes[1]:
        raise ValueError("The run goes on with just this loss anyway: choose another loss, or turn a knob.")
    if st.session_state.branch_whole:
        recipes.append(dataclasses.replace(run.recipe, loss=future, later=()))
    return recipes, [id if kept else None, *[None] * (len(recipes) - 1)]


def other_than(loss: Loss) -> Loss:
    usual = losses.starting(ArcFace)
    return usual if loss != usual else NormFace(scale=16)


# -- doing -----------------------------------------------------------------------------------------------


def train(recipes: Sequence[Recipe], kept: Sequence[str | None]) -> None:
    """Ask for the runs and show them. This visitor's other runs are let go. Equal recipes are one run."""
    visitor, pool = server.visitor(), server.pool()
    before = said("runs")
    try:
        ids = [run or pool.submit(recipe, visitor) for recipe, run in zip(recipes, kept, strict=True)]
        ids = list(dict.fromkeys(ids))
        pool.keep(ids, visitor)
    except (ValueError, RuntimeError, OSError) as error:
        st.session_state.complaint = str(error)
        return
    say("runs", ",".join(ids))
    st.session_state.compared = list(dict.fromkeys([*ids, *st.session_state.get("compared", [])]))[:20]
    if said("runs") == before:
        st.session_state.compare_replay = st.session_state.get("compare_replay", 0) + 1


def stop(ids: Sequence[str]) -> None:
    for id in ids:
        if live(id):
            try:
                server.pool().stop(id, server.visitor())
            except (ValueError, PermissionError):
                pass  # over by now, or somebody else's: there is nothing to stop


def live(id: str) -> bool:
    return server.pool().holds(id, server.visitor()) and server.pool().status(id).state in LIVE


def preset_chosen() -> None:
    """Write the preset into the link and the sidebar, and train."""
    preset = next((each for each in PRESETS if each.title == st.session_state.compare_preset), None)
    if preset is None:
        return
    for name in KEYS:
        say(name, None)
    values = {"classes": CLASSES} | preset.values
    panel = {name: values.get(name, getattr(Recipe(), name)) for name in knobs(Recipe)}
    st.session_state.update(panel | {"classes": list(panel["classes"])})
    st.session_state.mode = preset.link["mode"]
    for name, value in preset.link.items():
        if name not in ("mode", "past"):
            say(name, as_text(value))
    recipes = preset_recipes(preset)
    train(recipes, [None] * len(recipes))
    if "past" in preset.link and said("runs"):
        say("parent", said("runs").split(",")[0])
    st.session_state.compare_preset_shown = preset.link["mode"], said("runs")


def forget_preset() -> None:
    """A preset is no longer what is shown when other runs are, or another mode."""
    if (st.session_state.get("mode"), said("runs")) != st.session_state.get("compare_preset_shown"):
        st.session_state.compare_preset = None


def as_text(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [as_text(each) for each in value]
    return losses.written(value) if isinstance(value, Loss) else "1" if value is True else str(value)


def preset_recipes(preset: Preset) -> list[Recipe]:
    link, values = preset.link, {"classes": CLASSES} | preset.values
    match link["mode"]:
        case "Losses":
            return [Recipe(loss=loss, **values) for loss in link["losses"]]
        case "Sweep":
            knob = losses.knobs(link["sweep"])[link["knob"]]
            every = [losses.turned(link["sweep"], {link["knob"]: knob.parse(text)}) for text in link["values"]]
            return [Recipe(loss=loss, **values) for loss in every]
    past, future = Recipe(loss=link["past"], **values), link["future"]
    return [past, dataclasses.replace(past, later=((link["step"], future),)), Recipe(loss=future, **values)]


# -- what is shown ---------------------------------------------------------------------------------------


def opened(id: str) -> Run | None:
    """The run of this id with all its snapshots so far, read on from where it was read last; None for none."""
    readers = st.session_state.setdefault("compare_readers", {})
    path = server.find(id)
    if path is None:
        return None
    try:
        if id not in readers:
            readers[id] = Run(path)
        readers[id].refresh()
        readers[id].probe  # noqa: B018  without its pictures there is nothing to show
    except RunError as error:
        problems().append(str(error))
        readers.pop(id, None)
        return None
    return readers[id]


def shown() -> dict[str, Run]:
    """The runs of the link, id -> run; without any, the recordings that the page opens with."""
    asked = list(dict.fromkeys(filter(None, said("runs").split(","))))[: VALUES[1]]
    found = {id: run for id in asked if (run := opened(id)) is not None}
    if len(found) < len(asked):
        problems().append(
            "Not all runs of this link are on this server (any more). Press **Train** to make them again."
        )
    return found or {id: opened(id) for id in OPENING}


def measured(id: str, run: Run) -> Numbers | None:
    """The numbers of a run that is over, kept by its id; None of one that goes on, or ended before it began."""
    if state(id, run) in LIVE or not len(run):
        return None
    return findings.measured(str(run.path), len(run))


def curve(id: str, run: Run) -> pd.DataFrame:
    """The curves of a run that is shown; what was worked out before is kept."""
    kept = st.session_state.setdefault("compare_curves", {})
    known = kept.get(id)
    if known is not None and len(known) > len(run):
        known = None  # begun anew under the same name
    kept[id] = findings.curves(run, known)
    return kept[id]


def state(id: str, run: Run) -> str:
    return (server.pool().known(id) or run.status).state
