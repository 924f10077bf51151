"""Figures for paper: vector, with TrueType fonts and text that is text, at the width of a column."""

import io
import math
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path as File

import numpy as np
import pytest
from pypdf import PdfReader

from losslab import losses, views
from losslab.render import flat, paper
from losslab.render.paper.look import LINES
from losslab.render.paper.pgf import latex
from losslab.render.words import Room
from losslab.scene import CHART, PLANE, Area, Arrows, Axis, Path, Points, Scene
from losslab.training import Run
from losslab.views.curves import Curves
from pages.parts.server import RECORDINGS

OF_RUNS = ("AngleHistograms", "AnglesMatrix", "Embeddings", "Rivals", "GroupsOverTime")
STILL = ("MarginsOverTime",)  # of a training whose loss adapts its margins: no recording is
FOUR = tuple(map(losses.starting, ("ArcFace", "CosFace", "SphereFace", "NormFace")))


def view(name: str) -> views.View:
    run = {"run": Run(RECORDINGS / "arcface-sphere")} if name in OF_RUNS else {}
    return views.catalogue()[name](**run)


@cache
def printed(name: str) -> bytes:
    """A view as it begins."""
    return paper.draw(view(name).scene())


def opened(drawn: bytes):
    return PdfReader(io.BytesIO(drawn)).pages[0]


def objects(page, kind: str) -> list:
    """What the page draws with, and what that draws with."""
    found, waiting = [], [page["/Resources"]]
    while waiting:
        resources = waiting.pop()
        found += [each.get_object() for each in resources.get(kind, {}).values()]
        for part in ("/XObject", "/Pattern"):
            parts = [each.get_object() for each in resources.get(part, {}).values()]
            waiting += [each["/Resources"] for each in parts if "/Resources" in each]
    return found


def truetype(font) -> bool:
    inner = font["/DescendantFonts"][0].get_object() if "/DescendantFonts" in font else font
    return inner["/Subtype"] in ("/TrueType", "/CIDFontType2") and "/FontFile2" in inner["/FontDescriptor"]


def check(drawn: bytes, width: float, high: float = 400) -> str:
    """A figure as papers want it, not higher than so many points; the text in it."""
    page = opened(drawn)
    assert float(page.mediabox.width) == pytest.approx(width, abs=0.05) and float(page.mediabox.height) <= high
    fonts = objects(page, "/Font")
    assert all(map(truetype, fonts))
    assert not [each for each in objects(page, "/XObject") if each["/Subtype"] == "/Image"]
    assert b"BI\n" not in page.get_contents().get_data()  # nor an inline one
    return page.extract_text()


@pytest.mark.parametrize("name", [name for name in views.catalogue() if name not in STILL])
def test_every_view_is_a_figure(name):
    scene = view(name).scene()
    text = check(printed(name), 252).replace("m̂m̂", "m̂")  # of two glyphs that are one letter each says it
    for axis in (scene.x, scene.y):
        if scene.space == CHART:
            assert " ".join(axis.label.split()) in " ".join(text.split())


@pytest.mark.parametrize("name", ["Curves", "Regions", "Boundaries", "Field"])
def test_the_same_scene_makes_the_same_bytes_and_stays_as_it_is_in_grey(name):
    scene = view(name).scene()
    assert paper.draw(scene) == printed(name)
    check(grey := paper.draw(scene, style="grey"), 252)
    assert not coloured(grey)


def coloured(drawn: bytes) -> list:
    """Inks of the page that are no grey."""
    said = re.findall(rb"([\d.]+) ([\d.]+) ([\d.]+) rg\b", opened(drawn).get_contents().get_data(), re.IGNORECASE)
    return [ink for ink in said if len(set(ink)) > 1 and max(map(float, ink)) - min(map(float, ink)) > 0.01]


def test_colours_are_found_where_there_are_some():
    assert coloured(paper.draw(Curves(losses=FOUR).scene()))


