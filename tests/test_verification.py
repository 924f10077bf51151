"""Verification: every number against its definition, computed slowly and apart from the library."""

import itertools
import math

import numpy as np
import pytest
import torch

from losslab.verification import (
    RATES,
    TenFold,
    all_pairs,
    embed,
    equal_error_rate,
    hardest,
    histograms,
    pair_scores,
    roc,
    tar_at_far,
    ten_fold_accuracy,
)
from losslab.views.verification import roc_scene, score_scene

# -- the curve -------------------------------------------------------------------------------------------


def slow_rates(genuine, impostor, threshold):
    """By the definition."""
    return np.mean([score >= threshold for score in impostor]), np.mean([score >= threshold for score in genuine])


@pytest.mark.parametrize("seed", range(5))
def test_the_curve_is_what_its_thresholds_do(seed):
    draw = np.random.default_rng(seed)
    genuine, impostor = draw.integers(0, 6, 7) / 4, draw.integers(-2, 4, 11) / 4  # many ties
    curve = roc(genuine, impostor)
    assert curve.threshold[0] == np.inf and set(curve.threshold[1:]) == {*genuine, *impostor}
    for at, false, true in zip(curve.threshold, curve.false_match, curve.true_match, strict=True):
        assert (false, true) == pytest.approx(slow_rates(genuine, impostor, at))
    assert (curve.false_match[0], curve.true_match[0]) == (0, 0)
    assert (curve.false_match[-1], curve.true_match[-1]) == (1, 1)


@pytest.mark.parametrize(
    ("genuine", "impostor", "expected"),
    [
        ([0.9, 0.8], [0.1, 0.2], 0),  # told apart
        ([0.1, 0.2], [0.9, 0.8], 1),  # the wrong way round
        ([0.5], [0.5], 0.5),  # nothing to go by
        ([0.5] * 3, [0.5] * 7, 0.5),
        ([0.9, 0.4], [0.6, 0.1], 0.5),  # one of two on either side
        ([0.9, 0.8, 0.7, 0.3], [0.6, 0.2, 0.1, 0.0], 0.25),
        ([0.9, 0.5], [0.5, 0.1], 0.25),  # half of those that are tied
        ([0.9, 0.8, 0.2], [0.7, 0.1], 1 / 3),  # between one refused of three and one accepted of two
    ],
)
def test_equal_error_rates_by_hand(genuine, impostor, expected):
    assert equal_error_rate(genuine, impostor) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(5))
def test_an_equal_error_rate_follows_from_the_order_alone(seed):
    draw = np.random.default_rng(seed)
    genuine, impostor = draw.normal(1, 1, 200), draw.normal(0, 1, 300)
    rate = equal_error_rate(genuine, impostor)
    assert rate == pytest.approx(equal_error_rate(np.exp(genuine), np.exp(impostor)))
    assert rate == pytest.approx(equal_error_rate(-impostor, -genuine))  # the same question, asked backwards
    assert rate == pytest.approx(0.3085, abs=0.06)  # Φ(−½)


@pytest.mark.parametrize("genuine, impostor", [([], [0.1]), ([0.1], [])])
def test_both_kinds_of_pairs_are_needed(genuine, impostor):
    with pytest.raises(ValueError, match="at least one of each"):
        equal_error_rate(genuine, impostor)


def test_scores_are_numbers():
    with pytest.raises(ValueError, match="not a number"):
        roc([0.2, math.nan], [0.1])


def test_infinite_scores_are_scores():
    assert equal_error_rate([math.inf, 1], [-math.inf, 0]) == 0


# -- points of it ----------------------------------------------------------------------------------------


def slow_tar(genuine, impostor, far):
    """The best of all thresholds that keep to the rate."""
    kept = [t for t in [math.inf, *genuine, *impostor] if np.mean([i >= t for i in impostor]) <= far + 1e-12]
    return max(np.mean([g >= t for g in genuine]) for t in kept)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("far", [0.5, 0.1, 0.04, 1e-3])
