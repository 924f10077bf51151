"""Projections: what is said to be exact is exact, the same seed gives the same pictures, pictures follow one another,
and the numbers about them are those of a count by hand."""

import math
import threading

import numpy as np
import pytest

from losslab import projections
from losslab.projections import faithful, graph, sphere_map, umap
from losslab.projections.base import directions, rotation
from losslab.projections.pca import PrincipalAxes, principal
from losslab.projections.sphere_map import SphereMap, gradient
from losslab.projections.three import ThreePrototypes
from losslab.projections.tour import Tour
from losslab.projections.umap import Cancelled, Missing, UmapPlane

N, C, D = 120, 6, 9
QUICK = [kind for name, kind in projections.catalogue().items() if not name.startswith("Umap")]
LINEAR = [kind for kind in QUICK if kind.linear]
each = pytest.mark.parametrize("kind", QUICK, ids=lambda kind: kind.__name__)


def training(pictures: int = 3, seed: int = 0, dim: int = D) -> list[tuple[np.ndarray, np.ndarray]]:
    """Classes that gather about their prototypes, in a few snapshots."""
    random = np.random.default_rng(seed)
    prototypes = random.normal(size=(C, dim))
    start, noise = random.normal(size=(N, dim)), random.normal(size=(N, dim))
    goal = 3 * directions(prototypes)[np.arange(N) % C] + 0.6 * noise
    shares = 0.6 + 0.4 * np.linspace(0, 1, pictures)
    return [(start * (1 - share) + goal * share, prototypes) for share in shares]


def mixed(random: np.random.Generator, dim: int) -> np.ndarray:
    return np.linalg.qr(random.normal(size=(dim, dim)))[0]


# -- all of them ------------------------------------------------------------------------------------------


def test_the_default_comes_first():
    assert next(iter(projections.catalogue())) == projections.DEFAULT == "SphereMap"
    assert {kind.dim for kind in projections.catalogue().values()} == {2, 3}
    for kind in projections.catalogue().values():
        assert kind.title and kind.card.endswith(".") and kind.says.endswith(".")


@each
def test_places_are_finite_unit_vectors_and_the_same_for_one_seed(kind):
    first, second = kind(seed=3), kind(seed=3)
    for embedding, prototypes in training():
        one, two = first.place(embedding, prototypes), second.place(embedding, prototypes)
        assert one.samples.shape == (N, 3) and one.prototypes.shape == (C, 3) and one.samples.dtype == np.float32
        for rows in (one.samples, one.prototypes):
            assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
        assert np.array_equal(one.samples, two.samples) and np.array_equal(one.prototypes, two.prototypes)
        assert (one.sample_length <= 1 + 1e-6).all() and kind.linear or (one.sample_length == 1).all()


@each
def test_only_directions_count(kind):
    (embedding, prototypes), *_ = training()
    lengths = np.random.default_rng(0).uniform(0.1, 9, size=(N, 1))
    one, two = kind().place(embedding, prototypes), kind().place(embedding * lengths, prototypes * 7)
    assert np.allclose(one.samples @ one.samples.T, two.samples @ two.samples.T, atol=0.02)


@each
def test_the_smallest_the_equal_and_the_zero_have_places(kind):
    random = np.random.default_rng(1)
    few = random.normal(size=(3, 5))
    for embedding in (few, np.ones((20, 5)), np.zeros((20, 5)), np.vstack([few, np.zeros((2, 5))]), few * 1e-30):
        projection = kind()
        for _ in range(2):
            placed = projection.place(embedding, random.normal(size=(3, 5)))
            assert np.isfinite(placed.samples).all() and np.isfinite(placed.prototypes).all()


@each
def test_what_makes_no_picture_is_refused_and_changes_nothing(kind):
    projection, good = kind(), training()
    before = projection.place(*good[0])
    broken = good[1][0].copy()
    broken[3, 2] = np.nan
    for embedding, prototypes, said in (
        (broken, good[1][1], "finite numbers"),
        (good[1][0][:50], good[1][1], "placed 120 samples of 9 dimensions, and these are 50 of 9"),
        (good[1][0][:, :3], good[1][1][:, :3], "fewer dimensions are drawn as they are"),
        (good[1][0], good[1][1][:, :5], r"embeddings \[n d\] and prototypes \[C d\]"),
    ):
        with pytest.raises(ValueError, match=said):
            projection.place(embedding, prototypes)
    fresh = kind()
    fresh.place(*good[0])
    assert np.array_equal(projection.place(*good[1]).samples, fresh.place(*good[1]).samples)
    assert before.samples.shape == (N, 3)


