"""The frame of losslab: what the server serves beside Streamlit, and the pages. Start it with `make app`.

`streamlit run app.py` imports this file once for the server (the `else` branch) and runs it again for every
browser session (the first branch).
"""

from pathlib import Path

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx

from pages.parts import server

if get_script_run_ctx(suppress_warning=True):
    st.set_page_config(
        page_title="losslab", page_icon=str(Path(__file__).parent / "pages/parts/icon.png"), layout="wide"
    )
    # The stage wants the room that Streamlit leaves empty around an article.
    st.html(
        "<style>.stMainBlockContainer { padding: 1rem 1.5rem 3rem } .stAppHeader { background: none }"
        ".stStatusWidget { display: none }"  # it has a Stop of its own, which stops no training
        "[data-testid^=stSkillsNudge] { display: none }"  # an offer of Streamlit's that would lie over the page
        ".stApp:has(.stSidebar[data-collapsed=true]) .stMainBlockContainer { padding-top: 2.75rem }</style>"
    )
    found = sorted(
        (Path(__file__).parent / "pages").glob("[0-9]*.py"), key=lambda path: int(path.stem.partition("_")[0])
    )
    st.navigation(
        [st.Page(path, title=path.stem.split("_", 1)[1].replace("_", " ").capitalize()) for path in found]
    ).run()
else:
    # Streamlit has a use of its own for a folder called pages, until a first visitor has come by `st.navigation`: were
    # that visitor's link to another page than the first, the page would open without this frame.
    PagesManager.uses_pages_directory = False
    server.start()
    app = st.App(__file__, routes=server.routes(), lifespan=server.lifespan, middleware=server.middleware())
