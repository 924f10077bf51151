"""Every loss on a page of its own, made from what the loss says of itself."""

import streamlit as st

from losslab import library, losses
from pages.parts import shelves

st.html(
    "<style>"
    # Where there is room every family and every loss is in sight; else their rows scroll.
    "@media (min-width: 48rem) { .st-key-library_family [role=radiogroup], .st-key-library_loss [role=radiogroup] "
    "{ flex-wrap: wrap } }"
    # A picture half as wide as a small window could not be read.
    "@media (max-width: 68rem) { .st-key-look .stColumn { min-width: 100% } }"
    ".stMarkdown table { display: block; overflow-x: auto } .stMarkdown td:last-child { min-width: 16rem }"
    "</style>"
)
st.subheader("What each loss is, does and needs", anchor=False)
kind, problem = shelves.chosen()
shelves.choose(kind)
if problem:
    st.warning(problem)

card, name = kind.card, kind.__name__
with st.container(horizontal=True, vertical_alignment="center"):
    st.header(card.title, anchor=False, width="content")
    if card.reconstruction:
        st.badge("a reconstruction", icon=":material/construction:", color="orange", help=library.RECONSTRUCTION)
    st.space("stretch")
    shelves.to_playground(name)
st.caption(f"`{name}` · {card.year} · {library.paper(kind)} · {card.family}")
st.latex(card.formula)

words, picture = st.container(key="look").columns(2, gap="medium")
with words:
    for what, said in (
        ("What it does to the sphere", card.geometry),
        ("When to use it", card.use),
        ("What goes wrong", card.hazard),
    ):
        st.markdown(f"**{what}.** {library.prose(said)}")
with picture:
    said = library.caption(kind)
    st.image(library.curve(kind), caption=said, alt=f"Curves of {card.title} over the angle. {said}", width="content")
    st.page_link(
        "pages/9_paper_figures.py",
        label="Send to paper",
        icon=":material/article:",
        query_params={"figure": "LogitCurves", "losses": losses.written(losses.starting(name))},
    )
st.markdown(library.described(kind))

st.subheader("Knobs", divider="gray", anchor=False)
st.markdown("\n\n".join(filter(None, [library.knob_table(kind), library.listed(library.sources(kind))])))

st.subheader("What it looks at, and what it keeps", divider="gray", anchor=False)
st.markdown(library.listed(library.nature(kind)))

st.subheader("A step with it", divider="gray", anchor=False)
st.code(library.example(kind), language="python")

st.subheader("The code", divider="gray", anchor=False)
st.code(library.source(kind), language="python")
