"""Train a small network on real digits and watch its embeddings settle on the circle or the sphere."""

import inspect

import streamlit as st

from losslab import data
from losslab.live.pool import LIVE
from losslab.training import Recipe, Run
from pages.parts import presets, server, settings
from pages.parts.stage import dialled, stage

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
    recipe = Run(server.find(run)).recipe
    settings.fill(vars(recipe))


def train(recipe: Recipe) -> None:
    try:
        st.query_params["run"] = server.pool().submit(recipe, server.visitor())
    except (ValueError, RuntimeError, OSError) as error:
        complain(error)


def command(verb: str, run: str) -> None:
    try:
        getattr(server.pool(), verb)(run, server.visitor())
    except (ValueError, PermissionError) as error:
        complain(error)


def steer() -> None:
    """A knob was turned: a run of this visitor that is going on takes it at its next step."""
    run = st.query_params.get("run")
    if not run or not server.pool().holds(run, server.visitor()) or server.pool().status(run).state not in LIVE:
        return
    try:
        loss = settings.chosen_loss(st.session_state.to_dict())
        if type(loss) is type(Run(server.pool().path(run)).recipe.loss):
            server.pool().change(run, vars(loss), server.visitor())
    except (ValueError, PermissionError) as error:
        complain(error)


def reset() -> None:
    st.query_params.pop("run", None)
    st.session_state.preset = None


def open_run() -> None:
    if st.session_state.opened:
        show(st.session_state.opened)


def preset_chosen() -> None:
    """Set the sidebar as the preset says and start."""
    chosen = next((p for p in presets.PRESETS if p.title == st.session_state.preset), None)
    if chosen:
        settings.fill(chosen.values)
        train(Recipe(**chosen.values))


def shown() -> tuple[str, Run, str]:
    """What the stage shows: the id, the run and its state. Without a run of the link's name, the first recording."""
    asked = st.query_params.get("run")
    path = server.find(asked) if asked else None
    if asked and path is None:
        st.info("The run of this link is not on this server (any more). Press **Train** to make it again.")
    id = asked if path else FIRST
    run = Run(path or server.RECORDINGS / FIRST)
    return id, run, server.pool().status(id).state if path and path.parent == server.runs() else run.status[0]


def get_data(name: str) -> None:
    """Offer to download a data set that is not on this machine, with progress."""
    chosen = data.catalogue()[name]
    st.warning(f"{chosen.title} is not in the data folder {data.data_folder()} yet.")
    if st.button("Download it", icon=":material/download:", key="download"):
        bar = st.progress(0.0, "Asking the first mirror")
        try:
            chosen.download(
                progress=lambda done, total: bar.progress(done / max(total, 1), f"{done >> 20} of {total >> 20} MB")
            )
            st.rerun()
        except data.DataError as error:
            st.error(str(error))


first = "link_problems" not in st.session_state
problems = settings.open_link()
if first and set(st.query_params) == {"run"} and server.find(st.query_params["run"]):
    show(st.query_params["run"])  # a link that names a run and nothing else, such as the command line gives
with st.sidebar:
    try:
        recipe, problem = settings.recipe(steer), ""
    except ValueError as error:
        recipe, problem = None, str(error)

st.subheader("See what a loss does to the sphere", anchor=False)
words = st.empty()
st.pills(
    "Start from",
    [p.title for p in presets.PRESETS],
    key="preset",
    on_change=preset_chosen,
    label_visibility="collapsed",
    wrap=True,
)
if sentences := [*problems, *filter(None, [problem, st.session_state.pop("complaint", "")])]:
    st.warning("\n\n".join(sentences))
if recipe and not data.catalogue()[recipe.data].available():
    get_data(recipe.data)
    recipe = None

id, run, state = shown()
mine, going = server.pool().holds(id, server.visitor()), state in LIVE

with st.container(horizontal=True, gap="xsmall"):
    same = recipe is not None and recipe == run.recipe
    st.button(
        "Train",
        type="primary",
        icon=":material/play_arrow:",
        on_click=train,
        args=(recipe,),
        disabled=recipe is None or (same and going),
        key="train",
    )
    verb, icon = ("resume", ":material/resume:") if state == "paused" else ("pause", ":material/pause:")
    idle = not (mine and going)
    st.button(verb.capitalize(), icon=icon, on_click=command, args=(verb, id), disabled=idle, key="pause")
    st.button("Stop", icon=":material/stop:", on_click=command, args=("stop", id), disabled=idle, key="stop")
    with st.popover("Open", icon=":material/folder_open:"):
        st.selectbox(
            "Recordings, and runs of the command line",
            list(shelf := server.shelf()),
            index=None,
            format_func=shelf.get,
            key="opened",
            on_change=open_run,
            placeholder="Choose a run",
        )
    st.button("Reset", icon=":material/restart_alt:", on_click=reset, disabled=id == FIRST, key="reset")
chosen = next((p for p in presets.PRESETS if p.title == st.session_state.get("preset")), None)
if chosen:
    words.caption(chosen.why)
elif id == FIRST:
    words.caption(
        "A recording: each dot is a real handwritten digit, placed by a small network as it learns. "
        "Press **Train** for your own, or turn the margin."
    )
elif going and mine:
    words.caption("Your network is learning. Turn the margin or the scale: it takes them within a moment.")
else:
    words.caption("Scrub back through the training, hover a dot for its digit, click it to see the way it came.")


def differs() -> bool:
    """Is the loss of the sidebar another than the one that made the picture?"""
    last = run[-1].knobs if len(run) else vars(run.recipe.loss)
    return type(recipe.loss) is not type(run.recipe.loss) or vars(recipe.loss) != last


stage(id, loss=recipe and recipe.loss, preview=bool(recipe) and not going and differs(), on_dial=dial_set)

if going:

    @st.fragment(run_every=1)
    def wait_for_the_end() -> None:
        if server.pool().status(id).state != state:
            st.rerun()

    wait_for_the_end()

with st.expander("The loss as it runs"):
    kind = type(recipe.loss if recipe else run.recipe.loss)
    st.latex(kind.card.formula)
    st.caption(f"{kind.card.title} ({kind.card.year}), {kind.card.paper}")
    st.code(inspect.getsource(kind), language="python")
