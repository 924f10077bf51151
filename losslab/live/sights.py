"""Pictures on demand: a browser says what it wants to see, and gets it drawn by the real loss.

    POST /losslab/sights           {"views": [name], "losses": [{"name", "knobs"}], "values": {}, "dark": bool}
                                   {"sights": [{"view", "title", "says", "notes", "names", "figure" or "ball"}],
                                    "losses": [what each is called], "took": ms}
    POST /losslab/sights/{kind}    the first of the views as a file: csv, html or figure (JSON); paper: what
                                   the link of it as a figure for paper says (JSON, lists of texts by name)
    GET  /losslab/plotly.js        what draws the charts

What makes no picture is answered by 400 and one sentence: {"error": ...}. Nothing here is kept or changes a run.
"""

import dataclasses
import gzip
import hashlib
import json
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from losslab import losses, views
from losslab.figures import said
from losslab.figures.seen import Seen
from losslab.losses import Loss
from losslab.losses.formula import filled, valued
from losslab.render import ball, flat, screen, standalone
from losslab.render.style import DARK, LIGHT, Theme
from losslab.scene import CIRCLE, SPHERE, Scene
from losslab.training import Run, RunError
from losslab.views import View
from losslab.views.ball import OnBall

from .answers import answer

LONGEST = 256 * 1024  # bytes of a question: prototypes and knobs are a few kB
LONGEST_SENTENCE = 500  # characters: what is wrong may be as long as the question
MOST_VIEWS = 8
MOST_RUNS = 16  # kept open
FILES = {
    "csv": "text/csv; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "figure": "application/json",
    "paper": "application/json",
}


def routes(find: Callable[[str], Path | None], base: str = "") -> list[BaseRoute]:
    """The routes; `find` gives the directory of a run or recording by its id, or None."""
    sights = Sights(find)
    return [
        Route(f"{base}/losslab/sights", sights.seen, methods=["POST"]),
        Route(f"{base}/losslab/sights/{{kind}}", sights.file, methods=["POST"]),
        Route(f"{base}/losslab/plotly.js", plotly),
    ]


