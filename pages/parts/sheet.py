"""Choosing what a paper figure shows and how it is printed. The link carries every choice."""

import json
from dataclasses import replace
from typing import Any

import streamlit as st

from losslab import data as sets
from losslab import losses, models
from losslab.catalogue import knobs
from losslab.figures import Figure, said
from losslab.press import Look
from losslab.render import flat
from losslab.render import paper as printer
from losslab.training import Recipe
from losslab.training.recipe import FACES
from pages.parts import paper, settings

FREE = "free"
WIDTHS = {
    "ieee-1": "IEEE, one column",
    "ieee-2": "IEEE, two columns",
    "cvpr-1": "CVPR, one column",
    "cvpr-2": "CVPR, two columns",
    "springer-1": "Springer, one column",
    "springer-2": "Springer, two columns",
    FREE: "Another width",
}
OFTEN = ("data", "dim", "per_class", "epochs", "seed")  # of a recipe, before the others


def version() -> int:
    """Counts the links that came from elsewhere: widgets of an older one are forgotten."""
    link = json.dumps(sorted((name, st.query_params.get_all(name)) for name in st.query_params))
    if link != st.session_state.get("paper_link"):
        st.session_state.paper_link = link
        st.session_state.paper_version = st.session_state.get("paper_version", 0) + 1
    return st.session_state.paper_version


def name_of(field: str) -> str:
    """The key of a widget."""
    return f"paper {version()} {field}"


def chosen(field: str, otherwise: Any) -> Any:
    return st.session_state.get(name_of(field), otherwise)


def controls(figure: Figure, look: Look, usual: str, turns: bool) -> None:
    """All widgets of a figure; what is turned goes into the link. `turns`: there is a sphere in it."""
    plain = said.plain(figure)
    kind = said.kind(plain["figure"])

    def turned() -> None:
        """Have the link say what the widgets say."""
        asked = {name: value for name, value in plain.items() if name not in ("losses", "recipe")}
        asked |= {name: chosen(name, value) for name, value in shown.items()}
        if not getattr(figure, "runs", ()):
            asked["losses"] = chosen("losses", list(map(losses.written, figure.losses)))
            if recipe is not None:
                asked["recipe"] = {name: chosen(f"recipe {name}", value) for name, value in taught.items()}
        try:
            asked = said.plain(said.make(asked, paper.find))
        except (ValueError, OSError) as error:
            st.session_state.paper_problem = str(error)
            return
        width = chosen("width", "")
        width = str(chosen("millimetres", 100)) if width == FREE else width
        camera = look.camera
        if turns and (stands := tuple(round(chosen(name, at)) for name, at in place.items())) != tuple(place.values()):
            camera = tuple(flat.stand(*stands))
        before = version()
        paper.say(asked, replace(look, width=width, style=chosen("style", look.style), camera=camera), usual)
        st.session_state.paper_link = json.dumps(sorted((k, st.query_params.get_all(k)) for k in st.query_params))
        st.session_state.paper_version = before  # these widgets said it

    place = dict(zip(("longitude", "latitude"), map(round, flat.standpoint(look.camera)), strict=True))
    if runs := getattr(figure, "runs", ()):
        st.caption(f"Of the run{'s' if len(runs) > 1 else ''} " + ", ".join(f"`{run.path.name}`" for run in runs) + ".")
    elif "losses" in said.shared(kind) and getattr(kind, "of_losses", True):
        choose_losses(figure, turned)
    shown = own_knobs(figure, kind, turned)
    recipe = None if runs else getattr(figure, "recipe", None)
    taught: dict[str, Any] = {}
    if recipe is not None:
        with st.expander("What is trained"):
            taught = recipe_knobs(recipe, turned)
    st.markdown("**Page**")
    named = look.width if look.width in printer.WIDTHS else FREE
    st.selectbox(
        "Width",
        list(WIDTHS),
        list(WIDTHS).index(named),
        format_func=lambda each: f"{WIDTHS[each]}{inches(each)}",
        key=name_of("width"),
        on_change=turned,
    )
    if chosen("width", named) == FREE:
        mm = float(look.width) if named == FREE else 100.0
        st.number_input(
            "Millimetres", printer.NARROWEST, printer.WIDEST, mm, 1.0, key=name_of("millimetres"), on_change=turned
        )
    st.segmented_control(
        "Ink", printer.STYLES, default=look.style, required=True, key=name_of("style"), on_change=turned
    )
    if turns:
        st.caption("Spheres are seen from")
        left, right = st.columns(2)
        left.slider("Longitude (°)", -180, 180, place["longitude"], key=name_of("longitude"), on_change=turned)
        right.slider("Latitude (°)", -90, 90, place["latitude"], key=name_of("latitude"), on_change=turned)


def inches(width: str) -> str:
    return f" ({printer.WIDTHS[width]:.2f} in)" if width in printer.WIDTHS else ""


def choose_losses(figure: Figure, turned: Any) -> None:
    """Losses as the calls that make them: any of the catalogue, or one that is typed in."""
    now = list(map(losses.written, figure.losses))
    offered = [losses.written(losses.starting(name)) for name in losses.catalogue()]
    st.multiselect(
        "Losses",
        list(dict.fromkeys([*now, *offered])),
        now,
        accept_new_options=True,
        wrap=True,
        key=name_of("losses"),
        on_change=turned,
        help="Type a loss with its knobs to add it: ArcFace(margin=0.5, scale=16). "
        "IntraLoss and MarginLoss are reconstructions: their papers' formulas were not to be had.",
    )


def own_knobs(figure: Figure, kind: type, turned: Any) -> dict[str, Any]:
    """Widgets of what only this figure has; their values as they are now."""
    values = dict(figure.values) if hasattr(figure, "values") and hasattr(figure, "view") else {}
    declared, now = knobs(kind), {}
    of_training = getattr(figure, "runs", ()) or getattr(figure, "recipe", None)
    for name, field in said.own(kind).items():
        if name == "snapshot" and not of_training:
            continue
        value = values.get(name, field.default) if hasattr(figure, "view") else getattr(figure, name)
        if name in declared:
            now[name] = value
            settings.widget(declared[name], value, name_of(name), on_change=turned, bind=None)
        else:
            now[name] = said.text(said.bare(value))
            label = name.replace("_", " ").capitalize()
            st.text_input(label, now[name], key=name_of(name), on_change=turned, placeholder="1, 2, 3")
    return now


def recipe_knobs(recipe: Recipe, turned: Any) -> dict[str, Any]:
    """Widgets of what is trained; faces are chosen on their own page."""
    declared, now = knobs(Recipe), said.bare({})
    for name in (*OFTEN, *(each for each in declared if each not in OFTEN)):
        value = getattr(recipe, name)
        if recipe.faces is not None and name in ("data", "classes"):
            continue
        now[name] = list(value) if isinstance(value, tuple) else value
        key = name_of(f"recipe {name}")
        if name == "classes":
            names = sets.catalogue()[recipe.data].names
            st.multiselect(
                "Classes", range(len(names)), now[name], format_func=names.__getitem__, key=key, on_change=turned
            )
        elif name in ("data", "model"):
            there = [each for each in (sets.catalogue() if name == "data" else models.catalogue()) if each != FACES]
            st.selectbox(name.capitalize(), there, there.index(value), key=key, on_change=turned)
        else:
            settings.widget(declared[name], value, key, on_change=turned, bind=None)
    return now
