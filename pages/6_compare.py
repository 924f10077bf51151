"""Several losses on the same images, seed and first weights, side by side: what differs is the loss."""

import pandas as pd
import streamlit as st

from losslab import data, metrics
from losslab.live.pool import LIVE
from losslab.render.style import SERIES
from pages.parts import compare, findings, settings
from pages.parts.rack import Shown, rack

st.html("<style>@media (max-width: 68rem) { .st-key-compare_curves .stColumn { min-width: 100% } }</style>")
link_problems = settings.open_link()
settings.arrive("compare")
compare.come_back()

st.subheader("What differs when only the loss differs", anchor=False)
words = st.empty()
compare.forget_preset()
st.pills(
    "Start from",
    [preset.title for preset in compare.PRESETS],
    key="compare_preset",
    on_change=compare.preset_chosen,
    label_visibility="collapsed",
    wrap=True,
)
row = st.container(horizontal=True, gap="xsmall", vertical_alignment="center")
mode = row.segmented_control(
    "Compare",
    compare.MODES,
    default=compare.MODES[0],
    required=True,
    key="mode",
    bind="query-params",
    label_visibility="collapsed",
)
with st.sidebar:
    st.caption(
        "A branch keeps the recipe of its run; this is for the other two."
        if mode == "Branch"
        else "All runs share this: the same images in the same order, the same first weights."
    )
    panel = settings.training_panel(classes=compare.CLASSES)
    st.caption(
        "Classes that are left out are never trained on. With two or more of them the table says how well each network "
        "tells apart what it has never seen."
    )

recipes, kept, problem = [], [], ""
try:
    if mode == "Branch":
        recipes, kept = compare.asked_branch()
    else:
        recipes = (compare.asked_losses if mode == "Losses" else compare.asked_sweep)(panel)
        kept = [None] * len(recipes)
except ValueError as error:
    problem = str(error)
if recipes and recipes[0].faces is None and not data.catalogue()[recipes[0].data].available():
    settings.get_data(recipes[0].data)
    recipes = []

compare.remember(mode)
shown = compare.shown()
going = [id for id, run in shown.items() if compare.state(id, run) in LIVE]
row.button(
    f"Train {len(recipes)} runs" if recipes else "Train",
    type="primary",
    icon=":material/play_arrow:",
    on_click=compare.train,
    args=(recipes, kept),
    disabled=not recipes,
    key="compare_train",
)
row.button(
    "Stop",
    icon=":material/stop:",
    on_click=compare.stop,
    args=(going,),
    disabled=not any(compare.live(id) for id in going),
    key="compare_stop",
)
said = [*link_problems, *compare.problems(), problem, st.session_state.pop("complaint", "")]
if sentences := list(dict.fromkeys(filter(None, said))):
    st.warning("\n\n".join(sentences))

preset = next((each for each in compare.PRESETS if each.title == st.session_state.get("compare_preset")), None)
if preset:
    words.caption(preset.why)
elif not compare.said("runs"):
    words.caption(
        "Two recordings of one recipe: the same digits, seed and first weights, and another loss. Turn one sphere and "
        "both turn. Press **Train** for your own."
    )
else:
    words.caption(
        "Look at how near samples come to their own prototype, how far apart the prototypes stand, and whether any of "
        "that helps with classes that were never trained on."
    )

chosen = [run.recipe for run in shown.values()]
names, parted, inks = findings.titles(chosen), findings.parted(chosen), SERIES[: len(chosen)]
rack(
    [Shown(*each) for each in zip(shown, names, map(findings.named, chosen), inks, strict=True)],
    parted=parted,
)
if other := findings.unlike(chosen):
    st.caption(f"These runs differ in more than their loss: {', '.join(other).replace('_', ' ')}.")


@st.fragment(run_every=1 if going else None)
def results() -> None:
    """Numbers and curves, brought up to date while runs go on."""
    runs = {id: run if (now := compare.opened(id)) is None else now for id, run in shown.items()}
    if [id for id, run in runs.items() if compare.state(id, run) in LIVE] != going:
        st.rerun()
    found = [compare.measured(id, run) for id, run in runs.items()]
    if all(found) and len(found) > 1:
        knob = findings.swept(chosen).replace("_", " ")
        st.markdown("\n".join(f"- {sentence}" for sentence in findings.said(names, found, knob)))
    table = findings.table(names, found)
    formats = {"%": "%.1f %%", "°": "%.1f°"}
    columns = {
        column.label: st.column_config.NumberColumn(help=column.says, format=formats.get(column.unit, "%.2f"))
        for column in metrics.COLUMNS
    }
    columns["_index"] = st.column_config.Column(width="large" if max(map(len, names)) > 30 else None)
    st.dataframe(table, column_config=columns, placeholder="–")
    every = pd.concat(
        [compare.curve(id, run).assign(run=name) for (id, run), name in zip(runs.items(), names, strict=True)]
    )
    with st.container(key="compare_curves"):
        for place, (what, title) in zip(st.columns(len(findings.CURVES)), findings.CURVES.items(), strict=True):
            place.caption(title)
            place.vega_lite_chart(every, findings.chart(what, names, inks, parted))
    st.download_button(
        "Table as CSV",
        table.to_csv().encode(),
        "losslab-compare.csv",
        "text/csv",
        icon=":material/download:",
        on_click="ignore",
    )


results()
