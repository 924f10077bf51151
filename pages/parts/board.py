"""The board as a Streamlit component: knobs and pictures that answer while they are turned. See losslab/stage/board.js.

What is shown is in the link: `losses` (once for each, as `losses.written` writes it) and every value that is not its
default. A page gives its pictures, its presets and what it opens with; all else is here.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from losslab import losses, views
from losslab.catalogue import Knob, knobs
from losslab.live import sights
from losslab.losses import Loss
from losslab.losses.formula import filled, valued
from losslab.render.style import SERIES
from losslab.schedules import Schedule

from .settings import quoted

BOARD = st.components.v2.component(
    "losslab_board",
    js="""
export default async function (component) {
    const { default: mount } = await import(new URL(component.data.base + "/losslab/stage/board.js", document.baseURI));
    return mount(component);
}
""",
)


@dataclass(frozen=True)
class Preset:
    """What to set, and one paragraph of what to look at: a true and surprising thing, checked by a test."""

    title: str
    why: str
    losses: tuple[Loss, ...]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A page of pictures: which views, what it opens with, and what may be chosen."""

    key: str  # of its state, and of its board
    panels: Sequence[str]  # views by name, in reading order
    presets: Sequence[Preset]
    balls: Sequence[str] = ()  # those of the panels that are a circle or a sphere
    most: int = 4  # losses at once
    hidden: Sequence[str] = ()  # values that are set in the picture, not by a knob
    offered: Callable[[type[Loss]], bool] = lambda kind: True
    parts: Mapping[str, Sequence[str]] = field(default_factory=dict)  # pictures seen together, where all are too many
    fitted: Callable[[dict, list[dict]], list[dict]] = lambda state, controls: controls  # those knobs that matter now

    @property
    def controls(self) -> dict[str, Knob]:
        """The knobs of all its views, each once."""
        found: dict[str, Knob] = {}
        for name in self.panels:
            found |= knobs(views.catalogue()[name])
        return {name: knob for name, knob in found.items() if name not in self.hidden}

    @property
    def fields(self) -> dict[str, Any]:
        """Every value of its views and its default, and with parts the one that is shown."""
        return ({"show": next(iter(self.parts))} if self.parts else {}) | {
            each.name: each.default
            for name in self.panels
            for each in dataclasses.fields(views.catalogue()[name])
            if each.name != "losses"
        }


def show(page: Page, more: Callable[[], None] = lambda: None) -> None:
    """Presets, `more` that stands beside them, the board, and the link that says what it shows."""
    state, problems = current(page)
    words = st.empty()
    st.pills(
        "Start from",
        [preset.title for preset in page.presets],
        key=f"{page.key}_preset",
        on_change=preset_chosen,
        args=(page,),
        label_visibility="collapsed",
        wrap=True,
    )
    chosen = next((p for p in page.presets if p.title == st.session_state.get(f"{page.key}_preset")), None)
    words.caption(chosen.why if chosen else views.catalogue()[first_shown(page, state)].card)
    for problem in problems:
        st.warning(problem)
    more()
    write_link(page, state)
    base = st.get_option("server.baseUrlPath").strip("/")
    BOARD(
        key=page.key,
        data={
            "key": page.key,
            "base": f"/{base}" if base else "",
            "revision": st.session_state[f"{page.key}_revision"],
            "losses": [described(loss, name, i) for i, (loss, name) in enumerate(zip(*whole(state), strict=True))],
            "turn": st.session_state.get(f"{page.key}_turn"),
            "controls": page.fitted(state, [as_control(knob, page) for knob in page.controls.values()]),
            "values": page.fields | state["values"],
            "panels": [as_panel(name, page) for name in page.panels],
            "parts": list(page.parts),
            "menu": menu(page),
            "most": page.most,
        },
        on_state_change=lambda: board_set(page),
    )


