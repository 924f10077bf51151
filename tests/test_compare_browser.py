"""The page Compare as a visitor meets it: several runs under one clock and one camera."""

import csv
import re
from xml.etree import ElementTree

import pytest
from test_browser import CHROMIUM, Server, Tab, alone, newcomer, point_at, saved, turns, until

from losslab import ArcFace, NormFace
from losslab.training import Recipe, Run, RunWriter, probe, train

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
SMALL = "classes=0&classes=1&classes=2&classes=3&per_class=80&epochs=2&model=mlp"
PAST = Recipe(loss=NormFace(scale=16), classes=(0, 1, 2, 3), per_class=80, epochs=2, model="mlp")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with RunWriter(folder / "past", PAST, probe(PAST)) as writer:
        for snapshot in train(PAST):
            writer.append(snapshot)
        writer.state("done")
    made = Server(folder)
    yield made
    made.kill()


class Rack(Tab):
    """The page Compare, and the runs on it."""

    def show(self, server, link: str = "") -> "Rack":
        self.page.goto(f"{server.url}/compare?{link}")
        self.page.wait_for_selector("[data-testid=rack]")
        return self

    @property
    def cells(self) -> list:
        return self.page.locator("[data-testid=cell]").all()

    def each(self, name: str) -> list[str]:
        found = self.page.locator("[data-testid=cell]")
        return found.evaluate_all("(cells, name) => cells.map((cell) => cell.getAttribute(name) ?? '')", f"data-{name}")

    def drawn(self) -> int:
        """How many pictures have samples on them."""
        return sum(int(points or 0) > 0 for points in self.each("points"))

    def runs(self) -> list[str]:
        found = re.search("runs=([^&]*)", self.page.evaluate("decodeURIComponent(location.search)"))
        return found[1].split(",") if found else []

    def picture(self, index: int) -> str:
        return self.page.locator("[data-testid=cell] canvas.view").nth(index).evaluate("canvas => canvas.toDataURL()")

    def press(self, key: str) -> None:
        self.page.get_by_test_id("rack").get_by_role("slider", name="Snapshot").press(key)

    def train(self) -> list[str]:
        before = self.runs()
        self.page.get_by_role("button", name=re.compile(r"Train \d runs")).click()
        return until(lambda: self.runs() != before and self.runs(), 30, "runs in the link")


@pytest.fixture
def tab(chromium, server):
    made = Rack(newcomer(chromium, server, 1400, 1000))
    yield made
    assert not made.strangers, "the app asked for something beyond this machine"
    # Streamlit looks for itself beside the page first, and does not find itself there.
    assert not [each for each in made.errors if "404" not in each and "WebSocket" not in each]
    made.page.close()


def test_it_opens_with_two_recordings_in_motion_and_what_they_say(tab, server):
    tab.show(server)
    until(lambda: tab.drawn() == 2, 30, "points in both")
    step = int(tab.each("step")[0])
    until(lambda: int(tab.each("step")[0]) > step, 20, "motion")
    tab.page.get_by_text("has the tightest classes").wait_for()


