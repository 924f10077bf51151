"""Widgets made from knobs: the sidebar in which a recipe is chosen. The URL carries every choice."""

import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from losslab import data, losses, models
from losslab.catalogue import Knob, knobs
from losslab.losses import Loss
from losslab.schedules import Schedule
from losslab.training import Recipe

DIMENSIONS = (2, 3)  # that the stage draws
DEFAULTS = ("small", "paper")  # where knobs begin
LONGEST = 120  # characters of a link that are repeated to the reader


def widget(
    knob: Knob,
    value: Any,
    key: str,
    *,
    label: str = "",
    on_change: Callable | str = "rerun",
    bind: str | None = "query-params",
) -> Any:
    """The widget of a knob: chips for choices, a switch, a word, a slider where the range is a scale, else a number."""
    label = label or f"{knob.name.replace('_', ' ').capitalize()}{f' {knob.symbol}' if knob.symbol else ''}"
    shared = {"key": key, "help": knob.help or None, "on_change": on_change, "bind": bind}
    if knob.choices:
        return st.segmented_control(label, knob.choices, default=value, required=True, **shared)
    if isinstance(knob.default, bool):
        return st.toggle(label, value, **shared)
    if isinstance(knob.default, str):
        return st.text_input(label, value, **shared)
    if knob.unit:
        label += f" ({knob.unit})"
    kind = type(knob.default)
    low, high, step = (None if number is None else kind(number) for number in (knob.low, knob.high, knob.step))
    if kind is float and None not in (high, step) and (high - low) / step < 500:
        return st.slider(label, low, high, value, step, **shared)
    return st.number_input(label, low, high, value, step, format="%g" if kind is float else None, **shared)


def starting(values: dict[str, Any]) -> Loss:
    """The loss that is chosen, with the knobs it is offered with."""
    default = type(Recipe().loss).__name__
    small = values.get("defaults", DEFAULTS[0]) == DEFAULTS[0]
    return losses.starting(values.get("loss", default), values.get("base"), small=small)


def chosen_loss(values: dict[str, Any]) -> Loss:
    """The loss that the widgets' values in `values` describe. ValueError for a schedule that is none."""
    start = starting(values)
    loss = losses.turned(start, {name: values[name] for name in losses.settings(start) if name in values})
    return losses.turned(loss, planned(values.get("schedules", "")))


def planned(text: str) -> dict[str, str]:
    """Schedules written as `margin = Linear(0, 0.3, 500); scale = ...`, by knob."""
    pairs = [part.partition("=") for part in text.split(";") if part.strip()]
    if any(not name.strip() or "(" not in value for name, _, value in pairs):
        raise ValueError("Schedules are written like: margin = Linear(0, 0.3, 500); scale = Cosine(4, 16, 300).")
    return {name.strip(): value.strip() for name, _, value in pairs}


def loss_chosen() -> None:
    """Another loss starts with its own knobs: a margin of one is not a margin of the other."""
    st.session_state.pop("base", None)
    knobs_reset()


def knobs_reset() -> None:
    """All knobs to those that the loss is offered with."""
    st.session_state.knobs_fresh = losses.settings(starting(st.session_state.to_dict())) | {"schedules": ""}
    st.session_state.update(st.session_state.knobs_fresh)