def formulas(page: Page) -> None:
    """The formulas of the losses with their knobs filled in, and the code that draws the pictures."""
    chosen, _ = whole(current(page)[0])
    parts = list(dict.fromkeys(part for loss in chosen for part in layers(loss)))
    columns = st.columns(2)
    for i, loss in enumerate(parts):
        with columns[i % 2]:
            st.latex(filled(loss))
            said = f" with {values}" if (values := valued(loss)) else ""
            st.caption(f"**{loss.card.title}** ({loss.card.year}){said}. {loss.card.geometry}")
    # Built only when it is opened: to colour code the browser loads more than all of the rest.
    source = st.expander("The losses as they run", key=f"{page.key}_source", on_change="rerun")
    if source.open:
        for kind in dict.fromkeys(map(type, parts)):
            source.caption(
                f"{kind.card.title} ({kind.card.year}), {kind.card.paper}. {kind.card.use} {kind.card.hazard}"
            )
            source.code(inspect.getsource(kind), language="python")


def layers(loss: Loss) -> list[Loss]:
    """The loss, and what it is added to."""
    return [loss, *layers(loss.base)] if losses.wraps(loss) else [loss]


def panels(key: str, names: Sequence[str], values: dict[str, Any], controls: Sequence[Knob], revision: str) -> dict:
    """Pictures of a run: no losses to choose, no presets and no link. With another `revision` they are set to `values`
    anew. The values as the reader has set them since."""
    base = st.get_option("server.baseUrlPath").strip("/")
    shown = BOARD(
        key=key,
        data={
            "key": key,
            "base": f"/{base}" if base else "",
            "revision": revision,
            "losses": [],
            "controls": [as_data(knob) for knob in controls],
            "values": values,
            "panels": [{"view": name, "title": "", "ball": False} for name in names],
        },
        on_state_change=lambda: None,
    )
    now = shown.state["values"] if shown.state else {}
    return values | now if now.get("run") == values["run"] else values


def first_shown(page: Page, state: dict) -> str:
    """The view at the top of what is shown."""
    shown = (page.fields | state["values"]).get("show")
    return page.parts[shown][0] if page.parts else page.panels[0]


def whole(state: dict) -> tuple[tuple[Loss, ...], tuple[str, ...]]:
    chosen = tuple(state["losses"])
    return chosen, views.named(chosen)


def current(page: Page) -> tuple[dict, list[str]]:
    """What the page shows: what a new link says, else what it showed before, else its first preset."""
    name = f"{page.key}_state"
    said = {key: st.query_params.get_all(key) for key in ("losses", *page.fields) if key in st.query_params}
    acted = st.session_state.pop(f"{page.key}_acted", False)
    if said and not acted and said != st.session_state.get(f"{page.key}_link"):
        state, problems = read_link(page, said)
        st.session_state[f"{page.key}_link"] = said
        put(page, state)
        st.session_state[f"{page.key}_problems"] = problems
    if name not in st.session_state:
        first = page.presets[0]
        put(page, {"losses": list(first.losses), "values": dict(first.values)})
        st.session_state[f"{page.key}_preset"] = first.title
    return st.session_state[name], st.session_state.get(f"{page.key}_problems", [])


def acted(page: Page) -> None:
    """To be said by every callback: the page runs for what the reader did on it. The link that the browser sends along
    may then be one of before, for it takes over a new one a little later; it is no wish to go back."""
    st.session_state[f"{page.key}_acted"] = True


def put(page: Page, state: dict) -> None:
    """Show another state: the board takes it over."""
    st.session_state[f"{page.key}_state"] = state
    st.session_state[f"{page.key}_revision"] = st.session_state.get(f"{page.key}_revision", 0) + 1
    st.session_state.pop(f"{page.key}_problems", None)
    st.session_state.pop(f"{page.key}_turn", None)


def preset_chosen(page: Page) -> None:
    acted(page)
    chosen = next((p for p in page.presets if p.title == st.session_state[f"{page.key}_preset"]), None)
    if chosen:
        put(page, {"losses": list(chosen.losses), "values": dict(chosen.values)})


def board_set(page: Page) -> None:
    """Something was turned, dragged, added or taken away on the board, and has come to rest."""
    acted(page)
    said = st.session_state[page.key].state
    try:
        chosen = [sights.loss(each) for each in said["losses"][: page.most]]
        values = {key: value for key, value in said["values"].items() if key in page.fields}
    except (ValueError, TypeError, KeyError):
        return  # the picture itself says what is wrong
    before = st.session_state[f"{page.key}_state"]
    state = {"losses": chosen, "values": values}
    fresh = any(each.get("knobs") is None for each in said["losses"])
    if fresh or [type(loss) for loss in chosen] != [type(loss) for loss in before["losses"]]:
        put(page, state)
        st.session_state[f"{page.key}_turn"] = said.get("turn")
    st.session_state[f"{page.key}_state"] = state
    st.session_state[f"{page.key}_preset"] = None