def test_a_point_is_the_best_that_keeps_to_its_rate(seed, far):
    draw = np.random.default_rng(seed)
    genuine, impostor = draw.normal(1, 1, 30).round(1), draw.normal(0, 1, 50).round(1)  # ties
    point = tar_at_far(genuine, impostor, far)
    assert point.tar == pytest.approx(slow_tar(genuine, impostor, far))
    assert (genuine > point.threshold).mean() == point.tar and (impostor > point.threshold).mean() <= far
    assert 0 <= point.low <= point.tar + 1e-9 and point.high <= 1
    assert point.resolved == (far >= 1 / 50) and bool(point.note) != point.resolved


def test_rates_that_are_whole_numbers_of_pairs_are_reached():
    """0.29 of 100 is a little less than 29 for a computer."""
    impostor = np.arange(100) / 100
    for k in range(1, 100):
        assert tar_at_far(impostor, impostor, k / 100).tar == pytest.approx(k / 100)


def test_points_by_hand():
    genuine, impostor = [0.9, 0.8, 0.7, 0.3], [0.6, 0.2, 0.1, 0.0]
    assert tar_at_far(genuine, impostor, 0.1).tar == 0.75
    assert tar_at_far(genuine, impostor, 0.25).tar == 1
    assert tar_at_far([0.5] * 3, [0.5] * 5, 0.1).tar == 0  # all equal: none can be accepted alone
    apart = tar_at_far([1.0] * 9, [0.0] * 9, 0.1)
    assert (apart.tar, apart.low, apart.high) == (1, 1, 1)


def test_what_too_few_impostors_can_tell_is_said():
    point = tar_at_far([0.9, 0.1], np.linspace(0, 0.5, 200), 1e-4)
    assert not point.resolved and point.tar == 0.5
    assert "200 impostor pairs" in point.note and "0.005" in point.note and point.note.endswith(".")
    assert tar_at_far([0.9, 0.1], np.linspace(0, 0.5, 200), 0.005).resolved


@pytest.mark.parametrize("far", [0.2, 0.03])
def test_confidence_is_that_of_drawing_pairs_anew(far):
    draw = np.random.default_rng(0)
    genuine, impostor = draw.normal(1.5, 1, 120), draw.normal(0, 1, 150)
    drawn = []
    for _ in range(3000):
        g, i = draw.choice(genuine, 120), np.sort(draw.choice(impostor, 150))
        drawn.append((g > i[::-1][math.floor(far * 150 + 1e-9)]).mean())
    point = tar_at_far(genuine, impostor, far, draws=20_000)
    assert (point.low, point.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.02)


def test_confidence_follows_its_seed():
    draw = np.random.default_rng(1)
    scores = draw.normal(1, 1, 50), draw.normal(0, 1, 70)
    intervals = {(p.low, p.high) for p in (tar_at_far(*scores, 0.1, 50, seed) for seed in (0, 0, 1, 2))}
    assert len(intervals) in (2, 3)
    wide, narrow = tar_at_far(*scores, 0.1), tar_at_far(*(np.tile(s, 100) for s in scores), 0.1)
    assert narrow.high - narrow.low < 0.2 * (wide.high - wide.low)


@pytest.mark.parametrize("far", [0, 1, -0.1, math.nan])
def test_rates_that_cannot_be_kept_to(far):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        tar_at_far([1.0], [0.0], far)


# -- ten folds -------------------------------------------------------------------------------------------


