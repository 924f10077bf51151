"""Figures that need no training: what is drawn and said is what the losses give."""

import csv
import io
import math

import numpy as np
import pytest
import torch

from losslab import losses
from losslab.figures.decision_regions import DecisionRegions, asks
from losslab.figures.kappa_panels import KappaPanels
from losslab.figures.layout import by_loss
from losslab.figures.logit_curves import LogitCurves
from losslab.figures.margin_distributions import APART, KAPPA, MarginDistributions
from losslab.figures.margin_geometry import MarginGeometry
from losslab.figures.push_fields import PushFields
from losslab.figures.rubber_band import RubberBand
from losslab.figures.von_mises_fisher import VonMisesFisher, half
from losslab.losses import (
    AdaFace,
    ArcFace,
    CosFace,
    ElasticFace,
    InterFace,
    IntraLoss,
    KappaFace,
    MagFace,
    NormFace,
    SphereFace,
)
from losslab.render import paper
from losslab.scene import Plate
from losslab.training import Recipe, Run, RunWriter, head_at, probe, train

ANY = (LogitCurves, DecisionRegions, MarginGeometry, KappaPanels, RubberBand)  # take every loss
ALL = (*ANY, PushFields, MarginDistributions, VonMisesFisher)
SOME = ("Softmax", "SphereFace", "MagFace", "Triplet", "CenterLoss", "IntraLoss", "SubCenterArcFace", "InterFace")


def numbers(words: str) -> list[float]:
    """All numbers of a sentence, in their order."""
    plain = words.replace("−", "-").replace("°", " ").replace("%", " ").replace(";", " ").replace(",", " ")
    found = []
    for word in plain.replace("(", " ").replace(")", " ").split():
        try:
            found.append(float(word.rstrip(".:")))
        except ValueError:
            continue
    return found


@pytest.mark.parametrize("figure", ALL)
def test_a_plate_is_whole(figure):
    plate = figure().plate()
    assert isinstance(plate, Plate)
    assert len(plate.panels) == len(plate.heads)
    assert len(plate.panels) % plate.columns == 0
    assert plate.says.endswith(".")
    assert figure.card.endswith(".")
    assert figure.after
    assert figure.width in paper.WIDTHS
    heads = {row[0] for row in csv.reader(io.StringIO(plate.table()))} - {"panel"}
    assert heads == set(plate.heads)


@pytest.mark.parametrize("figure", ALL)
def test_the_same_figure_is_the_same_plate(figure):
    assert figure().plate().table() == figure().plate().table()
    assert figure() == figure()


@pytest.mark.parametrize("figure", ANY)
@pytest.mark.parametrize("name", SOME)
def test_every_loss_can_be_asked_for(figure, name):
    plate = figure(losses=(losses.starting(name),)).plate()
    assert losses.title(losses.starting(name)) in plate.says
    assert all(np.isfinite(mark.at).any() for scene in plate.panels for mark in scene.marks if hasattr(mark, "at"))


@pytest.mark.parametrize("figure", [LogitCurves, DecisionRegions, MarginGeometry, PushFields])
def test_a_loss_says_that_it_is_a_reconstruction(figure):
    assert "reconstruction" in figure(losses=(losses.starting("MarginLoss"), losses.starting("IntraLoss"))).plate().says


def test_more_losses_than_a_page_is_wide_stand_in_pairs():
    five = tuple(map(losses.starting, ("Softmax", "NormFace", "CosFace", "ArcFace", "MagFace")))
    plate = DecisionRegions(losses=five).plate()
    assert plate.columns == 4
    assert plate.heads[:4] == ("Softmax", "Softmax", "NormFace", "NormFace")
    assert plate.panels[0].x.unit == "°"
    assert plate.panels[1].x.unit == ""


def test_heads_leave_out_what_a_term_is_added_to_only_where_they_still_differ():
    scenes = [("one",), ("two",)]
    assert by_loss(scenes, ("Ring loss around Softmax", "ArcFace"))["heads"] == ("Ring loss", "ArcFace")
    both = ("Ring loss around Softmax", "Ring loss around NormFace")
    assert by_loss(scenes, both)["heads"] == both


