"""What a browser asks for while it watches a run, beside Streamlit on the same server: all under /losslab.

    GET /losslab/runs/{id}              what the run is and where it stands, JSON
    GET /losslab/runs/{id}/sprites.png  the probe images on one sheet
    GET /losslab/runs/{id}/frames       ?start=i&count=k: [u32 length][frame] for each snapshot there is. This, what the
                                        run is and how it is watched take ?map=, a projection for more dimensions than
                                        3; without one those are a sphere map
    GET /losslab/runs/{id}/gaps/{i}     how far each class clears its margin all over the sphere, at snapshot i
    POST /losslab/runs/{id}/embed       a drawn digit, 784 bytes: where the newest weights put it, JSON
    POST /losslab/pages/{kind}          a run on the stage, or several on the rack, as an HTML file: see taken.py
    WS  /losslab/runs/{id}/watch        {"next": i} is answered by frame i, or by where the run stands
    GET /losslab/stage/{file}           the stage's own scripts and style sheets

Nothing here changes a run: commands come from the pages. Whoever knows an id may watch.
"""

import asyncio
import hashlib
import json
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from anyio import to_thread
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from losslab.training import RunError

from . import sights, taken
from .answers import answer
from .drawing import embedded
from .pool import LIVE, Pool, Status
from .pool import find as find_run
from .shelf import Book, Shelf
from .sights import refused

STAGE = Path(__file__).parents[1] / "stage"
KINDS = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}
MOST_FRAMES, MOST_BYTES = 64, 2 * 2**20  # in one answer
PIXELS = 28 * 28  # bytes of a drawing
LONGEST = 64 * 1024  # bytes of a wish for a page
LOOK_EVERY, ANSWER_WITHIN = 0.05, 1.0  # seconds
REFUSED, NO_RUN, NO_SENSE = 4403, 4404, 4400  # why a WebSocket closes


def routes(
    pool: Callable[[], Pool],
    recordings: str | Path,
    base: str = "",
    visitor: Callable[[HTTPConnection], str] = lambda request: "",
) -> list[BaseRoute]:
    """The routes for `st.App(routes=...)`.

    Args:
        pool: called at each request, so that the pool may start after the routes are made.
        recordings: the folder of shipped runs, found by name beside the pool's own.
        base: Streamlit's `server.baseUrlPath`; it does not put that before the routes of others itself.
        visitor: whose request it is, as the pool knows them; "" where nobody can say.
    """
    base = f"/{base.strip('/')}" if base.strip("/") else ""
    watching = Watching(pool, Path(recordings), base, visitor)
    return [
        Route(f"{base}/losslab/runs/{{id}}", watching.facts),
        Route(f"{base}/losslab/runs/{{id}}/sprites.png", watching.sprites),
        Route(f"{base}/losslab/runs/{{id}}/frames", watching.frames),
        Route(f"{base}/losslab/runs/{{id}}/gaps/{{index:int}}", watching.gaps),
        Route(f"{base}/losslab/runs/{{id}}/embed", watching.embed, methods=["POST"]),
        Route(f"{base}/losslab/pages/{{kind}}", watching.page, methods=["POST"]),
        WebSocketRoute(f"{base}/losslab/runs/{{id}}/watch", watching.watch),
        Route(f"{base}/losslab/stage/{{file}}", stage_file),
        *sights.routes(lambda id: find_run(pool().folder, id) or find_run(Path(recordings), id), base),
    ]


def of_a_run(handler: Callable[..., Response]) -> Callable[..., Response]:
    """A handler that is given its run; 404 for one that is not there, or no longer, or cannot be read."""

    @wraps(handler)
    def answer_for(self: "Watching", request: Request, *more: bytes) -> Response:
        with suppress(OSError):
            if book := self._book(request):
                return handler(self, request, book, *more)
        return answer(JSONResponse({"error": "There is no such run."}, 404))

    return answer_for