def slow_ten_folds(embedding, same):
    """Fold by fold and threshold by threshold."""
    unit = [row / np.linalg.norm(row) for row in embedding.astype(np.float64)]
    distance = [((unit[2 * i] - unit[2 * i + 1]) ** 2).sum() for i in range(len(same))]
    sizes = [len(same) // 10 + (fold < len(same) % 10) for fold in range(10)]
    found, begin = [], 0
    for size in sizes:
        test = range(begin, begin + size)
        begin += size
        best, best_right = None, -1
        for threshold in np.arange(0, 4, 0.01):
            right = sum((distance[i] < threshold) == same[i] for i in range(len(same)) if i not in test)
            if right > best_right:
                best, best_right = threshold, right
        found.append(np.mean([(distance[i] < best) == same[i] for i in test]))
    return found


def some_pairs(n, seed, spread=0.8, dim=8):
    draw = np.random.default_rng(seed)
    same = draw.random(n) < 0.5
    first, other = draw.normal(size=(2, n, dim))
    second = np.where(same[:, None], first + spread * draw.normal(size=(n, dim)), other)
    return np.stack([first, second], 1).reshape(2 * n, dim).astype(np.float32), same


@pytest.mark.parametrize("n, seed", [(10, 0), (13, 1), (40, 2), (57, 3)])
def test_ten_folds_are_what_the_protocol_says(n, seed):
    embedding, same = some_pairs(n, seed)
    result, slow = ten_fold_accuracy(embedding, same), slow_ten_folds(embedding, same)
    assert result.accuracy.tolist() == pytest.approx(slow)
    assert (result.mean, result.spread) == pytest.approx((np.mean(slow), np.std(slow)))
    assert ten_fold_accuracy(7 * embedding, same).accuracy.tolist() == result.accuracy.tolist()  # length is nothing


def test_against_the_folds_of_scikit_learn():
    folds = pytest.importorskip("sklearn.model_selection").KFold(10)
    embedding, same = some_pairs(45, 4)
    direction = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    distance = np.square(direction[::2] - direction[1::2]).sum(1)
    found = []
    for train, test in folds.split(distance):
        thresholds = np.arange(0, 4, 0.01)
        scores = [((distance[train] < t) == same[train]).mean() for t in thresholds]
        found.append(((distance[test] < thresholds[np.argmax(scores)]) == same[test]).mean())
    assert ten_fold_accuracy(embedding, same).accuracy.tolist() == pytest.approx(found)


def test_perfect_and_hopeless_pairs():
    axes = np.eye(4)
    apart = np.concatenate([axes[[0, 0, 1, 2]]] * 10), np.tile([True, False], 10)
    assert ten_fold_accuracy(*apart).mean == 1 and ten_fold_accuracy(*apart).spread == 0
    equal = np.ones((40, 3)), np.tile([True, False], 10)
    assert ten_fold_accuracy(*equal).mean == 0.5
    zero = np.zeros((40, 3)), np.tile([True, False], 10)
    assert ten_fold_accuracy(*zero).mean == 0.5


def test_the_mean_and_the_spread():
    folds = TenFold(np.array([0.9] * 5 + [1.0] * 5), np.zeros(10))
    assert (folds.mean, folds.spread) == pytest.approx((0.95, 0.05))


@pytest.mark.parametrize(
    "embedding, same, says",
    [
        (np.ones((18, 2)), [True, False, True] * 3, "at least ten pairs, and there are 9"),
        (np.ones((20, 2)), [True] * 10, "at least one of each"),
        (np.ones((20, 2)), [False] * 10, "at least one of each"),
        (np.ones((21, 2)), [True, False] * 5, "10 pairs take 20 embeddings, and there are 21"),
        (np.full((20, 2), np.nan), [True, False] * 5, "not finite"),
    ],
)
def test_pairs_that_cannot_be_folded(embedding, same, says):
    with pytest.raises(ValueError, match=says):
        ten_fold_accuracy(embedding, np.array(same))


# -- pairs -----------------------------------------------------------------------------------------------


def labelled(seed=0, n=40, classes=5):
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, 6)).astype(np.float32), draw.integers(0, classes, n)


def slow_cosines(embedding, label):
    """By pair of samples: cosine and whether they are of one class."""
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    return {
        (i, j): (float(unit[i] @ unit[j]), label[i] == label[j])
        for i, j in itertools.combinations(range(len(label)), 2)
    }


def test_all_pairs_are_all_pairs():
    embedding, label = labelled()
    pairs, slow = all_pairs(embedding, label), slow_cosines(embedding, label)
    named = [(min(i, j), max(i, j)) for i, j in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)]
    assert sorted(named) == sorted(slow) and pairs.total == len(slow) == 780
    for pair, cosine, same in zip(named, pairs.cosine, pairs.same, strict=True):
        assert (cosine, same) == pytest.approx(slow[pair], abs=1e-6)
    assert (
        len(pairs.genuine) == sum(same for _, same in slow.values()) and len(pairs.impostor) + len(pairs.genuine) == 780
    )