# -- target-logit curves -------------------------------------------------------------------------------------


def test_curves_are_those_of_the_formulas():
    deg = np.linspace(0, 180, 361)
    theta = np.radians(deg)
    plate = LogitCurves().plate()
    drawn = {mark.name: mark.at for mark in plate.panels[0].of_role("curve")}
    assert np.allclose(drawn["CosFace 0.35"][:, 1], np.cos(theta) - 0.35)
    inside = theta + 0.5 < math.pi
    assert np.allclose(drawn["ArcFace 0.5"][inside, 1], np.cos(theta + 0.5)[inside])
    inside = theta < math.pi / 4
    assert np.allclose(drawn["SphereFace 4"][inside, 1], (5 * np.cos(theta) + np.cos(4 * theta))[inside] / 6)
    inside = 0.9 * theta + 0.4 < math.pi
    second = next(at for name, at in drawn.items() if "0.9" in name)
    assert np.allclose(second[inside, 1], np.cos(0.9 * theta + 0.4)[inside] - 0.15)
    assert "ArcFace 0.5 gives −0.48" in plate.says
    assert f"ArcFace 0.5 with {math.sin(math.radians(5) + 0.5):.2f}" in plate.says


def test_curves_begin_and_end_where_they_are_asked_to():
    plate = LogitCurves(from_deg=20, to_deg=100).plate()
    for scene in plate.panels:
        assert (scene.x.low, scene.x.high) == (20, 100)
        x = np.concatenate([mark.at[:, 0] for mark in scene.marks])
        assert (x.min(), x.max()) == (20, 100)
    with pytest.raises(ValueError, match="from 100° to 100°; they must span 10°"):
        LogitCurves(from_deg=100, to_deg=100)


def test_scaled_curves_are_multiplied_by_the_scale():
    plain, scaled = (
        LogitCurves(losses=(ArcFace(scale=16),), scaled=scaled).plate().panels[0].of_role("curve")[0].at[:, 1]
        for scaled in (False, True)
    )
    assert np.allclose(scaled, 16 * plain)


# -- decision regions ----------------------------------------------------------------------------------------


def region(scene, x: float, y: float) -> str:
    """Whose place this is: 1, 2, or "-" for nobody's."""
    found = "-"
    for mark in scene.of_role("region"):
        i, j = np.abs(mark.x - x).argmin(), np.abs(mark.y - y).argmin()
        if mark.value[j, i] > 0:
            found = str(mark.of + 1)
    return found


def test_regions_are_those_of_the_losses_in_both_planes():
    plate = DecisionRegions(losses=(CosFace(margin=0.2), ArcFace(margin=0.3))).plate()
    by_head = {(head, scene.x.unit): scene for head, scene in zip(plate.heads, plate.panels, strict=True)}
    arc, cos = by_head["ArcFace 0.3", "°"], by_head["CosFace 0.2", ""]
    assert (region(arc, 30, 51), region(arc, 30, 45), region(arc, 30, 9)) == ("1", "-", "2")
    assert (region(cos, 0.6, 0.36), region(cos, 0.6, 0.5), region(cos, 0.2, 0.5)) == ("1", "-", "2")


def test_regions_say_how_far_ahead_a_class_must_be():
    says = DecisionRegions().plate().says
    wide = math.degrees(math.acos(0.8))
    assert f"CosFace 0.2 by 11.5° to {wide:.1f}° and by 0.20 everywhere" in says
    assert "ArcFace 0.3 by 17.2° everywhere" in says
    assert "Softmax not at all" in says


def test_a_margin_that_nobody_can_clear_is_said():
    assert asks(np.zeros(0), np.zeros(0)) == "by more than there is"


def test_one_plane_is_half_of_both():
    for plane, unit in (("angles", "°"), ("cosines", "")):
        plate = DecisionRegions(planes=plane).plate()
        assert len(plate.panels) == 4
        assert {scene.x.unit for scene in plate.panels} == {unit}


