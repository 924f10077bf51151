"""Scenes as Plotly figures: every one of them is valid, keeps its numbers, and stands alone as a page."""

import json
import math
import re
from pathlib import Path as File

import numpy as np
import plotly.graph_objects as go
import pytest

from losslab import ArcFace, CosFace, losses
from losslab.render import screen
from losslab.render.style import DARK, LIGHT
from losslab.scene import CHART, CIRCLE, Area, Arrows, Axis, Path, Points, Scene
from losslab.views.curves import Curves
from losslab.views.ladder import Ladder
from losslab.views.probability import Probability
from losslab.views.regions import CosineRegions, Regions
from losslab.views.slopes import Slopes

VIEWS = {
    "curves": Curves(losses=tuple(map(losses.starting, ("ArcFace", "Circle", "AdaFace", "InterFace")))),
    "slopes": Slopes(losses=(ArcFace(), ArcFace(gradient="detached"))),
    "probability": Probability(losses=(CosFace(), ArcFace()), classes=100),
    "regions": Regions(losses=(losses.starting("IntraLoss"),), possible=True),
    "cosines": CosineRegions(losses=(losses.starting("SphereFace2"),)),
    "ladder": Ladder(rung=6),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize("name", VIEWS)
def test_figures_are_valid(name, theme):
    made = screen.figure(VIEWS[name].scene(), theme)
    go.Figure(json.loads(json.dumps(made)))  # its classes check every attribute and every number
    assert made["layout"]["paper_bgcolor"] == theme.background


def test_lines_keep_their_numbers_and_gaps():
    at = np.array([[0, 1.23456789], [1, math.nan], [2, -3]])
    scene = Scene(title="t", says="s.", space=CHART, marks=(Path(role="curve", of=1, name="a", at=at),))
    (trace,) = screen.figure(scene)["data"]
    assert trace["x"] == [0, 1, 2] and trace["y"] == [1.2346, None, -3] and trace["name"] == "a"


def test_losses_differ_in_ink_and_in_dashes():
    lines = [trace["line"] for trace in screen.figure(Curves(losses=(ArcFace(), CosFace())).scene())["data"][1:3]]
    assert lines[0]["color"] != lines[1]["color"] and lines[0]["dash"] != lines[1]["dash"]


def test_areas_are_drawn_as_outlines_never_as_images():
    data = screen.figure(VIEWS["regions"].scene())["data"]
    assert {trace["type"] for trace in data} == {"contour"}
    assert [bool(trace["name"]) for trace in data] == [trace["showlegend"] for trace in data]


def test_regions_are_square_and_charts_fill_their_room():
    assert screen.figure(VIEWS["regions"].scene())["layout"]["yaxis"]["scaleanchor"] == "x"
    assert "scaleanchor" not in screen.figure(VIEWS["curves"].scene())["layout"]["yaxis"]


def test_an_arrow_for_each_push():
    arrows = Arrows(role="push", at=np.zeros((3, 2)), along=np.array([[1, 0], [0, 0.5], [0.1, 0.1]]))
    scene = Scene(title="t", says="s.", space="plane", marks=(arrows,))
    drawn = screen.figure(scene)["data"]
    assert sum(trace["y"].count(None) for trace in drawn) == 3
    go.Figure(screen.figure(scene))
    nothing = Arrows(role="push", at=np.zeros((0, 2)), along=np.zeros((0, 2)))
    assert not screen.figure(Scene(title="t", says="s.", space="plane", marks=(nothing,)))["data"]


def test_points_and_levels_are_valid():
    points = Points(role="sample", at=np.eye(2), each=np.array([0, 1]), words=("a", "b"), value=np.array([0.0, 1.0]))
    level = Area(role="level", name="loss", x=np.arange(3.0), y=np.arange(2.0), value=np.arange(6.0).reshape(2, 3))
    scene = Scene(title="t", says="s.", space=CHART, marks=(level, points), x=Axis("a", "°", 0, 2, (0.0, 2.0)))
    go.Figure(screen.figure(scene))


def test_the_sphere_must_be_flattened_first():
    with pytest.raises(ValueError, match="flattened"):
        screen.figure(Scene(title="t", says="s.", space=CIRCLE, marks=()))


def test_only_the_screen_knows_plotly():
    folder = File(screen.__file__).parents[1]
    users = [
        path for path in folder.rglob("*.py") if re.search(r"^\s*(from|import) plotly", path.read_text("utf-8"), re.M)
    ]
    assert users == [File(screen.__file__)]


def test_a_page_needs_nothing_else():
    scene = VIEWS["curves"].scene()
    text = screen.page(scene)
    assert "Plotly.newPlot" in text and scene.title in text and "where the plain cosine is 0" in text
    assert not re.search(r"<(script|link)[^>]*(src|href)=", text)
