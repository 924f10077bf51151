"""How smoothly does the sphere move, how often is it renewed, and how soon is it there? Against a Plotly scatter3d."""

import math
import tempfile
import time
from collections import defaultdict
from itertools import count
from pathlib import Path

from playwright.sync_api import Browser, Page

from .browser import WAYS, Server, chromium, first_picture, rates, tab, until
from .points import PACE, being_written, write_run
from .report import Row, Table

SIZES = (2_000, 10_000)
SECONDS = 3.0
Found = dict[str, list[float]]

HOW = (
    "Peer: the same points as a Plotly `scatter3d` in `st.plotly_chart`, refreshed by a fragment as often as it can. "
    "A frame counts when the picture was drawn anew in it. First picture: a new browser without a cache, the server "
    f"warm. Updates: ours are asked to follow a run that gains {PACE} snapshots a second."
)


def measure(*, quick: bool) -> list[Table]:
    tables, tries = [], 1 if quick else 3
    for size in SIZES:
        with tempfile.TemporaryDirectory() as folder:
            runs = Path(folder)
            write_run(runs / "finished", size)
            for way in WAYS:
                ours, peer = our_stage(runs, way, tries), their_chart(runs / "finished", way, tries)
                points = f"{size:,} points".replace(",", " ")
                title = f"The stage, {points}, {way} (`{' '.join(WAYS[way])}`)"
                tables.append(Table(title, HOW, rows(ours, peer, full=size == max(SIZES))))
    return tables


def rows(ours: Found, peer: Found, full: bool) -> list[Row]:
    def row(what: str, name: str, target: float | None = None, unit: str = "/s", more: bool = True) -> Row:
        return Row(what, ours[name], peer.get(name), unit, more, target if full else None)

    return [
        row("opening the page to the first picture", "first", 2, "s", more=False),
        row("frames while it plays", "playing", 60),
        row("frames while it plays, by the stage's own count", "fps"),
        row("frames that the page gets meanwhile", "ticks"),
        row("frames while the pointer turns it", "turning", 60),
        row("updates that reach the picture", "updates", 10),
        row("frames while updates arrive", "live", 60),
    ]


def our_stage(runs: Path, way: str, tries: int) -> Found:
    found = defaultdict(list)
    with Server("app.py", LOSSLAB_RUNS=str(runs)) as server, chromium(way) as browser:
        with tab(browser, server.url) as page:  # the server is warm, but has not shown this run
            first_picture(page)
        for _ in range(tries):
            with tab(browser, f"{server.url}/?run=finished") as page:
                found["first"].append(first_picture(page))
                time.sleep(1.5)  # the snapshots that are still on their way
                said = rates(page, SECONDS)
                found["playing"].append(said["drawn"])
                found["ticks"].append(said["ticks"])
                found["fps"].append(float(page.get_attribute("[data-testid=stage]", "data-fps") or 0))
                page.get_by_role("slider", name="Snapshot").focus()  # the end, so that only the hand moves it
                page.keyboard.press("End")
                found["turning"].append(turning(page, "[data-testid=stage] canvas.view"))
        name = f"live-{way.split()[0].lower()}"
        with being_written(runs / "finished", runs / name):
            until(lambda: (runs / name / "snapshots.bin").exists(), 60, "a run to follow")
            followed(browser, f"{server.url}/?run={name}", "snapshots", tries, found)
    return found


def their_chart(run: Path, way: str, tries: int) -> Found:
    """Nothing, where the browser has no WebGL: then a scatter3d shows a sentence that says so."""
    found = defaultdict(list)
    with Server("benchmarks/peer_plot.py", BENCH_RUN=str(run)) as server, chromium(way) as browser:
        with tab(browser, server.url) as page:
            if not page.evaluate("Boolean(document.createElement('canvas').getContext('webgl'))"):
                return {name: [] for name in ("first", "playing", "ticks", "turning", "updates", "live")}
            first_picture(page)
        for _ in range(tries):
            with tab(browser, server.url) as page:
                found["first"].append(first_picture(page))
                time.sleep(1.5)
                found["turning"].append(turning(page, ".gl-container canvas"))
        followed(browser, f"{server.url}/?live=1", "said", tries, found)
    found["playing"] = found["live"]  # it has no other way of playing
    return found


def followed(browser: Browser, url: str, news: str, tries: int, found: Found) -> None:
    """Watch what goes on at `url` for a while; `news` is the count that grows with each update."""
    with tab(browser, url) as page:
        first_picture(page)
        time.sleep(2)
        for _ in range(tries):
            said = rates(page, SECONDS)
            found["updates"].append(said[news])
            found["live"].append(said["drawn"])
            if news == "said":
                found["ticks"].append(said["ticks"])


def turning(page: Page, picture: str) -> float:
    """Frames a second while the pointer drags the picture round and round."""
    box = page.locator(picture).first.bounding_box()
    x, y, turn = box["x"] + box["width"] / 4, box["y"] + box["height"] / 2, count()

    def move() -> None:
        angle = next(turn) / 15
        page.mouse.move(x + 80 * math.cos(angle), y + 80 * math.sin(angle))

    move()
    page.mouse.down()
    try:
        return rates(page, SECONDS, move)["drawn"]
    finally:
        page.mouse.up()