# -- margins of samples --------------------------------------------------------------------------------------


def panel(plate: Plate, title: str):
    return next(scene for scene, head in zip(plate.panels, plate.heads, strict=True) if head.startswith(title))


def test_adaptive_margins_are_the_formulas():
    adaptive = tuple(map(losses.starting, (ElasticFace, KappaFace, MagFace, AdaFace, InterFace)))
    plate = MarginDistributions(losses=adaptive).plate()

    mag = panel(plate, "MagFace").of_role("curve")[0].at
    loss = losses.starting(MagFace)
    share = (np.clip(mag[:, 0], loss.shortest, loss.longest) - loss.shortest) / (loss.longest - loss.shortest)
    assert np.allclose(mag[:, 1], loss.low + share * (loss.high - loss.low))

    loss = losses.starting(InterFace)
    for mark, phi in zip(panel(plate, "InterFace").of_role("curve"), np.radians(APART), strict=True):
        theta = np.radians(mark.at[:, 0])
        expected = loss.reach * (math.exp(-loss.middle / phi) - np.exp(-theta / phi))
        assert np.allclose(mark.at[:, 1], expected, atol=1e-6)

    tight = panel(plate, "KappaFace").of_role("curve")
    assert [mark.name for mark in tight] == [f"κ = {kappa:g}" for kappa in KAPPA]
    assert all((np.diff(mark.at[:, 1]) < 0).all() for mark in tight), "a larger class gets a smaller margin"
    assert (tight[0].at[:, 1] > tight[1].at[:, 1]).all()
    assert (tight[1].at[:, 1] > tight[2].at[:, 1]).all()

    elastic = panel(plate, "ElasticFace")
    assert elastic.of_role("bars")[0].at[:, 1].max() > 0
    assert "1000 margins drawn" in plate.says


def test_a_share_of_kappaface_is_its_own_mixture():
    """The ends of the curves, by the paper's formulas and not by the loss's code."""
    loss = losses.starting(KappaFace)
    curves = panel(MarginDistributions().plate(), "KappaFace").of_role("curve")
    r = [1 / math.tanh(kappa) - 1 / kappa for kappa in KAPPA]
    read = np.repeat([each * (3 - each**2) / (1 - each**2) for each in r], 200)
    standard = (read - read.mean()) / read.std(ddof=1)
    by_kappa = 1 - 1 / (1 + np.exp(-loss.temperature * standard))
    by_size = (np.cos(np.pi * np.tile(np.arange(1, 201), 3) / (1.05 * 200)) + 1) / 2
    psi = (loss.balance * by_kappa + (1 - loss.balance) * by_size).reshape(3, 200)
    assert np.allclose([mark.at[:, 1] for mark in curves], psi, atol=1e-6)


