"""The rack as a Streamlit component: several runs under one clock and one camera. See losslab/stage/rack.js."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import streamlit as st

RACK = st.components.v2.component(
    "losslab_rack",
    js="""
export default async function (component) {
    const { default: mount } = await import(new URL(component.data.base + "/losslab/stage/rack.js", document.baseURI));
    return mount(component);
}
""",
)


@dataclass(frozen=True)
class Shown:
    """A run (or a recording) on the rack."""

    run: str  # its id
    text: str  # its title
    whole: str  # all that is to be said of it, for a hover
    ink: str  # of its curves beside the rack


def rack(runs: Sequence[Shown], *, parted: int | None, key: str = "compare") -> None:
    """Show runs side by side; with a mark on the timeline after the step `parted`, up to which they are one."""
    base = st.get_option("server.baseUrlPath").strip("/")
    RACK(
        key=key,
        data={
            "key": key,
            "base": f"/{base}" if base else "",
            "runs": [asdict(each) for each in runs],
            "parted": parted,
            "replay": st.session_state.get(f"{key}_replay", 0),
        },
    )
