"""How soon does each page show its first picture, and how soon does a board answer its knobs?"""

import math
import tempfile
import time

from playwright.sync_api import Browser, Page

from .browser import WAYS, Server, chromium, tab, until
from .report import Row, Table

PAGES = {  # each page, and for those with a board the pictures that are turned
    "playground": (),
    "angles_and_margins": ("curves", "regions", "probability", "ladder"),
    "decision_boundaries": ("",),
    "gradient_fields": ("",),
    "margin_samples": (),
    "compare": (),
}
READY = "[data-testid=board][data-drawn], .ball[data-classes], [data-points]:not([data-points='0'])"
LEAST = 1  # keys before those that count: the first picture of each kind is slower
HOW_OPEN = "A new visitor with nothing cached opens the page, on a server that has shown it before. `{way}`."
HOW_KNOB = (
    "From an arrow key on the first slider of the first loss to the painted picture, {turns} times. The server draws "
    "with the real loss; all pictures that are seen are drawn anew. `{way}`."
)


def measure(*, quick: bool) -> list[Table]:
    turns, visits, tables = (4, 1, []) if quick else (30, 3, [])
    with tempfile.TemporaryDirectory() as folder, Server("app.py", LOSSLAB_RUNS=folder) as server:
        for way in WAYS:
            flags = " ".join(WAYS[way])
            with chromium(way) as browser:
                rows = []
                for name in PAGES:
                    found = [first(browser, f"{server.url}/{name}") for _ in range(visits + 1)][1:]
                    rows.append(Row(name.replace("_", " "), found, target=2))
                tables.append(Table(f"First picture, {way}", HOW_OPEN.format(way=flags), rows))
                rows = []
                for name, parts in PAGES.items():
                    for part in parts:
                        found = turned(browser, f"{server.url}/{name}{part and f'?show={part}'}", turns)
                        what = " ".join([name.replace("_", " "), part]).strip()
                        rows.append(Row(what, found, target=0.1))
                        rows.append(Row(f"{what}, 95th percentile", [percentile(found, 0.95)]))
                tables.append(Table(f"A knob of a board, {way}", HOW_KNOB.format(turns=turns, way=flags), rows))
    return tables


def first(browser: Browser, url: str) -> float:
    """Seconds from opening `url` to its first picture."""
    began = time.perf_counter()
    with tab(browser, url) as page:
        page.wait_for_selector(READY, state="attached")
        return time.perf_counter() - began


def turned(browser: Browser, url: str, turns: int) -> list[float]:
    """Seconds from each of `turns` arrow keys to the picture that answers it, as the board itself counts them."""
    found = []
    with tab(browser, url) as page:
        page.wait_for_selector(READY, state="attached")
        time.sleep(2)
        board = page.get_by_test_id("board")
        of_loss = board.locator("[data-group='0'] input[type=range]")
        (of_loss if of_loss.count() else board.locator("input[type=range]")).first.focus()
        for turn in range(turns + LEAST):
            before = drawn(page)
            page.keyboard.press("ArrowLeft" if turn % 2 else "ArrowRight")
            until(lambda before=before: drawn(page) > before, 30, f"{url} to answer the knob")
            if turn >= LEAST:
                found.append(int(page.get_attribute("[data-testid=board]", "data-latency")) / 1000)
            time.sleep(0.6)  # until the page has heard of it, too
    return found


def drawn(page: Page) -> int:
    return int(page.get_attribute("[data-testid=board]", "data-drawn") or 0)


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, math.ceil(share * len(values)) - 1)]
