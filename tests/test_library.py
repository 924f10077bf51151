"""The pages of the losses: written from the losses and nothing else, true, and shown in the app."""

import math
import re
import xml.etree.ElementTree as ET
from urllib.parse import urlsplit

import pytest
from page_cases import untrained
from streamlit.testing.v1 import AppTest
from test_browser import CHROMIUM, FLAGS, Server

from losslab import library, losses
from losslab.losses import SMALL_SOURCE, catalogue
from pages.parts import server
from scripts import write_docs

KINDS = list(catalogue().values())
every = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


# What is written


def test_the_docs_are_what_the_losses_say_now():
    made = write_docs.files()
    there = {path.name for path in write_docs.FOLDER.iterdir()}
    assert there == set(made), "run python -m scripts.write_docs"
    old = [name for name, text in made.items() if (write_docs.FOLDER / name).read_text(encoding="utf-8") != text]
    assert not old, "run python -m scripts.write_docs"


def test_links_within_the_docs_lead_somewhere():
    for path in [*write_docs.FOLDER.glob("*.md"), write_docs.FOLDER.parent / "write_your_own.md"]:
        prose = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        for link in re.findall(r"\]\(([^)]+)\)", prose):
            assert link.startswith("https://arxiv.org/") or (path.parent / link).is_file(), f"{path.name}: {link}"


@every
def test_the_example_of_a_page_runs(kind):
    page = library.page(kind)
    (example,) = re.findall(r"## A step with it\n\n```python\n(.*?)```", page, re.DOTALL)
    made = {}
    exec(example, made)
    assert type(made["head"].loss) is kind and made["head"].step == 1
    assert made["embedding"].grad.isfinite().all()
    assert example.count("\n") < 10 and max(map(len, example.splitlines())) <= 120


@every
def test_a_formula_is_whole(kind):
    formula = re.sub(r"\\[{}]", "", kind.card.formula)
    depth = 0
    for sign in formula:
        depth += (sign == "{") - (sign == "}")
        assert depth >= 0
    assert depth == 0 and "$" not in formula and "\n" not in formula
    assert formula.count(r"\left") == formula.count(r"\right")
    assert all(sign.isascii() for sign in formula), "TeX has names for signs"


@every
def test_a_page_has_every_knob_with_both_its_defaults_and_their_sources(kind):
    page = library.page(kind)
    paper, small = losses.starting(kind, small=False), losses.starting(kind)
    rows = {row.split("|")[1].strip(" `"): row for row in library.knob_table(kind).splitlines()[2:]}
    assert list(rows) == list(losses.knobs(paper)) and all(row in page for row in rows.values())
    for name, value in losses.settings(paper).items():
        cells = [cell.strip(" *") for cell in rows[name].split(" | ")]
        assert cells[3] == library.written(value) and cells[4] == library.written(losses.settings(small)[name])
    assert library.prose(kind.card.source) in page
    assert (SMALL_SOURCE.split(",")[0] in page) is (small != paper)
    assert ("A reconstruction" in page.split("## ")[0]) is kind.card.reconstruction


def test_a_page_says_what_it_looks_at_and_what_it_keeps():
    said = {kind.__name__: " ".join(library.nature(kind)) for kind in KINDS}
    assert "`psi` [C], `sum` [C d], `count` [C] (slow state)" in said["KappaFace"]
    assert "`bias` (learned)" in said["UniFace"] and "With `learned=True`: `scale` (learned)" in said["NormFace"]
    assert "the lengths of embeddings and of prototypes count" in said["CenterLoss"]
    assert "3 prototypes each" in said["SubCenterArcFace"] and "`PairHead`" in said["Triplet"]
    assert [name for name, text in said.items() if "**Chance.**" in text] == ["ElasticFace"]


def test_plain_text_stays_plain_in_markdown():
    assert library.prose("a*b_ [x] <b> `a*b_` θ_y") == r"a\*b\_ \[x\] \<b\> `a*b_` θ_y"


# Pictures


