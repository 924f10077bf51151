"""Scenes are drawn from the loss itself: its golden numbers, its zero gaps, its slopes as training takes them."""

import csv
import io
import math
import re

import numpy as np
import pytest
import torch

from losslab import ArcFace, CosFace, NormFace, Softmax, SphereFace, losses, views
from losslab.losses.formula import filled, valued
from losslab.scene import Area, Axis, Path, Points, Scene, rows
from losslab.training import Run
from losslab.views.base import signed
from losslab.views.curves import Curves, beyond_from, curves
from losslab.views.ladder import RUNGS, Ladder
from losslab.views.probability import Probability
from losslab.views.regions import HAIR, CosineRegions, Regions, strip
from losslab.views.slopes import Slopes, pulls
from pages.parts.server import ROOT

OURS = (Curves, Slopes, Probability, Regions, CosineRegions, Ladder)
DEGREES = (0, 10, 30, 60, 90, 120, 160, 180)
GOLDEN = [  # specs of the losses, section 2.4: the own-class curve with s = 1
    (NormFace(), (1.000000, 0.984808, 0.866025, 0.500000, 0.000000, -0.500000, -0.939693, -1.000000)),
    (CosFace(margin=0.35), (0.650000, 0.634808, 0.516025, 0.150000, -0.350000, -0.850000, -1.289693, -1.350000)),
    (
        ArcFace(margin=0.5, beyond="raw"),
        (0.877583, 0.780999, 0.520296, 0.023597, -0.479426, -0.853986, -0.988631, -0.877583),
    ),
    (ArcFace(margin=0.5), (0.877583, 0.780999, 0.520296, 0.023597, -0.479426, -0.853986, -1.179405, -1.239713)),
    (
        SphereFace(margin=4, easing=0),
        (1.000000, 0.766044, -0.500000, -1.500000, -3.000000, -4.500000, -6.173648, -7.000000),
    ),
]


def drawn(scene: Scene, name: str) -> np.ndarray:
    """The line of that name, [n 2]."""
    return next(mark.at for mark in scene.marks if isinstance(mark, Path) and mark.name == name)


def value_at(scene: Scene, name: str, deg: float) -> float:
    at = drawn(scene, name)
    return float(np.interp(deg, at[:, 0], at[:, 1]))


@pytest.mark.parametrize(("loss", "numbers"), GOLDEN, ids=lambda value: str(value)[:40])
def test_curves_are_the_golden_ones(loss, numbers):
    view = Curves(losses=(loss,))
    for deg, number in zip(DEGREES, numbers, strict=True):
        assert value_at(view.scene(), view.names[0], deg) == pytest.approx(number, abs=1e-6)


def test_scaled_curves_are_the_logits():
    view = Curves(losses=(CosFace(scale=16, margin=0.35), Softmax()), scaled=True, length=5.0)
    scene = view.scene()
    assert value_at(scene, view.names[0], 60) == pytest.approx(16 * 0.15)
    assert value_at(scene, view.names[1], 60) == pytest.approx(5 * 0.5)


def test_other_classes_are_drawn_where_they_are_bent():
    names = [mark.name for mark in Curves(losses=(losses.starting("Circle"), CosFace())).scene().marks]
    assert any(name.endswith("other classes") and name.startswith("Circle") for name in names)
    assert not any(name.endswith("other classes") and name.startswith("CosFace") for name in names)


def test_where_the_angle_passes_180_degrees():
    assert beyond_from(ArcFace(margin=0.5), 1.0) == pytest.approx(180 - math.degrees(0.5), abs=0.11)
    assert beyond_from(SphereFace(margin=2, easing=0), 1.0) == pytest.approx(90, abs=0.11)
    assert beyond_from(CosFace(), 1.0) is None
    marked = [mark for mark in Curves(losses=(ArcFace(margin=0.5),)).scene().marks if mark.role == "past"]
    assert len(marked) == 1 and marked[0].at[0, 0] == pytest.approx(151.3, abs=0.1)


def test_slopes_are_those_that_training_takes():
    """Exact: the derivative of cos(θ + m). Detached: that of the plain cosine. Against the loss's own gradient."""
    theta = torch.tensor([0.3, 1.2, 2.0], dtype=torch.float64)
    assert torch.allclose(pulls(ArcFace(margin=0.5), theta), (theta + 0.5).sin())
    assert torch.allclose(pulls(ArcFace(margin=0.5, gradient="detached"), theta), theta.sin())
    wrapped = losses.turned(losses.make("IntraLoss"), {"base": "ArcFace", "base_gradient": "detached"})
    assert torch.allclose(pulls(wrapped, theta), theta.sin())


