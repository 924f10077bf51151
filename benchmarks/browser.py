"""A Streamlit server, a headless Chromium that draws in software, and what is counted inside a page."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WAYS = {  # to draw without a graphics card
    "software compositing": ["--disable-gpu"],
    "SwiftShader": ["--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
}
QUIET = (
    "--no-sandbox --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()

# Counts in the page, the same for ours and the peer: animation frames, those in which the picture was drawn anew, and
# when each text (of the stage's canvas, or the title of a chart) was first seen. The stage clears its canvas when it
# draws; a chart makes WebGL draw.
COUNT = """
const bench = window.bench = { ticks: 0, drawn: 0, first: 0, said: new Map(), pressed: 0, sent: 0, view: null };
let dirty = false, points = false;
const before = (kind, name, act) => {
  if (!kind) return;
  const real = kind.prototype[name];
  kind.prototype[name] = function (...all) { act.apply(this, all); return real.apply(this, all); };
};
const say = (text) => { if (!bench.said.has(text)) bench.said.set(text, performance.now()); };
before(CanvasRenderingContext2D, "clearRect", function () {
  if (this.canvas.classList.contains("view")) { dirty = true; bench.view = this.canvas; }
});
before(CanvasRenderingContext2D, "fillText", (text) => say(String(text)));
for (const kind of [window.WebGLRenderingContext, window.WebGL2RenderingContext])
  for (const name of ["drawArrays", "drawElements"]) before(kind, name, () => { dirty = points = true; });
before(WebSocket, "send", () => { bench.sent ||= performance.now(); });
addEventListener("keydown", () => { [bench.pressed, bench.sent] = [performance.now(), 0]; }, true);
bench.stage = () => bench.view?.closest("[data-testid=stage]") ?? null;
const shown = () => Number(bench.stage()?.dataset.points) > 0 && getComputedStyle(bench.view).visibility === "visible";
const tick = (now) => {
  bench.ticks++;
  const title = dirty && document.querySelector(".gtitle")?.textContent;
  if (title) say(title); // a chart's new title may stand there before its points are drawn
  if (dirty) bench.drawn++;
  dirty = false;
  if (!bench.first && (points || shown())) bench.first = performance.now();
  requestAnimationFrame(tick);
};
requestAnimationFrame(tick);
"""


class Server:
    """`streamlit run script` on a free port, gone at the end of the `with`."""

    def __init__(self, script: str, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://localhost:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", script, "--server.headless", "true", "--server.port", str(port)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> "Server":
        try:
            until(self._answers, 60, "the server to answer")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        try:
            return urlopen(f"{self.url}/_stcore/health", timeout=2).status == 200
        except (URLError, OSError):
            return False


@contextmanager
def chromium(way: str) -> Iterator[Browser]:
    if not CHROMIUM:
        raise SystemExit("This benchmark needs an installed Chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*WAYS[way], *QUIET])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, url: str) -> Iterator[Page]:
    """A new visitor, with nothing cached, who opens `url`."""
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    try:
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(COUNT)
        page.goto(url, wait_until="commit")
        yield page
    finally:
        context.close()


def first_picture(page: Page) -> float:
    """Seconds from opening the page to the first picture in it."""
    return until(lambda: page.evaluate("bench.first"), 60, "a picture") / 1000


def rates(page: Page, seconds: float, meanwhile: Callable[[], Any] | None = None) -> dict[str, float]:
    """Per second, over `seconds`: animation frames, frames drawn anew, texts said, snapshots that arrived."""
    read = """() => ({ now: performance.now() / 1000, ticks: bench.ticks, drawn: bench.drawn, said: bench.said.size,
                       snapshots: Number(bench.stage()?.dataset.snapshots ?? 0) })"""
    before, end = page.evaluate(read), time.monotonic() + seconds
    while time.monotonic() < end:
        if meanwhile:
            meanwhile()
        time.sleep(1 / 60)
    after = page.evaluate(read)
    return {name: (after[name] - before[name]) / (after["now"] - before["now"]) for name in before if name != "now"}


def until(ready: Callable[[], Any], seconds: float, what: str) -> Any:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"Waited {seconds:g} s for {what}.")


def chromium_version() -> str:
    if not CHROMIUM:
        return "not installed"
    said = subprocess.run([CHROMIUM, "--version"], capture_output=True, text=True).stdout
    return match[0] if (match := re.search(r"[\d.]+", said)) else "of unknown version"
