"""Scenes on the circle and the sphere, packed for the canvas and flattened for files."""

import base64
import csv
import io
import json
import math

import numpy as np
import plotly.graph_objects as go
import pytest

from losslab import losses
from losslab.geometry import circle, lattice, octahedron
from losslab.losses import ArcFace, CosFace, KappaFace
from losslab.render import ball, flat, screen
from losslab.render.contours import arcs, between, contours
from losslab.render.style import DARK
from losslab.scene import PLANE, Area, Arrows, Path, Points
from losslab.views.boundaries import Boundaries

SURFACES = pytest.mark.parametrize("surface", ["circle", "sphere"])


def unpacked(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


# -- packed --------------------------------------------------------------------------------------------------


@SURFACES
def test_a_packed_scene_is_the_scene(surface):
    scene = Boundaries(losses=(ArcFace(margin=0.3), CosFace(margin=0.2)), surface=surface, samples=True).scene()
    said = json.loads(json.dumps(ball.packed(scene)))
    assert said["dim"] == (2 if surface == "circle" else 3) and said["names"] == list(scene.names)
    for mark, sent in zip(scene.marks, said["marks"], strict=True):
        assert sent["role"] == mark.role
        if sent["kind"] == "zones":
            gap = unpacked(sent["gap"], "<i2").reshape(sent["classes"], -1) / ball.GAP
            np.testing.assert_allclose(gap, mark.gap, atol=1 / ball.GAP)
        else:
            np.testing.assert_allclose(unpacked(sent["at"], "<f4").reshape(mark.at.shape), mark.at, atol=1e-6)


def test_an_answer_is_small_enough_to_follow_a_hand():
    """Bytes of a picture while a prototype is dragged: five classes on the sphere, two losses."""
    scene = Boundaries(losses=(ArcFace(), CosFace())).scene()
    assert len(json.dumps(ball.packed(scene))) < 130_000


# -- contours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [(0, 0, 1), (0, 0, -1), (0.6, 0.64, 0.48), (1, 0, 0)])
@pytest.mark.parametrize("height", [-0.7, 0.0, 0.5])
def test_the_contour_of_a_cap_is_its_circle(axis, height):
    place = octahedron(64).double().numpy()
    lines = contours(place @ np.array(axis) - height, place)
    points = np.concatenate(lines)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(points @ np.array(axis), height, atol=2e-3)
    long = sum(np.linalg.norm(np.diff(line, axis=0), axis=1).sum() for line in lines)
    assert long == pytest.approx(2 * math.pi * math.sqrt(1 - height**2), rel=0.02)  # all of it, and once


def test_a_contour_that_nothing_crosses_is_none():
    place = octahedron(16).double().numpy()
    assert contours(np.ones(len(place)), place) == [] == contours(-np.ones(len(place)), place)


def test_arcs_are_where_a_number_is_above_zero():
    turn = np.arange(720) * 2 * math.pi / 720
    found = arcs(np.cos(turn) - 0.5)
    ((start, end),) = found
    assert math.degrees(end - start) == pytest.approx(120, abs=0.1) and start % (2 * math.pi) > math.pi
    assert len(arcs(np.cos(3 * turn))) == 3
    assert arcs(np.ones(8)) == [(0.0, 2 * math.pi)] and arcs(-np.ones(8)) == []


def test_between_the_places_of_a_grid_numbers_are_those_of_the_grid():
    for grid, anywhere in ((octahedron(64), lattice(300)), (circle(720), circle(97))):
        grid, anywhere = grid.double().numpy(), anywhere.double().numpy()
        value = np.stack([grid @ np.ones(grid.shape[1]), grid[:, 0] ** 2])
        np.testing.assert_allclose(between(value, grid), value, atol=1e-6)
        expected = np.stack([anywhere @ np.ones(grid.shape[1]), anywhere[:, 0] ** 2])
        np.testing.assert_allclose(between(value, anywhere), expected, atol=6e-3)


# -- flattened -----------------------------------------------------------------------------------------------


@SURFACES
@pytest.mark.parametrize("name", ["ArcFace", "ElasticFace", "MagFace", "KappaFace", "NormFace", "SubCenterArcFace"])
def test_a_flattened_scene_is_a_figure_that_plotly_takes(name, surface):
    chosen = (losses.starting(name), CosFace())
    scene = flat.flattened(Boundaries(losses=chosen, surface=surface, samples=True).scene())
    assert scene.space == PLANE
    for mark in scene.marks:
        if isinstance(mark, Path | Points | Arrows):
            seen = mark.at[~np.isnan(mark.at).any(1)]
            assert (np.abs(seen) < 3).all()
        elif isinstance(mark, Area):
            assert mark.value.shape == (len(mark.y), len(mark.x))
    for theme in (screen.LIGHT, DARK):
        made = screen.figure(scene, theme)
        go.Figure(made)
        json.dumps(made, allow_nan=False)


def test_nothing_is_hidden():
    """Every sample and every prototype stands on one of the two maps, and the near ones on the sphere too."""
    scene = Boundaries(samples=True).scene()
    marks = flat.flattened(scene).marks
    for role, count in (("sample", len(scene.of_role("sample")[0].at)), ("prototype", 5)):
        drawn = np.concatenate([mark.at for mark in marks if mark.role == role])
        on_map = sum(
            int((np.hypot(*(drawn - centre).T) <= flat.MAP + 1e-9).sum()) for centre in (flat.NEAR_MAP, flat.FAR_MAP)
        )
        assert on_map == count
        near = int((np.hypot(*drawn.T) <= 1 + 1e-9).sum())
        assert len(drawn) == count + near and 0 < near < count


def test_maps_keep_areas():
    """As much of the two maps as of the sphere is covered by each zone."""
    scene = Boundaries(losses=(KappaFace(margin=0.5),), sizes=(150, 10)).scene()
    (zones,) = scene.of_role("zone")
    share = (between(zones.gap, lattice(40000).double().numpy()) > 0).mean(1)
    washes = [mark for mark in flat.flattened(scene).marks if mark.role == "wash" and mark.x.min() > 1]
    for k, expected in enumerate(share):
        cells = [(m.value > 0).sum() * (m.x[1] - m.x[0]) * (m.y[1] - m.y[0]) for m in washes if m.of == k]
        assert sum(cells) / (2 * math.pi * flat.MAP**2) == pytest.approx(expected, abs=0.01)


def test_a_camera_turns_the_picture():
    scene = Boundaries().scene()
    towards = scene.of_role("prototype")[0].at[0]
    side = np.cross([0, 0, 1], towards) / np.linalg.norm(np.cross([0, 0, 1], towards))
    camera = np.stack([side, np.cross(towards, side), towards])
    first = next(m for m in flat.flattened(scene, camera.ravel().tolist()).marks if m.role == "prototype")
    np.testing.assert_allclose(first.at[list(first.each).index(0)], 0, atol=1e-9)


@pytest.mark.parametrize(
    "camera", [None, [], [1] * 9, [0] * 9, [math.nan] * 9, "abc", [1, 0, 0], list(-np.eye(3).ravel()), {"a": 1}, [[1]]]
)
def test_what_is_no_camera_is_passed_over(camera):
    np.testing.assert_array_equal(flat.rotation(camera), flat.rotation(None))


def test_lines_are_cut_at_the_limb():
    turn = np.linspace(0, 2 * math.pi, 200)
    ring = np.stack([np.cos(turn), np.zeros_like(turn), np.sin(turn)], 1)  # over the pole that faces the reader
    pieces = list(flat.halves(ring))
    assert sorted(half for half, _ in pieces) == [-1, 1]
    for half, piece in pieces:
        assert (half * piece[:, 2] >= -1e-9).all() and np.linalg.norm(piece[-1]) == pytest.approx(1)


# -- tables --------------------------------------------------------------------------------------------------


@SURFACES
def test_the_table_says_where_each_gap_was_found(surface):
    view = Boundaries(losses=(ArcFace(margin=0.3),), surface=surface)
    rows = [row for row in csv.DictReader(io.StringIO(view.scene().table())) if row["role"] == "zone"]
    row = rows[1000]
    place = [float(row[axis]) for axis in ("x", "y", "z") if row[axis]]
    assert len(place) == view.dim
    cosine = view.directions().numpy() @ np.array(place)
    k = int(row["of"])
    expected = math.cos(math.acos(cosine[k]) + 0.3) - np.delete(cosine, k).max()
    assert float(row["value"]) == pytest.approx(expected, abs=1e-4)