@pytest.mark.parametrize("gradient", ["exact", "detached"])
def test_the_slope_is_the_one_of_the_whole_loss(gradient):
    """∂L/∂θ = s (1 − p) · pull: from the loss, and from the picture of its curve."""
    loss, theta = ArcFace(scale=8, margin=0.5, gradient=gradient), torch.tensor([1.0], dtype=torch.float64)
    head = views.base.right_angles(loss)
    place = theta.clone().requires_grad_()
    cosine = torch.stack([place.cos(), torch.zeros(1, dtype=torch.float64)], 1)
    value = loss(head.seen(cosine, torch.zeros(1, dtype=torch.long)))
    (slope,) = torch.autograd.grad(value.sum(), place)
    p = torch.exp(-value.detach())
    assert torch.allclose(slope, 8 * (1 - p) * pulls(loss, theta))


def test_probability_is_the_softmax_with_the_margin():
    view = Probability(losses=(CosFace(scale=16, margin=0.35),), classes=10, others=80.0)
    own, other = 16 * (math.cos(math.radians(60)) - 0.35), 16 * math.cos(math.radians(80))
    p = math.exp(own) / (math.exp(own) + 9 * math.exp(other))
    assert value_at(view.scene(), view.names[0], 60) == pytest.approx(p, rel=1e-6)
    loss = Probability(losses=view.losses, classes=10, others=80.0, loss=True)
    assert value_at(loss.scene(), view.names[0], 60) == pytest.approx(-math.log(p), rel=1e-6)


def test_the_embeddings_length_is_the_scale_of_softmax():
    short, long = (Probability(losses=(Softmax(),), length=length) for length in (1.0, 10.0))
    assert value_at(short.scene(), "Softmax", 30) < 0.3 < 0.99 < value_at(long.scene(), "Softmax", 30)


def test_a_loss_without_a_softmax_has_no_probability_and_says_so():
    scene = Probability(losses=(losses.starting("SphereFace2"), CosFace())).scene()
    assert not [mark for mark in scene.marks if mark.name.startswith("SphereFace2")]
    assert any("SphereFace2" in note for note in scene.notes)
    assert "None of these losses" in Probability(losses=(losses.starting("Triplet"),)).scene().says


@pytest.mark.parametrize("name", ["CosFace", "ArcFace", "SphereFace", "Circle", "InterFace", "AdaFace", "IntraLoss"])
def test_at_the_edge_of_a_region_the_gap_is_zero(name):
    duel = Regions(losses=(losses.starting(name),)).duel()
    theta, width = strip(duel)
    cosine = [torch.from_numpy(np.radians(each)).cos() for each in (theta, theta + width)]
    gap = duel.gap(*cosine, 0)
    inside = torch.from_numpy(theta < 179)  # at the poles themselves a cosine stands still
    assert len(theta) > 20 and gap[inside].abs().max() < 1e-4


def test_regions_are_where_the_gap_is_above_zero():
    for view, turn in ((Regions, lambda v: np.cos(np.radians(v))), (CosineRegions, lambda v: v)):
        scene = view(losses=(CosFace(margin=0.35),)).scene()
        one, two = (mark for mark in scene.marks if mark.role == "region")
        first, second = np.meshgrid(turn(one.x), turn(one.y))
        assert np.allclose(one.value, first - 0.35 - second) and np.allclose(two.value, second - 0.35 - first)
        (margin,) = (mark for mark in scene.marks if mark.role == "margin")
        assert np.allclose(margin.value, -np.maximum(one.value, two.value))
        (decision,) = (mark for mark in scene.marks if mark.role == "decision")
        assert np.all(np.sign(decision.value) == np.sign(np.round(first - second, 12)))


def test_which_of_the_losses_is_drawn():
    pair = (CosFace(margin=0.35), ArcFace(margin=0.5))
    assert "CosFace" in Regions(losses=pair).scene().title
    assert "ArcFace" in Regions(losses=pair, which=2).scene().title
    assert "ArcFace" in Regions(losses=pair, which=4).scene().title  # the last, where there are fewer


def test_where_the_prototypes_stand_matters_for_some_losses_and_it_is_said():
    near, far = (Regions(losses=(losses.starting("DynArcFace"),), between=deg) for deg in (30.0, 150.0))
    assert strip(near.duel())[1].mean() < strip(far.duel())[1].mean()
    assert "30° apart" in near.scene().notes[0]
    assert not Regions(losses=(ArcFace(),), between=30.0).scene().notes


def test_what_no_sample_can_have_is_paled():
    (pale,) = (m for m in Regions(between=60.0, possible=True).scene().marks if m.role == "impossible")
    value = {(x, y): pale.value[j, i] for j, y in enumerate(pale.y) for i, x in enumerate(pale.x)}
    assert value[30, 30] <= 2 * HAIR < value[27, 27]  # between the two prototypes, and nearer to both than that
    assert value[60, 120] <= 2 * HAIR < value[60, 126] and value[150, 150] <= 2 * HAIR < value[159, 159]