def read_link(page: Page, said: dict[str, list[str]]) -> tuple[dict, list[str]]:
    """The state a link asks for, and a sentence for each part of it that makes none."""
    chosen, values, problems = [], {}, []
    for text in said.get("losses", [])[: page.most]:
        try:
            chosen.append(losses.read(text))
        except ValueError as error:
            problems.append(f"In the link, {quoted(str(error))}")
    for name, texts in said.items():
        if name == "losses":
            continue
        try:
            values[name] = value_of(page, name, texts[0])
        except ValueError as error:
            problems.append(f"In the link, {quoted(str(error))}")
    if not chosen:
        chosen = list(page.presets[0].losses)
    return {"losses": chosen, "values": values}, list(dict.fromkeys(problems))


def value_of(page: Page, name: str, text: str) -> Any:
    if name == "show":
        if text not in page.parts:
            raise ValueError(f"show is {text!r:.60}, but it must be one of {', '.join(page.parts)}.")
        return text
    knob = {k: v for view in page.panels for k, v in knobs(views.catalogue()[view]).items()}.get(name)
    if knob is not None:
        return knob.parse(text)
    return views.read_value(page.fields[name], name, text)


def write_link(page: Page, state: dict) -> None:
    default = page.fields
    link = {"losses": [losses.written(loss) for loss in state["losses"]]}
    for name, value in state["values"].items():
        if views.written_value(value) != views.written_value(default.get(name)):  # a list came as a tuple
            link[name] = [views.written_value(value)]
    for name in {"losses", *default} - set(link):
        if name in st.query_params:
            del st.query_params[name]
    for name, texts in link.items():
        if st.query_params.get_all(name) != texts:
            st.query_params[name] = texts
    st.session_state[f"{page.key}_link"] = link


def described(loss: Loss, title: str, index: int) -> dict:
    """A loss as the board shows its knobs."""
    now = losses.settings(loss)
    return {
        "name": type(loss).__name__,
        "title": losses.title(loss) if len(title) > 40 else title,
        "ink": SERIES[index % len(SERIES)],
        "values": {name: str(value) if isinstance(value, Schedule) else value for name, value in now.items()},
        "knobs": [as_data(knob) for name, knob in losses.knobs(loss).items() if not isinstance(now[name], Schedule)],
        "source": loss.card.source,
    }


def as_data(knob: Knob) -> dict:
    """A knob as the browser's sliders need it: a range that ends somewhere."""
    data = {
        name: getattr(knob, name)
        for name in ("name", "default", "low", "high", "step", "choices", "symbol", "unit", "help")
    }
    if knob.choices is None and isinstance(knob.default, int | float) and not isinstance(knob.default, bool):
        data["low"] = knob.low if knob.low is not None else 0
        data["high"] = knob.high if knob.high is not None else max(10 * knob.default, 10)
        data["step"] = knob.step or (data["high"] - data["low"]) / 100
        data["whole"] = isinstance(knob.default, int)
    return data


def as_control(knob: Knob, page: Page) -> dict:
    """A knob of views, and of which."""
    return as_data(knob) | {"views": [name for name in page.panels if knob.name in knobs(views.catalogue()[name])]}


def as_panel(name: str, page: Page) -> dict:
    part = next((part for part, names in page.parts.items() if name in names), None)
    of_losses = views.catalogue()[name].of_losses
    return {"view": name, "title": "", "ball": name in page.balls, "part": part, "losses": of_losses}


def menu(page: Page) -> list[list[str]]:
    """The losses that can be added: name and title, by family."""
    kinds = [kind for kind in losses.catalogue().values() if page.offered(kind)]
    kinds.sort(key=lambda kind: losses.FAMILIES.index(kind.card.family))
    return [[kind.__name__, kind.card.title, kind.card.family] for kind in kinds]
