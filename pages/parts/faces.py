"""What stands around the stage of faces: whom to train on, with what, and how the result is drawn."""

import streamlit as st

from losslab import projections
from losslab.catalogue import knobs
from losslab.data import DataError, data_folder
from losslab.data import faces as on_disk
from losslab.data.faces import FaceSubset
from losslab.projections.three import CHOSEN
from losslab.training import Recipe, Run, RunError

from . import runs, server, settings

CONSENT = (
    "Faces are of people. Use sets whose licence and whose people's consent allow what you do: CASIA-WebFace and LFW "
    "are for research only. Images stay on this server; what a browser sees are thumbnails of the run it opened."
)
NONE = (
    "There are no faces in the data folder `{folder}` yet. Put CASIA-WebFace there as you have it (a folder with "
    "`train.rec`, a folder for each person, or tar shards), or fetch a small set: "
    "`python -m losslab data get olivetti`."
)
ENTIRE = 255  # dimensions that a browser is sent at most, which a tour needs
DIMENSIONS = (2, 3, 16, 64, 128, 512)
USUAL = {"model": "residual", "dim": 64, "epochs": 30, "batch": 32, "rate": 0.005, "probe": 1000}


def take_over() -> None:
    """A link that names a run and nothing else, as the command line gives it, brings the recipe of the run into the
    sidebar. Call it before `come_back`."""
    id = st.query_params.get("run", "")
    if set(st.query_params) != {"run"} or id == st.session_state.get("left_faces") or not (path := server.find(id)):
        return
    try:
        recipe = Run(path).recipe
    except RunError:
        return  # what is wrong with it is said where it would be shown
    if recipe.faces is not None and recipe.dim in DIMENSIONS and recipe.faces.source in sources():
        settings.fill(vars(recipe))
        st.session_state.update({name: getattr(recipe.faces, name) for name in knobs(FaceSubset) if name != "seed"})


def come_back() -> None:
    """From another page the link comes without its run: go on with the one that was shown here last."""
    if "run" not in st.query_params and st.session_state.get("left_faces"):
        st.query_params["run"] = st.session_state.left_faces
    st.session_state.left_faces = st.query_params.get("run")


def chosen_recipe() -> tuple[Recipe | None, str]:
    """All choices of the sidebar as a recipe, or None and why they make none."""
    loss, problem = None, ""
    try:
        loss = settings.loss_panel(runs.steer)
    except ValueError as error:
        problem = str(error)
    st.subheader("Faces", divider="gray")
    faces = subset()
    chosen = settings.network_panel(Recipe(data="faces", faces=FaceSubset(source="any"), **USUAL), DIMENSIONS)
    if faces is None or loss is None:
        return None, problem
    try:
        drawn = FaceSubset(**faces, seed=chosen["seed"])
        return Recipe(loss=loss, data="faces", faces=drawn, **chosen), ""
    except ValueError as error:
        return None, str(error)


def subset() -> dict | None:
    """Which people, and how their images are cut; None where there are none."""
    there = sources()
    if not there:
        st.info(NONE.format(folder=data_folder()))
        return None
    chosen = {
        "source": st.selectbox(
            "Source",
            list(there),
            key="source",
            bind="query-params",
            help="\n\n".join(f"**{name}**: {kind}" for name, kind in there.items()),
        )
    }
    default = FaceSubset(source="any")
    left, right = st.columns(2)
    with left:
        chosen |= settings.number(default, "identities", "People")
        chosen |= settings.number(default, "size", "Image side")
    with right:
        chosen |= settings.number(default, "held_out", "People held out")
        chosen |= settings.number(default, "per_identity", "Images each")
    chosen |= settings.number(default, "grey")
    with st.expander("More about the faces"):
        for name in knobs(FaceSubset):
            if name not in (*chosen, "seed"):
                chosen |= settings.number(default, name)
    return chosen