@pytest.mark.parametrize("name", ["Softmax", "ArcFace", "Triplet", "CenterLoss"])
def test_a_loss_with_one_margin_has_no_distribution(name):
    with pytest.raises(ValueError, match=r"of ElasticFace, .* or InterFace; here a loss is .*\.$"):
        MarginDistributions(losses=(losses.starting(name),))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A short training with each of the losses that give margins of their own."""
    made = []
    for loss in map(losses.starting, (MagFace, KappaFace, ElasticFace, AdaFace, InterFace)):
        recipe = Recipe(
            model="mlp", dim=2, classes=(1, 4, 7), per_class=30, epochs=2, batch=32, probe=60, seed=3, loss=loss
        )
        path = tmp_path_factory.mktemp("runs") / "run"
        with RunWriter(path, recipe, probe(recipe)) as writer:
            for snapshot in train(recipe):
                writer.append(snapshot)
            writer.state("done")
        made.append(Run(path))
    return tuple(made)


def test_margins_of_trainings_are_those_of_their_samples(runs):
    plate = MarginDistributions(runs=runs).plate(runs)
    assert plate.heads == (
        "MagFace",
        "KappaFace 0.5",
        "KappaFace 0.5",
        "ElasticFace 0.3",
        "AdaFace 0.2",
        "InterFace 0.3",
    )
    for run in (runs[0], runs[3]):
        lengths = np.linalg.norm(run[-1].embedding[run.probe.split == 0], axis=1)
        drawn = panel(plate, losses.title(run.recipe.loss)).of_role("sample")[0].at
        assert np.allclose(np.sort(drawn[:, 0]), np.sort(lengths), atol=1e-5)
    psi = head_at(runs[1].recipe, runs[1][-1]).memory.psi
    for scene in plate.panels[1:3]:
        assert np.allclose(scene.of_role("class")[0].at[:, 1], psi.numpy())
    assert len(plate.panels[5].of_role("curve")) == 2, "to each of the other classes"


# -- pushes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "far", "facing"),
    [
        (NormFace(scale=10), -0.1876, 1.5740),
        (CosFace(scale=10, margin=0.35), -3.0801, 6.1294),
        (ArcFace(scale=10, margin=0.5), -0.2840, 7.8787),
        (ArcFace(scale=64, margin=0.5), -0.0013, 71.6597),
        (IntraLoss(base=ArcFace(scale=64, margin=0.5), weight=1.0), 11.1106, 71.71),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, float) else "",
)
@pytest.mark.parametrize("surface", ["circle", "sphere"])
def test_pulls_beside_a_prototype_are_the_known_ones(loss, far, facing, surface):
    """Classes at 0°, 40° and 180°, worked out apart from this code: a margin's far side is pushed outwards, and
    IntraLoss pulls it in again."""
    figure = PushFields(losses=(loss,), surface=surface)
    plate = figure.plate()
    curve = plate.panels[1].of_role("curve")[0].at
    assert np.allclose(np.interp([-10, 10], *curve.T), [far, facing], atol=5e-3)
    assert numbers(plate.says)[2:4] == pytest.approx([far, facing], rel=5e-3, abs=1e-4)


def test_a_field_stands_over_each_profile_and_all_profiles_have_one_range():
    plate = PushFields().plate()
    assert plate.columns == 4
    assert [scene.space for scene in plate.panels] == ["sphere"] * 4 + ["chart"] * 4
    assert len({(scene.y.low, scene.y.high) for scene in plate.panels[4:]}) == 1
    for i, scene in enumerate(plate.panels[4:]):
        assert [mark.of for mark in scene.of_role("curve")] == [i]
        assert [mark.of for mark in scene.of_role("faint")] == [k for k in range(4) if k != i]
        for mark in scene.of_role("curve", "faint"):
            assert scene.y.low < mark.at[:, 1].min()
            assert mark.at[:, 1].max() < scene.y.high


def test_losses_of_pairs_push_no_lone_sample():
    with pytest.raises(ValueError, match="compares samples with one another"):
        PushFields(losses=(losses.starting("Triplet"),)).plate()


# -- von Mises–Fisher ----------------------------------------------------------------------------------------


def test_samples_have_the_length_of_mean_and_the_concentration_that_is_said():
    figure = VonMisesFisher(samples=2000)
    plate = figure.plate()
    for kappa, head, scene in zip(figure.concentrations, plate.heads, plate.panels, strict=True):
        at = scene.of_role("sample")[0].at
        assert np.allclose(np.linalg.norm(at, axis=1), 1)
        r = np.linalg.norm(at.mean(0))
        assert r == pytest.approx(1 / math.tanh(kappa) - 1 / kappa, abs=0.03)
        estimate = r * (3 - r**2) / (1 - r**2)
        assert head == f"κ = {kappa:g}, read as {estimate:.3g}"
        assert f"R = {r:.3f}" in scene.says
        assert estimate == pytest.approx(kappa, rel=0.15)


def test_half_of_the_samples_lie_within_the_cap():
    for kappa in (1.0, 25.0, 100.0):
        scene = VonMisesFisher(samples=2000, concentrations=(kappa,)).plate().panels[0]
        middle = scene.of_role("prototype")[0].at[0]
        within = scene.of_role("sample")[0].at @ middle > math.cos(half(kappa))
        assert within.mean() == pytest.approx(0.5, abs=0.04)
        assert np.allclose(scene.of_role("boundary")[0].at @ middle, math.cos(half(kappa)))


def test_samples_are_random_by_the_seed():
    first, again, other = (VonMisesFisher(seed=seed, samples=50).plate().table() for seed in (1, 1, 2))
    assert first == again != other


def test_margins_of_concentrations_are_those_that_kappaface_gives():
    plate = VonMisesFisher(losses=(KappaFace(margin=0.8),)).plate()
    at = [scene.of_role("sample")[0].at for scene in plate.panels]
    r = torch.tensor([np.linalg.norm(each.mean(0)) for each in at])
    psi = KappaFace(margin=0.8).calibrate(r, torch.full((3,), 500.0, dtype=r.dtype), 3)
    words = [f"{math.degrees(0.8 * share):.1f}°" for share in psi]
    assert f"margins of {words[0]}, {words[1]} and {words[2]} from KappaFace." in plate.says


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"losses": (ArcFace(),)}, "of KappaFace alone; here the losses are ArcFace"),
        ({"concentrations": ()}, "1 to 4 numbers"),
        ({"concentrations": (0.0,)}, "from 0.1 to 1000"),
        ({"concentrations": (math.nan,)}, "from 0.1 to 1000"),
        ({"samples": 1}, "samples is 1"),
    ],
)
def test_what_makes_no_distribution_is_refused(asked, sentence):
    with pytest.raises(ValueError, match=sentence):
        VonMisesFisher(**asked)


# -- KappaFace's three cases ---------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["circle", "sphere"])
def test_small_and_loose_classes_get_the_wider_margins(surface):
    figure = KappaPanels(surface=surface)
    loss = figure.losses[0]
    first, second, third = (figure.margins(loss, case) for case in figure.cases(loss))
    assert first[0] < first[1]
    assert second[0] > second[1]
    assert abs(third[0] - third[1]) < 0.5
    plate = figure.plate()
    for sign in ("m₁ < m₂", "m₁ > m₂", "m₁ ≈ m₂"):
        assert sign in plate.says
    for scene, margins in zip(plate.panels, (first, second, third), strict=True):
        words = scene.of_role("prototype")[0].words
        assert [word.split("= ")[1] for word in words] == [f"{margin:.1f}°" for margin in margins]


def test_zones_end_where_the_margins_say():
    """On the circle: half of a class's margin from the line between the two."""
    figure = KappaPanels(surface="circle")
    loss = figure.losses[0]
    for case, scene in zip(figure.cases(loss), figure.plate().panels, strict=True):
        zones = scene.of_role("zone")[0]
        deg = np.degrees(np.arctan2(zones.at[:, 1], zones.at[:, 0]))
        near = np.abs(deg - 90) < 40
        one = (deg - 90)[near & (zones.gap[0] > 0)].min()
        other = (90 - deg)[near & (zones.gap[1] > 0)].min()
        assert [2 * one, 2 * other] == pytest.approx(figure.margins(loss, case), abs=0.6)


