"""The page Margin samples as a visitor meets it: images by gap, a pad to draw on, zones of every loss."""

import csv
import dataclasses
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from test_browser import CHROMIUM, LONG, Server, Tab, alone, newcomer, turns, until
from test_browser import saved as saved_from

from losslab import losses
from losslab.training import Recipe, Run, RunWriter, probe, train

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
ARC = Recipe(loss=losses.make("ArcFace", scale=16.0, margin=0.3), per_class=400, epochs=6, batch=64)
RUNS = {
    "arc": ARC,
    "circle": dataclasses.replace(ARC, dim=2, epochs=3),
    "noisy": dataclasses.replace(ARC, noise=0.2, per_class=100, epochs=1),
    "interface": Recipe(loss=losses.starting("InterFace"), per_class=200, epochs=4, batch=64),
    "interface-circle": Recipe(loss=losses.starting("InterFace"), dim=2, per_class=100, epochs=2),
}


def arc(x, y, wide, high, start, end):
    angles = [math.radians(start + (end - start) * i / 12) for i in range(13)]
    return [(x + wide * math.cos(a), y + high * math.sin(a)) for a in angles]


DIGITS = {  # strokes on a pad of side 1
    "0": [arc(0.5, 0.5, 0.22, 0.34, -90, 270)],
    "1": [[(0.5, 0.15), (0.5, 0.85)]],
    "2": [[*arc(0.5, 0.33, 0.2, 0.17, -170, 40), (0.28, 0.8), (0.75, 0.8)]],
    "3": [arc(0.47, 0.33, 0.2, 0.17, -150, 90) + arc(0.47, 0.67, 0.22, 0.17, -90, 150)],
    "4": [[(0.35, 0.15), (0.28, 0.52), (0.72, 0.52)], [(0.66, 0.15), (0.62, 0.88)]],
    "7": [[(0.25, 0.2), (0.75, 0.2), (0.42, 0.85)]],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for id, recipe in RUNS.items():
        with RunWriter(folder / id, recipe, probe(recipe)) as writer:
            for snapshot in train(recipe):
                writer.append(snapshot)
            writer.state("done")
    made = Server(folder)
    yield made
    made.kill()


class Samples(Tab):
    """The page Margin samples, and what stands on it."""

    def show(self, server, link: str) -> "Samples":
        self.server = server
        self.open(f"{server.url}/margin_samples?{link}")
        until(lambda: self.page.locator(".shot").count(), 30, "images")
        return self

    def at(self, css: str):
        return self.page.locator(f"[data-testid=stage] {css}")

    def counts(self) -> list[int]:
        """How many there are of each group; −1 before it is known."""
        return [int(self.at(".gallery").get_attribute(f"data-{name}") or -1) for name in ("wrong", "inside", "beyond")]

    def shots(self, group: int) -> list[int]:
        found = self.at(".samples").nth(group).locator(".shot:visible")
        return [int(each.get_attribute("data-sample")) for each in found.all()]

    def search(self) -> str:
        return self.page.evaluate("location.search")

    def draw(self, digit: str) -> None:
        self.page.get_by_role("button", name="Clear").click()
        box = self.at(".paper").bounding_box()
        for stroke in DIGITS[digit]:
            places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
            self.page.mouse.move(*places[0])
            self.page.mouse.down()
            for place in places[1:]:
                self.page.mouse.move(*place)
            self.page.mouse.up()

    def drawn(self, what: str) -> str:
        return self.at(".pad").get_attribute(f"data-{what}") or ""


@pytest.fixture
def tab(chromium, server):
    # Without motion the page stands at the last snapshot at once.
    made = Samples(newcomer(chromium, server, 1400, 950, reduced_motion="reduce"))
    yield made
    assert not made.strangers, "the app asked for something beyond this machine"
    # Streamlit looks for itself beside the page first, and does not find itself there.
    assert not [each for each in made.errors if "404" not in each]
    made.page.close()


def members(run: Run, index: int = -1, keep=slice(None)) -> list[np.ndarray]:
    """Samples that are wrong, inside the margin and beyond it, each by gap."""
    snapshot = run[len(run) + index if index < 0 else index]
    some = np.zeros(len(snapshot.gap), bool)
    some[keep] = True
    groups = [~snapshot.correct, snapshot.correct & (snapshot.gap <= 0), snapshot.correct & (snapshot.gap > 0)]
    return [np.flatnonzero(group & some) for group in groups]


def sizes(groups: list[np.ndarray]) -> list[int]:
    return [len(group) for group in groups]


def test_the_gallery_shows_the_numbers_of_the_snapshot(tab, server):
    run = Run(server.runs / "arc")
    tab.show(server, "run=arc")
    want = members(run)
    until(lambda: tab.counts() == sizes(want), 20, "the counts of the last snapshot")
    gap = np.rint(run[len(run) - 1].gap * 8192)
    for group, each in enumerate(want):
        shown = tab.shots(group)
        assert len(shown) == min(60, len(each))
        assert shown == sorted(each, key=lambda i: (gap[i], i))[: len(shown)]
    assert tab.at(".more").last.inner_text() == f"and {len(want[2]) - 60} more"

    tab.at(".timeline input").press("Home")
    until(lambda: tab.counts() == sizes(members(run, 0)), 20, "the counts of the first snapshot")
    tab.at(".timeline input").press("End")

    tab.page.get_by_role("button", name="test", exact=True).click()
    held_out = run.probe.split == 1
    until(lambda: tab.counts() == sizes(members(run, keep=held_out)), 20, "the counts of the test samples")
    tab.at(".legend .chip").nth(3).click()  # class 3 is left out
    until(lambda: tab.counts() == sizes(members(run, keep=held_out & (run.probe.labels != 3))), 20, "the other classes")
    tab.at(".gallery-head .chip").first.click()
    until(lambda: not tab.at(".samples").first.is_visible(), 10, "the wrong ones to be left out")
    until(lambda: "split=test" in tab.search() and "groups=inside" in tab.search(), 20, "the link to follow")


def test_what_is_said_under_an_image_is_what_the_network_says(tab, server):
    run = Run(server.runs / "arc")
    tab.show(server, "run=arc")
    until(lambda: tab.counts() == sizes(members(run)), 20, "the last snapshot")
    snapshot, labels = run[len(run) - 1], run.probe.labels
    cosine = snapshot.embedding @ (snapshot.prototypes / np.linalg.norm(snapshot.prototypes, axis=1)[:, None]).T
    taken = cosine.argmax(1)
    for shot in tab.at(".samples").first.locator(".shot:visible").all()[:10]:
        i = int(shot.get_attribute("data-sample"))
        assert shot.inner_text().endswith(f"{labels[i]} as {taken[i]}")


def test_a_click_pins_on_both_sides(tab, server):
    tab.show(server, "run=arc")
    until(lambda: tab.counts() == sizes(members(Run(server.runs / "arc"))), 20, "the last snapshot's images")
    shot = tab.at(".samples").nth(1).locator(".shot").nth(2)
    sample = shot.get_attribute("data-sample")
    shot.click()
    until(lambda: tab.stage("pin") == sample, 10, "the pin on the stage")
    assert shot.get_attribute("aria-selected") == "true" and tab.at(".card").is_visible()
    assert f"Sample {sample}" in tab.at(".history").inner_text()
    until(lambda: f"sample={sample}" in tab.search(), 20, "the link to follow")

    box = tab.at("canvas.view").bounding_box()
    for i in range(400):  # the other way round: pin what lies under the pointer
        x, y = box["x"] + box["width"] * (0.2 + 0.03 * (i % 20)), box["y"] + box["height"] * (0.2 + 0.03 * (i // 20))
        tab.page.mouse.click(x, y)
        tab.page.wait_for_timeout(30)
        if tab.stage("pin") not in ("", sample):
            break
    found = until(lambda: tab.stage("pin"), 10, "another pin")
    chosen = tab.at(f'.shot[data-sample="{found}"]')
    until(lambda: chosen.get_attribute("aria-selected") == "true", 10, "its image to be marked")
    outer, inner = tab.at(".gallery-list").bounding_box(), chosen.bounding_box()
    assert outer["y"] <= inner["y"] and inner["y"] + inner["height"] <= outer["y"] + outer["height"]


def test_the_gallery_can_be_walked_with_the_keys(tab, server):
    tab.show(server, "run=arc")
    until(lambda: tab.counts() == sizes(members(Run(server.runs / "arc"))), 20, "the last snapshot's images")
    first = tab.shots(0)
    tab.at(".shot").first.focus()
    tab.page.keyboard.press("ArrowRight")
    tab.page.keyboard.press("Enter")
    until(lambda: tab.stage("pin") == str(first[1]), 10, "the second image to be pinned")
    tab.page.keyboard.press("ArrowDown")
    tab.page.keyboard.press("Enter")
    below = until(lambda: tab.stage("pin") != str(first[1]) and tab.stage("pin"), 10, "the one below")
    boxes = [tab.at(f'.shot[data-sample="{i}"]').bounding_box() for i in (first[1], below)]
    assert abs(boxes[0]["x"] - boxes[1]["x"]) < 5 and boxes[0]["y"] < boxes[1]["y"]
    tab.page.keyboard.press("Escape")
    until(lambda: tab.stage("pin") == "", 10, "no pin")


def test_a_pinned_sample_tells_since_when_it_clears_the_margin(tab, server):
    run = Run(server.runs / "arc")
    clear = np.array([(each.gap > 0) & each.correct for each in run])
    late = next(i for i in range(len(clear[0])) if clear[-1, i] and not clear[len(run) // 2, i])
    since = len(run) - np.argmin(clear[::-1, late])
    tab.show(server, f"run=arc&sample={late}")
    until(lambda: tab.stage("pin") == str(late), 20, "the sample of the link")
    said = f"cleared the margin at step {run[int(since)].step}"
    until(lambda: said in tab.at(".history").inner_text(), 20, "its way to be told")


def test_the_link_restores_what_is_looked_at(tab, server):
    run = Run(server.runs / "arc")
    tab.show(server, f"run=arc&sample=7&split=train&step={run[20].step}&groups=wrong,inside%20the%20margin")
    until(lambda: tab.number("step") == run[20].step and tab.stage("pin") == "7", 20, "step and sample")
    until(lambda: tab.counts() == sizes(members(run, 20, run.probe.split == 0)), 10, "its counts")
    assert [each.is_visible() for each in tab.at(".samples").all()] == [True, True, False]
    tab.page.wait_for_timeout(1500)
    assert "sample=7" in tab.search()


def test_mislabelled_images_are_marked_and_can_be_singled_out(tab, server):
    run = Run(server.runs / "noisy")
    bad = run.probe.truth != run.probe.labels
    tab.show(server, "run=noisy")
    until(lambda: tab.counts() == sizes(members(run)), 20, "the counts")
    flagged = [int(each.get_attribute("data-sample")) for each in tab.at(".shot:has(.flag:visible)").all()]
    assert flagged and bad[flagged].all()
    tab.page.get_by_role("button", name="mislabelled only").click()
    until(lambda: tab.counts() == sizes(members(run, keep=bad)), 10, "the mislabelled ones")
    until(lambda: "mislabelled=1" in tab.search(), 20, "the link to follow")
    tab.show(server, "run=arc")
    assert not tab.page.get_by_role("button", name="mislabelled only").is_visible()


def test_the_gallery_can_be_taken_home(tab, server, tmp_path):
    run = Run(server.runs / "arc")
    tab.show(server, "run=arc")
    want = members(run)
    until(lambda: tab.counts() == sizes(want), 20, "the counts")

    def saved(kind: str):
        return saved_from(tab.page, tab.at(".gallery-foot"), kind, tmp_path)

    rows = list(csv.DictReader(saved("csv").open(encoding="utf-8")))
    assert len(rows) == len(run.probe.labels)
    snapshot = run[len(run) - 1]
    for row in rows:
        i = int(row["sample"])
        assert row["label"] == row["truth"] == str(run.probe.labels[i])
        assert row["split"] == ("train", "test")[run.probe.split[i]]
        assert abs(float(row["gap"]) - snapshot.gap[i]) < 1e-3
        assert abs(float(row["loss"]) - snapshot.loss[i]) < 1e-2
    assert [row["group"] for row in rows].count("wrong") == len(want[0])
    assert saved("png").read_bytes().startswith(b"\x89PNG")
    page = saved("html").read_text(encoding="utf-8")
    assert page.count("<figure") == len(rows) and "<script" not in page and "http" not in page
    sheet = ElementTree.parse(saved("svg"))
    shown = [min(60, len(group)) for group in want]
    faces = sheet.findall(".//{http://www.w3.org/2000/svg}image")
    assert len(faces) == sum(shown) and all(face.get("href").startswith("data:image/png") for face in faces)
    words = [each.text for each in sheet.findall(".//{http://www.w3.org/2000/svg}text")]
    assert f"wrong: {len(want[0])}" in words and len(words) == 1 + sum(map(bool, shown)) + 2 * sum(shown)


@pytest.mark.parametrize("run", ["arc", "interface"])
def test_a_saved_page_shows_the_run_with_its_gallery_and_its_zones(tab, server, chromium, tmp_path, run):
    shown = Run(server.runs / run)
    tab.show(server, f"run={run}")
    until(lambda: tab.counts() == sizes(members(shown)), 20, "the counts")
    tab.at(".timeline input").press("Home")
    until(lambda: tab.counts() == sizes(members(shown, 0)), 20, "the counts of the first snapshot")
    with alone(chromium, saved_from(tab.page, tab.at(".toolbar"), "html", tmp_path)) as page:
        page = Samples(page.page)
        until(lambda: page.at(".gallery").count() and page.counts() == sizes(members(shown, 0)), 20, "the same gallery")
        assert not page.at(".pad").is_visible()
        page.at(".timeline input").press("End")
        until(lambda: page.counts() == sizes(members(shown)), 20, "the last snapshot")
        until(lambda: page.number("zones") > 0, 20, "the zones")
        assert turns(page.page, page.at("canvas.view"))
        page.at(".shot:visible").first.click()
        until(lambda: page.at(".card").is_visible(), 10, "the card of an image")


@pytest.mark.parametrize("run", ["arc", "circle"])
def test_a_drawn_digit_is_put_with_its_class(tab, server, run):
    tab.show(server, f"run={run}")
    right = 0
    for digit in DIGITS:
        tab.draw(digit)
        until(lambda: tab.drawn("step"), 10, "an answer")
        tab.page.wait_for_timeout(300)  # the last stroke is asked for too
        right += tab.drawn("class") == digit
        assert tab.at(".nearest li").count() == 4
    assert right >= (5 if run == "arc" else 3)
    tab.page.get_by_role("button", name="Clear").click()
    until(lambda: not tab.drawn("step"), 10, "an empty pad")


def test_a_recording_has_no_weights_to_draw_into(tab, server):
    tab.show(server, "run=arcface-sphere")
    assert "A recording keeps no weights" in tab.at(".pad").inner_text()


def test_a_drawn_digit_moves_while_the_run_goes_on(tab, server):
    tab.open(f"{server.url}/?seed=21{LONG}")
    id = tab.train()
    try:
        other = Samples(tab.page.context.new_page()).show(server, f"run={id}")
        other.draw("3")
        first = until(lambda: other.drawn("step"), 20, "an answer")
        until(lambda: int(other.drawn("step") or 0) > int(first), 30, "newer weights to be asked")
        assert "weights of step" in other.at(".pad .note").inner_text()
    finally:
        tab.button("Stop").click()
        until(lambda: tab.stage("state") == "stopped", 20, "the stop")


def test_a_preset_trains_and_the_gallery_follows(tab, server):
    tab.show(server, "run=arc")
    tab.page.get_by_test_id("stMain").get_by_text("A margin that nobody can clear", exact=True).click()
    id = until(lambda: tab.run() != "arc" and tab.run(), 20, "another run")
    until(lambda: tab.stage("run") == id and tab.number("snapshots") > 2, 60, "its first snapshots")
    run = Run(server.runs / id)
    until(lambda: tab.stage("state") == "done", 120, "the end of the run")
    run.refresh()
    until(lambda: tab.number("step") == run.total_steps, 20, "the last snapshot")
    until(lambda: tab.counts() == sizes(members(run)), 10, "its counts")
    assert "69°" in tab.page.inner_text("[data-testid=stMain]")


@pytest.mark.parametrize("run", ["interface", "interface-circle"])
def test_zones_that_no_curve_can_tell_are_drawn(tab, server, run):
    tab.show(server, f"run={run}")
    zones = tab.page.get_by_role("button", name="Margin zones")
    until(lambda: tab.stage("zones"), 20, "zones")
    assert tab.number("zones") > 0 and zones.is_enabled()
    assert "not drawn" not in tab.at(".finding").inner_text()
    for pressed in ("false", "true"):
        zones.click()
        until(lambda want=pressed: zones.get_attribute("aria-pressed") == want, 10, "the switch")


AGREE = """async ([run, index, dim]) => {
    const at = (name) => import(`/losslab/stage/${name}.js`);
    const [{ decode, decodeGaps, split }, { Zones }] = await Promise.all([at("frame"), at("zones")]);
    const get = async (path) => (await fetch(`/losslab/runs/${run}/${path}`)).arrayBuffer();
    const [frame] = [...split(await get(`frames?start=${index}&count=1`))].map(decode);
    const base = { prototype: frame.prototype, length: frame.length, each: 1, weighs: false, dim, rough: false };
    const none = { positive: new Float32Array(0), negative: new Float32Array(0) };
    const curves = new Zones().update({ ...base, curves: frame, given: null });
    const given = new Zones().update({ ...base, curves: none, given: decodeGaps(await get(`gaps/${index}`)) });
    if (dim === 2) return [curves.arcs, given.arcs].map((arcs) => arcs.flatMap(({ k, from, to }) => [k, from, to]));
    const places = Array.from({ length: 4000 }, (_, i) => {
        const z = 1 - (2 * i + 1) / 4000, r = Math.sqrt(1 - z * z), a = i * 2.39996;
        return [r * Math.cos(a), r * Math.sin(a), z];
    });
    return [curves, given].map((zones) => places.map((place) => zones.at(...place)));
}"""


@pytest.mark.parametrize(("run", "dim"), [("arc", 3), ("circle", 2)])
def test_the_zones_of_the_head_are_those_of_the_curves_where_there_are_both(tab, server, run, dim):
    last = len(Run(server.runs / run)) - 1
    tab.show(server, f"run={run}")
    curves, given = (np.array(each) for each in tab.page.evaluate(AGREE, [run, last, dim]))
    assert curves.shape == given.shape and curves.any()
    if dim == 2:
        assert np.abs(curves - given).max() < 0.01
    else:
        assert (curves == given).mean() > 0.995


@pytest.mark.parametrize("width", [1400, 700, 390])
def test_nothing_is_wider_than_the_window(chromium, server, width):
    tab = Samples(newcomer(chromium, server, width, reduced_motion="reduce")).show(server, "run=noisy&sample=3")
    main = tab.page.get_by_test_id("stMain")
    assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    tab.page.close()


def test_from_the_gallery_a_run_can_be_taken_to_the_playground(tab, server):
    tab.show(server, "run=circle")
    tab.button("Train this on the Playground").click()
    until(lambda: tab.page.get_by_role("heading", name=re.compile("See what a loss does")).is_visible(), 30, "the page")
    assert tab.run() == "circle"
    until(lambda: tab.page.get_by_role("radio", name="2", exact=True).is_checked(), 20, "its recipe in the sidebar")
