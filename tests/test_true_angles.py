"""Pictures of true angles: measured in all dimensions, and the margin line is where the loss's own gap is zero."""

import json
import math

import numpy as np
import plotly.graph_objects as go
import pytest

from losslab import losses
from losslab.losses import ArcFace, CosFace, IntraLoss, KappaFace, NormFace
from losslab.render import screen
from losslab.render.style import DARK
from losslab.scene import Area, Path, Points
from losslab.training import Recipe, Run, RunWriter, probe, train
from losslab.views import angles_matrix
from losslab.views.angle_histograms import AngleHistograms
from losslab.views.angles_matrix import AnglesMatrix
from losslab.views.rivals import Rivals

VIEWS = (AnglesMatrix, AngleHistograms, Rivals)
LOSSES = {
    "ArcFace": ArcFace(scale=16, margin=0.3),
    "CosFace": CosFace(scale=16, margin=0.2),
    "NormFace": NormFace(scale=16),
    "KappaFace": KappaFace(scale=16, margin=0.5),
    "IntraLoss": IntraLoss(base=ArcFace(scale=16, margin=0.3)),
} | {name: losses.starting(name) for name in ("MagFace", "AdaFace", "InterFace", "SubCenterArcFace", "Triplet")}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs in 12 dimensions by the name of their loss, each trained when it is first wanted."""
    made = {}

    def of(name: str) -> Run:
        if name not in made:
            recipe = Recipe(
                loss=LOSSES[name],
                model="mlp",
                dim=12,
                classes=(1, 4, 7, 9),
                per_class=60,
                epochs=2,
                batch=32,
                probe=120,
            )  # fmt: skip
            path = tmp_path_factory.mktemp("runs") / "run"
            with RunWriter(path, recipe, probe(recipe)) as writer:
                for snapshot in train(recipe):
                    writer.append(snapshot)
                writer.state("done")
            made[name] = Run(path)
        return made[name]

    return of


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def lines(scene):
    return [mark.at for mark in scene.marks if isinstance(mark, Path) and mark.role == "boundary"]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_every_loss_has_pictures(runs, view, name):
    run = runs(name)
    for snapshot in (0, -1):
        scene = view(run=run, snapshot=snapshot).scene()
        assert scene.says.endswith(".") and "nan" not in scene.says and scene.table()
        go.Figure(json.loads(json.dumps(screen.figure(scene, DARK))))
        assert f"at step {run[snapshot].step}" in scene.title
        for mark in scene.marks:
            assert isinstance(mark, Area) or np.isfinite(mark.at).all()


def test_angles_are_measured_in_all_dimensions(runs):
    run = runs("ArcFace")
    view, moment, label = Rivals(run=run, snapshot=3), run[3], run.probe.labels
    cosine = unit(moment.embedding.astype(float)) @ unit(moment.prototypes.astype(float)).T
    deg = np.degrees(np.arccos(cosine))
    own = np.arange(4) == label[:, None]
    assert np.allclose(view.own_deg, deg[own], atol=1e-4)
    assert np.allclose(view.other_deg, np.where(own, 999, deg).min(1), atol=1e-4)
    between = np.degrees(np.arccos(np.clip(unit(moment.prototypes) @ unit(moment.prototypes).T, -1, 1)))
    off = ~np.eye(4, dtype=bool)
    assert np.allclose(view.between_deg[off], between[off], atol=1e-3) and np.isnan(np.diag(view.between_deg)).all()


def test_of_several_sub_centres_the_nearest_count(runs):
    run = runs("SubCenterArcFace")
    view, each = AnglesMatrix(run=run), LOSSES["SubCenterArcFace"].subcentres
    rows = unit(run[-1].prototypes.astype(float)).reshape(4, each, -1)
    assert view.between_deg.shape == (4, 4)
    assert view.between_deg[0, 2] == pytest.approx(np.degrees(np.arccos((rows[0] @ rows[2].T).max())), abs=1e-4)


def test_the_margin_line_is_the_losses_own(runs):
    (arc,), (cos,), (none,) = (lines(Rivals(run=runs(name)).scene()) for name in ("ArcFace", "CosFace", "NormFace"))
    assert np.allclose(arc[:, 1] - arc[:, 0], math.degrees(0.3), atol=1e-3)
    own, other = np.cos(np.radians(cos[1:-1])).T
    assert np.allclose(own - 0.2, other, atol=1e-6)
    assert np.allclose(none[:, 0], none[:, 1], atol=1e-3)


@pytest.mark.parametrize("name", ["ArcFace", "CosFace", "NormFace", "IntraLoss"])
def test_who_is_beyond_the_margin_stands_beyond_the_line(runs, name):
    scene = Rivals(run=runs(name)).scene()
    (line,) = lines(scene)
    groups = {mark.name: mark.at for mark in scene.marks if isinstance(mark, Points)}
    assert sum(map(len, groups.values())) == 120
    for group, at in groups.items():
        above = at[:, 1] - np.interp(at[:, 0], *line.T)
        assert (above > -0.01).all() if group == "beyond the margin" else (above < 0.01).all()
        assert (at[:, 1] < at[:, 0] + 0.01).all() == (group == "wrong")


def test_margins_of_classes_and_of_lengths_have_lines_of_their_own(runs):
    by_class, by_length = Rivals(run=runs("KappaFace")).scene(), Rivals(run=runs("MagFace")).scene()
    assert len(lines(by_class)) == len(lines(by_length)) == 3
    assert "each class a margin of its own" in by_class.notes[0] and "how long an embedding is" in by_length.notes[0]
    middle = [np.interp(30, *line.T) for line in lines(by_class)]
    assert middle == sorted(middle) and not Rivals(run=runs("ArcFace")).scene().notes


def test_the_matrix_names_the_nearest_classes(runs):
    view = AnglesMatrix(run=runs("ArcFace"))
    deg, (cells,) = view.between_deg, view.scene().marks
    assert np.array_equal(cells.value, deg, equal_nan=True)
    a, b = np.unravel_index(np.nanargmin(deg), deg.shape)
    names = runs("ArcFace").probe.names
    assert view.scene().says.startswith(f"{names[a]} and {names[b]} are nearest to each other, {deg[a, b]:.1f}° apart")
    assert "farther from each other than 109.5°" in view.scene().says  # the tetrahedron


def test_of_many_classes_those_with_near_rivals_are_shown(runs, monkeypatch):
    monkeypatch.setattr(angles_matrix, "MOST", 2)
    view = AnglesMatrix(run=runs("ArcFace"))
    scene, deg = view.scene(), view.between_deg
    assert np.nanmin(scene.marks[0].value) == np.nanmin(deg) and scene.marks[0].value.shape == (2, 2)
    assert scene.notes == ("Of 4 classes these are the 2 that have the nearest rivals.",)


def test_the_matrix_is_drawn_as_cells_with_the_names_of_classes(runs):
    made = screen.figure(AnglesMatrix(run=runs("ArcFace")).scene())
    (trace,) = made["data"]
    assert trace["type"] == "heatmap" and trace["zsmooth"] is False
    assert made["layout"]["xaxis"]["ticktext"] == ["1", "4", "7", "9"]
    assert made["layout"]["yaxis"]["range"] == [3.5, -0.5] and made["layout"]["hovermode"] == "closest"


def test_histograms_hold_everything(runs):
    scene = AngleHistograms(run=runs("ArcFace")).scene()
    for mark in scene.marks:
        assert mark.at[1::2, 1][:-1].sum() == pytest.approx(100)
    view = AngleHistograms(run=runs("ArcFace"))
    assert f"{np.median(view.own_deg):.1f}° to the own prototype" in scene.says and "12 dimensions" in scene.notes[0]


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_a_picture_of_angles_needs_a_run(runs, view, tmp_path):
    with pytest.raises(ValueError, match="open a run"):
        view().scene()
    recipe = runs("ArcFace").recipe
    with RunWriter(tmp_path / "new", recipe, probe(recipe)), pytest.raises(ValueError, match="has shown nothing yet"):
        view(run=Run(tmp_path / "new"))
