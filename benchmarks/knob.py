"""How soon does the picture answer a turned margin? Against a Plotly figure that is drawn anew."""

import re
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from playwright.sync_api import Browser, Page

from .browser import WAYS, Server, chromium, first_picture, tab, until
from .points import write_run
from .report import Row, Table

POINTS = 2_000
HOW = (
    "From an arrow key on a margin's slider to the picture that says the new margin, with the new outlines in the same "
    "frame. The slider on the picture is answered in the browser, the sidebar's asks the server. Peer: {points} points "
    "in `st.plotly_chart`, coloured by whether they clear the margin of an `st.slider`. `{way}`."
)
# When the picture says a margin that it has not said before the last key, in milliseconds after that key.
ANSWER = r"""() => {
  const said = [...bench.said].find(([text, at]) => /margin [\d.]+/.test(text) && at > bench.pressed);
  return said && { all: said[1] - bench.pressed, wait: bench.sent - bench.pressed };
}"""


def measure(*, quick: bool) -> list[Table]:
    turns, tables = 2 if quick else 10, []
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder)
        write_run(runs / "finished", POINTS)
        for way in WAYS:
            with Server("app.py", LOSSLAB_RUNS=folder) as server, chromium(way) as browser:
                with tab(browser, f"{server.url}/?run=finished") as page:
                    first_picture(page)
                    page.get_by_role("slider", name="Snapshot").focus()  # stop it: only the knob shall draw
                    page.keyboard.press("End")
                    dial = turned(page, "Margin on the picture", turns)
                    ours = turned(page, "Margin m", turns)
            with Server("benchmarks/peer_plot.py", BENCH_RUN=str(runs / "finished")) as server:
                with chromium(way) as browser:
                    peer = their_chart(browser, server.url, turns)
            rows = [
                Row("the slider on the picture to the new picture", dial["all"], peer["all"], target=0.1),
                Row("the sidebar's slider to the new picture", ours["all"], peer["all"]),
                Row("of which until the browser asks the server", ours["wait"], peer["wait"]),
            ]
            how = HOW.format(points=f"{POINTS:,}".replace(",", " "), way=" ".join(WAYS[way]))
            tables.append(Table(f"Turn the margin, {way}", how, rows))
    return tables


def their_chart(browser: Browser, url: str, turns: int) -> dict[str, list[float]]:
    with tab(browser, f"{url}/?knob=1") as page:
        if not page.evaluate("Boolean(document.createElement('canvas').getContext('webgl'))"):
            return {"all": [], "wait": []}
        first_picture(page)
        return turned(page, "Margin", turns)


def turned(page: Page, slider: str, turns: int) -> dict[str, list[float]]:
    """Seconds from each of `turns` arrow keys to the picture that answers it; the key before them does not count."""
    found = defaultdict(list)
    time.sleep(2)
    page.get_by_role("slider", name=re.compile(f"^{slider}")).focus()
    for turn in range(turns + 1):
        page.keyboard.press("ArrowRight")
        answer = until(lambda: page.evaluate(ANSWER), 30, "the picture to answer the knob")
        for name, value in answer.items() if turn else ():
            found[name].append(value / 1000)
        time.sleep(1)
    return found