class Watching:
    """The handlers. Plain functions among them run in Starlette's threads: reading a disk may take time."""

    def __init__(
        self, pool: Callable[[], Pool], recordings: Path, base: str, visitor: Callable[[HTTPConnection], str]
    ) -> None:
        self._pool, self._recordings, self._base, self._visitor = pool, recordings, base, visitor
        self._shelf: Shelf | None = None

    @of_a_run
    def facts(self, request: Request, book: Book) -> Response:
        now, facts = self._now(book), book.facts()
        mounted = request.scope.get("root_path", "")  # inside another application, or behind a proxy
        facts["sprite"]["url"] = f"{mounted}{self._base}/losslab/runs/{book.path.name}/sprites.png"
        return answer(JSONResponse({"id": book.path.name, **now, **facts}))

    @of_a_run
    def sprites(self, request: Request, book: Book) -> Response:
        return tagged(request, book.sprites(), "image/png")

    @of_a_run
    def frames(self, request: Request, book: Book) -> Response:
        try:
            start = int(request.query_params.get("start", 0))
            count = min(int(request.query_params.get("count", MOST_FRAMES)), MOST_FRAMES)
        except ValueError:
            start = count = -1
        if start < 0 or count < 0:
            return answer(Response("start and count must be whole numbers, 0 or more.", 400))
        self._pool().seen(book.path.name, self._visitor(request))
        now, body = self._now(book), bytearray()
        for index in range(start, min(start + count, now["snapshots"])):
            try:
                frame = book.frame(index)
            except ValueError as error:  # too many dimensions for a frame
                return answer(Response(str(error), 400))
            if body and len(body) + len(frame) > MOST_BYTES:
                break
            body += struct.pack("<I", len(frame)) + frame
        headers = {"losslab-state": now["state"]}
        return answer(Response(bytes(body), headers=headers, media_type="application/octet-stream"))

    @of_a_run
    def gaps(self, request: Request, book: Book) -> Response:
        index = request.path_params["index"]
        if index >= self._now(book)["snapshots"]:
            return answer(Response(f"There is no snapshot {index} (yet).", 404))
        try:
            return answer(Response(book.gaps(index), media_type="application/octet-stream"))
        except ValueError as error:  # no circle and no sphere
            return answer(Response(str(error), 400))

    async def embed(self, request: Request) -> Response:
        if not same_origin(request):
            return answer(Response("Only pages of this server may ask this.", 403))
        drawing = await received(request, PIXELS)
        if drawing is None or len(drawing) < PIXELS:
            return answer(Response(f"A drawing is {PIXELS} bytes: 28 rows of 28 pixels, 0 (empty) to 255 (ink).", 400))
        return await to_thread.run_sync(self._embedded, request, drawing)

    @of_a_run
    def _embedded(self, request: Request, book: Book, drawing: bytes) -> Response:
        facts = book.facts()
        if "map" in facts:
            return answer(Response("A map has no place for what it was not made of: draw into 2 or 3 dimensions.", 400))
        if not facts["digits"]:
            return answer(Response("This run was not trained on digits: a drawn digit means nothing to it.", 400))
        try:
            model, head, step = book.network()
        except RunError:
            remedy = (
                "wait for its first steps" if self._now(book)["state"] in LIVE else "train it again to draw into it"
            )
            return answer(Response(f"This run has no weights: {remedy}.", 409))
        try:
            image = np.frombuffer(drawing, np.uint8).reshape(28, 28)
            return answer(JSONResponse({"step": step, **embedded(image, model, head)}))
        except ValueError as error:  # nothing is drawn
            return answer(Response(str(error), 400))

    async def page(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in taken.PAGES:
            return refused(f"There is no page of kind {kind!r:.40}; there are {', '.join(taken.PAGES)}.", 404)
        if not same_origin(request):
            return refused("Only pages of this server may ask this.", 403)
        try:
            said = json.loads(await received(request, LONGEST) or b"")
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict):
            return refused("A page is asked for with the ids of its runs.", 400)
        try:
            return await to_thread.run_sync(self._page, kind, said)
        except ValueError as error:
            return refused(str(error), 400)
        except (TypeError, KeyError, OSError):
            return refused("That makes no page.", 400)

    def _page(self, kind: str, said: dict) -> Response:
        shown = {}
        for id in taken.runs_of(kind, said):
            if (book := self._named(id, str(said.get("map") or ""))) is None:
                return refused("There is no such run.", 404)
            now = self._now(book)
            shown[id] = (book, Status(now["state"], now["reason"]))
        return answer(Response(taken.page(kind, said, shown), media_type="text/html; charset=utf-8"))

    async def watch(self, socket: WebSocket) -> None:
        if not same_origin(socket):
            await socket.close(REFUSED)  # Before it is accepted: the browser only learns that it may not.
            return
        await socket.accept()
        book = await to_thread.run_sync(self._book, socket)
        if book is None:
            await socket.close(NO_RUN)
            return
        told = None
        try:
            while True:
                if (index := asked(await socket.receive_text())) is None:
                    await socket.close(NO_SENSE)
                    return
                self._pool().seen(book.path.name, self._visitor(socket))
                reply, told = await self._reply(book, index, told)
                if isinstance(reply, bytes):
                    await socket.send_bytes(reply)
                else:
                    await socket.send_json(reply)
        except (WebSocketDisconnect, KeyError):  # KeyError: a binary message, which is none of ours
            return
        except OSError:
            await socket.close(NO_RUN)  # Deleted while it was watched.
        except ValueError as error:  # too many dimensions for a frame
            await socket.close(NO_SENSE, str(error))

    async def _reply(self, book: Book, index: int, told: str | None) -> tuple[bytes | dict, str]:
        """Frame `index` as soon as there is one; else where the run stands, at once if that is news."""
        until = time.monotonic() + ANSWER_WITHIN
        while True:
            now = await to_thread.run_sync(self._now, book)
            if index < now["snapshots"]:
                return await to_thread.run_sync(book.frame, index), told or now["state"]
            news = now["state"] not in LIVE or now["state"] != (told or now["state"])
            if news or time.monotonic() >= until:
                return now, now["state"]
            told = told or now["state"]
            await asyncio.sleep(LOOK_EVERY)

    def _book(self, request: HTTPConnection) -> Book | None:
        return self._named(request.path_params["id"], request.query_params.get("map", ""))

    def _named(self, id: str, map: str = "") -> Book | None:
        if self._shelf is None:
            self._shelf = Shelf(self._pool().folder, self._recordings)
        return self._shelf.book(id, map)

    def _now(self, book: Book) -> dict:
        """Where a run stands. The state is read before the snapshots: a run that is over has shown all."""
        known = None if book.recording else self._pool().known(book.path.name)
        now = book.look()
        said = known or Status(now.state, now.reason)
        if now.problem:
            said = Status("failed", now.problem)
        elif now.behind and (said.state not in LIVE or now.reason):  # not all of it is drawn
            said = Status("running" if said.state in LIVE else "placing", now.reason)
        return {"state": said.state, "reason": said.reason, "snapshots": now.snapshots, "queue": said.queue}