@pytest.mark.parametrize("limit", [1, 2, 30, 200, 400, 700, 779, 780])
def test_a_draw_of_pairs_is_some_of_them(limit):
    embedding, label = labelled()
    everything = slow_cosines(embedding, label)
    genuine = sum(same for _, same in everything.values())
    pairs = all_pairs(embedding, label, limit, seed=3)
    named = {(min(i, j), max(i, j)) for i, j in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)}
    assert len(named) == len(pairs.cosine) == limit and named <= set(everything) and pairs.total == 780
    assert pairs.same.sum() == min(genuine, max(limit // 2, limit - (780 - genuine)))
    again, other = all_pairs(embedding, label, limit, seed=3), all_pairs(embedding, label, limit, seed=4)
    assert np.array_equal(pairs.first, again.first) and np.array_equal(pairs.cosine, again.cosine)
    if 30 <= limit < 700:
        assert not np.array_equal(pairs.first, other.first)


def test_every_pair_is_drawn_as_often():
    embedding, label = labelled(n=8, classes=2)
    seen = {}
    for seed in range(2000):
        pairs = all_pairs(embedding, label, 6, seed)
        for i, j, same in zip(pairs.first.tolist(), pairs.second.tolist(), pairs.same.tolist(), strict=True):
            seen.setdefault(same, {}).setdefault((min(i, j), max(i, j)), []).append(seed)
    for kind in seen.values():
        counts = [len(times) for times in kind.values()]
        assert max(counts) - min(counts) < 10 * math.sqrt(np.mean(counts))
    assert sum(map(len, seen.values())) == 28


def test_a_draw_does_not_need_all_pairs_in_memory():
    draw = np.random.default_rng(0)
    embedding, label = draw.normal(size=(60_000, 4)).astype(np.float32), draw.integers(0, 9000, 60_000)
    pairs = all_pairs(embedding, label, 5000)
    assert len(pairs.cosine) == 5000 and pairs.total == 60_000 * 59_999 // 2
    assert np.array_equal(label[pairs.first] == label[pairs.second], pairs.same) and (pairs.first != pairs.second).all()


@pytest.mark.parametrize("k", [1, 7, 10_000])
@pytest.mark.parametrize("n", [40, 700])
def test_the_hardest_pairs(k, n):
    embedding, label = labelled(n=n)
    slow = slow_cosines(embedding, label)
    genuine, impostor = hardest(embedding, label, k)
    for found, same, sign in ((genuine, True, 1), (impostor, False, -1)):
        expected = sorted(sign * cosine for cosine, alike in slow.values() if alike == same)[:k]
        assert (sign * found.cosine).tolist() == pytest.approx(expected, abs=1e-5)
        assert (found.same == same).all() and found.total == len(slow)
        for i, j, cosine in list(zip(found.first, found.second, found.cosine, strict=True))[:50]:
            assert (cosine, same) == pytest.approx(slow[i, j], abs=1e-5)


def test_of_equally_hard_pairs_the_first_are_shown():
    genuine, impostor = hardest(np.ones((6, 2)), np.array([0, 1, 0, 1, 0, 1]), 2)
    assert genuine.first.tolist() == [0, 0] and genuine.second.tolist() == [2, 4]
    assert impostor.first.tolist() == [0, 0] and impostor.second.tolist() == [1, 3]


@pytest.mark.parametrize("ask", [all_pairs, lambda embedding, label: hardest(embedding, label, 3)])
@pytest.mark.parametrize(
    "embedding, label, says",
    [
        (np.ones((4, 2)), [0, 0, 0, 0], "at least two"),
        (np.ones((4, 2)), [0, 1, 2, 3], "at least two embeddings of some identity"),
        (np.ones((4, 2)), [0, 1], "4 embeddings and 2 labels"),
        (np.full((4, 2), np.inf), [0, 0, 1, 1], "not finite"),
    ],
)
def test_labels_without_pairs_of_both_kinds(ask, embedding, label, says):
    with pytest.raises(ValueError, match=says) as caught:
        ask(embedding, np.array(label))
    assert str(caught.value).endswith(".")


def test_given_pairs_are_scored():
    embedding, same = some_pairs(12, 5)
    pairs = pair_scores(embedding, same)
    slow = slow_cosines(embedding, np.arange(24))
    assert pairs.cosine.tolist() == pytest.approx([slow[2 * i, 2 * i + 1][0] for i in range(12)], abs=1e-6)
    assert np.array_equal(pairs.same, same) and len(pairs.genuine) == same.sum() and pairs.total == 12
    with pytest.raises(ValueError, match="12 pairs take 24 embeddings, and there are 23"):
        pair_scores(embedding[:-1], same)


def test_an_image_is_embedded_with_its_mirror_image():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 5)).eval()
    images = torch.arange(300 * 12).view(300, 1, 3, 4) % 255
    with torch.no_grad():
        plain, mirrored = model(images.float()), model(images.flip(3).float())
    as_floats = torch.nn.Sequential(Floats(), model)
    np.testing.assert_allclose(embed(as_floats, images.byte(), flip=False), plain, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(embed(as_floats, images.byte()), plain + mirrored, rtol=1e-5, atol=1e-4)


class Floats(torch.nn.Module):
    def forward(self, images):
        return images.float()


# -- pictures --------------------------------------------------------------------------------------------


def test_histograms_hold_every_score():
    found = histograms([1.0000001, 0.99, 0.5], [-1.0000001, 0.0, 0.01, 0.5], bins=4)
    assert found.edges.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert found.genuine.tolist() == pytest.approx([0, 0, 0, 1])
    assert found.impostor.tolist() == pytest.approx([0.25, 0, 0.5, 0.25])
    with pytest.raises(ValueError, match="at least one of each"):
        histograms([], [0.1])


def test_the_curve_is_drawn_where_it_runs():
    draw = np.random.default_rng(2)
    genuine, impostor = draw.normal(1, 1, 4000), draw.normal(0, 1, 5000)
    points = tuple(tar_at_far(genuine, impostor, far) for far in RATES)
    curve = roc(genuine, impostor)
    scene = roc_scene({"A": curve, "B": roc(impostor, genuine)}, {"A": points})
    drawn = scene.of_role("curve")[0].at
    assert len(drawn) < 5000 and (np.diff(drawn, axis=0) >= 0).all()
    for point, mark in zip(points, scene.of_role("class"), strict=True):
        assert mark.at[0].tolist() == pytest.approx([math.log10(point.far), 100 * point.tar])
        level = drawn[drawn[:, 0] <= math.log10(point.far) + 1e-9][-1, 1]
        assert level == pytest.approx(100 * point.tar, abs=0.5)
    assert f"A accepts {100 * points[1].tar:.1f} %" in scene.says and scene.names == ("A", "B")
    assert [note for note in scene.notes if "5000 impostor pairs" in note]
    with pytest.raises(ValueError, match="at least one curve"):
        roc_scene({})


def test_few_pairs_make_a_curve_of_steps():
    scene = roc_scene({"A": roc([0.9, 0.3], [0.5, 0.1])})
    half = math.log10(0.5)
    assert scene.of_role("curve")[0].at.tolist() == [[-4, 50], [half, 50], [half, 100], [0, 100], [0, 100]]


def test_the_histogram_is_drawn_with_its_threshold():
    scene = score_scene(histograms([0.9, 0.8], [0.1, -0.1]), threshold=0.5)
    assert [mark.name for mark in scene.of_role("bars")] == ["one person", "two people"]
    assert scene.of_role("boundary")[0].at[:, 0].tolist() == [0.5, 0.5]
    assert "share 0 %" in scene.says
    assert not score_scene(histograms([1.0], [0.0]), threshold=math.inf).of_role("boundary")
