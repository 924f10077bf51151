"""Figures made of trained toys: what they draw and say is what the runs hold."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from losslab import figures, losses
from losslab.figures.class_spread import ClassSpread, called, spreads
from losslab.figures.layout import by_loss
from losslab.figures.length_and_cosine import LengthAndCosine
from losslab.figures.probability_map import ProbabilityMap
from losslab.figures.sphere_scatter import EDGES, SphereScatter
from losslab.figures.toy_scatter import ToyScatter
from losslab.losses import ArcFace, ElasticFace
from losslab.scene import CHART, CIRCLE, PLANE, SPHERE, Area, Path, Points, Scene, Zones
from losslab.training import Recipe, Run, RunWriter, head_at, probe, train

TINY = Recipe(model="mlp", classes=(1, 4, 7, 9), per_class=30, epochs=2, batch=32, probe=60, dim=2, seed=3)
KINDS = ("Softmax", "SphereFace", "MagFace", "CenterLoss", "Triplet", "SubCenterArcFace")  # one of each kind


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs by loss and dimension, each trained when it is first wanted."""
    made = {}

    def of(name: str, dim: int = 2) -> Run:
        if (name, dim) not in made:
            recipe = dataclasses.replace(TINY, loss=losses.starting(name), dim=dim)
            path = tmp_path_factory.mktemp("runs") / "run"
            with RunWriter(path, recipe, probe(recipe)) as writer:
                for snapshot in train(recipe):
                    writer.append(snapshot)
                writer.state("done")
            made[name, dim] = Run(path)
        return made[name, dim]

    return of


def plate(kind, *runs, **knobs):
    return kind(runs=runs, **knobs).plate(runs)


def only(scene, role, **more):
    (mark,) = [
        mark for mark in scene.of_role(role) if all(getattr(mark, name) == value for name, value in more.items())
    ]
    return mark


def turned(run, held=True):
    """Embeddings [n 2 or 3] and true labels of what was held out (or of all), and degrees to the own prototype."""
    moment, mine = run[-1], run.probe.split >= held
    head = head_at(run.recipe, moment)
    embedding, label = torch.from_numpy(moment.embedding[mine]), torch.from_numpy(run.probe.truth[mine])
    deg = head.angles(embedding, label).target.detach().double().clamp(-1, 1).arccos().rad2deg().numpy()
    return embedding.numpy(), label.numpy(), deg


def test_every_figure_is_known_by_its_file_and_asks_for_a_run_of_each_loss():
    for kind, dim in ((ToyScatter, 2), (ClassSpread, 2), (ProbabilityMap, 2), (SphereScatter, 3), (LengthAndCosine, 3)):
        assert figures.catalogue()[kind.__name__] is kind
        recipes = kind().recipes()
        assert [recipe.loss for recipe in recipes] == list(kind().losses)
        assert {recipe.dim for recipe in recipes} == {dim}


def test_defaults_are_the_losses_of_the_originals():
    assert [type(loss).__name__ for loss in ProbabilityMap().losses] == ["Softmax", "NormFace"]
    assert [type(loss).__name__ for loss in LengthAndCosine().losses] == ["Softmax", "ArcFace", "MagFace"]
    arc, elastic, plus = ClassSpread().losses
    assert isinstance(arc, ArcFace)
    assert (elastic.spread, elastic.sorted) == (0.05, False)
    assert (plus.spread, plus.sorted) == (0.0175, True)
    assert arc.margin == elastic.margin == plus.margin


@pytest.mark.parametrize("kind", [ToyScatter, ClassSpread, ProbabilityMap])
def test_figures_of_the_plane_refuse_other_dimensions(kind, run):
    with pytest.raises(ValueError, match="of 2 dimensions, not of 3"):
        kind(recipe=dataclasses.replace(TINY, dim=3))
    with pytest.raises(ValueError, match="of 2 dimensions, not of 3"):
        kind(runs=(run("Softmax", 3),))


