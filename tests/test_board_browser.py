"""The board as a visitor meets it: charts that answer their knobs, losses that come and go, files, links, bad days."""

import csv
import json
import re
import signal

import pytest
from test_browser import CHROMIUM, alone, local, newcomer, saved, turns, until

from losslab import ArcFace, CosFace, losses
from losslab.views.curves import Curves

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
TWO = "losses=CosFace(scale=16,margin=0.35)&losses=ArcFace(scale=16,margin=0.5)"


class Desk:
    """One tab with a board."""

    def __init__(self, page):
        self.page, self.errors, self.strangers = page, [], []
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda r: self.strangers.append(r.url) if not local(r.url) else None)

    def open(self, url: str) -> "Desk":
        self.page.goto(url)
        self.board = self.page.get_by_test_id("board")
        until(self.drawn, 30, "the first picture")
        return self

    def drawn(self) -> int:
        return int(self.board.get_attribute("data-drawn") or 0) if self.board.count() else 0

    def state(self) -> str:
        return self.board.get_attribute("data-state")

    def knob(self, group: int | str, name: str):
        return self.board.locator(f"[data-group='{group}'] [data-knob={name}]")

    def says(self, view: str = "Curves") -> str:
        return self.board.locator(f"[data-view={view}] .says").inner_text()

    def titles(self) -> list[str]:
        return self.board.locator(".group .title").all_inner_texts()

    def ticks(self) -> list[str]:
        return [t for t in self.board.locator("[data-view=Curves] .xtick").all_text_contents() if t]

    def losses(self) -> list:
        """What the link says."""
        asked = self.page.evaluate("new URLSearchParams(location.search).getAll('losses')")
        return [losses.read(text) for text in asked]

    def focused(self) -> str:
        return self.page.evaluate(
            "() => { let e = document.activeElement; while (e.shadowRoot) e = e.shadowRoot.activeElement;"
            " return [e.closest('[data-group]')?.dataset.group, e.dataset.knob ?? e.dataset.act].join(' ') }"
        )


@pytest.fixture
def closed(chromium, server):
    """A desk where nothing is open yet."""
    made = Desk(newcomer(chromium, server, height=1000))
    yield made
    assert not made.strangers and not made.errors


@pytest.fixture
def desk(closed, server):
    return closed.open(f"{server.url}/angles_and_margins?{TWO}")


def test_a_knob_redraws_the_picture_and_at_rest_the_link(desk):
    before = desk.says()
    desk.knob(0, "margin").press("ArrowRight")
    until(lambda: desk.says() != before, 20, "another sentence")
    assert "CosFace 0.36 gives −0.36" in desk.says()
    assert desk.titles() == ["CosFace 0.36", "ArcFace 0.5"]
    until(lambda: desk.losses()[0] == CosFace(scale=16, margin=0.36), 20, "the link")
    assert int(desk.board.get_attribute("data-latency")) > 0
    desk.page.reload()
    until(lambda: desk.board.count() and desk.drawn() and "0.36" in desk.says(), 30, "the same picture after a reload")


def test_charts_are_whole_and_answer_the_pointer(desk):
    chart = desk.board.locator("[data-view=Curves] .chart")
    frame = chart.bounding_box()
    for part in (".legend", ".xtitle", ".ytitle"):
        box = chart.locator(part).bounding_box()
        assert box["x"] >= frame["x"] - 1 and box["x"] + box["width"] <= frame["x"] + frame["width"] + 1
        assert box["y"] >= frame["y"] - 1 and box["y"] + box["height"] <= frame["y"] + frame["height"] + 1
    area = chart.locator(".nsewdrag").bounding_box()
    x, y = area["x"] + area["width"] / 2, area["y"] + area["height"] / 2
    desk.page.mouse.move(x, y)
    desk.page.mouse.move(x + 2, y)
    until(lambda: "ArcFace 0.5" in (chart.locator(".hoverlayer").text_content() or ""), 10, "what hovering says")

    all_ticks = desk.ticks()
    desk.page.mouse.move(area["x"] + 20, area["y"] + 20)
    desk.page.mouse.down()
    desk.page.mouse.move(area["x"] + 120, area["y"] + 120, steps=5)
    desk.page.mouse.up()
    until(lambda: desk.ticks() != all_ticks, 10, "the box to be zoomed into")
    zoomed, count = desk.ticks(), desk.drawn()
    desk.knob(1, "margin").press("ArrowLeft")
    until(lambda: desk.drawn() > count, 20, "another picture")
    assert desk.ticks() == zoomed
    desk.page.mouse.dblclick(area["x"] + 60, area["y"] + 60)
    until(lambda: desk.ticks() == all_ticks, 10, "all of it again")


