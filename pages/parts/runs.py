"""What buttons, presets and the dial do: callbacks that run before the page is drawn again.

The run that is shown is named in the link (`run=`), nowhere else.
"""

from collections.abc import Callable

import streamlit as st

from losslab import losses
from losslab.live.pool import LIVE
from losslab.training import Recipe, Run, RunError

from . import presets, server, settings
from .stage import dialled

FIRST = "arcface-sphere"  # the recording that moves before anything trains


def complain(error: Exception) -> None:
    """Say at the next run what went wrong in a callback."""
    st.session_state.complaint = str(error)


def dial_set() -> None:
    """The margin was set on the picture: the sidebar follows, and so does a run that is going on."""
    name, value = dialled()
    st.session_state[name] = value
    steer()


def show(run: str) -> None:
    """Put a run on the stage, and its recipe into the sidebar."""
    st.query_params["run"] = run
    try:
        recipe = Run(server.find(run)).recipe
    except (RunError, TypeError):
        return  # what is wrong with it is said where it would be shown
    if recipe.dim in settings.DIMENSIONS and recipe.faces is None:
        settings.fill(vars(recipe))


def train(recipe: Recipe) -> None:
    """Ask for a run and show it. This visitor's others are let go: nobody waits behind what they no longer look at."""
    before = st.query_params.get("run", "")
    try:
        st.query_params["run"] = run = server.pool().submit(recipe, server.visitor())
        server.pool().keep([run], server.visitor())
    except (ValueError, RuntimeError, OSError) as error:
        return complain(error)
    if run == before and not live(run):
        # Equal settings are one run: what it did is shown again from the start.
        st.session_state.replay = st.session_state.get("replay", 0) + 1
        st.session_state.replayed = run


def live(run: str) -> bool:
    """Is this run still to end, and may this visitor speak to it?"""
    return server.pool().holds(run, server.visitor()) and server.pool().status(run).state in LIVE


def command(verb: str, run: str) -> None:
    try:
        getattr(server.pool(), verb)(run, server.visitor())
    except (ValueError, PermissionError) as error:
        complain(error)


def steer() -> None:
    """A knob was turned: a run of this visitor that is going on takes it at its next step."""
    run = st.query_params.get("run", "")
    if not live(run):
        return
    try:
        loss = settings.chosen_loss(st.session_state.to_dict())
        if losses.steerable(server.pool().loss(run), loss):
            server.pool().change(run, losses.settings(loss), server.visitor())
    except (ValueError, PermissionError) as error:
        complain(error)


def come_back() -> None:
    """From another page the link comes without its run: go on with the one that was shown here last."""
    if "run" not in st.query_params and st.session_state.get("left"):
        st.query_params["run"] = st.session_state.left
    st.session_state.left = st.query_params.get("run")


def reset() -> None:
    """Back to the recording; a run of this visitor that is going on is let go."""
    st.session_state.left = None
    if live(run := st.query_params.pop("run", "")):
        command("stop", run)
    st.session_state.preset = None


def open_menu(key: str, on_change: Callable[[], None]) -> None:
    """A button that opens the runs that anybody may see; the chosen one's id is in the session's state under `key`."""
    with st.popover("Open", icon=":material/folder_open:"):
        st.selectbox(
            "Recordings, and runs of the command line",
            list(shelf := server.shelf()),
            index=None,
            format_func=shelf.get,
            key=key,
            on_change=on_change,
            placeholder="Choose a run",
        )


def open_run() -> None:
    if st.session_state.opened:
        show(st.session_state.opened)


def preset_chosen() -> None:
    """Set the sidebar as the preset says and start."""
    chosen = next((p for p in presets.PRESETS if p.title == st.session_state.preset), None)
    if chosen:
        settings.fill(chosen.values)
        train(Recipe(**chosen.values))


@st.fragment(run_every=1)
def wait_for_the_end(id: str, run: Run, state: str) -> None:
    """Draw the page again once the run stands otherwise than in `state`."""
    if (server.pool().known(id) or run.status).state != state:
        st.rerun()


def shown(remedy: str = "Press **Train** to make it again.") -> tuple[str, Run, str]:
    """What the stage shows: the id, the run and its state. Without a run of the link's name, which is said with the
    `remedy` that the page has, the first recording."""
    asked = st.query_params.get("run")
    path = server.find(asked) if asked else None
    if asked and path is None:
        st.info(f"The run of this link is not on this server (any more). {remedy}")
    if path:
        try:
            run = Run(path)
            run.probe  # noqa: B018  without its pictures there is nothing to show
            if run.recipe.faces is not None:
                st.session_state.left = None  # nor is it what this page comes back to
                st.switch_page("pages/7_faces.py", query_params={"run": asked})
            return asked, run, (server.pool().known(asked) or run.status).state
        except RunError as error:
            st.warning(str(error))
    run = Run(server.RECORDINGS / FIRST)
    return FIRST, run, run.status.state
