"""How long from pressing Train until something moves? In a browser, with a server that has trained before."""

import tempfile

from playwright.sync_api import Page

from .browser import WAYS, Server, chromium, first_picture, tab, until
from .report import Row, Table

SEEDS = 5
HOW = (
    "From the click to the second snapshot of the new run on the stage, moving; every run has a seed of its own, so "
    "none is known already. `{way}`. Nobody else has a Train button to press: there is no peer."
)

# Milliseconds from the click until the stage shows the new run, its first snapshot, and the first motion.
PRESS = """(button) => new Promise((resolve) => {
  const before = bench.stage().dataset.run, begun = performance.now(), seen = {};
  const look = () => {
    const { run, snapshots, step } = bench.stage().dataset, now = performance.now() - begun;
    if (run !== before) {
      seen.run ??= now;
      if (snapshots >= 1) seen.first ??= now;
      if (snapshots >= 2 && step > 0) { resolve({ ...seen, moving: now }); return; }
    }
    requestAnimationFrame(look);
  };
  button.click();
  requestAnimationFrame(look);
})"""


def measure(*, quick: bool) -> list[Table]:
    tables = []
    for way in WAYS:
        with tempfile.TemporaryDirectory() as runs, Server("app.py", LOSSLAB_RUNS=runs) as server:
            with chromium(way) as browser:
                tries = []
                for seed in range(101, 103 if quick else 102 + SEEDS):
                    with tab(browser, f"{server.url}/?seed={seed}") as page:
                        first_picture(page)
                        tries.append(press(page))
        tries = tries[1:]  # the first one warmed the server up
        names = {"run": "the stage turns to the new run", "first": "its first snapshot", "moving": "it moves"}
        rows = [
            Row(f"Train to: {what}", [each[name] / 1000 for each in tries], target=1 if name == "moving" else None)
            for name, what in names.items()
        ]
        tables.append(Table(f"Press Train, {way}", HOW.format(way=" ".join(WAYS[way])), rows))
    return tables


def press(page: Page) -> dict[str, float]:
    """Train, and stop again once it moves."""
    seen = page.get_by_role("button", name="Train", exact=True).evaluate(PRESS)
    page.get_by_role("button", name="Stop", exact=True).click()
    until(lambda: page.evaluate("bench.stage().dataset.state") == "stopped", 30, "the run to stop")
    return seen