def test_losses_come_and_go_by_keyboard_and_focus_stays(desk):
    desk.board.get_by_role("button", name="Copy ArcFace").focus()
    desk.page.keyboard.press("Enter")
    until(lambda: len(desk.titles()) == 3, 20, "the copy")
    assert desk.focused() == "1 copy"
    desk.board.locator("[data-group='2'] summary").click()
    desk.knob(2, "gradient").select_option("detached")
    until(lambda: desk.titles()[1:] == ["ArcFace exact", "ArcFace detached"], 20, "names that say the difference")
    until(lambda: desk.losses()[2:] == [ArcFace(scale=16, gradient="detached")], 20, "the copy in the link")

    desk.board.get_by_label("Loss to add").select_option("IntraLoss")
    desk.board.get_by_role("button", name="Add", exact=True).press("Enter")
    until(lambda: len(desk.titles()) == 4, 20, "the loss that was added")
    assert desk.board.get_by_role("button", name="Add", exact=True).is_disabled()
    until(lambda: desk.losses()[3:] == [losses.starting("IntraLoss")], 20, "it in the link")
    desk.knob(3, "base").focus()
    desk.knob(3, "base").select_option("CosFace")
    until(lambda: desk.losses()[3] == losses.starting("IntraLoss", "CosFace"), 20, "the other base")
    until(lambda: desk.knob(3, "base_margin").count() and not desk.knob(3, "base_beyond").count(), 20, "its knobs")
    assert desk.focused() == "3 base"

    desk.board.get_by_role("button", name="The paper's values for CosFace").press("Enter")
    until(lambda: desk.losses()[0] == CosFace(scale=64, margin=0.35), 20, "the paper's values")
    for left in (3, 2, 1):
        desk.board.get_by_role("button", name=re.compile("^Remove ")).first.press("Enter")
        until(lambda left=left: len(desk.titles()) == left == len(desk.losses()), 20, "one loss less")
    assert desk.board.get_by_role("button", name=re.compile("^Remove ")).is_disabled()
    assert desk.focused().startswith("0 ")


def test_parts_show_their_own_pictures_and_knobs(desk):
    assert desk.board.locator(".panel:visible").count() == 2 and not desk.knob("picture", "between").count()
    desk.board.get_by_role("button", name="regions").click()
    until(lambda: "exceeds" in desk.says("Regions"), 20, "the regions")
    assert desk.knob("picture", "between").count() and not desk.knob("picture", "scaled").count()
    until(lambda: "show=regions" in desk.page.evaluate("location.search"), 20, "the part in the link")
    desk.board.get_by_role("button", name="ladder").click()
    until(lambda: "moved to the left" in desk.says("Ladder"), 20, "the ladder")
    assert not desk.titles() and desk.knob("picture", "rung").count()
    desk.knob("picture", "rung").press("ArrowRight")
    until(lambda: "One formula" in desk.says("Ladder"), 20, "the next rung")


def test_a_preset_is_taken_over_and_left_again(desk):
    desk.page.get_by_text("The slope that most code takes").click()
    until(lambda: desk.titles() == ["ArcFace exact", "ArcFace detached"], 20, "the preset's losses")
    until(lambda: "0.55 and 0.02; ArcFace detached 0.09 and 0.50" in desk.says("Slopes"), 20, "what it claims")
    desk.knob(0, "margin").press("ArrowLeft")
    until(lambda: desk.losses()[0] == ArcFace(scale=16, margin=0.49), 20, "the link")
    assert desk.titles()[1] != desk.titles()[0]


def taken(desk, view: str, kind: str, folder) -> bytes:
    path = saved(desk.page, desk.board.locator(f"[data-view={view}]"), kind, folder)
    assert path.name.startswith("losslab-")
    return path.read_bytes()


@pytest.mark.parametrize(("view", "part"), [("Curves", "curves"), ("Regions", "regions")])
def test_every_picture_can_be_saved(closed, server, chromium, tmp_path, view, part):
    desk = closed.open(f"{server.url}/angles_and_margins?{TWO}&show={part}")
    assert taken(desk, view, "png", tmp_path).startswith(b"\x89PNG")
    svg = taken(desk, view, "svg", tmp_path).decode()
    assert svg.startswith("<svg") and "<image" not in svg and svg.count("<path") > 5 and "<text" in svg
    table = list(csv.DictReader(taken(desk, view, "csv", tmp_path).decode().splitlines()))
    if view == "Curves":
        drawn = Curves(losses=(CosFace(scale=16, margin=0.35), ArcFace(scale=16, margin=0.5))).scene()
        assert len(table) == sum(len(mark.at) for mark in drawn.marks)
    assert {"role", "name"} < set(table[0])
    taken(desk, view, "html", tmp_path)

    context = chromium.new_context(offline=True)
    page, asked = context.new_page(), []
    page.on("request", lambda r: asked.append(r.url))
    page.goto(f"file://{next(tmp_path.glob('*.html'))}")
    page.wait_for_selector(".plotly .xtitle")
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    context.close()


