"""The tour on the page of faces: a prototype goes where it is dragged, and what is said of the picture is counted."""

import re
import shutil

import pytest
from face_cases import REAL, real
from playwright.sync_api import expect
from test_browser import CHROMIUM, Server, Tab, alone, newcomer, point_at, saved, until

from losslab import losses
from losslab.data.faces import FaceSubset
from losslab.training import Recipe, RunWriter, probe, train

pytestmark = [pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed"), real]
STEP = 14  # pixels between places where a badge of radius 11 is looked for
FAITH = re.compile(r"(\d+)\s% of each sample's 15 .* off by (\d+)° \(median\), (\d+)\s% of the directions is seen")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The app with one run of eight people in 16 dimensions."""
    data, runs = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("runs")
    shutil.copytree(REAL / "images", data / "orl")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSLAB_DATA", str(data))
        faces = FaceSubset(source="orl", identities=8, held_out=2, size=32, grey=True)
        recipe = Recipe(
            loss=losses.starting("ArcFace"), data="faces", faces=faces, model="residual", dim=16, epochs=3, batch=16
        )
        with RunWriter(runs / "aa", recipe, probe(recipe)) as writer:
            for snapshot in train(recipe):
                writer.append(snapshot)
            writer.state("done")
        made = Server(runs)
    yield made
    made.kill()


class Tour(Tab):
    def show(self, server, map="Tour", more="") -> "Tour":
        self.page.goto(f"{server.url}/faces?run=aa&map={map}{more}")
        self.stages = self.page.get_by_test_id("stage")
        until(lambda: self.stages.count() == 1 and self.number("points") > 0, 60, "points")
        self.page.wait_for_timeout(300)
        self.canvas = self.stages.locator("canvas.view")
        self.canvas.scroll_into_view_if_needed()
        return self

    def faith(self) -> tuple[int, ...]:
        """What is said of the picture: percent of neighbours, degrees, percent of the directions."""
        found = until(lambda: FAITH.search(self.stages.locator(".faith").inner_text()), 10, "numbers")
        return tuple(map(int, found.groups()))

    def named(self, x: float, y: float) -> str:
        """Whose prototype is under a place of the canvas."""
        self.hover(x, y)
        card = self.stages.locator(".card")
        title = card.locator("strong").inner_text() if card.is_visible() else ""
        return title if title.startswith("Prototype") else ""

    def hover(self, x: float, y: float) -> None:
        box = self.canvas.bounding_box()
        point_at(self.page, box["x"] + x, box["y"] + y)

    def badge(self) -> tuple[float, float, str]:
        """A prototype on the sphere: where, and whose."""
        box = self.canvas.bounding_box()
        width, height = box["width"] * 0.5, box["height"]
        for y in range(int(height * 0.25), int(height * 0.75), STEP):
            for x in range(int(width * 0.25), int(width * 0.9), STEP):
                if title := self.named(x, y):
                    return x, y, title
        raise AssertionError("no prototype is in front")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.hover(*start)
        self.page.mouse.down()
        for share in range(1, 9):
            self.hover(*(a + (b - a) * share / 8 for a, b in zip(start, end, strict=True)))
        self.page.mouse.up()
        self.hover(-50, -50)


@pytest.fixture
def tab(chromium, server):
    made = Tour(newcomer(chromium, server, height=1000, reduced_motion="reduce"))
    yield made
    assert not made.strangers, "the app asked for something beyond this machine"
    assert not [e for e in made.errors if "404" not in e]  # Streamlit asks for its health below every page
    made.page.close()


def test_a_prototype_is_dragged_into_view(tab, server):
    tab.show(server)
    recall, off, seen = tab.faith()
    assert 15 <= recall <= 100 and 0 < off < 60 and 10 <= seen <= 100
    x, y, whose = tab.badge()
    middle = tab.canvas.bounding_box()["height"] / 2
    goal = x + (50 if x < 200 else -50), y + (60 if y < middle else -60)
    tab.drag((x, y), goal)
    assert tab.named(*goal) == whose and tab.named(x, y) != whose
    assert tab.faith() != (recall, off, seen)


def test_beside_a_prototype_the_sphere_turns_and_nothing_else(tab, server):
    tab.show(server)
    before, picture = tab.faith(), tab.canvas.evaluate("each => each.toDataURL()")
    middle = tab.canvas.bounding_box()["height"] / 2
    tab.drag((4, middle), (84, middle + 10))
    assert tab.canvas.evaluate("each => each.toDataURL()") != picture and tab.faith() == before


def test_it_wanders_until_a_press(tab, server):
    tab.page.emulate_media(reduced_motion="no-preference")
    tab.show(server)
    tab.stages.locator(".picture-box").focus()
    tab.page.keyboard.press("End")
    before = tab.faith()
    wander = tab.stages.get_by_role("button", name="Wander")
    wander.click()
    expect(wander).to_have_attribute("aria-pressed", "true")
    expect(tab.stages.locator(".faith")).to_contain_text("counted when it stands still")
    tab.page.wait_for_timeout(500)
    box = tab.canvas.bounding_box()
    tab.page.mouse.click(box["x"] + 3, box["y"] + 3)
    expect(wander).to_have_attribute("aria-pressed", "false")
    assert tab.faith() != before


def test_a_saved_page_is_turned_without_a_server(tab, server, chromium, tmp_path):
    tab.show(server)
    path = saved(tab.page, tab.stages.locator(".toolbar"), "html", tmp_path)
    with alone(chromium, path) as page:
        kept = page.page.get_by_test_id("stage").locator(".faith")
        until(lambda: FAITH.search(kept.inner_text()), 20, "numbers")
        assert FAITH.search(kept.inner_text()).groups() == tuple(map(str, tab.faith()))
        page.page.get_by_role("button", name="Wander").click()
        until(lambda: FAITH.search(kept.inner_text()).groups() != tuple(map(str, tab.faith())), 10, "another picture")


def test_with_reduced_motion_it_goes_on_at_once(tab, server):
    tab.show(server)
    before = tab.faith()
    tab.stages.locator(".picture-box").focus()
    tab.page.keyboard.press("t")
    until(lambda: tab.faith() != before, 10, "another picture")
    expect(tab.stages.get_by_role("button", name="Wander")).to_have_attribute("aria-pressed", "false")


def test_three_people_are_chosen(tab, server):
    tab.show(server, "Three+prototypes")
    until(lambda: tab.stage("state") == "done", 60, "all snapshots placed")
    before = tab.faith()
    page = tab.page.get_by_test_id("stMainBlockContainer")
    chosen = page.get_by_test_id("stMultiSelect")
    chosen.get_by_role("button", name="Remove").first.click()
    until(lambda: len(re.findall("three=", tab.page.evaluate("location.search"))) == 2, 10, "two in the link")
    assert tab.faith() == before  # until there are three again
    chosen.locator("input").click()
    tab.page.get_by_test_id("stMultiSelectDropdown").get_by_role("option").last.click()
    until(lambda: len(re.findall("three=", tab.page.evaluate("location.search"))) == 3, 10, "three in the link")
    until(lambda: tab.stage("state") == "done" and tab.faith() != before, 60, "another picture")