def test_a_loss_that_knows_no_classes_gives_both_one_margin():
    assert (
        "ArcFace 0.3 gives both classes the same margin" in KappaPanels(losses=(losses.starting(ArcFace),)).plate().says
    )


def test_several_losses_have_a_row_each():
    plate = KappaPanels(losses=(losses.starting(KappaFace), losses.starting(ArcFace))).plate()
    assert (plate.columns, len(plate.panels)) == (3, 6)
    assert plate.heads[3].startswith("ArcFace 0.3: ")


def test_the_cases_must_differ():
    with pytest.raises(ValueError, match="few must be below many and loose below tight"):
        KappaPanels(few=60, many=60)
    with pytest.raises(ValueError, match="few must be below many and loose below tight"):
        KappaPanels(loose=90, tight=80)


# -- the rubber band -----------------------------------------------------------------------------------------


def test_a_band_reaches_two_deviations_to_both_sides_of_the_mean():
    figure = RubberBand()
    arc, elastic, cos, elastic_cos = figure.plate().panels
    assert not arc.of_role("breath") and not cos.of_role("breath")
    drawn = [mark.at for mark in elastic.of_role("breath") if mark.of == 0]
    ahead = sorted(float((at[:, 0] - at[:, 1]).mean()) for at in drawn)  # θ₂ − θ₁
    assert ahead == pytest.approx([math.degrees(0.3 + z * 0.05) for z in (-2, -1, 1, 2)], abs=1e-3)
    drawn = [mark.at for mark in elastic_cos.of_role("breath") if mark.of == 0]
    lead = sorted(float((at[:, 0] - at[:, 1]).mean()) for at in drawn)  # cos θ₁ − cos θ₂
    assert lead == pytest.approx([0.2 + z * 0.05 for z in (-2, -1, 1, 2)], abs=1e-3)
    assert f"{math.degrees(0.2):.1f}° to {math.degrees(0.4):.1f}° within two σ" in elastic.says
    assert "by 0.20 at the mean, and by 0.10 to 0.30 within two σ" in elastic_cos.says