@every
def test_a_picture_is_drawn_within_its_frame_and_names_its_lines(kind):
    root = ET.fromstring(library.curve(kind))
    lines = root.findall("{*}polyline")
    labels = [text.text for text in root.findall("{*}text")]
    assert len(lines) == len(library.lines(kind)) >= 1 and {line.label for line in library.lines(kind)} <= set(labels)
    for line in lines:
        points = [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        assert len(points) == 181
        assert all(library.LEFT <= x <= library.RIGHT and library.TOP <= y <= library.BOTTOM for x, y in points)
    heights = sorted(float(text.get("y")) for text in root.findall("{*}text") if text.get("class"))
    assert all(b - a > library.APART - 1 for a, b in zip(heights, heights[1:], strict=False))
    assert len(library.caption(kind)) > 40


def test_curves_have_the_published_values():
    def drawn(name: str) -> dict[str, list[float]]:
        return {line.label: line.values for line in library.lines(losses.kind(name))}

    arc = drawn("ArcFace")
    assert arc["own, paper"][0] == pytest.approx(math.cos(0.5)) and arc["own, small"][60] == pytest.approx(
        math.cos(math.pi / 3 + 0.3)
    )
    assert drawn("SphereFace")["own, paper"][180] == pytest.approx(-2)
    assert drawn("QAMFace")["others"][0] == pytest.approx(4 * math.pi**2)
    assert list(drawn("NormFace")) == ["own, others"] and drawn("NormFace")["own, others"][90] == pytest.approx(0)
    mag = drawn("MagFace")
    assert list(mag) == ["‖x‖ = 10", "‖x‖ = 60", "‖x‖ = 110", "cosine"]
    assert [mag[label][0] for label in list(mag)[:3]] == pytest.approx([math.cos(m) for m in (0.45, 0.625, 0.8)])
    kappa = drawn("KappaFace")
    assert kappa["cosine"][30] > kappa["least"][30] > kappa["middle"][30] > kappa["most"][30]


# In the app


@pytest.fixture
def app(tmp_path, monkeypatch):
    with untrained(tmp_path / "runs", monkeypatch):
        at = AppTest.from_file(str(server.ROOT / "app.py"), default_timeout=30).run()
        yield at.switch_page(str(server.ROOT / "pages" / "8_library.py")).run()


def test_every_loss_has_its_page_in_the_app(app):
    for kind in KINDS:
        app.query_params["loss"] = kind.__name__
        app.run()
        assert not app.exception and not app.warning
        assert [header.value for header in app.header] == [kind.card.title]
        assert app.latex[0].value.strip("$\n") == kind.card.formula
        assert app.button_group(key="library_family").value == kind.card.family


def test_an_unknown_loss_gets_a_sentence(app):
    app.query_params["loss"] = "ArcFase*"
    app.run()
    assert not app.exception
    assert app.warning[0].value.startswith("The link asks for loss ArcFase\\*, which is not here.")
    assert app.header[0].value == "ArcFace"


def test_another_loss_is_taken_from_the_shelf_and_the_link_follows(app):
    app.button_group(key="library_family").set_value("Terms added to any loss").run()
    assert app.header[0].value == "Center loss"
    app.button_group(key="library_loss").set_value("IntraLoss").run()
    assert app.header[0].value == "IntraLoss (reconstruction)" and app.query_params["loss"] == "IntraLoss"


def test_the_playground_opens_with_the_loss_and_its_own_knobs(app):
    app.switch_page(str(server.ROOT / "pages" / "1_playground.py")).run()
    app.slider(key="margin").set_value(0.77).run()
    app.number_input(key="seed").set_value(5).run()
    app.switch_page(str(server.ROOT / "pages" / "8_library.py")).run()
    assert app.header[0].value == "ArcFace"
    app.button_group(key="library_loss").set_value("CosFace").run()
    app.button(key="take").click().run()
    assert not app.exception
    assert app.selectbox(key="loss").value == "CosFace"
    assert app.slider(key="margin").value == losses.starting("CosFace").margin
    assert app.number_input(key="seed").value == 5


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium is installed")
def test_a_link_to_the_library_opens_it_in_the_frame_of_the_app(tmp_path):
    """Also for the first visitor of a server; formula and curve are drawn, and nothing is wider than a phone."""
    from playwright.sync_api import sync_playwright

    served = Server(tmp_path / "runs")
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 420, "height": 900}, color_scheme="dark")
            page.set_default_timeout(30_000)
            page.goto(f"{served.url}/library?loss=InterFace")
            page.get_by_role("heading", name="InterFace").wait_for()
            page.get_by_text("The code").wait_for()
            page.wait_for_function("document.querySelector('.stImage img')?.naturalWidth > 0")
            page.wait_for_selector(".katex")
            assert not page.locator(".katex-error").count()
            main = "document.querySelector('.stMain')"
            assert page.evaluate(f"{main}.scrollWidth <= {main}.clientWidth")
            page.get_by_role("button", name="Try it on the Playground").click()
            page.wait_for_selector("[data-testid=stage]")
            assert urlsplit(page.url).path == "/" and "loss=InterFace" in page.url
            page.set_viewport_size({"width": 1300, "height": 900})
            names = page.get_by_test_id("stSidebarNavLink").all_inner_texts()
            assert names[0] == "Playground" and "Library" in names and names[-1] == "Full scale" and len(names) == 10
            browser.close()
    finally:
        served.kill()


def test_the_run_on_the_stage_is_there_again_after_a_look_into_the_library(app):
    playground, library = (str(server.ROOT / "pages" / name) for name in ("1_playground.py", "8_library.py"))
    app.switch_page(playground).run()
    app.query_params["run"] = "arcface-circle"
    app.run()
    app.query_params.clear()  # as Streamlit's menu does
    app.switch_page(library).run()
    app.switch_page(playground).run()
    assert app.query_params["run"] == "arcface-circle"
    app.button(key="reset").click().run()
    app.switch_page(library).run()
    app.switch_page(playground).run()
    assert "run" not in app.query_params and not app.exception
