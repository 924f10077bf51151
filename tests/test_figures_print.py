"""Every figure of the catalogue as a paper takes it: vector, TrueType, text that is text, the numbers of its scenes."""

import csv
import dataclasses
import io
import shutil
import subprocess
from functools import cache

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend
from test_paper import check, coloured, objects, opened

from losslab import losses
from losslab.figures import Trained, catalogue, trained
from losslab.render import paper
from losslab.render.paper.page import Page
from losslab.scene import CHART, Path, Plate, Points, Scene

SMALL = {"per_class": 30, "epochs": 1, "batch": 64, "probe": 60}
FEWER = {"Sweep": {"values": (0.0, 0.2), "seeds": 1}}
EVERY = pytest.mark.parametrize("name", catalogue())


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    """The plate of a figure as it begins, but for how much is trained."""
    folder = tmp_path_factory.mktemp("runs")
    run = cache(lambda recipe: trained.made(recipe, folder, lambda *done: None))

    @cache
    def made(name: str) -> Plate:
        kind, values = catalogue()[name], dict(FEWER.get(name, {}))
        if issubclass(kind, Trained):
            values["recipe"] = dataclasses.replace(kind.recipe, **SMALL)
        figure = kind(**values)
        return figure.plate(tuple(run(recipe) for recipe in figure.recipes()))

    return made


@pytest.fixture(scope="module")
def page(plate):
    """Its page at its own width, and that as PDF and PGF: drawn once for all that is asked of it."""

    @cache
    def made(name: str) -> tuple[Page, dict[str, bytes]]:
        return page_and_files(plate(name), ("pdf", "pgf"), catalogue()[name].width)

    return made


def page_and_files(plate: Plate, kinds: tuple[str, ...], width: str) -> tuple[Page, dict[str, bytes]]:
    pages = []

    def noted(*asked) -> Page:
        pages.append(Page(*asked))
        return pages[-1]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(paper, "Page", noted)
        files = paper.drawn_as(plate, kinds, width=width)
    (one,) = pages
    return one, files


@pytest.fixture(scope="module")
def pdf(page):
    return lambda name: page(name)[1]["pdf"]


@EVERY
def test_a_figure_is_vector_with_text_at_its_width(name, plate, pdf):
    points = 72 * paper.WIDTHS[catalogue()[name].width]
    text = "".join(check(pdf(name), points, high=9 * 72).split()).replace("m̂m̂", "m̂")
    for scene in plate(name).panels:
        for axis in (scene.x, scene.y) if scene.space == CHART else ():
            assert axis.label.replace(" ", "") in text
    for head in plate(name).heads:
        assert head.replace(" ", "") in text


@EVERY
def test_the_same_figure_is_the_same_bytes_and_grey_has_no_colour(name, plate, pdf):
    width = catalogue()[name].width
    assert paper.draw(plate(name), width=width) == pdf(name)
    assert not coloured(paper.draw(plate(name), width=width, style="grey"))


@EVERY
def test_what_is_drawn_is_what_the_scenes_say(name, plate, page):
    """Every line and every point of every chart."""
    for scene, panel in zip(plate(name).panels, page(name)[0].panels, strict=True):
        if scene.space != CHART:
            continue
        there = [np.stack(line.get_data(), 1) for line in panel.axes.lines]
        for mark in scene.marks:
            if isinstance(mark, Path):
                assert any(np.array_equal(line, mark.at, equal_nan=True) for line in there), mark.role
            elif isinstance(mark, Points) and mark.value is None and mark.role not in ("word", "remark", "caption"):
                known = set(map(tuple, np.concatenate(there))) if there else set()
                assert set(map(tuple, mark.at)) <= known, mark.role


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("KappaPanels", "Grey: no class clears its margin there."),
        ("MarginGeometry", "Grey: no class clears its margin there; bars: the two strips."),
        ("PushFields", "Class 1 stands 40° from class 0, class 2 opposite to class 0; the sample is of class 0."),
        ("Sweep", "Each value takes the place of the margin that is said of the losses here."),
    ],
)
def test_a_caption_says_what_stands_where(name, said, plate):
    assert said in " ".join(plate(name).notes)


@EVERY
def test_the_table_has_a_row_for_every_place(name, plate):
    rows = list(csv.reader(io.StringIO(plate(name).table())))
    assert {row[0] for row in rows[1:]} == set(plate(name).heads or [""])
    for head, scene in zip(plate(name).heads or [""], plate(name).panels, strict=True):
        for mark in scene.marks:
            if isinstance(mark, Path) and mark.name:
                mine = [row for row in rows if (row[0], row[3], row[4]) == (head, mark.role, mark.name)]
                kept = {f"{x:.6g}" for x in mark.at[:, 0] if not np.isnan(x)}
                assert kept <= {row[6] for row in mine}


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX is installed")
def test_latex_includes_a_sheet_of_them(page, tmp_path):
    lines = [r"\documentclass{article}", r"\usepackage{graphicx,pgf}", r"\begin{document}"]
    for name in catalogue():
        for kind, content in page(name)[1].items():
            (tmp_path / f"{name}.{kind}").write_bytes(content)
        lines += [rf"\includegraphics{{{name}.pdf}}", "", rf"\input{{{name}.pgf}}", ""]
    (tmp_path / "sheet.tex").write_text("\n".join([*lines, r"\end{document}"]), "utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "sheet.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-1500:]