def test_a_figure_of_spheres_refuses_the_plane(run):
    with pytest.raises(ValueError, match="of 3 dimensions, not of 2"):
        SphereScatter(runs=(run("Softmax"),))


# -- the plane and the circle ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", KINDS)
def test_the_plane_shows_embeddings_and_prototypes_of_the_last_snapshot(name, run):
    one = run(name)
    made = plate(ToyScatter, one)
    raw, circle = made.panels
    assert (raw.space, circle.space, made.columns) == (PLANE, CIRCLE, 2)
    samples, directions = (only(scene, "sample") for scene in made.panels)
    assert np.array_equal(samples.at, one[-1].embedding)
    assert np.array_equal(samples.each, one.probe.truth)
    length = np.linalg.norm(one[-1].embedding, axis=1, keepdims=True)
    assert np.allclose(directions.at * length, one[-1].embedding, atol=1e-5)
    rows = one[-1].prototypes / np.linalg.norm(one[-1].prototypes, axis=1, keepdims=True)
    badges = only(circle, "prototype")
    assert np.allclose(badges.at, rows, atol=1e-6)
    assert np.array_equal(badges.each, np.repeat(np.arange(4), len(rows) // 4))
    assert badges.words == tuple(one.probe.names[k] for k in badges.each)
    rays = only(raw, "prototype").at
    assert np.allclose(rays / np.linalg.norm(rays, axis=1, keepdims=True), rows, atol=1e-6)
    assert np.linalg.norm(rays, axis=1).min() > length.max()  # beyond all samples
    assert -raw.x.low == raw.x.high == raw.y.high > length.max()


def test_dashes_stand_where_the_head_changes_its_mind(run):
    one = run("Softmax")
    raw = plate(ToyScatter, one, rows="raw").panels[0]
    edges = only(raw, "boundary").at[1::3]
    head = head_at(one.recipe, one[-1]).double()
    side = np.stack([-edges[:, 1], edges[:, 0]], 1) * 0.01
    with torch.no_grad():
        left, right = (head.logits(torch.from_numpy(edges + way)).argmax(1) for way in (side, -side))
    assert len(edges) and (left != right).all()


def test_centres_that_a_term_keeps_are_drawn(run):
    one = run("CenterLoss")
    raw = plate(ToyScatter, one).panels[0]
    assert np.allclose(only(raw, "cross").at, one[-1].memory["centre"])
    assert not plate(ToyScatter, run("Softmax")).panels[0].of_role("cross")


@pytest.mark.parametrize(("held_out", "kept"), [("trained on", [0]), ("held out", [1]), ("both", [0, 1])])
def test_which_samples_are_drawn(held_out, kept, run):
    one = run("Softmax")
    mine = np.isin(one.probe.split, kept)
    for scene in plate(ToyScatter, one, held_out=held_out).panels:
        assert np.array_equal(only(scene, "sample").each, one.probe.truth[mine])


@pytest.mark.parametrize("name", KINDS)
def test_what_the_scatter_says_is_of_the_held_out_samples(name, run):
    one = run(name)
    _, _, deg = turned(one)
    right = one[-1].scalars["probe_accuracy"]
    said = plate(ToyScatter, one, held_out="trained on").says
    assert f"{100 * right:.1f} % right, {deg.mean():.1f}° to the own prototype" in said


def test_rows_and_columns():
    scene = Scene(title="", says="", space=CHART, marks=())
    other = dataclasses.replace(scene, title="other")

    def laid(count, kinds=2):
        made = by_loss([(scene, other)[:kinds]] * count, tuple("abcdefgh"[:count]))
        panels, columns, heads = made["panels"], made["columns"], made["heads"]
        assert len(panels) == len(heads) == count * kinds
        return "".join("-o"[panel is other] for panel in panels), columns, " ".join(heads)

    assert laid(1) == ("-o", 2, "a a")
    assert laid(2) == ("-o-o", 4, "a a b b")
    assert laid(3) == ("---ooo", 3, "a b c a b c")
    assert laid(4)[1] == 4
    assert laid(5) == ("-o" * 5, 4, "a a b b c c d d e e")
    assert [laid(count, 1)[1] for count in range(1, 9)] == [1, 2, 3, 4, 3, 3, 4, 4]


def test_a_scatter_of_several_losses_names_each(run):
    made = plate(ToyScatter, *map(run, ("Softmax", "NormFace", "ArcFace")))
    assert made.heads == ("Softmax", "NormFace", "ArcFace 0.3") * 2
    assert [scene.space for scene in made.panels] == [PLANE] * 3 + [CIRCLE] * 3
    assert "ArcFace 0.3: " in made.says


# -- the sphere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zones", [False, True])
@pytest.mark.parametrize("name", KINDS)
def test_the_sphere_shows_directions(name, zones, run):
    one = run(name, 3)
    sphere, bars = plate(SphereScatter, one, zones=zones).panels
    assert (sphere.space, bars.space) == (SPHERE, CHART)
    samples = only(sphere, "sample")
    assert len(samples.at) == len(one.probe.truth)
    length = np.linalg.norm(one[-1].embedding, axis=1, keepdims=True)
    assert np.allclose(samples.at * length, one[-1].embedding, atol=1e-4)
    assert any(isinstance(mark, Zones) for mark in sphere.marks) == zones
    assert len(plate(SphereScatter, one, zones=zones, histograms=False).panels) == 1


@pytest.mark.parametrize("name", KINDS)
def test_histograms_are_of_the_angles_of_held_out_pairs(name, run):
    one = run(name, 3)
    made = plate(SphereScatter, one)
    embedding, label, _ = turned(one)
    way = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    i, j = np.triu_indices(len(way), 1)
    deg = np.degrees(np.arccos((way[i].astype(float) * way[j]).sum(1).clip(-1, 1)))
    same = label[i] == label[j]
    shares = []
    for kind, mine in enumerate((deg[same], deg[~same])):
        share = 100 * np.histogram(mine, EDGES)[0] / len(mine)
        drawn = only(made.panels[1], "bars", of=kind).at[1:-1:2, 1]
        assert np.abs(drawn - share).max() <= 100 / len(mine) + 1e-9  # one pair may round into the bar beside
        shares.append(drawn)
    common = np.minimum(*shares).sum()
    assert f"{np.median(deg[same]):.1f}° and {np.median(deg[~same]):.1f}°" in made.says
    assert f"share {common:.0f} %" in made.says


def test_histograms_of_all_losses_have_one_scale(run):
    made = plate(SphereScatter, *(run(name, 3) for name in ("Softmax", "NormFace", "ArcFace")))
    bars = made.panels[3:]
    assert len({(scene.x, scene.y) for scene in bars}) == 1
    assert bars[0].y.high >= max(mark.at[:, 1].max() for scene in bars for mark in scene.marks)


# -- length ----------------------------------------------------------------------------------------------


def ranks(value):
    return np.argsort(np.argsort(value))


@pytest.mark.parametrize("against", ["cosine", "loss"])
@pytest.mark.parametrize("name", KINDS)
def test_length_against_cosine_or_loss(name, against, run):
    one = run(name, 3)
    made = plate(LengthAndCosine, one, against=against)
    (scene,) = made.panels
    held = one.probe.split == 1
    embedding, _, deg = turned(one)
    value = -np.cos(np.radians(deg)) if against == "cosine" else one[-1].loss[held].astype(float)
    expected = -np.log10(np.maximum(value + (against == "cosine"), 1e-12))
    drawn = np.concatenate([mark.at for mark in scene.of_role("sample", "cross")])
    right = one[-1].correct[held]
    order = np.r_[np.flatnonzero(right), np.flatnonzero(~right)]
    assert np.allclose(drawn[:, 0], np.linalg.norm(embedding, axis=1)[order], rtol=1e-5)
    assert np.allclose(10 ** -drawn[:, 1], 10 ** -expected[order], atol=1e-5, rtol=1e-4)
    assert (drawn[:, 1] >= scene.y.low).all() and (drawn[:, 1] <= scene.y.high).all()
    assert (drawn[:, 0] <= scene.x.high).all()
    if not right.all() and right.any():
        assert f"(median length {np.median(np.linalg.norm(embedding, axis=1)[right]):.3g} where" in made.says


def test_the_rank_correlation_is_spearmans(run):
    one = run("Softmax", 3)
    embedding, _, _ = turned(one)
    held = one.probe.split == 1
    found = np.corrcoef(ranks(np.linalg.norm(embedding, axis=1)), ranks(-one[-1].loss[held]))[0, 1]
    assert f"Softmax: {found:.2f}".replace("-", "−") in plate(LengthAndCosine, one, against="loss").says


def test_cosines_have_one_scale_and_are_written_as_such(run):
    made = plate(LengthAndCosine, *(run(name, 3) for name in ("Softmax", "ArcFace", "MagFace")))
    assert len({scene.y for scene in made.panels}) == 1
    y = made.panels[0].y
    assert y.title == "Cosine to the own prototype cos θ"
    for at, word in zip(y.ticks, y.words, strict=True):
        assert float(word) == pytest.approx(1 - 10**-at)


def test_magface_has_guides_where_its_margin_begins_and_ends(run):
    one = run("MagFace", 3)
    (scene,) = plate(LengthAndCosine, one).panels
    loss = one.recipe.loss
    assert {mark.name: mark.at[0, 0] for mark in scene.of_role("guide")} == {
        f"l = {loss.shortest:g}": loss.shortest,
        f"u = {loss.longest:g}": loss.longest,
    }
    assert scene.x.high > loss.longest
    assert not plate(LengthAndCosine, run("Softmax", 3)).panels[0].of_role("guide")


# -- probability -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Softmax", "NormFace", "SphereFace", "MagFace", "CenterLoss", "SubCenterArcFace"])
def test_the_map_is_the_softmax_of_the_heads_logits(name, run):
    one = run(name)
    made = plate(ProbabilityMap, one, label=2)
    area = only(made.panels[1], "level")
    assert isinstance(area, Area) and not made.panels[0].of_role("level")
    head = head_at(one.recipe, one[-1]).double()
    for j, i in ((0, 0), (17, 101), (60, 59), (119, 3)):
        with torch.no_grad():
            logits = head.logits(torch.tensor([[area.x[i], area.y[j]]], dtype=torch.float64))
        assert area.value[j, i] == pytest.approx(logits.softmax(1)[0, 2].item())


def test_length_counts_for_softmax_alone(run):
    for name, counts in (("Softmax", True), ("NormFace", False)):
        area = only(plate(ProbabilityMap, run(name), label=0).panels[1], "level")
        diagonal = np.diag(area.value)[60:]  # one direction, from the middle outwards
        assert (np.ptp(diagonal) > 1e-3) == counts


def test_three_examples_with_their_probabilities(run):
    one = run("Softmax")
    made = plate(ProbabilityMap, one, label=1)
    scene = made.panels[1]
    stars = only(scene, "drawn").at
    mine = one.probe.truth == 1
    assert all(np.isclose(one[-1].embedding, at).all(1).any() for at in stars)
    assert all(np.isclose(one[-1].embedding[mine], at).all(1).any() for at in stars[:2])
    long, short, _ = np.linalg.norm(stars, axis=1)
    assert short < long
    head = head_at(one.recipe, one[-1]).double()
    with torch.no_grad():
        p = head.logits(torch.from_numpy(stars)).softmax(1)[:, 1].tolist()
    words = ["> 0.99" if v >= 0.995 else "< 0.01" if v < 0.005 else f"{v:.2f}" for v in p]
    assert list(only(scene, "word").words) == words
    assert f"Softmax: long {words[0]}, short {words[1]}, between {words[2]}" in made.says
    lines = only(scene, "stream").at
    assert np.allclose(lines[1::3], stars) and np.allclose(lines[::3], 0)


def test_a_map_of_a_loss_without_a_softmax_is_refused(run):
    with pytest.raises(ValueError, match="Triplet loss: no softmax over classes"):
        ProbabilityMap(losses=(losses.starting("Softmax"), losses.starting("Triplet")))
    with pytest.raises(ValueError, match="no softmax over classes"):
        ProbabilityMap(runs=(run("Triplet"),))


def test_a_map_of_a_class_that_is_not_there_is_refused(run):
    with pytest.raises(ValueError, match="label is 8, but the classes of this figure run from 0 to 7"):
        ProbabilityMap(label=8)
    with pytest.raises(ValueError, match="from 0 to 3"):
        ProbabilityMap(label=4, runs=(run("Softmax"),))


# -- spread ----------------------------------------------------------------------------------------------


def test_the_spread_is_a_standard_deviation_that_knows_of_the_turn():
    turn = np.array([math.pi - 0.1, -math.pi + 0.1, 1.0, 1.0])
    found = spreads(turn, np.array([0, 0, 2, 2]))
    assert set(found) == {0, 2}
    assert abs(found[0][0]) == pytest.approx(math.pi)
    assert found[0][1] == pytest.approx(0.1)
    assert found[2] == pytest.approx((1.0, 0.0))


@pytest.mark.parametrize("name", KINDS)
def test_each_class_has_its_spread_and_each_pair_of_neighbours_its_angle(name, run):
    one = run(name)
    (scene,) = plate(ClassSpread, one).panels
    around, between = scene.of_role("word")
    embedding, label, _ = turned(one, held=False)
    deg = np.degrees(np.arctan2(embedding[:, 1], embedding[:, 0]))
    for k, word in enumerate(around.words):
        mine = deg[label == k]
        mean = np.degrees(np.arctan2(np.sin(np.radians(mine)).mean(), np.cos(np.radians(mine)).mean()))
        away = (mine - mean + 180) % 360 - 180
        assert float(word[:-1]) == pytest.approx(math.sqrt((away**2).mean()), abs=0.06)
        arc = only(scene, "arc", of=k).at
        width = np.degrees(np.unwrap(np.arctan2(arc[:, 1], arc[:, 0])))
        assert width[-1] - width[0] == pytest.approx(2 * math.sqrt((away**2).mean()), rel=1e-3)
    if name != "SubCenterArcFace":
        assert len(between.words) == 4
        assert sum(float(word[:-1]) for word in between.words) == pytest.approx(360, abs=2)


def test_angles_between_neighbours_are_those_of_the_prototypes(run):
    one = run("ArcFace")
    made = plate(ClassSpread, one)
    turn = np.sort(np.degrees(np.arctan2(one[-1].prototypes[:, 1], one[-1].prototypes[:, 0])))
    gaps = np.diff(np.r_[turn, turn[0] + 360])
    words = made.panels[0].of_role("word")[1].words
    assert [float(word[:-1]) for word in words] == pytest.approx(gaps, abs=0.51)
    assert f"{gaps.min():.0f}° to {gaps.max():.0f}° between neighbouring prototypes" in made.says


def test_elastic_losses_are_called_as_in_their_paper(run):
    made = plate(ClassSpread, run("ArcFace"), run("ElasticFace"))
    assert made.heads == ("ArcFace 0.3", "Elastic-Arc, σ = 0.05")
    assert called(ElasticFace(variant="cos", sorted=True, spread=0.025), "") == "Elastic-Cos+, σ = 0.025"


def test_what_is_drawn_can_be_written_down(run):
    plane, space = run("Softmax"), run("Softmax", 3)
    for kind, one in (
        (ToyScatter, plane),
        (ClassSpread, plane),
        (ProbabilityMap, plane),
        (SphereScatter, space),
        (LengthAndCosine, space),
    ):
        made = plate(kind, one)
        assert made.says.endswith(".") and len(made.table().splitlines()) > 30
        assert all(isinstance(mark, Points | Path | Area | Zones) for scene in made.panels for mark in scene.marks)