def test_another_process_makes_the_same_bytes():
    kinds = "pdf", "svg", "png"
    script = (
        "import sys; from losslab.render import paper; from losslab.views.curves import Curves;"
        f"made = paper.drawn_as(Curves().scene(), {kinds!r}, dpi=100);"
        "sys.stdout.buffer.write(b''.join(len(each).to_bytes(8) + each for each in made.values()))"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "SOURCE_DATE_EPOCH": "86400"}
    root = File(paper.__file__).parents[3]
    there = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=root, env=environment, check=True)
    said = io.BytesIO(there.stdout)
    made = {kind: said.read(int.from_bytes(said.read(8))) for kind in kinds}
    assert not [kind for kind in kinds if made[kind] != paper.draw(Curves().scene(), kind, dpi=100)]


def test_several_kinds_at_once_are_those_that_are_drawn_one_by_one():
    scene, look = view("Embeddings").scene(), {"dpi": 60, "raster": True}  # PGF has no pictures, and its own page
    made = paper.drawn_as(scene, tuple(paper.KINDS)[::-1], **look)
    assert made == {kind: paper.draw(scene, kind, **look) for kind in paper.KINDS}


@pytest.mark.parametrize(
    ("width", "points"),
    [("ieee-1", 252), ("ieee-2", 515.52), ("cvpr-1", 236.25), ("cvpr-2", 495), ("springer-1", 238.11), (100, 283.46)],
)
def test_widths(width, points):
    check(paper.draw(Curves(losses=FOUR).scene(), width=width), points)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"kind": "exe"}, "kind is 'exe', but it must be one of pdf, svg, pgf, png."),
        ({"style": "pink"}, "style is 'pink'"),
        ({"width": "a4"}, "width is 'a4', but it must be one of ieee-1"),
        ({"width": 5}, "50 to 500 mm"),
        ({"width": math.nan}, "width is nan"),
    ],
)
def test_what_there_is_none_of(asked, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        paper.draw(Curves().scene(), **asked)


def test_a_file_says_what_it_is():
    scene = Curves().scene()
    said = {"losses": "ArcFace(margin=0.3)", "version": "losslab 1"}
    info = PdfReader(io.BytesIO(paper.draw(scene, metadata=said))).metadata
    assert info.title == scene.title and info.subject.startswith(scene.says)
    assert info["/Keywords"] == "losses: ArcFace(margin=0.3); version: losslab 1" and "/CreationDate" not in info
    text = paper.draw(scene, "svg", metadata=said).decode()
    assert "losses: ArcFace(margin=0.3)" in text and "dc:date" not in text


def test_svg_has_text_and_no_image():
    text = paper.draw(view("Field").scene(), "svg").decode()
    assert re.search(r"<text[^>]*>near half, equal area</text>", text) and "<image" not in text


def every_mark(space: str) -> Scene:
    grid = np.add.outer(np.linspace(-1, 1, 12), np.linspace(-1, 1, 12))
    at = np.array([[0, 0], [1, 1], [np.nan, np.nan], [-1, 1], [0.5, 0.2]])
    spots = at[[0, 1, 3]]
    line = np.linspace(-1, 1, 12)
    filled = ("ground", "level", "region", "margin", "decision", "wash", "strip", "impossible")
    areas = [Area(role=role, name=role, of=0, x=line, y=line, value=grid) for role in filled]
    roles = (*LINES, "curve")
    paths = [Path(role=role, name=role, of=i, at=at) for i, role in enumerate(roles)]
    points = [
        Points(role="sample", name="$x$ <b>", at=spots, each=np.array([0, 1, 1])),
        Points(role="place", at=spots, value=np.arange(3.0), name="size", words=("a", "b", "c")),
        Points(role="drawn", at=spots[:0]),
        Points(role="past", at=spots, of=1),
    ]
    arrows = [Arrows(role="push", at=spots, along=spots), Arrows(role="push", at=spots[:0], along=spots[:0])]
    marks = (*areas, *paths, *points, *arrows)
    return Scene(title="t", says="s.", space=space, marks=marks, names=("A", "B"), x=Axis("x₁"), y=Axis("y", "rad"))


@pytest.mark.parametrize("style", paper.STYLES)
@pytest.mark.parametrize("space", [CHART, PLANE])
def test_every_mark_is_drawn(space, style):
    drawn = paper.draw(every_mark(space), style=style)
    text = check(drawn, 252) if space == PLANE else opened(drawn).extract_text()
    assert "y (rad)" in text and "$x$ <b>" in text  # names are never formulas


def test_nothing_to_draw_is_an_empty_chart():
    empty = Scene(title="t", says="s.", space=CHART, marks=(), x=Axis("step"), y=Axis("loss"))
    assert "step" in check(paper.draw(empty), 252)


def test_an_axis_that_is_logarithmic_to_both_sides():
    at = np.array([[0, -100.0], [1, 0], [2, 1000]])
    curve = Path(role="curve", of=0, name="a", at=at)
    check(paper.draw(Scene(title="t", says="s.", space=CHART, marks=(curve,), y=Axis("pull", knee=1.0))), 252)


def test_a_sphere_is_seen_from_the_camera():
    scene = view("Boundaries").scene()
    assert printed("Boundaries") != paper.draw(scene, camera=[1, 0, 0, 0, 1, 0, 0, 0, 1])
    assert printed("Boundaries") == paper.draw(scene, camera="nowhere")


def test_words_keep_clear_of_one_another_and_of_lines():
    room, size = Room(np.zeros(2), np.full(2, 100.0)), np.array([20.0, 8.0])
    room.take(np.array([[50, 50], [50, 100]], dtype=float), joined=True)
    first, second = (room.place(np.array([50.0, 50.0]), size, 2) for _ in range(2))
    assert abs(first[0] - 50) > 10 or first[1] < 50  # not on the line
    assert (np.abs(first - second) >= size).any()


def test_only_paper_knows_matplotlib():
    room = File(paper.__file__).parent
    folder = room.parents[1]
    pattern = re.compile(r"^\s*(from|import) matplotlib", re.MULTILINE)
    assert {path.parent for path in folder.rglob("*.py") if pattern.search(path.read_text("utf-8"))} == {room}


# -- LaTeX -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("50 % of A_1 & B", r"50 \% of A\_1 \& B"),
        ("θ₁ (°)", r"\ensuremath{\theta}\ensuremath{_{1}} (\ensuremath{^{\circ}})"),
        ("m\u0302 −1", r"\ensuremath{\hat{m}} \ensuremath{-}1"),
        ("n < 2 | > 1", r"n \ensuremath{<} 2 \ensuremath{|} \ensuremath{>} 1"),
        (r"\input{x}~^", r"\textbackslash{}input\{x\}\textasciitilde{}\textasciicircum{}"),
    ],
)
def test_words_for_latex(said, written):
    assert latex(said) == written