# -- several panels ------------------------------------------------------------------------------------------


def drawn(plate: Plate, width: str = "ieee-2") -> Page:
    return Page(plate, paper.WIDTHS[width], False, None, False)


def scene(*names: str) -> Scene:
    at = np.array([[0.0, 0], [1, 1]])
    marks = tuple(Path(role="curve", of=i, name=name, at=at) for i, name in enumerate(names))
    return Scene(title="t", says="s.", space=CHART, marks=marks)


def of(*scenes: Scene, columns: int = 2) -> Plate:
    heads = tuple(f"panel {i}" for i in range(len(scenes)))
    return Plate(title="t", says="s.", panels=scenes, columns=columns, heads=heads)


def legends_of(page: Page) -> list[Legend]:
    made = [*page.figure.legends, *(panel.axes.get_legend() for panel in page.panels)]
    return [each for each in made if each]


def legends(page: Page) -> list[list[str]]:
    return [[text.get_text() for text in each.get_texts()] for each in legends_of(page)]


def test_what_all_panels_share_is_said_once():
    assert legends(drawn(of(scene("a", "b"), scene("a")))) == [["a", "b"]]
    assert legends(drawn(of(scene("a", "b"), scene("a", "c")))) == [["a"], ["b"], ["c"]]
    assert legends(drawn(of(scene("a"), scene("b")))) == [["a"], ["b"]]


def test_panels_have_letters_and_heads_but_one_alone_has_none():
    page = drawn(of(scene("a"), scene("a")))
    assert [panel.axes.get_title(loc="left") for panel in page.panels] == ["(a) panel 0", "(b) panel 1"]
    assert drawn(of(scene("a"), columns=1)).panels[0].axes.get_title(loc="left") == ""


def test_a_narrow_page_has_fewer_columns():
    plate = of(*[scene("a")] * 4, columns=4)
    assert drawn(plate).columns == 4 and drawn(plate, "ieee-1").columns == 2


@pytest.mark.parametrize("width", ["ieee-1", "cvpr-1", "springer-1"])
@pytest.mark.parametrize("name", ["MarginDistributions", "DecisionRegions", "RubberBand", "LogitCurves"])
def test_no_word_is_cut_off_in_a_column(name, width):
    page, _ = page_and_files(catalogue()[name]().plate(), ("pdf",), width)
    pen, wide = page.figure.canvas.get_renderer(), page.figure.bbox.width
    words = [text for made in legends_of(page) for text in made.get_texts()]
    words += [each for panel in page.panels for each in (panel.head, panel.axes.xaxis.label, panel.axes.yaxis.label)]
    ends = {word.get_text(): word.get_window_extent(pen).intervalx for word in words if word.get_text()}
    assert len(ends) > 4 and not {word for word, (left, right) in ends.items() if left < -1 or right > wide + 1}


def test_panels_without_room_are_one_sentence():
    with pytest.raises(ValueError, match="26 panels have no room on a page that is 50 mm wide and at most 229 mm high"):
        paper.draw(of(*[scene("a")] * 26, columns=1), width=50)


def test_square_panels_are_laid_out_in_a_few_steps(monkeypatch):
    steps, execute = [], ConstrainedLayoutEngine.execute

    def counted(engine, figure):
        steps.append(1)
        execute(engine, figure)

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", counted)
    page, _ = page_and_files(catalogue()["RubberBand"]().plate(), ("pdf",), "ieee-2")
    assert len(steps) <= 6
    assert all(panel.axes.bbox.width == pytest.approx(panel.axes.bbox.height, abs=0.1) for panel in page.panels)


def test_a_band_has_no_hatch_in_grey_and_hatches_have_no_seams():
    plate = catalogue()["RubberBand"](losses=(losses.starting("ElasticFace"),)).plate()
    page = opened(paper.draw(plate, style="grey"))
    patterns = [each.get_data() for each in objects(page, "/Pattern")]
    assert len(patterns) == 4  # of the two regions and their legend
    assert sum(b" re" in each for each in patterns) == 2  # which draws its patches whole


def test_panels_measure_a_magnitude_alike():
    spots = np.array([[0.0, 0], [1, 1]])
    one, two = (
        Scene(title="t", says="s.", space=CHART, marks=(Points(role="sample", name="size", at=spots, value=value),))
        for value in (np.array([0.0, 1]), np.array([0.0, 2]))
    )
    page = drawn(of(one, two))
    inks = [[to_hex(ink) for ink in panel.axes.collections[0].to_rgba(value)]
            for panel, value in zip(page.panels, ([0, 1], [0, 2]), strict=True)]  # fmt: skip
    assert inks[0][0] == inks[1][0] and inks[0][1] != inks[1][1]


@pytest.mark.parametrize("name", ["Triplet", "CenterLoss", "SphereFace2", "KappaFace"])
def test_any_loss_of_the_catalogue_is_printed(name):
    figure = catalogue()["DecisionRegions"](losses=(losses.starting("ArcFace"), losses.starting(name)))
    check(paper.draw(figure.plate(), width="cvpr-2"), 72 * 6.875, high=9 * 72)
