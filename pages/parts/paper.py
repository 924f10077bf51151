"""A figure for paper on the page: what the link says of it, the runs it shows, and the exact page made of it."""

import io
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pypdfium2
import streamlit as st

from losslab import press, views
from losslab.figures import Figure, said, trained
from losslab.live.pool import LIVE
from losslab.press import Look, Print
from losslab.scene import SPHERE, Plate
from losslab.training import Recipe, Run, RunError
from pages.parts import server

OF_PAGE = ("width", "style", "camera")  # what a link says besides the figure
SHARP = 3.0  # pixels of a preview for each point of the page, so that it is sharp on a dense screen
KEPT = 64  # pages


@dataclass(frozen=True)
class Printed:
    """A figure as PDF, and that page as a picture."""

    pdf: bytes
    preview: bytes  # PNG
    inches: tuple[float, float]


# -- what the link says --------------------------------------------------------------------------------------


def asked() -> dict[str, Any]:
    """What the link says of a figure; nothing where it names none."""
    link = {name: st.query_params.get_all(name) for name in st.query_params if name not in OF_PAGE}
    return said.unlinked(link) if "figure" in link else {}


def look(usual: str) -> Look:
    """How the link wants it printed; `usual` is the width where it says none. ValueError for what is no look."""
    camera = st.query_params.get("camera")
    return Look(
        width=st.query_params.get("width", usual),
        style=st.query_params.get("style", Look.style),
        camera=views.read_value((0.0,), "camera", camera) if camera else None,
    )


def say(figure: dict[str, Any], look: Look, usual: str) -> None:
    """Have the link say this."""
    link = said.linked(figure)
    if look.width != usual:
        link["width"] = [str(look.width)]
    if look.style != Look.style:
        link["style"] = [look.style]
    if look.camera:
        link["camera"] = [views.written_value(look.camera)]
    st.query_params.from_dict(link)


def find(id: str) -> Run:
    """The run of a link. ValueError where it is not here."""
    path = server.find(id)
    if path is None:
        raise ValueError("The run of this link is not on this server; open another.")
    return Run(path)


def title(name: str) -> str:
    """ "ToyScatter" as words: "Toy Scatter"."""
    return "".join(f" {each}" if each.isupper() else each for each in name).strip()


# -- its runs ------------------------------------------------------------------------------------------------


def there() -> dict[str, Run]:
    """The runs of this server that figures may show, by the keys of their recipes."""
    paths = [path for folder in (server.runs(), server.RECORDINGS) for path in sorted(folder.glob("*/status.json"))]
    found = (known(path.parent, path.stat().st_mtime_ns) for path in paths)
    return {key: run for key, run in found if run is not None}


@st.cache_resource(max_entries=2000, show_spinner=False)
def known(path: Path, stamp: int) -> tuple[str | None, Run | None]:
    """The key of a run's recipe, and the run if it may be shown. `stamp` is of its newest state."""
    key = trained.key_of(path / "recipe.json")
    return key, trained.finished(path) if key else None


def lacking(figure: Figure) -> list[Recipe]:
    """Recipes of the figure that nobody has trained yet, each once."""
    runs = there() if figure.recipes() else {}
    return [recipe for recipe in {each.key: each for each in figure.recipes()}.values() if recipe.key not in runs]


def shown(figure: Figure) -> tuple[Run, ...]:
    """The runs that `figure.plate` is to be called with; all of them are there."""
    return trained.runs_of(figure, there())


def train(recipes: Iterable[Recipe]) -> None:
    """Ask for these runs, one after the other."""
    pool, made = server.pool(), []
    try:
        for recipe in recipes:
            made.append(pool.submit(recipe, server.visitor()))
    except (ValueError, RuntimeError, OSError) as error:
        st.session_state.paper_problem = str(error)
    st.session_state.paper_runs = made


@st.fragment(run_every=1)
def wait() -> None:
    """How far the runs are that were asked for here; the page is drawn again once they are over."""
    ids, pool = st.session_state.get("paper_runs", []), server.pool()
    states = {id: pool.status(id) for id in ids}
    for id in ids:
        pool.seen(id)
    if failed := [status.reason for status in states.values() if status.state not in (*LIVE, "done")]:
        st.session_state.paper_problem = failed[0] or "A training was stopped."
        stop()
        st.rerun()
    if all(status.state == "done" for status in states.values()):
        st.session_state.paper_runs = []
        st.rerun()
    share = {id: 1.0 if status.state == "done" else done(id) for id, status in states.items()}
    running = next((id for id in ids if states[id].state == "running"), None)
    now = "waiting for a turn" if running is None else f"{share[running]:.0%} of {pool.loss(running).card.title}"
    finished = sum(status.state == "done" for status in states.values())
    st.progress(sum(share.values()) / len(ids), f"Training: {finished} of {len(ids)} done, {now}")
    st.button("Stop", icon=":material/stop:", on_click=stop, key="paper_stop")


def done(id: str) -> float:
    """The share of a run that is over."""
    try:
        run = Run(server.find(id))
        return run[len(run) - 1].step / run.total_steps if len(run) else 0.0
    except (RunError, TypeError):
        return 0.0


def stop() -> None:
    """Let go of the runs that were asked for here and are not over."""
    pool, visitor = server.pool(), server.visitor()
    for id in st.session_state.pop("paper_runs", []):
        if pool.holds(id, visitor) and pool.status(id).state in LIVE:
            pool.stop(id, visitor)


# -- what is printed -----------------------------------------------------------------------------------------


def plate(figure: Figure) -> Plate:
    """The panels of a figure whose runs are all there."""
    return made(key(figure), figure)


def printed(figure: Figure, look: Look) -> Printed:
    """The page, and what it looks like."""
    return page(key(figure), look, figure)


def key(figure: Figure) -> str:
    """The same for figures that look the same, for they are kept."""
    runs = [(run.path.name, len(run)) for run in shown(figure)]
    return json.dumps([said.plain(figure), runs], sort_keys=True, default=str)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def made(key: str, _figure: Figure) -> Plate:
    return _figure.plate(shown(_figure))


@st.cache_data(max_entries=KEPT, show_spinner=False)
def page(key: str, look: Look, _figure: Figure) -> Printed:
    pdf = file(_figure, look, "pdf")
    document = pypdfium2.PdfDocument(pdf)
    width, height = document[0].get_size()
    picture = io.BytesIO()
    document[0].render(scale=SHARP).to_pil().save(picture, "png")
    return Printed(pdf, picture.getvalue(), (width / 72, height / 72))


def file(figure: Figure, look: Look, kind: str, dpi: int = Look.dpi) -> bytes:
    """The figure as a file of this kind."""
    return press.pressed(figure, plate(figure), shown(figure), kind, replace(look, dpi=dpi))


def everything(figure: Figure, look: Look, name: str, dpi: int) -> bytes:
    """All kinds in a zip, with the script that builds them again."""
    print = Print(name=name, figure=figure, look=replace(look, dpi=dpi))
    return press.bundle(print, plate(figure), shown(figure))


def caption(figure: Figure) -> str:
    return press.caption(figure, plate(figure), shown(figure))


def round_ones(plate: Plate) -> bool:
    """Is there a sphere to turn?"""
    return any(scene.space == SPHERE for scene in plate.panels)
