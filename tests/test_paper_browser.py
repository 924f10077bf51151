"""Paper figures as a visitor meets them: sent there from a page, trained, turned, and taken home as files."""

import io
import zipfile

import pytest
from pypdf import PdfReader
from test_browser import CHROMIUM, Tab, newcomer, until

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
SMALL = "losses=Softmax()&recipe.classes=0,1,2&recipe.per_class=40&recipe.epochs=1&recipe.probe=60&recipe.model=mlp"


@pytest.fixture
def tab(chromium, server):
    made = Tab(newcomer(chromium, server, 1400, 1000, reduced_motion="reduce"))
    yield made
    made.page.close()
    assert not made.strangers
    assert not [each for each in made.errors if "404" not in each]  # Streamlit asks for its health below every page


def picture(page):
    """The page of the PDF, once it is drawn."""
    return page.locator(".st-key-sheet img")


def caption(page) -> str:
    return page.get_by_test_id("stCode").first.inner_text()


def taken(page, name: str) -> bytes:
    with page.expect_download() as got:
        page.get_by_test_id("stMainBlockContainer").get_by_role("button", name=name, exact=True).click()
    return open(got.value.path(), "rb").read()


def sent(tab, area):
    """The tab that opens when what is shown in `area` is sent to paper."""
    area.locator(".save summary").first.click()
    with tab.page.context.expect_page() as opened:
        area.get_by_role("button", name="Send to paper").first.click()
    picture(opened.value).wait_for()
    return opened.value


def test_what_the_stage_shows_is_printed_unchanged(tab, server):
    tab.open(f"{server.url}/?run=arcface-sphere")
    until(lambda: tab.number("points") > 0, 30, "samples")
    tab.page.get_by_role("button", name="test", exact=True).click()
    tab.page.get_by_test_id("stage").press("End")
    page = sent(tab, tab.page.get_by_test_id("stage"))
    link = page.evaluate("decodeURIComponent(location.search)")
    assert "figure=Embeddings" in link and "split=test" in link and "camera=" in link
    assert "samples clear their margin" in caption(page)
    page.close()


def test_a_board_sends_its_picture_with_its_losses(tab, server):
    tab.page.goto(f"{server.url}/angles_and_margins")
    tab.page.wait_for_selector("[data-testid=board][data-drawn]")
    page = sent(tab, tab.page.locator("section.panel[data-view=Curves]"))
    assert "figure=Curves" in page.url and "ArcFace" in caption(page)
    page.close()


def test_a_figure_is_trained_turned_and_taken_home(tab, server):
    page = tab.page
    page.goto(f"{server.url}/paper_figures?figure=ToyScatter&{SMALL}")
    tab.button("Train 1 run").click()
    picture(page).wait_for(timeout=60_000)
    assert "3 classes (0, 1, 2)" in caption(page)
    pdf = PdfReader(io.BytesIO(taken(page, "PDF"))).pages[0]
    assert float(pdf.mediabox.width) == pytest.approx(72 * 7.16, abs=0.1) and "Embedding x₁" in pdf.extract_text()
    coloured = picture(page).get_attribute("src")
    page.get_by_test_id("stMainBlockContainer").get_by_text("grey", exact=True).click()
    until(lambda: picture(page).get_attribute("src") != coloured, 20, "the page in grey")
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]")
    until(lambda: "style=grey" in page.evaluate("location.search"), 20, "the link to say grey")
    with zipfile.ZipFile(io.BytesIO(taken(page, "All, with the script that rebuilds them (zip)"))) as zipped:
        assert 'style = "grey"' in zipped.read("toyscatter.toml").decode()
        assert {"toyscatter.pgf", "toyscatter.csv", "build.sh"} <= set(zipped.namelist())
    page.reload()
    picture(page).wait_for()  # the run is there still, and so is the choice
    assert "style=grey" in page.evaluate("location.search") and not page.get_by_test_id("stException").count()


@pytest.mark.parametrize("width", [380, 1000])
def test_nothing_is_wider_than_the_window(tab, server, width):
    tab.page.set_viewport_size({"width": width, "height": 900})
    tab.page.goto(f"{server.url}/paper_figures?figure=LogitCurves")
    picture(tab.page).wait_for()
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