def stage_file(request: Request) -> Response:
    name = request.path_params["file"]
    known = {path.name: path for path in STAGE.iterdir() if path.suffix in KINDS} if STAGE.is_dir() else {}
    if name not in known:
        return answer(Response("There is no such file.", 404))
    return tagged(request, known[name].read_bytes(), KINDS[known[name].suffix])


def asked(text: str) -> int | None:
    """The snapshot that a watcher asks for, or None when the message makes no sense."""
    try:
        index = json.loads(text)["next"]
    except (ValueError, KeyError, TypeError, RecursionError):  # the last: brackets within brackets without end
        return None
    return index if type(index) is int and index >= 0 else None


async def received(request: Request, most: int) -> bytes | None:
    """The body if it has at most that many bytes; what is larger is not read."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            return None
    return bytes(body)


def same_origin(socket: HTTPConnection) -> bool:
    """Does a page of this very server ask? Browsers always name the page's origin; other programs may not."""
    origin = socket.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == socket.headers.get("host", "").lower()


def tagged(request: Request, body: bytes, media_type: str) -> Response:
    """An answer that a browser keeps and asks about again: 304 when it has not changed."""
    headers = {"etag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return answer(Response(status_code=304, headers=headers))
    return answer(Response(body, headers=headers, media_type=media_type))