def test_the_band_of_the_other_class_is_its_mirror():
    marks = RubberBand().plate().panels[1].of_role("breath")
    for one, other in zip(marks[::2], marks[1::2], strict=True):
        assert (one.of, other.of) == (0, 1)
        assert np.allclose(one.at, other.at[:, ::-1])


def test_each_loss_is_drawn_where_its_edge_is_straight_or_where_it_is_asked_to():
    assert [scene.x.unit for scene in RubberBand().plate().panels] == ["°", "°", "", ""]
    assert {scene.x.unit for scene in RubberBand(planes="cosines").plate().panels} == {""}
    assert RubberBand(losses=(SphereFace(margin=2, easing=0),)).plate().panels[0].x.unit == "°"


def test_class_1_is_in_the_lower_right_corner_of_both_planes():
    plate = RubberBand().plate()
    assert region(plate.panels[0], 55, 5) == region(plate.panels[2], 0.95, 0.55) == "1"
    assert region(plate.panels[0], 5, 55) == region(plate.panels[2], 0.55, 0.95) == "2"


# -- circle and sphere ---------------------------------------------------------------------------------------


def test_strips_are_the_same_on_circle_and_sphere_and_are_the_margins():
    plate = MarginGeometry().plate()
    assert plate.columns == 4
    assert [scene.space for scene in plate.panels] == ["circle"] * 4 + ["sphere"] * 4
    written = {}
    for head, scene in zip(plate.heads, plate.panels, strict=True):
        words = [mark.words[0] for mark in scene.of_role("narrowest") if hasattr(mark, "words")]
        written.setdefault(head, []).append(words)
    for on_circle, on_sphere in written.values():
        assert on_circle == on_sphere
    assert written["NormFace"][0] == []
    assert written["ArcFace 0.3"][0] == [f"{math.degrees(0.3):.1f}°"] * 2
    # m times nearer: of the angle φ between them, φ (m − 1) / (m + 1) is left
    assert written["SphereFace 2"][0] == [f"{50 / 3:.1f}°", f"{80 / 3:.1f}°"]
    # cos(φ/2 − w/2) − cos(φ/2 + w/2) = 2 sin(φ/2) sin(w/2) = m
    cos = [2 * math.degrees(math.asin(0.2 / (2 * math.sin(math.radians(phi / 2))))) for phi in (50, 80)]
    assert written["CosFace 0.2"][0] == [f"{each:.1f}°" for each in cos]
    for words in ("the same on circle and sphere", "NormFace 0.0° at both", "SphereFace 2 16.7° and 26.7°"):
        assert words in plate.says


def test_a_margin_that_leaves_no_room_is_said():
    assert "has no zone for each of the three" in MarginGeometry(losses=(CosFace(margin=0.9),)).plate().says