class Sights:
    def __init__(self, find: Callable[[str], Path | None]) -> None:
        self._find = find
        self._runs: OrderedDict[Path, Run] = OrderedDict()
        self._lock = threading.Lock()
        # A picture is thousands of small products. Dividing one among threads costs more than it saves, and ten times
        # as much while a training wants the same cores.
        torch.set_num_threads(1)

    async def seen(self, request: Request) -> Response:
        return await self._answered(request, self._draw)

    async def file(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        if kind not in FILES:
            return refused(f"There is no file of kind {kind!r:.40}; there are {', '.join(FILES)}.", 404)
        return await self._answered(request, lambda asked: self._written(asked, kind))

    async def _answered(self, request: Request, work: Callable[[dict], Response]) -> Response:
        body = b""
        async for piece in request.stream():
            body += piece
            if len(body) > LONGEST:
                return refused("A picture is asked for in fewer words than that.", 413)
        try:
            asked = json.loads(body)
            if not isinstance(asked, dict):
                raise ValueError("A picture is asked for with names and values.")
            return await to_thread.run_sync(work, asked)
        except (ValueError, TypeError, KeyError, RecursionError, RunError, OverflowError) as error:
            return refused(str(error) or "That makes no picture.", 400)

    def _draw(self, asked: dict) -> Response:
        began = time.perf_counter()
        theme = DARK if asked.get("dark") else LIGHT
        sights = [
            {"view": name, "title": scene.title, "says": scene.says, "notes": scene.notes, "names": scene.names}
            | drawn(scene, theme)
            for name, scene in self._scenes(asked)
        ]
        called = views.named(chosen(asked))
        took = round(1000 * (time.perf_counter() - began), 1)
        return answer(JSONResponse({"sights": sights, "losses": called, "took": took}))

    def _written(self, asked: dict, kind: str) -> Response:
        name, view = next(iter(self._views(asked)))
        if kind == "paper":
            return answer(JSONResponse(link(name, view, asked.get("camera"))))
        scene, theme = view.scene(), DARK if asked.get("dark") else LIGHT
        if kind == "csv":
            text = scene.table()
        elif scene.space in (CIRCLE, SPHERE) and kind == "html":
            text = standalone.page(scene.title, "lone.js", turning(view, scene, asked.get("rotation")))
        else:
            if scene.space in (CIRCLE, SPHERE):
                scene = flat.flattened(scene, asked.get("camera"))
            text = screen.page(scene, theme) if kind == "html" else json.dumps(screen.figure(scene, theme))
        return answer(Response(text, media_type=FILES[kind]))

    def _scenes(self, asked: dict) -> list[tuple[str, Scene]]:
        return [(name, view.scene()) for name, view in self._views(asked)]

    def _views(self, asked: dict) -> list[tuple[str, View]]:
        names = asked.get("views")
        if not isinstance(names, list) or not 1 <= len(names) <= MOST_VIEWS:
            raise ValueError(f"A question names 1 to {MOST_VIEWS} views.")
        values = dict(asked.get("values") or {})
        if "run" in values:
            values["run"] = self._run(values["run"])
        mine = chosen(asked)
        if not mine and values.get("run"):
            mine = (values["run"].recipe.loss,)
        return [(name, views.view(str(name), mine, values)) for name in names]

    def _run(self, id: Any) -> Run | None:
        if not id:
            return None
        path = self._find(str(id))
        if path is None:
            raise ValueError("The run of this link is not on this server; open another.")
        with self._lock:
            run = self._runs.pop(path, None) or Run(path)
            run.refresh()
            self._runs[path] = run
            while len(self._runs) > MOST_RUNS:
                self._runs.popitem(last=False)
        return run


def link(name: str, view: View, camera: Any) -> dict[str, list[str]]:
    """The link of a view as a figure for paper: texts by name."""
    fields = {field.name: field.default for field in dataclasses.fields(view)}
    values = {each: getattr(view, each) for each in fields if each not in ("losses", "run")}
    differ = tuple((each, value) for each, value in values.items() if value != fields[each])
    run = getattr(view, "run", None)
    texts = said.linked(said.plain(Seen(view=name, values=differ, losses=view.losses, runs=(run,) if run else ())))
    if camera is not None and view.scene().space in (CIRCLE, SPHERE):
        texts["camera"] = [views.written_value(flat.rotation(camera).ravel().tolist())]
    return texts


def chosen(asked: dict) -> tuple[Loss, ...]:
    said = asked.get("losses") or []
    if not isinstance(said, list) or len(said) > views.MOST:
        raise ValueError(f"A picture shows at most {views.MOST} losses.")
    return tuple(map(loss, said))


def loss(said: Any) -> Loss:
    """The loss that a question names, with its knobs; without any, with those to begin with (`losses.starting`)."""
    if not isinstance(said, dict) or not isinstance(said.get("knobs"), dict | None):
        raise ValueError("A loss is asked for by its name and its knobs.")
    if said.get("knobs") is None:
        base = said.get("base")
        return losses.starting(str(said.get("name")), base and str(base), small=said.get("small") is not False)
    return losses.make(str(said.get("name")), **said["knobs"])


def drawn(scene: Scene, theme: Theme) -> dict:
    if scene.space in (CIRCLE, SPHERE):
        return {"ball": ball.packed(scene)}
    return {"figure": screen.figure(scene, theme)}


def turning(view: OnBall, scene: Scene, rotation: Any) -> dict:
    """What a page shows that stands alone and turns: see losslab/stage/lone.js. `rotation` is the quaternion of the
    reader's camera; one that is none is passed over."""
    trained = [] if view.run is None else [view.trained_head.loss]
    return {
        "ball": ball.packed(scene),
        "title": scene.title,
        "says": scene.says,
        "notes": scene.notes,
        "label": getattr(view, "label", None),
        "rotation": quaternion(rotation),
        "losses": [
            {"title": part.card.title, "values": valued(part), "formula": filled(part)}
            for loss in dict.fromkeys([*trained, *view.losses])
            for part in layers(loss)
        ],
    }


def quaternion(said: Any) -> list[float] | None:
    if not isinstance(said, list) or len(said) != 4 or not all(isinstance(x, int | float) for x in said):
        return None
    size = math.hypot(*said)
    return [x / size for x in said] if math.isfinite(size) and size > 0 else None


def layers(loss: Loss) -> list[Loss]:
    """The loss, and what it is added to."""
    return [loss, *layers(loss.base)] if losses.wraps(loss) else [loss]


def refused(sentence: str, status: int) -> Response:
    return answer(JSONResponse({"error": sentence[:LONGEST_SENTENCE]}, status))


@cache
def packed_plotly() -> tuple[bytes, str]:
    text = screen.script().encode()
    return gzip.compress(text, 6), hashlib.sha256(text).hexdigest()[:32]


def plotly(request: Request) -> Response:
    body, tag = packed_plotly()
    headers = {"etag": f'"{tag}"', "cache-control": "max-age=86400"}
    if request.headers.get("if-none-match") == headers["etag"]:
        return answer(Response(status_code=304, headers=headers))
    headers["content-encoding"] = "gzip"
    return answer(Response(body, headers=headers, media_type="text/javascript; charset=utf-8"))