def loss_panel(steer: Callable[[], None]) -> Loss:
    """Choose a loss and turn its knobs; `steer` is called when a knob was turned."""
    st.session_state.update(st.session_state.pop("knobs_again", {}))
    kinds = sorted(losses.catalogue().values(), key=lambda kind: losses.FAMILIES.index(kind.card.family))
    names, rebuilt = [kind.__name__ for kind in kinds], [k.__name__ for k in kinds if k.card.reconstruction]
    default = type(Recipe().loss).__name__
    name = st.selectbox(
        "Loss",
        names,
        index=names.index(default),
        key="loss",
        bind="query-params",
        on_change=loss_chosen,
        help=f"{' and '.join(rebuilt)} are reconstructions: their papers' formulas were not to be had.",
    )
    card = losses.kind(name).card
    st.caption(f"**{card.title}**, {card.year}. {card.geometry}")
    values = {"loss": name}
    values["defaults"] = st.segmented_control(
        "Knobs to begin with",
        DEFAULTS,
        default=DEFAULTS[0],
        required=True,
        key="defaults",
        bind="query-params",
        on_change=knobs_reset,
        help=f"**small**: for a few classes in 2 or 3 dimensions. {losses.SMALL_SOURCE}\n\n"
        f"**paper**: for thousands of classes in 512 dimensions. {card.source}",
    )
    if losses.wraps(losses.kind(name)):
        start = losses.settings(losses.starting(name))["base"]
        values["base"] = st.selectbox(
            "Added to",
            losses.bases(),
            losses.bases().index(start),
            key="base",
            bind="query-params",
            on_change=knobs_reset,
            help=losses.knobs(losses.starting(name))["base"].help,
        )
    loss = starting(values)
    start = losses.settings(loss)
    offered = {name: knob for name, knob in losses.knobs(loss).items() if name != "base"}
    often = {name: knob for name, knob in offered.items() if not knob.choices}
    rare = {name: knob for name, knob in offered.items() if knob.choices}
    values |= {name: widget(knob, start[name], name, on_change=steer) for name, knob in often.items()}
    with st.expander("Variants and schedules"):
        values |= {name: widget(knob, start[name], name, on_change=steer) for name, knob in rare.items()}
        values["schedules"] = st.text_input(
            "Schedules",
            key="schedules",
            bind="query-params",
            on_change=steer,
            placeholder="margin = Linear(0, 0.3, 500)",
            help="Knobs that change with the step, in place of their sliders: Linear(from, to, steps), "
            "Cosine(from, to, steps) or Decay(from, least, rate, power); several with semicolons between.",
        )
    fresh = st.session_state.pop("knobs_fresh", {})
    if any(values[name] != value for name, value in fresh.items() if name in values):
        # A slider with another range than before is new to Streamlit, and takes the page's first link for its value.
        st.session_state.knobs_again = fresh
        st.rerun()
    return chosen_loss(values)


def recipe(steer: Callable[[], None]) -> Recipe:
    """All choices of the sidebar as one recipe. ValueError with one sentence when they make none."""
    return Recipe(loss=loss_panel(steer), **training_panel())


def training_panel(**usual: Any) -> dict[str, Any]:
    """Choose what a recipe has beside its loss. `usual` replaces defaults of the recipe."""
    return data_panel(usual) | network_panel(Recipe(**usual), DIMENSIONS)


def number(default: Any, name: str, label: str = "") -> dict[str, Any]:
    """The widget of a knob that is a number or a switch, beginning as in `default`; what it says, by name."""
    return {name: widget(knobs(default)[name], getattr(default, name), name, label=label)}


def data_panel(usual: dict[str, Any]) -> dict[str, Any]:
    """Choose a data set, its classes and how many images of each."""
    default, chosen = Recipe(**usual), {}
    st.subheader("Data", divider="gray")
    sets = data.catalogue()
    # Options are the names themselves, without titles: what is shown is what the URL carries.
    chosen["data"] = st.selectbox(
        "Data set",
        list(sets),
        list(sets).index(default.data),
        key="data",
        bind="query-params",
        help="\n\n".join(f"**{name}**: {each.card}" for name, each in sets.items()),
    )
    names = sets[chosen["data"]].names
    chosen["classes"] = tuple(
        st.multiselect(
            "Classes",
            range(len(names)),
            [i for i in usual.get("classes", range(len(names))) if i < len(names)],
            format_func=lambda i: names[i],
            key="classes",
            bind="query-params",
        )
    )
    chosen |= number(default, "per_class", "Images per class (0: all)")
    chosen |= number(default, "imbalance", "Imbalance (first : last class)")
    return chosen | number(default, "noise", "Label noise")


def network_panel(default: Recipe, dimensions: tuple[int, ...]) -> dict[str, Any]:
    """Choose the network and how it is trained, beginning as in `default`."""
    chosen: dict[str, Any] = {}
    st.subheader("Network and training", divider="gray")
    chosen["dim"] = st.segmented_control(
        "Dimensions: 2 is a circle, 3 a sphere",
        dimensions,
        default=default.dim,
        required=True,
        key="dim",
        bind="query-params",
    )
    backbones = models.catalogue()
    chosen["model"] = st.selectbox(
        "Backbone", list(backbones), list(backbones).index(default.model), key="model", bind="query-params"
    )
    left, right = st.columns(2)
    with left:
        chosen |= number(default, "epochs") | number(default, "rate", "Learning rate")
    with right:
        chosen |= number(default, "batch", "Batch size") | number(default, "seed")
    with st.expander("More"):
        chosen |= number(default, "shift", "Shift of training images") | number(default, "probe", "Images shown")
        chosen |= number(default, "precision")
    return chosen