def test_pgf_holds_the_words_and_no_picture():
    text = paper.draw(Curves(losses=FOUR).scene(), "pgf", metadata={"version": "losslab 1"}).decode()
    assert r"\begin{pgfpicture}" in text and "Angle to the own prototype" in text and "includegraphics" not in text
    assert "% Keywords: version: losslab 1" in text


def test_every_letter_that_a_figure_may_say_is_known_to_latex():
    """What neither ASCII nor a sign of ours would be missing in a document's font."""
    said = {axis.label for name in views.catalogue() if name not in STILL
            for scene in [view(name).scene()] for axis in (scene.x, scene.y)}  # fmt: skip
    assert not {sign for words in said for sign in latex(words) if ord(sign) > 127}


# -- where a sphere is seen from ---------------------------------------------------------------------------


@pytest.mark.parametrize("stand", [(0, 0), (-51, 17), (180, -60), (30, 90)])
def test_where_one_stands_is_what_the_camera_says(stand):
    longitude, latitude = flat.standpoint(flat.stand(*stand))
    assert latitude == pytest.approx(min(stand[1], 89.5), abs=0.02)
    assert math.cos(math.radians(longitude - stand[0])) == pytest.approx(1, abs=1e-4)


def test_without_maps_a_sphere_is_one_disc():
    scene = view("Boundaries").scene()
    both, one = (flat.flattened(scene, maps=maps) for maps in (True, False))
    assert max(np.nanmax(mark.at[:, 0]) for mark in both.of_role("rim")) > 2
    (rim,) = one.of_role("rim")
    assert np.nanmax(rim.at) == pytest.approx(1) and not one.of_role("caption")
