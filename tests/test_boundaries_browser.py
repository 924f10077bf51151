"""The page Decision boundaries as a visitor meets it: prototypes under mouse, finger and keys; files; a run."""

import csv
import math
import re

import pytest
from test_browser import CHROMIUM, Tab, newcomer, until

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
ARC = "losses=ArcFace(margin=0.3,scale=16)"
RIGHT_AND_UP = "surface=circle&prototypes=1,0,0+0,1,0+-0.7,-0.7,0"
AT_0, AT_90 = 0, 90
BADGE = """(canvas, share) => {
    const box = canvas.getBoundingClientRect();
    const taken = (right, down) => {  // as the cursor says, would a press there take a prototype?
        const place = { clientX: box.x + right, clientY: box.y + down };
        canvas.dispatchEvent(new PointerEvent("pointermove", place));
        return canvas.style.cursor === "move";
    };
    for (let down = 40; down < box.height - 30; down += 9)
        for (let right = Math.floor(box.width * share); right < box.width - 10; right += 9)
            if (taken(right, down) && taken(right + 4, down + 4)) return [box.x + right + 3, box.y + down + 3];
}"""


class Boundaries(Tab):
    """The page Decision boundaries, and what stands on it."""

    def show(self, server, link: str = "") -> "Boundaries":
        self.page.goto(f"{server.url}/decision_boundaries?{link}")
        self.page.wait_for_selector("[data-testid=board]")
        until(lambda: self.board("drawn"), 30, "the first picture")
        self.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        until(lambda: self.board("state") == "shown", 20, "a picture")
        return self

    def board(self, name: str) -> str:
        return self.page.get_attribute("[data-testid=board]", f"data-{name}") or ""

    def settled(self) -> None:
        """The board has answered, the page has heard of it, and nothing is under way."""
        self.page.wait_for_timeout(700)
        until(lambda: self.board("state") == "shown", 20, "a picture")

    @property
    def says(self) -> str:
        return self.page.locator(".is-ball .says").inner_text()

    def link(self, name: str) -> str:
        found = re.search(rf"[?&]{name}=([^&]*)", self.page.evaluate("decodeURIComponent(location.search)"))
        return found[1] if found else ""

    def prototypes(self) -> list[list[float]]:
        return [[float(x) for x in row.split(",")] for row in self.link("prototypes").split("+") if row]

    @property
    def canvas(self):
        return self.page.locator(".ball canvas")

    def on_circle(self, degrees: float, out: float = 0.76 * 0.66) -> tuple[float, float]:
        """Where on the page a direction of the circle is: its prototype's badge, unless `out` says otherwise."""
        box = self.canvas.bounding_box()
        half, at = min(box["width"], box["height"]) / 2 - 12, math.radians(degrees)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        return x + out * half * math.cos(at), y - out * half * math.sin(at)

    def badge(self, share: float) -> tuple[float, float]:
        """Some prototype that can be taken, on the canvas from `share` of its width on; well inside its badge."""
        found = self.canvas.evaluate(BADGE, share)
        assert found, "there is no prototype to take"
        self.page.mouse.move(*found)
        until(lambda: self.canvas.evaluate("each => each.style.cursor") == "move", 10, "the hand that can take it")
        return found

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end, steps=8)
        self.page.mouse.up()

    def save(self, kind: str):
        self.page.locator(".is-ball .save summary").click()
        with self.page.expect_download() as found:
            self.page.locator(".is-ball .save").get_by_role("button", name=kind).click()
        return found.value.path()


@pytest.fixture
def tab(chromium, server):
    made = Boundaries(newcomer(chromium, server, height=1000))
    yield made
    assert not made.strangers, "the app asked for something beyond this machine"
    assert not [e for e in made.errors if "WebSocket" not in e and "Failed to load resource" not in e]


def test_the_page_opens_with_a_picture_and_a_sentence(tab, server):
    tab.show(server)
    assert re.search(r"The narrowest strip lies between \d and \d: \d+\.\d°\.", tab.says)
    assert tab.says in tab.canvas.locator("..").get_attribute("aria-label")
    assert tab.page.locator(".is-chart .says").inner_text().count("°") == 4