def test_a_runs_samples_stand_at_their_own_angles():
    run = Run(ROOT / "recordings" / "arcface-sphere")
    scene = Regions(run=run, first=3, second=8).scene()
    assert scene.names == ("3", "8") and scene.title == "Two angles, ArcFace 0.3 as this run has it"
    for k, mark in zip((3, 8), (m for m in scene.marks if isinstance(m, Points)), strict=True):
        snapshot = run[len(run) - 1]
        mine = snapshot.embedding[run.probe.labels == k]
        unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (mine, snapshot.prototypes[[3, 8]])]
        assert np.allclose(mark.at, np.degrees(np.arccos(np.clip(unit[0] @ unit[1].T, -1, 1))), atol=0.05)
    for a, b in ((3, 3), (3, 99)):
        with pytest.raises(ValueError, match="choose two different ones from 0 to 9"):
            Regions(run=run, first=a, second=b).scene()


def test_the_ladder_ends_with_all_three_margins():
    tops = [Ladder(rung=step).scene() for step in range(len(RUNGS))]
    assert [len(scene.marks) for scene in tops] == list(range(1, len(RUNGS) + 1))
    assert all(scene.of_role("curve")[0].name == rung.name for scene, rung in zip(tops, RUNGS, strict=True))
    at = tops[5].of_role("curve")[0].at
    assert np.allclose(at[:, 1], 16 * curves(ArcFace(margin=0.5), torch.from_numpy(np.radians(at[:, 0])))[0].numpy())
    assert "CombinedMargin(" in tops[6].notes[0]


@pytest.mark.parametrize("name", losses.catalogue())
@pytest.mark.parametrize("view", OURS, ids=lambda view: view.__name__)
def test_every_view_draws_every_loss(view, name):
    scene = view(losses=(losses.starting(name), CosFace())).scene()
    assert scene.says.endswith(".") and not re.search(r"(?<!\w)-\d", scene.says)  # but a real minus
    for mark in scene.marks:
        places = mark.value if isinstance(mark, Area) else mark.at
        assert np.isfinite(places).all()


@pytest.mark.parametrize("view", OURS, ids=lambda view: view.__name__)
def test_the_table_has_every_point(view):
    scene = view().scene()
    found = list(csv.reader(io.StringIO(scene.table())))
    assert (
        len(found)
        == 1 + sum(mark.value.size if isinstance(mark, Area) else len(mark.at) for mark in scene.marks)
        == 1 + sum(len(list(rows(mark))) for mark in scene.marks)
    )
    assert {len(row) for row in found} == {len(found[0])}


def test_a_picture_of_too_many_losses_is_refused():
    with pytest.raises(ValueError, match="1 to 8 losses"):
        Curves(losses=(ArcFace(),) * 9)
    with pytest.raises(ValueError, match="1 to 8 losses"):
        Curves(losses=())


def test_names_say_in_what_losses_differ():
    assert views.named((ArcFace(margin=0.5), CosFace())) == ("ArcFace 0.5", "CosFace 0.35")
    pair = (ArcFace(margin=0.5), ArcFace(margin=0.5, gradient="detached"))
    assert views.named(pair) == ("ArcFace exact", "ArcFace detached")


@pytest.mark.parametrize(
    ("loss", "tex"),
    [
        (ArcFace(scale=16, margin=0.5), r"{16}\cos(\theta_y+{0.5})"),
        (losses.make("CombinedMargin", scale=2), r"{2}(\cos({1}\theta_y+{0.3})-{0.2})"),
        (losses.make("X2Softmax", scale=2), r"{2}({(-0.9)}(\theta_y-{0})^2+{0.65})"),
        (
            losses.make("DynArcFace"),
            r"{64}\cos(\theta_y+m_y),\quad m_y={0.3}[\theta_n-{1.2}]_++{0.4}+"
            r"\frac{0.03\,\cdot{0.4}}{1+(20|\theta_n-{1.2}|)^{1.1}}",
        ),
        (losses.make("ArcFace", scale="Linear(1, 2, 3)"), r"s\cos(\theta_y+{0.5})"),
        (Softmax(), Softmax.card.formula),
    ],
)  # fmt: skip
def test_knobs_are_filled_into_formulas(loss, tex):
    assert filled(loss) == tex


def test_knobs_in_words():
    assert valued(ArcFace(scale=16, margin=0.5)) == "s = 16, m = 0.5 rad"
    assert "a = −0.9" in valued(losses.make("X2Softmax")) and not valued(Softmax())


def test_numbers_in_sentences():
    assert signed(-0.481) == "−0.48" and signed(-0.001) == "0.00" and Axis("θ", "°").label == "θ (°)"