# -- the sphere map ---------------------------------------------------------------------------------------


def test_the_gradient_is_that_of_the_cross_entropy():
    import torch

    at = torch.from_numpy(directions(np.random.default_rng(0).normal(size=(20, 3))))
    pairs = torch.rand(20, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pairs = (pairs + pairs.T).fill_diagonal_(0)
    pairs /= pairs.sum()
    place = at.clone().requires_grad_()
    unit = torch.nn.functional.normalize(place)
    near = 1 / (1 + 400 * torch.cdist(unit, unit).square().clamp(min=1e-18))
    share = near.fill_diagonal_(0) / near.fill_diagonal_(0).sum()
    off = ~torch.eye(20, dtype=torch.bool)
    (pairs[off] * (pairs[off] / share[off]).log()).sum().backward()
    assert torch.allclose(gradient(at, pairs), place.grad, rtol=1e-4, atol=1e-6)


def test_neighbours_stay_neighbours_and_what_does_not_move_hardly_moves():
    projection, (first, last) = SphereMap(), training(2)
    projection.place(*first)
    for _ in range(4):
        before = projection.place(*last)
    after = projection.place(*last)
    assert faithful.neighbour_recall(last[0], after.samples) > 0.5
    assert faithful.jump(before.samples, after.samples) < 0.1


def test_a_prototype_stands_among_its_samples_and_they_do_not_see_it():
    embedding, prototypes = training(2)[1]
    placed, without = SphereMap().place(embedding, prototypes), SphereMap().place(embedding, prototypes[:2])
    assert np.array_equal(placed.samples, without.samples)
    cosine = placed.prototypes @ placed.samples.T
    nearest = np.argsort(-cosine, axis=1)[:, :5] % C
    assert (np.sort(nearest, axis=1)[:, 2] == np.arange(C)).all()  # most of them are of its class


def test_turning_all_embeddings_alike_changes_no_picture():
    """The map looks at angles alone: but for rounding, where a picture begins is all that could turn."""
    (embedding, prototypes), *_ = training()
    turn = mixed(np.random.default_rng(5), D)
    one, two = SphereMap(), SphereMap()
    recall = [
        faithful.neighbour_recall(embedding, projection.place(rows, prototypes @ by).samples)
        for projection, rows, by in ((one, embedding, np.eye(D)), (two, embedding @ turn, turn))
    ]
    assert abs(recall[0] - recall[1]) < 0.05


def test_of_many_samples_some_are_laid_out_and_the_others_stand_among_them(monkeypatch):
    embedding, prototypes = training(2)[1]
    monkeypatch.setattr(sphere_map, "MOST", 80)
    one, two = SphereMap(), SphereMap()
    for _ in range(2):
        placed, again = (each.place(embedding, prototypes) for each in (one, two))
    assert np.array_equal(placed.samples, again.samples) and placed.samples.shape == (N, 3)
    assert np.allclose(np.linalg.norm(placed.samples, axis=1), 1, atol=1e-5)
    assert faithful.neighbour_recall(embedding, placed.samples) > 0.4


# -- linear pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("dim", [4, 16, 512])
def test_cosines_to_the_three_chosen_prototypes_are_exact(seed, dim):
    random = np.random.default_rng(seed)
    embedding, prototypes = random.normal(size=(40, dim)), random.normal(size=(7, dim)) + 0.5 * random.normal()
    chosen = tuple(random.permutation(7)[:3].tolist())
    placed = ThreePrototypes(chosen=chosen).place(embedding, prototypes)
    true = directions(embedding) @ directions(prototypes[list(chosen)]).T
    assert np.allclose(placed.sample_part @ placed.prototypes[list(chosen)].T, true, atol=1e-6)
    assert np.allclose(placed.prototype_length[list(chosen)], 1, atol=1e-6)
    left_out = directions(embedding)
    frame = np.linalg.qr(prototypes[list(chosen)].T)[0]
    left_out = left_out - left_out @ frame @ frame.T
    assert np.allclose(placed.sample_length**2 + np.square(left_out).sum(1), 1, atol=1e-5)


def test_three_prototypes_in_a_line_or_a_plane_still_make_a_picture():
    embedding, prototypes = training()[0]
    for third in (prototypes[0], prototypes[0] + prototypes[1], -prototypes[0]):
        rows = np.vstack([prototypes[:2], third])
        placed = ThreePrototypes().place(embedding, rows)
        assert np.allclose(
            placed.sample_part @ placed.prototypes.T, directions(embedding) @ directions(rows).T, atol=1e-6
        )


def test_prototypes_that_are_not_three_are_refused():
    with pytest.raises(ValueError, match="three different prototypes"):
        ThreePrototypes(chosen=(0, 1, 1))
    with pytest.raises(ValueError, match="There is no prototype 6; choose three different ones, 0 to 5"):
        ThreePrototypes(chosen=(0, 1, 6)).place(*training()[0])


@pytest.mark.parametrize("kind", LINEAR, ids=lambda kind: kind.__name__)
def test_a_linear_picture_is_an_orthogonal_projection(kind):
    """Straight stays straight: of the middle of two directions the part is the middle of their parts."""
    random = np.random.default_rng(2)
    a, b = directions(random.normal(size=(30, D))), directions(random.normal(size=(30, D)))
    middle = (a + b) / 2
    placed = kind().place(np.vstack([a, b, middle]), random.normal(size=(4, D)))
    part = placed.sample_part
    length = np.linalg.norm(middle, axis=1, keepdims=True)
    assert np.allclose((part[:30] + part[30:60]) / 2, part[60:] * length, atol=1e-6)


def test_principal_axes_keep_the_most_and_do_not_flip():
    embedding, prototypes = training()[0]
    rows = directions(embedding)
    kept = np.square(rows @ principal(rows)).sum()
    for seed in range(20):
        other = mixed(np.random.default_rng(seed), D)[:, :3]
        assert np.square(rows @ other).sum() <= kept + 1e-9
    projection = PrincipalAxes()
    placed = [projection.place(*moment) for moment in training(6)]
    assert max(faithful.jump(a.samples, b.samples) for a, b in zip(placed[1:], placed[2:], strict=False)) < 0.5
    again = projection.place(-training(6)[-1][0], prototypes)  # the same axes: turned over, and so turned back
    assert np.allclose(again.samples, placed[-1].samples, atol=1e-5)


def test_procrustes_finds_the_turn():
    random = np.random.default_rng(0)
    points, turn = random.normal(size=(50, 3)), mixed(random, 3)
    assert np.allclose(rotation(points, points @ turn), turn)


# -- the tour ---------------------------------------------------------------------------------------------


def test_a_tour_begins_at_the_principal_axes_and_does_not_move_by_itself():
    tour, axes = Tour(), PrincipalAxes()
    first, goal = (each.place(*training()[0]) for each in (tour, axes))
    assert np.allclose(tour.frame.T @ tour.frame, np.eye(3), atol=1e-10)
    assert np.allclose(first.sample_part, goal.sample_part)
    before = tour.frame
    later = tour.place(*training()[2])
    assert tour.frame is before
    assert np.allclose(later.prototype_part, directions(training()[2][1]) @ before, atol=1e-6)


# -- how faithful -----------------------------------------------------------------------------------------


def test_recall_is_the_one_counted_by_hand():
    random = np.random.default_rng(0)
    embedding, places = random.normal(size=(40, 6)), random.normal(size=(40, 2))
    true, total = directions(embedding), 0
    for i in range(40):
        others = [j for j in range(40) if j != i]
        near = sorted(others, key=lambda j: -true[i] @ true[j])[:15]
        drawn = sorted(others, key=lambda j: np.linalg.norm(places[i] - places[j]))[:15]
        total += len(set(near) & set(drawn))
    assert faithful.neighbour_recall(embedding, places) == pytest.approx(total / 600)
    assert faithful.neighbour_recall(embedding, directions(embedding)) == 1
    assert faithful.neighbour_recall(embedding[:4], places[:4]) == 1  # three others are the three nearest


def test_angles_are_off_by_as_much_as_they_are():
    random = np.random.default_rng(0)
    three = random.normal(size=(50, 3))
    turn = mixed(random, 3)
    assert faithful.angle_error_deg(np.pad(three, ((0, 0), (0, 5))), three @ turn) == pytest.approx(0, abs=1e-5)
    assert faithful.angle_error_deg(np.eye(60), np.tile([1.0, 0, 0], (60, 1))) == pytest.approx(90)
    assert math.isnan(faithful.angle_error_deg(np.zeros((5, 4)), three[:5]))


def test_a_jump_is_measured_in_sigmas():
    before = np.array([[3.0, 0], [-3, 0], [0, 4], [0, -4]])
    after = before + [0.5, 0]
    assert faithful.jump(before, before) == 0
    assert faithful.jump(before, after) == pytest.approx(0.5 / math.sqrt(12.5))
    only = np.array([True, False, False, False])
    assert faithful.jump(before, before + [[9.0, 0], [0, 0], [0, 0], [0, 0]], ~only) == 0
    assert math.isnan(faithful.jump(before, after, np.zeros(4, dtype=bool)))
    assert faithful.turned_deg(np.array([[2.0, 0]]), np.array([[1.0, 1]])) == pytest.approx(45)


@each
def test_a_picture_says_how_faithful_it_is(kind):
    embedding, prototypes = training()[0]
    found = faithful.faith(kind, embedding, kind().place(embedding, prototypes))
    assert 0 < found.recall < 1 and 0 < found.error_deg < 90 and (found.shown is not None) is kind.linear
    assert f"{found.recall:.0%}" in found.sentence and found.sentence.endswith(".")


def test_membership_is_that_of_the_paper():
    distance = np.sort(np.random.default_rng(0).uniform(0.1, 1, size=(30, 15)), axis=1)
    weight = graph.membership(distance)
    assert np.allclose(weight.sum(1), np.log2(16)) and (weight[:, 0] == 1).all() and (np.diff(weight) <= 0).all()
    assert np.allclose(graph.membership(np.ones((2, 15))), 1)
    assert np.array_equal(graph.nearest(np.array([[0.2, 0.9, -np.inf, 0.9]]), 3), [[1, 3, 0]])


# -- UMAP -------------------------------------------------------------------------------------------------


def test_without_its_library_umap_says_what_to_do(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(Missing, match="pip install umap-learn, or choose the sphere map"):
        UmapPlane().place(*training()[0])


def test_its_library_is_imported_only_when_a_picture_is_asked_for():
    import subprocess
    import sys

    code = "import sys; from losslab import projections; projections.catalogue(); print('umap' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_pictures_are_aligned_of_snapshots_of_the_same_samples():
    moments = training(2)
    with pytest.raises(ValueError, match="two or more snapshots"):
        umap.aligned(moments[:1])
    with pytest.raises(ValueError, match="of the same samples"):
        umap.aligned([moments[0], (moments[1][0][:50], moments[1][1])])


def test_places_in_the_plane_are_moved_turned_and_sized_to_fit():
    random = np.random.default_rng(0)
    goal = random.normal(size=(30, 2))
    assert np.allclose(umap.fitted_to(3 * goal @ mixed(random, 2) + 7, goal), goal)


class Layouts:
    """Stands for the part of the library that shows a progress bar."""

    def tqdm(self, steps, **options):
        return steps


def test_epochs_are_told_and_can_be_stopped(monkeypatch):
    layouts, told, stop = Layouts(), [], threading.Event()
    bar = layouts.tqdm
    monkeypatch.setattr(umap, "library", lambda: type("Library", (), {"layouts": layouts}))
    with pytest.raises(Cancelled), umap.watched(lambda *said: told.append(said), stop, 3, [1, 2]):
        list(layouts.tqdm(range(3), desc="of the first"))
        loop = iter(layouts.tqdm(range(3)))
        next(loop), next(loop)
        stop.set()
        next(loop)
    assert told == [(1, 9), (2, 9), (3, 9), (5, 9), (7, 9)]
    assert layouts.tqdm == bar