def test_a_prototype_is_dragged_around_the_circle(tab, server):
    tab.show(server, f"{ARC}&{RIGHT_AND_UP}")
    assert "between 0 and 1: 17.2°" in tab.says
    tab.drag(tab.on_circle(AT_90), tab.on_circle(10))
    until(
        lambda: tab.link("prototypes") and abs(tab.prototypes()[1][1] - math.sin(math.radians(10))) < 0.02,
        10,
        "the link",
    )
    until(lambda: "No direction clears the margin of" in tab.says, 10, "two that stand too near")
    assert tab.prototypes()[0] == [1, 0, 0]


def test_the_first_prototype_stays_under_the_hand(tab, server):
    """While answers come in, it is where the hand is and not where the server last heard of it."""
    tab.show(server, f"{ARC}&{RIGHT_AND_UP}")
    tab.page.mouse.move(*tab.on_circle(AT_0))
    tab.page.mouse.down()
    for degrees in range(0, -60, -2):
        tab.page.mouse.move(*tab.on_circle(degrees))
    tab.page.mouse.up()
    until(
        lambda: tab.link("prototypes") and abs(tab.prototypes()[0][1] - math.sin(math.radians(-58))) < 0.02,
        10,
        "the link",
    )


def test_a_finger_drags_too(tab, server):
    finger = tab.page.context.new_cdp_session(tab.page)
    finger.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
    tab.show(server, f"{ARC}&{RIGHT_AND_UP}")
    for kind, degrees in [("touchStart", 90), *(("touchMove", 90 + 5 * i) for i in range(1, 7))]:
        x, y = tab.on_circle(degrees)
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(
        lambda: tab.link("prototypes") and abs(tab.prototypes()[1][0] - math.cos(math.radians(120))) < 0.03,
        10,
        "the link",
    )


@pytest.mark.parametrize("share", [0.0, 0.68], ids=["on the sphere", "on a map"])
def test_a_prototype_is_dragged_on_the_sphere_and_its_maps(tab, server, share):
    tab.show(server, ARC)
    x, y = tab.badge(share)
    tab.drag((x, y), (x + 25, y + 18))
    until(lambda: tab.link("prototypes"), 10, "the link")
    moved = [row for row in tab.prototypes() if abs(math.hypot(*row) - 1) > 2e-3]
    assert len(tab.prototypes()) == 5 and not moved  # on the sphere still


def test_beside_a_prototype_the_sphere_turns(tab, server):
    tab.show(server, ARC)
    box = tab.canvas.bounding_box()
    before = tab.canvas.evaluate("each => each.toDataURL()")
    start = box["x"] + 12, box["y"] + box["height"] / 2
    tab.drag(start, (start[0] + 80, start[1] + 10))
    tab.settled()
    assert tab.canvas.evaluate("each => each.toDataURL()") != before and not tab.link("prototypes")


def test_keys_choose_move_add_and_remove(tab, server):
    tab.show(server, f"{ARC}&{RIGHT_AND_UP}")
    ball = tab.page.locator(".ball")
    ball.focus()
    tab.page.keyboard.press("1")
    until(lambda: tab.page.locator(".is-chart h3").inner_text().startswith("From 1 to"), 10, "the way from class 1")
    for _ in range(5):
        tab.page.keyboard.press("ArrowRight")
    until(lambda: tab.link("prototypes") and tab.prototypes()[1][0] > 0.17, 10, "ten degrees to the right")
    assert tab.prototypes()[1] == pytest.approx([math.sin(math.radians(10)), math.cos(math.radians(10)), 0], abs=0.003)
    tab.page.keyboard.press("a")
    until(lambda: ball.get_attribute("data-classes") == "4" and len(tab.prototypes()) == 4, 10, "a fourth class")
    tab.page.keyboard.press("Delete")
    until(lambda: ball.get_attribute("data-classes") == "3" and len(tab.prototypes()) == 3, 10, "it goes again")
    assert tab.prototypes()[1][0] == pytest.approx(math.sin(math.radians(10)), abs=0.003)


