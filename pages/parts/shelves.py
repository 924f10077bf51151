"""The shelves of the Library: which loss the link asks for, and how another is taken down."""

from contextlib import suppress

import streamlit as st
from streamlit.errors import StreamlitAPIException

from losslab import losses
from losslab.losses import FAMILIES, Loss
from losslab.training import Recipe

from .settings import loss_chosen, quoted

FAMILY, TITLE = "library_family", "library_loss"  # widgets; the link alone says which loss is shown


def chosen() -> tuple[type[Loss], str]:
    """The loss of the link, or else that of the Playground; and what to say of a link that asks for none there is."""
    said = st.query_params.get("loss")
    asked = said or st.session_state.get("loss", type(Recipe().loss).__name__)
    try:
        kind, problem = losses.kind(asked), ""
    except ValueError:
        kind = type(Recipe().loss)
        problem = f"The link asks for loss {quoted(asked)}, which is not here. This is {kind.card.title} instead."
    if said != kind.__name__:
        with suppress(StreamlitAPIException):  # on the way from the Playground `loss` is still a widget's
            st.query_params["loss"] = kind.__name__
    return kind, problem


def choose(kind: type[Loss]) -> None:
    """The families in one row, the losses of one in the next. On a narrow screen the rows scroll sideways."""
    st.session_state[FAMILY], st.session_state[TITLE] = kind.card.family, kind.__name__
    st.pills("Family", FAMILIES, key=FAMILY, on_change=turn_to_family, label_visibility="collapsed", wrap=False)
    names = shelf(kind.card.family)
    titles = {name: losses.kind(name).card.title for name in names}
    st.pills(
        "Loss",
        names,
        format_func=titles.get,
        key=TITLE,
        on_change=turn_to_loss,
        label_visibility="collapsed",
        wrap=False,
    )


def shelf(family: str) -> list[str]:
    """The losses of a family, oldest first."""
    return [name for name, kind in losses.catalogue().items() if kind.card.family == family]


def turn_to_family() -> None:
    if st.session_state[FAMILY]:
        st.query_params["loss"] = shelf(st.session_state[FAMILY])[0]


def turn_to_loss() -> None:
    if st.session_state[TITLE]:
        st.query_params["loss"] = st.session_state[TITLE]


def to_playground(name: str) -> None:
    """A button that opens the Playground with this loss and its own knobs. The rest is left there as it was."""
    if st.button("Try it on the Playground", icon=":material/play_arrow:", on_click=take, args=(name,), key="take"):
        st.switch_page("pages/1_playground.py", query_params={"loss": name})


def take(name: str) -> None:
    st.session_state.loss = name
    loss_chosen()