@st.cache_data(ttl=10, show_spinner=False)
def sources() -> dict[str, str]:
    """What there is to train on: name -> kind. Looked for every so often only, for a data folder may be large."""
    return {name: found.kind for name, found in on_disk.sources().items()}


def train(recipe: Recipe) -> None:
    """Decode the faces, which is shown, then train."""
    bar = st.progress(0.0, "Reading the faces")
    try:
        found = on_disk.load(
            recipe.faces,
            progress=lambda done, total: bar.progress(done / max(total, 1), f"Decoded {done} of {total} faces"),
        )
    except DataError as error:
        runs.complain(error)
    else:
        st.session_state.left_out = recipe.faces, lost(found)
        runs.train(recipe)
    st.rerun()


def lost(found: on_disk.FaceImages) -> str:
    """What is missing of the faces that were asked for; nothing where all could be decoded."""
    if not (count := len(found.left_out)):
        return ""
    people = len(found.unseen.names) - len(found.unseen.labels.unique())
    whole = f" Of {people} of the people held out there is none left." if people else ""
    many = "1 image was" if count == 1 else f"{count} images were"
    return f" {many} left out, for they cannot be decoded: {settings.quoted(found.left_out[0])}{whole}"


def shown() -> tuple[str, Run | None, str]:
    """What the link shows: the id, the run of faces and its state; no run where there is none."""
    id = st.query_params.get("run", "")
    path = server.find(id) if id else None
    if path is None:
        if id:
            st.info("The run of this link is not on this server (any more). Press **Train** to make it again.")
        return "", None, ""
    try:
        run = Run(path)
        if run.recipe.faces is None:
            st.info("The run of this link shows no faces; the Playground shows it.")
            return "", None, ""
        return id, run, (server.pool().known(id) or run.status).state
    except RunError as error:
        st.warning(str(error))
        return "", None, ""


def projection(run: Run | None) -> str:
    """How embeddings of more than three dimensions are drawn: a projection as `projections.read` takes it, none for
    fewer."""
    if run is None or run.recipe.dim <= 3:
        return ""
    kinds = dict(projections.catalogue())
    if run.recipe.dim > ENTIRE:
        del kinds["Tour"]
    if len(run.probe.names) < len(CHOSEN):
        del kinds["ThreePrototypes"]
    name = st.selectbox(
        f"{run.recipe.dim} dimensions as",
        list(kinds),
        format_func=lambda name: kinds[name].title,
        key="map",
        bind="query-params",
        width=260,
        help="\n\n".join(f"**{kind.title}**: {kind.card} {kind.says}" for kind in kinds.values()),
    )
    return f"{name}:{three(run)}" if name == "ThreePrototypes" else name


def three(run: Run) -> str:
    """The rows of three chosen prototypes, the first three until three others are chosen."""
    names = list(map(str, run.probe.names))
    if any(k >= len(names) for k in st.session_state.get("three", ())):  # chosen of another run
        del st.session_state["three"]
    chosen = st.multiselect(
        "Three people, whose angles are exact",
        range(len(names)),
        list(CHOSEN),
        format_func=lambda k: names[k],
        max_selections=len(CHOSEN),
        key="three",
        bind="query-params",
        width=340,
        wrap=True,
    )
    if len(chosen) != len(CHOSEN):  # one is being exchanged: the picture stays until there are three again
        before, chosen = st.session_state.get("three_before", ("", CHOSEN)), CHOSEN
        if before[0] == run.path.name:
            chosen = before[1]
    st.session_state.three_before = (run.path.name, chosen)
    return ",".join(str(k * run.recipe.loss.subcentres) for k in chosen)


def sentence(run: Run, going: bool) -> str:
    faces = run.recipe.faces
    what = f"{faces.identities} people of {faces.source}, {faces.held_out} others held out for verification"
    of, missing = st.session_state.get("left_out", (None, ""))
    if of != faces:
        missing = ""
    if going:
        return f"{what}.{missing} Your network is learning; hover a dot for its face."
    return f"{what}.{missing} Hover a dot for its face; click one to see the way it came."
