"""The one pool of workers of this server, its routes, and who is visiting."""

import json
import os
import secrets
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import streamlit as st
from anyio import to_thread
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import HTTPConnection

from losslab.live.pool import Pool
from losslab.live.pool import find as find_run
from losslab.live.routes import routes as live_routes

ROOT = Path(__file__).parents[2]
RECORDINGS = ROOT / "recordings"
VISITOR = "losslab_visitor"
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


@asynccontextmanager
async def lifespan(app):
    pool()
    try:
        yield
    finally:
        await to_thread.run_sync(pool().close)


def routes() -> list:
    return live_routes(pool, RECORDINGS, st.get_option("server.baseUrlPath"))


def middleware() -> list[Middleware]:
    return [Middleware(NameVisitors)]


class NameVisitors:
    """Gives every browser a random name in a cookie, so that a reload or a second tab may steer its own runs
    and nobody else's."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or VISITOR in HTTPConnection(scope).cookies:
            return await self.app(scope, receive, send)

        async def send_with_cookie(message):
            if message["type"] == "http.response.start":
                cookie = f"{VISITOR}={secrets.token_hex(16)}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax"
                if MutableHeaders(scope=message).get("content-type", "").startswith("text/html"):
                    MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, send_with_cookie)


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
        if not facts.get("owner"):
            found[path.name] = facts.get("title") or path.name
    return found