def test_buttons_add_remove_and_spread(tab, server):
    tab.show(server, f"{ARC}&{RIGHT_AND_UP}")
    press = lambda name: tab.page.get_by_role("button", name=name, exact=True).click()  # noqa: E731
    ball = tab.page.locator(".ball")
    for count in range(4, 11):
        press("Add class")
        until(lambda count=count: ball.get_attribute("data-classes") == str(count), 10, f"{count} classes")
    assert tab.page.get_by_role("button", name="Add class").is_disabled()
    press("Spread evenly")
    until(lambda: len(tab.prototypes()) == 10, 10, "the link")
    tab.settled()
    turn = sorted(math.degrees(math.atan2(y, x)) % 360 for x, y, _ in tab.prototypes())
    assert all(b - a == pytest.approx(36, abs=0.5) for a, b in zip(turn, turn[1:], strict=False))
    for count in range(9, 1, -1):
        press("Remove class")
        until(lambda count=count: ball.get_attribute("data-classes") == str(count), 10, f"{count} classes")
    assert tab.page.get_by_role("button", name="Remove class").is_disabled()


def test_images_of_a_class_are_set_by_hand(tab, server):
    tab.show(server, "losses=KappaFace(margin=0.5,scale=16)")
    before = tab.says
    assert "gives" not in before or "(40 images, κ 40)" in before
    tab.page.get_by_text("Images of each class").click()
    tab.page.locator("[data-knob='sizes.3']").fill("4")
    until(lambda: "to 3 (4 images, κ 40)" in tab.says, 10, "the widest margin for the smallest class")
    until(lambda: tab.link("sizes") == "40,40,40,4", 10, "the link")
    assert tab.page.locator("[data-knob='sizes.3']").is_visible()  # not folded away again
    tab.page.get_by_role("button", name="Add class").click()
    until(lambda: tab.page.locator("[data-knob='sizes.5']").count() == 1, 10, "a slider for the new class")


def test_knobs_come_and_go_with_what_matters(tab, server):
    tab.show(server, ARC)
    knob = lambda name: tab.page.locator(f"[data-knob='{name}']")  # noqa: E731
    assert not knob("draw").count() and not knob("length").count() and not knob("sizes.0").count()
    knob("samples").check()
    until(lambda: knob("sizes.0").count(), 10, "what samples are made of")
    assert knob("samples").is_checked()


def test_elasticface_breathes_until_it_is_told_to_stop(tab, server):
    tab.show(server, "losses=ElasticFace(margin=0.3,scale=16)")
    breathe, draw = tab.page.get_by_role("button", name="Breathe"), tab.page.locator("[data-knob=draw]")
    breathe.click()
    until(lambda: int(draw.input_value()) >= 3, 10, "the third draw")
    assert breathe.get_attribute("aria-pressed") == "true"
    breathe.click()
    until(lambda: draw.input_value() == "0", 10, "the mean again")
    tab.page.wait_for_timeout(500)
    assert draw.input_value() == "0" and breathe.get_attribute("aria-pressed") == "false"


def test_where_motion_is_not_wanted_a_breath_is_one_step(tab, server):
    tab.page.emulate_media(reduced_motion="reduce")
    tab.show(server, "losses=ElasticFace(margin=0.3,scale=16)")
    tab.page.get_by_role("button", name="Breathe").click()
    until(lambda: tab.link("draw") == "1", 10, "the first draw")
    tab.page.wait_for_timeout(600)
    assert tab.link("draw") == "1"


def test_nothing_breathes_on_a_page_that_was_left(tab, server):
    tab.show(server, "losses=ElasticFace(margin=0.3,scale=16)")
    asked = []
    tab.page.on("request", lambda request: asked.append(1) if request.url.endswith("/sights") else None)
    tab.page.get_by_role("button", name="Breathe").click()
    until(lambda: int(tab.page.locator("[data-knob=draw]").input_value()) >= 3, 10, "the third draw")
    tab.page.get_by_role("link", name="Library").click()
    tab.page.wait_for_selector("[data-testid=board]", state="detached")

    def quiet() -> bool:
        before = len(asked)
        tab.page.wait_for_timeout(1000)  # six draws
        return len(asked) == before

    assert asked
    until(quiet, 20, "nobody to ask")


