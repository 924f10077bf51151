"""Widgets made from knobs: the sidebar in which a recipe is chosen. The URL carries every choice."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import streamlit as st

from losslab import data, losses, models
from losslab.catalogue import Knob, knobs
from losslab.losses import Loss
from losslab.training import Recipe
from losslab.training import starting as starting_loss

DIMENSIONS = (2, 3)  # that the stage draws
LONGEST = 120  # characters of a link that are repeated to the reader


def starting(kind: type[Loss]) -> dict[str, Any]:
    """The knobs with which the page offers a loss."""
    return vars(starting_loss(kind))


def widget(knob: Knob, value: Any, key: str, *, label: str = "", on_change: Callable | str = "rerun") -> Any:
    """The widget for a knob: chips for choices, a switch, a slider where the range is a scale, else a number."""
    label = label or f"{knob.name.replace('_', ' ').capitalize()}{f' {knob.symbol}' if knob.symbol else ''}"
    shared = {"key": key, "help": knob.help or None, "on_change": on_change, "bind": "query-params"}
    if knob.choices:
        return st.segmented_control(label, knob.choices, default=value, required=True, **shared)
    if isinstance(knob.default, bool):
        return st.toggle(label, value, **shared)
    if knob.unit:
        label += f" ({knob.unit})"
    kind = type(knob.default)
    low, high, step = (None if number is None else kind(number) for number in (knob.low, knob.high, knob.step))
    if kind is float and None not in (high, step) and (high - low) / step < 500:
        return st.slider(label, low, high, value, step, **shared)
    return st.number_input(label, low, high, value, step, format="%g" if kind is float else None, **shared)


def chosen_loss(values: dict[str, Any]) -> Loss:
    """The loss that the widgets' values in `values` describe."""
    kind = losses.catalogue()[values["loss"]]
    start = starting(kind)
    return kind(**{name: values.get(name, start[name]) for name in start})


def loss_chosen() -> None:
    """Another loss starts with its own knobs: a margin of one is not a margin of the other."""
    st.session_state.update(starting(losses.catalogue()[st.session_state.loss]))


def loss_panel(steer: Callable[[], None]) -> Loss:
    """Choose a loss and turn its knobs; `steer` is called when a knob was turned."""
    catalogue = losses.catalogue()
    default = type(Recipe().loss).__name__
    name = st.selectbox(
        "Loss",
        list(catalogue),
        index=list(catalogue).index(default),
        key="loss",
        bind="query-params",
        on_change=loss_chosen,
    )
    kind = catalogue[name]
    st.caption(kind.card.geometry)
    start = starting(kind)
    common = {k: v for k, v in knobs(kind).items() if not v.choices}
    rare = {k: v for k, v in knobs(kind).items() if v.choices}
    values = {k: widget(v, start[k], k, on_change=steer) for k, v in common.items()}
    if rare:
        with st.expander("Gradient and far side" if "beyond" in rare else "More"):
            values |= {k: widget(v, start[k], k, on_change=steer) for k, v in rare.items()}
    return kind(**values)


def recipe(steer: Callable[[], None]) -> Recipe:
    """All choices of the sidebar as one recipe. ValueError with one sentence when they make none."""
    declared = knobs(Recipe)
    default = Recipe()
    chosen: dict[str, Any] = {"loss": loss_panel(steer)}

    def number(name: str, label: str = "") -> None:
        chosen[name] = widget(declared[name], getattr(default, name), name, label=label)

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
            list(range(len(names))),
            format_func=lambda i: names[i],
            key="classes",
            bind="query-params",
        )
    )
    number("per_class", "Images per class (0: all)")

    st.subheader("Network and training", divider="gray")
    chosen["dim"] = st.segmented_control(
        "Dimensions: 2 is a circle, 3 a sphere",
        DIMENSIONS,
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
        number("epochs")
        number("rate", "Learning rate")
    with right:
        number("batch", "Batch size")
        number("seed")
    with st.expander("More"):
        number("shift", "Shift of training images")
        number("probe", "Images shown")
        number("precision")
    return Recipe(**chosen)


def open_link() -> list[str]:
    """Check what the URL says, once a session; sentences about what it says wrongly (the widget's default holds)."""
    if "link_problems" in st.session_state:
        return st.session_state.link_problems
    said, problems = st.query_params.to_dict(), []
    catalogue, declared, default = losses.catalogue(), knobs(Recipe), Recipe()
    name = said.get("loss", type(default.loss).__name__)
    kind = catalogue.get(name, type(default.loss))
    sets = data.catalogue()
    names = sets.get(said.get("data"), sets[default.data]).names
    choices = {
        "loss": tuple(catalogue),
        "data": tuple(sets),
        "model": tuple(models.catalogue()),
        "classes": names,
        "dim": tuple(map(str, DIMENSIONS)),
    }
    for key in said:
        knob = (knobs(kind) | declared).get(key)
        for text in st.query_params.get_all(key):
            if key in choices and text not in choices[key]:
                problems.append(f"The link asks for {key} {quoted(text)}; there are {', '.join(choices[key])}.")
            elif knob and key not in choices:
                try:
                    knob.parse(text[:LONGEST])
                except ValueError as error:
                    problems.append(f"In the link, {quoted(str(error))} Another value is used instead.")
    st.session_state.link_problems = problems
    return problems


def quoted(text: str) -> str:
    """What a link says, as plain words: nothing in it may act as Markdown, nor fill the page."""
    return re.sub(r"([\\`*_\[\]<>$:#~!|])", r"\\\1", text if len(text) <= LONGEST else text[:LONGEST] + "…")


def fill(values: dict[str, Any]) -> None:
    """Set the sidebar to a recipe's fields and a loss's knobs, everything else to its default. Call it before the
    widgets are drawn: in a callback, or at the start of a page."""
    default = Recipe()
    plain = {f.name: getattr(default, f.name) for f in dataclasses.fields(Recipe) if f.name not in ("loss", "classes")}
    loss = values.get("loss", default.loss)
    state = plain | {k: v for k, v in values.items() if k not in ("loss", "classes")}
    state |= {"loss": type(loss).__name__, "classes": list(values.get("classes", default.classes))}
    state |= {name: getattr(loss, name) for name in knobs(loss)}
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
