"""Figures for a paper: every one as vector files at the width of a column, with its caption and what rebuilds it."""

import streamlit as st

from losslab import figures
from losslab.figures import Figure, said
from losslab.press import Look, latex
from losslab.render.paper import KINDS
from losslab.training import RunError
from pages.parts import paper, sheet

ACROSS = 3
NAMES = {"pdf": "PDF", "svg": "SVG", "pgf": "PGF (LaTeX)", "png": "PNG"}


def gallery() -> None:
    """Every figure as it begins; one whose runs are not here yet says so instead of showing a picture."""
    st.subheader("Figures for a paper", anchor=False)
    st.caption(
        "Vector, at the width of a column, of any losses. Each can be built by one command too: "
        "`python -m losslab figure --list`."
    )
    begun = {name: kind() for name, kind in figures.catalogue().items()}
    lacking = {name: paper.lacking(figure) for name, figure in begun.items()}
    tiles({name: figure for name, figure in begun.items() if not lacking[name]}, drawn=True)
    if recipes := list({recipe.key: recipe for each in lacking.values() for recipe in each}.values()):
        train(recipes, "These figures show trainings that are not on this server yet.")
        tiles({name: figure for name, figure in begun.items() if lacking[name]}, drawn=False)


def tiles(begun: dict[str, Figure], drawn: bool) -> None:
    names = list(begun)
    for start in range(0, len(names), ACROSS):
        for column, name in zip(st.columns(ACROSS, gap="medium"), names[start : start + ACROSS], strict=False):
            with column.container(border=True, height="stretch"):
                tile(name, begun[name], drawn)


def tile(name: str, figure: Figure, drawn: bool) -> None:
    """One figure of the gallery, with its picture where its runs are there."""
    kind, link = type(figure), f"paper_figures?figure={name}"
    st.markdown(f"**[{paper.title(name)}]({link})**")
    if drawn:
        picture = paper.printed(figure, Look(width=kind.width)).preview
        st.image(picture, alt=f"{paper.title(name)}. {kind.card}", link=link, width="stretch")
    st.caption(kind.card)
    st.caption(f"As in {kind.after}.")


def train(recipes: list, why: str) -> None:
    """Offer to train what is missing, or say how far it is."""
    if st.session_state.get("paper_runs"):
        return paper.wait()
    st.info(why)
    count = f"{len(recipes)} runs" if len(recipes) > 1 else "1 run"
    st.button(
        f"Train {count}",
        type="primary",
        icon=":material/play_arrow:",
        on_click=paper.train,
        args=(recipes,),
        key="paper_train",
    )


def figure_page(asked: dict) -> None:
    """One figure: what it shows, the page as it will be printed, and the files."""
    name = asked["figure"]
    kind = said.kind(name)
    usual = getattr(kind, "width", "ieee-1")
    figure, look = said.make(asked, paper.find), paper.look(usual)
    st.page_link("pages/9_paper_figures.py", label="All figures", icon=":material/arrow_back:")
    st.subheader(paper.title(name), anchor=False)
    st.caption(f"{kind.card}{f' As in {kind.after}.' if getattr(kind, 'after', '') else ''}")
    left, right = st.container(key="paper").columns([2, 5], gap="medium")
    turns = False
    with right:
        if lacking := paper.lacking(figure):
            train(lacking, "This figure shows trainings that are not on this server yet.")
        else:
            try:
                turns = paper.round_ones(paper.plate(figure))
                result(figure, look, name)
            except (ValueError, RunError) as error:  # the widgets beside it are the way out
                st.warning(str(error))
    with left:
        sheet.controls(figure, look, usual, turns)


def result(figure, look, name: str) -> None:
    """The page and its files."""
    with st.spinner("Drawing", show_time=False):
        drawn = paper.printed(figure, look)
        text = paper.caption(figure)
    wide, high = drawn.inches
    with st.container(key="sheet"):
        st.image(drawn.preview, alt=text, width=round(wide * 96 * 1.35))
    st.caption(f"The page of the PDF: {wide:.2f} × {high:.2f} in, {len(drawn.pdf) / 1000:.0f} kB, fonts embedded.")
    file = name.lower()
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        dots = st.number_input("PNG dots per inch", 72, 1200, 300, 50, key="paper_dpi", width=150)
        for ending, mime in KINDS.items():
            st.download_button(
                NAMES[ending],
                lambda ending=ending: paper.file(figure, look, ending, dots),
                f"{file}.{ending}",
                mime,
                key=f"paper_{ending}",
                on_click="ignore",
                icon=":material/download:",
            )
        st.download_button(
            "Numbers (CSV)", paper.plate(figure).table(), f"{file}.csv", "text/csv", key="paper_csv", on_click="ignore",
            icon=":material/download:",
        )  # fmt: skip
        st.download_button(
            "All, with the script that rebuilds them (zip)",
            lambda: paper.everything(figure, look, file, dots),
            f"{file}.zip",
            "application/zip",
            key="paper_zip",
            on_click="ignore",
            icon=":material/folder_zip:",
        )
    plain, tex = st.tabs(["Caption", "as LaTeX"])
    plain.code(text, language=None, wrap_lines=True)
    tex.code(f"\\caption{{{latex(text)}}}", language="latex", wrap_lines=True)


st.html(
    "<style>"
    ".st-key-sheet img { background: #fff; box-shadow: 0 0 0 1px rgba(128,128,128,.35); border-radius: 2px }"
    "@media (max-width: 68rem) { .st-key-paper .stColumn { min-width: 100% } }"
    "</style>"
)
if problem := st.session_state.pop("paper_problem", None):
    st.warning(problem)
try:
    if asked := paper.asked():
        figure_page(asked)
    else:
        gallery()
except (ValueError, RunError) as error:
    st.warning(str(error))
    st.page_link("pages/9_paper_figures.py", label="All figures", icon=":material/arrow_back:")