def test_train_turn_scrub_pin_and_train_again(tab, server):
    tab.show(server, f"losses=NormFace(scale=16)&losses=ArcFace(scale=16,margin=0.3)&{SMALL}")
    ids = tab.train()
    assert len(ids) == 2
    until(lambda: tab.each("run") == ids and set(tab.each("state")) == {"done"}, 90, "both runs to end")
    tab.page.get_by_role("listitem").filter(has_text="equal error rate").wait_for()

    last = str(Run(server.runs / ids[0])[-1].step)
    tab.press("End")
    until(lambda: tab.each("step") == [last, last], 20, "the last snapshot of both")
    tab.press("Home")
    until(lambda: tab.each("step") == ["0", "0"], 20, "the first snapshot of both")
    tab.press("End")

    tab.page.mouse.move(5, 5)
    until(lambda: tab.each("step") == [last, last], 20, "the last snapshot of both")
    before = [tab.picture(0), tab.picture(1)]
    box = tab.cells[0].locator("canvas.view").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 80, y + 10, steps=4)
    tab.page.wait_for_timeout(200)  # a hand that stops before it lets go: the sphere does not turn on by itself
    tab.page.mouse.up()
    until(lambda: tab.picture(0) != before[0] and tab.picture(1) != before[1], 10, "both spheres to turn")

    cards = tab.page.locator("[data-testid=cell] .card")
    for i in range(400):  # until a sample is under the pointer: then it is pinned in both
        x, y = box["x"] + box["width"] * (0.1 + 0.04 * (i % 20)), box["y"] + box["height"] * (0.1 + 0.04 * (i // 20))
        point_at(tab.page, x, y)
        if cards.nth(0).is_visible() and "sample" in cards.nth(0).inner_text():
            break
    tab.page.mouse.down()
    tab.page.mouse.up()
    until(lambda: cards.nth(0).is_visible() and cards.nth(1).is_visible(), 10, "the sample's card in both")

    tab.page.get_by_role("button", name=re.compile(r"Train \d runs")).click()  # equal recipes are the same runs
    until(lambda: tab.each("step") != [last, last], 20, "both to play again")
    assert tab.runs() == ids


def test_what_is_shown_is_saved_and_its_page_plays_without_a_server(chromium, server, tmp_path):
    tab = Rack(newcomer(chromium, server, 1400, 1000, reduced_motion="reduce")).show(server)
    until(lambda: tab.drawn() == 2 and tab.each("state") == ["done", "done"], 30, "points in both")
    tools, last = tab.page.locator("[data-testid=rack] .toolbar"), tab.each("step")
    assert saved(tab.page, tools, "png", tmp_path).read_bytes().startswith(b"\x89PNG")
    drawing = ElementTree.parse(saved(tab.page, tools, "svg", tmp_path)).getroot()
    svg = "{http://www.w3.org/2000/svg}"
    assert len(drawing.findall(f"{svg}svg")) == 2
    titles = tab.page.locator("[data-testid=cell] .title").all_inner_texts()
    assert [each.text for each in drawing.findall(f"{svg}text")] == titles
    rows = list(csv.DictReader(saved(tab.page, tools, "csv", tmp_path).open(encoding="utf-8")))
    points = [int(count) for count in tab.each("points")]
    assert [sum(row["run"] == title for row in rows) for title in titles] == points

    with alone(chromium, saved(tab.page, tools, "html", tmp_path)) as page:
        page = Rack(page.page)
        until(lambda: page.each("step") == last and page.drawn() == 2, 20, "the last snapshot of both")
        assert page.page.locator("[data-testid=cell] .title").all_inner_texts() == titles
        other = page.picture(1)
        assert turns(page.page, page.page.locator("canvas.view").first)
        assert page.picture(1) != other  # one camera
        page.press("Home")
        until(lambda: page.each("step") == ["0", "0"], 10, "the first snapshot of both")
    tab.page.close()


def test_a_branch_shares_its_past_and_parts_on_the_timeline(tab, server):
    tab.show(server, "mode=Branch&parent=past&future=ArcFace(scale=16,margin=0.3)")
    ids = tab.train()
    assert ids[0] == "past" and len(ids) == 2
    until(lambda: tab.each("run") == ids and set(tab.each("state")) == {"done"}, 60, "the branch to end")
    past, branch = (Run(server.runs / id) for id in ids)
    [(step, loss)] = branch.recipe.later
    assert loss == ArcFace(scale=16, margin=0.3)
    steps = [snapshot.step for snapshot in past]
    assert steps == [snapshot.step for snapshot in branch]
    index = steps.index(step)
    assert (past[index].embedding == branch[index].embedding).all()
    assert (past[-1].embedding != branch[-1].embedding).any()
    tab.page.get_by_text("they part").wait_for()
    mark, track = (tab.page.locator(f"[data-testid=rack] {css}").bounding_box() for css in (".fork", ".track"))
    share = (mark["x"] - track["x"] - 8) / (track["width"] - 16)
    assert share == pytest.approx(index / (len(steps) - 1), abs=0.01)


def test_a_run_that_waits_says_so_and_stop_ends_all(tab, server):
    tab.show(server, "losses=NormFace(scale=16)&losses=ArcFace(scale=16,margin=0.3)&epochs=1000&seed=3")
    ids = tab.train()
    until(lambda: tab.each("state") == ["running", "queued"], 60, "one to run and one to wait")
    until(lambda: "Waiting for a free place" in tab.cells[1].inner_text(), 20, "the one that waits to say so")
    stop = tab.page.get_by_test_id("stMainBlockContainer").get_by_role("button", name="Stop", exact=True)
    until(stop.is_enabled, 20, "Stop")
    stop.click()
    until(lambda: all(Run(server.runs / id).status.state == "stopped" for id in ids), 30, "both to stop")


def test_the_page_comes_back_as_it_was_left(tab, server):
    tab.show(server, "mode=Sweep&sweep=ArcFace(scale=16)&values=0.1&values=0.2&values=0.4&runs=past")
    until(lambda: tab.each("run") == ["past"], 20, "the run")
    tab.page.get_by_role("link", name="Library").click()
    tab.page.get_by_text("What each loss is").wait_for()
    tab.page.get_by_role("link", name="Compare").click()
    until(lambda: tab.each("run") == ["past"], 30, "the run again")
    assert tab.page.get_by_role("radio", name="Sweep").is_checked() and "values=0.4" in tab.page.url


@pytest.mark.parametrize("width", [1400, 700, 390])
def test_nothing_is_wider_than_the_window(chromium, server, width):
    tab = Rack(newcomer(chromium, server, width)).show(server)
    until(lambda: tab.drawn() == 2, 30, "points in both")
    main = tab.page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    lefts = [cell.bounding_box()["x"] for cell in tab.cells]
    assert (lefts[0] == lefts[1]) is (width == 390)  # on a telephone they stack
    tab.page.close()
