"""The one pool of workers of this server, its routes, and who is visiting."""

import json
import os
import secrets
import sys
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import streamlit as st
from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from losslab.live import projector
from losslab.live.pool import Pool
from losslab.live.pool import find as find_run
from losslab.live.routes import routes as live_routes
from losslab.render import standalone

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "recordings"
VISITOR = "losslab_visitor"
FIRST_MOUNTED = "stage.js"  # what most pages show
MOUNTED = {  # and the others, by their links
    "angles_and_margins": "board.js",
    "decision_boundaries": "board.js",
    "gradient_fields": "board.js",
    "compare": "rack.js",
}
GRACE = 150  # seconds a run goes on unwatched; browsers let a hidden tab speak about once a minute


def runs() -> Path:
    """Where runs are written: $LOSSLAB_RUNS, else `runs` beside the app."""
    return Path(os.environ.get("LOSSLAB_RUNS") or ROOT / "runs").expanduser()


@cache
def pool() -> Pool:
    """The workers and the queue, started at first use and shared by every session of this server."""
    made = Pool(runs(), grace=GRACE)
    made.start()
    return made


def start() -> None:
    """Start the pool, or end the program with the one sentence why it cannot be."""
    try:
        pool()
    except (OSError, RuntimeError) as error:
        sys.exit(str(error))


@asynccontextmanager
async def lifespan(app):
    pool()
    try:
        yield
    finally:
        await to_thread.run_sync(projector.close)
        await to_thread.run_sync(pool().close)


def routes() -> list:
    base = st.get_option("server.baseUrlPath")
    return live_routes(pool, RECORDINGS, base, lambda request: request.cookies.get(VISITOR, ""))


def middleware() -> list[Middleware]:
    return [Middleware(Greet)]


class Greet:
    """What goes with every page: a random name for the browser, and which scripts it will want.

    By the name, a cookie, a reload or a second tab may steer its own runs and nobody else's. The scripts of the
    stage then load beside Streamlit's own instead of after them.
    """

    def __init__(self, app):
        self.app = app
        base = st.get_option("server.baseUrlPath").strip("/")
        place = f"{f'/{base}' if base else ''}/losslab/stage"
        self.scripts = {
            mounted: ", ".join(f"<{place}/{name}>; rel=modulepreload" for name in sorted(standalone.scripts(mounted)))
            for mounted in {*MOUNTED.values(), FIRST_MOUNTED}
        }

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        known = VISITOR in HTTPConnection(scope).cookies

        async def send_more(message):
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if headers.get("content-type", "").startswith("text/html"):
                    mounted = MOUNTED.get(scope["path"].rstrip("/").rpartition("/")[2], FIRST_MOUNTED)
                    headers.append("link", self.scripts[mounted])
                    if not known:
                        cookie = f"{VISITOR}={secrets.token_hex(16)}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
                        headers.append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_more)


def visitor() -> str:
    """The name of this browser; without cookies, of this session."""
    return st.context.cookies.get(VISITOR) or st.session_state.setdefault(VISITOR, secrets.token_hex(16))


def find(id: str) -> Path | None:
    """The directory of the run or recording called `id`, or None."""
    return find_run(runs(), id) or find_run(RECORDINGS, id)


def shelf() -> dict[str, str]:
    """What anybody may open, id -> title: the recordings, and runs made by the command line on this machine. Runs
    of visitors are theirs: they are found by their links alone."""
    found = {}
    for path in [*sorted(RECORDINGS.iterdir()), *sorted(runs().glob("*-[23]d-*"))]:
        try:
            facts = json.loads((path / "recipe.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # no run, or not yet
        if isinstance(facts, dict) and facts.get("owner") in (None, "", "command line"):
            found[path.name] = str(facts.get("title") or path.name)
    return found
