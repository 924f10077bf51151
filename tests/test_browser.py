"""The app as a visitor meets it: a real server, a real Chromium."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from playwright.sync_api import TimeoutError

from losslab.training import Run

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
FLAGS = (
    "--disable-gpu --no-sandbox --disable-quic --no-first-run "  # an imitated GPU takes half the machine
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


class Server:
    """`streamlit run app.py` on a free port, with runs in a folder of its own.

    Where it can it takes the port of the first: a browser knows by the address which scripts it has compiled.
    """

    first_port = 0

    def __init__(self, runs: Path):
        self.runs = runs
        self.port = free_port(Server.first_port)
        Server.first_port = Server.first_port or self.port
        self.url = f"http://localhost:{self.port}"
        self.start()

    def start(self) -> None:
        options = ["--server.headless", "true", "--server.port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), *options],
            env={**os.environ, "LOSSLAB_RUNS": str(self.runs)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self.answers, 60, "the server to answer")

    def answers(self) -> bool:
        try:
            return urlopen(f"{self.url}/_stcore/health", timeout=2).status == 200
        except (URLError, OSError):
            return False

    def workers(self) -> list[int]:
        found = subprocess.run(["pgrep", "-P", str(self.process.pid), "-f", "losslab.live.worker"], capture_output=True)
        return [int(pid) for pid in found.stdout.split()]

    def kill(self, how: int = signal.SIGTERM) -> None:
        self.process.send_signal(how)
        self.process.wait(20)


def free_port(wanted: int) -> int:
    """The port that is wanted, or any other if somebody listens there."""
    for port in (wanted, 0):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that are closing do not count
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise AssertionError("no port is free")


def until(ready, seconds: float, what: str):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := ready():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s for {what}")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Tab:
    """One tab, and what it shows."""

    def __init__(self, page):
        self.page, self.errors, self.strangers = page, [], []
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("request", lambda r: self.strangers.append(r.url) if not local(r.url) else None)

    def open(self, url: str) -> "Tab":
        self.page.goto(url)
        self.page.wait_for_selector("[data-testid=stage]")
        return self

    def stage(self, name: str) -> str:
        return self.page.get_attribute("[data-testid=stage]", f"data-{name}") or ""

    def number(self, name: str) -> int:
        return int(self.stage(name) or 0)

    def run(self) -> str:
        found = re.search("run=([0-9a-z]+)", self.page.evaluate("location.search"))
        return found[1] if found else ""

    def button(self, name: str):
        return self.page.get_by_test_id("stMainBlockContainer").get_by_role("button", name=name, exact=True)

    def train(self) -> str:
        """Press Train; the id of the run."""
        before = self.run()
        self.button("Train").click()
        id = until(lambda: self.run() != before and self.run(), 20, "a run in the link")
        until(lambda: self.stage("run") == id and self.number("snapshots") > 1, 60, "snapshots on the stage")
        return id


def local(url: str) -> bool:
    return re.match(r"(https?|wss?)://(localhost|127\.0\.0\.1)[:/]|blob:|data:", url) is not None


def saved(page, area, kind: str, folder: Path) -> Path:
    """What the menu Save in `area` makes."""
    area.locator(".save summary").click()
    with page.expect_download() as got:
        area.get_by_role("button", name=f"({kind.upper()})").click()
    path = folder / got.value.suggested_filename
    got.value.save_as(path)
    assert path.suffix == f".{kind}"
    return path


def point_at(page, x: float, y: float) -> None:
    """Moves the pointer, and waits until the picture has answered it: what is under it is worked out when it draws."""
    page.mouse.move(x, y)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def newcomer(chromium, server, width: int = 1300, height: int = 900, **media):
    """A page for somebody who has never been here.

    Only the scripts that were compiled for earlier visitors are there still. A private window never has them, and to
    compile them is most of the work of opening a page.
    """
    context = chromium.contexts[0]
    for page in context.pages[1:]:  # the first is the browser's own: without a page it would end
        page.close()
    context.clear_cookies()
    page = context.new_page()
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(**media)
    all_kept = {"origin": server.url, "storageTypes": "local_storage,indexeddb,cache_storage"}
    context.new_cdp_session(page).send("Storage.clearDataForOrigin", all_kept)
    return page


@contextmanager
def alone(chromium, path: Path):
    """A saved page, opened from the disk in a browser that has no network."""
    context = chromium.new_context(offline=True, reduced_motion="reduce", viewport={"width": 1200, "height": 900})
    context.route(re.compile("^(https?|wss?):"), lambda route: route.abort())
    tab = Tab(context.new_page())
    tab.page.goto(path.as_uri())
    yield tab
    assert tab.strangers == [path.as_uri()] and not tab.errors
    context.close()


def turns(page, canvas) -> bool:
    """Does the picture turn under the hand?"""
    page.mouse.move(1, 1)
    page.wait_for_timeout(200)
    before, box = canvas.evaluate("each => each.toDataURL()"), canvas.bounding_box()
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 70, y + 20, steps=5)
    page.mouse.up()
    page.mouse.move(1, 1)
    page.wait_for_timeout(200)
    return canvas.evaluate("each => each.toDataURL()") != before


@pytest.fixture
def tab(chromium, server):
    made = Tab(newcomer(chromium, server))
    yield made
    if made.page.url.startswith(server.url) and made.button("Stop").is_enabled():
        with suppress(TimeoutError):  # the run that this test stopped ends in this very moment
            made.button("Stop").click(timeout=3000)  # a test that failed must not leave its run to the next ones
        made.page.wait_for_timeout(500)
    assert not made.strangers, "the app asked for something beyond this machine"
    assert not [e for e in made.errors if "WebSocket" not in e and "ERR_CONNECTION" not in e]
    made.page.close()


LONG = "&epochs=1000"  # a run that goes on until it is stopped


def test_a_recording_moves_before_anything_trains(tab, server):
    tab.open(server.url)
    until(lambda: tab.number("points") > 0, 20, "points")
    first = tab.number("step")
    until(lambda: tab.number("step") > first, 20, "motion")
    assert "recording" in tab.page.inner_text("[data-testid=stage]")


def test_what_is_shown_is_saved_and_its_page_plays_without_a_server(tab, server, chromium, tmp_path):
    tab.page.emulate_media(reduced_motion="reduce")
    tab.open(f"{server.url}/?run=arcface-sphere")
    run = Run(ROOT / "recordings" / "arcface-sphere")
    until(lambda: tab.number("step") == run[len(run) - 1].step, 30, "the last snapshot")
    tools = tab.page.locator("[data-testid=stage] .toolbar")
    assert saved(tab.page, tools, "png", tmp_path).read_bytes().startswith(b"\x89PNG")
    drawing = saved(tab.page, tools, "svg", tmp_path).read_text(encoding="utf-8")
    assert drawing.startswith("<svg") and "far half, from behind" in drawing and "<image" not in drawing
    assert "ArcFace on the sphere, ten digits. Step 620" in drawing
    rows = list(csv.DictReader(saved(tab.page, tools, "csv", tmp_path).open(encoding="utf-8")))
    assert len(rows) == len(run.probe.labels)
    embedding = run[len(run) - 1].embedding
    for row in rows:
        place = [float(row[axis]) * float(row["length"]) for axis in "xyz"]
        assert place == pytest.approx(embedding[int(row["sample"])].tolist(), rel=5e-3, abs=5e-3)

    tab.page.get_by_role("slider", name="Snapshot").press("Home")
    until(lambda: tab.number("step") == 0, 10, "the first snapshot")
    with alone(chromium, saved(tab.page, tools, "html", tmp_path)) as page:
        until(lambda: page.number("snapshots") == len(run) and page.number("points") == len(rows), 20, "all of the run")
        assert page.number("step") == 0 and page.page.title() == "ArcFace on the sphere, ten digits"
        assert turns(page.page, page.page.locator("canvas.view"))
        page.page.get_by_role("slider", name="Snapshot").press("End")
        until(lambda: page.number("step") == run[len(run) - 1].step, 10, "the last snapshot")
        menu = page.page.locator(".toolbar .save")
        menu.locator("summary").click()
        offered = menu.get_by_role("button").all_inner_texts()
        assert offered == ["Picture (PNG)", "Numbers (CSV)"]  # the others need the server
        page.page.keyboard.press("Escape")
        page.page.locator(".picture-box").focus()
        page.page.keyboard.press("Home")
        page.page.keyboard.press("Space")
        until(lambda: page.number("step") > 0, 20, "the run to play")


def test_train_scrub_hover_reload_and_a_second_tab(tab, server):
    tab.open(f"{server.url}/?epochs=6")
    until(server.workers, 30, "a worker")
    id = tab.train()
    until(lambda: tab.stage("lane") == "socket", 20, "frames over the socket")
    first = tab.number("step")
    until(lambda: tab.number("step") > first, 30, "points to move")
    until(lambda: tab.stage("state") == "done", 120, "the end of the run")

    run = Run(server.runs / id)
    assert run[len(run) - 1].scalars["test_accuracy"] > 0.95
    until(lambda: tab.number("snapshots") == len(run), 20, "all snapshots")

    tab.page.get_by_role("slider", name="Snapshot").focus()  # scrub back
    tab.page.keyboard.press("Home")
    until(lambda: tab.number("step") == 0, 10, "the first snapshot")
    tab.page.keyboard.press("End")
    until(lambda: tab.number("step") == run[len(run) - 1].step, 10, "the last snapshot")

    box = tab.page.locator("[data-testid=stage] canvas.view").bounding_box()  # hover until a digit shows
    card = tab.page.locator("[data-testid=stage] .card")
    seen = False
    for i in range(400):
        x, y = box["x"] + box["width"] * (0.1 + 0.04 * (i % 20)), box["y"] + box["height"] * (0.1 + 0.04 * (i // 20))
        point_at(tab.page, x, y)
        if card.is_visible() and "own" in card.inner_text():
            seen = True
            break
    assert seen, "no sample answered the pointer"
    assert "°" in card.inner_text()

    tab.page.reload()
    tab.page.wait_for_selector("[data-testid=stage]")
    until(lambda: tab.number("snapshots") == len(run), 30, "the same run after a reload")

    second = Tab(tab.page.context.new_page()).open(tab.page.url)
    until(lambda: second.number("snapshots") == len(run), 30, "the same run in a second tab")


def test_pause_a_turned_margin_and_stop(tab, server):
    tab.open(f"{server.url}/?seed=5{LONG}")
    id = tab.train()
    run = Run(server.runs / id)

    tab.button("Pause").click()
    until(lambda: run.status.state == "paused", 20, "a pause")
    run.refresh()
    steps = len(run)
    time.sleep(1)
    run.refresh()
    assert len(run) == steps
    tab.button("Resume").click()
    until(lambda: run.status.state == "running", 20, "the run to go on")

    slider = tab.page.get_by_role("slider", name=re.compile("Margin m"))
    slider.focus()
    for _ in range(5):
        tab.page.keyboard.press("ArrowRight")
    until(lambda: run.refresh() or run[len(run) - 1].knobs["margin"] > 0.3, 60, "the margin to change")
    until(lambda: tab.page.locator("[data-testid=stage] .marks .knob").count() > 0, 60, "a mark on the timeline")

    tab.button("Stop").click()
    until(lambda: run.status.state == "stopped", 20, "the run to stop")
    until(lambda: tab.stage("state") == "stopped", 20, "the stage to say so")
    assert tab.button("Train").is_enabled()


def test_the_dial_previews_and_sets_the_margin(tab, server):
    tab.open(server.url)
    until(lambda: tab.number("points") > 0, 20, "points")
    dial = tab.page.get_by_role("slider", name="Margin on the picture")
    box = dial.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + box["height"] / 2)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2, steps=4)
    until(lambda: tab.stage("preview").startswith("ArcFace margin"), 5, "outlines while the hand still moves")
    assert "margin=" not in tab.page.evaluate("location.search")
    tab.page.mouse.up()
    until(lambda: "margin=" in tab.page.evaluate("location.search"), 20, "the sidebar and the link to follow")
    words = tab.stage("preview")
    assert float(re.search("margin=([0-9.]+)", tab.page.evaluate("location.search"))[1]) == float(words.split()[-1])


def test_training_the_same_again_shows_the_same_run_again(tab, server):
    tab.open(f"{server.url}/?epochs=1&per_class=100&model=mlp")
    id = tab.train()
    until(lambda: tab.stage("state") == "done" and tab.button("Train").is_enabled(), 60, "the end of the run")
    tab.page.get_by_role("slider", name="Snapshot").press("End")
    last = until(lambda: tab.number("step"), 10, "the last step")
    tab.button("Train").click()
    until(lambda: tab.number("step") < last, 20, "the run to begin again")
    assert tab.run() == id and len(list(server.runs.glob(f"{id}*"))) == 1


def test_starting_another_run_lets_go_of_the_one_before(tab, server):
    tab.open(f"{server.url}/?seed=11{LONG}")
    id = tab.train()
    tab.page.get_by_test_id("stMain").get_by_text("Onto the sphere", exact=True).click()
    until(lambda: tab.run() != id, 20, "the preset's run")
    until(lambda: Run(server.runs / id).status.state == "stopped", 20, "the run before to end")
    until(lambda: tab.stage("state") == "running" and tab.number("snapshots") > 1, 30, "the preset's run to train")
    tab.button("Stop").click()
    until(lambda: tab.stage("state") == "stopped", 20, "the stop")


def test_one_visitor_cannot_stop_what_another_started(tab, server, chromium):
    tab.open(f"{server.url}/?seed=6{LONG}")
    id = tab.train()
    stranger = Tab(chromium.new_context().new_page()).open(tab.page.url)
    until(lambda: stranger.number("snapshots") > 1, 30, "the run in another browser")
    assert stranger.button("Stop").is_disabled()
    tab.button("Stop").click()
    until(lambda: Run(server.runs / id).status.state == "stopped", 20, "the owner's stop")
    stranger.page.context.close()


def test_the_link_restores_the_state(tab, server):
    tab.open(server.url)
    tab.page.get_by_role("combobox", name=re.compile("Loss")).click()
    tab.page.get_by_role("option", name="CosFace").click()
    tab.page.get_by_role("radio", name="2", exact=True).click()
    tab.page.wait_for_url(re.compile("loss=CosFace.*dim=|dim=.*loss=CosFace"))
    other = Tab(tab.page.context.new_page()).open(tab.page.url)
    until(lambda: "cosine" in other.page.inner_text("section[data-testid=stSidebar]"), 20, "CosFace in the sidebar")
    assert other.page.get_by_role("radio", name="2", exact=True).is_checked()


@pytest.mark.parametrize(
    ("loss", "zones"),
    [("KappaFace", True), ("SubCenterArcFace", True), ("InterFace", True), ("Triplet", True), ("IntraLoss", True)],
)
def test_every_kind_of_loss_trains_and_is_drawn(tab, server, loss, zones):
    """A curve for each class, several prototypes, zones that no curve can tell, none learned, a wrapped loss."""
    tab.open(f"{server.url}/?loss={loss}&epochs=2&per_class=100")
    tab.train()
    until(lambda: tab.stage("state") == "done", 60, "the end of the run")
    run = Run(server.runs / tab.run())
    until(lambda: tab.number("snapshots") == len(run), 20, "all snapshots")
    assert tab.number("points") == len(run[0].loss)
    assert tab.page.get_by_role("button", name="Margin zones").is_enabled() is zones
    tab.page.get_by_text("Diagnosis of what is shown last").click()
    tab.page.get_by_text("with random embeddings a fresh head starts at").wait_for()


def test_a_killed_worker_is_reported_and_the_server_goes_on(tab, server):
    tab.open(f"{server.url}/?seed=7{LONG}")
    id = tab.train()
    for pid in server.workers():
        os.kill(pid, signal.SIGKILL)
    until(lambda: tab.stage("state") == "failed", 30, "the failure on the stage")
    assert "killed" in tab.page.inner_text("[data-testid=stage]")
    assert len(Run(server.runs / id)) > 1
    until(lambda: tab.button("Train").is_enabled(), 20, "Train")
    assert tab.train() != id
    tab.button("Stop").click()
    until(lambda: tab.stage("state") == "stopped", 20, "the second run to stop")


def test_the_stage_needs_no_socket(tab, server):
    """A proxy that lets no WebSocket through to us: frames come by HTTP."""
    tab.page.add_init_script(
        "const Real = WebSocket; WebSocket = class extends Real { constructor(url, ...rest) {"
        " super(String(url).includes('/losslab/') ? 'ws://localhost:9/' : url, ...rest); } };"
    )
    tab.open(f"{server.url}/?seed=8{LONG}")
    tab.train()
    count = tab.number("snapshots")
    until(lambda: tab.number("snapshots") > count and tab.stage("lane") == "http", 30, "frames by HTTP")
    tab.button("Stop").click()
    until(lambda: tab.stage("state") == "stopped", 20, "the stop")


def test_reduced_motion_is_respected(chromium, server):
    tab = Tab(newcomer(chromium, server, reduced_motion="reduce")).open(server.url)
    recording = Run(ROOT / "recordings" / "arcface-sphere")
    until(lambda: tab.number("snapshots") == len(recording), 20, "the recording")
    step = until(lambda: tab.number("step"), 10, "its last step")
    time.sleep(1.5)
    assert tab.number("step") == step
    tab.page.close()


@pytest.mark.parametrize("width", [1300, 700, 390])
def test_nothing_is_wider_than_the_window(chromium, server, width):
    tab = Tab(newcomer(chromium, server, width)).open(server.url)
    until(lambda: tab.number("points") > 0, 20, "points")
    main = tab.page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    tab.page.close()


def test_a_killed_server_leaves_no_orphans_and_a_readable_run(chromium, tmp_path):
    server = Server(tmp_path / "runs")
    try:
        context = chromium.new_context()
        tab = Tab(context.new_page()).open(f"{server.url}/?seed=9{LONG}")
        id = tab.train()
        workers = server.workers()
        assert workers
        server.kill(signal.SIGKILL)
        until(lambda: not any(alive(pid) for pid in workers), 10, "the workers to end with their server")
        run = Run(server.runs / id)
        assert len(run) > 1 and run[len(run) - 1].embedding.shape == run[0].embedding.shape

        server.start()  # on the same port: nothing held it
        facts = json.load(urlopen(f"{server.url}/losslab/runs/{id}"))
        assert facts["state"] == "interrupted" and facts["snapshots"] == len(run)
        until(lambda: tab.stage("state") == "interrupted", 40, "the open tab to find its run again")
        context.close()
    finally:
        workers = server.workers()
        server.kill()
    until(lambda: not any(alive(pid) for pid in workers), 10, "the workers to end with their server")