def test_where_motion_is_not_wanted_the_far_side_comes_at_once(tab, server):
    tab.page.emulate_media(reduced_motion="reduce")
    tab.show(server)
    painted = tab.page.locator(".ball").evaluate("""async (ball) => {
        const { prototype } = CanvasRenderingContext2D, { clearRect } = prototype;
        let count = 0;
        prototype.clearRect = function (...box) { if (this.canvas.isConnected) count++; clearRect.apply(this, box); };
        ball.dispatchEvent(new KeyboardEvent("keydown", { key: "f" }));
        for (let frame = 0; frame < 12; frame++) await new Promise(requestAnimationFrame);
        prototype.clearRect = clearRect;
        return count;
    }""")
    assert painted == 1


def test_what_is_under_the_pointer_is_forgotten_when_it_leaves(tab, server):
    tab.show(server, f"{ARC}&{RIGHT_AND_UP}")
    hint = tab.page.locator(".ball .hint")
    tab.page.mouse.move(*tab.on_circle(45, 0.5))
    until(lambda: hint.inner_text().startswith("here: "), 10, "what is there")
    tab.page.mouse.move(1, 1)
    until(lambda: hint.inner_text().startswith("Drag a prototype"), 10, "what can be done")


def test_the_title_has_room_in_a_narrow_window(chromium, server):
    tab = Boundaries(newcomer(chromium, server, 390)).show(server)
    assert tab.page.locator(".is-ball h3").bounding_box()["width"] > 200
    tab.page.close()


def test_a_training_is_looked_at_and_its_prototypes_are_taken(tab, server):
    tab.show(server, "run=arcface-sphere").settled()
    assert "of 600 samples clear their margin." in tab.says
    assert not tab.page.get_by_role("button", name="Add class").is_visible()
    last = tab.link("snapshot")
    slider = tab.page.locator("[data-knob=snapshot]")
    assert slider.input_value() == last
    before = tab.says
    slider.fill("3")
    until(lambda: tab.says != before and tab.link("snapshot") == "3", 10, "an early snapshot")
    tab.page.get_by_text("Take its prototypes").click()
    until(lambda: not tab.link("run") and len(tab.prototypes()) == 10, 10, "ten prototypes by hand")
    until(lambda: tab.page.get_by_role("button", name="Remove class").is_visible(), 10, "hands on them")


def test_what_is_shown_is_saved(tab, server):
    tab.show(server, f"{ARC}&losses=CosFace(margin=0.2,scale=16)&samples=true")
    assert tab.save("Picture").read_bytes()[:4] == b"\x89PNG"
    drawing = tab.save("Vector").read_text(encoding="utf-8")
    assert drawing.count("<path") > 50 and "far half, from behind" in drawing and "<image" not in drawing
    page = tab.save("Page").read_text(encoding="utf-8")
    assert "lone.js" in page and "plotly" not in page and "CosFace 0.2" in page
    rows = list(csv.DictReader(tab.save("Numbers").read_text(encoding="utf-8").splitlines()))
    assert {"zone", "prototype", "sample", "narrowest"} == {row["role"] for row in rows}


def test_a_link_shows_the_same_again(tab, server):
    tab.show(server, f"losses=MagFace(scale=16,shortest=1,longest=20)&{RIGHT_AND_UP}&length=9").settled()
    says, search = tab.says, tab.page.evaluate("location.search")
    other = Boundaries(tab.page.context.new_page()).show(server, search.lstrip("?"))
    other.settled()
    assert other.says == says and other.page.evaluate("location.search") == search


def test_a_link_that_makes_no_picture_says_so(tab, server):
    tab.page.goto(f"{server.url}/decision_boundaries?{ARC}&prototypes=1,0,0")
    problem = tab.page.locator(".problem")
    until(lambda: problem.count() and "2 to 10 prototypes" in problem.inner_text(), 30, "what is wrong")


def test_a_run_that_is_gone_leaves_prototypes_by_hand(tab, server):
    tab.show(server, f"{ARC}&run=nobody")
    assert tab.page.get_by_text("not on this server").is_visible() and "17.2°" in tab.says
    until(lambda: not tab.link("run"), 10, "a link without it")
