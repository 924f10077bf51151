"""The page Gradient fields as a visitor meets it: classes chosen, samples dropped and dragged, the plane, a run."""

import csv
import re

import pytest
from playwright.sync_api import expect
from test_browser import CHROMIUM, Tab, newcomer, until

from pages.parts.fields import PAGE

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
DROPS = 3  # of the first preset


class Fields(Tab):
    """The page Gradient fields, and what stands on it."""

    def show(self, server, link: str = "") -> "Fields":
        self.page.goto(f"{server.url}/gradient_fields?{link}")
        self.page.wait_for_selector("[data-testid=board]")
        until(lambda: self.board("drawn"), 30, "the first picture")
        return self

    def board(self, name: str) -> str:
        return self.page.get_attribute("[data-testid=board]", f"data-{name}") or ""

    @property
    def says(self) -> str:
        return self.page.locator(".panel .says").first.inner_text()

    @property
    def search(self) -> str:
        return self.page.evaluate("decodeURIComponent(location.search)")

    def after(self, act, what: str) -> str:
        """What the first picture says once it has answered to `act` by saying something else."""
        before = self.says
        act()
        return until(lambda: self.says != before and self.board("state") == "shown" and self.says, 20, what)

    def preset(self, title: str) -> str:
        pills = self.page.get_by_test_id("stButtonGroup")
        return self.after(lambda: pills.get_by_text(title, exact=True).click(), f"the preset {title}")

    def set(self, knob: str, value: str) -> None:
        self.page.select_option(f"[data-knob={knob}]", value)


@pytest.fixture
def tab(chromium, server):
    made = Fields(newcomer(chromium, server, height=1000))
    yield made
    assert not made.strangers, "the app asked for something beyond this machine"
    assert not [e for e in made.errors if "WebSocket" not in e and "Failed to load resource" not in e]


def test_a_class_is_chosen_and_the_link_says_so(tab, server):
    tab.show(server)
    assert "If the sample were a 0:" in tab.says
    chips = tab.page.get_by_role("radiogroup", name="If the sample were of class")
    says = tab.after(lambda: chips.get_by_role("radio", name="class 3").click(), "class 3")
    assert says.startswith("If the sample were a 3:")
    tab.page.keyboard.press("ArrowRight")  # as among radio buttons
    until(lambda: "If the sample were a 4:" in tab.says, 10, "class 4 by the keyboard")
    tab.page.locator(".ball").focus()
    tab.page.keyboard.press("1")
    until(lambda: "If the sample were a 1:" in tab.says, 10, "class 1 on the ball")
    until(lambda: "label=1" in tab.search, 30, "the link")

    other = Fields(tab.page.context.new_page()).show(server, tab.search.lstrip("?").replace("#", ""))
    until(lambda: other.says == tab.says, 20, "the same picture from the link")


def test_samples_are_dropped_and_dragged_and_cleared(tab, server):
    tab.show(server)
    drops = lambda: len(tab.search.partition("drops=")[2].partition("&")[0].split("+"))  # noqa: E731
    tab.page.get_by_role("button", name="Drop a sample").click()
    until(lambda: drops() == DROPS + 1, 10, "a dropped sample in the link")
    box = tab.page.locator(".ball canvas").bounding_box()
    x, y = box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.25  # on the sphere, beside all marks
    tab.page.mouse.click(x, y)
    until(lambda: drops() == DROPS + 2, 10, "a sample where the reader clicked")
    until(lambda: tab.board("state") == "shown", 10, "its picture")
    before = tab.search
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 40, y + 30, steps=6)
    tab.page.mouse.up()
    until(lambda: tab.search != before and drops() == DROPS + 2, 10, "a dragged sample")
    until(lambda: tab.board("state") == "shown", 10, "its picture")
    assert "dropped samples" in tab.says
    tab.page.mouse.click(x + 40, y + 30)
    until(lambda: drops() == DROPS + 1, 10, "one that is clicked to be taken away")
    tab.page.get_by_role("button", name="Clear samples").click()
    until(lambda: "dropped" not in tab.says, 10, "no more samples")


def test_a_press_that_the_browser_takes_away_is_no_click(tab, server):
    tab.show(server)
    drops = lambda: len(tab.search.partition("drops=")[2].partition("&")[0].split("+"))  # noqa: E731
    tab.page.locator(".ball canvas").evaluate("""(canvas) => {
        const { x, y, width, height } = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        const say = (type, pointerId, right) => canvas.dispatchEvent(
            new PointerEvent(type, { pointerId, button: 0, clientX: x + width * right, clientY: y + height * 0.4 }));
        say("pointerdown", 7, 0.3);
        say("pointercancel", 7, 0.3);
        for (const type of ["pointerdown", "pointerup"]) [8, 9].forEach((finger) => say(type, finger, finger / 20));
        delete canvas.setPointerCapture;
    }""")
    tab.page.get_by_role("button", name="Drop a sample").click()
    until(lambda: "drops=" in tab.search, 10, "the dropped sample in the link")
    assert drops() == DROPS + 1