def open_link(dimensions: tuple[int, ...] = DIMENSIONS) -> list[str]:
    """Check what the URL says, once a session; sentences about what it says wrongly (the widget's default holds).
    `dimensions` are those that the page offers."""
    if "link_problems" in st.session_state:
        return st.session_state.link_problems
    said, problems = st.query_params.to_dict(), []
    catalogue, declared, default = losses.catalogue(), knobs(Recipe), Recipe()
    known = {"loss": catalogue, "base": losses.bases(), "defaults": DEFAULTS}
    loss = starting({key: said[key] for key, there in known.items() if said.get(key) in there})
    offered = {key: knob for key, knob in losses.knobs(loss).items() if key != "base"}
    sets = data.catalogue()
    names = sets.get(said.get("data"), sets[default.data]).names
    choices = {
        "loss": tuple(catalogue),
        "base": losses.bases(),
        "defaults": DEFAULTS,
        "data": tuple(sets),
        "model": tuple(models.catalogue()),
        "classes": names,
        "dim": tuple(map(str, dimensions)),
    }
    for key in said:
        knob = (offered | declared).get(key)
        for text in st.query_params.get_all(key):
            if key in choices and text not in choices[key]:
                problems.append(f"The link asks for {key} {quoted(text)}; there are {', '.join(choices[key])}.")
            elif knob and key not in choices:
                try:
                    if isinstance(knob.parse(text[:LONGEST]), Schedule):
                        raise ValueError(f"{key} is a schedule: write it as schedules={key}=...")
                except ValueError as error:
                    problems.append(f"In the link, {quoted(str(error))} Another value is used instead.")
    st.session_state.link_problems = problems
    return problems


def quoted(text: str) -> str:
    """What a link says, as plain words: nothing in it may act as Markdown, nor fill the page."""
    return re.sub(r"([\\`*_\[\]<>$:#~!|])", r"\\\1", text if len(text) <= LONGEST else text[:LONGEST] + "…")


def arrive(page: str) -> None:
    """Call it where a page begins whose sidebar has widgets of the same names as another's: coming from that one, it
    takes its own defaults and not what was set there."""
    before, st.session_state.sidebar_of = st.session_state.get("sidebar_of", page), page
    for name in knobs(Recipe) if before != page else ():
        if name not in st.query_params:
            st.session_state.pop(name, None)


def fill(values: dict[str, Any]) -> None:
    """Set the sidebar to a recipe's fields and a loss's knobs, everything else to its default. Call it before the
    widgets are drawn: in a callback, or at the start of a page."""
    default = Recipe()
    plain = {name: getattr(default, name) for name in knobs(Recipe) if name != "classes"}
    loss = values.get("loss", default.loss)
    state = plain | {name: value for name, value in values.items() if name in plain}
    state |= {"loss": type(loss).__name__, "classes": list(values.get("classes", default.classes))}
    knobs_of_loss = losses.settings(loss)
    planned = {name: value for name, value in knobs_of_loss.items() if isinstance(value, Schedule)}
    state |= knobs_of_loss | {name: value.ends[0] for name, value in planned.items()}
    state["schedules"] = "; ".join(f"{name} = {value}" for name, value in planned.items())
    st.session_state.update(state)


def get_data(name: str) -> None:
    """Offer to download a data set that is not on this machine, with progress."""
    chosen = data.catalogue()[name]
    try:
        st.warning(f"{chosen.title} is not in the data folder {data.data_folder()} yet.")
    except data.DataError as error:
        return st.error(str(error))
    if st.button("Download it", icon=":material/download:", key="download"):
        bar = st.progress(0.0, "Asking the first mirror")
        try:
            chosen.download(
                progress=lambda done, total: bar.progress(done / max(total, 1), f"{done >> 20} of {total >> 20} MB")
            )
            st.rerun()
        except data.DataError as error:
            st.error(str(error))