@pytest.mark.parametrize(
    "link",
    [
        "decision_boundaries?losses=ArcFace(margin=0.3,scale=16)",
        "gradient_fields?",
        "decision_boundaries?run=arcface-circle",
    ],
)
def test_the_page_of_a_ball_turns_without_a_server(closed, server, chromium, tmp_path, link):
    desk = closed.open(f"{server.url}/{link}")
    panel = desk.board.locator(".is-ball")
    title, says = panel.locator("h3").inner_text(), panel.locator(".says").inner_text()
    with alone(chromium, saved(desk.page, panel, "html", tmp_path)) as page:
        ball = page.page.locator(".ball")
        until(lambda: ball.get_attribute("data-classes"), 20, "the picture")
        assert page.page.locator("h3").inner_text() == title == page.page.title()
        assert page.page.locator(".says").inner_text() == says and page.page.locator("code").count()
        assert turns(page.page, ball.locator("canvas"))
        if "circle" not in link:
            picture = ball.locator("canvas").evaluate("each => each.toDataURL()")
            ball.focus()
            page.page.keyboard.press("ArrowLeft")
            page.page.keyboard.press("+")
            until(
                lambda: ball.locator("canvas").evaluate("each => each.toDataURL()") != picture, 10, "it to turn by keys"
            )


def test_two_tabs_do_not_disturb_each_other(desk, server):
    other = Desk(desk.page.context.new_page()).open(f"{server.url}/angles_and_margins?{TWO}")
    other.knob(0, "margin").press("Home")
    until(lambda: "CosFace 0 gives 0.00" in other.says(), 20, "the other tab's picture")
    desk.knob(1, "margin").press("ArrowRight")
    until(lambda: "ArcFace 0.51" in desk.says(), 20, "this tab's picture")
    assert "CosFace 0.35" in desk.says() and "ArcFace 0.5 " in other.says()
    assert not other.errors


def test_a_refused_question_keeps_the_picture(desk):
    before = desk.says()

    def refuse(route):
        route.fulfill(status=400, content_type="application/json", body=json.dumps({"error": "That cannot be drawn."}))

    desk.page.route("**/losslab/sights", refuse)
    desk.knob(0, "margin").press("ArrowRight")
    until(lambda: desk.state() == "refused", 20, "the refusal")
    assert desk.board.get_by_role("alert").inner_text() == "That cannot be drawn." and desk.says() == before
    desk.page.unroute("**/losslab/sights")
    desk.knob(0, "margin").press("ArrowRight")
    until(lambda: desk.state() == "shown", 20, "the next picture")
    assert not desk.board.get_by_role("alert").is_visible()


def test_a_file_that_cannot_be_made_is_a_sentence(desk):
    desk.page.route("**/losslab/sights/csv", lambda route: route.fulfill(status=502, body="<html>Bad Gateway</html>"))
    panel = desk.board.locator("[data-view=Curves]")
    panel.locator(".save summary").click()
    panel.get_by_role("button", name="Numbers (CSV)").click()
    until(desk.board.get_by_role("alert").is_visible, 20, "a word about it")
    assert desk.board.get_by_role("alert").inner_text() == "The server does not answer; save again when it is back."


def test_who_closes_the_menu_of_files_is_where_it_was_opened(desk):
    menu = desk.board.locator("[data-view=Curves] .save")
    menu.locator("summary").press("Enter")
    until(menu.get_by_role("button").first.is_visible, 10, "the kinds of files")
    desk.page.keyboard.press("Tab")
    desk.page.keyboard.press("Escape")
    until(lambda: not menu.get_by_role("button").first.is_visible(), 10, "the menu to close")
    assert menu.locator("summary").evaluate("summary => summary.getRootNode().activeElement === summary")


def test_a_server_that_was_away_draws_again_by_itself(chromium, server):
    desk = Desk(newcomer(chromium, server, height=1000)).open(f"{server.url}/angles_and_margins?{TWO}")
    server.kill(signal.SIGKILL)
    try:
        desk.knob(0, "margin").press("ArrowRight")
        until(lambda: desk.state() == "lost", 20, "the board to notice")
        assert "server does not answer" in desk.board.get_by_role("alert").inner_text()
        assert "CosFace 0.35" in desk.says()
    finally:
        server.start()  # on the same port, and the other tests want it too
    until(lambda: "CosFace 0.36" in desk.says(), 40, "the picture that was asked for")
    assert not desk.board.get_by_role("alert").is_visible()
    desk.page.close()


@pytest.mark.parametrize("width", [1300, 700, 390])
def test_nothing_is_wider_than_the_window(chromium, server, width):
    desk = Desk(newcomer(chromium, server, width)).open(f"{server.url}/angles_and_margins")
    main = desk.page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    desk.page.close()