def test_presets_are_drawn(tab, server):
    tab.show(server)
    wrong = []
    for preset in PAGE.presets[1:]:
        assert tab.preset(preset.title)
        if tab.page.locator(".problem").is_visible():
            wrong.append(f"{preset.title}: {tab.page.locator('.problem').inner_text()}")
        expect(tab.page.locator(".panel")).to_have_count(2)
    assert not wrong


def test_the_plane_takes_the_balls_place_and_gives_it_back(tab, server):
    tab.show(server)
    says = tab.after(lambda: tab.set("surface", "plane"), "the plane")
    assert "goes around the origin only" in says
    assert tab.page.locator("[data-view=Field] .chart").is_visible() and not tab.page.locator(".ball").is_visible()
    assert not tab.page.get_by_role("button", name="Add class").is_visible()
    tab.after(lambda: tab.set("surface", "sphere"), "the sphere")
    assert tab.page.locator(".ball").is_visible()
    assert tab.page.get_by_role("button", name="Add class").is_visible()


def test_a_click_on_the_plane_drops_a_sample_there(tab, server):
    tab.show(server, "surface=plane&drops=")
    box = tab.page.locator("[data-view=Field] .draglayer .nsewdrag").bounding_box()
    at = box["x"] + 0.7 * box["width"], box["y"] + 0.3 * box["height"]
    dropped = lambda: re.search(r"[?&]drops=([^&]*)", tab.search)  # noqa: E731
    tab.page.mouse.click(*at)
    until(lambda: (found := dropped()) and found[1].count(",") == 1, 10, "one place in the link")
    x, y = map(float, dropped()[1].split(","))
    assert x > 0 and y > 0 and abs(x / y - 1.5) < 0.1  # the picture is half as wide again as high
    tab.page.wait_for_timeout(400)
    tab.page.mouse.click(*at)
    until(lambda: (found := dropped()) is None or "," not in found[1], 10, "it is taken away")


def test_what_a_loss_has_not_is_said_in_a_sentence(tab, server):
    tab.show(server)
    tab.set("shown", "added term")
    problem = tab.page.locator(".problem")
    until(problem.is_visible, 10, "a sentence")
    assert "ArcFace is not added to another loss" in problem.inner_text()
    tab.set("shown", "exact minus detached")
    until(lambda: not problem.is_visible(), 10, "a picture again")


def test_a_training_is_opened_and_looked_at_step_by_step(tab, server):
    tab.show(server)
    tab.page.get_by_role("combobox", name=re.compile("Prototypes")).click()
    says = tab.after(lambda: tab.page.get_by_role("option").nth(1).click(), "the field around its prototypes")
    assert "of class" in says or "If the sample were a" in says
    until(lambda: "run=" in tab.search, 10, "the run in the link")
    last = tab.after(lambda: tab.set("draw", "samples"), "the pushes of its samples")
    assert "Half of all the push is on" in last
    tab.page.locator("[data-knob=snapshot]").focus()
    tab.page.keyboard.press("Home")
    until(lambda: tab.says != last and "snapshot=0" in tab.search, 20, "the first snapshot")


def test_the_numbers_can_be_saved(tab, server):
    tab.show(server)
    tab.page.get_by_role("group").locator("summary", has_text="Save").first.click()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Numbers (CSV)").first.click()
    rows = list(csv.DictReader(open(download.value.path(), encoding="utf-8")))
    roles = {row["role"] for row in rows}
    assert {"ground", "push", "prototype", "flow", "drop", "push_prototype"} <= roles
    assert sum(row["role"] == "push" for row in rows) == 500


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_ground_is_painted_in_both_themes(chromium, server, scheme):
    tab = Fields(newcomer(chromium, server, 1000, 1000, color_scheme=scheme)).show(
        server, "prototype_pushes=false&drops="
    )
    tab.page.wait_for_timeout(300)
    inks = tab.page.locator(".ball canvas").evaluate(
        """(canvas) => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height), found = new Set();
          for (let i = 0; i < data.length; i += 4 * 97)
            if (data[i + 3] > 200) found.add([data[i], data[i + 1], data[i + 2]].map((v) => v >> 4).join());
          return found.size;
        }"""
    )
    assert inks > 60  # a ramp, and not one colour
    tab.page.close()
