"""The page of faces as a visitor meets it: trained by a press from each format, measured, reloaded, linked to."""

import dataclasses
import shutil
from contextlib import suppress

import numpy as np
import pytest
import torch
from face_cases import REAL, RECIPE, in_each_format, real
from playwright.sync_api import TimeoutError, expect
from test_browser import CHROMIUM, Server, Tab, newcomer, point_at, until

from losslab.data import faces as on_disk
from losslab.data.faces.decode import fitted
from losslab.metrics import strangers
from losslab.training import Run, build, restore
from losslab.verification import all_pairs, embed, equal_error_rate, ten_fold_accuracy

pytestmark = [pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed"), real]
LINK = "size=32&grey=true&identities=24&held_out=12&dim=16&epochs=8"
PARTS = ("Angles", "People", "Hardest pairs", "Verification")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The app, with the same faces in each of the three formats and pairs of them."""
    data = tmp_path_factory.mktemp("data")
    in_each_format(data)
    shutil.copy(REAL / "casia_format" / "orl.bin", data / "orl.bin")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSLAB_DATA", str(data))
        made = Server(tmp_path_factory.mktemp("runs"))
        yield made
    made.kill()


class Faces(Tab):
    def show(self, server, link: str) -> "Faces":
        self.page.goto(f"{server.url}/faces?{link}")
        self.button("Train").wait_for()
        return self

    def trained(self, server, source: str) -> Run:
        """The run of a source, trained by a press to its end. Nobody looks at it meanwhile, so nothing need move."""
        self.page.emulate_media(reduced_motion="reduce")
        self.show(server, f"source={source}&{LINK}")
        self.train()
        until(lambda: self.stage("state") == "done", 90, "the end of the run")
        return Run(server.runs / self.run())

    def part(self, name: str) -> None:
        self.page.get_by_role("radio", name=name).click()

    def metric(self, label: str) -> str:
        found = self.page.get_by_test_id("stMetric").filter(has_text=label)
        return found.get_by_test_id("stMetricValue").inner_text()

    def search(self) -> str:
        return self.page.evaluate("location.search")


@pytest.fixture
def tab(chromium, server):
    made = Faces(newcomer(chromium, server, 1400, 950))
    yield made
    assert not made.strangers, "the app asked for something beyond this machine"
    assert not [each for each in made.errors if "404" not in each]  # Streamlit looks for itself beside the page first
    made.page.close()


@pytest.fixture(scope="module")
def run(chromium, server):
    """One run that the page has trained."""
    tab = Faces(newcomer(chromium, server))
    found = tab.trained(server, "folders")
    tab.page.close()
    return found


def eer(model, flip: bool = True) -> float:
    found = strangers(RECIPE)
    pairs = all_pairs(embed(model, found.images, flip=flip), found.labels.numpy())
    return equal_error_rate(pairs.genuine, pairs.impostor)


def test_faces_move_while_they_are_learned_and_a_dot_shows_its_face(tab, server):
    tab.show(server, f"source=folders&seed=3&{LINK.replace('epochs=8', 'epochs=40')}")
    tab.train()
    first = tab.number("step")
    until(lambda: tab.number("step") > first and tab.number("points") > 200, 30, "points to move")
    tab.button("Stop").click()
    until(lambda: tab.stage("state") in ("stopped", "done"), 30, "the end")
    canvas, card = tab.page.locator("[data-testid=stage] canvas.view"), tab.page.locator("[data-testid=stage] .card")
    canvas.scroll_into_view_if_needed()
    box, face = canvas.bounding_box(), card.locator("canvas.picture")
    inks = "each => new Set(each.getContext('2d').getImageData(0, 0, each.width, each.height).data).size"
    places = [(0.05 + 0.018 * (i % 30), 0.1 + 0.04 * (i // 30)) for i in range(600)]

    def shows_a_face(x: float, y: float) -> bool:
        point_at(tab.page, box["x"] + box["width"] * x, box["y"] + box["height"] * y)
        return face.is_visible() and "sample" in card.inner_text() and face.evaluate(inks) > 20

    assert any(shows_a_face(*place) for place in places), "no dot showed its face"


@pytest.mark.parametrize("kind", ["recordio", "folders", "shards"])
def test_each_format_gives_the_same_error_rate_and_it_is_below_that_of_no_training(tab, server, run, kind):
    model = restore(run)[0]
    mine = run if kind == "folders" else tab.trained(server, kind)
    if kind == "folders":
        tab.show(server, f"run={run.path.name}")
    tab.part("Verification")
    expect(tab.page.get_by_test_id("stMetric").first).to_be_visible()
    assert tab.metric("Equal error rate") == f"{100 * eer(model):.1f} %"
    assert eer(model) < eer(build.build(RECIPE, (1, 32, 32))[0].eval()) - 0.02
    assert mine.recipe == dataclasses.replace(RECIPE, faces=dataclasses.replace(RECIPE.faces, source=kind))


def test_the_four_parts_show_numbers(tab, server, run):
    tab.show(server, f"run={run.path.name}")
    for part in PARTS:
        tab.part(part)
        main = tab.page.get_by_test_id("stMain")
        match part:
            case "Angles":
                expect(main.locator(".panel, .cell").first).to_be_visible()
            case "People":
                expect(main.get_by_test_id("stDataFrame")).to_be_visible()
            case "Hardest pairs":
                expect(main.get_by_test_id("stImage")).to_have_count(12)
                said = main.get_by_test_id("stImageCaption").all_inner_texts()
                assert all(each.endswith("°") for each in said)
            case "Verification":
                expect(main.get_by_test_id("stPlotlyChart")).to_have_count(2)
                expect(main.get_by_test_id("stMetric")).to_have_count(5)
        until(
            lambda part=part: f"exact={part.split()[0]}" in tab.search() or part == "Angles", 10, "the link to follow"
        )


def test_a_verification_set_gives_its_ten_fold_accuracy(tab, server, run):
    given = on_disk.read_pairs(REAL / "casia_format" / "orl.bin")
    images = np.stack([fitted(given.image(i), 32, 0.0, True) for i in range(2 * len(given))])
    folds = ten_fold_accuracy(embed(restore(run)[0], torch.from_numpy(images)), given.same)
    tab.show(server, f"run={run.path.name}&exact=Verification")
    box, option = tab.page.get_by_role("combobox", name="Verify on"), tab.page.get_by_role("option", name="orl")

    def chosen() -> bool:  # a picture that arrives above may move the menu away from the pointer, or out of the window
        box.click()
        with suppress(TimeoutError):
            option.click(timeout=2000)
            return True
        tab.page.keyboard.press("Escape")
        return False

    until(chosen, 30, "the set to be chosen")
    expect(tab.page.get_by_test_id("stMetric").filter(has_text="Ten-fold accuracy")).to_be_visible()
    assert tab.metric("Ten-fold accuracy") == f"{100 * folds.mean:.2f} %"
    assert "verify_on=orl" in tab.search()


def test_a_reload_keeps_the_run_and_the_link_its_choices(tab, server, run):
    tab.show(server, f"source=recordio&run={run.path.name}&{LINK}&exact=People")
    until(lambda: tab.stage("run") == run.path.name and tab.number("snapshots") == len(run), 30, "the run")
    tab.page.reload()
    until(lambda: tab.stage("run") == run.path.name and tab.number("snapshots") == len(run), 30, "the run again")
    side = tab.page.get_by_test_id("stSidebar")
    assert side.get_by_role("spinbutton", name="People held out").input_value() == "12"
    assert side.get_by_role("radio", name="16", exact=True).is_checked()
    expect(side.get_by_role("combobox", name="Source")).to_have_value("recordio")
    assert tab.page.get_by_role("radio", name="People").is_checked()
    assert not tab.page.get_by_test_id("stAlert").count()


@pytest.mark.parametrize("width", [1400, 420])
def test_nothing_is_wider_than_the_window(chromium, server, run, width):
    tab = Faces(newcomer(chromium, server, width))
    tab.show(server, f"run={run.path.name}")
    until(lambda: tab.number("points") > 0, 30, "points")
    main = tab.page.get_by_test_id("stMain")
    for part in PARTS:
        tab.part(part)
        until(
            lambda part=part: f"exact={part.split()[0]}" in tab.search() or part == "Angles", 20, "the link to follow"
        )
        tab.page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
        assert main.evaluate("main => main.scrollWidth - main.clientWidth") <= 0
    tab.page.close()
